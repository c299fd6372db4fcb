"""A fast tokenizer of `transformers` as the vocabulary of a GGUF file.

llama.cpp does not read a tokenizer's splitting rule, it knows rules by name. The rule is recognised
here by its parts, for the tokenizers of LLaMA-class models: SmolLM2's, GPT-2's, Llama 3's, and the
SentencePiece one of Llama 2. That both split alike is checked afterwards, by `export`, on texts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from finetune.errors import ExportError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_ANY_NAME = "convert the merged folder with llama.cpp's convert_hf_to_gguf.py instead"


def write_vocabulary(writer: Any, folder: Path, size: int) -> None:
    """Add tokens, merges, special tokens and chat template of `folder` to an open GGUFWriter.

    `size` is the number of rows of the embedding matrix; rows beyond the tokenizer's last token
    become unused tokens. Raises ExportError for a tokenizer whose rule is not recognised.
    """
    import gguf

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ExportError(f"{path} is missing: GGUF needs the fast tokenizer's file")
    tokenizer = json.loads(path.read_text("utf-8"))
    sentencepiece, rule = _rule(tokenizer, path)
    tokens, kinds = _tokens(tokenizer, size, sentencepiece)
    if sentencepiece:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores(_scores(kinds))
        writer.add_add_space_prefix(_prefixes_space(tokenizer))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(rule)
        writer.add_token_list(tokens)
        writer.add_add_space_prefix(False)
    writer.add_token_types(kinds)
    special = gguf.SpecialVocab(folder, load_merges=not sentencepiece, n_vocab=size)
    special.add_special_token.setdefault("bos", False)
    special.add_to_gguf(writer, quiet=True)


def _rule(tokenizer: dict[str, Any], path: Path) -> tuple[bool, str]:
    """Whether it is a SentencePiece tokenizer, and llama.cpp's name of the splitting rule."""
    model = tokenizer["model"]
    if model.get("type") != "BPE":
        raise ExportError(f"{path} is a tokenizer of the type {model.get('type')}: {_ANY_NAME}")
    if model.get("byte_fallback"):
        return True, "default"
    before = tokenizer.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    kinds = [step.get("type") for step in steps]
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return False, "smollm"
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return False, "gpt-2"
    if kinds == ["Split", "ByteLevel"] and r"\p{N}{1,3}" in steps[0]["pattern"].get("Regex", ""):
        return False, "llama-bpe"
    raise ExportError(f"the splitting rule {kinds} of {path} is not recognised: {_ANY_NAME}")


def _tokens(
    tokenizer: dict[str, Any], size: int, sentencepiece: bool
) -> tuple[list[str], list[int]]:
    """Every token by its id, and llama.cpp's kind of each."""
    import gguf

    kind = gguf.TokenType
    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [int(kind.UNUSED)] * size
    unknown = tokenizer["model"].get("unk_token")
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], kinds[number] = token, int(kind.NORMAL)
        if sentencepiece and _BYTE.fullmatch(token):
            kinds[number] = int(kind.BYTE)
    for added in tokenizer.get("added_tokens", []):
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = int(kind.CONTROL if added["special"] else kind.USER_DEFINED)
        if sentencepiece and added["content"] == unknown:
            kinds[added["id"]] = int(kind.UNKNOWN)
    return tokens, kinds


def _scores(kinds: list[int]) -> list[float]:
    """SentencePiece's: the piece that was merged earlier wins, and stands earlier in the list."""
    import gguf

    return [
        -float(number) if kind == int(gguf.TokenType.NORMAL) else 0.0
        for number, kind in enumerate(kinds)
    ]


def _prefixes_space(tokenizer: dict[str, Any]) -> bool:
    """Whether a text is split as if a space stood before it, as Llama 2's is."""
    steps = []
    for part in ("normalizer", "pre_tokenizer"):
        found = tokenizer.get(part) or {}
        steps += found.get("normalizers", found.get("pretokenizers", [found]))
    prepends = any(step.get("type") == "Prepend" for step in steps)
    metaspace = any(
        step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never"
        for step in steps
    )
    return prepends or metaspace
