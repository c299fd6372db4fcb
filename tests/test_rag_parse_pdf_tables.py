"""Tables in PDFs: rows that can be read alone, nothing lost or doubled, no harm to other text."""

from __future__ import annotations

import contextlib
import io
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    Preformatted,
    SimpleDocTemplate,
    Table,
)

from rag.chunk import chunk_document
from rag.errors import ParseError
from rag.parse import parse
from rag.schema import ParsedDocument

STYLES = getSampleStyleSheet()
BODY = STYLES["BodyText"]
SMALL = ParagraphStyle("small", parent=BODY, fontSize=8, leading=10)
PROSE = (
    "Before a host enters maintenance mode, the scheduler moves its virtual machines to other "
    "hosts of the cluster, which takes a while if their memory is large and the network is busy."
)
LINE = colors.black
GRID = [("GRID", (0, 0), (-1, -1), 0.5, LINE)]
BOOKTABS = [
    ("LINEABOVE", (0, 0), (-1, 0), 1, LINE),
    ("LINEBELOW", (0, 0), (-1, 0), 0.5, LINE),
    ("LINEBELOW", (0, -1), (-1, -1), 1, LINE),
]
LOOKS = {
    "grid": GRID,
    "booktabs": BOOKTABS,
    "frame and columns": [
        ("BOX", (0, 0), (-1, -1), 0.5, LINE),
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, LINE),
        ("LINEAFTER", (0, 0), (-2, -1), 0.5, LINE),
    ],
    "inner columns alone": [
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, LINE),
        ("LINEAFTER", (0, 0), (-2, -1), 0.5, LINE),
    ],
    "lines below rows": [("LINEBELOW", (0, 0), (-1, -1), 0.5, colors.grey)],
    "every second row shaded": [
        ("BACKGROUND", (0, row), (-1, row), colors.lightgrey) for row in (2, 4)
    ],
    "bands": [
        ("BACKGROUND", (0, 0), (-1, 0), colors.darkblue),
        ("TEXTCOLOR", (0, 0), (-1, 0), colors.white),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.whitesmoke, colors.lightgrey]),
    ],
    "cells shaded": [
        *(("BACKGROUND", (c, r), (c, r), colors.lightgrey) for c in range(4) for r in (0, 2, 4))
    ],
    "no rules, bold header": [("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")],
    "no rules, numbers below words": [],
}
HOSTS = [
    ["Host", "Card", "State", "Uptime"],
    ["esx01", "A100", "ok", "12"],
    ["esx02", "A30", "draining", "3"],
    ["esx03", "L40S", "degraded", "400"],
    ["esx04", "H100", "ok", "7"],
]
HOST_ROWS = [
    "- Host: esx01; Card: A100; State: ok; Uptime: 12",
    "- Host: esx02; Card: A30; State: draining; Uptime: 3",
    "- Host: esx03; Card: L40S; State: degraded; Uptime: 400",
    "- Host: esx04; Card: H100; State: ok; Uptime: 7",
]


def table(
    rows: Sequence[Sequence[object]], style: Sequence[object] = GRID, **options: object
) -> Table:
    return Table(rows, style=list(style), **options)


def p(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    return Paragraph(text, style)


def pdf(*story: Flowable) -> ParsedDocument:
    return parse(built(*story), "a.pdf")


def built(*story: Flowable) -> bytes:
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4, invariant=1).build(list(story))
    return buffer.getvalue()


def drawn(*pages: Callable[[canvas.Canvas], None], size: tuple[float, float] = A4) -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=size, invariant=1)
    for draw in pages:
        draw(page)
        page.showPage()
    page.save()
    return buffer.getvalue()


def put(page: canvas.Canvas, flowable: Flowable, left: float, top: float) -> float:
    """Draw with the top left corner there; how high it is."""
    _, height = flowable.wrap(450, 800)
    flowable.drawOn(page, left, top - height)
    return float(height)


def rows(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("- ")]


@pytest.mark.parametrize("look", LOOKS)
def test_a_table_however_it_is_drawn(look: str) -> None:
    document = pdf(p(PROSE), table(HOSTS, LOOKS[look]), p(PROSE))
    assert document.text == "\n\n".join([PROSE, "\n".join(HOST_ROWS), PROSE])


@pytest.mark.parametrize("look", ["grid", "lines below rows", "bands"])
def test_cells_of_several_lines(look: str) -> None:
    cells = [
        ["Setting", "Default", "Meaning"],
        [p("use64bitMMIO", SMALL), "FALSE", p(PROSE, SMALL)],
        [p("a setting whose name is rather long", SMALL), "", p("Short.", SMALL)],
    ]
    found = pdf(table(cells, LOOKS[look], colWidths=[90, 60, 250])).text
    assert rows(found) == [
        f"- Setting: use64bitMMIO; Default: FALSE; Meaning: {PROSE}",
        "- Setting: a setting whose name is rather long; Meaning: Short.",
    ]


def test_rows_without_rules_between_them_keep_the_lines_of_their_cells() -> None:
    cells = [["Term", "Kind", "Explanation"]]
    cells += [[f"term{n}", "noun", p(PROSE.replace("host", f"host{n}"))] for n in range(3)]
    found = rows(pdf(table(cells, BOOKTABS, colWidths=[60, 60, 250])).text)
    assert found == [
        f"- Term: term{n}; Kind: noun; Explanation: " + PROSE.replace("host", f"host{n}")
        for n in range(3)
    ]


def test_broken_names_in_narrow_cells_are_whole_again() -> None:
    cells = [["Profile", "VMs"], [p("A100-40C"), "1"], [p("A100-20C"), "2"]]
    found = pdf(table(cells, colWidths=[40, 60], style=GRID)).text
    assert rows(found) == ["- Profile: A100-40C; VMs: 1", "- Profile: A100-20C; VMs: 2"]


def test_lines_that_were_meant_stay_apart() -> None:
    cells = [["Host", "Ports", "Rack"], ["esx01", "443\n902\n5480", "A"], ["esx02", "443", "B"]]
    assert rows(pdf(table(cells, colWidths=[80, 150, 60])).text) == [
        "- Host: esx01; Ports: 443 / 902 / 5480; Rack: A",
        "- Host: esx02; Ports: 443; Rack: B",
    ]


def test_merged_cells() -> None:
    cells = [
        ["Site", "Host", "Role", "Cards"],
        ["Berlin", "esx01", "primary", "2"],
        ["", "esx02", "standby", "1"],
        ["All others", "", "none", "-"],
    ]
    merged = [*GRID, ("SPAN", (0, 1), (0, 2)), ("SPAN", (0, 3), (1, 3))]
    assert rows(pdf(table(cells, merged)).text) == [
        "- Site: Berlin; Host: esx01; Role: primary; Cards: 2",
        "- Site: Berlin; Host: esx02; Role: standby; Cards: 1",
        "- Site: All others; Role: none; Cards: -",
    ]


def test_a_header_of_two_rows() -> None:
    cells = [
        ["Card", "Limits", "", "Price"],
        ["", "vGPUs", "MIG", ""],
        ["A100", "10", "7", "high"],
        ["A30", "4", "4", "low"],
    ]
    spans = [("SPAN", (0, 0), (0, 1)), ("SPAN", (1, 0), (2, 0)), ("SPAN", (3, 0), (3, 1))]
    assert rows(pdf(table(cells, [*GRID, *spans])).text) == [
        "- Card: A100; Limits vGPUs: 10; Limits MIG: 7; Price: high",
        "- Card: A30; Limits vGPUs: 4; Limits MIG: 4; Price: low",
    ]


def test_titles_over_all_columns() -> None:
    cells = [
        ["Limits for each host", "", ""],
        ["Card", "VMs", "MIG"],
        ["A100", "10", "7"],
        ["Networking", "", ""],
        ["NIC", "4", "-"],
    ]
    spans = [("SPAN", (0, 0), (-1, 0)), ("SPAN", (0, 3), (-1, 3))]
    assert pdf(table(cells, [*GRID, *spans])).text.split("\n") == [
        "Limits for each host",
        "- Card: A100; VMs: 10; MIG: 7",
        "- Networking",
        "- Card: NIC; VMs: 4; MIG: -",
    ]


def test_pairs_without_a_header() -> None:
    cells = [["Product", "Backup"], ["Version", "8.0 U2"], ["Port", "5480/TCP"], ["Fan", "two"]]
    expected = ["- Product: Backup", "- Version: 8.0 U2", "- Port: 5480/TCP", "- Fan: two"]
    assert rows(pdf(table(cells)).text) == expected
    bold = [*GRID, ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")]
    assert rows(pdf(table(cells, bold)).text)[0] == "- Product: Version; Backup: 8.0 U2"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (["Alarm 0", "Warning", "Check unit 0"], "- Alarm 0: Warning; Check unit 0"),
        (["2023", "2024", "2025"], "- 2023: 2024; 2025"),
        (["Alarm", "Severity", "Remedy"], None),
    ],
)
def test_a_first_row_like_the_others_is_no_header(first: list[str], expected: str | None) -> None:
    cells = [first, ["Alarm 1", "Critical", "Check unit 1"], ["Alarm 2", "Warning", "Call us"]]
    found = rows(pdf(table(cells)).text)
    if expected is None:
        assert found[0] == "- Alarm: Alarm 1; Severity: Critical; Remedy: Check unit 1"
    else:
        assert found[0] == expected
        assert len(found) == 3


def test_several_tables_on_a_page_keep_their_order() -> None:
    first = table([["A", "B"], ["1", "2"], ["3", "4"]])
    second = table([["C", "D"], ["5", "6"], ["7", "8"]])
    found = pdf(p("One."), first, p("Two."), second, p("Three.")).text
    assert found.split("\n\n") == [
        "One.",
        "- A: 1; B: 2\n- A: 3; B: 4",
        "Two.",
        "- C: 5; D: 6\n- C: 7; D: 8",
        "Three.",
    ]


def test_tables_side_by_side_are_two() -> None:
    left = table([["A", "B"], ["1", "2"], ["3", "4"]])
    right = table([["C", "D"], ["5", "6"], ["7", "8"]])

    def draw(page: canvas.Canvas) -> None:
        put(page, left, 72, 700)
        put(page, right, 320, 700)

    found = rows(parse(drawn(draw), "a.pdf").text)
    assert sorted(found) == ["- A: 1; B: 2", "- A: 3; B: 4", "- C: 5; D: 6", "- C: 7; D: 8"]


def test_a_table_in_a_column_of_text() -> None:
    buffer = io.BytesIO()
    template = BaseDocTemplate(buffer, pagesize=A4, invariant=1)
    frames = [Frame(left, 60, 230, 720) for left in (60, 310)]
    template.addPageTemplates(PageTemplate(frames=frames))
    story: list[Flowable] = [p(f"Number {n}. {PROSE}") for n in range(14)]
    story.insert(3, table(HOSTS))
    template.build(story)
    found = parse(buffer.getvalue(), "a.pdf").text.split("\n\n")
    expected = [f"Number {n}. {PROSE}" for n in range(14)]
    expected.insert(3, "\n".join(HOST_ROWS))
    assert found == expected


@pytest.mark.parametrize(
    ("look", "repeated"),
    [
        *((look, n) for look in ("grid", "bands", "no rules, bold header") for n in (0, 1)),
        ("booktabs", 1),  # without its header the second page has a single rule, at its end
    ],
)
def test_a_table_over_several_pages(look: str, repeated: int) -> None:
    """The header holds for the pages that follow, whether or not they repeat it."""
    cells = [["Code", "Text", "Remedy"]]
    cells += [[f"E{n:03}", f"Failure {'abc'[n % 3]}", f"Replace {n}"] for n in range(90)]
    found = pdf(p(PROSE), table(cells, LOOKS[look], repeatRows=repeated))
    assert len(found.page_starts) == 3
    assert rows(found.text) == [
        f"- Code: E{n:03}; Text: Failure {'abc'[n % 3]}; Remedy: Replace {n}" for n in range(90)
    ]


def test_another_table_on_the_next_page_has_its_own_header() -> None:
    widths = [100, 100, 100]
    cells = [["Name", "Kind", "Rack"], ["n1", "k1", "r1"], ["n2", "k2", "r2"]]
    head = [*GRID, ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")]
    second = table([["Card", "Maker", "Year"], *HOSTS_OF_CARDS], head, colWidths=widths)
    found = pdf(table(cells, colWidths=widths), PageBreak(), second).text
    assert rows(found)[2] == "- Card: A100; Maker: N; Year: 2020"
    third = table([["1", "2", "3"], ["4", "5", "6"]], colWidths=widths)
    found = pdf(table(cells, colWidths=widths), p(PROSE), PageBreak(), third).text
    assert rows(found)[2:] == ["- 1: 2; 3", "- 4: 5; 6"]


HOSTS_OF_CARDS = [["A100", "N", "2020"], ["L40S", "N", "2022"]]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("marked", [True, False])
def test_turned_pages(turn: int, marked: bool) -> None:
    """Whether the page is marked as turned, or just written on sideways."""

    def draw(page: canvas.Canvas) -> None:
        page.setPageRotation(turn if marked else 0)
        width, height = A4
        page.translate(*{0: (0, 0), 90: (width, 0), 180: (width, height), 270: (0, height)}[turn])
        page.rotate(turn)
        top = 500.0
        for flowable in (p(PROSE), table(HOSTS), p(PROSE)):
            top -= put(page, flowable, 60, top) + 20

    found = parse(drawn(draw), "a.pdf").text
    assert found == "\n\n".join([PROSE, "\n".join(HOST_ROWS), PROSE])


def test_words_on_either_side_of_a_rule_are_two() -> None:
    """pdfium sees one word where nothing but a rule stands between two."""

    def draw(page: canvas.Canvas) -> None:
        page.setFont("Helvetica", 10)
        for row, (left, right) in enumerate((("Name", "Size"), ("esx01", "128"), ("esx02", "9"))):
            page.drawRightString(120, 704 - 20 * row, left)
            page.drawString(120, 704 - 20 * row, right)
            page.line(80, 720 - 20 * row, 160, 720 - 20 * row)
        page.line(80, 660, 160, 660)
        for x in (80, 120, 160):
            page.line(x, 660, x, 720)

    found = parse(drawn(draw), "a.pdf").text
    assert rows(found) == ["- Name: esx01; Size: 128", "- Name: esx02; Size: 9"]


# What is no table


@pytest.mark.parametrize(
    ("story", "times"),
    [
        ([table([[p(PROSE)]])], 1),
        ([table([["Note", p(PROSE)]], colWidths=[60, 350])], 1),
        ([table([["", p(PROSE)], ["", p(PROSE)]], colWidths=[20, 350])], 2),
        ([table([[p(PROSE * 5), p(PROSE * 5)], [p(PROSE * 5), p(PROSE * 5)]])], 20),
        ([p(PROSE), table([[""]], [("LINEBELOW", (0, 0), (-1, -1), 1, LINE)]), p(PROSE)], 2),
        ([p(f"<u>{PROSE}</u>"), p(f"<u>{PROSE}</u>"), p(f"<u>{PROSE}</u>")], 3),
        ([p(PROSE), table([["Chapter", "Page"], ["", ""]])], 1),
    ],
    ids=["frame", "note", "icon", "columns of prose", "rule", "underlined", "one row"],
)
def test_what_only_looks_like_a_table_stays_text(story: list[Flowable], times: int) -> None:
    found = pdf(*story).text
    assert rows(found) == []
    assert found.count("maintenance mode") == times


def test_a_listing_in_a_frame_keeps_its_lines() -> None:
    code = "NAME     READY   STATUS\nweb-0    1/1     Running\nweb-1    0/1     Pending"
    found = pdf(p(PROSE), table([[Preformatted(code, STYLES["Code"])]]), p(PROSE)).text
    assert rows(found) == []
    assert found.count("\n") == 6


def test_a_frame_around_the_page_is_no_table() -> None:
    """A title block above and below, as in controlled documents."""

    def draw(page: canvas.Canvas) -> None:
        head = table([["ACME", "Operations manual", "Rev. 4"]], colWidths=[100, 250, 100])
        height = put(page, head, 70, 800)
        page.rect(70, 60, 450, 740)
        page.line(70, 100, 520, 100)
        page.line(300, 60, 300, 100)
        top = 780 - height
        for n in range(6):
            top -= put(page, p(f"Number {n}. {PROSE}"), 80, top) + 8
        page.drawString(80, 75, "Approved: B. Doe")
        page.drawString(310, 75, "Date: 2026-01-01")

    found = parse(drawn(draw), "a.pdf").text
    for n in range(6):
        assert f"Number {n}. {PROSE}" in found
    assert rows(found) == []


def test_a_drawing_of_boxes_is_no_table() -> None:
    def draw(page: canvas.Canvas) -> None:
        spots = {"Vehicle": (200, 600), "Land": (100, 500), "Air": (300, 480), "Car": (180, 380)}
        for name, (x, y) in spots.items():
            page.rect(x, y, 70, 30)
            page.drawString(x + 10, y + 10, name)
        for x0, y0, x1, y1 in ((135, 530, 135, 615), (135, 615, 200, 615), (215, 410, 215, 600)):
            page.line(x0, y0, x1, y1)

    found = parse(drawn(draw), "a.pdf").text
    assert rows(found) == []
    assert sorted(found.split()) == ["Air", "Car", "Land", "Vehicle"]


def test_a_map_costs_little_and_keeps_its_labels() -> None:
    def draw(page: canvas.Canvas) -> None:
        for i in range(60_000):
            page.line(i % 500, i % 700, (i + 9) % 500, i % 700)
        page.drawString(72, 72, "Figure 1: network")

    data = drawn(draw)
    start = time.monotonic()
    assert parse(data, "a.pdf").text == "Figure 1: network"
    assert time.monotonic() - start < 60


def test_a_very_large_table_takes_seconds() -> None:
    def draw(page: canvas.Canvas) -> None:
        page.setFont("Helvetica", 6)
        for row in range(200):
            for column in range(40):
                page.rect(10 + column * 49, 10 + row * 13, 49, 13)
                page.drawString(12 + column * 49, 13 + row * 13, f"c{row}x{column}")

    data = drawn(draw, size=(2000, 2700))
    start = time.monotonic()
    words = Counter(re.findall(r"c\d+x\d+", parse(data, "a.pdf").text))
    assert time.monotonic() - start < 60
    assert len(words) == 8000


# Nothing is lost or doubled


@pytest.mark.parametrize("seed", range(25))
def test_every_word_comes_once(seed: int) -> None:
    """Any table: each word of a body cell once, or once for each row that its cell spans."""
    pick = random.Random(seed)
    columns, count = pick.randint(2, 6), pick.randint(2, 14)
    cells: list[list[object]] = [[f"head{c}" for c in range(columns)]]
    look = pick.choice([GRID, GRID, *LOOKS.values()])
    style = [command for command in look if command[0] != "BACKGROUND"]
    said: dict[tuple[int, int], list[str]] = {}
    for r in range(1, count + 1):
        for c in range(columns):
            said[r, c] = [f"w{r}x{c}n{n}" for n in range(pick.choice([0, 1, 1, 2, 3]))]
    said[1, 0] = ["w1x0n0"]  # else the row could be the header's second line
    spanning: list[str] = []
    if look is GRID and count > 2:
        c, r = pick.randint(1, columns - 1), pick.randint(1, count - 1)
        said[r + 1, c] = []
        said[r + 1, c - 1] = [f"w{r + 1}x{c - 1}n9"]
        spanning = said[r, c]
        style.append(("SPAN", (c, r), (c, r + 1)))
    for r in range(1, count + 1):
        texts = [" ".join(said[r, c]) for c in range(columns)]
        cells.append([p(text, SMALL) if text else "" for text in texts])
    times = Counter([*spanning, *(word for words in said.values() for word in words)])
    times.update(around := ["around0", "around1"])
    found = pdf(p(around[0]), table(cells, style, repeatRows=1), p(around[1])).text
    assert Counter(re.findall(r"w\d+x\d+n\d+|around\d", found)) == times


def test_flipped_bytes() -> None:
    whole = built(p(PROSE), table(HOSTS), p(PROSE), table(HOSTS, LOOKS["bands"]))
    for seed in range(80):
        pick = random.Random(seed)
        damaged = bytearray(whole)
        for _ in range(15):
            damaged[pick.randrange(len(damaged))] = pick.randrange(256)
        with contextlib.suppress(ParseError):
            assert parse(bytes(damaged), "a.pdf").text


# What becomes of it


def word_starts(text: str) -> NDArray[np.int64]:
    return np.asarray([match.start() for match in re.finditer(r"\w+|[^\w\s]", text)], np.int64)


def test_a_passage_that_begins_anywhere_still_names_the_columns() -> None:
    cells = [["Code", "Text", "Remedy"]]
    cells += [[f"E{n:03}", p(f"Failure of unit {n}"), p(f"Replace {n}")] for n in range(80)]
    chunks = chunk_document(pdf(table(cells, repeatRows=1)), word_starts, 60, 1)
    assert len(chunks) > 5
    for chunk in chunks:
        for row in chunk.text.strip().split("\n"):
            if row:
                assert re.fullmatch(r"- Code: E\d+; Text: Failure of unit \d+; Remedy: .*", row)
