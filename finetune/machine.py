"""What this machine can give a run: main memory, cores, its GPU. Asks the system, never torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_MIB = 1024**2
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class InstalledGpu:
    """The first GPU that nvidia-smi lists. Bytes."""

    name: str
    total: int
    free: int


def cores() -> int:
    """CPUs that this process may use; hyper-threads count as CPUs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes of main memory that can be had without swapping, within a container's limit."""
    limits = [_available()]
    most, used, cache = (
        _number(_CGROUP / "memory.max"),
        _number(_CGROUP / "memory.current"),
        _inactive_cache(),
    )
    if most is not None and used is not None:
        limits.append(most - used + cache)
    return max(0, min(limits))


def installed_gpu() -> InstalledGpu | None:
    """None where nvidia-smi is missing, fails, or lists nothing.

    Of several, the first that CUDA_VISIBLE_DEVICES leaves, if it names indices; an empty one hides
    them all.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    program = shutil.which("nvidia-smi")
    if program is None or visible in ("", "-1"):
        return None
    first = (visible or "0").split(",")[0]
    query = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [program, *query, f"--id={first}"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _parse(answer.stdout) if answer.returncode == 0 else None


def _parse(text: str) -> InstalledGpu | None:
    """Of "NVIDIA A30, 24576, 24113": name and MiB."""
    fields = [field.strip() for field in text.strip().partition("\n")[0].rsplit(",", 2)]
    if len(fields) != 3 or not (fields[1].isdigit() and fields[2].isdigit()):
        return None
    return InstalledGpu(fields[0], int(fields[1]) * _MIB, int(fields[2]) * _MIB)


def _available() -> int:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # all of it, where not Linux


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None


def _inactive_cache() -> int:
    """File cache that counts as used, but gives way."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("inactive_file ")]
    return int(found[0]) if found else 0
