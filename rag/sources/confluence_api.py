"""Confluence's REST interface as far as a sync needs it, Cloud's and Data Center's.

Both answer in the shapes of version 1, so that the rest of the source need not know which one it
talks to. Where they part: Cloud has withdrawn version 1's lists and page bodies, which leaves its
search for the lists and version 2 for spaces and bodies. Data Center lists from its database, not
from a search index that may be under way to being rebuilt. Every failure is a SourceError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import Field

from rag.errors import SourceError
from rag.schema import EVERYONE
from rag.sources.confluence_page import (
    Attachment,
    Id,
    Links,
    Page,
    Restriction,
    Shape,
    Subjects,
    User,
    checked,
    group,
    person,
    readers,
)
from rag.sources.http import Answer, HttpStatusError, PoliteClient

_EXPAND = (
    "version,ancestors,metadata.labels,"
    "restrictions.read.restrictions.user,restrictions.read.restrictions.group"
)
# Not `ancestors.restrictions`: one parent that the account cannot see fails the whole list.
_EXPAND_ATTACHMENTS = "children.attachment.version,children.attachment.extensions"
_OVERLAP = 5  # entries asked for again, so that as many may vanish between two requests
_EMPTY_PAGES = 3  # in a row, each with a next one, before the list counts as ended
_KEYS_IN_URL = 50
_NOT_PERMITTED = frozenset({400, 403, 404, 405, 410, 501})
"""How a server tells an account that it may not read a space's permissions, or that it is too old
to tell anybody. Data Center says 500 to those that do not administer the space."""
_REFUSED_SIGN_IN = ("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED")
_SIGN_IN_PAGES = ("/login.action", "/login")
_NOT_SIGNED_IN = (
    "the server did not accept the sign-in and shows what anybody may see: check the source's user "
    "and token; after many failures sign in once in a browser"
)
_NOBODY: dict[str, Any] = {"user": {"results": ()}, "group": {"results": ()}}
_T = TypeVar("_T")


class Space(Shape):
    id: Id
    key: str = Field(min_length=1)


class _ListPage(Shape):
    results: tuple[dict[str, Any], ...]
    links: Links = Field(Links(), alias="_links")


class Confluence:
    """One server, by its address without a slash at the end (Cloud's ends in /wiki)."""

    def __init__(
        self, base_url: str, client: PoliteClient, *, cloud: bool, page_size: int, signed_in: bool
    ) -> None:
        self._base = base_url
        self._client = client
        self._cloud = cloud
        self._page_size = page_size
        self._signed_in = signed_in
        self._user_names: dict[str, str] = {}

    def spaces(self, keys: tuple[str, ...], archived: bool) -> Iterator[Space]:
        """The spaces of these keys, or all that the account can see."""
        path = "/api/v2/spaces" if self._cloud else "/rest/api/space"
        params: dict[str, Any] = {} if archived else {"status": "current"}
        if 0 < len(keys) <= _KEYS_IN_URL:
            params |= {"keys": ",".join(keys)} if self._cloud else {"spaceKey": list(keys)}
        wanted = {key.casefold() for key in keys}
        for entry in self._listed(path, params):
            space = checked(Space, entry)
            if not wanted or space.key.casefold() in wanted:
                yield space

    def contents(self, key: str, *, attachments: bool, archived: bool) -> Iterator[Page]:
        """Every page and blog post of a space, each once, with the readers it names itself."""
        params: dict[str, Any] = {"expand": _EXPAND}
        if attachments:
            params["expand"] += "," + _EXPAND_ATTACHMENTS
        if self._cloud:
            params["cql"] = f"space={_cql(key)} and type in (page,blogpost) order by created"
            if archived:
                params["cqlcontext"] = '{"contentStatuses":["current","archived"]}'
            for entry in self._listed("/rest/api/content/search", params):
                yield checked(Page, entry)
            return
        for kind in ("page", "blogpost"):
            asked = params | {"spaceKey": key, "type": kind, "status": "current"}
            for entry in self._listed("/rest/api/content", asked):
                yield checked(Page, {"type": kind, **entry})

    def attachments(self, page: Page) -> Iterator[Attachment]:
        """Those that came with the page; asked for where they may not be all of them."""
        found = page.children.attachment if page.children else None
        if found and not found.links.next and not 0 < found.limit <= len(found.results):
            yield from found.results
            return
        params: dict[str, Any] = {"expand": "version,extensions"}
        path = f"/rest/api/content/{page.id}/child/attachment"
        if self._cloud:
            path = "/rest/api/content/search"
            params["cql"] = f"type=attachment and container={_cql(page.id)} order by created"
        for entry in self._listed(path, params):
            yield checked(Attachment, entry)

    def restriction(self, content_id: str) -> frozenset[str] | None:
        """Who may read a page by what it says itself; None restricts nobody."""
        path = f"/rest/api/content/{content_id}/restriction/byOperation/read"
        answer = self._json(path, {"expand": "restrictions.user,restrictions.group"})
        return readers(checked(Restriction, answer).restrictions)

    def space_readers(self, key: str) -> frozenset[str] | None:
        """Who may view a space; None where the account is not permitted to know.

        An empty list is not believed: the account itself sees the space.
        """
        ours = self._cloud_readers if self._cloud else self._server_readers
        return self._if_permitted(ours, key) or None

    def body(self, page: Page) -> str:
        """The page as HTML with its macros carried out, as in an export."""
        if self._cloud:
            kind = "blogposts" if page.type == "blogpost" else "pages"
            path, params = f"/api/v2/{kind}/{page.id}", {"body-format": "export_view"}
        else:
            path, params = f"/rest/api/content/{page.id}", {"expand": "body.export_view"}
        try:
            value = self._json(path, params)["body"]["export_view"]["value"]
        except (LookupError, TypeError) as error:
            raise SourceError("came without its text: the server sent no export_view") from error
        if not isinstance(value, str):
            raise SourceError("came without its text: the server sent an odd export_view")
        return value

    def download(self, attachment: Attachment) -> bytes:
        if not attachment.links.download:
            raise SourceError("came without an address to download it from")
        answer = self._get(self.absolute(attachment.links.download), None, {})
        if urlsplit(answer.url).path.endswith(_SIGN_IN_PAGES):
            raise SourceError(_NOT_SIGNED_IN)
        return answer.content

    def absolute(self, link: str) -> str:
        """A link of an answer as an address on this server.

        Links are relative to the server's address or to its host, even within one answer.
        """
        for context in (urlsplit(self._base).path, "/wiki"):
            if context and self._base.endswith(context) and link.startswith(context + "/"):
                return self._base.removesuffix(context) + link
        if link.startswith("/"):
            return self._base + link
        ours, theirs = urlsplit(self._base), urlsplit(link)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise SourceError(f"the server refers to another one, {link[:200]}: check base_url")
        return link

    def _listed(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Each entry once, over all pages of a list, however the pages overlap."""
        ask: dict[str, Any] | None = {**params, "limit": self._page_size}
        by_number = not self._cloud
        start, empty = 0, 0
        seen: set[str] = set()
        while True:
            page = checked(_ListPage, self._json(path, ask))
            new = {str(entry.get("id")): entry for entry in page.results}
            new = {key: entry for key, entry in new.items() if key not in seen}
            seen.update(new)
            yield from new.values()
            if not page.links.next:
                return
            if page.results and not new:
                raise SourceError("the server repeats itself instead of continuing its list")
            count = len(page.results)
            empty = 0 if count else empty + 1
            if empty == _EMPTY_PAGES:  # some versions name a next page for ever
                return
            if by_number and ask is not None:
                # Not what `next` says: it counts the entries asked for, not those that came.
                start += count - min(_OVERLAP, count // 2) if count else self._page_size
                ask["start"] = start
            else:
                path, ask = self.absolute(page.links.next), None

    def _json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        url = self._base + path if path.startswith("/") else path
        return self._get(url, params, {"Accept": "application/json"}).json()

    def _get(
        self, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer:
        answer = self._client.get(url, params, headers)
        said = answer.headers
        denied = said.get("x-seraph-loginreason") in _REFUSED_SIGN_IN
        if self._signed_in and (denied or said.get("x-ausername") == "anonymous"):
            raise SourceError(_NOT_SIGNED_IN)
        return answer

    def _cloud_readers(self, key: str) -> frozenset[str]:
        params = {"cql": f"space={_cql(key)}", "limit": 1, "expand": "space.permissions"}
        found = checked(_ListPage, self._json("/rest/api/content/search", params)).results
        space = found[0].get("space") if found else None
        granted = space.get("permissions") if isinstance(space, dict) else None
        names: set[str] = set()
        for entry in granted if isinstance(granted, list) else ():
            if _grants(entry, "operation"):
                subjects = entry.get("subjects")
                named = subjects if isinstance(subjects, dict) else {}
                names |= readers(checked(Subjects, _NOBODY | named)) or set()
                names |= {EVERYONE} if entry.get("anonymousAccess") is True else set()
        return frozenset(names)

    def _server_readers(self, key: str) -> frozenset[str]:
        """Data Center from 9.1 on; users come as keys, which take a request each to name."""
        path = f"/rest/api/space/{quote(key, safe='')}/permissions"
        names: set[str] = set()
        granted = self._json(path)
        for entry in granted if isinstance(granted, list) else ():
            subject = entry.get("subject") if _grants(entry, "operationKey") else None
            if isinstance(subject, dict) and isinstance(subject.get("name"), str):
                names.add(group(subject["name"]))
            elif isinstance(subject, dict) and isinstance(subject.get("userKey"), str):
                names |= {self._user_name(subject["userKey"])} - {""}
        anybody = self._if_permitted(self._json, path + "/anonymous")
        granted_to_all = anybody if isinstance(anybody, list) else ()
        if any(_grants(entry, "operationKey") for entry in granted_to_all):
            names.add(EVERYONE)
        return frozenset(names)

    def _user_name(self, key: str) -> str:
        """`user:NAME` of a user key; '' for a user that is no more."""
        if key not in self._user_names:
            answer = self._if_permitted(partial(self._json, params={"key": key}), "/rest/api/user")
            self._user_names[key] = person(checked(User, answer or {}))
        return self._user_names[key]

    def _if_permitted(self, ask: Callable[[str], _T], about: str) -> _T | None:
        try:
            return ask(about)
        except HttpStatusError as error:
            if error.status in _NOT_PERMITTED or (error.status == 500 and not self._cloud):
                return None
            raise


def _grants(entry: object, key: str) -> bool:
    """Whether a permission is that to view a space."""
    operation = entry.get("operation") if isinstance(entry, dict) else None
    if not isinstance(operation, dict):
        return False
    return operation.get(key) == "read" and operation.get("targetType") == "space"


def _cql(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
