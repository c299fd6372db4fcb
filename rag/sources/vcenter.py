"""A vCenter as a source: the live estate as documents, one a host, a cluster, a machine and so on.

Everything is read when `documents` is called, over one session, and written at once, so `load`
costs nothing. What vCenter says of itself changes every minute, and a text that did would be
embedded again at every run: gauges are rounded coarsely or left out (see `source_vcenter_text`),
and the stamp is the hash of the text. A run that cannot read the inventory whole yields nothing
but a Failure for the vCenter, so that nothing is pruned by mistake.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal, get_args
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator

from rag.errors import SourceError
from rag.schema import Failure, RawDocument
from rag.sources.config import SourceSection
from rag.sources.vcenter_gpus import Gpu, estate_gpus
from rag.sources.vcenter_read import Estate, Thing, read_estate, scope_of
from rag.sources.vcenter_reports import (
    alarms_text,
    cluster_text,
    datastore_text,
    events_by_hour,
    events_text,
    gpus_text,
    networks_text,
    overview_text,
)
from rag.sources.vcenter_session import advice, open_session
from rag.sources.vcenter_text import host_text, machine_text, plain

log = logging.getLogger(__name__)

Part = Literal[
    "overview", "gpus", "hosts", "clusters", "datastores", "networks", "vms", "alarms", "events"
]


class VCenterConfig(SourceSection):
    """One vCenter. The account needs the read-only role, propagated, and nothing more."""

    kind: Literal["vcenter"]
    host: str = Field(min_length=1)
    """Name or address, as the certificate has it."""
    port: int = Field(443, ge=1, le=65535)
    user: str = Field(min_length=1)
    """With its domain: reader@vsphere.local."""
    password: SecretStr = Field(min_length=1)
    verify_tls: bool = True
    ca_file: str = ""
    """Certificates of a private authority, PEM; empty: the system's."""
    timeout_s: float = Field(60.0, gt=0, le=600)
    """Longest silence of vCenter in one call."""
    datacenters: tuple[str, ...] = ()
    """Only these datacenters, by name; empty: all that the account sees."""
    events_hours: int = Field(24, ge=1, le=24 * 31)
    """How far back events are read, from the full hour on."""
    max_events: int = Field(1000, ge=1, le=50_000)
    """The most events of one run: errors before warnings, those before the newest of the rest."""
    include: tuple[Part, ...] = get_args(Part)
    """Which documents are written."""

    @field_validator("host")
    @classmethod
    def _bare_host(cls, host: str) -> str:
        if "/" in host or "@" in host or any(c.isspace() for c in host):
            raise ValueError("give the name or address alone, such as vcenter.example.com")
        return host.lower()


@dataclass(frozen=True, slots=True)
class Page:
    """A document to be: `path` is its place below the vCenter's URI."""

    path: str
    name: str
    labels: tuple[str, ...]
    write: Callable[[], str]
    link: str = ""


class VCenterSource:
    """`now` is asked once a run: for the documents' `modified` and where the event window ends."""

    def __init__(
        self, config: VCenterConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._now = now
        port = "" if config.port == 443 else f":{config.port}"
        self._server = f"{config.host}{port}"
        self.root = f"vcenter://{self._server}/"
        """Every document's URI lies below; another source of the same vCenter shares it."""

    def documents(self) -> Iterator[RawDocument | Failure]:
        now = self._now()
        try:
            with open_session(self._config) as session:
                estate = read_estate(session, self._config, now)
            made = list(pages(estate, self._config, self._server))
        except Exception as error:  # also pyvmomi's own bugs: a sync goes on to the next source
            if not isinstance(error, SourceError):
                log.debug("reading %s failed", self._server, exc_info=True)
            yield Failure(self.root, self._server, advice(error, self._config))
            return
        for path, reason in estate.problems:
            yield Failure(self.root + path, f"{self._server} {path}".strip(), reason)
        for page in made:
            yield self._document(page, now)

    def _document(self, page: Page, now: datetime) -> RawDocument | Failure:
        uri = self.root + page.path
        try:
            data = page.write().encode("utf-8", "replace")
        except Exception as error:  # data that no vCenter we know sends costs this document alone
            log.warning("writing %s failed", uri, exc_info=True)
            reason = f"cannot be described: {type(error).__name__}: {error}"
            return Failure(uri, page.name, reason)
        return RawDocument(
            uri=uri,
            name=page.name,
            modified=now,
            load=lambda: data,
            suffix=".md",
            stamp=hashlib.sha256(data).hexdigest(),
            groups=self._config.readers,
            metadata=self._config.metadata(labels=("vcenter", *page.labels), url=page.link),
        )


def pages(estate: Estate, config: VCenterConfig, server: str) -> Iterator[Page]:
    """Every document that the configuration asks for, the estate's own first."""
    gpus = estate_gpus(estate)
    yield from _estate_pages(estate, config, server, gpus)
    writers: dict[Part, tuple[str, Callable[[Estate, Thing, Sequence[Gpu]], str]]] = {
        "hosts": ("HostSystem", host_text),
        "clusters": ("ClusterComputeResource", cluster_text),
        "datastores": ("Datastore", datastore_text),
        "vms": ("VirtualMachine", machine_text),
    }
    concerned = _concerned(gpus)
    taken: set[str] = set()
    for part, (kind, write) in writers.items():
        for thing in estate.of(kind) if part in config.include else ():
            key = thing.get("config.instanceUuid", thing.id)  # outlives a new registration
            key = thing.id if key in taken else key
            taken.add(key)
            own = concerned.get(thing.id, [])
            datacenter = estate.above(thing, "Datacenter")
            above = _file_name(datacenter.name) if datacenter else "unknown"
            yield Page(
                path=f"{thing.kind}/{quote(key, safe='')}",
                name=f"{server}/{above}/{part}/{_file_name(thing.name)}",
                labels=(_LABELS[part], *(("gpu",) if own else ())),
                write=partial(write, estate, thing, own),
                link=_link(estate, server, thing),
            )


def _concerned(gpus: Sequence[Gpu]) -> dict[str, list[Gpu]]:
    """The boards of each host, each host's cluster and each machine, by their ids."""
    found: dict[str, list[Gpu]] = {}
    for gpu in gpus:
        users = {use.machine.id for use in gpu.uses}
        for thing_id in users | {gpu.host.id, gpu.host.ref("parent")}:
            found.setdefault(thing_id, []).append(gpu)
    return found


def _estate_pages(
    estate: Estate, config: VCenterConfig, server: str, gpus: Sequence[Gpu]
) -> Iterator[Page]:
    scope = scope_of(config)
    failed = {path for path, _ in estate.problems}
    writers = {
        "overview": partial(overview_text, estate, gpus),
        "gpus": partial(gpus_text, estate, gpus),
        "networks": partial(networks_text, estate),
        "alarms": partial(alarms_text, estate),
    }
    link = f"https://{server}/ui/"
    for part, write in writers.items():
        path = f"{scope}/{part}"
        if part in config.include and path not in failed:
            yield Page(path, f"{server}/{part}", (_LABELS.get(part, part),), write, link)
    for hour, events in events_by_hour(estate.events):
        name = f"events/{hour:%Y-%m-%dT%H}"
        write = partial(events_text, estate, hour, events)
        yield Page(f"{scope}/{name}", f"{server}/{name}", ("event",), write, link)


_LABELS = {
    "hosts": "host",
    "clusters": "cluster",
    "datastores": "datastore",
    "vms": "vm",
    "gpus": "gpu",
    "networks": "network",
    "alarms": "alarm",
}
_CLIENT = {
    "HostSystem": "host;nav=h",
    "ClusterComputeResource": "cluster;nav=h",
    "VirtualMachine": "vm;nav=v",
    "Datastore": "datastore;nav=s",
}


def _link(estate: Estate, server: str, thing: Thing) -> str:
    """The thing's page in the vSphere client."""
    urn = f"urn:vmomi:{thing.kind}:{quote(thing.id, safe='')}:{estate.about.instanceUuid}"
    return f"https://{server}/ui/app/{_CLIENT[thing.kind]}/{urn}/summary"


def _file_name(name: str) -> str:
    return plain(name).replace("/", "-") or "unnamed"
