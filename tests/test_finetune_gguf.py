"""GGUF files against the safetensors that they were written from, on llama.cpp."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import ExportError
from finetune.export_check import HARD_TEXT, LARGEST_MEAN
from finetune.export_gguf import write_lora, write_model
from finetune.parity import Difference, compare, trace
from finetune.parity_llama_cpp import LlamaCpp

PROMPTS = [[1, 690, 98, 283, 418], list(range(40, 160))]
TOKENS = 8
TEXT = Path(__file__).parent.parent / "docs" / "decisions.md"
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "<|im_start|>system\nYou help.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 800
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def small_tokenizer(folder: Path) -> Any:
    """Single digits, then GPT-2's rule, trained on a document of ours; saved to `folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, special_tokens=SPECIAL
    )
    tokenizer.train_from_iterator(TEXT.read_text().splitlines(), trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)
    return fast


def small_llama(folder: Path, tokenizer: bool = True, **other: Any) -> Path:
    """Grouped-query attention, weights large enough for the order of rows to matter."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "tie_word_embeddings": True,
    }
    LlamaForCausalLM(LlamaConfig(**(settings | other))).save_pretrained(folder)
    if tokenizer:
        small_tokenizer(folder)
    return folder


def opened(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def adapted(small: Path, folder: Path, **settings: Any) -> Any:
    """A LoRA adapter that changes answers, saved to `folder`; the model with it."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        init_lora_weights=False,
        **({"r": 4, "lora_alpha": 8} | settings),
    )
    model = get_peft_model(opened(small), config)
    model.save_pretrained(str(folder))
    return model.eval()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_llama(tmp_path_factory.mktemp("small"))


def differs(model: Any, file: Path, adapter: Path | None = None) -> Difference:
    engine = LlamaCpp(file, context=256, adapter=adapter, threads=1)
    try:
        return compare(trace(model, PROMPTS, TOKENS), engine)
    finally:
        engine.close()


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_a_model_answers_as_its_original(small: Path, tmp_path: Path, kind: Any) -> None:
    file = tmp_path / "model.gguf"
    write_model(small, file, kind, "small")
    difference = differs(opened(small), file)
    assert difference.mean < LARGEST_MEAN[kind]
    assert difference.same_choice > 0.9


@pytest.mark.parametrize(
    "other",
    [
        {"tie_word_embeddings": False},
        {"attention_bias": True},
        {"head_dim": 32},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ],
)
def test_variants_of_the_architecture(tmp_path: Path, other: dict[str, Any]) -> None:
    folder = small_llama(tmp_path / "hf", **other)
    write_model(folder, tmp_path / "model.gguf", "f16", "variant")
    assert differs(opened(folder), tmp_path / "model.gguf").mean < LARGEST_MEAN["f16"]


def test_the_order_of_rows_is_what_the_comparison_sees(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.export_gguf._rotated", lambda weights, *_: weights)
    write_model(small, tmp_path / "wrong.gguf", "f16", "wrong")
    assert differs(opened(small), tmp_path / "wrong.gguf").mean > 0.1


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"r": 8, "lora_alpha": 4}])
def test_an_adapter_answers_as_its_original(
    small: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = adapted(small, tmp_path / "adapter", **settings)
    write_lora(tmp_path / "adapter", small, tmp_path / "lora.gguf", "an adapter")
    write_model(small, tmp_path / "base.gguf", "f16", "base")
    assert differs(model, tmp_path / "base.gguf", tmp_path / "lora.gguf").mean < LARGEST_MEAN["f16"]
    assert differs(model, tmp_path / "base.gguf").mean > 0.1  # the adapter does something


def test_the_tensors_are_named_as_llama_cpp_expects(small: Path, tmp_path: Path) -> None:
    import gguf

    adapted(small, tmp_path / "adapter", use_rslora=True)
    write_lora(tmp_path / "adapter", small, tmp_path / "lora.gguf", "an adapter")
    reader = gguf.GGUFReader(tmp_path / "lora.gguf")
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    assert metadata["general.type"] == "adapter"
    assert metadata["adapter.type"] == "lora"
    assert metadata["general.architecture"] == "llama"
    assert metadata["adapter.lora.alpha"] == pytest.approx(8 * 4**0.5)
    names = {tensor.name for tensor in reader.tensors}
    assert {"blk.0.attn_q.weight.lora_a", "blk.1.ffn_down.weight.lora_b"} <= names
    assert len(names) == 2 * 7 * 2


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"use_dora": True}, "DoRA"), ({"rank_pattern": {"q_proj": 2}}, "rank_pattern")],
)
def test_adapters_that_llama_cpp_cannot_take(
    small: Path, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    adapted(small, tmp_path / "adapter", **settings)
    with pytest.raises(ExportError, match=rf"{named}.*export.formats=\[gguf\]"):
        write_lora(tmp_path / "adapter", small, tmp_path / "lora.gguf", "an adapter")


def test_other_architectures_and_tensors_are_refused_by_name(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model_type": "qwen2"}))
    with pytest.raises(ExportError, match="not qwen2"):
        write_model(tmp_path / "other", tmp_path / "model.gguf", "f16", "other")
    yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0}
    path.write_text(json.dumps(config | {"rope_parameters": yarn}))
    with pytest.raises(ExportError, match="yarn is not covered"):
        write_model(tmp_path / "other", tmp_path / "model.gguf", "f16", "other")


def llama3_like() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    rule = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(rule), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet)


def llama2_like() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    return tokenizer, trainers.BpeTrainer(vocab_size=700, special_tokens=special)


@pytest.mark.parametrize("make", [llama3_like, llama2_like])
def test_other_tokenizers_cut_alike(tmp_path: Path, make: Any) -> None:
    """Of Llama 2's and Llama 3's kind, trained on a few lines of ours."""
    from transformers import PreTrainedTokenizerFast

    tokenizer, trainer = make()
    lines = TEXT.read_text().splitlines()
    tokenizer.train_from_iterator(lines, trainer)
    if make is llama2_like:  # bytes are tokens of their own kind there, not special ones
        parts = json.loads(tokenizer.to_str())
        parts["added_tokens"] = [t for t in parts["added_tokens"] if t["content"] == "<unk>"]
        tokenizer = type(tokenizer).from_str(json.dumps(parts))
    tokenizer.add_special_tokens(["<s>", "</s>"])
    size = tokenizer.get_vocab_size()
    folder = small_llama(tmp_path / "hf", tokenizer=False, vocab_size=size + 6)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    write_model(folder, tmp_path / "model.gguf", "f16", "small")
    engine = LlamaCpp(tmp_path / "model.gguf", context=64, threads=1)
    try:
        for text in (*lines[:20], HARD_TEXT, "<s>asked</s>"):
            assert engine.tokenize(text) == fast(text, add_special_tokens=False)["input_ids"], text
    finally:
        engine.close()


def test_a_tokenizer_with_an_unknown_rule_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "other")
    path = tmp_path / "other" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["pre_tokenizer"] = {"type": "Whitespace"}
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ExportError, match=r"splitting rule \['Whitespace'\].*not recognised"):
        write_model(tmp_path / "other", tmp_path / "model.gguf", "f16", "other")
