"""Writes models and LoRA adapters as GGUF for llama.cpp, with the `gguf` library's own names.

Only the LLaMA architecture is covered. Its GGUF form differs from `transformers`' in one silent
way: rows of queries and keys are kept in the order in which llama.cpp's rotary embedding turns
them. A file with the wrong order loads without a complaint and answers nonsense, which is why
`export` asks each file the same questions as the safetensors original.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from finetune.errors import ExportError
from finetune.gguf_vocabulary import write_vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GgufType = Literal["f16", "q8_0"]
ROTATED = ("q_proj", "k_proj")
"""Linear layers whose output rows llama.cpp keeps in another order."""
LORA_SUFFIXES = {".lora_A.weight": "lora_a", ".lora_B.weight": "lora_b"}
UNSUPPORTED = "convert the merged folder with llama.cpp's convert_hf_to_gguf.py instead"


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor of the safetensors folder, and what it becomes."""

    file: Path
    source: str
    target: str
    shape: tuple[int, ...]


def write_model(folder: Path, target: Path, kind: GgufType, name: str) -> None:
    """Write a model folder in Hugging Face's form as one GGUF file, tensor by tensor.

    Vectors stay in float32, and so do rows in float16 that blocks of 32 do not divide. Raises
    ExportError where the architecture, the tokenizer or a tensor is none that is known here.
    """
    import gguf

    config = _config(folder)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    _add_shape(writer, config)
    file_type = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    writer.add_file_type(file_type[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_vocabulary(writer, folder, config.vocab_size)
    factors = _rope_factors(config)
    tensors = list(_tensors(folder, config))
    if factors is not None:
        writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
    for tensor in tensors:
        _add_info(writer, tensor, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    for tensor in tensors:
        writer.write_tensor_data(_encode(_read(tensor, config), _type(tensor, kind)))
    writer.close()


def write_lora(adapter: Path, base: Path, target: Path, name: str) -> None:
    """Write a PEFT LoRA or rsLoRA adapter as a GGUF adapter in float32.

    llama.cpp scales by alpha / rank; rsLoRA's alpha / sqrt(rank) becomes another alpha. Raises
    ExportError for an adapter that holds more than pairs of A and B.
    """
    import gguf
    from safetensors import safe_open

    config, settings = _config(base), _lora_settings(adapter)
    rank, alpha = int(settings["r"]), float(settings["lora_alpha"])
    if settings.get("use_rslora"):
        alpha *= math.sqrt(rank)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    names = _names(config)
    with safe_open(adapter / "adapter_model.safetensors", "pt") as opened:
        for source in opened.keys():  # noqa: SIM118 -- it is no mapping
            layer, part = _lora_name(source)
            found = names.get_name(layer)
            if found is None:
                raise ExportError(
                    f"{source} has no counterpart in llama.cpp's LLaMA: {UNSUPPORTED}"
                )
            weights = opened.get_tensor(source).float().numpy()
            if part == "lora_b":  # B's rows are the layer's outputs
                weights = _rotated(weights, layer, config)
            writer.add_tensor(f"{found}.weight.{part}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type != "llama":
        raise ExportError(
            f"only the architecture llama can be written as GGUF, not {config.model_type}: "
            f"{UNSUPPORTED}"
        )
    return config


def _lora_settings(adapter: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    kind = settings.get("peft_type")
    if kind != "LORA" or settings.get("use_dora"):
        shown = "DoRA" if kind == "LORA" else kind
        raise ExportError(
            f"llama.cpp takes adapters only as LoRA, not {shown}: export the merged model with "
            "export.formats=[gguf]"
        )
    odd = [key for key in ("rank_pattern", "alpha_pattern", "modules_to_save") if settings.get(key)]
    if settings.get("bias", "none") != "none":
        odd.append("bias")
    if odd:
        raise ExportError(
            f"a GGUF adapter cannot carry {', '.join(odd)} of {adapter / 'adapter_config.json'}: "
            "export the merged model with export.formats=[gguf]"
        )
    return settings


def _lora_name(source: str) -> tuple[str, str]:
    """`base_model.model.model.layers.0.mlp.up_proj.lora_A.weight` -> (layer, lora_a)."""
    for suffix, part in LORA_SUFFIXES.items():
        if source.endswith(suffix):
            return source.removesuffix(suffix).removeprefix("base_model.model."), part
    raise ExportError(
        f"{source} of the adapter is neither an A nor a B matrix, which is all that a GGUF adapter "
        "holds: export the merged model with export.formats=[gguf]"
    )


def _names(config: Any) -> Any:
    import gguf

    return gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)


def _add_shape(writer: Any, config: Any) -> None:
    """The hyper-parameters that llama.cpp needs to build the same network."""
    rope = config.rope_parameters
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    if rope["rope_type"] == "linear":
        import gguf

        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] not in ("default", "llama3"):
        raise ExportError(
            f"rotary embedding of the type {rope['rope_type']} is not covered: {UNSUPPORTED}"
        )


def _rope_factors(config: Any) -> NDArray[np.float32] | None:
    """Llama 3.1's: divisors of each rotary frequency, (head_dim / 2,). None for plain rotation."""
    import numpy as np

    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return None
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    wavelengths = 2 * math.pi * rope["rope_theta"] ** exponents
    old, factor = rope["original_max_position_embeddings"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((old / wavelengths - low) / (high - low), 0.0, 1.0)
    # The frequency is blended, (1 - s) / factor + s; its divisor is the inverse of that.
    divisors: NDArray[np.float32] = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return divisors


def _tensors(folder: Path, config: Any) -> list[_Tensor]:
    from safetensors import safe_open

    names, found = _names(config), []
    for file in _files(folder):
        with safe_open(file, "pt") as opened:
            for source in opened.keys():  # noqa: SIM118 -- it is no mapping
                if source.endswith("rotary_emb.inv_freq"):
                    continue
                if source == "lm_head.weight" and config.tie_word_embeddings:
                    continue  # llama.cpp uses the embeddings for both by itself
                target = names.get_name(source, try_suffixes=(".weight", ".bias"))
                if target is None:
                    raise ExportError(
                        f"{source} has no counterpart in llama.cpp's LLaMA: {UNSUPPORTED}"
                    )
                shape = tuple(opened.get_slice(source).get_shape())
                found.append(_Tensor(file, source, target, shape))
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        weight_map = json.loads(index.read_text("utf-8"))["weight_map"]
        return [folder / name for name in sorted(set(weight_map.values()))]
    single = folder / "model.safetensors"
    if not single.is_file():
        raise ExportError(f"{folder} holds no safetensors: only those can be written as GGUF")
    return [single]


def _type(tensor: _Tensor, kind: GgufType) -> Any:
    import gguf

    types = gguf.GGMLQuantizationType
    if len(tensor.shape) == 1:
        return types.F32
    if kind == "f16" or tensor.shape[-1] % 32:
        return types.F16
    return types.Q8_0


def _add_info(writer: Any, tensor: _Tensor, kind: GgufType) -> None:
    import gguf
    import numpy as np

    dtype: np.dtype[Any]
    chosen = _type(tensor, kind)
    types = gguf.GGMLQuantizationType
    if chosen == types.Q8_0:
        shape = gguf.quant_shape_to_byte_shape(tensor.shape, chosen)
        size, dtype = math.prod(shape), np.dtype(np.uint8)
    else:
        shape, dtype = tensor.shape, np.dtype(np.float16 if chosen == types.F16 else np.float32)
        size = math.prod(shape) * dtype.itemsize
    writer.add_tensor_info(tensor.target, shape, dtype, size, raw_dtype=chosen)


def _read(tensor: _Tensor, config: Any) -> NDArray[np.float32]:
    from safetensors import safe_open

    with safe_open(tensor.file, "pt") as opened:
        weights = opened.get_tensor(tensor.source).float().numpy()
    return _rotated(weights, tensor.source, config)


def _encode(weights: NDArray[np.float32], chosen: Any) -> NDArray[Any]:
    import gguf
    import numpy as np

    encoded: NDArray[Any] = np.ascontiguousarray(gguf.quants.quantize(weights, chosen))
    return encoded


def _rotated(weights: NDArray[np.float32], name: str, config: Any) -> NDArray[np.float32]:
    """The rows (outputs) of queries and keys in llama.cpp's order; everything else as it is.

    `transformers` pairs row i of a head with row i + half of it under one rotary angle; llama.cpp
    keeps such pairs side by side. Works on (rows,) and (rows, columns).
    """
    import numpy as np

    layer = next((part for part in ROTATED if f".{part}" in name), None)
    if layer is None:
        return weights
    heads = config.num_attention_heads if layer == "q_proj" else config.num_key_value_heads
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))
