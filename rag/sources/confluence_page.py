"""A Confluence page: the shapes it comes in, who may read it, and its text as plain HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.errors import SourceError
from rag.schema import EVERYONE
from rag.sources.http import HttpStatusError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup


WITHHELD = frozenset({403, 404, 410})
"""How a server answers when it keeps something from the account."""
Level = frozenset[str] | None
"""Groups and `user:NAME`s of which one suffices; None restricts nobody."""

_WHO = "who may read page {} cannot be told ({}): nobody may read this one until it can"
_INFORMATION = re.compile(r"confluence-information-macro-(information|note|tip|warning)$")
_CALLED = {"information": "Info", "note": "Note", "tip": "Tip", "warning": "Warning"}


class Shape(BaseModel):
    """Part of an answer; what else it holds is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class Links(Shape):
    next: str = ""
    webui: str = ""
    download: str = ""


class User(Shape):
    username: str | None = None
    email: str | None = None
    account_id: str | None = Field(None, alias="accountId")


class Users(Shape):
    results: tuple[User, ...]
    size: int = 0


class Group(Shape):
    name: str


class Groups(Shape):
    results: tuple[Group, ...]
    size: int = 0


class Subjects(Shape):
    user: Users
    group: Groups


class Restriction(Shape):
    restrictions: Subjects


class Restrictions(Shape):
    read: Restriction


class Version(Shape):
    number: int
    when: str = ""

    @property
    def moment(self) -> datetime | None:
        try:
            moment = datetime.fromisoformat(self.when)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Titled(Shape):
    id: Id
    title: str = ""


class Label(Shape):
    name: str


class Labels(Shape):
    results: tuple[Label, ...] = ()


class PageMetadata(Shape):
    labels: Labels = Labels()


class Extensions(Shape):
    file_size: int = Field(0, alias="fileSize")


class Attachment(Titled):
    status: str = "current"
    version: Version | None = None
    extensions: Extensions = Extensions()
    links: Links = Field(Links(), alias="_links")


class Attachments(Shape):
    results: tuple[Attachment, ...]
    limit: int = 0
    links: Links = Field(Links(), alias="_links")


class Children(Shape):
    attachment: Attachments | None = None


class Page(Titled):
    """A page or a blog post, without its body."""

    type: str = "page"
    status: str = "current"
    version: Version | None = None
    ancestors: tuple[Titled, ...] | None = None
    """None: the server did not say, and nobody knows what they restrict."""
    metadata: PageMetadata = PageMetadata()
    restrictions: Any = None
    """Checked when asked for: an odd list of readers must cost its own page alone."""
    children: Children | None = None
    links: Links = Field(Links(), alias="_links")


_S = TypeVar("_S", bound=Shape)


class Withheld(SourceError):
    """The server does not say who may read a page, so that nobody may."""


def checked(shape: type[_S], answer: object) -> _S:
    """An answer as the shape it must have. Raises SourceError."""
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise SourceError(
            f"the server's answer is not Confluence's ({where}: {first['msg'].lower()}): check "
            "base_url and flavour"
        ) from error


def readers(subjects: Subjects) -> frozenset[str] | None:
    """Names of groups, and of users as `user:NAME`; None where nothing is restricted."""
    if not (subjects.user.results or subjects.group.results):
        return frozenset() if subjects.user.size or subjects.group.size else None
    users = {person(user) for user in subjects.user.results} - {""}
    return frozenset(users | {group(entry.name) for entry in subjects.group.results})


def person(user: User) -> str:
    name = user.username or user.email or user.account_id
    return f"user:{name}" if name else ""


def group(name: str) -> str:
    """A group that happens to be called as vSage calls everyone, or a user, is neither."""
    return f"group:{name}" if name == EVERYONE or name.startswith("user:") else name


class Access:
    """Who may read the pages of one space. A level is asked for once, and only where the listing
    does not hold it: a folder, or a page that the account cannot see."""

    def __init__(
        self,
        ask: Callable[[str], Level],
        pages: Mapping[str, Page],
        space: Level,
        otherwise: Level,
        mapped: Callable[[Level], Level],
    ) -> None:
        """`otherwise` may read what nothing restricts, where the space's readers are unknown."""
        self._ask = ask
        self._pages = pages
        self._space = space
        self._otherwise = otherwise
        self._mapped = mapped
        self._levels: dict[str, Level | Withheld] = {}
        self._broken: SourceError | None = None

    def readers(self, page: Page) -> Level:
        """Raises Withheld where the server does not tell, SourceError where it fails."""
        if page.ancestors is None and page.type != "blogpost":
            raise Withheld("the server does not say which pages it lies below: readable by nobody")
        levels = [self._space, *(self._level(a.id) for a in page.ancestors or ())]
        narrowed = _intersection([*levels, self._level(page.id)])
        if narrowed is not None:
            return narrowed
        return self._otherwise if self._space is None else frozenset({EVERYONE})

    def _level(self, content_id: str) -> Level:
        if content_id not in self._levels:
            try:
                self._levels[content_id] = self._mapped(self._asked(content_id))
            except Withheld as error:
                self._levels[content_id] = error
        level = self._levels[content_id]
        if isinstance(level, Withheld):
            raise level
        return level

    def _asked(self, content_id: str) -> Level:
        page = self._pages.get(content_id)
        if page is not None:
            try:
                return readers(checked(Restrictions, page.restrictions).read.restrictions)
            except SourceError as error:
                raise Withheld(_WHO.format(content_id, "the list came without it")) from error
        if self._broken is not None:  # a server that is down is not asked for every parent
            raise self._broken
        try:
            return self._ask(content_id)
        except SourceError as error:
            if isinstance(error, HttpStatusError) and error.status in WITHHELD:
                raise Withheld(_WHO.format(content_id, error)) from error
            self._broken = error
            raise


def _intersection(levels: Iterable[Level]) -> Level:
    """What passes every level that restricts; None where none does."""
    narrowed: Level = None
    for level in levels:
        if level is not None and EVERYONE not in level:
            narrowed = level if narrowed is None else narrowed & level
    return narrowed


def page_html(title: str, body: str) -> bytes:
    """A whole HTML page of an exported body: the title as heading, and in words what Confluence
    shows by colour and icon alone. Raises SourceError.

    Text that a script would load later (some third-party macros) is not in an export.
    """
    from bs4 import BeautifulSoup

    try:
        body = body.encode("utf-8", "replace").decode()  # lone halves of emoji
        soup = BeautifulSoup(f"<html><head></head><body>{body}</body></html>", "lxml")
        for tag in soup.select("div.toc-macro, fieldset.hidden, .hidden.parameters"):
            if not tag.decomposed:
                tag.decompose()
        for tag in soup.select(".expand-content"):  # folded away, but text like any other
            tag.attrs = {}
        _say_what_icons_say(soup)
        inner = soup.body.decode_contents() if soup.body else ""
    except RecursionError as error:
        raise SourceError("nests its elements too deeply: split the page") from error
    name = escape(title)
    page = (
        f'<html><head><meta charset="utf-8"><title>{name}</title></head>'
        f"<body><h1>{name}</h1>{inner}</body></html>"
    )
    return page.encode("utf-8", "replace")


def _say_what_icons_say(soup: BeautifulSoup) -> None:
    for task in soup.select("ul.inline-task-list > li"):
        task.insert(0, "[x] " if "checked" in (task.get("class") or ()) else "[ ] ")
    for panel in soup.select("div.confluence-information-macro"):
        kinds = [_INFORMATION.match(name) for name in panel.get("class") or ()]
        called = next((_CALLED[kind[1]] for kind in kinds if kind), "")
        heading = panel.find("p", class_="title", recursive=False)
        said = " ".join(heading.get_text(" ").split()) if heading else ""
        if heading:
            heading.decompose()
        if words := ": ".join(filter(None, (called, said))):
            line = soup.new_tag("p")
            strong = soup.new_tag("strong")
            strong.string = words
            line.append(strong)
            panel.insert(0, line)
