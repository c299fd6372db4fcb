"""A sentence-transformers folder -> one ONNX file that holds all of it, its tokenizer included.

torch traces whatever modules the folder names (transformer, pooling, dense, normalisation); the
file is then held against the folder on sample texts, and refused where it answers differently.
Architectures that cannot be traced are refused in the same words: the torch backend takes them all.

int8 is onnxruntime's dynamic quantisation with a scale for each output channel. Before it, each
linear layer is rewritten so that every token is scaled to 1 by itself, which changes nothing in
exact arithmetic: one scale for all tokens of a text, the library's own way, is spoiled by outliers.
Weights keep seven bits, because the eighth overflows on processors without VNNI.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import (
    quant_pre_process,
)
from sentence_transformers import SentenceTransformer

from rag.config import EmbedderConfig
from rag.embed import NoOnnxForm, load_folder, model_folder
from rag.embed_onnx import OnnxModel
from rag.errors import ModelError

_OPSET = 17
_SAMPLES = (
    "",
    "GPU",
    "Wie hei\u00dft die Lizenz? \u00c7a co\u00fbte combien? \u4ec0\u4e48\u662f GPU",
    "Which setting enables vMotion for vGPU?",
    "Run `kubectl apply -f vm.yaml` and wait until the VM is Running (error 0x80070005).",
    "| profile | memory |\n|---|---|\n| grid_a100-10c | 10 GB |",
    "The licence server listens on port 7070; see RFC 2119 for MUST, SHOULD and MAY. " * 40,
)
_LEAST_COSINE = {"onnx": 0.9999, "onnx_int8": 0.97}


class _Whole(torch.nn.Module):
    """Token ids of one text, shape (1, n) -> its unit vector, shape (1, d)."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        features = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        vector = self.model(features)["sentence_embedding"]
        return torch.nn.functional.normalize(vector, dim=-1)


class _ScaledByToken(torch.nn.Module):
    """A linear layer whose matrix product sees each token scaled to a largest value of 1."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scale = tokens.abs().amax(-1, keepdim=True).clamp(min=1e-6)
        product = torch.matmul(tokens / scale, self.linear.weight.t()) * scale
        return product if self.linear.bias is None else product + self.linear.bias


def export(config: EmbedderConfig) -> bytes:
    """The ONNX form of the configured folder. Raises NoOnnxForm where it would not be the same."""
    name = model_folder(config).name
    with tempfile.TemporaryDirectory() as scratch, _quietly():
        path = Path(scratch) / "model.onnx"
        try:
            model = load_folder(config, attn_implementation="eager")
            expected = _expected(model)
            if config.backend == "onnx_int8":
                _scale_by_token(model)
            _trace(model, path)
            if config.backend == "onnx_int8":
                path = _quantised(path)
            data = _with_tokenizer(path, model)
            worst = _worst_cosine(data, expected, config.max_tokens)
        except ModelError:
            raise
        except Exception as error:  # torch and onnx promise no classes
            raise NoOnnxForm(
                f"{name} has no ONNX form ({type(error).__name__}: {error}): "
                "set embedder.backend=torch"
            ) from error
    if worst < _LEAST_COSINE[config.backend]:
        raise NoOnnxForm(
            f"the ONNX form of {name} gives other vectors than the model (cosine {worst:.3f}): "
            "set embedder.backend=torch"
        )
    return data


def _expected(model: SentenceTransformer) -> NDArray[np.float32]:
    """What the model itself makes of the samples, one by one as the ONNX form does."""
    vectors = [
        model.encode([text], normalize_embeddings=True, show_progress_bar=False)[0]
        for text in _SAMPLES
    ]
    return np.asarray(vectors, dtype=np.float32)


def _scale_by_token(module: torch.nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, torch.nn.Linear):
            setattr(module, name, _ScaledByToken(child))
        else:
            _scale_by_token(child)


def _trace(model: SentenceTransformer, path: Path) -> None:
    # torch's newer exporter makes the same graph in twenty times the time.
    torch.onnx.export(
        _Whole(model).eval(),
        (torch.arange(1000, 1009).reshape(1, -1) % model.tokenizer.vocab_size,),
        str(path),
        input_names=["input_ids"],
        output_names=["vector"],
        dynamic_axes={"input_ids": {1: "tokens"}},
        opset_version=_OPSET,
        dynamo=False,
    )


def _quantised(path: Path) -> Path:
    shaped, target = path.with_suffix(".shaped"), path.with_suffix(".int8")
    quant_pre_process(path, shaped, skip_optimization=True, skip_symbolic_shape=True)
    quantize_dynamic(
        shaped,
        target,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )
    return target


def _with_tokenizer(path: Path, model: SentenceTransformer) -> bytes:
    """The file's bytes with the tokenizer inside: one file decides a vector."""
    graph = onnx.load(str(path))
    entry = graph.metadata_props.add()
    entry.key, entry.value = "tokenizer", model.tokenizer.backend_tokenizer.to_str()
    data: bytes = graph.SerializeToString()
    return data


def _worst_cosine(data: bytes, expected: NDArray[np.float32], max_tokens: int) -> float:
    """How far the file is from the model on the sample that it is farthest on."""
    made = OnnxModel(data, max_tokens)
    vectors = np.stack([made.vector(tokens) for tokens in made.tokens(_SAMPLES)])
    return float((vectors * expected).sum(axis=1).min())


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the libraries' remarks out of the application's log.

    Tracing warns of each shape that it takes for fixed; the comparison tells if that matters. The
    quantiser writes to the root logger itself, and would give it a handler if it had none.
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    root.addHandler(silent)
    root.addFilter(_not_the_root)
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
        root.removeFilter(_not_the_root)
        root.removeHandler(silent)


def _not_the_root(record: logging.LogRecord) -> bool:
    """A logger's filter sees only what is logged to it by name, not what comes up to it."""
    return record.levelno >= logging.ERROR
