"""Files and folders as a source."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rag.errors import SourceError
from rag.parse import SUPPORTED
from rag.schema import Failure, RawDocument
from rag.sources.config import SourceSection
from rag.sources.folder_rules import RulesAbove, rules_for
from rag.sources.reasons import PLAIN_WORDS, bad_link, kind, shown, too_large, why
from rag.versions import version_in_path


class FileSource:
    """Files and folders of this machine, mounted shares included.

    Folders are walked in sorted order, without following symbolic links out of the folder: an
    ingest that runs as a service account must not be talked into reading /etc by a link.
    Hidden entries and office lock files (`~$...`) are skipped. Two hard links to one file are two
    documents. `described` is what the configuration says of all files; a `.vsage.yaml` beside
    them goes before it.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        max_bytes: int,
        suffixes: frozenset[str] = SUPPORTED,
        described: SourceSection | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._max_bytes = max_bytes
        self._suffixes = suffixes
        self._described = described or SourceSection()

    def roots(self) -> tuple[str, ...]:
        """URI prefixes this source answers for: what lies below and was not seen may be pruned.

        A path that does not exist now is left out: an unmounted share must not empty the catalog.
        A mount point that is there but empty looks like an emptied folder; only the caller can
        tell, by how much a prune would remove.
        """
        found: dict[str, None] = {}
        for path in self._paths:
            try:
                real = Path(os.path.realpath(path, strict=True))
                found[_uri(real, folder=real.is_dir())] = None
            except (OSError, ValueError):
                continue
        return tuple(found)

    def documents(self) -> Iterator[RawDocument | Failure]:
        """Walk the paths in the order given; the same real file comes once, however it is reached.

        A Failure about a folder carries the folder's URI (ending with '/'): nothing below it was
        seen, so nothing below it may be pruned (see `within`).
        """
        seen: set[Path] = set()
        for path in self._paths:
            given = Path(os.path.abspath(path)) if "\0" not in str(path) else path
            try:
                real = Path(os.path.realpath(path, strict=True))
                mode = os.stat(real).st_mode
            except (OSError, ValueError) as error:
                yield Failure(_uri(_behind(given)), shown(path), why(error, link=path))
                continue
            if stat.S_ISDIR(mode):
                yield from self._walk(real, seen)
            elif real.suffix.lower() not in self._suffixes and stat.S_ISREG(mode):
                yield Failure(_uri(real), shown(path.name), self._unsupported(real))
            elif real not in seen:
                seen.add(real)
                try:
                    rules = rules_for(real.parent)
                except SourceError as error:
                    yield Failure(_uri(real), shown(path.name), str(error))
                    continue
                yield self._file(real, shown(path.name), rules, (real.parent.name,))

    def _walk(self, root: Path, seen: set[Path]) -> Iterator[RawDocument | Failure]:
        """Depth first with an explicit stack, as folders can nest deeper than Python recurses."""
        stack: list[tuple[Path, RulesAbove | None]] = [(root, None)]
        while stack:
            path, above = stack.pop()
            name = _relative(path, root)
            try:
                is_link = path.is_symlink()
                real = Path(os.path.realpath(path, strict=True)) if is_link else path
                mode = os.stat(real).st_mode
            except (OSError, ValueError) as error:
                yield Failure(_uri(path), name, why(error, link=path))
                continue
            is_folder = stat.S_ISDIR(mode)
            if not is_folder and real.suffix.lower() not in self._suffixes:
                continue
            if is_link and (reason := bad_link(path, real, root, is_folder)):
                yield Failure(_uri(path), name, reason)
                continue
            if real in seen:
                continue
            seen.add(real)
            try:
                children = _children(real, self._suffixes) if is_folder else []
                rules = _rules(real, None if is_link else above, is_folder)
            except SourceError as error:
                yield Failure(_uri(real, folder=is_folder), name + "/" * is_folder, str(error))
            except OSError as error:
                folder = "./" if real == root else _relative(real, root) + "/"
                yield Failure(
                    _uri(real, folder=True), folder, f"folder cannot be listed: {why(error)}"
                )
            else:
                stack.extend((child, rules) for child in reversed(children))
                if not is_folder:
                    folders = (root.name, *real.relative_to(root).parts[:-1])
                    yield self._file(real, _relative(real, root), rules, folders)

    def _file(
        self, path: Path, name: str, above: RulesAbove, folders: Sequence[str]
    ) -> RawDocument | Failure:
        uri = _uri(path)
        try:
            status = os.stat(path)
        except OSError as error:
            return Failure(uri, name, why(error))
        if not stat.S_ISREG(status.st_mode):
            return Failure(uri, name, f"is {kind(status.st_mode)}, not a file")
        if status.st_size == 0:
            return Failure(uri, name, "file is empty")
        if status.st_size > self._max_bytes:
            return Failure(uri, name, too_large(status.st_size, self._max_bytes))
        if not _readable(path):
            return Failure(uri, name, PLAIN_WORDS[errno.EACCES])
        rules, described = above.rules, self._described
        version = rules.version or described.version or version_in_path(folders)
        return RawDocument(
            uri,
            name,
            _modified(status.st_mtime),
            partial(_read, path, self._max_bytes),
            # The change time too: it cannot be set back, as that of modification can.
            stamp=f"{status.st_size}/{status.st_mtime_ns}/{status.st_ctime_ns}/{status.st_ino}",
            groups=described.readers if rules.groups is None else frozenset(rules.groups),
            metadata=described.metadata(
                version=version, product=rules.product or "", labels=rules.labels or ()
            ),
        )

    def _unsupported(self, path: Path) -> str:
        what = f"{path.suffix!r} files are" if path.suffix else "files without a suffix are"
        return f"{what} not supported; supported: {', '.join(sorted(self._suffixes))}"


def _rules(path: Path, above: RulesAbove | None, is_folder: bool) -> RulesAbove:
    """In force for a folder or file; `above` None looks at all folders that it lies in."""
    if not is_folder:
        return above or rules_for(path.parent)
    return above.below(path) if above is not None else rules_for(path)


def _read(path: Path, max_bytes: int) -> bytes:
    """The file's bytes, checked again at the moment of reading.

    Between the walk and here the file may have grown, vanished or been swapped for a link or a
    pipe; the open follows no link and does not wait for a pipe's other end.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            data = file.read(max_bytes + 1)
            if len(data) > max_bytes:
                raise SourceError(too_large(os.fstat(file.fileno()).st_size, max_bytes))
    except OSError as error:
        raise SourceError(why(error)) from error
    if not data:
        raise SourceError("file is empty")
    return data


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise SourceError(f"is {kind(mode)}, not a file")
    return descriptor


def _children(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """What is worth a look in a folder, sorted. Links are kept: only their target tells."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith((".", "~$"))
            and (
                entry.is_symlink()
                or entry.is_dir(follow_symlinks=False)
                or os.path.splitext(entry.name)[1].lower() in suffixes
            )
        )
    return [folder / name for name in names]


def _behind(path: Path) -> Path:
    """Where a path that cannot be reached leads to: the documents below it go by that."""
    return Path(os.path.realpath(path)) if "\0" not in str(path) else path


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _modified(mtime: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(mtime, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _uri(path: Path, *, folder: bool = False) -> str:
    if not path.is_absolute():  # only a path that no file can have, holding a NUL
        path = Path.cwd() / path
    uri = path.as_uri()
    return uri if not folder or uri.endswith("/") else uri + "/"


def _relative(path: Path, root: Path) -> str:
    return shown(path.relative_to(root).as_posix())
