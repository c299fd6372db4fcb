"""Bugzilla as a source, against a server of its documented shape, with the faults that occur."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rag.chunk import sections
from rag.errors import SourceError
from rag.ingest import ingest
from rag.parse import parse
from rag.schema import EVERYONE, Failure, ParsedDocument, RawDocument
from rag.source import Source, within
from rag.sources.bugzilla import BugzillaConfig, BugzillaSource
from rag.sources.bugzilla_bug import Bug, Comment, markdown
from tests.bugzilla_server import Note, Ticket, Tracker
from tests.confluence_server import CUT, HALF_JSON, HTML_SIGN_IN, Query, Reply
from tests.fakes import PUBLIC, fake_knowledge

SEARCH, COMMENTS = "/rest/bug?", "/comment"
BOB = "user:bob@example.com"


class Site:
    """A tracker that runs, and what a source finds in it."""

    def __init__(self, tracker: Tracker, stack: ExitStack) -> None:
        self.tracker = tracker
        self.slept: list[float] = []
        self._stack = stack
        self.url = stack.enter_context(tracker.running())

    def source(self, **settings: Any) -> BugzillaSource:
        known: dict[str, Any] = {
            "kind": "bugzilla",
            "base_url": self.url,
            "requests_per_second": 1000,
            "tries": 3,
            "verify_tls": False,  # there is none here; the system's authorities take long to load
        }
        config = BugzillaConfig.model_validate(known | settings)
        opened = BugzillaSource(config, sleep=self.slept.append)
        self._stack.callback(opened.close)
        return opened

    def all(self, **settings: Any) -> tuple[dict[int, RawDocument], list[Failure]]:
        """Documents by the number of their bug, and failures."""
        source: Source = self.source(**settings)
        items = list(source.documents())
        found = [item for item in items if isinstance(item, RawDocument)]
        assert len({item.name for item in found}) == len(found)
        by_number = {int(item.uri.rpartition("=")[2]): item for item in found}
        return by_number, [item for item in items if isinstance(item, Failure)]

    def documents(self, **settings: Any) -> dict[int, RawDocument]:
        found, failed = self.all(**settings)
        assert failed == []
        return found

    def readers(self, bug: Ticket, **settings: Any) -> frozenset[str] | None:
        self.tracker.bugs = {1: bug}
        return self.documents(**settings)[1].groups

    def text(self, bug: Ticket, **settings: Any) -> str:
        self.tracker.bugs = {1: bug}
        return self.documents(**settings)[1].load().decode()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def site(stack: ExitStack) -> Site:
    return Site(Tracker(), stack)


# What comes out


def test_a_bug_comes_with_all_that_is_known_of_it(site: Site) -> None:
    site.tracker.bugs = {7: Ticket(keywords=("regression", "gpu"))}
    (bug,) = site.documents(labels=["bugs"]).values()
    assert bug.name == "Hypervisor/Bug 7: Host loses its GPU"
    assert bug.uri == bug.metadata.url == f"{site.url}/show_bug.cgi?id=7"
    assert bug.modified == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert (bug.metadata.product, bug.metadata.version) == ("Hypervisor", "8.0")
    assert bug.metadata.labels == ("bugs", "regression", "gpu", "status:RESOLVED", "component:PCI")
    parsed = parse(bug.load(), bug.name + bug.suffix)
    assert parsed.title == "Bug 7: Host loses its GPU"


def test_the_text_of_a_bug(site: Site) -> None:
    notes = [
        Note("It is gone\nafter a reboot.\n\n    lspci: nothing"),
        Note("", time="2026-03-01T11:00:00Z"),
        Note("Same here.", "carl@example.org", "2026-03-02T01:02:03+02:00"),
        Note("inside", is_private=True),
        Note("Fixed.", "bob@example.com", "yesterday"),
    ]
    site.tracker.bugs = {7: Ticket(notes=notes, version="unspecified", keywords=("gpu", "pci"))}
    assert site.documents()[7].load().decode() == (
        "# Bug 7: Host loses its GPU\n\n"
        "- Status: RESOLVED FIXED\n"
        "- Product: Hypervisor\n"
        "- Component: PCI\n"
        "- Severity: major\n"
        "- Keywords: gpu, pci\n\n"
        "## Description, Ann Example, 2026-03-01 10:00 UTC\n\n"
        "It is gone\nafter a reboot.\n\n    lspci: nothing\n\n"
        "## Comment 2, carl, 2026-03-01 23:02 UTC\n\n"
        "Same here.\n\n"
        "## Comment 4, Bob\n\n"
        "Fixed.\n"
    )
    assert site.documents()[7].metadata.version == ""


def test_citations_name_the_comment(site: Site) -> None:
    site.tracker.bugs = {7: Ticket(notes=[Note("First."), Note("Second.")])}
    parsed = parse(site.documents()[7].load(), "x.md")
    paths = [section.heading_path[1:] for section in sections(parsed)]
    assert paths == [
        (),
        ("Description, Ann Example, 2026-03-01 10:00 UTC",),
        ("Comment 1, Ann Example, 2026-03-01 10:00 UTC",),
    ]


def test_no_address_of_a_person_is_in_the_text(site: Site) -> None:
    people = {
        "ann@example.com": "ann@example.com",
        "bob@example.com": "Bob (bob@example.com) Builder",
        "cc@example.com": "<cc@example.com>",
    }
    site.tracker.people = people
    notes = [Note("x", login) for login in (*people, "dora@example.com")]
    text = site.text(Ticket(notes=notes, cc=("cc@example.com",)))
    assert "@" not in text
    for name in ("ann", "Bob Builder", "cc", "dora"):
        assert f", {name}, " in text


@pytest.mark.parametrize(
    "summary",
    [
        "",
        "a/b \\ c",
        "备份失败",
        "שגיאה",
        "x" * 400,
        "two\nlines",
        "# of hosts #",
        "```",
        "\x00\x07",
    ],
)
def test_summaries_of_all_kinds(site: Site, summary: str) -> None:
    site.tracker.bugs = {5: Ticket(summary=summary)}
    bug = site.documents()[5]
    parsed = parse(bug.load(), bug.name + bug.suffix)
    assert parsed.title.startswith("Bug 5")
    assert bug.name.count("/") == 1
    titles = {section.heading_path[0] for section in sections(parsed)}
    assert len(titles) == 1
    assert "It is gone after a reboot." in parsed.text


def test_a_server_that_leaves_fields_out_or_sends_lists(site: Site) -> None:
    """Red Hat's sends components and versions as lists."""
    bugs = [
        {"id": 3, "groups": []},
        {"id": 4, "groups": [], "component": ["kernel"], "version": ["4.16"], "product": None},
        {"id": 5, "groups": [], "component": [], "last_change_time": "once upon a time"},
    ]
    site.tracker.fail(SEARCH, Reply({"bugs": bugs}), times=1)
    found = site.documents()
    assert (found[3].name, found[3].stamp, found[3].modified) == ("Bug 3", "", None)
    assert found[3].metadata.labels == ()
    assert found[4].metadata.version == "4.16"
    assert found[4].metadata.labels == ("component:kernel",)
    assert (found[5].modified, found[5].stamp[:4]) == (None, "once")


# What people wrote stays text


HOSTILE = """Intro
# Ignore all headings above
   ## and this
####### seven is none
#hash
Title
=====
Other
-----
| a | b |
```
$ esxcli
# a comment in code
```
~~~
closed by more
~~~~~
> # quoted
```bash
never closed
# prompt
"""


def test_a_comment_cannot_pose_as_structure(site: Site) -> None:
    text = site.text(Ticket(notes=[Note(HOSTILE), Note("After.")]))
    paths = [section.heading_path[1:] for section in sections(ParsedDocument("", text, "x"))]
    assert [path[0].split(",")[0] for path in paths if path] == ["Description", "Comment 1"]
    lines = text.splitlines()
    for line in (
        "\\# Ignore all headings above",
        "   \\## and this",
        "####### seven is none",
        "#hash",
        "$ esxcli",
        "# a comment in code",
        "\\```bash",
        "\\# prompt",
    ):
        assert line in lines, line
    assert lines[lines.index("=====") - 1] == ""
    assert lines[lines.index("-----") - 1] == ""
    assert parse(text.encode(), "x.md").title == "Bug 1: Host loses its GPU"


def rendered(text: str) -> list[tuple[str, str]]:
    """Headings as a Markdown reader sees them: (tag, text)."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": False}).parse(text)
    return [
        (token.tag, tokens[at + 1].content)
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


PIECES = st.sampled_from(
    "```|~~~|````|# x|## |text||    ```|===|---|```py|~~~ a`b|- # x|> ```|\t# x|`|``` a ` b|\x85# y"
    "|\u2028```|\r# z|  ~~~~  ".split("|")
)


@settings(deadline=None)
@given(st.lists(st.lists(PIECES, max_size=8).map("\n".join), max_size=4))
def test_no_comment_changes_what_the_others_are(texts: list[str]) -> None:
    comments = [Comment(text=text, is_private=False, count=n) for n, text in enumerate(texts)]
    text = markdown(Bug(id=1, groups=()), [*comments, Comment(text="end", is_private=False)], False)
    assert text.endswith("\n\nend\n")
    found = list(sections(parse(text.encode(), "x.md")))
    ours = [f"Comment {n}" if n else "Description" for n, t in enumerate(texts) if t.strip()]
    ours.append(f"Comment {len(texts)}" if texts else "Description")
    assert [section.heading_path[1] for section in found if len(section.heading_path) > 1] == ours
    assert all(len(section.heading_path) <= 2 for section in found)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="#`~=- \nab>", max_size=60), max_size=3))
def test_a_reader_sees_the_same_headings(texts: list[str]) -> None:
    comments = [Comment(text=text, is_private=False, count=n) for n, text in enumerate(texts)]
    text = markdown(Bug(id=1, groups=()), [*comments, Comment(text="end", is_private=False)], False)
    ours = [f"Comment {n}" if n else "Description" for n, t in enumerate(texts) if t.strip()]
    ours.append(f"Comment {len(texts)}" if texts else "Description")
    assert [content for _, content in rendered(text)] == ["Bug 1", *ours]


def test_a_comment_of_fences_alone_takes_no_time(site: Site) -> None:
    fences = "\n".join(["```x", "~~~~y", "    ```z"] * 6000)
    assert "Comment 1" in site.text(Ticket(notes=[Note(fences), Note("`" * 65_000)]))


# Listing


def test_4000_bugs_take_a_handful_of_requests(site: Site) -> None:
    site.tracker.bugs = {number: Ticket() for number in range(1, 4001)}
    assert len(site.documents()) == 4000
    assert len(site.tracker.requests) == 9
    assert site.tracker.paths()["/rest/bug"] == 9


def test_a_server_that_sends_fewer_than_asked_for(site: Site) -> None:
    site.tracker.bugs = {number: Ticket() for number in range(1, 101)}
    site.tracker.most = 30
    assert len(site.documents()) == 100


def test_bugs_that_come_go_and_change_meanwhile(stack: ExitStack) -> None:
    class Busy(Tracker):
        def _search(self, query: Query) -> Reply:
            reply = super()._search(query)
            last = int(query["v90"][0])
            self.bugs.pop(last, None)
            if len(self.requests) < 3:
                self.bugs[max(self.bugs) + 1] = Ticket()
            self.bugs[15].changed = "2026-03-03T00:00:00Z"
            self.bugs.pop(17, None)
            return reply

    site = Site(Busy(), stack)
    site.tracker.bugs = {number: Ticket() for number in range(1, 31)}
    found, failed = site.all(page_size=10, query={})
    assert failed == []
    assert set(range(1, 31)) - {17} <= set(found)
    assert len(found) < 60


def test_the_listing_is_lazy_and_stamps_tell_what_to_load(site: Site) -> None:
    site.tracker.bugs = {1: Ticket(), 2: Ticket(), 3: Ticket()}
    documents = site.source().documents()
    assert site.tracker.requests == []
    before = {item.uri: item.stamp for item in documents if isinstance(item, RawDocument)}
    assert all(before.values())
    assert {item.uri: item.stamp for item in site.documents().values()} == before
    site.tracker.bugs[2].changed = "1999-01-01T00:00:00Z"  # a clock that was set back
    after = {item.uri: item.stamp for item in site.documents().values()}
    assert [uri[-1] for uri in after if after[uri] != before[uri]] == ["2"]
    assert not any(COMMENTS in path for path in site.tracker.paths())
    private = site.documents(include_private_comments=True, groups=["insiders"])
    assert private[1].stamp != before[private[1].uri]


def test_what_is_asked_for(site: Site) -> None:
    site.tracker.bugs = {
        1: Ticket(),
        2: Ticket(product="Other"),
        3: Ticket(component="CPU"),
        4: Ticket(changed="2025-01-01T00:00:00Z"),
        5: Ticket(severity="minor"),
        6: Ticket(product="Third & last"),
    }
    assert list(site.documents(products=["Hypervisor"])) == [1, 3, 4, 5]
    assert list(site.documents(products=["Other", "Third & last"])) == [2, 6]
    assert list(site.documents(components=["CPU"])) == [3]
    assert list(site.documents(since="2026-01-01")) == [1, 2, 3, 5, 6]
    assert list(site.documents(query={"bug_severity": ["minor", "trivial"]})) == [5]


def test_other_addresses(stack: ExitStack) -> None:
    site = Site(Tracker(context="/bugs", rest_path="rest.cgi"), stack)
    site.tracker.bugs = {1: Ticket()}
    found = site.documents(rest_path="rest.cgi")
    assert found[1].uri == f"{site.url}/show_bug.cgi?id=1"
    assert b"gone" in found[1].load()
    _, failed = site.all()
    assert "rest_path: rest.cgi" in failed[0].reason


# Who may read


@pytest.mark.parametrize(
    ("bug", "settings", "expected"),
    [
        (Ticket(), {}, None),
        (Ticket(), {"groups": ["staff"]}, {"staff"}),
        (Ticket(groups=("sec",)), {"groups": ["staff"]}, {"sec", BOB, "user:ann@example.com"}),
        (Ticket(groups=("sec",), creator_sees=False), {}, {"sec", BOB}),
        (
            Ticket(groups=("sec",), creator_sees=False, cc=("c@x.org",), qa_contact="q@x.org"),
            {},
            {"sec", BOB, "user:c@x.org", "user:q@x.org"},
        ),
        (
            Ticket(groups=("sec",), creator_sees=False, cc=("c@x.org",), cc_sees=False),
            {},
            {"sec", BOB},
        ),
        (Ticket(groups=("sec", "qa"), creator_sees=False), {}, {BOB}),
        (Ticket(groups=("sec", "qa"), creator_sees=False, assignee=""), {}, set()),
        (Ticket(groups=("sec", "qa"), creator_sees=False), {"or_groups": True}, {"sec", "qa", BOB}),
        (
            Ticket(groups=("sec", "qa"), creator_sees=False),
            {"map_groups": {"sec": "both", "qa": "both", BOB: "user:bob"}},
            {"both", "user:bob"},
        ),
        (
            Ticket(groups=("sec", "staff"), creator_sees=False),
            {"map_groups": {"staff": EVERYONE}},
            {"sec", BOB},
        ),
        (Ticket(groups=("staff",)), {"map_groups": {"staff": EVERYONE}}, {EVERYONE}),
        (
            Ticket(groups=("sec", "staff")),
            {"map_groups": {"staff": EVERYONE}, "or_groups": True},
            {EVERYONE},
        ),
        (Ticket(groups=("everyone",), creator_sees=False), {}, {"group:everyone", BOB}),
        (Ticket(groups=("user:eve",), creator_sees=False), {}, {"group:user:eve", BOB}),
    ],
)
def test_who_may_read(
    site: Site, bug: Ticket, settings: dict[str, Any], expected: set[str] | None
) -> None:
    wanted = None if expected is None else frozenset(expected)
    assert site.readers(bug, **settings) == wanted


def test_private_comments_close_every_bug_to_outsiders(site: Site) -> None:
    settings = {"include_private_comments": True, "groups": ["insiders"]}
    bug = Ticket(notes=[Note("public"), Note("secret", is_private=True)])
    assert site.readers(bug, **settings) == frozenset({"insiders"})
    assert "secret" in site.text(bug, **settings)
    assert "secret" not in site.text(bug)
    closed = Ticket(groups=("sec",))
    assert site.readers(closed, **settings) == frozenset()
    mapped = settings | {"map_groups": {"sec": "insiders"}}
    assert site.readers(closed, **mapped) == frozenset({"insiders"})
    open_to_all = settings | {"map_groups": {"sec": EVERYONE}}
    assert site.readers(closed, **open_to_all) == frozenset({"insiders"})


def test_a_comment_that_does_not_say_whether_it_is_private_is(site: Site) -> None:
    site.tracker.bugs = {1: Ticket()}
    found = site.documents()
    odd = {"bugs": {"1": {"comments": [{"text": "secret", "count": 1}]}}}
    site.tracker.fail(COMMENTS, Reply(odd))
    assert b"secret" not in found[1].load()


@pytest.mark.parametrize(
    "entry",
    [{"id": 9}, {"id": 9, "groups": None}, {"id": 9, "groups": "sec"}, {"id": 9, "groups": [5]}],
)
def test_a_bug_whose_groups_are_not_known_is_hidden(site: Site, entry: dict[str, Any]) -> None:
    site.tracker.bugs = {10: Ticket()}
    site.tracker.fail(SEARCH, Reply({"bugs": [entry]}), times=1)
    found = site.documents()
    assert (found[9].groups, found[9].stamp) == (frozenset(), "")
    with pytest.raises(SourceError, match=r"not understood \(groups.*nobody may read it"):
        found[9].load()
    assert found[10].groups is None


# The key


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({}, "x-bugzilla-api-key", "k3y"),
        ({"api_key_header": "Authorization"}, "authorization", "Bearer k3y"),
    ],
)
def test_how_the_key_is_sent(site: Site, settings: dict[str, Any], header: str, value: str) -> None:
    site.tracker.key = "k3y"
    site.tracker.bugs = {1: Ticket()}
    site.documents(api_key="k3y", **settings)[1].load()
    assert {seen.headers.get(header) for seen in site.tracker.requests} == {value}
    assert not any("k3y" in str(seen.query) for seen in site.tracker.requests)
    _, failed = site.all(api_key="wrong")
    assert "API key you specified is invalid" in failed[0].reason
    assert "check api_key" in failed[0].reason
    assert "wrong" not in failed[0].reason


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_is_not_sent_on(site: Site, stack: ExitStack, status: int) -> None:
    other = Tracker()
    elsewhere = stack.enter_context(other.running())
    site.tracker.bugs = {1: Ticket()}
    document = site.documents(api_key="k3y")[1]
    site.tracker.fail("", Reply(b"", status, {"Location": f"{elsewhere}/rest/bug"}))
    _, failed = site.all(api_key="k3y")
    assert f"redirects to {elsewhere}/rest/bug" in failed[0].reason
    with pytest.raises(SourceError, match="redirects to"):
        document.load()
    assert other.requests == []


# Faults


LISTING_FAULTS = [
    (Reply({"error": True, "code": 410, "message": "You must log in"}, 401), "You must log in"),
    (Reply({}, 403), "check api_key"),
    (Reply(b"", 429, {"Retry-After": "7"}), "requests_per_second"),
    (Reply(b"", 500), "failed with 500 3 times"),
    (CUT, "does not answer after 3 tries"),
    (HALF_JSON, "not whole JSON"),
    (HTML_SIGN_IN, "sign-in page"),
    (Reply({"error": True, "code": 51, "message": "There is no product X"}), "no product X"),
    (Reply({"error": True, "code": 1000, "message": "<b>" * 999}, 400), "check products"),
    (Reply({}), "not Bugzilla's"),
    (Reply([]), "not Bugzilla's"),
    (Reply({"bugs": {}}), "not Bugzilla's"),
    (Reply({"bugs": [{"id": "5"}]}), "rising number"),
    (Reply({"bugs": [None]}), "rising number"),
    (Reply({"bugs": [{"id": 0, "groups": []}]}), "rising number"),
]


@pytest.mark.parametrize(("reply", "said"), LISTING_FAULTS)
def test_bugs_that_cannot_be_listed(site: Site, reply: Reply, said: str) -> None:
    site.tracker.fail(SEARCH, reply)
    found, failed = site.all()
    assert found == {}
    assert [item.uri for item in failed] == [f"{site.url}/"]
    assert said in failed[0].reason
    assert len(failed[0].reason) < 500
    assert within(f"{site.url}/show_bug.cgi?id=1", failed[0].uri)


@pytest.mark.parametrize(("reply", "said"), LISTING_FAULTS)
def test_a_list_that_breaks_off_keeps_what_was_listed(site: Site, reply: Reply, said: str) -> None:
    site.tracker.bugs = {number: Ticket() for number in range(1, 31)}
    site.tracker.fail(SEARCH, reply, skip=1)
    found, failed = site.all(page_size=10)
    assert list(found) == list(range(1, 11))
    assert [item.uri for item in failed] == [f"{site.url}/"]
    assert said in failed[0].reason


@pytest.mark.parametrize("order", [[1, 2, 3], [4, 6, 5], [4, 4]])
def test_a_list_that_repeats_or_mixes_bugs_ends(site: Site, order: list[int]) -> None:
    """A server that ignores where to go on would else be asked for ever."""
    site.tracker.bugs = {1: Ticket(), 2: Ticket(), 3: Ticket()}
    again = Reply({"bugs": [{"id": number, "groups": []} for number in order]})
    site.tracker.fail(SEARCH, again, skip=1)
    found, failed = site.all()
    assert set(found) >= {1, 2, 3}
    assert "rising number" in failed[0].reason
    assert len(site.tracker.requests) < 4


def test_a_server_that_is_not_there(site: Site) -> None:
    found, failed = site.all(base_url="http://127.0.0.1:9")
    assert found == {}
    assert "does not answer" in failed[0].reason


def test_overload_is_waited_out_as_long_as_asked(site: Site) -> None:
    site.tracker.bugs = {1: Ticket()}
    site.tracker.fail(SEARCH, Reply(b"", 429, {"Retry-After": "7"}), times=1)
    site.tracker.fail(COMMENTS, Reply(b"", 503), times=2)
    assert b"gone" in site.documents()[1].load()
    assert [wait for wait in site.slept if wait >= 0.5] == [7.0, 0.5, 1.0]


def test_a_bug_that_is_deleted_after_it_was_listed(site: Site) -> None:
    site.tracker.bugs = {1: Ticket(), 2: Ticket()}
    found = site.documents()
    del site.tracker.bugs[1]
    with pytest.raises(SourceError, match=r"deleted or closed .*Bug #1 does not exist. \(101\)"):
        found[1].load()
    assert b"gone" in found[2].load()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply({"error": True, "code": 102, "message": "You are not authorized"}, 401),
            r"closed to the key .*You are not authorized \(102\)",
        ),
        (Reply({"error": True, "code": 102, "message": "No"}), "closed to the key"),
        (Reply(b"<html>", 403), "closed to the key .*status 403"),
        (Reply(b"", 500), "failed with 500 3 times"),
        (CUT, "does not answer"),
        (HALF_JSON, "not whole JSON"),
        (HTML_SIGN_IN, "not whole JSON"),
        (Reply({}), "came without its comments"),
        (Reply([]), "came without its comments"),
        (Reply({"bugs": {"1": {"comments": None}}}), "came without its comments"),
        (Reply({"bugs": {"1": {"comments": ["x"]}}}), "not understood"),
        (Reply(b'{"bugs": "' + b"x" * 2**21), "over the limit of 1 MB"),
    ],
)
def test_comments_that_cannot_be_read(site: Site, reply: Reply, said: str) -> None:
    site.tracker.bugs = {1: Ticket()}
    found = site.documents(max_file_mb=1)
    site.tracker.fail(COMMENTS, reply)
    with pytest.raises(SourceError, match=said):
        found[1].load()


# Configuration


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "bugs.example.com"}, "whole address"),
        ({"base_url": "https://key@bugs.example.com"}, "goes into api_key"),
        ({"base_url": "https://bugs.example.com/?api_key=x"}, "goes into api_key"),
        ({"api_key": "two words"}, "is no key"),
        ({"api_key": "line\n"}, "is no key"),
        ({"api_key": "schlüssel"}, "is no key"),
        ({"query": {"order": "priority", "limit": "5"}}, "query: limit, order is set by"),
        ({"query": {"j_top": "OR"}}, "j_top"),
        ({"query": {"Bugzilla_api_key": "x"}}, "set by the source itself"),
        ({"include_private_comments": True}, "needs groups"),
        ({"since": "last week"}, "date"),
        ({"project": "X"}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], said: str) -> None:
    known = {"kind": "bugzilla", "base_url": "https://bugs.example.com"}
    with pytest.raises(ValidationError, match=said):
        BugzillaConfig.model_validate(known | settings)


# The whole way


def test_a_sync_that_finds_nothing_new_reads_no_comments(tmp_path: Path, site: Site) -> None:
    site.tracker.bugs = {1: Ticket(), 2: Ticket(summary="Other")}
    knowledge = fake_knowledge(tmp_path)

    def sync() -> Any:
        site.tracker.requests.clear()
        return ingest(knowledge, list(site.source().documents()), PUBLIC, source="bugs")

    def loads() -> int:
        return sum(path.endswith(COMMENTS) for path in site.tracker.paths().elements())

    assert len(sync().added) == 2
    assert loads() == 2
    assert sync().unchanged == 2
    assert loads() == 0
    site.tracker.bugs[1].groups = ("sec",)  # the moment of change stayed the same
    site.tracker.bugs[2].changed = "2026-04-01T00:00:00Z"
    site.tracker.bugs[2].notes.append(Note("More."))
    report = sync()
    assert [len(report.regrouped), len(report.changed), loads()] == [1, 1, 1]
    knowledge.close()
