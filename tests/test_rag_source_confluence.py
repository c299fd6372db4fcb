"""Confluence as a source, against a server of its documented shapes: both flavours, all faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag.errors import SourceError
from rag.ingest import ingest
from rag.parse import parse
from rag.schema import EVERYONE, Failure, RawDocument
from rag.source import Source, within
from rag.sources.confluence import ConfluenceConfig, ConfluenceSource
from tests.confluence_server import (
    CUT,
    HALF_JSON,
    HTML_SIGN_IN,
    FaultyServer,
    Query,
    Reply,
    Wiki,
    WikiFile,
    WikiPage,
    WikiSpace,
)
from tests.fakes import PUBLIC, fake_knowledge

STAFF = frozenset({"confluence-users"})
NOBODY: frozenset[str] = frozenset()
LISTS = {False: "/rest/api/content?", True: "type in (page,blogpost)"}


class Site:
    """A wiki that runs, and what a source finds in it."""

    def __init__(self, wiki: Wiki, stack: ExitStack) -> None:
        self.wiki = wiki
        self.slept: list[float] = []
        self._stack = stack
        self.url = stack.enter_context(wiki.running())

    def source(self, **settings: Any) -> ConfluenceSource:
        known: dict[str, Any] = {
            "kind": "confluence",
            "base_url": self.url,
            "flavour": "cloud" if self.wiki.cloud else "server",
            "requests_per_second": 1000,
            "tries": 3,
            "verify_tls": False,  # there is none here; the system's authorities take long to load
        }
        config = ConfluenceConfig.model_validate(known | settings)
        opened = ConfluenceSource(config, sleep=self.slept.append)
        self._stack.callback(opened.close)
        return opened

    def all(self, **settings: Any) -> tuple[dict[str, RawDocument], list[Failure]]:
        """Documents by name, and failures."""
        source: Source = self.source(**settings)
        items = list(source.documents())
        found = {item.name: item for item in items if isinstance(item, RawDocument)}
        failed = [item for item in items if isinstance(item, Failure)]
        assert len(found) + len(failed) == len(items), "names are not unique"
        assert len({item.uri for item in items}) == len(items)
        return found, failed

    def documents(self, **settings: Any) -> dict[str, RawDocument]:
        found, failed = self.all(**settings)
        assert failed == []
        return found

    def groups(self, **settings: Any) -> dict[str, frozenset[str] | None]:
        return {name: item.groups for name, item in self.documents(**settings).items()}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(params=[False, True], ids=["server", "cloud"])
def site(request: pytest.FixtureRequest, stack: ExitStack) -> Site:
    return Site(Wiki(cloud=request.param), stack)


@pytest.fixture
def server(stack: ExitStack) -> Site:
    return Site(Wiki(), stack)


@pytest.fixture
def cloud(stack: ExitStack) -> Site:
    return Site(Wiki(cloud=True), stack)


def many(wiki: Wiki, count: int) -> None:
    for number in range(1, count + 1):
        wiki.pages[str(number)] = WikiPage(f"Page {number}")


def text(document: RawDocument) -> str:
    return parse(document.load(), document.name + document.suffix).text


# What comes out


def test_pages_and_posts_come_with_all_that_is_known_of_them(site: Site) -> None:
    site.wiki.pages = {
        "1": WikiPage("Home"),
        "2": WikiPage("Backup", parents=("1",), labels=("howto", "storage"), version=7),
        "3": WikiPage("We moved", kind="blogpost"),
    }
    found = site.documents(product="Wiki", labels=["intranet"])
    assert list(found) == ["ENG/Home", "ENG/Home/Backup", "ENG/Blog/We moved"]
    backup = found["ENG/Home/Backup"]
    assert backup.uri == f"{site.url}/spaces/ENG/pages/2"
    assert backup.modified == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert backup.modified.tzinfo is not None
    assert backup.metadata.labels == ("intranet", "space:ENG", "howto", "storage")
    assert backup.metadata.product == "Wiki"
    assert backup.metadata.url == f"{site.url}/spaces/ENG/pages/2/Backup"
    assert backup.stamp.startswith("7 ")
    assert found["ENG/Blog/We moved"].uri == f"{site.url}/spaces/ENG/blog/3"
    parsed = parse(backup.load(), backup.name + backup.suffix)
    assert (parsed.title, parsed.text) == ("Backup", "# Backup\n\ntext")
    assert parse(found["ENG/Blog/We moved"].load(), "x.html").title == "We moved"


def test_a_server_below_a_path_of_its_host(stack: ExitStack) -> None:
    site = Site(Wiki(context="/confluence"), stack)
    many(site.wiki, 30)
    found = site.documents(page_size=10)
    assert len(found) == 30
    assert found["ENG/Page 1"].metadata.url.startswith(f"{site.url}/spaces/ENG/")
    assert "text" in text(found["ENG/Page 30"])


def test_the_listing_is_lazy_and_loads_nothing(site: Site) -> None:
    many(site.wiki, 3)
    documents = site.source().documents()
    assert site.wiki.requests == []
    list(documents)
    asked = " ".join(seen.path for seen in site.wiki.requests)
    assert "/api/v2/pages" not in asked
    assert "/rest/api/content/1" not in asked


def test_an_unchanged_wiki_has_the_same_stamps(site: Site) -> None:
    many(site.wiki, 5)
    site.wiki.pages["1"].files = [WikiFile("a.txt")]
    before = {item.uri: item.stamp for item in site.documents().values()}
    assert all(before.values())
    assert {item.uri: item.stamp for item in site.documents().values()} == before
    site.wiki.pages["2"].version += 1
    site.wiki.pages["3"].when = "1999-01-01T00:00:00.000Z"  # a clock that was set back
    site.wiki.pages["1"].files[0].version += 1
    after = {item.uri: item.stamp for item in site.documents().values()}
    assert {uri.rpartition("/")[2] for uri in after if after[uri] != before[uri]} == {
        "2",
        "3",
        "att10",
    }


def test_4000_pages_take_a_handful_of_requests(site: Site) -> None:
    many(site.wiki, 4000)
    site.wiki.pages["1"].groups = ("team",)
    for number in range(2, 4001):
        site.wiki.pages[str(number)].parents = ("1",)
        site.wiki.pages[str(number)].files = [WikiFile("a.txt")]
    found = site.documents(map_groups={"confluence-users": EVERYONE})
    assert len(found) == 4000 + 3999
    assert {item.groups for item in found.values()} == {frozenset({"team"})}
    assert len(site.wiki.requests) < 50


def test_a_server_that_sends_fewer_than_asked_for(server: Site) -> None:
    """Its `next` then leads past pages that it has not sent."""
    many(server.wiki, 120)
    server.wiki.most = 20
    assert len(server.documents(page_size=50)) == 120


def test_pages_deleted_while_they_are_listed_cost_no_others(stack: ExitStack) -> None:
    class Shrinking(Wiki):
        def _contents(self, query: Query) -> Reply:
            reply = super()._contents(query)
            for page_id in list(self.pages)[:2]:
                if len(self.pages) > 40:
                    del self.pages[page_id]
            return reply

    site = Site(Shrinking(), stack)
    many(site.wiki, 50)
    found = site.documents(page_size=10)
    left = {f"ENG/{page.title}" for page in site.wiki.pages.values()}
    assert left <= set(found)


def test_spaces_are_chosen_by_key(site: Site) -> None:
    site.wiki.spaces = {"ENG": WikiSpace(), "HR": WikiSpace(), "~ann": WikiSpace()}
    site.wiki.pages = {
        "1": WikiPage("A"),
        "2": WikiPage("B", space="HR"),
        "3": WikiPage("C", space="~ann"),
    }
    assert list(site.documents()) == ["ENG/A", "HR/B", "~ann/C"]
    found, failed = site.all(spaces=["HR", "~ann", "GONE"])
    assert list(found) == ["HR/B", "~ann/C"]
    assert [(item.uri, item.name) for item in failed] == [(f"{site.url}/spaces/GONE/", "GONE/")]
    assert "cannot see it" in failed[0].reason
    too_many_to_ask_for = ["hr", *(f"X{number}" for number in range(60))]
    found, failed = site.all(spaces=too_many_to_ask_for)
    assert list(found) == ["HR/B"]
    assert len(failed) == 60


def test_archived_spaces_and_pages_come_when_asked_for(site: Site) -> None:
    site.wiki.spaces["OLD"] = WikiSpace(status="archived")
    site.wiki.pages = {"1": WikiPage("Now"), "2": WikiPage("Then", space="OLD")}
    assert list(site.documents()) == ["ENG/Now"]
    assert list(site.documents(include_archived=True)) == ["ENG/Now", "OLD/Then"]
    site.wiki.pages["3"] = WikiPage("Shelved", status="archived")
    assert list(site.documents()) == ["ENG/Now"]
    if site.wiki.cloud:  # Data Center archives spaces alone
        assert "ENG/Shelved" in site.documents(include_archived=True)


def test_drafts_that_a_search_returns_are_left_out(cloud: Site) -> None:
    cloud.wiki.pages = {"1": WikiPage("Draft", status="current")}
    entry = {"id": "9", "type": "page", "status": "draft", "title": "D", "ancestors": []}
    cloud.wiki.fail("type in (page,blogpost)", Reply({"results": [entry], "_links": {}}))
    assert cloud.all() == ({}, [])


def test_only_pages_with_a_label(site: Site) -> None:
    """Those above still restrict, though they have not the label, and cost no request."""
    site.wiki.pages = {
        "1": WikiPage("Secret", groups=("board",)),
        "2": WikiPage("Plan", parents=("1",), labels=("Public-KB",)),
        "3": WikiPage("Other", labels=("x",)),
    }
    found = site.groups(only_labels=["public-kb"], map_groups={"confluence-users": EVERYONE})
    assert found == {"ENG/Secret/Plan": frozenset({"board"})}
    assert not any("restriction/byOperation" in path for path in site.wiki.paths())


TITLES = {
    "10": "Größe & «Ümläute» <b>",
    "11": "שלום עולם",
    "12": "备份指南 – 第1章",
    "13": "TCP/IP and CI/CD",
    "14": "  two\n lines  ",
    "15": "..",
    "16": "Release 4.16",
    "17": 'quoted "title" \\ #1',
    "18": "👩🏽‍🔧 on call",
}


def test_titles_of_all_kinds(site: Site) -> None:
    site.wiki.pages = {page_id: WikiPage(title) for page_id, title in TITLES.items()}
    found = {item.uri.rpartition("/")[2]: item for item in site.documents().values()}
    assert found["13"].name == "ENG/TCP∕IP and CI∕CD"
    assert found["14"].name == "ENG/two lines"
    assert found["12"].name == "ENG/备份指南 – 第1章"
    for page_id, title in TITLES.items():
        item = found[page_id]
        parsed = parse(item.load(), item.name + item.suffix)
        assert parsed.title == " ".join(title.split())
        assert "text" in parsed.text


def test_a_title_twice_in_a_space_gets_the_id_both_times(site: Site) -> None:
    site.wiki.pages = {
        "1": WikiPage("Notes", files=[WikiFile("a.txt")]),
        "2": WikiPage("Notes", files=[WikiFile("a.txt")]),
        "3": WikiPage("Other"),
        "4": WikiPage(""),
    }
    found = site.documents()
    assert set(found) == {
        "ENG/Notes (1)",
        "ENG/Notes (2)",
        "ENG/Notes/a (att10).txt",
        "ENG/Notes/a (att20).txt",
        "ENG/Other",
        "ENG/4",
    }
    assert text(found["ENG/Notes/a (att20).txt"]) == "text of the file"


MACROS = """
<div class="toc-macro"><ul><li><a href="#x">Contents entry</a></li></ul></div>
<h2>Steps</h2>
<ul class="inline-task-list" data-inline-tasks-content-id="1">
<li class="checked" data-inline-task-id="1"><span class="placeholder-inline-tasks">Order</span></li>
<li data-inline-task-id="2"><p>Rack the host</p></li></ul>
<div class="confluence-information-macro confluence-information-macro-warning"><p class="title">
Mind the gap</p><span class="aui-icon aui-icon-small"></span>
<div class="confluence-information-macro-body"><p>Power off first.</p></div></div>
<div class="confluence-information-macro confluence-information-macro-tip">
<div class="confluence-information-macro-body"><p>Label cables.</p></div></div>
<div class="panel"><div class="panelHeader"><b>Panel title</b></div>
<div class="panelContent"><p>Panel text</p></div></div>
<div class="code panel pdl"><div class="codeHeader panelHeader pdl"><b>run.sh</b></div>
<div class="codeContent panelContent pdl">
<pre class="syntaxhighlighter-pre" data-syntaxhighlighter-params="brush: bash; gutter: false"
># not a heading
esxcli  &lt;network&gt; list
    indented</pre></div></div>
<div class="expand-container"><div class="expand-control"><span>Show more</span></div>
<div class="expand-content" style="display: none;"><p>Folded text</p></div></div>
<p>State: <span class="status-macro aui-lozenge">DONE</span>
<img class="emoticon" alt="(tick)" src="/x.png"/></p>
<div class="table-wrap"><table class="confluenceTable"><tbody>
<tr><th>Host</th><th>GPU</th></tr><tr><td>esx1</td><td><p>A100</p></td></tr></tbody></table></div>
<fieldset class="hidden parameters"><input value="x"/>param=1</fieldset>
"""


def test_macros_survive_as_text(site: Site) -> None:
    site.wiki.pages = {"1": WikiPage("Hosts", body=MACROS)}
    lines = text(site.documents()["ENG/Hosts"]).splitlines()
    for line in (
        "# Hosts",
        "## Steps",
        "- [x] Order",
        "**Warning: Mind the gap**",
        "Power off first.",
        "**Tip**",
        "**Panel title**",
        "Panel text",
        "**run.sh**",
        "# not a heading",
        "esxcli  <network> list",
        "    indented",
        "Folded text",
        "- Host: esx1; GPU: A100",
    ):
        assert line in lines, line
    whole = " ".join(" ".join(lines).split())
    assert "- [ ] Rack the host" in whole
    assert "State: DONE (tick)" in whole
    assert lines[lines.index("# not a heading") - 1] == "```"
    assert "Contents entry" not in whole
    assert "param=1" not in whole


@pytest.mark.parametrize(
    "body",
    [
        "",
        "</body></html><title>other</title><h1>x",
        "<?xml version='1.0'?><p>x",
        "plain/text",
        "\x00\ud800",
    ],
)
def test_any_body_makes_a_page_under_its_own_title(server: Site, body: str) -> None:
    server.wiki.pages = {"1": WikiPage("Odd", body=body)}
    document = server.documents()["ENG/Odd"]
    assert parse(document.load(), "x.html").title == "Odd"


# Who may read


@pytest.mark.parametrize(
    ("space", "parents", "page", "expected"),
    [
        ({"staff"}, [], set(), {"staff"}),
        ({"staff", "user:ann"}, [], set(), {"staff", "user:ann"}),
        ({EVERYONE}, [], set(), {EVERYONE}),
        ({EVERYONE, "staff"}, [], {"team"}, {"team"}),
        ({EVERYONE}, [{"team", "board"}], {"team", "user:ann"}, {"team"}),
        ({EVERYONE}, [{"team"}, set()], set(), {"team"}),
        ({EVERYONE}, [{"team"}, {"board"}], set(), set()),
        ({EVERYONE}, [], {"user:ann"}, {"user:ann"}),
        ({EVERYONE}, [{"user:ann", "team"}], {"user:ann"}, {"user:ann"}),
        ({"staff"}, [], {"team"}, set()),
        ({"staff", "team"}, [], {"team"}, {"team"}),
        ({"user:ann"}, [], {"user:ann", "user:bob"}, {"user:ann"}),
    ],
)
def test_a_reader_passes_every_level(
    site: Site,
    space: set[str],
    parents: list[set[str]],
    page: set[str],
    expected: set[str],
) -> None:
    def restricted(title: str, level: set[str], above: tuple[str, ...]) -> WikiPage:
        users = tuple(sorted(name[5:] for name in level if name.startswith("user:")))
        groups = tuple(sorted(name for name in level if not name.startswith("user:")))
        return WikiPage(title, users=users, groups=groups, parents=above)

    readers = tuple(sorted(space - {EVERYONE}))
    site.wiki.spaces["ENG"] = WikiSpace(readers, anonymous=EVERYONE in space)
    above: tuple[str, ...] = ()
    for number, level in enumerate(parents, start=1):
        site.wiki.pages[str(number)] = restricted(f"P{number}", level, above)
        above += (str(number),)
    site.wiki.pages["9"] = restricted("Page", page, above)
    found = {item.uri.rpartition("/")[2]: item for item in site.documents().values()}
    mail = "@example.com" if site.wiki.cloud else ""
    named = {name + mail if name.startswith("user:") else name for name in expected}
    assert found["9"].groups == frozenset(named)


def test_groups_are_renamed_before_the_levels_meet(site: Site) -> None:
    site.wiki.pages = {"1": WikiPage("All"), "2": WikiPage("Team", groups=("team-x",))}
    mapped = {"confluence-users": EVERYONE, "team-x": "x"}
    found = site.groups(map_groups=mapped)
    assert found == {"ENG/All": frozenset({EVERYONE}), "ENG/Team": frozenset({"x"})}


def test_a_group_that_is_called_everyone_is_a_group(site: Site) -> None:
    site.wiki.spaces["ENG"].readers = ("everyone", "user:ann")
    site.wiki.pages = {"1": WikiPage("A", groups=("everyone",))}
    assert site.groups() == {"ENG/A": frozenset({"group:everyone"})}
    site.wiki.pages = {"1": WikiPage("A", groups=("user:bob",))}
    site.wiki.spaces["ENG"].anonymous = True
    assert site.groups() == {"ENG/A": frozenset({"group:user:bob"})}


def test_a_user_that_has_left_is_no_reader(server: Site) -> None:
    server.wiki.spaces["ENG"].readers = ("user:left", "user:ann")
    server.wiki.pages = {"1": WikiPage("A")}
    assert server.groups() == {"ENG/A": frozenset({"user:ann"})}
    server.wiki.spaces["HR"] = WikiSpace(("user:ann",))
    server.wiki.requests.clear()
    server.documents()
    assert server.wiki.paths()["/rest/api/user"] == 2  # each user once


@pytest.mark.parametrize("status", [403, 404])
def test_where_the_space_keeps_its_readers_to_itself(site: Site, status: int) -> None:
    where = "expand=space.permissions" if site.wiki.cloud else "/permissions"
    site.wiki.fail(where, Reply({"message": "no"}, status))
    site.wiki.pages = {"1": WikiPage("Open"), "2": WikiPage("Team", groups=("team",))}
    found = site.groups(groups=["staff"])
    assert found == {"ENG/Open": frozenset({"staff"}), "ENG/Team": frozenset({"team"})}
    assert site.groups()["ENG/Open"] is None


def test_data_center_says_500_to_those_who_do_not_administer_the_space(server: Site) -> None:
    server.wiki.fail("/permissions", Reply(b"", 500))
    server.wiki.pages = {"1": WikiPage("Open")}
    assert server.groups(groups=["staff"]) == {"ENG/Open": frozenset({"staff"})}


def test_500_is_a_failure_of_the_cloud(cloud: Site) -> None:
    cloud.wiki.fail("expand=space.permissions", Reply(b"", 500))
    cloud.wiki.pages = {"1": WikiPage("Open")}
    found, failed = cloud.all(groups=["staff"])
    assert found == {}
    assert [item.uri for item in failed] == [f"{cloud.url}/spaces/ENG/"]


def test_an_empty_list_of_readers_is_not_believed(site: Site) -> None:
    site.wiki.spaces["ENG"].readers = ()
    site.wiki.pages = {"1": WikiPage("Open")}
    assert site.groups(groups=["staff"]) == {"ENG/Open": frozenset({"staff"})}


@pytest.mark.parametrize(
    "reply", [Reply(b"", 503), Reply({}, 401), Reply(b"", 429), CUT, HALF_JSON, HTML_SIGN_IN]
)
def test_a_failure_in_reading_the_spaces_readers_opens_nothing(site: Site, reply: Reply) -> None:
    where = "expand=space.permissions" if site.wiki.cloud else "/permissions"
    site.wiki.fail(where, reply)
    site.wiki.pages = {"1": WikiPage("Open")}
    found, failed = site.all(groups=["staff"])
    assert found == {}
    assert [item.uri for item in failed] == [f"{site.url}/spaces/ENG/"]
    assert "permissions" in failed[0].reason


def test_a_parent_that_no_list_has_is_asked_for_once(site: Site) -> None:
    site.wiki.spaces["ENG"] = WikiSpace(anonymous=True)
    site.wiki.pages = {"1": WikiPage("Folder", groups=("team",))}
    site.wiki.hidden = {"1"}
    for number in range(2, 42):
        site.wiki.pages[str(number)] = WikiPage(f"P{number}", parents=("1",))
    assert set(site.groups().values()) == {frozenset({"team"})}
    asked = [path for path in site.wiki.paths().elements() if "byOperation" in path]
    assert len(asked) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_where_a_parent_is_withheld_nobody_may_read(site: Site, status: int) -> None:
    """Also not those who might before: the document fails to load, and its readers are nobody."""
    site.wiki.pages = {
        "1": WikiPage("Hidden"),
        "2": WikiPage("Below", parents=("1",), files=[WikiFile("a.txt")]),
        "3": WikiPage("Beside"),
    }
    site.wiki.hidden = {"1"}
    site.wiki.fail("byOperation", Reply({}, status))
    found = site.documents()
    assert found["ENG/Beside"].groups == STAFF
    for name in ("ENG/Hidden/Below", "ENG/Hidden/Below/a.txt"):
        assert (found[name].groups, found[name].stamp) == (NOBODY, "")
        with pytest.raises(SourceError, match="who may read page 1 cannot be told"):
            found[name].load()


def test_where_a_parent_cannot_be_asked_for_the_page_is_a_failure(site: Site) -> None:
    site.wiki.pages = {"1": WikiPage("Hidden"), "9": WikiPage("Hidden too")}
    site.wiki.hidden = {"1", "9"}
    for number in range(2, 8):
        parent = ("1",) if number % 2 else ("9",)
        site.wiki.pages[str(number)] = WikiPage(f"P{number}", parents=parent)
    site.wiki.fail("byOperation", Reply(b"", 503))
    found, failed = site.all()
    assert found == {}
    assert [item.uri.rpartition("/")[2] for item in failed] == ["2", "3", "4", "5", "6", "7"]
    asked = [path for path in site.wiki.paths().elements() if "byOperation" in path]
    assert len(asked) == 3  # the tries of one request


@pytest.mark.parametrize(
    "restrictions",
    [
        None,
        {},
        {"read": {}},
        {"read": {"restrictions": {"user": {"results": []}}}},
        {"read": {"restrictions": {"user": {"results": []}, "group": {"results": [{}]}}}},
        {"read": {"restrictions": {"user": {"results": []}, "group": {"results": None}}}},
        "none",
    ],
)
def test_restrictions_of_an_odd_shape_hide_the_page(site: Site, restrictions: object) -> None:
    entry = {
        "id": "5",
        "type": "page",
        "status": "current",
        "title": "Odd",
        "version": {"number": 1, "when": "x"},
        "ancestors": [],
        "restrictions": restrictions,
    }
    site.wiki.pages = {"1": WikiPage("x")}
    listed = Reply({"results": [entry], "_links": {}})
    site.wiki.fail(LISTS[site.wiki.cloud], listed, times=1)
    item = site.all()[0]["ENG/Odd"]
    assert item.groups == NOBODY
    with pytest.raises(SourceError, match="cannot be told"):
        item.load()


def test_a_page_that_does_not_say_what_it_lies_below_is_hidden(site: Site) -> None:
    whole = {"user": {"results": [], "size": 0}, "group": {"results": [], "size": 0}}
    entry = {"id": "5", "title": "Odd", "restrictions": {"read": {"restrictions": whole}}}
    listed = Reply({"results": [entry], "_links": {}})
    site.wiki.pages = {"1": WikiPage("x")}
    site.wiki.fail(LISTS[site.wiki.cloud], listed, times=1)
    item = site.all()[0]["ENG/Odd"]
    assert item.groups == NOBODY
    assert item.modified is None


def test_a_restriction_to_people_that_are_not_shown_is_one(site: Site) -> None:
    shown = {"user": {"results": [], "size": 2}, "group": {"results": [], "size": 0}}
    entry = {
        "id": "5",
        "title": "Odd",
        "ancestors": [],
        "restrictions": {"read": {"restrictions": shown}},
    }
    site.wiki.pages = {"1": WikiPage("x")}
    listed = Reply({"results": [entry], "_links": {}})
    site.wiki.fail(LISTS[site.wiki.cloud], listed, times=1)
    assert site.all()[0]["ENG/Odd"].groups == NOBODY


# Attachments


def test_attachments_have_the_readers_and_labels_of_their_page(site: Site) -> None:
    files = [
        WikiFile("Plan.PDF"),
        WikiFile("ü/1 & 2.txt", b"hello"),
        WikiFile("photo.png"),
        WikiFile("noext"),
        WikiFile("huge.docx", size=200 * 2**20),
    ]
    site.wiki.pages = {"1": WikiPage("A", labels=("x",), groups=("team",), files=files)}
    found, failed = site.all(map_groups={"confluence-users": EVERYONE})
    assert list(found) == ["ENG/A", "ENG/A/Plan.PDF", "ENG/A/ü∕1 & 2.txt"]
    plan = found["ENG/A/Plan.PDF"]
    assert plan.uri == f"{site.url}/spaces/ENG/pages/1/attachments/att10"
    assert plan.groups == frozenset({"team"})
    assert plan.metadata.labels == ("space:ENG", "x")
    assert "preview=0" in plan.metadata.url
    assert plan.modified == datetime(2026, 2, 1, tzinfo=UTC)
    assert text(found["ENG/A/ü∕1 & 2.txt"]) == "hello"
    assert [(item.name, "200 MB" in item.reason) for item in failed] == [("ENG/A/huge.docx", True)]
    assert list(site.documents(attachments=False)) == ["ENG/A"]


def test_a_page_with_more_attachments_than_the_list_carries(site: Site) -> None:
    site.wiki.pages = {"1": WikiPage("A", files=[WikiFile(f"{n}.txt") for n in range(60)])}
    assert len(site.documents(page_size=20)) == 61


def test_attachments_that_cannot_be_listed_are_not_gone(site: Site) -> None:
    site.wiki.pages = {"1": WikiPage("A", files=[WikiFile(f"{n}.txt") for n in range(60)])}
    site.wiki.fail("type=attachment" if site.wiki.cloud else "/child/attachment", Reply(b"", 403))
    found, failed = site.all()
    assert list(found) == ["ENG/A"]
    assert [item.uri for item in failed] == [found["ENG/A"].uri + "/attachments/"]
    assert within(f"{found['ENG/A'].uri}/attachments/att17", failed[0].uri)
    assert not within(found["ENG/A"].uri, failed[0].uri)


def test_an_attachment_is_fetched_from_where_it_was_moved_without_the_password(
    site: Site, stack: ExitStack
) -> None:
    class Store(FaultyServer):
        def answer(self, path: str, query: Query) -> Reply:
            return Reply(b"from the store")

    store = Store()
    moved = Reply(b"", 302, {"Location": stack.enter_context(store.running()) + "/media"})
    site.wiki.pages = {"1": WikiPage("A", files=[WikiFile("a.txt")])}
    site.wiki.fail("/download/", moved)
    for user in ("ann", ""):
        found = site.documents(user=user, token="s3cret")
        assert found["ENG/A/a.txt"].load() == b"from the store"
    assert all("authorization" in seen.headers for seen in site.wiki.requests)
    assert [seen for seen in store.requests if "authorization" in seen.headers] == []
    assert len(store.requests) == 2


def test_a_sign_in_page_is_no_attachment(server: Site) -> None:
    server.wiki.pages = {"1": WikiPage("A", files=[WikiFile("a.html")])}
    to = {"Location": f"{server.url}/login.action?os_destination=x"}
    server.wiki.fail("/download/", Reply(b"", 302, to))
    server.wiki.fail("/login.action", HTML_SIGN_IN)
    with pytest.raises(SourceError, match="did not accept the sign-in"):
        server.documents()["ENG/A/a.html"].load()


# Credentials


@pytest.mark.parametrize(
    ("user", "sent"),
    [("ann@example.com", "Basic YW5uQGV4YW1wbGUuY29tOnMzY3JldA=="), ("", "Bearer s3cret")],
)
def test_how_the_account_signs_in(site: Site, user: str, sent: str) -> None:
    many(site.wiki, 1)
    site.documents(user=user, token="s3cret")
    assert {seen.headers.get("authorization") for seen in site.wiki.requests} == {sent}


@pytest.mark.parametrize(
    "header",
    [{"X-AUSERNAME": "anonymous"}, {"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}],
)
def test_an_account_that_is_taken_for_anybody_is_a_failure(
    server: Site, header: dict[str, str]
) -> None:
    """Else an expired token would look like a wiki from which most pages are gone."""
    listed = {"results": [{"id": 1, "key": "ENG"}], "_links": {}}
    server.wiki.fail("/rest/api/space", Reply(listed, headers=header))
    found, failed = server.all(token="expired")
    assert found == {}
    assert failed[0].uri == f"{server.url}/"
    assert "did not accept the sign-in" in failed[0].reason
    server.wiki.faults.clear()
    server.wiki.fail("/rest/api/space", Reply({"results": []}, headers=header), times=1)
    assert server.all() == ({}, [])  # without credentials it is meant so


def test_a_list_that_goes_on_at_another_server_is_not_followed(
    site: Site, stack: ExitStack
) -> None:
    other = Wiki()
    elsewhere = stack.enter_context(other.running())
    site.wiki.pages = {"1": WikiPage("A")}
    links = {"next": f"{elsewhere}/rest/api/content?start=1"}
    page = site.wiki._entry("1", {"expand": ["version"]})
    site.wiki.fail(LISTS[site.wiki.cloud], Reply({"results": [page], "_links": links}), times=1)
    _, failed = site.all(token="s3cret")
    assert other.requests == []
    if site.wiki.cloud:
        assert "another one" in failed[0].reason


# Faults


def root_failure(site: Site) -> Failure:
    found, failed = site.all()
    assert found == {}
    assert len(failed) == 1
    assert failed[0].uri == f"{site.url}/"
    return failed[0]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"message": "x"}, 401), "user and token"),
        (Reply({"message": "x"}, 403), "read access"),
        (Reply(b"", 429, {"Retry-After": "7"}), "requests_per_second"),
        (Reply(b"", 500), "failed with 500 3 times"),
        (CUT, "does not answer after 3 tries"),
        (HALF_JSON, "not whole JSON"),
        (HTML_SIGN_IN, "sign-in page"),
        (Reply([]), "check base_url"),
        (Reply({"results": [{"key": "ENG"}]}), "check base_url"),
        (Reply({"results": "x"}), "check base_url"),
        (Reply({"results": [{"id": "../x", "key": "ENG"}]}), "check base_url"),
    ],
)
def test_spaces_that_cannot_be_listed(site: Site, reply: Reply, said: str) -> None:
    many(site.wiki, 1)
    site.wiki.fail("/spaces" if site.wiki.cloud else "/rest/api/space", reply)
    assert said in root_failure(site).reason


def test_a_server_that_is_not_there(site: Site) -> None:
    found, failed = site.all(base_url="http://127.0.0.1:9/wiki")
    assert found == {}
    assert "does not answer" in failed[0].reason
    assert failed[0].uri == "http://127.0.0.1:9/wiki/"


@pytest.mark.parametrize(
    "reply",
    [
        Reply({}, 401),
        Reply({}, 403),
        Reply(b"", 500),
        CUT,
        HALF_JSON,
        HTML_SIGN_IN,
        Reply({"results": [{"id": "x y"}]}),
        Reply({"results": [{"id": "777", "version": "new"}]}),
    ],
)
def test_a_list_that_breaks_off_keeps_what_was_listed(site: Site, reply: Reply) -> None:
    """A Failure covers the space, so that nothing of the rest is taken to be gone."""
    many(site.wiki, 50)
    site.wiki.spaces["HR"] = WikiSpace()
    site.wiki.pages["99"] = WikiPage("Elsewhere", space="HR")
    site.wiki.fail('space="ENG" and' if site.wiki.cloud else "spaceKey=ENG", reply, skip=1)
    found, failed = site.all(page_size=10)
    assert len(found) == 11
    assert "HR/Elsewhere" in found
    assert [(item.uri, item.name) for item in failed] == [(f"{site.url}/spaces/ENG/", "ENG/")]
    assert within(f"{site.url}/spaces/ENG/pages/40", failed[0].uri)


def test_overload_is_waited_out_as_long_as_asked(site: Site) -> None:
    many(site.wiki, 2)
    site.wiki.fail(LISTS[site.wiki.cloud], Reply(b"", 429, {"Retry-After": "7"}), times=1)
    site.wiki.fail(LISTS[site.wiki.cloud], Reply(b"", 500), times=1)
    assert len(site.documents()) == 2
    assert 7.0 in site.slept
    assert 1.0 in site.slept  # the second wait of our own


def test_a_connection_that_breaks_once_is_tried_again(site: Site) -> None:
    many(site.wiki, 2)
    site.wiki.fail(LISTS[site.wiki.cloud], CUT, times=1)
    assert len(site.documents()) == 2


def test_a_list_that_goes_round_in_circles_ends(site: Site) -> None:
    many(site.wiki, 3)
    expand = {"expand": ["version,ancestors,restrictions.read.restrictions.user"]}
    entries = [site.wiki._entry(page_id, expand) for page_id in site.wiki.pages]
    again = {"results": entries, "_links": {"next": "/rest/api/content/search?cursor=again"}}
    site.wiki.fail(LISTS[site.wiki.cloud], Reply(again))
    site.wiki.fail("cursor=again", Reply(again))
    found, failed = site.all()
    assert len(found) == 3
    assert "repeats itself" in failed[0].reason
    assert failed[0].uri.endswith("/spaces/ENG/")
    assert len(site.wiki.requests) < 10


def test_entries_that_come_twice_are_one_document(cloud: Site) -> None:
    many(cloud.wiki, 3)
    expand = {"expand": ["version,ancestors,restrictions.read.restrictions.user"]}
    first, second, third = (cloud.wiki._entry(page_id, expand) for page_id in cloud.wiki.pages)
    links = {"next": "/rest/api/content/search?cursor=two"}
    cloud.wiki.fail(LISTS[True], Reply({"results": [first, second, second], "_links": links}))
    cloud.wiki.fail("cursor=two", Reply({"results": [second, third], "_links": {}}))
    assert len(cloud.documents()) == 3


def test_empty_pages_that_always_name_a_next_one_end(site: Site) -> None:
    many(site.wiki, 1)
    nothing = {"results": [], "_links": {"next": "/rest/api/content/search?cursor=x"}}
    site.wiki.fail(LISTS[site.wiki.cloud], Reply(nothing))
    site.wiki.fail("cursor=x", Reply(nothing))
    assert site.all() == ({}, [])
    assert len(site.wiki.requests) < 12


def test_a_page_that_is_gone_when_it_is_read(site: Site) -> None:
    many(site.wiki, 2)
    site.wiki.pages["1"].files = [WikiFile("a.txt")]
    found = site.documents()
    site.wiki.pages["1"].files = []
    with pytest.raises(SourceError, match=r"after it was listed \(404\)"):
        found["ENG/Page 1/a.txt"].load()
    del site.wiki.pages["1"]
    with pytest.raises(SourceError, match=r"after it was listed \(404\)"):
        found["ENG/Page 1"].load()
    assert "text" in text(found["ENG/Page 2"])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({}, 401), "user and token"),
        (Reply({}, 403), "closed to the source's account"),
        (Reply(b"", 500), "failed with 500 3 times"),
        (CUT, "does not answer"),
        (HALF_JSON, "not whole JSON"),
        (HTML_SIGN_IN, "not whole JSON"),
        (Reply({}), "no export_view"),
        (Reply({"body": {"export_view": None}}), "no export_view"),
        (Reply({"body": {"export_view": {"value": 5}}}), "odd export_view"),
        (Reply([]), "no export_view"),
        (Reply(b'"' + b"x" * 2**21 + b'"'), "over the limit of 1 MB"),
    ],
)
def test_a_body_that_cannot_be_read(site: Site, reply: Reply, said: str) -> None:
    many(site.wiki, 1)
    site.wiki.fail("body-format" if site.wiki.cloud else "expand=body", reply)
    with pytest.raises(SourceError, match=said):
        site.documents(max_file_mb=1)["ENG/Page 1"].load()


def test_a_failed_body_can_be_had_the_next_time(site: Site) -> None:
    many(site.wiki, 1)
    document = site.documents()["ENG/Page 1"]
    site.wiki.fail("body-format" if site.wiki.cloud else "expand=body", Reply(b"", 502), times=2)
    assert b"text" in document.load()


# Configuration


def config(**settings: Any) -> ConfluenceConfig:
    known = {"kind": "confluence", "base_url": "https://wiki.example.com"}
    return ConfluenceConfig.model_validate(known | settings)


@pytest.mark.parametrize(
    ("url", "address", "is_cloud"),
    [
        ("https://wiki.example.com/", "https://wiki.example.com", False),
        ("https://example.com/confluence/", "https://example.com/confluence", False),
        ("https://x.atlassian.net", "https://x.atlassian.net/wiki", True),
        ("https://x.atlassian.net/wiki/", "https://x.atlassian.net/wiki", True),
        (
            "https://api.atlassian.com/ex/confluence/1/wiki",
            "https://api.atlassian.com/ex/confluence/1/wiki",
            True,
        ),
    ],
)
def test_the_address_tells_the_flavour(url: str, address: str, is_cloud: bool) -> None:
    found = config(base_url=url)
    assert (found.base_url, found.is_cloud) == (address, is_cloud)
    assert config(base_url=url, flavour="cloud").is_cloud
    assert not config(base_url=url, flavour="server").is_cloud


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "wiki.example.com"}, "whole address"),
        ({"base_url": "ftp://wiki.example.com"}, "whole address"),
        ({"base_url": "https://ann:pw@wiki.example.com"}, "keys of their own"),
        ({"base_url": "https://wiki.example.com/?os_authType=basic"}, "address alone"),
        ({"user": "ann"}, "token is empty though user is given"),
        ({"user": "ann", "token": ""}, "token is empty though user is given"),
        ({"token": "two words"}, "token is none"),
        ({"token": "line\n"}, "token is none"),
        ({"token": "schlüssel"}, "token is none"),
        ({"page_size": 1}, "greater than or equal to 10"),
        ({"groups": []}, "name a group"),
        ({"space": "ENG"}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**settings)


def test_a_password_may_hold_any_letters(server: Site) -> None:
    many(server.wiki, 1)
    assert len(server.documents(user="änn", token="pass wörd")) == 1


def test_a_missing_certificate_file_is_said_at_once() -> None:
    with pytest.raises(SourceError, match=r"nowhere\.pem cannot be read"):
        ConfluenceSource(config(ca_file="nowhere.pem"))


# The whole way


def test_a_sync_that_finds_nothing_new_reads_no_page(tmp_path: Path, site: Site) -> None:
    site.wiki.spaces["ENG"] = WikiSpace(anonymous=True)
    site.wiki.pages = {"1": WikiPage("Top"), "2": WikiPage("Below", parents=("1",), body=MACROS)}
    knowledge = fake_knowledge(tmp_path)

    def sync() -> Callable[[str], object]:
        site.wiki.requests.clear()
        report = ingest(knowledge, list(site.source().documents()), PUBLIC, source="wiki")
        return lambda name: getattr(report, name)

    def bodies() -> int:
        return sum("body" in str(seen.query) for seen in site.wiki.requests)

    assert sync()("added") == ["ENG/Top", "ENG/Top/Below"]
    assert bodies() == 2
    assert sync()("unchanged") == 2
    assert bodies() == 0
    site.wiki.pages["1"].groups = ("team",)  # inherited, and no new version
    assert sync()("regrouped") == ["ENG/Top", "ENG/Top/Below"]
    assert bodies() == 0
    site.wiki.hidden = {"1"}
    site.wiki.fail("byOperation", Reply({}, 403))
    report = sync()
    assert report("regrouped") == ["ENG/Top/Below"]
    below = f"{site.url}/spaces/ENG/pages/2"
    assert knowledge.catalog.known([below])[below].state.groups == NOBODY
    knowledge.close()
