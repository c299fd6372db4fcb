"""The ONNX form of the embedding model, where the application has made one beside it.

Three times as fast as torch for one text. The application writes it to `<model>.onnx/` with its
tokenizer inside; a form that is older than the weights, or that cannot be opened, is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from guardrails.schema import Embed, Vectors

MAX_TOKENS = 256


def open_onnx(model: Path) -> Embed | None:
    """Texts to unit vectors, one text after the other; None where there is no usable form."""
    model = model.resolve()
    weights = max((path.stat().st_mtime for path in model.glob("*.safetensors")), default=None)
    forms = sorted(model.with_name(f"{model.name}.onnx").glob("*-fp32-*.onnx"))
    if weights is None or not forms or forms[-1].stat().st_mtime < weights:
        return None
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False  # it would plan anew for each length
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(forms[-1]), options, providers=["CPUExecutionProvider"]
        )
        stored = session.get_modelmeta().custom_metadata_map["tokenizer"]
    except Exception:  # onnxruntime promises no classes; torch opens the model instead
        return None
    tokenizer = Tokenizer.from_str(stored)
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()

    def embed(texts: Sequence[str]) -> Vectors:
        sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        rows = [np.asarray([found.ids], dtype=np.int64) for found in tokenizer.encode_batch(sound)]
        vectors: Vectors = np.stack([session.run(None, {"input_ids": ids})[0][0] for ids in rows])
        return vectors

    return embed
