"""The GPUs of ESXi hosts: which boards there are, who uses them, and which are free.

Pure: it looks at what `source_vcenter_read` has read. A board counts as free only where a machine
could take it at once: the host is up, the board is set up for passthrough or for vGPU, and no
machine holds it. Where vCenter does not say enough the board is "not ready", with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rag.sources.vcenter_read import Estate, Thing, moid

State = Literal["free", "in use", "reserved", "not ready"]
Kind = Literal["fixed", "dynamic", "vgpu"]

_VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}
_DISPLAY, _ACCELERATOR = 0x03, 0x12  # PCI base classes
_CONSOLES = {(0x1002, 0x515E), (0x1002, 0x4752)}  # ATI ES1000 and Rage XL on server boards
_BOARDS: dict[tuple[int, int], tuple[str, str, int]] = {
    (0x10DE, 0x1DB1): ("NVIDIA V100", "SXM2 16GB", 16),
    (0x10DE, 0x1DB4): ("NVIDIA V100", "PCIe 16GB", 16),
    (0x10DE, 0x1DB5): ("NVIDIA V100", "SXM2 32GB", 32),
    (0x10DE, 0x1DB6): ("NVIDIA V100", "PCIe 32GB", 32),
    (0x10DE, 0x1EB8): ("NVIDIA T4", "", 16),
    (0x10DE, 0x20B0): ("NVIDIA A100", "SXM4 40GB", 40),
    (0x10DE, 0x20B2): ("NVIDIA A100", "SXM4 80GB", 80),
    (0x10DE, 0x20B5): ("NVIDIA A100", "PCIe 80GB", 80),
    (0x10DE, 0x20F1): ("NVIDIA A100", "PCIe 40GB", 40),
    (0x10DE, 0x20B7): ("NVIDIA A30", "", 24),
    (0x10DE, 0x2235): ("NVIDIA A40", "", 48),
    (0x10DE, 0x2236): ("NVIDIA A10", "", 24),
    (0x10DE, 0x26B5): ("NVIDIA L40", "", 48),
    (0x10DE, 0x26B9): ("NVIDIA L40S", "", 48),
    (0x10DE, 0x27B8): ("NVIDIA L4", "", 24),
    (0x10DE, 0x2321): ("NVIDIA H100", "NVL 94GB", 94),
    (0x10DE, 0x2330): ("NVIDIA H100", "SXM5 80GB", 80),
    (0x10DE, 0x2331): ("NVIDIA H100", "PCIe 80GB", 80),
    (0x10DE, 0x2335): ("NVIDIA H200", "SXM 141GB", 141),
    (0x10DE, 0x233B): ("NVIDIA H200", "NVL 141GB", 141),
}
"""(vendor, device) -> family, variant, memory in GB; other boards go by the host's own name."""

_HEX_ADDRESS = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_DECIMAL_ADDRESS = re.compile(r"(\d{5}):(\d{3}):(\d{2})\.([0-7])")
_PROFILE_GB = re.compile(r"-(\d{1,3})[abcq](?:me|gfx)?$")


@dataclass(slots=True)
class Use:
    """One machine's claim on a board."""

    machine: Thing
    profile: str = ""
    """The vGPU profile; '' takes the whole board."""
    certain: bool = True
    """False where vCenter does not say which of the host's boards it is."""

    @property
    def running(self) -> bool:
        return bool(self.machine.get("runtime.powerState") == "poweredOn")


@dataclass(slots=True)
class Gpu:
    """One board. `address` is its PCI address, such as 0000:3b:00.0."""

    host: Thing
    address: str
    device: tuple[int, int]
    family: str
    variant: str
    memory_gb: int
    """0 where unknown."""
    state: State = "not ready"
    why: str = ""
    """What it is free for, or why it is not ready."""
    uses: list[Use] = field(default_factory=list)

    @property
    def model(self) -> str:
        return f"{self.family} {self.variant}".strip()

    @property
    def left_gb(self) -> int:
        """Memory that further vGPUs of a shared board could have; 0 where nothing is known."""
        sizes = [profile_gb(use.profile) for use in self.uses if use.running]
        return max(0, self.memory_gb - sum(sizes)) if sizes and all(sizes) else 0


def profile_gb(profile: str) -> int:
    """Frame buffer of a vGPU profile: 'grid_a30-12c' is 12; 0 where the name does not tell."""
    match = _PROFILE_GB.search(profile.lower())
    return int(match[1]) if match else 0


def pci_address(text: str | None) -> str:
    """The usual hexadecimal form: ESXi 7 writes '00000:059:00.0' for '0000:3b:00.0'."""
    text = (text or "").strip().lower()
    if decimal := _DECIMAL_ADDRESS.fullmatch(text):
        segment, bus, slot, function = (int(part) for part in decimal.groups())
        return f"{segment:04x}:{bus:02x}:{slot:02x}.{function}"
    if found := _HEX_ADDRESS.search(text):
        return f"{found[1] or '0000'}:{found[2]}:{found[3]}.{found[4]}"
    return text


def estate_gpus(estate: Estate) -> list[Gpu]:
    """Every board of every host, by family, host name and address."""
    found: list[Gpu] = []
    machines: dict[str, list[Thing]] = {}
    for machine in estate.of("VirtualMachine"):
        machines.setdefault(machine.ref("runtime.host"), []).append(machine)
    for host in estate.of("HostSystem"):
        boards = list(_boards(host))
        _assign(host, boards, machines.get(host.id, ()))
        for board in boards:
            board.state, board.why = _state(host, board)
        found += boards
    return sorted(found, key=lambda gpu: (gpu.family, gpu.host.name, gpu.host.id, gpu.address))


def _boards(host: Thing) -> Iterator[Gpu]:
    """One a bus: what follows the first of its kind on a bus are its SR-IOV virtual functions."""
    graphics = {pci_address(g.pciId): g for g in host.get("config.graphicsInfo", ())}
    seen: set[tuple[str, tuple[int, int]]] = set()
    for pci in sorted(host.get("hardware.pciDevice", ()), key=lambda pci: pci_address(pci.id)):
        device = (pci.vendorId & 0xFFFF, pci.deviceId & 0xFFFF)
        address = pci_address(pci.id)
        bus = address[:7]
        if not _is_gpu(device, (pci.classId & 0xFFFF) >> 8, bus) or (bus, device) in seen:
            continue
        seen.add((bus, device))
        known = graphics.get(address)
        family, variant, memory = _BOARDS.get(device) or _described(pci, device[0], known)
        yield Gpu(host, address, device, family, variant, memory)


def _is_gpu(device: tuple[int, int], base_class: int, bus: str) -> bool:
    """Whether it computes: a server's console (Matrox, ASPEED) and graphics in the CPU do not."""
    if device[0] not in _VENDORS or device in _CONSOLES:
        return False
    if device[0] != 0x10DE and bus == "0000:00":
        return False
    return base_class == _DISPLAY or (base_class == _ACCELERATOR and device[0] == 0x1002)


def _described(pci: Any, vendor: int, graphics: Any) -> tuple[str, str, int]:
    """'GA102GL [RTX A6000]' of NVIDIA is 'NVIDIA RTX A6000'."""
    name = " ".join(str(pci.deviceName or "").split())
    bracket = re.search(r"\[([^\[\]]+)\]", name)
    name = bracket[1] if bracket else name
    maker = _VENDORS[vendor]
    if not name or name.lower().startswith("unknown"):
        name = f"GPU {pci.deviceId & 0xFFFF:04x}"
    family = name if name.lower().startswith(maker.lower()) else f"{maker} {name}"
    memory = getattr(graphics, "memorySizeInKB", 0) or 0
    return family, "", round(memory / 1024**2)


def _assign(host: Thing, boards: Sequence[Gpu], machines: Sequence[Thing]) -> None:
    """Give each machine's devices to the boards they are, or may be, on."""
    vague: list[tuple[Use, Sequence[Gpu]]] = []
    for machine in machines:
        for kind, backing in passthrough_devices(machine):
            use = Use(machine, getattr(backing, "vgpu", None) or "")
            if not use.running and kind != "fixed":
                continue  # bound to a board, and a host, only when it is powered on
            address = _address_of(host, machine, kind, backing)
            board = next((board for board in boards if board.address == address), None)
            if board is not None:
                board.uses.append(use)
            elif not address:
                vague.append((use, _fitting(boards, kind, backing)))
    for use, fitting in vague:  # last, when the others have taken what is surely theirs
        use.certain = False
        idle = sorted(fitting, key=lambda board: len(board.uses))
        if idle:
            idle[0].uses.append(use)


def passthrough_devices(machine: Thing) -> Iterator[tuple[Kind, Any]]:
    """The machine's PCI devices of the host: which kind, and pyvmomi's backing of it."""
    kinds: dict[str, Kind] = {
        "DeviceBackingInfo": "fixed",
        "DynamicBackingInfo": "dynamic",
        "VmiopBackingInfo": "vgpu",
    }
    for device in getattr(machine.get("config.hardware"), "device", None) or ():
        name = type(getattr(device, "backing", None)).__name__
        holder, _, kind = name.rpartition(".")
        if holder.endswith("VirtualPCIPassthrough") and kind in kinds:
            yield kinds[kind], device.backing


def _address_of(host: Thing, machine: Thing, kind: Kind, backing: Any) -> str:
    """Of the board behind a device; '' where vCenter does not tell."""
    if kind == "fixed":
        return pci_address(backing.id)
    if kind == "vgpu":
        for graphics in host.get("config.graphicsInfo", ()):
            if machine.id in {moid(reference) for reference in graphics.vm}:
                return pci_address(graphics.pciId)
        return ""
    if assigned := getattr(backing, "assignedId", None):  # since 7.0
        return pci_address(assigned)
    for binding in host.get("config.assignableHardwareBinding", ()):
        if moid(binding.vm) == machine.id and _HEX_ADDRESS.search(binding.instanceId):
            return pci_address(binding.instanceId)
    return ""


def _fitting(boards: Sequence[Gpu], kind: Kind, backing: Any) -> list[Gpu]:
    """The boards that a device may be on."""
    if kind == "vgpu":  # grid_a30-12c, nvidia_l40s-24q
        name = re.split(r"[_-]", (backing.vgpu or "").lower())[1:2]
        same = [b for b in boards if name and name[0] in b.family.lower().split()]
        return same or list(boards)
    wanted = getattr(backing, "allowedDevice", None) or ()
    allowed = {(a.vendorId & 0xFFFF, a.deviceId & 0xFFFF) for a in wanted}
    return [board for board in boards if not allowed or board.device in allowed]


def _state(host: Thing, board: Gpu) -> tuple[State, str]:
    if any(use.running for use in board.uses):
        return "in use", ""
    if trouble := host_trouble(host):
        return "not ready", f"the host {trouble}"
    if board.uses:
        return "reserved", ""
    passthru = {pci_address(p.id): p for p in host.get("config.pciPassthruInfo", ())}
    graphics = {pci_address(g.pciId): g for g in host.get("config.graphicsInfo", ())}
    setting, shown = passthru.get(board.address), graphics.get(board.address)
    if setting is not None and setting.passthruActive:
        return "free", "ready for passthrough"
    if setting is not None and setting.passthruEnabled:
        return "not ready", "passthrough is enabled but takes effect after a reboot of the host"
    if shown is not None and shown.graphicsType == "sharedDirect":
        if vgpu_profiles(host) or "config.sharedPassthruGpuTypes" in host.denied:
            return "free", "ready for vGPU"
        return "not ready", "it is set to shared direct, but the host offers no vGPU profile"
    if setting is None and "config.pciPassthruInfo" in host.denied:
        return "not ready", "the account may not read how it is set up"
    if setting is not None and setting.passthruCapable:
        return "not ready", "neither passthrough nor vGPU is enabled for it"
    return "not ready", "the host does not report it as capable of passthrough"


def host_trouble(host: Thing) -> str:
    """Why no machine can be started on a host, as a verb phrase; '' where one can."""
    connection = host.get("runtime.connectionState", "connected")
    if connection != "connected":
        return "is disconnected" if connection == "disconnected" else "does not respond"
    if host.get("runtime.powerState", "poweredOn") != "poweredOn":
        return "is not powered on"
    return "is in maintenance mode" if host.get("runtime.inMaintenanceMode") else ""


def vgpu_profiles(host: Thing) -> list[str]:
    """What the host offers for vGPU, by name."""
    return sorted(str(name) for name in host.get("config.sharedPassthruGpuTypes", ()))
