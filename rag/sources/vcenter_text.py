"""Things of an estate as Markdown, written to be quoted: every sentence names its subject.

Names, and the texts of events, are anybody's who may create a machine: each is put on one line,
cannot end a sentence and cannot open a heading, a fence or a link. Nothing here tells the time of
observation, and gauges come in coarse steps, so that an estate at rest gives the same bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rag.sources.vcenter_gpus import Gpu, host_trouble, passthrough_devices, vgpu_profiles
from rag.sources.vcenter_read import Estate, Thing, moid

_NAMES_A_LINE = 8
_LONGEST_NAME = 120
_WORDS_OF_A_NAME, _LENGTH_OF_A_NAME = 6, 80
_STOPS = re.compile(r"[.!?]+(?=[\"'”’)\]]*(?:\s|$))|[。！？]+")


def plain(text: str | None, most: int = _LONGEST_NAME) -> str:
    """Foreign text as a part of one of our sentences; direction marks and the like go."""
    text = "unknown" if text is None else text
    seen = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    line = _STOPS.sub(";", " ".join(seen.split())).strip("; ")
    line = re.sub(r"<(?=[a-zA-Z/!])", "‹", re.sub(r"`{2,}", "'", line)).replace("](", "] (")
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def named(thing: Thing | None) -> str:
    """A thing's name, in quotation marks where it is more than one word.

    A name is told in every sentence about its thing, so one that is itself a sentence would be
    found before the truth: of such the beginning is told, and the id.
    """
    if thing is None:
        return "unknown"
    name = plain(thing.name).replace('"', "'") or thing.id
    words = name.split()
    if len(words) > _WORDS_OF_A_NAME or len(name) > _LENGTH_OF_A_NAME:
        return f'"{" ".join(words[:3])[:30].rstrip()}…" ({plain(thing.id)})'
    return name if re.fullmatch(r"[\w.:@+-]+", name) else f'"{name}"'


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def gigabytes(size: float) -> str:
    """Bytes as vSphere counts them: '512 GB', '4 TB'."""
    for unit, step in (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2)):
        if size >= step:
            return f"{size / step:.3g} {unit}"
    return f"{size:.0f} bytes"


def moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def listed(subject: str, names: Sequence[str]) -> list[str]:
    """'SUBJECT: a, b.' in lines short enough for a passage, each with the subject."""
    return [
        f"{subject}{' (continued)' if at else ''}: {', '.join(names[at : at + _NAMES_A_LINE])}."
        for at in range(0, len(names), _NAMES_A_LINE)
    ]


def place(estate: Estate, thing: Thing) -> str:
    cluster = estate.above(thing, "ClusterComputeResource")
    datacenter = estate.above(thing, "Datacenter")
    parts = [f"cluster {named(cluster)}"] if cluster else []
    parts += [f"datacenter {named(datacenter)}"] if datacenter else []
    return " of ".join(parts) or "vCenter"


def joined(lines: Sequence[str]) -> str:
    """Headings, list items and paragraphs, one a line; a blank line before and after headings."""
    text = ""
    for line in lines:
        gap = "\n\n" if line.startswith("#") or not line.startswith("- ") else "\n"
        text += (gap if text else "") + line
    return text + "\n"


def host_text(estate: Estate, host: Thing, gpus: Sequence[Gpu]) -> str:
    """What the host is, its state, its GPUs, its machines, its alarms."""
    me = f"Host {named(host)}"
    trouble = host_trouble(host)
    state = f"{trouble}: no virtual machine can be started on it now"
    lines = [
        f"# ESXi host {named(host)}",
        f"{me} is an ESXi host in {place(estate, host)}.",
        f"{me} {state if trouble else 'is connected, powered on and not in maintenance mode'}.",
    ]
    if product := host.get("config.product"):
        lines.append(
            f"{me} runs VMware ESXi {plain(product.version)}, build {plain(product.build)}."
        )
    if hardware := host.get("summary.hardware"):
        lines.append(
            f"{me} is a {plain(hardware.vendor)} {plain(hardware.model)} with "
            f"{count(hardware.numCpuPkgs, 'processor')} ({plain(hardware.cpuModel)}), "
            f"{hardware.numCpuCores} cores and {gigabytes(hardware.memorySize)} of memory."
        )
        lines += _usage(me, host)
    if booted := host.get("runtime.bootTime"):
        lines.append(f"{me} was booted at {moment(booted)}.")
    stores = [named(store) for store in things_at(estate, host.get("datastore", ()))]
    lines += listed(f"Datastores of host {named(host)}", stores)
    lines += [f"## GPUs of host {named(host)}", *_host_gpus(me, host, gpus)]
    machines = [vm for vm in estate.of("VirtualMachine") if vm.ref("runtime.host") == host.id]
    running = [named(vm) for vm in machines if vm.get("runtime.powerState") == "poweredOn"]
    others = [named(vm) for vm in machines if vm.get("runtime.powerState") != "poweredOn"]
    lines += [
        f"## Virtual machines on host {named(host)}",
        f"{me} runs {count(len(running), 'virtual machine')}.",
        *listed(f"Virtual machines running on host {named(host)}", running),
        *listed(f"Virtual machines on host {named(host)} that are not powered on", others),
    ]
    lines += own_alarms(estate, host, me)
    facts: dict[str, object] = {"Managed object": host.id}
    if hardware:
        facts |= {"Hardware UUID": hardware.uuid, "CPU threads": hardware.numCpuThreads}
    return joined(lines + _facts(me, facts))


def _usage(me: str, host: Thing) -> list[str]:
    """CPU in three bands, memory in tenths: what changes each minute must not change the text."""
    hardware, now = host.get("summary.hardware"), host.get("summary.quickStats")
    total = hardware.cpuMhz * hardware.numCpuCores
    if not now or now.overallCpuUsage is None or now.overallMemoryUsage is None or not total:
        return []
    load = now.overallCpuUsage / total
    band = "less than half" if load < 0.5 else "half to four fifths" if load < 0.8 else "over 80 %"
    memory = now.overallMemoryUsage * 1024**2 / max(1, hardware.memorySize)
    return [f"{me} uses {band} of its CPU and about {round(memory * 10) * 10} % of its memory."]


def _host_gpus(me: str, host: Thing, gpus: Sequence[Gpu]) -> list[str]:
    if "hardware.pciDevice" in host.denied or host.get("hardware.pciDevice") is None:
        return [f"vCenter does not say which GPUs {me.lower()} has."]
    if not gpus:
        return [f"{me} has no GPU."]
    models = Counter(gpu.model for gpu in gpus)
    has = ", ".join(f"{number} × {plain(model)}" for model, number in models.items())
    lines = [f"{me} has {count(len(gpus), 'GPU')} ({has}), {some_free(gpus)}."]
    lines += [f"- {gpu_sentence(gpu)}" for gpu in gpus]
    return lines + listed(f"vGPU profiles that host {named(host)} offers", vgpu_profiles(host))


def gpu_sentence(gpu: Gpu) -> str:
    size = f" ({gpu.memory_gb} GB)" if gpu.memory_gb and not gpu.variant else ""
    board = f"GPU {plain(gpu.model)}{size} at {gpu.address} of host {named(gpu.host)}"
    if gpu.state == "in use":
        users = [_user(use.machine, use.profile) for use in gpu.uses if use.running]
        doubt = "" if all(use.certain for use in gpu.uses) else ", as far as vCenter tells"
        left = f"; {gpu.left_gb} GB are left for further vGPUs" if gpu.left_gb else ""
        return f"{board} is in use by {', '.join(users)}{doubt}{left}."
    if gpu.state == "reserved":
        owners = ", ".join(named(use.machine) for use in gpu.uses)
        return f"{board} is reserved for {owners}, which is not powered on."
    return f"{board} is {gpu.state}: {plain(gpu.why)}."


def _user(machine: Thing, profile: str) -> str:
    how = f"vGPU {plain(profile)}" if profile else "passthrough"
    return f"virtual machine {named(machine)} ({how})"


def some_free(gpus: Sequence[Gpu]) -> str:
    free = sum(gpu.state == "free" for gpu in gpus)
    return f"{free} of them free" if free else "none of them free"


def are(number: int) -> str:
    return "is" if number == 1 else "are"


def machine_text(estate: Estate, machine: Thing, gpus: Sequence[Gpu]) -> str:
    """Where a machine or template is, what it has, its GPU, its address, its alarms."""
    template = machine.get("config.template")
    what = "template" if template else "virtual machine"
    me = f"{what.capitalize()} {named(machine)}"
    host = estate.things.get(machine.ref("runtime.host"))
    power = {"poweredOn": "powered on", "poweredOff": "powered off", "suspended": "suspended"}
    state = power.get(str(machine.get("runtime.powerState")), "in an unknown power state")
    lines = [f"# {me}"]
    if host and not template:
        verb = "runs on" if state == "powered on" else "is registered on"
        lines.append(f"{me} is {state} and {verb} host {named(host)} in {place(estate, host)}.")
    else:
        lines.append(f"{me} is {'a template' if template else state} in {place(estate, machine)}.")
    if hardware := machine.get("config.hardware"):
        lines.append(
            f"{me} has {count(hardware.numCPU, 'virtual CPU')} and "
            f"{gigabytes(hardware.memoryMB * 1024**2)} of memory."
        )
        lines += [f"{me} {claim}." for claim in _claims(machine, gpus) or ["has no GPU"]]
    lines += _guest(me, machine)
    stores = [named(store) for store in things_at(estate, machine.get("datastore", ()))]
    networks = [named(net) for net in things_at(estate, machine.get("network", ()))]
    lines += listed(f"Datastores of {what} {named(machine)}", stores)
    lines += listed(f"Networks of {what} {named(machine)}", networks)
    lines += own_alarms(estate, machine, me)
    facts = {"Managed object": machine.id, "Instance UUID": machine.get("config.instanceUuid")}
    return joined(lines + _facts(me, facts))


def _guest(me: str, machine: Thing) -> Iterator[str]:
    if system := machine.get("config.guestFullName"):
        yield f"{me} is set up for the guest operating system {plain(system)}."
    address, name = machine.get("guest.ipAddress"), machine.get("guest.hostName")
    if address:
        also = f" and the guest host name {plain(name)}" if name else ""
        yield f"{me} has the IP address {plain(address)}{also}."
    if tools := machine.get("guest.toolsRunningStatus"):
        runs = "runs" if tools == "guestToolsRunning" else "does not run"
        yield f"{me} {runs} VMware Tools."


def _claims(machine: Thing, gpus: Sequence[Gpu]) -> list[str]:
    """What a machine has, or asks for, of the hosts' devices, as verb phrases."""
    claims = []
    for gpu in gpus:
        for use in gpu.uses:
            if use.machine.id == machine.id:
                verb = "uses" if use.running else "has reserved"
                how = f"vGPU {plain(use.profile)} of " if use.profile else ""
                board = f"GPU {plain(gpu.model)} at {gpu.address} of host {named(gpu.host)}"
                claims.append(f"{verb} {how}{board}")
    if claims:
        return claims
    for kind, backing in passthrough_devices(machine):
        if kind == "vgpu":
            claims.append(f"is configured with the vGPU profile {plain(backing.vgpu or 'unknown')}")
        else:
            which = "any matching" if kind == "dynamic" else "one certain"
            claims.append(f"is configured with passthrough of {which} PCI device of its host")
    return claims


def _facts(me: str, facts: Mapping[str, object]) -> list[str]:
    """What people look up letter for letter, as a list."""
    known = [f"- {name}: {plain(str(value))}" for name, value in facts.items() if value]
    return [f"## Facts of {me[0].lower()}{me[1:]}", *known]


def things_at(estate: Estate, references: Sequence[Any]) -> list[Thing]:
    """What the references point to, as far as it was read, by name."""
    found = [estate.things[moid(r)] for r in references if moid(r) in estate.things]
    return sorted(found, key=lambda thing: (thing.name, thing.id))


def alarm_sentence(estate: Estate, state: Any) -> str:
    grade = {"red": "critical (red)", "yellow": "a warning (yellow)"}
    name = plain(estate.alarm_names.get(moid(state.alarm), "")) or "without a name"
    entity = estate.things.get(moid(state.entity))
    kinds = {"HostSystem": "host", "VirtualMachine": "virtual machine", "Datastore": "datastore"}
    kinds |= {"ClusterComputeResource": "cluster", "Datacenter": "datacenter"}
    on = f"{kinds.get(entity.kind, 'object')} {named(entity)}" if entity else "an unseen object"
    seen = "not acknowledged"
    if state.acknowledged:
        seen = f"acknowledged by {plain(state.acknowledgedByUser or 'somebody')}"
    return (
        f'Alarm "{name}" on {on} is {grade.get(state.overallStatus, plain(state.overallStatus))} '
        f"since {moment(state.time)}, {seen}."
    )


def own_alarms(estate: Estate, thing: Thing, me: str) -> list[str]:
    own = [state for state in estate.alarms if moid(state.entity) == thing.id]
    if not own:
        return []
    found = [f"- {alarm_sentence(estate, state)}" for state in own]
    return [f"## Alarms of {me[0].lower()}{me[1:]}", *found]
