"""What more than one host shares, as Markdown: clusters, datastores, networks, and what an estate
has in all: GPUs, alarms, events, an overview.

The GPU page is cut so that one passage answers one question: what is free of a family stands under
a heading of its own, apart from what is in use or not ready.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rag.sources.vcenter_gpus import Gpu, State, host_trouble
from rag.sources.vcenter_read import Estate, Event, Thing
from rag.sources.vcenter_text import (
    alarm_sentence,
    are,
    count,
    gigabytes,
    gpu_sentence,
    joined,
    listed,
    moment,
    named,
    own_alarms,
    place,
    plain,
    some_free,
    things_at,
)

_LONGEST_EVENT = 400


def networks_text(estate: Estate) -> str:
    nets = estate.of("Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
    me = f"vCenter {plain(estate.host)}"
    lines = [f"# Networks in {me}", f"{me} has {count(len(nets), 'network')}."]
    for net in nets:
        kind = "distributed port group" if "Portgroup" in net.kind else "network"
        port = net.get("config.defaultPortConfig")
        vlan = getattr(getattr(port, "vlan", None), "vlanId", None)
        tag = f" with VLAN {vlan}" if isinstance(vlan, int) and vlan else ""
        hosts = count(len(net.get("host", ())), "host")
        lines.append(
            f"- {kind.capitalize()} {named(net)} of {place(estate, net)} reaches {hosts}{tag}."
        )
    return joined(lines)


def overview_text(estate: Estate, gpus: Sequence[Gpu]) -> str:
    me = f"vCenter {plain(estate.host)}"
    hosts, machines = estate.of("HostSystem"), estate.of("VirtualMachine")
    templates = [vm for vm in machines if vm.get("config.template")]
    running = sum(vm.get("runtime.powerState") == "poweredOn" for vm in machines)
    lines = [
        f"# Overview of {me}",
        f"{me} is {plain(estate.about.fullName)}.",
        f"{me} manages {count(len(hosts), 'host')} and "
        f"{count(len(machines) - len(templates), 'virtual machine')}, of which {running} "
        f"{are(running)} powered on, and {count(len(templates), 'template')}.",
        f"{me} has {count(len(gpus), 'GPU')}, {some_free(gpus)}.",
    ]
    for kind, noun in (("Datacenter", "Datacenters"), ("ClusterComputeResource", "Clusters")):
        lines += listed(f"{noun} of {me}", [named(thing) for thing in estate.of(kind)])
    lines += listed(f"Hosts of {me}", [named(host) for host in hosts])
    troubled = [f"{named(host)} {why}" for host in hosts if (why := host_trouble(host))]
    lines += listed(f"Hosts of {me} that cannot start virtual machines", troubled)
    return joined(lines)


def gpus_text(estate: Estate, gpus: Sequence[Gpu]) -> str:
    """All GPUs, by family: which are free, and apart from those, which are not and why."""
    hosts = {gpu.host.id for gpu in gpus}
    lines = [
        f"# GPUs in vCenter {plain(estate.host)}",
        f"vCenter {plain(estate.host)} has {count(len(gpus), 'GPU')} in "
        f"{count(len(hosts), 'host')}.",
    ]
    silent = [named(h) for h in estate.of("HostSystem") if h.get("hardware.pciDevice") is None]
    lines += listed("Hosts of which vCenter does not say what GPUs they have", silent)
    for family in dict.fromkeys(gpu.family for gpu in gpus):
        lines += _family(estate, plain(family), [gpu for gpu in gpus if gpu.family == family])
    return joined(lines)


def _family(estate: Estate, family: str, gpus: Sequence[Gpu]) -> list[str]:
    free = [gpu for gpu in gpus if gpu.state == "free"]
    total = count(len(gpus), f"{family} GPU")
    lines = [f"## Free {family} GPUs"]
    if free:
        lines.append(f"{len(free)} of {total} {are(len(free))} free.")
        lines += listed(f"Hosts with a free {family}", _by_host(estate, free))
    else:
        lines.append(f"No {family} is free: there {are(len(gpus))} {total}, none of them free.")
    shared = [gpu for gpu in gpus if gpu.state == "in use" and gpu.left_gb]
    rooms = [f"{named(gpu.host)} ({gpu.left_gb} of {gpu.memory_gb} GB)" for gpu in shared]
    lines += listed(f"Hosts with room for a vGPU on a shared {family}", rooms)
    headings: dict[State, str] = {
        "in use": f"## {family} GPUs in use",
        "reserved": f"## {family} GPUs reserved for machines that are not powered on",
        "not ready": f"## {family} GPUs that are not ready",
    }
    for state, heading in headings.items():
        if rest := [gpu for gpu in gpus if gpu.state == state]:
            lines += [heading, f"{len(rest)} of {total} {are(len(rest))} {state}."]
            lines += [f"- {gpu_sentence(gpu)}" for gpu in rest]
    return lines


def _by_host(estate: Estate, gpus: Sequence[Gpu]) -> list[str]:
    """'esx01 (2 × PCIe 40GB, in cluster C of datacenter D)', one a host."""
    found = []
    for host_id in dict.fromkeys(gpu.host.id for gpu in gpus):
        boards = [gpu for gpu in gpus if gpu.host.id == host_id]
        kinds = Counter(plain(gpu.variant or gpu.family) for gpu in boards)
        what = ", ".join(f"{number} × {kind}" for kind, number in kinds.items())
        host = boards[0].host
        found.append(f"{named(host)} ({what}, in {place(estate, host)})")
    return found


def cluster_text(estate: Estate, cluster: Thing, gpus: Sequence[Gpu]) -> str:
    me, summary = f"Cluster {named(cluster)}", cluster.get("summary")
    hosts = [host for host in estate.of("HostSystem") if host.ref("parent") == cluster.id]
    lines = [
        f"# Cluster {named(cluster)}",
        f"{me} is in datacenter {named(estate.above(cluster, 'Datacenter'))}.",
    ]
    lines.append(f"{me} has {count(len(hosts), 'host')}.")
    lines += listed(f"Hosts of cluster {named(cluster)}", [named(host) for host in hosts])
    if summary:
        lines.append(
            f"{me} has {summary.numCpuCores} CPU cores and {gigabytes(summary.totalMemory)} of "
            f"memory in all; {summary.numEffectiveHosts} of {count(summary.numHosts, 'host')} "
            "can run virtual machines."
        )
        mode = getattr(summary, "currentEVCModeKey", None)
        lines.append(f"{me} has EVC mode {plain(mode)}." if mode else f"{me} has EVC disabled.")
    settings = cluster.get("configurationEx")
    drs, ha = getattr(settings, "drsConfig", None), getattr(settings, "dasConfig", None)
    if drs:
        how = f" ({plain(drs.defaultVmBehavior)})" if drs.defaultVmBehavior else ""
        on = f"enabled{how}" if drs.enabled else "disabled"
        lines.append(f"{me} has DRS (distributed resource scheduler) {on}.")
    if ha:
        lines.append(f"{me} has HA (high availability) {'enabled' if ha.enabled else 'disabled'}.")
    lines.append(f"{me} has {count(len(gpus), 'GPU')}, {some_free(gpus)}.")
    stores = [named(store) for store in things_at(estate, cluster.get("datastore", ()))]
    lines += listed(f"Datastores of cluster {named(cluster)}", stores)
    return joined(lines + own_alarms(estate, cluster, me))


def datastore_text(estate: Estate, store: Thing, gpus: Sequence[Gpu]) -> str:
    """Free space in steps of 5 % of the capacity, of 1 % where less than a tenth is left."""
    me, summary = f"Datastore {named(store)}", store.get("summary")
    lines = [f"# Datastore {named(store)}", f"{me} is in {place(estate, store)}."]
    if summary and summary.capacity:
        share = summary.freeSpace / summary.capacity
        percent = round(share * 100) if share < 0.1 else round(share * 20) * 5
        free = gigabytes(summary.capacity * percent / 100)
        lines.append(
            f"{me} is a {plain(summary.type)} datastore of {gigabytes(summary.capacity)}, of which "
            f"about {percent} % ({free}) is free."
        )
    if summary and not summary.accessible:
        lines.append(f"{me} is not accessible.")
    if summary and summary.maintenanceMode not in (None, "normal"):
        lines.append(f"{me} is in maintenance mode or about to be.")
    mounts = things_at(estate, [mount.key for mount in store.get("host", ())])
    lines.append(f"{me} is mounted by {count(len(mounts), 'host')}.")
    lines += listed(f"Hosts of datastore {named(store)}", [named(host) for host in mounts])
    return joined(lines + own_alarms(estate, store, me))


def alarms_text(estate: Estate) -> str:
    """Worst first, then newest."""
    me = f"vCenter {plain(estate.host)}"
    found = sorted(estate.alarms, key=lambda s: (s.overallStatus != "red", -s.time.timestamp()))
    lines = [f"# Triggered alarms in {me}"]
    lines.append(f"{me} has {count(len(found), 'triggered alarm')}.")
    return joined(lines + [f"- {alarm_sentence(estate, state)}" for state in found])


def events_by_hour(events: Sequence[Event]) -> Iterator[tuple[datetime, list[Event]]]:
    """(the hour's beginning, its events newest first), newest hour first."""
    hours: dict[datetime, list[Event]] = {}
    for event in events:
        hours.setdefault(event.time.replace(minute=0, second=0, microsecond=0), []).append(event)
    yield from hours.items()


def events_text(estate: Estate, hour: datetime, events: Sequence[Event]) -> str:
    """One hour of events: errors, warnings, the rest; the same text is told once, with a count."""
    until = hour + timedelta(hours=1)
    when = f"{hour:%Y-%m-%d}, {hour:%H:%M} to {until:%H:%M} UTC"
    lines = [f"# Events in vCenter {plain(estate.host)} on {when}"]
    if estate.cut is not None and hour <= estate.cut:
        lines.append(f"There were more events in vCenter on {when}, which are not listed here.")
    headings = {"error": "## Errors", "warning": "## Warnings", "info": "## Other events"}
    for severity, heading in headings.items():
        chosen = [event for event in events if event.severity == severity]
        if chosen:
            lines += [heading, *_event_lines(chosen)]
    return joined(lines)


def _event_lines(events: Sequence[Event]) -> Iterator[str]:
    repeated = Counter((event.text, event.user, event.subject) for event in events)
    for event in events:
        times = repeated.pop((event.text, event.user, event.subject), 0)
        if not times:
            continue
        about = f" on {plain(event.subject)}" if event.subject else ""
        by = f", by {plain(event.user)}" if event.user else ""
        often = f" ({times} times in this hour, last then)" if times > 1 else ""
        kind = {"error": "error", "warning": "warning"}.get(event.severity, "event")
        told = plain(event.text, _LONGEST_EVENT)
        yield f"- {moment(event.time)}, {kind}{about}{by}{often}: {told}."
