"""Bytes by part against what torch, PEFT and bitsandbytes really hold."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from finetune.config import RunConfig
from finetune.memory import estimate, weight_bytes
from finetune.methods import peft_config
from finetune.shapes import Shape, shape_of

# PEFT 0.21 still reads the old name of transformers 5.23's property.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

VALUES: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}
LLAMA_13B = shape_of(
    {
        "model_type": "llama",
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 40,
        "num_attention_heads": 40,
        "vocab_size": 32000,
    },
    "config.json",
)


def make_run(**sections: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate(sections)


def test_weights_of_llama_2_13b() -> None:
    def gigabytes(quantization: str) -> float:
        run = make_run(model={"quantization": quantization})
        return weight_bytes(LLAMA_13B, run, 2) / 1e9

    assert gigabytes("none") == pytest.approx(26.03, abs=0.01)
    assert gigabytes("nf4") == pytest.approx(7.20, abs=0.01)
    assert gigabytes("int8") == pytest.approx(13.35, abs=0.01)


def test_adapter_of_rank_16_with_optimiser_is_one_gigabyte() -> None:
    parts = estimate(LLAMA_13B, make_run(), "cuda", 512).parts

    total = parts["adapter"] + parts["gradients"] + parts["optimiser"]
    assert total == 16 * 62_586_880


def test_nf4_matrices_weigh_what_bitsandbytes_makes_of_them() -> None:
    import torch
    from bitsandbytes.functional import quantize_4bit

    rows, columns = 768, 512
    packed, state = quantize_4bit(
        torch.randn(rows, columns), quant_type="nf4", compress_statistics=True, blocksize=64
    )
    tensors = [packed, state.absmax, state.code, state.offset]
    tensors += [state.state2.absmax, state.state2.code]
    held = sum(tensor.nbytes for tensor in tensors)

    one = shape_of(
        VALUES | {"hidden_size": columns, "intermediate_size": rows, "num_hidden_layers": 1}, "x"
    )
    nf4 = weight_bytes(one, make_run(model={"quantization": "nf4"}), 4)
    rest = 4 * (one.parameters - one.linear_weights)
    mean = rows * columns / one.linear_weights * (nf4 - rest)
    assert held == pytest.approx(mean, rel=0.01)


class Kept:
    """Bytes that autograd still holds, each storage once, parameters left out."""

    def __init__(self, model: Any) -> None:
        self._parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._tensors: list[weakref.ref[Any]] = []

    def pack(self, tensor: Any) -> Any:
        held = tensor.view_as(tensor)  # of its own, so that the graph alone keeps it alive
        self._tensors.append(weakref.ref(held))
        return held

    @property
    def bytes(self) -> int:
        alive = [tensor for ref in self._tensors if (tensor := ref()) is not None]
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in alive}
        return sum(size for place, size in storages.items() if place not in self._parameters)


def saved(run: RunConfig, longest: int, bfloat16: bool) -> int:
    """What a forward pass of the decoder keeps, on a batch such as `run` makes."""
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(**VALUES), attn_implementation="sdpa"
    )
    if bfloat16 and run.method.name != "full":
        model = model.to(torch.bfloat16)
    config = peft_config(run, VALUES)
    if config is not None:
        model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.train()
    rows = run.train.batch_size
    ids = torch.randint(0, 500, (rows, longest))
    mask = torch.ones_like(ids)
    if rows > 1:
        mask[0, longest // 2 :] = 0
    inner: Callable[..., Any] = model.model if config is None else model.base_model.model.model
    kept = Kept(model)
    cast = torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()
    with cast, torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        output = inner(input_ids=ids, attention_mask=mask, use_cache=False)
        assert output.last_hidden_state.requires_grad
    return kept.bytes


CASES = [
    ("lora", 1, False, {}),
    ("lora", 4, False, {}),
    ("lora", 4, True, {}),
    ("lora", 4, True, {"dropout": 0.1}),
    ("lora", 4, False, {"dropout": 0.1}),
    ("lora", 4, False, {"targets": ["q_proj", "v_proj"]}),
    ("rslora", 1, True, {}),
    ("dora", 4, False, {}),
    ("dora", 4, True, {}),
    ("ia3", 4, False, {}),
    ("ia3", 4, True, {}),
    ("adapter_layers", 4, False, {"layers": 6}),
    ("full", 1, False, {}),
    ("full", 4, False, {}),
    ("full", 4, True, {}),
]


@pytest.mark.parametrize(("method", "rows", "bfloat16", "settings"), CASES)
def test_activations_are_those_that_autograd_saves(
    method: str, rows: int, bfloat16: bool, settings: dict[str, Any]
) -> None:
    run = make_run(
        method={"name": method, "rank": 8, **settings},
        train={"batch_size": rows},
        model={"dtype": "bfloat16" if bfloat16 else "float32"},
    )
    shape = shape_of(VALUES, "x")
    parts = estimate(shape, run, "cpu", 48).parts

    expected = parts["activations"]
    # What the head reads is kept outside of the decoder.
    expected -= 4 * rows * 48 * shape.hidden // (2 if bfloat16 else 1)
    # Autocast's copies of weights are saved as well; embeddings and norms have none.
    expected += min(parts["16-bit copies"], 2 * shape.linear_weights)
    # The first layer's input needs no gradient, which matters where there are six.
    tolerance = 0.12 if method == "adapter_layers" else 0.05
    assert saved(run, 48, bfloat16) == pytest.approx(expected, rel=tolerance)


def parts(shape: Shape, **sections: dict[str, Any]) -> dict[str, int]:
    return estimate(shape, make_run(**sections), "cuda", 1024).parts


def test_checkpointing_keeps_the_layers_inputs() -> None:
    full = parts(LLAMA_13B)
    less = parts(LLAMA_13B, train={"gradient_checkpointing": True})

    tokens = 8 * 1024
    inputs = 40 * tokens * 5120 * 2
    assert inputs < less["activations"] < inputs + full["activations"] / 30
    assert less["weights"] == full["weights"]


def test_pairs_are_two_rows_and_their_reference_is_free_with_an_adapter() -> None:
    once = parts(LLAMA_13B, objective={"name": "sft"}, train={"batch_size": 4})
    pairs = parts(LLAMA_13B, objective={"name": "dpo"}, train={"batch_size": 2})

    assert pairs["activations"] == once["activations"]
    assert pairs["other models"] == 0
    whole = parts(LLAMA_13B, objective={"name": "dpo"}, method={"name": "full"})
    assert whole["other models"] == 2 * LLAMA_13B.parameters


def test_sampling_holds_keys_and_values_of_a_steps_answers() -> None:
    held = parts(LLAMA_13B, objective={"name": "rloo"}, train={"batch_size": 4, "accumulate": 2})

    cache = 8 * 1024 * 800 * 1024  # 800 KiB a token
    assert held["generation"] == cache + 8 * 3 * 4 * 32000
    assert held["other models"] > 25e9


def moments() -> Iterator[tuple[dict[str, dict[str, Any]], str]]:
    yield {"train": {"batch_size": 16}}, "backward"
    yield (
        {"train": {"batch_size": 1}, "data": {"max_length": 64}, "method": {"name": "full"}},
        "step",
    )


@pytest.mark.parametrize(("sections", "moment"), list(moments()))
def test_the_fullest_moment(sections: dict[str, dict[str, Any]], moment: str) -> None:
    run = make_run(**sections)
    memory = estimate(LLAMA_13B, run, "cuda", run.data.max_length)

    assert memory.moment == moment
    assert memory.peak == sum(memory.parts[name] for name in memory.held)
    assert memory.tensors == memory.peak - memory.parts["overhead"]


def test_full_fine_tuning_holds_sixteen_bytes_a_parameter() -> None:
    run = make_run(method={"name": "full"}, train={"batch_size": 1})
    memory = estimate(LLAMA_13B, run, "cuda", 64)

    assert memory.tensors == 16 * LLAMA_13B.parameters


def test_loss_needs_tiles_for_scored_tokens_alone() -> None:
    run = make_run()
    shape = shape_of(VALUES | {"vocab_size": 49_152}, "x")

    every = estimate(shape, run, "cpu", 512).parts["loss"]
    few = estimate(shape, run, "cpu", 512, scored=4).parts["loss"]

    assert few < every / 50
