"""Rewrites a GGUF model: once with 8-bit weights for serving, once as safetensors for fine-tuning.

Only what SmolLM2 needs is covered: the LLaMA architecture, a byte-level BPE tokenizer with the
`smollm` splitting rule. Anything else is refused by name.

The safetensors folder is put together here and not by `transformers`' own GGUF loader, which gives
the same weights, but wants `accelerate` installed, and whose tokenizer does not split off numerals:
its " ½" becomes other ids than llama.cpp's.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from gguf import GGUFReader
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Weights = NDArray[np.float32]

WRITTEN_ANEW = ("general.architecture", "general.file_type")
SPECIAL_TOKENS = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""Their names in `transformers` and in GGUF."""
CONTROL_TOKEN = 3
"""llama.cpp's token type for markers such as <|im_end|>, which text never spells by accident."""
TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
QUESTION = (
    "Repeat this sentence word for word: "
    "The backup runs every night at 2 a.m. and keeps thirty copies on a second site."
)


def requantise(source: Path, target: Path) -> None:
    """Write `source` with Q8_0 weights and the same metadata.

    This wins back nothing that 4 bits lost. It gives one format that llama.cpp computes quickly
    on every CPU, whose rounding is small enough to serve what fine-tuning saw. One-dimensional
    tensors stay as they are, and so do rows that Q8_0's blocks of 32 do not divide. SmolLM2 has no
    output matrix: its embeddings are tied, and llama.cpp uses `token_embd` for both.
    """
    import gguf

    q8_0 = gguf.GGMLQuantizationType.Q8_0
    reader = gguf.GGUFReader(source)
    metadata = _metadata(reader)
    writer = gguf.GGUFWriter(target, metadata["general.architecture"])
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in WRITTEN_ANEW:
            continue
        kind = field.types[0]
        items = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, metadata[field.name], kind, sub_type=items)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for tensor in reader.tensors:
        kept = len(tensor.shape) == 1 or tensor.shape[0] % 32 or tensor.tensor_type == q8_0
        data = tensor.data if kept else gguf.quants.quantize(_dense(tensor), q8_0)
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type if kept else q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_safetensors(source: Path, folder: Path) -> None:
    """Write `source` as a folder that `transformers` loads, in float32.

    A 4-bit weight is a scale times a small integer plus an offset, all of which float32 holds
    and bfloat16 would round once more. It costs 270 MB of disk; a trainer that wants bfloat16
    says so when it loads the model.
    """
    import gguf
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    reader = gguf.GGUFReader(source)
    metadata = _metadata(reader)
    folder.mkdir(parents=True)
    _write_config(reader, metadata, folder)
    _write_tokenizer(metadata, folder)
    weights = folder / "model.safetensors"
    try:
        save_file(dict(_weights(reader, metadata)), weights, {"format": "pt"})
    except SafetensorError as error:  # it wraps the system's error and keeps only the text
        full = f"os error {errno.ENOSPC}" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(weights)) from error
    # safetensors creates it for its owner alone; the service may run as somebody else.
    weights.chmod((folder / "config.json").stat().st_mode)


def check_agreement(gguf_file: Path, folder: Path, question: str = QUESTION) -> None:
    """Both forms of the model must give one question the same greedy answer, end of turn included.

    The question is one where the model is sure of every token (the runner-up is at least 1.6 logits
    behind), because on a free question 8-bit rounding does tip the scales somewhere: "What is a
    virtual machine?" parts after four tokens. Equal answers show that weights, tokenizer, template
    and end token were carried over, not that the two forms always agree.
    """
    served, trained = _llama_cpp_answer(gguf_file, question), _hf_answer(folder, question)
    if served != trained or not served.strip():
        raise ModelError(
            f"{gguf_file.name} and {folder.name}/ should answer a test question alike, but say "
            f"{served!r} and {trained!r}. Remove {gguf_file.parent} and run again; if it happens "
            "again, install the versions that pyproject.toml names"
        )


def _llama_cpp_answer(gguf_file: Path, question: str) -> str:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf_file)
    params.n_ctx, params.n_parallel, params.port, params.verbosity = 512, 1, 0, -1
    params.cpuparams.n_threads = os.cpu_count() or 1
    request = {"messages": _turn(question), "max_tokens": 32, "temperature": 0}
    answer = xllamacpp.Server(params).handle_chat_completions(request)
    return str(answer["choices"][0]["message"]["content"])


def _hf_answer(folder: Path, question: str) -> str:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read once, while transformers is imported
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    prompt = tokenizer.apply_chat_template(
        _turn(question), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**prompt, do_sample=False, max_new_tokens=32)
    start = prompt["input_ids"].shape[1]
    return str(tokenizer.decode(output[0][start:], skip_special_tokens=True))


def _turn(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _metadata(reader: GGUFReader) -> dict[str, Any]:
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    for key, known in (
        ("general.architecture", "llama"),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", "smollm"),
    ):
        if metadata.get(key) != known:
            raise ModelError(
                f"cannot convert a GGUF file whose {key} is {metadata.get(key)}, only {known}; "
                "take the model's own safetensors instead"
            )
    return metadata


def _dense(tensor: Any) -> Weights:
    import gguf

    weights: Weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return weights


def _write_config(reader: GGUFReader, metadata: dict[str, Any], folder: Path) -> None:
    from transformers import GenerationConfig, LlamaConfig

    special = {
        f"{name}_token_id": metadata[f"tokenizer.ggml.{key}_token_id"]
        for name, key in SPECIAL_TOKENS.items()
        if name != "unk"
    }
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        dtype="float32",
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_hidden_layers=metadata["llama.block_count"],
        num_attention_heads=metadata["llama.attention.head_count"],
        num_key_value_heads=metadata["llama.attention.head_count_kv"],
        max_position_embeddings=metadata["llama.context_length"],
        rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": metadata["llama.rope.freq_base"]},
        tie_word_embeddings=all(tensor.name != "output.weight" for tensor in reader.tensors),
        **special,
    ).save_pretrained(folder)
    GenerationConfig(**special).save_pretrained(folder)  # type: ignore[no-untyped-call]


def _write_tokenizer(metadata: dict[str, Any], folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    special = {
        f"{name}_token": tokens[metadata[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in SPECIAL_TOKENS.items()
    }
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_tokenizer(metadata),
        chat_template=metadata["tokenizer.chat_template"],
        model_max_length=metadata["llama.context_length"],
        clean_up_tokenization_spaces=False,
        **special,
    ).save_pretrained(folder)


def _tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    """The splitting rule is the one llama.cpp applies for `smollm`: single digits, then GPT-2's."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens(
        [
            AddedToken(t, special=True, normalized=False)
            for t, kind in kinds
            if kind == CONTROL_TOKEN
        ]
    )
    return tokenizer


def _weights(reader: GGUFReader, metadata: dict[str, Any]) -> Iterator[tuple[str, Weights]]:
    import numpy as np

    attention = "llama.attention.head_count"
    heads = {"attn_q": metadata[attention], "attn_k": metadata[f"{attention}_kv"]}
    for tensor in reader.tensors:
        match tensor.name.removesuffix(".weight").split("."):
            case ["blk", block, part] if part in BLOCK_TENSORS:
                name = f"model.layers.{block}.{BLOCK_TENSORS[part]}.weight"
            case [part] if part in TENSORS:
                name = f"{TENSORS[part]}.weight"
            case _:
                raise ModelError(f"cannot convert the tensor {tensor.name}; nobody knows its role")
        weights = _dense(tensor)
        if part in heads:
            weights = _apart(weights, heads[part])
        yield name, np.ascontiguousarray(weights)


def _apart(weights: Weights, heads: int) -> Weights:
    """llama.cpp keeps the two rows that one rotary angle turns side by side in queries and keys;
    `transformers` wants all first ones of a head, then all second ones."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)
