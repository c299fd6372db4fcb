"""A finished run -> artefacts below output_dir/export, each compared with what was trained.

All of them are made in a folder beside it, which takes its place at the end: an export that fails
or is killed leaves the last one as it was, and no artefact that differs is ever seen.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.base_model import BaseModel, describe_base
from finetune.config import RunConfig
from finetune.errors import ExportError
from finetune.export_formats import Format, check_formats
from finetune.manifest import (
    ArtefactEntry,
    BaseEntry,
    Manifest,
    check_name,
    file_entries,
    locked,
    now,
    write_manifest,
)
from finetune.run_folder import BASE, DATA, ENVIRONMENT, EVALUATION, EXPORT, artefact, read_json

_FRESH = ".export-new"
_OLD = ".export-old"
_LOCK = ".export.lock"


def export(
    run: RunConfig,
    formats: Sequence[Format] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[ArtefactEntry]:
    """Make `formats` (None: export.formats) of the run in output_dir; the paths are below export/.

    What an earlier export made is replaced. `tell` gets a line before each longer step. Raises
    ExportError, ModelError and DataError.
    """
    wanted = check_formats(run, formats or run.export.formats)
    name, base = adapter_name(run), check_base(run)
    with _disk_named(run.output_dir), _fresh_folder(run.output_dir) as folder:
        from finetune.export_make import open_work  # loads torch

        work = open_work(run, name, folder, tell, asks=set(wanted) != {"adapter"})
        artefacts = [work.make(one) for one in wanted]
        work.close()
        if "adapter" in wanted:
            alone = [ArtefactEntry(format="adapter", path=".")]
            write_manifest(
                folder / "adapter", _manifest(run, base, name, alone, folder / "adapter")
            )
        write_manifest(folder, _manifest(run, base, name, artefacts, folder))
    return artefacts


def export_command(run: RunConfig, as_json: bool, dry_run: bool = False) -> None:
    """`python -m finetune export`: make export.formats and say what came of each."""
    wanted = check_formats(run, run.export.formats)
    if dry_run:
        adapter_name(run)
        check_base(run)
        _print_report(run, [{"format": one} for one in wanted], as_json, "would make")
        return
    artefacts = export(run, wanted, tell=lambda line: print(f"export: {line}", file=sys.stderr))
    _print_report(run, [one.model_dump() for one in artefacts], as_json, "made")


def adapter_name(run: RunConfig) -> str:
    """The run folder's name, with dashes for what a name cannot hold. Raises ExportError."""
    shown = run.output_dir.resolve().name
    kept = (c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in shown)
    return check_name("".join(kept), ExportError)


def check_base(run: RunConfig) -> BaseModel:
    """The base, if the run is finished and was trained on it. Raises ExportError, ModelError."""
    artefact(run.output_dir)
    recorded = str(read_json(run.output_dir / BASE).get("sha256"))
    base = describe_base(run.model.path)
    if recorded != base.sha256:
        raise ExportError(
            f"{run.model.path} is another model than {run.output_dir} was trained on: its hash is "
            f"{base.sha256[:12]}, not {recorded[:12]}; set model.path to that one"
        )
    return base


def _manifest(
    run: RunConfig, base: BaseModel, name: str, artefacts: Sequence[ArtefactEntry], folder: Path
) -> Manifest:
    output = run.output_dir
    evaluated = (output / EVALUATION).is_file()
    return Manifest(
        name=name,
        created=now(),
        method=run.method.name,
        objective=run.objective.name,
        quantization=run.model.quantization,
        base=BaseEntry.model_validate(base.to_json()),
        data=read_json(output / DATA),
        metrics=read_json(output / EVALUATION) if evaluated else None,
        chat_template_sha256=base.chat_template_sha256,
        versions=read_json(output / ENVIRONMENT),
        artefacts=list(artefacts),
        files=file_entries(folder),
    )


@contextmanager
def _fresh_folder(output_dir: Path) -> Iterator[Path]:
    """A new folder that becomes output_dir/export if all goes well, and is removed otherwise."""
    fresh, target, old = (output_dir / name for name in (_FRESH, EXPORT, _OLD))
    busy = f"another export of {output_dir} is going on: wait for it"
    with locked(output_dir / _LOCK, ExportError, busy):
        if old.exists() and not target.exists():  # killed between the two renames below
            old.rename(target)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        try:
            yield fresh
            if target.exists():
                target.rename(old)
            fresh.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _disk_named(output_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ExportError(
            f"the disk of {output_dir} is full: nothing of this export was kept"
        ) from error


def _print_report(
    run: RunConfig, artefacts: Sequence[dict[str, Any]], as_json: bool, done: str
) -> None:
    folder = run.output_dir / EXPORT
    if as_json:
        shown = {"done": done, "folder": str(folder), "artefacts": list(artefacts)}
        print(json.dumps(shown, ensure_ascii=False))
        return
    for one in artefacts:
        line = f"{done} {one['format']}: {folder / one.get('path', '')}"
        if difference := one.get("difference"):
            line += (
                f"; log-probabilities within {difference['largest']:.2g} of what was trained, "
                f"{difference['same_choice']:.0%} of {difference['steps']} tokens alike"
            )
        if served := one.get("served"):
            line += f"; {served['exact_match']:.1%} of {served['rows']} rows right as served"
        print(line)
        for note in one.get("notes", ()):
            print(f"  {note}")
