"""Why a file or folder cannot be taken in, in words that a person can act on."""

from __future__ import annotations

import errno
import math
import os
import stat
from pathlib import Path

_MB = 1024 * 1024

PLAIN_WORDS = {
    errno.EACCES: "permission denied: give the user that runs the ingest read access",
    errno.EPERM: "permission denied: give the user that runs the ingest read access",
    errno.ENOENT: "does not exist (moved or deleted?)",
    errno.ENOTDIR: "does not exist (moved or deleted?)",
    errno.ELOOP: "is a symbolic link that leads back to itself: remove the link",
    errno.EIO: "the storage reported a read error: check the disk or share",
    errno.ESTALE: "the network share went away: mount it again",
    errno.ENAMETOOLONG: "the path is too long for this system",
}


def bad_link(link: Path, target: Path, root: Path, is_folder: bool) -> str | None:
    if is_folder and link.is_relative_to(target):
        return f"symbolic link loop: it leads back to {shown(target)}; remove the link"
    if not target.is_relative_to(root):
        return (
            f"symbolic link points outside the folder, to {shown(target)}: "
            "name that path itself to take it in"
        )
    return None


def why(error: OSError | ValueError, link: Path | None = None) -> str:
    if isinstance(error, ValueError):
        return "is not a valid path"
    if error.errno == errno.ENOENT and link is not None and link.is_symlink():
        target = shown(os.readlink(link))
        return f"is a broken symbolic link to {target}: repair or remove the link"
    if error.errno in PLAIN_WORDS:
        return PLAIN_WORDS[error.errno]
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a device"


def too_large(size: int, max_bytes: int) -> str:
    size_mb = math.ceil(size * 10 / _MB) / 10
    return (
        f"file is {size_mb:g} MB, over the limit of {max_bytes / _MB:g} MB: "
        "split it, or raise ingest.max_file_mb"
    )


def shown(path: Path | str) -> str:
    """A path as text that any terminal, database and JSON can hold, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")
