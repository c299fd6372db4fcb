"""Adapters that may be served: a folder each, and which of them are promoted.

adapters/NAME/manifest.json and its files   adapters/current.json {"promoted": [...], "history": []}

The server reads `current.json` and the promoted folders, at any time and without a lock: both come
and go by rename. Whoever changes the registry holds `adapters/.lock`, which works among processes
of one machine, not over network file systems without locks.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import RegistryError
from finetune.manifest import (
    MANIFEST,
    Manifest,
    check_name,
    damage,
    locked,
    now,
    read_manifest,
    write_manifest,
)
from finetune.promotion import Judgement, judge
from finetune.run_folder import EVALUATION, EXPORT, write_json

CURRENT = "current.json"
_LOCK = ".lock"
_INCOMING, _OUTGOING = ".incoming", ".outgoing"


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder of the registry. `problem`: why it cannot be promoted as it is; "" if it can."""

    name: str
    promoted: bool
    manifest: Manifest | None
    problem: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a command did, or would do."""

    name: str
    promoted: tuple[str, ...]
    """All that are served now."""
    replaced: str = ""
    judgement: Judgement | None = None


def list_adapters(root: Path) -> list[Listed]:
    """Every adapter by name; sizes of files are looked at, their contents not."""
    promoted = promoted_names(root)
    names = {path.name for path in root.iterdir()} if root.is_dir() else set()
    found = []
    for name in sorted({n for n in names if _is_adapter(root / n)} | set(promoted)):
        try:
            manifest = read_manifest(root / name, RegistryError)
            problem = "; ".join(damage(root / name, manifest, contents=False))
        except RegistryError as error:
            manifest, problem = None, str(error)
        found.append(Listed(name, name in promoted, manifest, problem))
    return found


def promoted_names(root: Path) -> list[str]:
    """The adapters that are served, in the order of their promotion. Raises RegistryError."""
    return list(_read_current(root)["promoted"])


def add(root: Path, run_folder: Path, name: str | None = None, dry_run: bool = False) -> Manifest:
    """Copy what a run exported into the registry, whole or not at all.

    The evaluation is taken from the run folder, where it may be newer than the export. Raises
    RegistryError for a half-written or changed export, a name that is taken or none, and an adapter
    of another base than those that are there.
    """
    source = run_folder if (run_folder / MANIFEST).is_file() else run_folder / EXPORT
    manifest = read_manifest(source, RegistryError)
    chosen = check_name(name or manifest.name, RegistryError)
    if chosen.endswith(".json"):
        raise RegistryError(f"{chosen!r} looks like a file of the registry: choose another --name")
    manifest = manifest.model_copy(
        update={"name": chosen, "metrics": _evaluation(run_folder) or manifest.metrics}
    )
    with _changing(root, dry_run, create=True):
        _refuse_addition(root, source, chosen, manifest)
        if not dry_run:
            _copy_in(root, source, chosen, manifest)
    return manifest


def promote(
    root: Path,
    name: str,
    *,
    margin: float = 0.01,
    replace: str | None = None,
    beside: bool = False,
    without_safety: bool = False,
    dry_run: bool = False,
) -> Change:
    """Have `name` served. It replaces the promoted adapter that was measured on the same rows.

    `replace` names another one to take the place of; `beside`: take nobody's. Without one to
    replace, it is compared with the base. Raises RegistryError that lists every objection.
    """
    with _changing(root, dry_run):
        current = _read_current(root)
        promoted: list[str] = current["promoted"]
        manifest = _whole(root, name)
        if name in promoted:
            raise RegistryError(f"{name} is promoted already")
        if replace is not None and replace not in promoted:
            shown = ", ".join(promoted) or "none is"
            raise RegistryError(f"--replace {replace}: it is not promoted; promoted: {shown}")
        others = {other: read_manifest(root / other, RegistryError) for other in promoted}
        for other, theirs in others.items():
            if theirs.base.sha256 != manifest.base.sha256:
                raise RegistryError(f"{name} was trained on another base than {other}")
        old = replace or ("" if beside else _same_task(manifest, others))
        judgement = judge(manifest, others.get(old), margin, without_safety=without_safety)
        if judgement.objections:
            raise RegistryError(f"{name} is not promoted: {'; '.join(judgement.objections)}")
        after = [name if other == old else other for other in promoted]
        after += [] if old else [name]
        if not dry_run:
            _write_current(root, current, "promote", name, after)
    return Change(name, tuple(after), old, judgement)


def rollback(root: Path, *, dry_run: bool = False) -> Change:
    """Serve again what was served before the last promotion that was not yet taken back."""
    with _changing(root, dry_run):
        current = _read_current(root)
        undone = _effective(current["history"])
        if not undone:
            raise RegistryError("nothing to go back to: no promotion is in effect")
        before = list(undone[-2]["promoted"]) if len(undone) > 1 else []
        for name in before:
            try:
                _whole(root, name)
            except RegistryError as error:
                raise RegistryError(f"cannot go back to {name}: {error}") from None
        last = str(undone[-1]["name"])
        if not dry_run:
            _write_current(root, current, "rollback", last, before)
    return Change(last, tuple(before))


def remove(root: Path, name: str, *, dry_run: bool = False) -> Change:
    """Delete an adapter that is not promoted. Raises RegistryError."""
    check_name(name, RegistryError)
    with _changing(root, dry_run):
        promoted = promoted_names(root)
        if name in promoted:
            raise RegistryError(f"{name} is promoted: roll back or promote another one first")
        if not _is_adapter(root / name):
            raise RegistryError(f"{root} holds no adapter {name}: see `registry list`")
        if not dry_run:
            (root / name).rename(root / _OUTGOING)  # out of sight at once, however long it takes
            shutil.rmtree(root / _OUTGOING)
    return Change(name, tuple(promoted))


def _is_adapter(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _evaluation(run_folder: Path) -> dict[str, Any] | None:
    path = run_folder / EVALUATION
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RegistryError(f"{path} cannot be read: {error}; run evaluate again") from None
    return value if isinstance(value, dict) else None


def _refuse_addition(root: Path, source: Path, name: str, manifest: Manifest) -> None:
    if (root / name).exists():
        raise RegistryError(f"{root} holds {name} already: remove it, or choose another --name")
    if broken := damage(source, manifest):
        raise RegistryError(f"{source} is not what was exported: {'; '.join(broken)}; export again")
    for other in list_adapters(root):
        if other.manifest and other.manifest.base.sha256 != manifest.base.sha256:
            raise RegistryError(
                f"{name} was trained on another base ({manifest.base.path}, "
                f"{manifest.base.sha256[:12]}) than {other.name} ({other.manifest.base.path}, "
                f"{other.manifest.base.sha256[:12]}): keep one --registry a base"
            )


def _copy_in(root: Path, source: Path, name: str, manifest: Manifest) -> None:
    incoming = root / _INCOMING
    try:
        shutil.copytree(source, incoming, ignore=shutil.ignore_patterns(".*"))
        write_manifest(incoming, manifest)
        incoming.rename(root / name)
    except OSError as error:
        shutil.rmtree(incoming, ignore_errors=True)
        full = error.errno == errno.ENOSPC or f"[Errno {errno.ENOSPC}]" in str(error)
        reason = "the disk is full" if full else str(error)
        raise RegistryError(f"{name} was not added to {root}: {reason}") from error


def _whole(root: Path, name: str) -> Manifest:
    """The manifest of an adapter whose files are those that were added. Raises RegistryError."""
    check_name(name, RegistryError)
    if not _is_adapter(root / name):
        raise RegistryError(f"{root} holds no adapter {name}: add its run with `registry add`")
    manifest = read_manifest(root / name, RegistryError)
    if broken := damage(root / name, manifest):
        raise RegistryError(
            f"{root / name} is damaged: {'; '.join(broken)}; remove it and add its run again"
        )
    return manifest


def _same_task(manifest: Manifest, others: dict[str, Manifest]) -> str:
    """The promoted adapter that was measured on the same rows: the one to beat, and to replace."""
    for name, other in others.items():
        if not manifest.validation():
            break
        if other.objective == manifest.objective and other.validation() == manifest.validation():
            return name
    return ""


@contextmanager
def _changing(root: Path, dry_run: bool, create: bool = False) -> Iterator[None]:
    """Alone with the registry; what a killed process left half done is cleared away."""
    if dry_run:
        yield
        return
    if create:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(f"{root} cannot be made: {error.strerror}") from None
    elif not root.is_dir():
        raise RegistryError(f"{root} is no registry: `registry add RUN_FOLDER` makes one")
    with locked(root / _LOCK, RegistryError):
        for left in (_INCOMING, _OUTGOING):
            shutil.rmtree(root / left, ignore_errors=True)
        yield


def _read_current(root: Path) -> dict[str, Any]:
    path = root / CURRENT
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {"promoted": [], "history": []}
    except (OSError, ValueError) as error:
        raise RegistryError(f"{path} is damaged ({error}): put back a copy, or remove it") from None
    promoted = value.get("promoted") if isinstance(value, dict) else None
    history = value.get("history", []) if isinstance(value, dict) else None
    if not isinstance(promoted, list) or not isinstance(history, list):
        raise RegistryError(f"{path} is damaged: it needs lists `promoted` and `history`")
    return {"promoted": [str(name) for name in promoted], "history": history}


def _write_current(
    root: Path, current: dict[str, Any], action: str, name: str, after: list[str]
) -> None:
    entry = {"time": now(), "action": action, "name": name, "promoted": after}
    history = [*current["history"], entry]
    write_json(root / CURRENT, {"promoted": after, "history": history})


def _effective(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The promotions that were not taken back."""
    kept: list[dict[str, Any]] = []
    for entry in history:
        if entry.get("action") == "promote":
            kept.append(entry)
        elif kept:
            kept.pop()
    return kept
