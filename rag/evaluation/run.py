"""One evaluation as it is kept: per-question results, what was measured, and with which settings.

A run is a JSON file. It is written whole and put in place by renaming, so whoever reads it finds
the former state or the new one, never half of either.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.config import RagConfig
from rag.errors import EvaluationError
from rag.evaluation.labels import LabelledQuestion
from rag.knowledge import Knowledge

_ELSEWHERE = {"data_dir", "models_dir", "database_url", "ingest"}
"""Sections that say where things lie, which no measure depends on."""
_SECRET = re.compile(r"key$|token$|secret|password")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_LIBRARIES = (
    "faiss-cpu", "ir-measures", "numpy", "sentence-transformers", "torch", "transformers",
    "xllamacpp",
)  # fmt: skip


class _Kept(BaseModel):
    """Keys that a later version has added are passed over."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class FoundDocument(_Kept):
    name: str
    score: float


class Ranking(_Kept):
    """`rank` is that of the first relevant document, from 1; None where none was found."""

    documents: list[FoundDocument]
    rank: int | None
    measures: dict[str, float]


class KeptAnswer(_Kept):
    """`cited` names the document of each passage that is cited."""

    text: str
    abstained: bool
    cited: list[str]
    measures: dict[str, float]


class QuestionResult(_Kept):
    """Everything measured of one question. Times are in milliseconds, by stage."""

    id: str
    question: str
    history: list[str] = []
    gold: dict[str, int] = {}
    references: list[str] = []
    query: str = ""
    relevance: float | None = None
    rankings: dict[str, Ranking] = {}
    answers: dict[str, KeptAnswer] = {}
    times: dict[str, float] = {}

    @property
    def answerable(self) -> bool:
        return bool(self.gold)


class Corpus(_Kept):
    """`fingerprint` changes whenever the text of a document does."""

    name: str
    documents: int
    passages: int
    fingerprint: str


class Run(_Kept):
    """`config` holds every section that can move a measure, without secrets."""

    kind: Literal["vsage-evaluation"] = "vsage-evaluation"
    version: Literal[1] = 1
    written: datetime
    complete: bool
    corpus: Corpus
    embedder: str
    generator: str
    threshold: float
    config: dict[str, Any]
    versions: dict[str, str]
    machine: str
    means: dict[str, dict[str, float]] = {}
    latency_ms: dict[str, dict[str, float]] = {}
    questions: list[QuestionResult] = Field(default_factory=list)


def new_run(knowledge: Knowledge, corpus: Path) -> Run:
    """A run without results yet, of this configuration over this corpus."""
    config, catalog = knowledge.config, knowledge.catalog
    generator = config.generator
    named = "" if generator.provider == "extractive" else f" {Path(generator.model).name}"
    return Run(
        written=datetime.now(UTC),
        complete=False,
        corpus=Corpus(
            name=corpus.name,
            documents=catalog.count(),
            passages=catalog.count_chunks(),
            fingerprint=_fingerprint(knowledge),
        ),
        embedder=knowledge.embedder.fingerprint,
        generator=f"{generator.provider}{named}",
        threshold=config.retriever.min_relevance,
        config=_sections(config),
        versions=_versions(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    )


def labelled_alike(result: QuestionResult, question: LabelledQuestion) -> bool:
    """Whether a kept result is of this very question, with the same labels."""
    return (
        result.question == question.text
        and result.gold == dict(question.relevant)
        and result.references == list(question.references)
        and result.history == [turn.content for turn in question.history]
    )


def resumable(kept: Run, now: Run, path: Path) -> None:
    """Raise EvaluationError unless the kept results would come out alike now."""
    differences = [
        f"{key}: {before!r}, now {after!r}"
        for key, before, after in _differences(kept.config, now.config)
    ]
    if kept.embedder != now.embedder:
        differences.append(f"embedder: {kept.embedder}, now {now.embedder}")
    if kept.corpus.fingerprint != now.corpus.fingerprint:
        differences.append("the corpus has changed")
    if differences:
        raise EvaluationError(
            f"{path} was measured otherwise ({'; '.join(differences)}): "
            "name another --output, or leave out --resume to begin anew"
        )


def differences(a: Run, b: Run) -> list[tuple[str, Any, Any]]:
    """(dotted key, value in a, value in b) of each setting that differs."""
    return _differences(a.config, b.config)


def read_run(path: Path) -> Run:
    """A run that `--output` has kept. Raises EvaluationError."""
    try:
        return Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise EvaluationError(
            f"{path} is not an evaluation kept by `python -m rag evaluate --output` "
            f"({place}: {first['msg']})"
        ) from error


def write_run(run: Run, path: Path) -> None:
    """Replace `path` at once. Raises EvaluationError."""
    write_whole(path, run.model_dump_json(indent=1) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that no reader ever sees a part of it. Raises EvaluationError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def writable(path: Path, read: Callable[[Path], object]) -> None:
    """Raise EvaluationError before an hour of measuring rather than behind it.

    What is there already has to be what `read` reads: a slip of the hand must not cost the labels.
    """
    if path.exists() and not path.is_file():  # renaming would put a file in place of a device
        raise EvaluationError(f"{path} is no file: name one")
    if not path.parent.is_dir():
        raise EvaluationError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise EvaluationError(f"{path} cannot be written: {path.parent} is not yours to write to")
    if path.exists() and path.stat().st_size:
        try:
            read(path)
        except EvaluationError as error:
            raise EvaluationError(f"{error}: name another file, or delete this one") from error


def _fingerprint(knowledge: Knowledge) -> str:
    digest = hashlib.sha256()
    for name, sha256 in sorted((d.name, d.sha256) for d in knowledge.catalog.list_documents()):
        digest.update(f"{name}\0{sha256}\n".encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def _sections(config: RagConfig) -> dict[str, Any]:
    sections = config.model_dump(mode="json", exclude=_ELSEWHERE)
    return {name: _harmless(name, value) for name, value in sections.items()}


def _harmless(name: str, value: Any) -> Any:
    """Without keys, passwords and the credentials in an address."""
    if isinstance(value, dict):
        return {
            key: _harmless(key, inner) for key, inner in value.items() if not _SECRET.search(key)
        }
    if isinstance(value, list):
        return [_harmless(name, inner) for inner in value]
    return _CREDENTIALS.sub("", value) if isinstance(value, str) else value


def _differences(
    a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key in sorted(a.keys() | b.keys()):
        one, other = a.get(key), b.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append((prefix + key, one, other))
    return found


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
