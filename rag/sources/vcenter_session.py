"""A session with a vCenter, and what is asked over it: properties in pages, events by category.

TLS is really verified, and the API version is the newest that both sides know. pyvmomi's own
connect functions are not used: they skip verification at localhost, ask for the versions without a
timeout and keep the session in a global.
"""

from __future__ import annotations

import http.client
import importlib
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.sources.vcenter import VCenterConfig

log = logging.getLogger(__name__)

PAGE = 500
"""Objects in one answer; two thousand machines are five calls."""
_EVENT_PAGE = 1000  # vCenter's own limit
_OLDEST_VERSION = "vim.version.version12"  # 6.7


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in connection. `user` is the account as vCenter writes it in events."""

    vim: Any
    vmodl: Any
    content: Any
    user: str
    speaks: Callable[[str], bool]
    """Whether the API of this session has what came with a version, by pyvmomi's name of it."""


@contextmanager
def open_session(config: VCenterConfig) -> Iterator[Session]:
    """Log in; log out at the end. Raises SourceError, or what pyvmomi and the network raise."""
    try:
        pyvmomi = importlib.import_module("pyVmomi")
        support = importlib.import_module("pyVmomi.VmomiSupport")
    except ImportError as error:
        raise SourceError(
            "the vCenter source needs pyvmomi: run `make setup EXTRAS=vcenter`"
        ) from error
    tls = tls_context(config)
    with _connected(pyvmomi, config, tls, _OLDEST_VERSION) as content:
        version = best_version(support.versionIdMap, content.about.apiVersion)
    with _connected(pyvmomi, config, tls, version) as content:
        login = content.sessionManager.Login(config.user, config.password.get_secret_value())
        speaks = partial(support.IsChildVersion, version)
        is_alive = True
        try:
            yield Session(pyvmomi.vim, pyvmomi.vmodl, content, login.userName, speaks)
        except (OSError, http.client.HTTPException):
            is_alive = False  # vCenter ends idle sessions by itself
            raise
        finally:
            if is_alive:
                _log_out(content, config)


def _log_out(content: Any, config: VCenterConfig) -> None:
    try:
        content.sessionManager.Logout()
    except Exception:  # whatever it is, what was read stays read
        log.debug("logging out of %s failed", config.host, exc_info=True)


@contextmanager
def _connected(
    pyvmomi: Any, config: VCenterConfig, tls: ssl.SSLContext, version: str
) -> Iterator[Any]:
    """The service's content, not yet logged in."""
    stub = pyvmomi.SoapStubAdapter(
        config.host,
        config.port,
        version=version,
        sslContext=tls,
        httpConnectionTimeout=config.timeout_s,
    )
    _insist_on_answers(stub, config)
    try:
        yield pyvmomi.vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    finally:
        stub.DropConnections()


def _insist_on_answers(stub: Any, config: VCenterConfig) -> None:
    """pyvmomi takes a proxy's sign-in page for the answer "nothing": half an estate would look
    like a whole one, and the rest of it be pruned."""
    invoke = stub.InvokeMethod

    def insist(this: Any, method: Any, arguments: Any, outer: Any = None) -> Any:
        answer = invoke(this, method, arguments, outer)
        if answer is None and method.result is not type(None):
            raise SourceError(
                f"{config.host}:{config.port} did not answer as a vCenter does: check host and "
                "port; a sign-in page answers so too"
            )
        return answer

    stub.InvokeMethod = insist


def tls_context(config: VCenterConfig) -> ssl.SSLContext:
    """Raises SourceError for a `ca_file` that cannot be read."""
    if not config.verify_tls:
        log.warning("the certificate of %s is not verified: verify_tls is false", config.host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=config.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"ca_file {config.ca_file} cannot be read: {error}") from error


def best_version(known: Mapping[str, str], offered: str) -> str:
    """pyvmomi's name of the newest API version that is not newer than `offered` ('8.0.2.0')."""
    numbered = [
        (_numbers(number), name)
        for name, number in known.items()
        if name.startswith("vim.version.") and _numbers(number)
    ]
    usable = [entry for entry in numbered if entry[0] <= _numbers(offered)]
    oldest = _numbers(known[_OLDEST_VERSION])
    if not usable or max(usable)[0] < oldest:
        raise SourceError(f"vCenter speaks API {offered}: vSphere 6.7 or newer is needed")
    return max(usable)[1]


def _numbers(version: str) -> tuple[int, ...]:
    """'8.0.2' -> (8, 0, 2, 0); () where it is not all numbers."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return ()
    return tuple(int(part) for part in (*parts, "0", "0", "0", "0")[:4])


def below(session: Session, container: Any, paths: Mapping[str, str]) -> Iterator[Any]:
    """Everything of these types below `container`, as the property collector tells it.

    `paths` is vSphere's type names, each with the properties that are wanted. The view lives as
    long as the session.
    """
    types = [attrgetter(kind)(session.vim) for kind in paths]
    view = session.content.viewManager.CreateContainerView(container, types, True)
    collector = session.vmodl.query.PropertyCollector
    walk = collector.TraversalSpec(
        name="view", type=session.vim.view.ContainerView, path="view", skip=False
    )
    start = collector.ObjectSpec(obj=view, skip=True, selectSet=[walk])
    yield from _retrieve(session, [start], paths)


def given(session: Session, references: Sequence[Any], paths: Mapping[str, str]) -> Iterator[Any]:
    """The same of given objects; those that are gone meanwhile are left out."""
    object_spec = session.vmodl.query.PropertyCollector.ObjectSpec
    if references:
        yield from _retrieve(session, [object_spec(obj=r) for r in references], paths)


def _retrieve(session: Session, objects: Sequence[Any], paths: Mapping[str, str]) -> Iterator[Any]:
    collector = session.vmodl.query.PropertyCollector
    wanted = []
    for name, properties in paths.items():
        kind = attrgetter(name)(session.vim)
        known = _understood(session, kind, properties)
        wanted.append(collector.PropertySpec(type=kind, pathSet=known))
    spec = collector.FilterSpec(
        objectSet=list(objects), propSet=wanted, reportMissingObjectsInResults=True
    )
    service = session.content.propertyCollector
    page = service.RetrievePropertiesEx([spec], collector.RetrieveOptions(maxObjects=PAGE))
    yield from page.objects
    while page.token:
        page = service.ContinueRetrievePropertiesEx(page.token)
        yield from page.objects


def _understood(session: Session, kind: Any, paths: str) -> list[str]:
    """The paths that this vCenter's API version has: it refuses a call that names any other."""
    found = []
    for path in paths.split():
        holder, versions = kind, []
        for part in path.split("."):
            info = holder._GetPropertyInfo(part)
            holder = info.type
            versions.append(info.version)
        if all(session.speaks(version) for version in versions):
            found.append(path)
    return found


def event_history(session: Session, since: datetime, category: str, within: Any) -> Iterator[Any]:
    """Events since then, newest first; of every category for '', anywhere for None."""
    filters = session.vim.event.EventFilterSpec
    spec = filters(time=filters.ByTime(beginTime=since))
    if category:
        spec.category = [category]
    if within is not None:
        spec.entity = filters.ByEntity(entity=within, recursion="all")
    collector = session.content.eventManager.CreateCollectorForEvents(spec)
    collector.SetCollectorPageSize(_EVENT_PAGE)
    page = collector.latestPage
    collector.ResetCollector()  # to before the latest page
    while page:
        yield from sorted(page, key=lambda raw: -raw.key)
        page = collector.ReadPreviousEvents(_EVENT_PAGE)


def advice(error: Exception, config: VCenterConfig) -> str:
    """What went wrong with a vCenter, and what to do. Never holds the password."""
    where = f"{config.host}:{config.port}"
    fault = type(error).__name__.rpartition(".")[2]
    if isinstance(error, SourceError):
        return str(error)
    if fault == "InvalidLogin":
        return f"refuses user {config.user}: check user (with its domain) and password"
    if fault in ("NotAuthenticated", "NoPermission"):
        return f"ended the session of {config.user} or forbids reading: give it the read-only role"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {where} cannot be verified ({error.verify_message}): set ca_file "
            f"to the authority's certificate (from https://{config.host}/certs/download.zip) and "
            "host to a name in the certificate"
        )
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {config.timeout_s:g} s: check it, or raise timeout_s"
    if isinstance(error, http.client.HTTPException):
        what = " ".join(str(error).split()) or fault
        return f"{where} broke off or is overloaded ({what}): try again later"
    if isinstance(error, ExpatError):
        return f"{where} did not answer as a vCenter does ({error}): check host and port"
    if isinstance(error, OSError):
        return (
            f"{where} cannot be reached ({error.strerror or error}): check host, port and network"
        )
    message = getattr(error, "msg", None) or str(error)
    return f"reading failed: {fault}: {' '.join(message.split())[:300]}"
