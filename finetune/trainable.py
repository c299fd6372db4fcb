"""How many parameters a method trains: exact, as PEFT builds them, without building anything."""

from __future__ import annotations

from finetune.config import MethodConfig, RunConfig
from finetune.errors import ConfigError
from finetune.shapes import LINEARS, Linear, Shape

# PEFT's own choice of layers for IA3; of these, a feed-forward layer's input is scaled.
_IA3 = {"qwen2": ("q_proj", "v_proj", "down_proj")}
_IA3_OTHERS = ("k_proj", "v_proj", "down_proj")
FEEDFORWARD = "down_proj"
_LOW_RANK = ("lora", "dora", "rslora")
PROMPTS = ("p_tuning", "prompt_tuning")


def targeted(shape: Shape, method: MethodConfig) -> tuple[Linear, ...]:
    """The matrices of one layer that get an adapter; none for methods that adapt no matrix.

    Raises ConfigError for a name that no layer has. A name with dots counts by its last part, in
    every layer, though PEFT would take the one layer that it spells out.
    """
    if method.name not in (*_LOW_RANK, "ia3"):
        return ()
    names: tuple[str, ...]
    if method.targets == "all-linear":
        names = _IA3.get(shape.model_type, _IA3_OTHERS) if method.name == "ia3" else LINEARS
    else:
        names = tuple(target.split(".")[-1] for target in method.targets)
    if unknown := [name for name in names if name not in LINEARS]:
        raise ConfigError(
            f"method.targets: {', '.join(unknown)} cannot get an adapter; choose from "
            f"{', '.join(LINEARS)}"
        )
    return tuple(linear for linear in shape.linears if linear.name in names)


def adapted_layers(shape: Shape, method: MethodConfig) -> int:
    """Of adapter_layers: how many of the last layers. Raises ConfigError."""
    if method.layers > shape.layers:
        raise ConfigError(
            f"method.layers={method.layers}, but the model has {shape.layers}; name fewer"
        )
    return method.layers or max(1, shape.layers - 2)


def trainable_parameters(shape: Shape, run: RunConfig) -> int:
    """Elements that get a gradient. Raises ConfigError."""
    score = shape.hidden if run.objective.name == "reward" else 0
    if run.method.name == "full":
        return base_parameters(shape, run)
    return _adapter(shape, run.method) + score


def base_parameters(shape: Shape, run: RunConfig) -> int:
    """Elements of the model that is loaded: a reward model has one row instead of its head."""
    if run.objective.name != "reward":
        return shape.parameters
    return shape.parameters - shape.parts()["head"] + shape.hidden


def _adapter(shape: Shape, method: MethodConfig) -> int:
    targets = targeted(shape, method)
    tokens, h = method.virtual_tokens, shape.hidden
    if method.name in _LOW_RANK:
        a_layer = sum(method.rank * (t.inputs + t.outputs) for t in targets)
        if method.name == "dora":  # one magnitude an output
            a_layer += sum(t.outputs for t in targets)
        return shape.layers * a_layer
    if method.name == "ia3":
        return shape.layers * sum(t.inputs if t.name == FEEDFORWARD else t.outputs for t in targets)
    if method.name == "p_tuning":  # an embedding and three dense layers as wide as the model
        return tokens * h + 3 * (h * h + h)
    if method.name == "prompt_tuning":
        return tokens * h
    if method.name == "prefix_tuning":  # keys and values of every layer
        return tokens * shape.layers * 2 * shape.kv_width
    return adapted_layers(shape, method) * (tokens * h + 1)  # one gate a layer
