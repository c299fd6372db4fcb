"""GPUs and vGPU profiles: memory, and the peak of dense bfloat16 arithmetic where it is known.

Peaks are the data sheets' for bfloat16 tensor cores without sparsity (half of what is printed large
there); T4 has no bfloat16, so its float16 stands. Memory of a whole GPU is what nvidia-smi shows,
which on GDDR6 boards is less than the name says: error correction takes a sixteenth. Profiles are
those of NVIDIA's vgpu-device-manager (acb72704). How much of a profile is usable is a guess: 93%.

A time-sliced profile shares the whole GPU's arithmetic with its neighbours: the peak is reached
only while they idle. A MIG profile owns its slices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

GIB = 1024**3
_USABLE_OF_PROFILE = 0.93

Kind = Literal["gpu", "vgpu", "mig"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """A whole GPU, or a profile of one."""

    name: str
    kind: Kind
    usable: int
    """Bytes."""
    tflops: float
    """Dense bfloat16, 10^12 operations a second."""
    bandwidth: float
    """Of its memory, bytes a second."""


# Name, GiB as nvidia-smi shows them, TFLOP/s, GB/s, vGPU name, sizes of its time-sliced profiles.
_BOARDS: tuple[tuple[str, float, float, float, str, tuple[int, ...]], ...] = (
    ("T4", 15.0, 65, 320, "T4", (4, 8, 16)),
    ("A2", 15.0, 18, 200, "A2", (4, 8, 16)),
    ("A16 (one of four)", 15.0, 18, 200, "A16", (4, 8, 16)),
    ("L4", 22.5, 121, 300, "L4", (4, 6, 8, 12, 24)),
    ("A10", 22.5, 125, 600, "A10", (4, 6, 8, 12, 24)),
    ("A30", 24.0, 165, 933, "A30", (4, 6, 8, 12, 24)),
    ("A100 40GB", 40.0, 312, 1555, "A100", (4, 5, 8, 10, 20, 40)),
    ("A40", 45.0, 150, 696, "A40", (4, 6, 8, 12, 16, 24, 48)),
    ("RTX A6000", 48.0, 155, 768, "RTXA6000", (4, 6, 8, 12, 16, 24, 48)),
    ("L40", 45.0, 181, 864, "L40", (4, 6, 8, 12, 16, 24, 48)),
    ("L40S", 45.0, 362, 864, "L40S", (4, 6, 8, 12, 16, 24, 48)),
    ("A100 80GB", 80.0, 312, 1935, "A100D", (4, 8, 10, 16, 20, 40, 80)),
    ("H100 PCIe", 79.6, 756, 2000, "H100", (4, 5, 8, 10, 16, 20, 40, 80)),
    ("H100 SXM", 79.6, 989, 3350, "H100XM", (4, 5, 8, 10, 16, 20, 40, 80)),
    ("H100 NVL", 93.6, 835, 3900, "H100L", (4, 6, 11, 15, 23, 47, 94)),
    ("H200 NVL", 140.4, 835, 4800, "H200", (4, 7, 8, 14, 17, 28, 35, 70, 141)),
    ("H200 SXM", 140.4, 989, 4800, "H200X", (4, 7, 8, 14, 17, 28, 35, 70, 141)),
    ("B200", 179.0, 2250, 8000, "B200X", (180,)),
)
# vGPU name: its MIG profiles as (slices, GiB), and how many slices the board has.
_MIG: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "A30": (4, ((1, 6), (2, 12), (4, 24))),
    "A100": (7, ((1, 5), (1, 10), (2, 10), (3, 20), (4, 20), (7, 40))),
    "A100D": (7, ((1, 10), (1, 20), (2, 20), (3, 40), (4, 40), (7, 80))),
    "H100": (7, ((1, 10), (1, 20), (2, 20), (3, 40), (4, 40), (7, 80))),
}


def known_gpus() -> list[Gpu]:
    """Whole GPUs, time-sliced and MIG profiles, smallest memory first, then the slower first."""
    gpus = [gpu for board in _BOARDS for gpu in _of_board(*board)]
    return sorted(gpus, key=lambda gpu: (gpu.usable, gpu.tflops, gpu.name))


def find_gpu(name: str) -> Gpu | None:
    """The whole GPU that nvidia-smi calls `name`, or the profile inside a guest; None if unknown.

    "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "GRID A100D-80C", "NVIDIA L40S-48C".
    """
    words = re.sub(r"^(NVIDIA|GRID|Tesla|GeForce)\s+", "", name.strip())
    words = re.sub(r"^(Tesla|Quadro)\s+", "", words)
    for gpu in known_gpus():
        if gpu.kind != "gpu" and words.casefold() == gpu.name.casefold():
            return gpu
    whole = {gpu.name: gpu for gpu in known_gpus() if gpu.kind == "gpu"}
    return whole.get(_whole_name(words))


def _whole_name(words: str) -> str:
    """nvidia-smi's name without form factor, in this table's words."""
    if words.startswith("A100"):
        return "A100 80GB" if "80GB" in words else "A100 40GB"
    if words.startswith("H100"):
        form = "NVL" if "NVL" in words else "PCIe" if "PCIe" in words else "SXM"
        return f"H100 {form}"
    if words.startswith("H200"):
        return "H200 NVL" if "NVL" in words else "H200 SXM"
    if words.startswith("A16"):
        return "A16 (one of four)"
    return words.split("-")[0] if not words.startswith("RTX") else words


def _of_board(
    name: str, gib: float, tflops: float, gigabytes: float, vgpu: str, sizes: tuple[int, ...]
) -> Iterator[Gpu]:
    bandwidth = gigabytes * 1e9
    yield Gpu(name, "gpu", int(gib * GIB), tflops, bandwidth)
    for size in sizes:
        usable = int(size * _USABLE_OF_PROFILE * GIB)
        yield Gpu(f"{vgpu}-{size}C", "vgpu", usable, tflops, bandwidth)
    slices, profiles = _MIG.get(vgpu, (1, ()))
    for count, size in profiles:
        usable = int(size * _USABLE_OF_PROFILE * GIB)
        share = count / slices
        yield Gpu(f"{vgpu}-{count}-{size}C", "mig", usable, tflops * share, bandwidth * share)
