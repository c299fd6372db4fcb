"""Bugzilla as a source: each bug with its comments is one document, with the readers it has there.

Read over its REST interface (Bugzilla 5 and its relatives). Every failure is a SourceError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from rag.errors import SourceError
from rag.schema import EVERYONE, Failure, RawDocument
from rag.sources.bugzilla_bug import Bug, Comment, checked, markdown, moment, one_line, title
from rag.sources.config import HttpSection
from rag.sources.http import Answer, HttpStatusError, PoliteClient

_LAYOUT = 1  # raised when the text that we make of a bug changes
_FIELDS = (
    "id,summary,status,resolution,product,component,version,severity,keywords,last_change_time,"
    "groups,is_cc_accessible,is_creator_accessible,creator,creator_detail,assigned_to,"
    "assigned_to_detail,qa_contact,qa_contact_detail,cc,cc_detail"
)
_AFTER = {"f90": "bug_id", "o90": "greaterthan", "order": "bug_id", "include_fields": _FIELDS}
_OURS = {*_AFTER, "v90", "n90", "limit", "offset", "j_top", "exclude_fields"}
_OURS |= {"api_key", "Bugzilla_api_key", "token", "Bugzilla_token"}  # not into an address
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPLAINED = frozenset({400, 401, 403, 404}) | _REDIRECTS
_NO_BUG = frozenset({100, 101, 102})  # no such alias, no such bug, access denied


class BugzillaConfig(HttpSection):
    kind: Literal["bugzilla"]
    base_url: str
    """As in a browser up to show_bug.cgi: https://bugs.example.com."""
    api_key: str = ""
    api_key_header: Literal["X-BUGZILLA-API-KEY", "Authorization"] = "X-BUGZILLA-API-KEY"
    """`Authorization` for servers that take the key as a bearer token, as Red Hat's does."""
    rest_path: Literal["rest", "rest.cgi"] = "rest"
    """`rest.cgi` where the web server does not rewrite addresses."""
    products: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    query: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """More of what the advanced search puts into the address; all of it has to hold."""
    since: date | None = None
    """Bugs that were changed on that day or later."""
    include_private_comments: bool = False
    """Then `groups` names who may read those, and nobody else may read any bug of this source."""
    page_size: int = Field(500, ge=10, le=10_000)
    or_groups: bool = False
    """Bugzilla's own parameter: whether one of a bug's groups suffices to see it."""
    map_groups: dict[str, str] = Field(default_factory=dict)
    """Bugzilla's group (or `user:LOGIN`) to the group of that name here."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give the whole address, such as https://bugs.example.com")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("give the address alone; the key goes into api_key")
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError("is no key: it holds blanks, line ends or letters beyond ASCII")
        return key

    @model_validator(mode="after")
    def _fits_together(self) -> BugzillaConfig:
        if taken := sorted(_OURS & set(self.query)):
            raise ValueError(f"query: {', '.join(taken)} is set by the source itself")
        if self.include_private_comments and self.groups is None:
            raise ValueError("include_private_comments needs groups: who may read them")
        return self


class BugzillaSource:
    """Every bug that the key may see and the configuration asks for.

    A bug without groups is readable by the source's `groups`. One with a group is readable by
    that group, and by those who see it in Bugzilla by their part in it: assignee and QA contact,
    and reporter and CC where the bug says so, as `user:LOGIN`. Of several groups Bugzilla asks for
    all (unless its `or_groups` is on), which no set of groups can say: then nobody but those people
    may read it, unless `map_groups` maps them all to one group that stands for their common
    members.
    """

    def __init__(
        self, config: BugzillaConfig, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Asks nothing yet. Raises SourceError where `ca_file` cannot be read."""
        self._config = config
        headers = {"Accept": "application/json"}
        if config.api_key:
            bearer = "Bearer " if config.api_key_header == "Authorization" else ""
            headers[config.api_key_header] = bearer + config.api_key
        # Redirects are not followed: the key would go along, to whatever server that is.
        self._client = PoliteClient(config, headers=headers, sleep=sleep, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def documents(self) -> Iterator[RawDocument | Failure]:
        """Bugs by rising number, page by page as they are listed.

        Paged by number rather than by offset, so that bugs which come, go or change meanwhile
        neither hide nor repeat others.
        """
        last = 0
        try:
            while found := self._listed(last):
                for entry in found:
                    last = _number(entry, last)
                    yield self._document(last, entry)
        except SourceError as error:
            base_url = self._config.base_url
            yield Failure(f"{base_url}/", base_url, str(error))

    def _listed(self, last: int) -> list[Any]:
        config = self._config
        params: dict[str, Any] = {**config.query}
        params |= {"product": list(config.products)} if config.products else {}
        params |= {"component": list(config.components)} if config.components else {}
        params |= {"last_change_time": config.since.isoformat()} if config.since else {}
        params |= {**_AFTER, "v90": last, "limit": config.page_size}
        bugs = self._json("bug", params).get("bugs")
        if not isinstance(bugs, list):
            raise SourceError("the server's answer is not Bugzilla's: check base_url and rest_path")
        return bugs

    def _document(self, number: int, entry: object) -> RawDocument | Failure:
        uri = f"{self._config.base_url}/show_bug.cgi?id={number}"
        try:
            bug = checked(Bug, entry)
        except SourceError as error:
            # Its readers may be what is odd about it: what was read before is hidden, too.
            refuse = partial(_refuse, str(error))
            return RawDocument(uri, f"Bug {number}", None, refuse, ".md", groups=frozenset())
        steps = [one_line(bug.product), title(bug)]
        name = "/".join(step.replace("/", "∕") for step in steps if step)
        labels = [*bug.keywords, f"status:{bug.status}", f"component:{bug.component}"]
        private = " +private" if self._config.include_private_comments else ""
        stamp = f"{bug.last_change_time} {_LAYOUT}{private}" if bug.last_change_time else ""
        return RawDocument(
            uri,
            name,
            moment(bug.last_change_time),
            partial(self._load, bug),
            suffix=".md",
            stamp=stamp,
            groups=self._readers(bug),
            metadata=self._config.metadata(
                product=bug.product,
                version=bug.known_version,
                labels=tuple(label for label in labels if not label.endswith(":")),
                url=uri,
            ),
        )

    def _readers(self, bug: Bug) -> frozenset[str] | None:
        config = self._config
        mapped = {self._mapped(_group(name)) for name in bug.groups}
        needed = mapped - {EVERYONE}
        if not mapped:
            found = config.readers
        elif not needed or (config.or_groups and EVERYONE in mapped):
            found = frozenset({EVERYONE})
        else:
            people = {bug.assigned_to, bug.qa_contact}
            people |= {bug.creator} if bug.is_creator_accessible else set()
            people |= set(bug.cc) if bug.is_cc_accessible else set()
            groups = needed if len(needed) == 1 or config.or_groups else set()
            found = frozenset(groups | {self._mapped(f"user:{login}") for login in people - {""}})
        if not config.include_private_comments:
            return found
        insiders = config.readers or frozenset()
        return insiders if found is None or EVERYONE in found else found & insiders

    def _mapped(self, name: str) -> str:
        return self._config.map_groups.get(name, name)

    def _load(self, bug: Bug) -> bytes:
        answer = self._json(f"bug/{bug.id}/comment", {}, of_bug=True)
        try:
            entries = answer["bugs"][str(bug.id)]["comments"]
            comments = [checked(Comment, entry) for entry in entries]
        except (LookupError, TypeError) as error:
            raise SourceError("came without its comments: the server sent none") from error
        return markdown(bug, comments, self._config.include_private_comments).encode("utf-8")

    def _json(
        self, path: str, params: Mapping[str, Any], *, of_bug: bool = False
    ) -> dict[str, Any]:
        url = f"{self._config.base_url}/{self._config.rest_path}/{path}"
        answer = self._client.get(url, params, accept=_EXPLAINED)
        if answer.status in _REDIRECTS:
            where = answer.headers.get("location", "another address")[:200]
            raise SourceError(f"the server redirects to {where}: put its address into base_url")
        try:
            found = answer.json()
        except SourceError:
            if answer.status < 300:
                raise
            found = {}
        if not isinstance(found, dict):
            found = {}
        if answer.status >= 300 or found.get("error"):
            raise HttpStatusError(answer.status, _refused(answer, found, of_bug))
        return found


def _refused(answer: Answer, found: Mapping[str, Any], of_bug: bool) -> str:
    """What a refusal means. Bugzilla explains itself in the body, under a number of its own."""
    code, said = found.get("code"), one_line(str(found.get("message") or ""))[:200]
    what = f"{said} ({code})" if said else f"status {answer.status}"
    if of_bug and (code in _NO_BUG or answer.status in (401, 403, 404)):
        return f"was deleted or closed to the key after it was listed: {what}"
    if answer.status == 404 and not said:
        return "has no REST interface there (404): check base_url, or set rest_path: rest.cgi"
    if answer.status in (401, 403) or code in (306, 410):
        return f"the server refuses the key: {what}: check api_key and api_key_header"
    return f"the server refuses the search: {what}: check products, components and query"


def _number(entry: object, last: int) -> int:
    """A bug's number, which must be above the last one's, or bugs would be lost between pages."""
    number = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(number, int) or number <= last:
        raise SourceError(
            f"the server does not list bugs by rising number ({number!r:.40} after {last}): its "
            "search is not Bugzilla 5's"
        )
    return number


def _refuse(reason: str) -> bytes:
    raise SourceError(reason)


def _group(name: str) -> str:
    """A group that happens to be called as vSage calls everyone, or a user, is neither."""
    return f"group:{name}" if name == EVERYONE or name.startswith("user:") else name
