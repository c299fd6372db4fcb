"""Confluence as a source: pages, blog posts and attachments, each with the readers it has there."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator, model_validator

from rag.errors import SourceError
from rag.parse import SUPPORTED
from rag.parsers.text import clean
from rag.schema import Failure, RawDocument
from rag.sources.config import HttpSection
from rag.sources.confluence_api import Confluence, Space
from rag.sources.confluence_page import (
    WITHHELD,
    Access,
    Attachment,
    Level,
    Page,
    Version,
    Withheld,
    page_html,
)
from rag.sources.http import HttpStatusError, PoliteClient

log = logging.getLogger(__name__)

_LAYOUT = 1  # raised when the text that we make of a page changes
_CLOUD = (".atlassian.net", ".jira.com", "api.atlassian.com")
_MB = 1024 * 1024
_LEFT_TO_GROUPS = (
    "the permissions of space %s cannot be read: its unrestricted pages are left to the source's "
    "groups; make the account an administrator of the space"
)
_GONE = "was removed or closed to the source's account after it was listed ({})"


class ConfluenceConfig(HttpSection):
    kind: Literal["confluence"]
    base_url: str
    """As in a browser up to the path of a space: https://wiki.example.com, or
    https://SITE.atlassian.net/wiki."""
    flavour: Literal["auto", "cloud", "server"] = "auto"
    """Cloud is told by its address; name it where Cloud has an address of your own."""
    user: str = ""
    """On Cloud the account's e-mail address; empty with a personal access token."""
    token: str = ""
    """An API token, a personal access token or a password."""
    spaces: tuple[str, ...] = ()
    """Their keys; empty: all that the account can see, personal ones included."""
    only_labels: tuple[str, ...] = ()
    """Pages with one of these labels alone; empty: all."""
    include_archived: bool = False
    attachments: bool = True
    """Those in a format that can be parsed."""
    page_size: int = Field(100, ge=10, le=1000)
    """Pages listed in one request; lower it where the server fails with 500."""
    map_groups: dict[str, str] = Field(default_factory=dict)
    """Confluence's group (or `user:NAME`) to the group of that name here."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give the whole address, such as https://wiki.example.com")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("give the address alone; user and token have keys of their own")
        path = parts.path.rstrip("/")
        if not path and parts.hostname.endswith(".atlassian.net"):
            path = "/wiki"
        return f"{parts.scheme}://{parts.netloc}{path}"

    @model_validator(mode="after")
    def _token_goes_with_user(self) -> ConfluenceConfig:
        token = self.token
        if self.user and not token:
            raise ValueError("token is empty though user is given: set the variable it comes from")
        if not self.user and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("token is none: it holds blanks, line ends or letters beyond ASCII")
        return self

    @property
    def is_cloud(self) -> bool:
        if self.flavour != "auto":
            return self.flavour == "cloud"
        return (urlsplit(self.base_url).hostname or "").endswith(_CLOUD)


class ConfluenceSource:
    """Every page that the account sees. Who may read it is Confluence's rule, narrowed.

    A reader must pass every level that restricts: the page, each page above it, the space. Each
    level is a set of groups and `user:NAME`s of which one suffices, and what passes them all is
    taken to be the intersection of the sets. That errs on the side of hiding: a member of `staff`
    who is also allowed by name on the level below is not known to pass both. Map a group that
    holds everybody to `everyone` with `map_groups`, else a space open to that group and a page
    open to a team leave nobody.

    Where the account may not read a space's permissions (it takes a space administrator, and Data
    Center 9.1), unrestricted pages are readable by the source's `groups`. A page that includes
    another one is not read anew when that one changes, as its own version stays.
    """

    def __init__(
        self, config: ConfluenceConfig, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Asks nothing yet. Raises SourceError where `ca_file` cannot be read."""
        signed = bool(config.token)
        bearer = signed and not config.user
        self._config = config
        self._client = PoliteClient(
            config,
            headers={"Authorization": f"Bearer {config.token}"} if bearer else None,
            auth=(config.user, config.token) if signed and config.user else None,
            sleep=sleep,
        )
        self._api = Confluence(
            config.base_url,
            self._client,
            cloud=config.is_cloud,
            page_size=config.page_size,
            signed_in=signed,
        )

    def close(self) -> None:
        self._client.close()

    def documents(self) -> Iterator[RawDocument | Failure]:
        """Space by space; each is listed whole before its first page comes out.

        What was listed before a failure still comes, behind a Failure that covers the space. A
        page whose readers the server withholds comes as readable by nobody, and fails to load.
        """
        config = self._config
        try:
            spaces = list(self._api.spaces(config.spaces, config.include_archived))
        except SourceError as error:
            yield Failure(config.base_url + "/", config.base_url, str(error))
            return
        found = {space.key.casefold() for space in spaces}
        for key in config.spaces:
            if key.casefold() not in found:
                reason = "does not exist, or the source's account cannot see it"
                yield Failure(self._space_uri(key) + "/", f"{key}/", reason)
        for space in spaces:
            yield from self._space(space)

    def _space(self, space: Space) -> Iterator[RawDocument | Failure]:
        config, uri = self._config, self._space_uri(space.key)
        pages: dict[str, Page] = {}
        try:
            level = self._mapped(self._api.space_readers(space.key))
        except SourceError as error:
            yield Failure(f"{uri}/", f"{space.key}/", f"its permissions: {error}")
            return
        if level is None:
            log.warning(_LEFT_TO_GROUPS, space.key)
        try:
            for page in self._api.contents(
                space.key, attachments=config.attachments, archived=config.include_archived
            ):
                pages[page.id] = page
        except SourceError as error:
            yield Failure(f"{uri}/", f"{space.key}/", str(error))
        access = Access(self._api.restriction, pages, level, config.readers, self._mapped)
        items: list[RawDocument | Failure] = []
        for page in pages.values():
            if self._is_wanted(page):
                items += self._page(page, space.key, access)
        yield from _told_apart(items)

    def _page(self, page: Page, key: str, access: Access) -> Iterator[RawDocument | Failure]:
        """A page and its attachments, which have its readers and labels."""
        folder = "blog" if page.type == "blogpost" else "pages"
        uri = f"{self._space_uri(key)}/{folder}/{page.id}"
        above = [_plain(a.title) or a.id for a in page.ancestors or ()]
        blog = ["Blog"] if page.type == "blogpost" else []
        name = "/".join([key, *blog, *above, _plain(page.title) or page.id])
        withheld = ""
        try:
            groups = access.readers(page)
        except Withheld as error:
            groups, withheld = frozenset(), str(error)
        except SourceError as error:
            yield Failure(uri, name, str(error))
            return
        labels = (f"space:{key}", *(label.name for label in page.metadata.labels.results))
        document = RawDocument(
            uri,
            name,
            page.version.moment if page.version else None,
            partial(_refuse, withheld) if withheld else partial(self._load, page),
            suffix=".html",
            stamp="" if withheld else _stamp(page.version, f" {_LAYOUT}"),
            groups=groups,
            metadata=self._config.metadata(labels=labels, url=self._web(page)),
        )
        yield document
        if self._config.attachments:
            yield from self._attachments(page, document, withheld)

    def _attachments(
        self, page: Page, of: RawDocument, withheld: str
    ) -> Iterator[RawDocument | Failure]:
        try:
            for attachment in self._api.attachments(page):
                title = _plain(attachment.title)
                if PurePosixPath(title).suffix.lower() not in SUPPORTED:
                    continue
                uri, name = f"{of.uri}/attachments/{attachment.id}", f"{of.name}/{title}"
                size, most = attachment.extensions.file_size / _MB, self._config.max_file_mb
                if size > most:
                    reason = f"is {size:.0f} MB, over the limit of {most}: raise max_file_mb"
                    yield Failure(uri, name, reason)
                    continue
                yield replace(
                    of,
                    uri=uri,
                    name=name,
                    modified=attachment.version.moment if attachment.version else None,
                    load=partial(_refuse, withheld)
                    if withheld
                    else partial(self._load, attachment),
                    suffix="",
                    stamp="" if withheld else _stamp(attachment.version),
                    metadata=replace(of.metadata, url=self._web(attachment) or of.metadata.url),
                )
        except SourceError as error:
            yield Failure(f"{of.uri}/attachments/", f"{of.name}/", str(error))

    def _load(self, entry: Page | Attachment) -> bytes:
        try:
            if isinstance(entry, Attachment):
                return self._api.download(entry)
            return page_html(entry.title, self._api.body(entry))
        except HttpStatusError as error:
            if error.status in WITHHELD:
                raise SourceError(_GONE.format(error.status)) from error
            raise

    def _is_wanted(self, page: Page) -> bool:
        archived = {"archived"} if self._config.include_archived else set()
        if page.status not in {"current"} | archived:
            return False
        labels = {label.name.casefold() for label in page.metadata.labels.results}
        wanted = {label.casefold() for label in self._config.only_labels}
        return not wanted or not labels.isdisjoint(wanted)

    def _mapped(self, level: Level) -> Level:
        names = self._config.map_groups
        return None if level is None else frozenset(names.get(name, name) for name in level)

    def _space_uri(self, key: str) -> str:
        return f"{self._config.base_url}/spaces/{quote(key, safe='~')}"

    def _web(self, entry: Page | Attachment) -> str:
        if entry.links.webui.startswith("/"):
            return self._api.absolute(entry.links.webui)
        if isinstance(entry, Attachment):
            return ""
        return f"{self._config.base_url}/pages/viewpage.action?pageId={entry.id}"


def _told_apart(items: Iterable[RawDocument | Failure]) -> Iterator[RawDocument | Failure]:
    """Names that several documents share get their id; all of them, so that names last."""
    items = list(items)
    times = Counter(item.name for item in items if isinstance(item, RawDocument))
    for item in items:
        if isinstance(item, RawDocument) and times[item.name] > 1:
            end = "" if item.suffix else PurePosixPath(item.name).suffix
            item_id = item.uri.rpartition("/")[2]
            item = replace(item, name=f"{item.name.removesuffix(end)} ({item_id}){end}")
        yield item


def _refuse(reason: str) -> bytes:
    raise SourceError(reason)


def _plain(title: str) -> str:
    """A title as one step of a path."""
    return " ".join(clean(title).split()).replace("/", "∕")


def _stamp(version: Version | None, layout: str = "") -> str:
    return "" if version is None else f"{version.number} {version.when}{layout}"
