"""Presentations, workbooks, and what guards all Office files. Inputs are built by the libraries."""

from __future__ import annotations

import datetime
import io
import random
import re
import time
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from openpyxl.chart import BarChart
from pptx.util import Inches

from rag.chunk import page_at, sections
from rag.errors import ParseError
from rag.parsers.docx import parse_docx
from rag.parsers.pptx import parse_pptx
from rag.parsers.xlsx import parse_xlsx
from rag.schema import ParsedDocument
from rag.sentences import sentences

Parser = Callable[[bytes], ParsedDocument]


def workbook(fill: Callable[[Any], object], title: str = "") -> bytes:
    book = openpyxl.Workbook()
    book.properties.title = title or None
    fill(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def sheet(*rows: list[object], name: str = "Hosts") -> bytes:
    def fill(book: Any) -> None:
        book.active.title = name
        for row in rows:
            book.active.append(row)

    return workbook(fill)


def slides(fill: Callable[[Any], object], title: str = "") -> bytes:
    show = pptx.Presentation()
    show.core_properties.title = title
    fill(show)
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_paragraph("text")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def repacked(data: bytes, changes: dict[str, bytes]) -> bytes:
    """The archive with parts replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return buffer.getvalue()


def part(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def reason(parser: Parser, data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parser(data)
    return str(caught.value)


def parsed_or_reason(parser: Parser, data: bytes) -> ParsedDocument | str:
    try:
        return parser(data)
    except ParseError as error:
        return str(error)


def rows(document: ParsedDocument) -> list[str]:
    return [line for line in document.text.splitlines() if line.startswith("- ")]


SHEET = "xl/worksheets/sheet1.xml"
SLIDE = "ppt/slides/slide1.xml"
AUTO = "{http://schemas.openxmlformats.org/drawingml/2006/main}buAutoNum"


# All Office files


def titled(show: Any, title: str, body: str = "") -> Any:
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = body
    return slide


OFFICE: list[tuple[Parser, bytes, str]] = [
    (parse_docx, word(), "word/document.xml"),
    (parse_pptx, slides(lambda show: titled(show, "Intro", "text")), SLIDE),
    (parse_xlsx, sheet(["Host", "GPU"], ["esx01", "A100"]), SHEET),
]
each_kind = pytest.mark.parametrize(("parser", "whole", "main"), OFFICE)
newer_kinds = pytest.mark.parametrize(("parser", "whole", "main"), OFFICE[1:])


@each_kind
def test_the_samples_are_read(parser: Parser, whole: bytes, main: str) -> None:
    document = parser(whole)
    assert document.text
    assert document.warnings == ()
    assert parser(whole) == document


@each_kind
def test_protected_old_and_foreign_files_say_what_to_do(
    parser: Parser, whole: bytes, main: str
) -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    protected = ole + "EncryptedPackage".encode("utf-16-le")
    assert reason(parser, protected) == "is protected by a password: save a copy without one"
    assert "is an old ." in reason(parser, ole)
    assert "save it again as ." in reason(parser, b"%PDF-1.7 no zip")
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("notes.txt", "x")
    assert "check its suffix" in reason(parser, other.getvalue())
    locked = bytearray(whole)
    at = whole.index(b"PK\x01\x02")
    locked[at + 8] |= 1  # the flag of an encrypted entry
    assert "protected by a password" in reason(parser, bytes(locked))


@each_kind
def test_a_file_of_another_kind_is_told_apart(parser: Parser, whole: bytes, main: str) -> None:
    others = [data for other, data, _ in OFFICE if other is not parser]
    assert all("check its suffix" in reason(parser, data) for data in others)


@each_kind
def test_strict_files_are_read_or_say_what_to_do(parser: Parser, whole: bytes, main: str) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    strict = {
        name: re.sub(
            rb"http://schemas\.openxmlformats\.org/(\w+)/2006/(?=main|relationships)",
            rb"http://purl.oclc.org/ooxml/\1/",
            content,
        )
        for name, content in parts.items()
    }
    if parser is parse_docx:
        assert parser(repacked(whole, strict)) == parser(whole)
    else:
        assert "Strict Open XML format" in reason(parser, repacked(whole, strict))


@each_kind
def test_cut_or_damaged_files_give_a_reason(parser: Parser, whole: bytes, main: str) -> None:
    for share in (0.1, 0.5, 0.9):
        assert "is damaged or cut short" in reason(parser, whole[: int(len(whole) * share)])
    assert "is damaged" in reason(parser, repacked(whole, {main: b"<x><y></x>"}))


@newer_kinds
def test_flipped_bytes_never_escape_as_other_errors(
    parser: Parser, whole: bytes, main: str
) -> None:
    pick = random.Random(7)
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(15):
            damaged[pick.randrange(len(damaged))] = pick.randrange(256)
        assert parsed_or_reason(parser, bytes(damaged))


@newer_kinds
def test_flipped_markup_never_escapes_as_other_errors(
    parser: Parser, whole: bytes, main: str
) -> None:
    pick = random.Random(8)
    source = part(whole, main)
    for _ in range(40):
        damaged = bytearray(source)
        for _ in range(3):
            damaged[pick.randrange(len(damaged))] = pick.choice(b'<>/"=19az \0')
        assert parsed_or_reason(parser, repacked(whole, {main: bytes(damaged)}))


@each_kind
def test_bombs_are_refused_before_they_expand(parser: Parser, whole: bytes, main: str) -> None:
    start = time.monotonic()
    assert "zip bomb" in reason(parser, repacked(whole, {"media/x.bin": b"\0" * (40 * 2**20)}))
    assert time.monotonic() - start < 60


@each_kind
def test_entities_are_refused_wherever_they_hide(parser: Parser, whole: bytes, main: str) -> None:
    entity = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    late = b'<?xml version="1.0"?><!--' + b"x" * 2**20 + b"--><!DOCTYPE x []><x/>"
    seven = b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<x/>'
    for content in (entity.encode(), entity.encode("utf-16"), late):
        for name in (main, "docProps/core.xml", "anything.bin"):
            assert "XML entities" in reason(parser, repacked(whole, {name: content}))
    assert "unusual XML encoding" in reason(parser, repacked(whole, {main: seven}))


@each_kind
def test_embedded_drawings_may_declare_what_they_like(
    parser: Parser, whole: bytes, main: str
) -> None:
    drawing = b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg/>'
    assert parser(repacked(whole, {"media/logo.svg": drawing})).text


@pytest.mark.parametrize(
    ("title", "shown"),
    [("Fleet 2026", "Fleet 2026"), ("Book1", ""), ("PowerPoint Presentation", ""), ("a.pptx", "")],
)
def test_titles_that_programs_invent_are_none(title: str, shown: str) -> None:
    assert parse_xlsx(workbook(lambda book: book.active.append(["a", "b"]), title)).title == shown
    shown = shown or "First"
    assert parse_pptx(slides(lambda show: titled(show, "First"), title)).title == shown


# Workbooks


def test_each_row_names_its_columns_when_it_is_cut_out_alone() -> None:
    data = sheet(
        ["Host", "GPU", "Memory (GB)", "Note"],
        *([f"esx{i:02}", "A100", 80 + i, f"Rack {i}. Row two! Ask Ann?"] for i in range(40)),
    )
    document = parse_xlsx(data)
    units = sentences(document.text)
    assert len(units) > 40
    for unit in units[1:]:  # the first is the sheet's heading
        assert unit.startswith("- Host: esx"), unit
    assert "- Host: esx07; GPU: A100; Memory (GB): 87" in units
    assert "- Host: esx07; Note: Row two!" in units


def test_values_are_shown_as_a_reader_knows_them() -> None:
    def fill(book: Any) -> None:
        tab = book.active
        tab.append(["Key", "Value"])
        values: list[tuple[object, str]] = [
            (80.0, "General"),
            (0.1 + 0.2, "General"),
            (123456789012345, "General"),
            (0.253, "0.0%"),
            (0.5, "0%"),
            (True, "General"),
            (False, "General"),
            (datetime.datetime.fromisoformat("2026-01-02"), "yyyy-mm-dd"),
            (datetime.datetime.fromisoformat("2026-01-02T03:04:05"), "yyyy-mm-dd hh:mm"),
            (datetime.time(3, 4), "hh:mm"),
            ("  spaced \u200b out  ", "General"),
            ("仮想マシン", "General"),
            ("خادم", "General"),
            (-0.0, "General"),
            (1e300, "General"),
        ]
        for number, (value, style) in enumerate(values, start=2):
            tab.append([f"k{number}", value])
            tab.cell(number, 2).number_format = style

    shown = [line.partition("Value: ")[2] for line in rows(parse_xlsx(workbook(fill)))]
    assert shown == [
        *("80", "0.3", "123456789012345", "25.3%", "50%", "TRUE", "FALSE"),
        *("2026-01-02", "2026-01-02 03:04:05", "03:04:00", "spaced out", "仮想マシン", "خادم"),
        *("0", "1e+300"),
    ]


def test_errors_and_formulas_without_values_are_reported() -> None:
    def fill(book: Any) -> None:
        book.active.append(["Host", "Load", "Sum"])
        book.active.append(["esx01", "#N/A", "=A1&B1"])
        book.active["B2"].data_type = "e"

    data = workbook(fill)
    document = parse_xlsx(data)
    assert rows(document) == ["- Host: esx01"]
    assert "show an error" in document.warnings[0]
    assert "formulas without a computed value: 1;" in document.warnings[1]
    computed = part(data, SHEET).replace(b"<v></v>", b"<v>7</v>")
    document = parse_xlsx(repacked(data, {SHEET: computed}))
    assert rows(document) == ["- Host: esx01; Sum: 7"]
    assert len(document.warnings) == 1
    empty = computed.replace(b'<c r="C2"', b'<c r="C2" t="str"').replace(b"<v>7</v>", b"<v></v>")
    assert len(parse_xlsx(repacked(data, {SHEET: empty})).warnings) == 1


def test_hidden_sheets_stay_out_and_sections_are_the_others() -> None:
    def fill(book: Any) -> None:
        book.active.title = "Open"
        book.active.append(["a", "b"])
        book.active.append([1, 2])
        for state in ("hidden", "veryHidden"):
            tab = book.create_sheet(state)
            tab.append(["SECRET", "x"])
            tab.sheet_state = state
        book.create_sheet("Empty")
        book.create_chartsheet("Chart").add_chart(BarChart())
        last = book.create_sheet("# Last")
        last.append(["c", "d"])
        last.append([3, 4])

    document = parse_xlsx(workbook(fill))
    assert "SECRET" not in document.text
    assert document.warnings == ("hidden sheets were left out: hidden, veryHidden",)
    assert [section.heading_path for section in sections(document)] == [("Open",), ("# Last",)]


def test_merged_cells_name_rows_below_and_columns_across() -> None:
    def fill(book: Any) -> None:
        tab = book.active
        tab.append(["GPU fleet"])
        tab.append([])
        tab.append(["Host", "Cluster", "Memory", None, "OK"])
        tab.append([None, None, "Total", "Used", None])
        tab.append(["esx01", "Prod", 80, 12, True])
        tab.append(["esx02", None, 48, 3, True])
        tab.append(["Spares"])
        tab.append(["esx09", "Test", 16, 0, False])
        for area in ("A1:E1", "A3:A4", "B3:B4", "C3:D3", "E3:E4", "B5:B6", "A7:E7"):
            tab.merge_cells(area)

    document = parse_xlsx(workbook(fill))
    assert rows(document) == [
        "- Host: esx01; Cluster: Prod; Memory Total: 80; Memory Used: 12; OK: TRUE",
        "- Host: esx02; Cluster: Prod; Memory Total: 48; Memory Used: 3; OK: TRUE",
        "- Host: esx09; Cluster: Test; Memory Total: 16; Memory Used: 0; OK: FALSE",
    ]
    assert [section.heading_path[-1] for section in sections(document)] == ["GPU fleet", "Spares"]


def test_empty_rows_and_columns_and_two_tables_on_a_sheet() -> None:
    document = parse_xlsx(
        sheet(
            [],
            [None, "Host", None, "GPU"],
            [None, "esx01", None, "A100"],
            [],
            [None, "esx02", None, "L40S"],
            [],
            ["Name", "Mail"],
            ["Ann", "ann@example.org"],
            [],
            ["Ask Ann about the rest."],
        )
    )
    assert rows(document) == [
        "- Host: esx01; GPU: A100",
        "- Host: esx02; GPU: L40S",
        "- Name: Ann; Mail: ann@example.org",
    ]
    assert document.text.endswith("\n\nAsk Ann about the rest.")


def test_wide_rows_go_on_below_their_key_and_long_cells_are_cut_between_words() -> None:
    names = [f"Quarter {i} revenue" for i in range(200)]
    wide = parse_xlsx(sheet(["Region", *names], ["North, East", *range(200)]))
    assert all(line.startswith("- Region: North, East; Quarter") for line in rows(wide))
    assert all(len(line) <= 320 for line in rows(wide))
    assert all(f"{name}: {i}" in wide.text for i, name in enumerate(names))
    long = parse_xlsx(sheet(["Key", "Text"], ["k1", "word " * 500], ["k2", "語" * 500]))
    assert all(
        line.startswith(("- Key: k1; Text: word", "- Key: k2; Text: 語")) for line in rows(long)
    )
    assert long.text.count("word") == 500
    assert long.text.count("語") == 500


def test_a_million_declared_rows_and_a_far_cell_take_seconds() -> None:
    def fill(book: Any) -> None:
        book.active.append(["Host", "GPU"])
        book.active.append(["esx01", "A100"])
        book.create_sheet("Far")["XFD1048576"] = "end"

    data = workbook(fill)
    declared = part(data, SHEET).replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    assert b"XFD1048576" in declared
    start = time.monotonic()
    document = parse_xlsx(repacked(data, {SHEET: declared}))
    assert rows(document) == ["- Host: esx01; GPU: A100"]
    assert document.text.endswith("end")
    assert time.monotonic() - start < 60


def test_hostile_row_numbers_and_references_end() -> None:
    data = sheet(["Host", "GPU"], ["esx01", "A100"])
    source = part(data, SHEET)
    start = time.monotonic()
    far = source.replace(b'<row r="2"', b'<row r="99999999999"').replace(
        b'r="A2"', b'r="A99999999999"'
    )
    assert "Columns: Host, GPU" in parse_xlsx(repacked(data, {SHEET: far})).text
    wide = source.replace(b'r="B2"', b'r="ZZZZZ2"')
    assert "is damaged" in reason(parse_xlsx, repacked(data, {SHEET: wide}))
    assert time.monotonic() - start < 60


def test_more_cells_than_can_be_read_are_cut_with_a_warning(monkeypatch: Any) -> None:
    monkeypatch.setattr("rag.parsers.xlsx._MAX_CELLS", 20)
    data = sheet(["Host", "GPU"], *([f"esx{i}", "A100"] for i in range(30)))
    document = parse_xlsx(data)
    assert document.warnings == ("too large to be read to the end: Hosts; split it",)
    assert 5 < len(rows(document)) < 12


def test_a_text_that_looks_like_markup_stays_text_in_a_sheet() -> None:
    document = parse_xlsx(sheet(["# of hosts", "```"], ["# 3", "~~~"], [], ["# no heading"]))
    assert [section.heading_path for section in sections(document)] == [("Hosts",)]
    assert "- # of hosts: # 3; ```: ~~~" in document.text


# Presentations


def test_each_slide_is_a_section_and_a_page() -> None:
    def fill(show: Any) -> None:
        titled(show, "vGPU on vSphere", "Operations")
        titled(show, "Sizing\va host", "Count the virtual machines")
        show.slides.add_slide(show.slide_layouts[6])
        titled(show, "Hidden", "SECRET").element.set("show", "0")
        titled(show, "Limits", "Eight per host")

    document = parse_pptx(slides(fill))
    found = {
        section.heading_path: (
            document.text[section.start : section.end].strip(),
            page_at(document.page_starts, section.start),
        )
        for section in sections(document)
    }
    assert found == {
        ("vGPU on vSphere",): ("Operations", 1),
        ("Sizing a host",): ("Count the virtual machines", 2),
        ("Limits",): ("Eight per host", 5),
    }
    assert document.title == "vGPU on vSphere"
    assert document.warnings == (
        "1 of 5 slides are hidden and were left out",
        "1 of 5 slides hold no text (pictures?)",
    )


def test_slides_without_a_title_or_with_nothing_else() -> None:
    def fill(show: Any) -> None:
        titled(show, "First", "text")
        box = show.slides.add_slide(show.slide_layouts[6]).shapes.add_textbox(0, 0, 99, 99)
        box.text = "# of hosts"
        titled(show, "Downtime on 12 May")
        titled(show, "long " * 60, "text")

    document = parse_pptx(slides(fill))
    paths = [section.heading_path for section in sections(document)]
    assert paths == [("First",), ("Slide 2",), ("Downtime on 12 May",), ("Slide 4",)]
    assert (
        "## Slide 2\n\n\\# of hosts\n\n## Downtime on 12 May\n\nDowntime on 12 May" in document.text
    )


def test_lists_notes_and_right_to_left_text() -> None:
    def fill(show: Any) -> None:
        slide = titled(show, "Steps")
        frame = slide.placeholders[1].text_frame
        frame.text = "First point"
        for text, level in (("Its detail", 1), ("仮想マシン", 0), ("خادم جديد", 0)):
            paragraph = frame.add_paragraph()
            paragraph.text, paragraph.level = text, level
        slide.notes_slide.notes_text_frame.text = "Say hello.\nThen go on."
        slide = titled(show, "Numbers")
        frame = slide.placeholders[1].text_frame
        for text in ("one", "two"):
            paragraph = frame.add_paragraph()
            paragraph.text = text
            properties = paragraph._p.get_or_add_pPr()
            properties.append(properties.makeelement(AUTO, {"startAt": "3"}))

    text = parse_pptx(slides(fill)).text
    assert "- First point\n  - Its detail\n- 仮想マシン\n- خادم جديد" in text
    assert "Notes: Say hello.\n\nThen go on." in text
    assert "3. one\n4. two" in text


def test_shapes_are_read_from_the_top_left_and_groups_together() -> None:
    def fill(show: Any) -> None:
        slide = titled(show, "Layout", "body")
        shapes = slide.shapes

        def box(text: str, left: float, top: float, within: Any = shapes) -> None:
            within.add_textbox(Inches(left), Inches(top), Inches(2), Inches(0.5)).text = text

        box("bottom", 1, 6.9)
        box("right", 6, 6)
        box("left", 1, 6.1)
        group = shapes.add_group_shape()
        box("g two", 1, 7.9, group.shapes)
        box("g one", 1, 7.4, group.shapes)
        inner = group.shapes.add_group_shape()
        box("g three", 1, 8.4, inner.shapes)

    text = parse_pptx(slides(fill)).text
    order = ["body", "left", "right", "bottom", "g one", "g two", "g three"]
    assert [line for line in text.split("\n\n") if line in order] == order


def test_table_rows_on_a_slide_stand_alone() -> None:
    def fill(show: Any) -> None:
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = "Profiles"
        table = slide.shapes.add_table(4, 3, 0, Inches(3), Inches(5), Inches(2)).table
        values = [["Profile", "Memory", "VMs"], ["A100-40C", "40 GB", "2"]]
        values += [["A100-80C", "80 GB", "1"], ["", "both | sizes\nfit", "3"]]
        for y, row in enumerate(values):
            for x, value in enumerate(row):
                table.cell(y, x).text = value
        table.cell(2, 0).merge(table.cell(3, 0))

    assert rows(parse_pptx(slides(fill))) == [
        "- Profile: A100-40C; Memory: 40 GB; VMs: 2",
        "- Profile: A100-80C; Memory: 80 GB; VMs: 1",
        "- Profile: A100-80C; Memory: both | sizes fit; VMs: 3",
    ]


def test_pictures_and_footers_say_nothing_and_newer_shapes_do() -> None:
    data = slides(lambda show: titled(show, "Intro", "text"))
    newer = (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        '<mc:Choice Requires="a14"><p:sp><p:txBody><a:p><a:r><a:t>E equals mc²</a:t></a:r></a:p>'
        "</p:txBody></p:sp></mc:Choice><mc:Fallback><p:sp><p:txBody><a:p><a:r><a:t>OLD</a:t></a:r>"
        "</a:p></p:txBody></p:sp></mc:Fallback></mc:AlternateContent></p:spTree>"
    )
    source = part(data, SLIDE).decode().replace("</p:spTree>", newer)
    text = parse_pptx(repacked(data, {SLIDE: source.encode()})).text
    assert text == "## Intro\n\ntext\n\nE equals mc²"


def test_smart_art_is_read_from_its_own_part() -> None:
    data = slides(lambda show: titled(show, "Intro", "text"))
    frame = (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="9" name="d"/><p:cNvGraphicFramePr/>'
        '<p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x="0" y="9000000"/><a:ext cx="9" cy="9"/>'
        "</p:xfrm>"
        '<a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/diagram">'
        '<dgm:relIds xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
        'r:dm="rId77"/></a:graphicData></a:graphic></p:graphicFrame></p:spTree>'
    )
    points = (
        '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst>'
        "<dgm:pt><dgm:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></dgm:t></dgm:pt>"
        "<dgm:pt><dgm:t><a:p><a:r><a:t>Apply</a:t></a:r></a:p></dgm:t></dgm:pt>"
        "</dgm:ptLst></dgm:dataModel>"
    )
    links = "ppt/slides/_rels/slide1.xml.rels"
    link = (
        '<Relationship Id="rId77" Target="../diagrams/data1.xml" Type="http://schemas.openxmlformats'
        '.org/officeDocument/2006/relationships/diagramData"/></Relationships>'
    )
    changes = {
        SLIDE: part(data, SLIDE).decode().replace("</p:spTree>", frame).encode(),
        links: part(data, links).decode().replace("</Relationships>", link).encode(),
        "ppt/diagrams/data1.xml": points.encode(),
    }
    text = parse_pptx(repacked(data, changes)).text
    assert text == "## Intro\n\ntext\n\n- Plan\n- Apply"
