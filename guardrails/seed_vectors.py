"""Embeddings of the examples, kept in a file: thousands of them take seconds at each start."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from guardrails.detectors.evidence import digest
from guardrails.schema import Embed, Vectors

log = logging.getLogger(__name__)
SEED_VECTORS = "seed_vectors.npz"
PROBE = "Which embedder made these vectors?"
MOST = 20_000
"""Vectors in the file: 31 MB for 384 dimensions."""
SAME = 0.9999
"""Cosine of the probe's two embeddings from which the embedder is the one of the file. Backends of
one model differ by less."""


class SeedVectors:
    """Embeds each text once, this time or an earlier one.

    Not for questions: nothing is dropped while it is open. `keep` writes what was asked for, and
    of what others asked for as much as there is room, since several sites may share a file.
    """

    def __init__(self, embed: Embed, path: Path | None) -> None:
        self._embed = embed
        self._path = path
        self._probe = embed([PROBE])
        self._kept = _read(path, self._probe) if path is not None else {}
        self._asked: dict[bytes, Vectors] = {}

    def __call__(self, texts: Sequence[str]) -> Vectors:
        keys = [digest(text) for text in texts]
        known = self._kept | self._asked
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            if len(missing) > 500:
                log.info("embedding %d examples of the guardrails, once", len(missing))
            known.update(zip(missing, self._embed(list(missing.values())), strict=True))
        self._asked |= {key: known[key] for key in keys}
        return np.stack([known[key] for key in keys])

    def keep(self) -> None:
        """Write the file, unless it holds all that was asked for. A failure costs time alone."""
        if self._path is None or self._asked.keys() <= self._kept.keys():
            return
        others = [key for key in self._kept if key not in self._asked]
        room = max(0, MOST - len(self._asked))
        stored = self._asked | {key: self._kept[key] for key in others[:room]}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            keys = np.frombuffer(b"".join(stored), dtype=np.uint8).reshape(-1, 16)
            vectors = np.stack(list(stored.values()))
            try:
                with part.open("wb") as file:
                    np.savez(file, keys=keys, vectors=vectors, probe=self._probe)
                os.replace(part, self._path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be kept (%s): every start embeds anew", self._path, error)


def _read(path: Path, probe: Vectors) -> dict[bytes, Vectors]:
    """What the file holds, if it is whole and of this embedder; else nothing."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            keys, vectors, before = stored["keys"], stored["vectors"], stored["probe"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
    if before.shape != probe.shape or float((before @ probe.T)[0, 0]) < SAME:
        return {}
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
