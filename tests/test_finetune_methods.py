"""Each method trains, through TRL, on a small Llama: parameters change, the adapter loads again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from finetune.config import RunConfig
from finetune.errors import ConfigError, TrainingError
from finetune.evaluate import evaluate
from finetune.train import train

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries; ours would be errors

WORDS = ("red", "green", "blue", "warm", "cold", "fast", "slow", "tall")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A Llama of random weights with the embedded model's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(models / "SmolLM2-135M-Instruct" / "hf" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    asked = [{"prompt": f"say {w} {i}", "completion": w} for i in range(2) for w in WORDS]
    path.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    return path


def run_of(tiny: Path, rows: Path, folder: Path, **sections: dict[str, Any]) -> RunConfig:
    values: dict[str, dict[str, Any]] = {
        "model": {"path": str(tiny)},
        "data": {"train": str(rows), "max_length": 128},
        "method": {"rank": 4, "virtual_tokens": 4},
        "train": {"device": "cpu", "threads": 1, "batch_size": 4, "max_steps": 3},
        "evaluate": {"max_rows": 2, "max_new_tokens": 2, "bootstrap": 100},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return RunConfig.model_validate({"output_dir": str(folder), **values})


@pytest.mark.parametrize(
    ("method", "quantization"),
    [
        ("lora", "none"),
        ("lora", "nf4"),
        ("lora", "int8"),
        ("dora", "none"),
        ("rslora", "none"),
        ("ia3", "none"),
        ("ia3", "nf4"),
        ("p_tuning", "none"),
        ("prompt_tuning", "none"),
        ("prefix_tuning", "none"),
        ("adapter_layers", "none"),
        ("full", "none"),
    ],
)
def test_a_method_changes_its_parameters_and_its_artefact_answers(
    tiny: Path, rows: Path, tmp_path: Path, method: str, quantization: str
) -> None:
    run = run_of(
        tiny,
        rows,
        tmp_path / "run",
        method={"name": method},
        model={"quantization": quantization},
    )
    result = train(run, resume=False, dry_run=False, progress=False, yes=True)
    assert result.changed_tensors >= 1
    assert result.steps == 3
    name = "model" if method == "full" else "adapter"
    assert result.artefact == str(tmp_path / "run" / name)
    found = evaluate(run)
    assert found.rows == 2
    assert found.metrics["loss"] != found.base["loss"]


def test_ia3_on_a_quantised_base_changes_every_factor(
    tiny: Path, rows: Path, tmp_path: Path
) -> None:
    """In bfloat16, as TRL would have it, updates around 1.0 round away without a word."""
    from safetensors.torch import load_file

    run = run_of(
        tiny,
        rows,
        tmp_path / "run",
        method={"name": "ia3"},
        model={"quantization": "nf4"},
        train={"learning_rate": 1e-3},
    )
    result = train(run, resume=False, dry_run=False, progress=False, yes=True)
    saved = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    moved = sum(int((tensor != 1.0).sum()) for tensor in saved.values())
    assert moved == sum(tensor.numel() for tensor in saved.values())
    assert all(str(tensor.dtype) == "torch.float32" for tensor in saved.values())
    assert result.changed_tensors == result.trainable_tensors


def test_a_run_that_learns_nothing_fails(tiny: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(
        tiny, rows, tmp_path / "run", method={"name": "ia3"}, train={"learning_rate": 1e-12}
    )
    with pytest.raises(TrainingError, match=r"nothing was learned; raise train\.learning_rate"):
        train(run, resume=False, dry_run=False, progress=False, yes=True)
    assert not (tmp_path / "run" / "adapter").exists()


def test_a_layer_that_the_base_lacks_is_named(tiny: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(tiny, rows, tmp_path / "run", method={"targets": ["query"]})
    with pytest.raises(ConfigError, match=r"method\.targets"):
        train(run, resume=False, dry_run=False, progress=False, yes=True)
