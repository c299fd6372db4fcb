"""Tables in Markdown, HTML and Word documents as rows that name their columns."""

from __future__ import annotations

import io
import re
import string
import time
from typing import Any

import docx
import numpy as np
import pytest
from docx.oxml import OxmlElement
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.chunk import chunk_document
from rag.parse import parse
from rag.parsers.html import html_to_markdown
from rag.parsers.markdown_tables import tables_as_rows
from rag.parsers.table_rows import document_table, pair_lines, plain_label
from rag.sentences import sentences


def table(*rows: str, attributes: str = "") -> str:
    """Each row is the HTML of its cells."""
    return f"<table {attributes}>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def shown(html: str) -> str:
    return html_to_markdown(html)[1]


def token_starts(text: str) -> NDArray[np.int64]:
    found = [match.start() for match in re.finditer(r"\w{1,5}|[^\w\s]", text)]
    return np.array(found, dtype=np.int64)


# What all formats share


@pytest.mark.parametrize("kind", ["md", "html", "docx"])
def test_a_passage_from_the_middle_of_a_table_names_its_columns(kind: str) -> None:
    rows = [[f"esx{n:03}", f"A100 number {n}", f"{n} GB"] for n in range(120)]
    head = ["Host", "GPU", "Memory"]
    if kind == "md":
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * 3, *rows)]
        data = "\n".join(("# Hosts", "", *lines)).encode()
    elif kind == "html":
        cells = ["".join(f"<td>{cell}" for cell in row) for row in (head, *rows)]
        data = f"<h1>Hosts</h1>{table(*cells)}".encode()
    else:
        data = word([head, *rows])
    chunks = chunk_document(parse(data, f"hosts.{kind}"), token_starts, 200, 1)
    assert len(chunks) > 10
    for chunk in chunks:
        for unit in sentences(chunk.text):
            assert re.fullmatch(r"- Host: esx\d+; GPU: A100 number \d+; Memory: \d+ GB", unit)


def test_rows_of_two_formats_agree() -> None:
    markdown = (
        "|   | **A100** | [L40](l40.md) |\n|---|---|---|\n| Memory | 80<br>GB | 48 |\n| x | | 1 |"
    )
    html = table(
        "<td></td><th><b>A100</b></th><th><a href='https://e.org/l40'>L40</a></th>",
        "<td>Memory<td>80<br>GB<td>48",
        "<td>x<td><td>1",
    )
    rows = "- Memory; A100: 80 / GB; L40: 48\n- x; L40: 1"
    assert tables_as_rows(markdown) == rows
    assert shown(html) == rows


def test_header_cells_as_labels() -> None:
    assert plain_label("**[Name](x.md)** of `host`\n now") == "Name of host now"
    assert list(document_table([["", ""]], [["a", "b"]])) == ["- a: b"]
    assert list(document_table([["", "B"]], [["a", ""]])) == ["- Column 1: a"]
    long = ("word " * 30).strip()
    lines = list(document_table([[long, "B"]], [["1", "2"]]))
    assert lines[0] == f"- Columns: {long}; B"  # not lost, though the label is cut
    assert re.fullmatch(r"- word [word ]{40,}…: 1; B: 2", lines[1])


def test_the_lines_of_a_long_row_all_have_its_key() -> None:
    assert pair_lines([("Step", "1"), ("Do", "1) Power on. 2) Log in. Wait")]) == [
        "- Step: 1; Do: 1) Power on.",
        "- Step: 1; Do: 2) Log in.",
        "- Step: 1; Do: Wait",
    ]
    lines = pair_lines([("Role", "a"), ("May", " / ".join(f"Virtual > Do {n}" for n in range(60)))])
    assert len(lines) > 2
    for line in lines:
        assert re.fullmatch(r"- Role: a(; May: (Virtual > Do \d+( / )?)+)?", line), line


# HTML


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (  # two rows of names, with spans, and a caption
            "<table><caption>GPU <b>hosts</b></caption><thead><tr><th rowspan=2>Host<th colspan=2>"
            "Memory<tr><th>GPU<th>RAM</thead><tfoot><tr><td>all<td>120<td>1536</tfoot><tbody><tr>"
            "<td rowspan=2>esx1<td>40<td>512<tr><td>80<td>1024</tbody></table>",
            "**GPU hosts**\n\n- Host: esx1; Memory GPU: 40; Memory RAM: 512\n"
            "- Host: esx1; Memory GPU: 80; Memory RAM: 1024\n"
            "- Host: all; Memory GPU: 120; Memory RAM: 1536",
        ),
        (table("<th>Owner<td>Ops", "<th>Host<td>esx1"), "- Owner: Ops\n- Host: esx1"),
        (table("<td>Owner<td>Ops", "<td>Host<td>esx1"), "- Owner: Ops\n- Host: esx1"),
        (table("<th>Slots<td>2<td>1", "<th>GB<td>80<td>48"), "- Slots: 2; 1\n- GB: 80; 48"),
        (
            table("<td>Profile<td>Memory", "<td>A<td>40 GB", "<td>B<td>80 GB"),
            "- Profile: A; Memory: 40 GB\n- Profile: B; Memory: 80 GB",
        ),
        (table("<td><b>Name</b><td><b>Use</b>", "<td>A<td>x"), "- Name: A; Use: x"),
        (table("<td>A<td>B<td>C", "<td>1<td colspan=2>2"), "- A: 1; B: 2"),
        (table("<td>esx1<td>4<td>9", "<td>esx2<td>8<td>7"), "- esx1; 4; 9\n- esx2; 8; 7"),
        (
            table("<th colspan=2>All", "<th>A<th>B", "<td colspan=2>Ada", "<td>1<td>2"),
            "**All**\n\n- Ada\n- A: 1; B: 2",
        ),
        (
            table("<th>A<th>B", "<td>1<td>2", "<th>C<th>D", "<td>3<td>4"),
            "- A: 1; B: 2\n- C: 3; D: 4",
        ),
        (table("<th>A<th>B", "<th>1<th>2"), "- A: 1; B: 2"),
        (table("<th>A<th>B"), "- Columns: A, B"),
        (table("<td>a", "<td>b"), "- a\n- b"),
        (
            table("<td rowspan=0>a<td>b<td>c", "<td>d<td>e", "<td>f<td>g"),
            "- a; b; c\n- a; d; e\n- a; f; g",
        ),
        (table("<td rowspan=x colspan=-1>a<td colspan=9999999>b", "<td>c<td>d"), "- a: b\n- c: d"),
        ("<table></table>" + table("<td> ", "<td>&nbsp;") + "x", "x"),
        ("<table>loose<tr><form><td>a<td>b</form><!-- no --></table>", "loose\n\n- a: b"),
        (
            "<ul><li>i" + table("<th>A<th>B", "<td>1<td>2") + "<li>j</ul>",
            "- i\n\n  - A: 1; B: 2\n- j",
        ),
        (
            table(
                "<th>Host<th>Slots",
                f"<td>esx1<td>{table('<th>k<th>v', '<td>1<td>2', '<td>3<td>4')}",
            ),
            "- Host: esx1; Slots: k: 1; v: 2 / k: 3; v: 4",
        ),
    ],
)
def test_html_tables(html: str, expected: str) -> None:
    assert shown(html) == expected


def test_cells_of_html_are_one_line_each() -> None:
    cell = (
        "<h3>Note</h3><p>One</p><p># two</p><ul><li>a<ul><li>b</ul></ul><ol><li>c<li>d</ol>"
        "<pre>\n\nrun --x\n  end\n</pre><blockquote>said</blockquote><hr><dl><dt>T<dd>M</dl>"
    )
    assert shown(table("<th>K<th>V", f"<td>k<td>{cell}")) == (
        "- K: k; V: Note / One / # two / a / b / 1) c / 2) d / run --x / end / said / T: M"
    )


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (table("<td><h1>T</h1><p>x", "<td># y"), "# T\n\nx\n\n\\# y"),
        (table("<td>Menu<td><h2>T</h2>x", "<td>a<td>b"), "Menu\n\n## T\n\nx\n\na\n\nb"),
        (
            table("<td>Hi<td>you", "<td>a<td>b", attributes="role=presentation"),
            "Hi\n\nyou\n\na\n\nb",
        ),
        (table(f"<td>x{table('<th>k<th>v', '<td>1<td>2')}"), "x\n\n- k: 1; v: 2"),
        (table("<th>Note", "<td><ul><li>a<li>b</ul>"), "Note\n\n- a\n- b"),
        (table(f"<td>{'long ' * 50}<td>b"), f"{('long ' * 50).strip()}\n\nb"),
    ],
)
def test_html_tables_that_only_lay_out_are_their_cells(html: str, expected: str) -> None:
    assert shown(html) == expected


@pytest.mark.parametrize(
    "html",
    [
        table("<td class=linenos><div><pre>9\n10\n</pre></div><td><pre>def f():\n    go()\n</pre>"),
        table("<td class=gl><pre>1<br>2</pre><td><div><pre>def f():<br>    go()</pre></div>"),
        "<pre><code>"
        + table("<td><pre>1\n2\n</pre><td><pre>def f():\n    go()\n</pre>")
        + "</code></pre>",
        table(
            "<td data-line-number=7></td><td class='blob-code x'>def f():</td>",
            "<td data-line-number=8></td><td class='blob-code x'>    go()</td>",
        ),
        table("<td>1<td><code>def f():</code>", "<td>2<td><code>    go()</code>"),
    ],
)
def test_html_tables_of_numbered_code_are_code(html: str) -> None:
    assert shown(html) == "```\ndef f():\n    go()\n```"


def test_numbers_beside_other_things_are_no_line_numbers() -> None:
    assert shown(table("<td>1<td>on", "<td>2<td>off")) == "- 1: on\n- 2: off"
    assert (
        shown(table("<td>1<td><code>a</code>", "<td>7<td><code>b</code>")) == "- 1: `a`\n- 7: `b`"
    )
    assert "1; `a`" in shown(table("<td>1<td><code>a</code><td>x", "<td>2<td><code>b</code><td>y"))


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><title>T</title><main><p>Hello</p></main>",
        "<!doctype html><html><head><meta charset=utf-8><title>T</title><link href=x>"
        "<style>p{}</style><script>no()</script></head><main><p>Hello</p></main></html>",
        "<title>T</title><article>Hello</article>",
        "<title>T</title><section hidden>no</section><section>Hello</section>",
    ],
)
def test_html_without_a_body_tag(page: str) -> None:
    document = parse(page.encode(), "x.html")
    assert (document.title, document.text) == ("T", "Hello")


# Word


def word(rows: list[list[str]], *, marked: bool = False) -> bytes:
    document = docx.Document()
    document.add_heading("Hosts", 1)
    made = document.add_table(rows=len(rows), cols=len(rows[0]))
    for row, texts in zip(made.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    if marked:
        properties: Any = made.rows[0]._tr.get_or_add_trPr()
        properties.append(OxmlElement("w:tblHeader"))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_word_tables() -> None:
    two = [["Term", "Meaning"], ["vGPU", "A part"], ["MIG", "A slice\n\nof one"]]
    assert parse(word(two, marked=True), "x.docx").text == (
        "# Hosts\n\n- Term: vGPU; Meaning: A part\n- Term: MIG; Meaning: A slice / of one"
    )
    assert parse(word(two), "x.docx").text == (
        "# Hosts\n\n- Term: Meaning\n- vGPU: A part\n- MIG: A slice / of one"
    )
    assert parse(word([["only a frame"]]), "x.docx").text == "# Hosts\n\nonly a frame"


def test_merged_cells_in_word() -> None:
    document = docx.Document()
    made = document.add_table(rows=3, cols=3)
    texts = ("Host", "Slot", "GPU", "esx1", "1", "A100", "", "2", "L40")
    for cell, text in zip((c for row in made.rows for c in row.cells), texts, strict=True):
        cell.text = text
    made.cell(1, 0).merge(made.cell(2, 0))
    buffer = io.BytesIO()
    document.save(buffer)
    assert parse(buffer.getvalue(), "x.docx").text == (
        "- Host: esx1; Slot: 1; GPU: A100\n- Host: esx1; Slot: 2; GPU: L40"
    )


# Markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b\n--|:-:\n1 | 2\n# H\n", "- a: 1; b: 2\n# H\n"),
        ("T:\n|a|b|\n|-|-|\n|x\\|y|`z`|more|\n|1|\n\nt | u\n", None),
        ("| a |\n|---|", "- Columns: a"),
        ("| | |\n|-|-|\n| Owner | Ops |", "- Owner: Ops"),
        ("1. s\n\n   |a|b|\n   |-|-|\n   |1|2|\n   |3|4|\n\n   t",
         "1. s\n\n   - a: 1; b: 2\n   - a: 3; b: 4\n\n   t"),
        ("> |a|b|\n> |-|-|\n> |1|2|\n> |3|4|\n>\n> x", "> - a: 1; b: 2\n> - a: 3; b: 4\n>\n> x"),
        ("- |a|b|\n  |-|-|\n  |1|2|\n  |3|4|\n- z", "- - a: 1; b: 2\n  - a: 3; b: 4\n- z"),
        ("|a|b|\n|-|-|\n|<ul><li>x</li><li>y</li></ul>|2|", "- a: x / y; b: 2"),
        ("x\n\n<table>\n<tr><th>a<th>b\n\n<tr><td>1<td>2\n</table>\n\ny", "x\n\n- a: 1; b: 2\n\ny"),
        ("1. x\n\n   <table><tr><th>a<th>b\n   <tr><td>1<td>2<tr><td>3<td>4</table>\n\n2. y",
         "1. x\n\n   - a: 1; b: 2\n   - a: 3; b: 4\n\n2. y"),
        ("<details>\n<table><tr><td>a<td>b</table></details>\n", "<details>\n- a: b\n</details>\n"),
        ("<table><tr><td>" + "<table><tr><td>k<td>v</table>" + "</table>", "- k: v"),
    ],
)  # fmt: skip
def test_markdown_tables(text: str, expected: str | None) -> None:
    if expected is None:
        expected = "T:\n- a: x|y; b: `z`; Column 3: more\n- a: 1\n\nt | u\n"
    assert tables_as_rows(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "```\n|a|b|\n|-|-|\n|1|2|\n```\n",
        "~~~~md\n```\n|a|b|\n|-|-|\n~~~~\n",
        "    |a|b|\n    |-|-|\n    |1|2|\n",
        "|a|b|c|\n|-|-|\n|1|2|\n",  # as many dashes as names, or it is no table
        "a | b\n\n---\n\nc | d\n",
        "Name\n----\n\nx | y\n",
        "<!--\n<table><tr><td>a<td>b</table>\n|a|b|\n|-|-|\n-->\n",
        "<pre>\n<table><tr><td>a<td>b</table>\n</pre>\n",
        "```html\n<table><tr><td>a<td>b</table>\n```\n",
        "Write `<table>` or <table> so </table>.\n",
        "<table><tr><td>\n\n```yaml\na: b\n```\n\n</td></tr></table>\n",
        "<table>\n<tr><td>never closed\n",
        "> <table>\n> <tr><td>a<td>b\n> </table>\n",
        "<table><tr><td>" * 3_000 + "</table>" * 3_000,  # too deep to be read
        "",
    ],
)
def test_what_is_no_table_stays_what_it_is(text: str) -> None:
    assert tables_as_rows(text) == text


def test_markdown_files_come_with_rows_and_without_front_matter() -> None:
    document = parse(b"---\ntitle: T\n---\r\n# H\r\n\r\n|a|b|\r\n|-|-|\r\n|1|2|\r\n", "x.md")
    assert (document.title, document.text) == ("T", "# H\n\n- a: 1; b: 2\n")


_WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=6)
_CELL = st.lists(_WORD, max_size=3).map(" ".join)
_ROWS = st.lists(st.lists(_CELL, min_size=1, max_size=4), min_size=1, max_size=5)
_PROSE = st.text("ab|-:>`~#<* \n1.", max_size=60)


@given(_ROWS, _PROSE, _PROSE)
@settings(deadline=None, max_examples=100)
def test_nothing_around_a_markdown_table_changes(
    rows: list[list[str]], before: str, behind: str
) -> None:
    names = [cell or "n" for cell in rows[0]]
    lines = ["|".join(("", *cells, "")) for cells in (names, ["---"] * len(names), *rows[1:])]
    made = "\n".join(lines)
    fence = "```\n" + made.replace("|", "¦") + "\n```"
    text = f"{fence}\n\n{made}\n\n{fence}"
    found = tables_as_rows(text)
    if any(any(row) for row in rows[1:]):
        assert found.startswith(f"{fence}\n\n- ")
    assert found.endswith(f"\n\n{fence}")
    for word_ in re.findall(r"\w+", " ".join(cell for row in rows[1:] for cell in row)):
        assert word_ in found
    whole = f"{before}\n\n{text}\n\n{behind}"  # whatever the prose makes of the table
    for line in (line for line in before.split("\n") if "|" not in line and "<" not in line):
        assert line in tables_as_rows(whole)


_HTML_CELL = st.tuples(
    st.sampled_from(["td", "th"]), _CELL, st.integers(0, 4), st.integers(0, 4), st.booleans()
)


@given(st.lists(st.lists(_HTML_CELL, max_size=4), max_size=5), st.booleans())
@settings(deadline=None, max_examples=100)
def test_no_word_of_an_html_table_is_lost(
    rows: list[list[tuple[str, str, int, int, bool]]], headed: bool
) -> None:
    html = [
        "".join(
            f"<{tag} colspan={w} rowspan={h}>{f'<b>{text}</b>' if bold else text}</{tag}>"
            for tag, text, w, h, bold in row
        )
        for row in rows
    ]
    # The name of a column without any value is not said.
    html = [part for row in html for part in (row, "<td>z" * 34)] or [""]
    page = table(*html)
    if headed:
        page = f"<table><thead><tr>{html[0]}</tr></thead>{table(*html[1:])[8:]}"
    words = {word_ for row in rows for cell in row for word_ in cell[1].split()}
    assert words <= set(re.findall(r"\w+", shown(page)))


# Too much of it


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("|" * 2_000_000, "x.md"),
        ("|a|\n|-|\n" + "|" * 500_000, "x.md"),
        ("|a" * 2_000 + "\n" + "|-" * 2_000 + "\n" + ("|x" * 2_000 + "\n") * 20, "x.md"),
        ("|-|\n" * 20_000, "x.md"),
        ("---\n" * 200_000, "x.md"),
        ("-" + " |" * 500_000 + "x\n", "x.md"),
        ("<table>\n" * 100_000, "x.md"),
        ("<table><tr>" + "<th>a" * 2_000 + ("<tr>" + "<td>x" * 2_000) * 4, "x.html"),
        ("<table><tr>" + f"<td rowspan=1000>{'a' * 200}" * 100 + "<tr><td>x" * 300, "x.html"),
        ("<table>" + "<tr><td colspan=1000>x<td>y" * 1_000, "x.html"),
        ("<table><tr><th>a<th>b<tr><td>x<td><pre>y" + " " * 500_000 + "x</pre>", "x.html"),
        ("<pre>y" + " " * 500_000 + "x</pre>", "x.html"),
    ],
)
def test_tables_that_are_hostile_take_no_time(data: str, name: str) -> None:
    started = time.monotonic()
    assert parse(data.encode(), name).text
    assert time.monotonic() - started < 60


def test_names_are_not_repeated_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    head, row = ["x" * 40] * 50, ["1"] * 50
    markdown = "\n".join("|".join(("", *cells, "")) for cells in (head, ["-"] * 50, *[row] * 20))
    monkeypatch.setattr("rag.parsers.markdown_tables._MAX_ROWS_TEXT", 10_000)
    assert tables_as_rows(markdown) == markdown
    monkeypatch.setattr("rag.parsers.html_markdown._MAX_ROWS_TEXT", 10_000)
    html = table(*["".join(f"<th>{cell}" for cell in head), *["<td>1" * 50] * 20])
    assert len(shown(html)) < 10_000
    assert shown(html).endswith("- 1; 1; 1" + "; 1" * 47)
