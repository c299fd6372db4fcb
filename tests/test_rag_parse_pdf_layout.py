"""The text of PDFs as it reads: running lines, sentences over pages and columns, headings, scripts,
and documents made to be awkward."""

from __future__ import annotations

import io
import re
import resource
import time
from collections.abc import Callable, Sequence

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
)

from rag.errors import ParseError
from rag.parse import parse
from rag.schema import ParsedDocument

STYLES = getSampleStyleSheet()
BODY = STYLES["BodyText"]
PROSE = (
    "Before a host enters maintenance mode, the scheduler moves its virtual machines to other "
    "hosts of the cluster, which takes a while if their memory is large and the network is busy."
)
Draw = Callable[[canvas.Canvas], None]


def pdf(*pages: Draw, size: tuple[float, float] = A4) -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=size, invariant=1)
    for draw in pages:
        draw(page)
        page.showPage()
    page.save()
    return buffer.getvalue()


def story(*flowables: Flowable, **options: object) -> ParsedDocument:
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4, invariant=1, **options).build(list(flowables))
    return parse(buffer.getvalue(), "a.pdf")


def at(
    *lines: tuple[float, str], left: float = 72, font: str = "Helvetica", size: float = 11
) -> Draw:
    def draw(page: canvas.Canvas) -> None:
        page.setFont(font, size)
        for height, text in lines:
            page.drawString(left, height, text)

    return draw


def both(*draws: Draw) -> Draw:
    def draw(page: canvas.Canvas) -> None:
        for one in draws:
            one(page)

    return draw


def body(number: int) -> Draw:
    """A page's text, different from all others'."""
    words = "abcdefghijklmnopqrst"[number % 20] * 5
    return at(*((600 - 14 * n, f"Text {words} in line {'xyzuvw'[n] * 4}.") for n in range(6)))


def text_of(*pages: Draw) -> str:
    return parse(pdf(*pages), "a.pdf").text


# Running lines


def test_a_head_that_changes_with_the_chapter_is_dropped() -> None:
    def page(number: int) -> Draw:
        chapter = number // 5
        head = (800, f"Chapter {chapter + 1}: {('Setup', 'Use', 'Repair', 'Index')[chapter]}")
        return both(at(head), body(number), at((40, f"{number + 1}"), left=300))

    text = text_of(*map(page, range(20)))
    assert "Chapter" not in text
    assert re.findall(r"^\d+$", text, re.M) == []
    assert text.count("Text ") == 120


def test_a_head_with_page_number_and_changing_topic_is_dropped() -> None:
    topics = "apply bind call deparse eval file get hist is jitter".split()

    def page(number: int) -> Draw:
        shown = f"{number + 7} {topics[number]}" if number % 2 else f"{topics[number]} {number + 7}"
        return both(at((800, shown)), body(number))

    text = text_of(*map(page, range(10)))
    assert not any(re.search(rf"\b{topic}\b", text) for topic in topics)


def test_roman_page_numbers_are_dropped() -> None:
    figures = "i ii iii iv v vi vii viii ix x".split()
    text = text_of(*(both(body(n), at((40, figures[n]), left=300)) for n in range(10)))
    assert re.findall(r"^[ivx]+$", text, re.M) == []


def test_numbers_that_do_not_count_pages_stay() -> None:
    """One error code a page: the line is at the same place with the same word."""
    codes = (1001, 1002, 1007, 1010, 1011, 2001)
    text = text_of(*(both(at((800, f"Error {c}")), body(n)) for n, c in enumerate(codes)))
    assert [int(code) for code in re.findall(r"Error (\d+)", text)] == list(codes)


def test_a_heading_at_the_same_place_of_each_page_stays() -> None:
    head = at((800, "Safety instructions"), size=16)
    assert text_of(*(both(head, body(n)) for n in range(6))).count("Safety instructions") == 6


def test_the_page_number_of_a_chapters_first_page_goes_too() -> None:
    def page(number: int) -> Draw:
        foot = number in (0, 8)
        return both(body(number), at((40 if foot else 800, str(number + 3)), left=300))

    assert re.findall(r"^\d+$", text_of(*map(page, range(12))), re.M) == []


# Sentences over pages and columns


def flowing(count: int, *, columns: int) -> list[str]:
    """The paragraphs of a document whose text flows through columns and pages."""
    buffer = io.BytesIO()
    template = BaseDocTemplate(buffer, pagesize=A4, invariant=1)
    width = 460 / columns - 10
    frames = [Frame(60 + (width + 20) * n, 60, width, 700) for n in range(columns)]
    template.addPageTemplates(PageTemplate(frames=frames))
    template.build([Paragraph(f"Number {n}. {PROSE} {PROSE}", BODY) for n in range(count)])
    document = parse(buffer.getvalue(), "a.pdf")
    assert len(document.page_starts) > 1
    return document.text.split("\n\n")


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_sentence_goes_on_in_the_next_column_and_page(columns: int) -> None:
    assert flowing(40, columns=columns) == [f"Number {n}. {PROSE} {PROSE}" for n in range(40)]


def test_page_starts_are_where_the_pages_words_begin() -> None:
    first = at(
        (700, "Some line of about the same length as the others on this page has,"),
        (686, "and a second one which is just as long as the first of them was, so"),
        (672, "that the third is broken where it is and goes on on the page behind"),
    )
    second = at((700, "this one, with its end. " + "Next sentence."))
    document = parse(pdf(first, second), "a.pdf")
    assert "goes on on the page behind this one, with its end." in document.text
    assert document.text[document.page_starts[1] :].startswith("this one")


def test_a_word_divided_at_the_end_of_a_page() -> None:
    def page(*texts: str) -> Draw:
        return at(*((700 - 14 * n, text) for n, text in enumerate(texts)))

    full = "a line that is as long as the page is wide, which is about so many words"
    text = text_of(
        page(full, full, "and here it says that all the text is needed, and of that informa-"),
        page("tion there is much. The information is here, on this page and others."),
        page(full, full, "and here is a line that has to do with the product for all self-"),
        page("service desks. A self-service desk, in other words."),
    )
    assert "of that information there is much" in text
    assert "for all self-service desks" in text


def test_a_page_that_ends_with_something_else_is_no_sentence_that_goes_on() -> None:
    first = both(
        at((700, PROSE[:60]), (686, PROSE[60:120])), at((640, "Figure 3: Hosts"), left=200)
    )
    assert "Hosts\n\nand then" in text_of(first, at((700, "and then comes another line")))


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (
            "is described on https://docs.example.org/en/",
            "latest/index.html in detail",
            "/en/latest/",
        ),
        ("is described on https://docs.example.org/en/", "The next sentence begins", "/en/ The"),
        ("the largest of the profiles is named A100-", "40C and needs a whole card", "A100-40C"),
        ("this was built for both of them, for 32-", "and for 64-bit systems, and", "32- and for"),
    ],
)
def test_names_broken_at_the_end_of_a_line(above: str, below: str, expected: str) -> None:
    filler = f"{above[:-5]} nnnn"
    assert expected in text_of(at((700, filler), (686, above), (672, below), (658, filler)))


def test_dots_that_lead_to_a_page_number() -> None:
    dots = " . . . . . . . . . . . . . . . . . . . . . . . ."
    lines = [f"1.{n} About section {'abc'[n] * 3}{dots} {n + 10}" for n in range(3)]
    text = text_of(at(*((700 - 14 * n, line) for n, line in enumerate(lines))))
    assert text.split("\n") == [f"1.{n} About section {'abc'[n] * 3} … {n + 10}" for n in range(3)]


# Headings


def test_headings_are_told_from_the_type_size() -> None:
    document = story(
        Paragraph("Operations Manual", STYLES["Title"]),
        Paragraph("Hosts", STYLES["Heading2"]),
        Paragraph(PROSE, BODY),
        Paragraph(
            "Maintenance mode and all that has to be known of it before one is put there",
            STYLES["Heading3"],
        ),
        Paragraph(PROSE, BODY),
        Paragraph("Networks", STYLES["Heading2"]),
        Paragraph(PROSE, BODY),
    )
    assert document.title == "Operations Manual"
    assert document.headings is not None
    long = "Maintenance mode and all that has to be known of it before one is put there"
    assert [path for _, path in document.headings] == [
        ("Operations Manual",),
        ("Operations Manual", "Hosts"),
        ("Operations Manual", "Hosts", long),
        ("Operations Manual", "Networks"),
    ]
    starts = [document.text[offset:].split("\n")[0][:8] for offset, _ in document.headings]
    assert starts == ["Operatio", "Hosts", "Maintena", "Networks"]


def test_numbered_bold_lines_are_headings_and_other_bold_ones_are_not() -> None:
    bold = ParagraphStyle("bold", parent=BODY, fontName="Helvetica-Bold")
    document = story(
        *(Paragraph("2.1 Host profiles", bold), Paragraph(PROSE, BODY)),
        *(Paragraph("Note", bold), Paragraph(PROSE, BODY), Spacer(1, 20)),
        *(Paragraph("2.2 Clusters", bold), Paragraph("3. Confirm the dialog.", bold)),
        Paragraph(PROSE, BODY),
    )
    assert document.headings is not None
    assert [path for _, path in document.headings] == [("2.1 Host profiles",), ("2.2 Clusters",)]


def test_large_type_everywhere_means_nothing() -> None:
    """Slides, posters, forms: there is no text that headings would stand above."""
    lines = [
        at((700 - 40 * n, f"Point {'abcdefgh'[n] * 3}"), size=12 + 2 * (n % 4)) for n in range(8)
    ]
    assert parse(pdf(both(*lines)), "a.pdf").headings == ()


# Scripts


def test_chinese_and_japanese_have_no_spaces_at_line_ends() -> None:
    text = (
        "仮想マシンのバックアップを設定します。ホストがメンテナンスモードに入る前に、"
        "スケジューラーは仮想マシンをクラスターの他のホストに移動します。"
        "メモリが大きく、ネットワークが混雑している場合は時間がかかります。"
    )
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    style = ParagraphStyle("ja", fontName="HeiseiMin-W3", leading=15, wordWrap="CJK", spaceAfter=8)
    document = story(Paragraph(text, style), Paragraph("短い段落。", style), Paragraph(text, style))
    assert document.text == f"{text}\n\n短い段落。\n\n{text}"


# Awkward documents


def test_blank_pages_are_not_taken_for_scans() -> None:
    document = parse(pdf(at((700, "One")), lambda page: None, at((700, "Three"))), "a.pdf")
    assert document.warnings == ()
    assert document.page_starts == (0, 5, 7)
    with pytest.raises(ParseError, match="nothing is on its 2 pages"):
        parse(pdf(lambda page: None, lambda page: None), "a.pdf")


@pytest.mark.parametrize(
    "box", [[0, 0, 1e9, 1e9], [500, 800, -500, -500], [0, 0, 0.001, 0.001], [0, 0, 0, 0]]
)
def test_pages_of_absurd_size(box: Sequence[float]) -> None:
    def draw(page: canvas.Canvas) -> None:
        page.line(10, 10, 1e8, 10)
        page.rect(5, 5, 1e8, 1e8)
        page.drawString(10, 10, "readable all the same")

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(draw))))
    writer.pages[0][NameObject("/MediaBox")] = ArrayObject(FloatObject(side) for side in box)
    buffer = io.BytesIO()
    writer.write(buffer)
    assert parse(buffer.getvalue(), "a.pdf").text == "readable all the same"


def test_text_and_rules_at_places_that_no_page_has() -> None:
    def draw(page: canvas.Canvas) -> None:
        page.drawString(72, 720, "Before.")
        page._code.append("BT /F1 12 Tf 1e38 0 0 1e38 1e38 1e38 Tm (far) Tj ET")
        page._code.append("1e39 1e39 m 1e39 5 l S 1e30 5 m 1e30 1e20 l S")
        page.drawString(72, 600, "After.")

    assert text_of(draw).replace("far", "").split() == ["Before.", "After."]


def test_an_outline_that_leads_back_to_itself() -> None:
    def page(number: int) -> Draw:
        def draw(target: canvas.Canvas) -> None:
            target.bookmarkPage(str(number))
            target.addOutlineEntry(f"Entry {number}", str(number), number)
            target.drawString(72, 700, f"Entry {number}")

        return draw

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(*map(page, range(3))))))
    outlines = writer.root_object["/Outlines"].get_object()
    first = outlines.raw_get("/First")
    first.get_object()[NameObject("/Next")] = first
    first.get_object()[NameObject("/First")] = first
    buffer = io.BytesIO()
    writer.write(buffer)
    document = parse(buffer.getvalue(), "a.pdf")
    assert document.text == "Entry 0\n\nEntry 1\n\nEntry 2"
    assert document.headings == ((0, ("Entry 0",)),)


def test_a_page_with_very_many_lines_takes_seconds() -> None:
    full = "that go on for about the width of the page, which is some eighty letters"
    lines = ((200_000 - 13.0 * n, f"Line {n} of many {full}") for n in range(15_000))
    data = pdf(at(*lines), size=(600, 200_050))
    start = time.monotonic()
    text = parse(data, "a.pdf").text
    assert time.monotonic() - start < 60
    assert all(f"Line {n} of" in text for n in (0, 7_000, 14_999))


def test_two_thousand_pages_take_seconds_and_little_memory() -> None:
    data = pdf(*(both(at((800, "Manual")), body(n), at((40, str(n + 1)))) for n in range(2000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    document = parse(data, "a.pdf")
    assert time.monotonic() - start < 30
    assert len(document.page_starts) == 2000
    assert "Manual" not in document.text
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024
