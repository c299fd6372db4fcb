"""What a vCenter holds, read in a handful of calls: the inventory, alarms and the event history.

The inventory comes through one container view and the property collector, in pages, never with a
call per object. What the account may not see is missing from a `Thing`, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from rag.errors import SourceError
from rag.sources.vcenter_session import Session, below, event_history, given

if TYPE_CHECKING:
    from rag.sources.vcenter import VCenterConfig

_PATHS = {
    "Folder": "name parent",
    "Datacenter": "name parent",
    "ComputeResource": "name parent datastore summary configurationEx",
    "HostSystem": "name parent datastore runtime.connectionState runtime.powerState "
    "runtime.inMaintenanceMode runtime.bootTime summary.hardware summary.quickStats config.product "
    "config.pciPassthruInfo config.graphicsInfo config.sharedPassthruGpuTypes "
    "config.assignableHardwareBinding hardware.pciDevice",
    "VirtualMachine": "name parent datastore network config.template config.instanceUuid "
    "config.guestFullName config.hardware runtime.host runtime.powerState guest.ipAddress "
    "guest.hostName guest.toolsRunningStatus",
    "Datastore": "name parent summary host",
    "Network": "name parent host",
    "dvs.DistributedVirtualPortgroup": "config.defaultPortConfig",
}
"""vSphere's types, and the properties that are read of each."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A managed object: the properties that were read, as pyvmomi's data objects."""

    kind: str
    id: str
    properties: Mapping[str, Any]
    denied: frozenset[str] = frozenset()
    """Properties that the account may not read, rather than ones that have no value."""
    reference: Any = None

    def get(self, path: str, default: Any = None) -> Any:
        value = self.properties.get(path)
        return default if value is None else value

    @property
    def name(self) -> str:
        """As people see it: vSphere keeps '/' in a name as %2f. Hostile text."""
        return unquote(str(self.get("name", ""))) or self.id

    def ref(self, path: str) -> str:
        """The id of the object that a property points to, '' without one."""
        return moid(self.get(path))


@dataclass(frozen=True, slots=True)
class Event:
    key: int
    time: datetime
    severity: str
    """error, warning or info."""
    text: str
    user: str
    subject: str
    """The host or machine it is about, or ''."""


@dataclass(slots=True)
class Estate:
    """What one run read. `problems` is (part, reason) of what it could not read."""

    host: str
    about: Any
    things: dict[str, Thing] = field(default_factory=dict)
    alarms: list[Any] = field(default_factory=list)
    alarm_names: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    cut: datetime | None = None
    """Events before this moment are missing, as there were more than `max_events`."""
    problems: list[tuple[str, str]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Thing]:
        """All things of these kinds, by name."""
        found = [thing for thing in self.things.values() if thing.kind in kinds]
        return sorted(found, key=lambda thing: (thing.name, thing.id))

    def above(self, thing: Thing | None, *kinds: str) -> Thing | None:
        """The nearest thing of these kinds that holds `thing`; for a machine, its host's."""
        for _ in range(64):
            if thing is None or thing.kind in kinds:
                return thing
            host = self.things.get(thing.ref("runtime.host"))
            thing = host or self.things.get(thing.ref("parent"))
        return None


def moid(reference: Any) -> str:
    return "" if reference is None else str(reference._GetMoId())


def read_estate(session: Session, config: VCenterConfig, now: datetime) -> Estate:
    """The inventory, alarms and events of the chosen datacenters. Raises where a part of the
    inventory is missing; alarms and events that cannot be read become problems."""
    content = session.content
    seen = _things(session, below(session, content.rootFolder, {"Datacenter": "name"}))
    if not seen:
        raise SourceError(
            f"{config.user} sees no datacenter: give it the read-only role at the top of the "
            "inventory, with propagation"
        )
    names = {name.casefold() for name in config.datacenters}
    chosen = [thing for thing in seen.values() if not names or thing.name.casefold() in names]
    estate = Estate(config.host, content.about, {thing.id: thing for thing in chosen})
    missing = names - {thing.name.casefold() for thing in chosen}
    if missing:
        there = ", ".join(sorted(thing.name for thing in seen.values()))
        reason = f"no datacenter is named {', '.join(sorted(missing))}; there are: {there}"
        estate.problems.append(("", reason))
    places = [thing.reference for thing in chosen] if names else []
    for container in places or [content.rootFolder]:
        estate.things |= _things(session, below(session, container, _PATHS))
    scope = scope_of(config)
    with _tolerated(session, estate, f"{scope}/alarms"):
        _read_alarms(session, estate, places)
    if "events" in config.include:
        since = (now - timedelta(hours=config.events_hours)).replace(
            minute=0, second=0, microsecond=0
        )
        with _tolerated(session, estate, f"{scope}/events/"):
            estate.events, estate.cut = read_events(session, since, config.max_events, places)
    return estate


def _read_alarms(session: Session, estate: Estate, places: Sequence[Any]) -> None:
    """A triggered alarm shows at everything above it, so the top has them all."""
    tops = places or [session.content.rootFolder]
    path = {"ManagedEntity": "triggeredAlarmState"}
    for top in _things(session, given(session, tops, path)).values():
        if "triggeredAlarmState" in top.denied:
            raise session.vim.fault.NoPermission()
        states = top.get("triggeredAlarmState", ())
        estate.alarms += [state for state in states if state.overallStatus in ("red", "yellow")]
    alarms = {moid(state.alarm): state.alarm for state in estate.alarms}
    known = _things(session, given(session, list(alarms.values()), {"alarm.Alarm": "info.name"}))
    estate.alarm_names = {thing.id: thing.get("info.name", "") for thing in known.values()}


@contextmanager
def _tolerated(session: Session, estate: Estate, path: str) -> Iterator[None]:
    """What vCenter refuses in here is a problem of `path` alone, unless the session ended."""
    try:
        yield
    except session.vmodl.MethodFault as fault:
        if isinstance(fault, session.vim.fault.NotAuthenticated):
            raise
        kind = type(fault).__name__.rpartition(".")[2]
        reason = f"vCenter refuses it ({kind}): give the account the read-only role"
        estate.problems.append((path, reason))


def scope_of(config: VCenterConfig) -> str:
    """Where the estate's own pages lie: sources of other datacenters have theirs elsewhere."""
    names = sorted({name.casefold() for name in config.datacenters})
    return "/".join(
        ("estate", *(["+".join(quote(name, safe="") for name in names)] if names else ()))
    )


def _things(session: Session, items: Iterable[Any]) -> dict[str, Thing]:
    """What the property collector tells, by id."""
    found = {}
    for item in items:
        denied = []
        for entry in item.missingSet:
            if isinstance(entry.fault, session.vim.fault.NotAuthenticated):
                raise entry.fault  # the session ended between two pages
            if isinstance(entry.fault, session.vim.fault.NoPermission):
                denied.append(entry.path)
        properties = {entry.name: entry.val for entry in item.propSet}
        thing = Thing(item.obj._wsdlName, moid(item.obj), properties, frozenset(denied), item.obj)
        found[thing.id] = thing
    return found


def read_events(
    session: Session, since: datetime, most: int, within: Sequence[Any]
) -> tuple[list[Event], datetime | None]:
    """Events since then, newest first, and `Estate.cut`.

    Errors are read first, then warnings, then everything, so that a flood of small talk does not
    hide them. The account's own logins are left out: every run would add one.
    """
    found: dict[int, Event] = {}
    for severity in ("error", "warning", "info"):
        for place in within or (None,):
            category = "" if severity == "info" else severity
            for raw in event_history(session, since, category, place):
                if raw.key not in found and not _is_own_login(session, raw):
                    found[raw.key] = _event(raw, severity)
                if len(found) > most:
                    left_out = found.pop(raw.key)
                    all_of_it = datetime.max.replace(tzinfo=UTC)
                    return _newest_first(found), left_out.time if severity == "info" else all_of_it
    return _newest_first(found), None


def _newest_first(found: Mapping[int, Event]) -> list[Event]:
    return sorted(found.values(), key=lambda event: (event.time, event.key), reverse=True)


def _is_own_login(session: Session, raw: Any) -> bool:
    kinds = (session.vim.event.UserLoginSessionEvent, session.vim.event.UserLogoutSessionEvent)
    return isinstance(raw, kinds) and raw.userName == session.user


def _event(raw: Any, severity: str) -> Event:
    about = raw.vm or raw.host or raw.ds or raw.computeResource
    return Event(
        key=raw.key,
        time=raw.createdTime.astimezone(UTC),
        severity=severity,
        text=raw.fullFormattedMessage or getattr(raw, "message", None) or type(raw).__name__,
        user=raw.userName or "",
        subject=unquote(about.name) if about else "",
    )
