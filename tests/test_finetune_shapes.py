"""Parameter counts from config.json against the models and adapters that the libraries build."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from finetune.config import RunConfig
from finetune.errors import ConfigError, ModelError
from finetune.methods import peft_config
from finetune.shapes import read_shape, shape_of
from finetune.trainable import base_parameters, trainable_parameters

# PEFT 0.21 still reads the old name of transformers 5.23's property.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

TINY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 128,
}
VARIANTS: list[dict[str, Any]] = [
    {"model_type": "llama", "tie_word_embeddings": False},
    {"model_type": "llama", "tie_word_embeddings": True, "head_dim": 32},
    {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    {"model_type": "mistral", "tie_word_embeddings": False},
    {"model_type": "qwen2", "tie_word_embeddings": True},
    {"model_type": "qwen3", "head_dim": 16},
    {"model_type": "smollm3", "pad_token_id": 0},
]
METHODS = [
    "lora",
    "dora",
    "rslora",
    "ia3",
    "p_tuning",
    "prompt_tuning",
    "prefix_tuning",
    "adapter_layers",
    "full",
]
LLAMA_13B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "vocab_size": 32000,
}


def build(values: dict[str, Any], reward: bool = False, device: str = "meta") -> Any:
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
    )

    kind = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    extra = {"num_labels": 1} if reward else {}
    config = AutoConfig.for_model(**values, **extra)
    with torch.device(device):
        return kind.from_config(config)


def run_with(method: str, objective: str = "sft", **settings: Any) -> RunConfig:
    return RunConfig.model_validate(
        {"method": {"name": method, "rank": 4, **settings}, "objective": {"name": objective}}
    )


def built_trainable(values: dict[str, Any], run: RunConfig) -> int:
    from peft import get_peft_model

    reward = run.objective.name == "reward"
    # Prompt tuning copies rows of the embedding, which a meta device does not have.
    model = build(values, reward, "cpu" if run.method.name == "prompt_tuning" else "meta")
    config = peft_config(run, values)
    if config is not None:
        if run.method.name == "prompt_tuning":
            config.prompt_tuning_init = "RANDOM"  # type: ignore[attr-defined]
        model = get_peft_model(model, config)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values()))
)
def test_parameters_are_those_of_the_built_model(variant: dict[str, Any]) -> None:
    values = TINY | variant
    built = build(values)

    shape = shape_of(values, "config.json")

    assert shape.parameters == sum(p.numel() for p in built.parameters())
    linears = dict(built.model.layers[0].named_modules())
    for linear in shape.linears:
        module = next(m for name, m in linears.items() if name.endswith(linear.name))
        assert (module.in_features, module.out_features) == (linear.inputs, linear.outputs)
        assert (module.bias is not None) == linear.bias


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_trainable_parameters_are_those_that_peft_builds(method: str, kind: str) -> None:
    values = TINY | {"model_type": kind, "tie_word_embeddings": False}
    run = run_with(method, virtual_tokens=7)

    counted = trainable_parameters(shape_of(values, "config.json"), run)

    assert counted == built_trainable(values, run)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "p_tuning", "prefix_tuning"])
def test_grouped_queries_and_biases_of_qwen2(method: str) -> None:
    values = TINY | {"model_type": "qwen2", "tie_word_embeddings": True}
    run = run_with(method)

    assert trainable_parameters(shape_of(values, "x"), run) == built_trainable(values, run)


def test_some_targets_alone() -> None:
    values = TINY | {"model_type": "llama"}
    run = run_with("lora", targets=["q_proj", "self_attn.v_proj"])

    assert trainable_parameters(shape_of(values, "x"), run) == built_trainable(values, run)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_reward_model_has_a_score_instead_of_a_head(method: str) -> None:
    values = TINY | {"model_type": "llama", "tie_word_embeddings": False}
    run = run_with(method, "reward")
    shape = shape_of(values, "x")

    assert base_parameters(shape, run) == sum(p.numel() for p in build(values, True).parameters())
    assert trainable_parameters(shape, run) == built_trainable(values, run)


def test_llama_2_13b() -> None:
    shape = shape_of(LLAMA_13B, "x")

    assert shape.parameters == 13_015_864_320
    run = RunConfig.model_validate({"method": {"rank": 16}})
    assert trainable_parameters(shape, run) == 62_586_880


def test_the_embedded_model_by_its_files(models: Path) -> None:
    folder = models / "SmolLM2-135M-Instruct/hf"
    with (folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    sizes = {
        name: _product(entry["shape"]) for name, entry in header.items() if name != "__metadata__"
    }
    sizes.pop("lm_head.weight", None)  # tied

    shape = read_shape(folder)

    assert shape.parameters == sum(sizes.values()) == 134_515_008


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_the_embedded_model(models: Path, method: str) -> None:
    folder = models / "SmolLM2-135M-Instruct/hf"
    values = json.loads((folder / "config.json").read_text())
    run = RunConfig.model_validate({"method": {"name": method}})
    expected = {
        "lora": 4_884_480,
        "dora": 5_040_000,
        "rslora": 4_884_480,
        "ia3": 57_600,
        "p_tuning": 1_008_576,
        "prompt_tuning": 11_520,
        "prefix_tuning": 230_400,
        "adapter_layers": 322_588,
        "full": 134_515_008,
    }[method]

    assert trainable_parameters(read_shape(folder), run) == expected
    if method != "prompt_tuning":
        assert built_trainable(values, run) == expected


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model_type 'gpt2'; it knows llama"):
        shape_of({"model_type": "gpt2"}, "config.json")
    with pytest.raises(ModelError, match="hidden_size must be a positive whole number"):
        shape_of({"model_type": "llama", "num_attention_heads": 4}, "config.json")
    with pytest.raises(ModelError, match="cannot share"):
        shape_of(TINY | {"model_type": "llama", "num_key_value_heads": 3}, "config.json")
    with pytest.raises(ModelError, match=r"model\.path must name a folder"):
        read_shape(tmp_path)
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ModelError, match="cannot be read"):
        read_shape(tmp_path)


def test_targets_that_no_layer_has_are_named() -> None:
    shape = shape_of(TINY | {"model_type": "llama"}, "x")
    with pytest.raises(ConfigError, match="c_attn cannot get an adapter; choose from q_proj"):
        trainable_parameters(shape, run_with("lora", targets=["q_proj", "c_attn"]))
    with pytest.raises(ConfigError, match="the model has 4"):
        trainable_parameters(shape, run_with("adapter_layers", layers=5))


def _product(sizes: list[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
