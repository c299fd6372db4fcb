"""What every command of `python -m guardrails` opens first: configuration, embedder, rails."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer
from pydantic import BaseModel, ConfigDict

from guardrails.config import GuardrailsConfig
from guardrails.onnx_embedder import open_onnx
from guardrails.schema import Embed, Vectors
from guardrails.seed_vectors import SEED_VECTORS

ERROR = 2
"""Exit status where the rails could not be asked."""


class CommandError(Exception):
    """What a command was pointed at cannot be used."""


class EmbedderPart(BaseModel):
    """The one key of the embedder's section that is needed here; `rag` validates the rest."""

    model_config = ConfigDict(extra="ignore")

    provider: str = "sentence_transformers"
    model: Path = Path("models/all-MiniLM-L6-v2")


class CheckConfig(BaseModel):
    """What these commands read of the application's configuration file."""

    model_config = ConfigDict(extra="ignore")

    guardrails: GuardrailsConfig = GuardrailsConfig()
    embedder: EmbedderPart = EmbedderPart()
    models_dir: Path = Path("models")

    @property
    def seed_vectors(self) -> Path:
        """Where the application keeps the embeddings of the examples."""
        return self.models_dir / SEED_VECTORS


def open_embedder(part: EmbedderPart) -> Embed:
    """The embedding model of the application, opened without any look-up on the network."""
    if part.provider != "sentence_transformers":
        raise CommandError(
            f"this command embeds with a local model only, not '{part.provider}'; add "
            "embedder.provider=sentence_transformers embedder.model=models/all-MiniLM-L6-v2"
        )
    if not part.model.is_dir():
        raise CommandError(f"{part.model} is no folder; run `make models` first")
    os.environ["HF_HUB_OFFLINE"] = "1"
    if (quick := open_onnx(part.model)) is not None:
        return quick
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)  # one text at a time: further threads only wait for each other
    model = SentenceTransformer(str(part.model), device="cpu", local_files_only=True)

    def embed(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    return embed


def fail(message: str) -> NoReturn:
    """One line on stderr and exit status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(ERROR)
