"""`python -m rag sync` over sources of several kinds, and `ingest --watch`, as a site runs them."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
import yaml

from rag.__main__ import app
from rag.catalog import Catalog
from rag.config import FOREIGN_SECTIONS, RagConfig
from rag.knowledge import open_knowledge
from rag.schema import RawDocument
from rag.sources.folder_rules import NAME as RULES
from rag.sources.folder_rules import read_rules
from rag.sources.site import SourcesConfig, open_source
from settings import SettingsError, load
from tests.confluence_server import Reply, Wiki, WikiPage
from tests.fakes import FakeEmbedder, run_rag
from tests.test_rag_source_web import Site, page

ROOT = Path(__file__).parent.parent


class Synced(NamedTuple):
    """See `Done`."""

    code: int
    out: str
    err: str

    def rows(self) -> dict[str, dict[str, Any]]:
        """By source. Raises where a line is no JSON."""
        return {row["source"]: row for row in map(json.loads, self.out.splitlines())}

    def counts(self) -> dict[str, dict[str, int]]:
        """Source -> what became of how many documents, and nothing of those that are none."""
        keys = ("added", "changed", "regrouped", "relabelled", "removed", "failures")
        found = {}
        for name, row in self.rows().items():
            counted = {key: len(row[key]) for key in keys} | {"unchanged": row["unchanged"]}
            found[name] = {key: count for key, count in counted.items() if count}
        return found


Cli = Callable[..., Synced]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process, on a data folder and a sources.yaml of its own."""
    for command in ("sync_command", "ingest_command"):
        monkeypatch.setattr(
            f"rag.{command}.open_knowledge", lambda config: open_knowledge(config, FakeEmbedder())
        )

    def run(*arguments: str | Path) -> Synced:
        line = [*arguments, f"data_dir={tmp_path / 'data'}"]
        line += ["--sources", tmp_path / "sources.yaml"] if arguments[0] == "sync" else []
        return Synced(*run_rag(monkeypatch, capsys, *line))

    return run


class Sites:
    """Three places of documents, and the file that names them."""

    def __init__(self, folder: Path, web: Site, wiki: Wiki) -> None:
        self.web, self.wiki, self.docs = web, wiki, folder / "docs"
        self._file = folder / "sources.yaml"
        self.docs.mkdir()
        for name in ("a", "b", "c"):
            (self.docs / f"{name}.md").write_text(f"# {name}\n\nabout {name}")
        web.put("/docs/", page("Docs", "a.html", "b.html"))
        web.put("/docs/a.html", page("A"))
        web.put("/docs/b.html", page("B"))
        wiki.pages = {"1": WikiPage("Home"), "2": WikiPage("Backup", groups=("ops",))}
        quick = {"requests_per_second": 1000, "tries": 1, "timeout_s": 5, "verify_tls": False}
        self.sources: dict[str, dict[str, Any]] = {
            "shelf": {"kind": "files", "paths": [str(self.docs)], "groups": ["staff"]},
            "site": {"kind": "web", "crawl": {"start": f"{web.url}/docs/"}, **quick},
            "wiki": {
                "kind": "confluence", "base_url": wiki.url, "flavour": "server",
                "token": "${WIKI_TOKEN}", **quick,
            },
        }  # fmt: skip
        self.write()

    def write(self) -> None:
        self._file.write_text(yaml.safe_dump({"sources": self.sources}, sort_keys=False))


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    monkeypatch.setenv("WIKI_TOKEN", "secret-of-the-wiki")
    web, wiki = Site(), Wiki()
    with wiki.running():
        try:
            yield Sites(tmp_path, web, wiki)
        finally:
            web.stop()


def documents(tmp_path: Path) -> dict[str, frozenset[str]]:
    catalog = Catalog(RagConfig(data_dir=tmp_path / "data"))
    found = {f"{d.source}:{d.name}": d.groups for d in catalog.list_documents()}
    catalog.close()
    return found


def test_all_sources_one_after_the_other(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    planned = cli("sync", "--dry-run", "--json")
    assert (planned.code, planned.counts()) == (
        0, {"shelf": {"added": 3}, "site": {"added": 3}, "wiki": {"added": 2}},
    )  # fmt: skip
    assert not (tmp_path / "data" / "vsage.db").exists()
    done = cli("sync", "--json")
    assert (done.code, done.counts()) == (0, planned.counts())
    assert [row["dry_run"] for row in done.rows().values()] == [False] * 3
    held = documents(tmp_path)
    assert len(held) == 8
    assert held["shelf:a.md"] == {"staff"}
    assert {name for name in held if name.startswith("wiki:")} == {
        "wiki:ENG/Home",
        "wiki:ENG/Backup",
    }
    again = cli("sync")
    assert again.code == 0
    assert "shelf 3 unchanged" in again.out
    assert "site 3 unchanged" in again.out
    assert "wiki 2 unchanged" in again.out


def test_what_changed_is_planned_and_done(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    cli("sync")
    (sites.docs / "a.md").unlink()
    (sites.docs / "b.md").write_text("# b\n\nanother text")
    sites.web.put("/docs/a.html", page("A", text="It was rewritten from the first word on."))
    sites.wiki.pages["1"] = WikiPage("Home", groups=("ops",))
    sites.wiki.pages["3"] = WikiPage("New")
    planned = cli("sync", "--dry-run", "--json")
    assert planned.counts() == {
        "shelf": {"changed": 1, "removed": 1, "unchanged": 1},
        "site": {"changed": 1, "unchanged": 2},
        "wiki": {"added": 1, "regrouped": 1, "unchanged": 1},
    }
    before = documents(tmp_path)
    assert cli("sync", "--json").counts() == planned.counts()
    after = documents(tmp_path)
    assert before["wiki:ENG/Home"] != after["wiki:ENG/Home"]
    assert set(before) - set(after) == {"shelf:a.md"}


def test_a_source_that_is_down_costs_itself_alone(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    cli("sync")
    before = documents(tmp_path)
    sites.wiki.fail("", Reply(b"", 503))
    sites.web.pages.clear()
    sites.web.put("/docs/", "", status=500)
    (sites.docs / "new.md").write_text("new")
    done = cli("sync", "--json")
    assert done.code == 1
    assert set(done.rows()) == {"shelf", "site", "wiki"}
    assert done.counts()["shelf"] == {"added": 1, "unchanged": 3}
    for name in ("site", "wiki"):
        assert done.rows()[name]["failures"]
        assert not done.rows()[name]["removed"]
    assert documents(tmp_path).items() > before.items()
    assert "secret-of-the-wiki" not in done.out + done.err


def test_a_source_that_cannot_even_be_opened(cli: Cli, sites: Sites) -> None:
    sites.sources["wiki"] |= {"ca_file": "/no/such/file.pem", "verify_tls": True}
    sites.write()
    done = cli("sync", "--json")
    assert done.code == 1
    assert [len(row["failures"]) for row in done.rows().values()] == [0, 0, 1]
    assert "/no/such/file.pem" in done.rows()["wiki"]["failures"][0]["reason"]


class Faulty:
    """Lists one document, then meets what nobody thought of."""

    def __init__(self, error: Exception, in_load: bool) -> None:
        self._error, self._in_load = error, in_load

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def documents(self) -> Iterator[RawDocument]:
        def load() -> bytes:
            raise self._error

        yield RawDocument("test:a.md", "a.md", None, load)
        if not self._in_load:
            raise self._error


# A dry run does not load what is new.
@pytest.mark.parametrize(("in_load", "dry_run"), [(False, False), (False, True), (True, False)])
def test_a_fault_in_one_source_costs_itself_alone(
    cli: Cli,
    sites: Sites,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    in_load: bool,
    dry_run: bool,
) -> None:
    faulty = Faulty(ZeroDivisionError("by\n zero"), in_load)

    def opened(name: str, *arguments: Any) -> Any:
        return faulty if name == "shelf" else open_source(name, *arguments)

    monkeypatch.setattr("rag.sync_command.open_source", opened)
    caplog.set_level("DEBUG", "rag.sync_command")
    done = cli("sync", "--json", *(["--dry-run"] if dry_run else []))
    assert list(done.rows()) == ["shelf", "site", "wiki"]
    assert [row["added"] != [] for row in done.rows().values()][1:] == [True, True]
    assert done.code == 1
    (failure,) = done.rows()["shelf"]["failures"]
    assert failure["name"] == "shelf"
    assert failure["reason"].startswith("ended early by ZeroDivisionError: by zero")
    (record,) = [record for record in caplog.records if record.name == "rag.sync_command"]
    assert (record.levelname, record.exc_info is not None) == ("DEBUG", True)


def test_a_fault_is_shown_in_a_line(
    cli: Cli, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rag.sync_command.open_source", lambda *_: Faulty(ValueError("[red]odd"), False)
    )
    done = cli("sync", "shelf")
    assert done.code == 1
    assert any("ended early by ValueError: [red]odd" in line for line in done.out.splitlines())


def test_named_sources_alone(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    done = cli("sync", "wiki", "shelf", "wiki", "--json")
    assert list(done.rows()) == ["wiki", "shelf"]
    assert {name.split(":")[0] for name in documents(tmp_path)} == {"wiki", "shelf"}
    assert not sites.web.asked
    unknown = cli("sync", "wikki")
    assert unknown.code == 2
    assert "there is no source 'wikki'; there are: shelf, site, wiki" in unknown.err


def test_mistakes_in_the_file_are_named_at_once(
    cli: Cli, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites.sources["wiki"]["spacs"] = ["ENG"]
    sites.sources["shelf"]["pahts"] = sites.sources["shelf"].pop("paths")
    sites.sources["site"]["crawl"]["max_page"] = 3
    sites.sources["other"] = {"kind": "wikki", "paths": ["x"]}
    sites.sources["kindless"] = {"paths": ["x"]}
    sites.sources["here"] = {"kind": "files", "paths": ["${NO_SUCH_FOLDER:-}"], "groups": "staff"}
    sites.write()
    monkeypatch.delenv("WIKI_TOKEN")
    done = cli("sync", "shelf")
    assert (done.code, done.out) == (2, "")
    for said in (
        "sources.wiki.spacs: unknown key; did you mean 'sources.wiki.spaces'?",
        "sources.shelf.pahts: unknown key; did you mean 'sources.shelf.paths'?",
        "sources.shelf.paths: is required",
        "did you mean 'sources.site.crawl.max_pages'?",
        "sources.other.kind: 'wikki' is unknown; there are: 'files', 'web'",
        "sources.kindless.kind: is required",
        "sources.here.paths: one of the paths is empty",
        "sources.here.groups: must be a list",
        "sources.wiki.token: the environment variable WIKI_TOKEN is not set",
    ):
        assert said in done.err


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "-x", ".hidden", "a b"])
def test_names_that_would_be_trouble(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({"sources": {name: {"kind": "files", "paths": ["x"]}}}))
    with pytest.raises(SettingsError, match="is no name"):
        load(SourcesConfig, path)


def test_without_a_file_or_a_source(cli: Cli, tmp_path: Path) -> None:
    done = cli("sync")
    assert done.code == 2
    assert "no such file" in done.err
    assert "--sources" in done.err
    (tmp_path / "sources.yaml").write_text("sources: {}\n")
    done = cli("sync")
    assert done.code == 2
    assert "no source is listed" in done.err
    assert not (tmp_path / "data").exists()


def test_a_shrunken_source_needs_to_be_told(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    cli("sync", "shelf")
    for path in sites.docs.iterdir():
        path.unlink()
    for options in (["--dry-run"], []):
        done = cli("sync", "shelf", "--json", *options)
        assert done.code == 1
        assert "sync shelf --prune-all" in done.rows()["shelf"]["failures"][0]["reason"]
    assert cli("sync", "shelf", "--prune-all", "--dry-run", "--json").counts() == {
        "shelf": {"removed": 3}
    }
    assert len(documents(tmp_path)) == 3
    done = cli("sync", "shelf", "--prune-all", "--json")
    assert (done.code, done.counts()) == (0, {"shelf": {"removed": 3}})


def test_a_renamed_source_is_told_what_to_do(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    cli("sync", "shelf")
    sites.sources = {"library": sites.sources["shelf"]}
    sites.write()
    done = cli("sync")
    assert done.code == 1
    assert "belongs to the source 'shelf'" in done.out
    assert "`python -m rag sync --forget shelf` deletes them" in done.out
    done = cli("sync", "--forget", "shelf", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"deleted": 3})
    assert cli("sync", "--json").counts() == {"library": {"added": 3}}
    assert {name.split(":")[0] for name in documents(tmp_path)} == {"library"}


def test_forgetting_leaves_nothing_behind(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    cli("sync")
    copies = tmp_path / "data" / "sources" / "site"
    assert any(copies.iterdir())
    for options in (["--dry-run"], ["--prune-all"], ["wiki"]):
        done = cli("sync", "--forget", "site", *options)
        assert done.code == 2
        assert "--forget" in done.err
    assert len(documents(tmp_path)) == 8
    assert cli("sync", "--forget", "site").out == "Deleted 3.\n"
    assert not copies.exists()
    assert len(documents(tmp_path)) == 5
    done = cli("sync", "--forget", "site")
    assert done.code == 2
    assert "sources of documents: shelf, wiki" in done.err
    assert len(documents(tmp_path)) == 5


def test_connections_are_closed_after_a_sync(sites: Sites, tmp_path: Path) -> None:
    config = load(SourcesConfig, tmp_path / "sources.yaml")
    with open_source("wiki", config.sources["wiki"], RagConfig(data_dir=tmp_path)) as source:
        assert len(list(source.documents())) == 2
    with pytest.raises(RuntimeError, match="closed"):
        list(source.documents())


# --- ingest --------------------------------------------------------------------------------------


def test_a_dry_run_of_ingest_writes_nothing(cli: Cli, sites: Sites, tmp_path: Path) -> None:
    done = cli("ingest", sites.docs, "--prune", "--dry-run", "--json")
    assert (done.code, json.loads(done.out)["added"]) == (0, ["a.md", "b.md", "c.md"])
    assert not (tmp_path / "data").exists()


WATCH = """
import sys
import rag.ingest_command
from rag.__main__ import app, main
from rag.knowledge import open_knowledge
from tests.fakes import FakeEmbedder, run_rag
rag.ingest_command.open_knowledge = lambda config: open_knowledge(config, FakeEmbedder())
main()
"""


def test_watching_follows_every_change_until_it_is_interrupted(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("alpha")
    # The catalog lies in the folder that is watched: its own writes must not wake it.
    command = ["ingest", str(docs), "--watch", "--prune", "--json", f"data_dir={docs / 'data'}"]
    with subprocess.Popen(
        [sys.executable, "-c", WATCH, *command],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None

        def report() -> dict[str, Any]:
            assert process.stdout is not None
            values: dict[str, Any] = json.loads(process.stdout.readline())
            return {
                key: values[key]
                for key in ("added", "changed", "removed", "regrouped", "failures")
                if values[key]
            }

        assert report() == {"added": ["a.md"]}
        (docs / "b.md").write_text("beta")
        assert report() == {"added": ["b.md"]}
        replace_file(docs / "a.md", "alpha, changed")
        assert report() == {"changed": ["a.md"]}
        (docs / "b.md").unlink()
        assert report() == {"removed": [(docs / "b.md").as_uri()]}
        (docs / ".vsage.yaml").write_text("groups: [staff]")
        assert report() == {"regrouped": ["a.md"]}
        # The share goes away: nobody looks on, so nothing is removed.
        (docs / "a.md").unlink()
        (failure,) = report()["failures"]
        assert "none of these was removed" in failure["reason"]
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")
    assert "Traceback" not in told
    assert f"Watching {docs}; Ctrl-C ends it." in told


def replace_file(path: Path, text: str) -> None:
    """As editors save: no reader meets half of it."""
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def test_only_what_is_there_can_be_watched(cli: Cli, tmp_path: Path) -> None:
    done = cli("ingest", tmp_path / "gone", "--watch")
    assert done.code == 2
    assert "does not exist" in done.err
    done = cli("ingest", tmp_path, "--watch", "--dry-run")
    assert done.code == 2


# --- the guide -----------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "ingesting.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"python -m rag [^`\n#]+", GUIDE)


@pytest.mark.parametrize("line", dict.fromkeys(COMMANDS))
def test_the_guide_shows_commands_that_exist(line: str) -> None:
    group = typer.main.get_command(app)
    name, *rest = shlex.split(line.partition(">>")[0])[3:]
    command = group.commands[name]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known
    for path in (word for word in rest if word.startswith("docs/")):
        assert (ROOT / path).exists()


def test_the_guide_shows_overrides_that_are_valid() -> None:
    overrides = re.findall(r"\bingest\.\w+=\w+", GUIDE)
    assert len(overrides) >= 4
    load(RagConfig, ROOT / "configs" / "chat.yaml", overrides, FOREIGN_SECTIONS)


def test_the_guide_shows_rules_that_can_be_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    (tmp_path / RULES).write_text(text)
    rules = read_rules(tmp_path)
    assert rules is not None
    assert (rules.groups, rules.version) == (("hr", "board"), "8.0")
