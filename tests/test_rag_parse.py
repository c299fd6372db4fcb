"""Parsing: each format's text, title and warnings, and a plain reason wherever there is no text.

Fixtures are built here, at run time, so that what a test relies on stands beside it.
"""

from __future__ import annotations

import io
import random
import threading
import time
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib import pdfencrypt
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

from rag.errors import ParseError
from rag.parse import SUPPORTED, parse, readable_name
from rag.parsers.text import clean
from rag.schema import ParsedDocument

PROSE = (
    "Before a host enters maintenance mode, the scheduler moves its virtual machines to other "
    "hosts of the cluster, which takes a while if their memory is large and the network is busy."
)


def reason(data: bytes, name: str) -> str:
    with pytest.raises(ParseError) as caught:
        parse(data, name)
    return str(caught.value)


def parse_or_reason(data: bytes, name: str) -> ParsedDocument | str:
    try:
        return parse(data, name)
    except ParseError as error:
        return str(error)


def flipped(data: bytes, seed: int) -> bytes:
    """The bytes with a few of them overwritten."""
    pick = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(15):
        damaged[pick.randrange(len(damaged))] = pick.randrange(256)
    return bytes(damaged)


# Text and Markdown


@pytest.mark.parametrize(
    ("text", "encoding", "warning"),
    [
        ("Größe – 5 €", "utf-8", ()),
        ("Größe – 5 €", "utf-8-sig", ()),
        ("Größe – 5 €", "utf-16", ()),
        ("Größe – 5 €", "utf-32", ()),
        ("Größe – 5 € 🚀", "utf-16-le", ("decoded as utf-16-le (no byte order mark)",)),
        ("Größe – 5 € 🚀", "utf-16-be", ("decoded as utf-16-be (no byte order mark)",)),
        ("Größe", "windows-1252", ("decoded as windows-1252",)),
        ("The host’s price is 5 £.", "windows-1252", ("decoded as windows-1252",)),
        ("Привет, это документ о машинах", "windows-1251", ("decoded as windows-1251",)),
        ("仮想マシンのバックアップを設定します。", "shift_jis", ("decoded as cp932",)),
    ],
)
def test_decoding(text: str, encoding: str, warning: tuple[str, ...]) -> None:
    document = parse(text.encode(encoding), "a.txt")
    assert (document.text, document.warnings) == (text, warning)


def test_damaged_utf8_is_replaced_with_a_warning() -> None:
    data = "Größe, Käfig, Übung, Straße, Föhn, süß, ".encode() + b"\xff cut \xc3"
    document = parse(data, "a.md")
    assert document.warnings == ("2 places are not valid UTF-8 and were replaced",)
    assert document.text.endswith("süß, \ufffd cut \ufffd")
    marked = parse("ab".encode("utf-16") + b"c", "a.md")
    assert marked.warnings == ("1 places are not valid utf-16 and were replaced",)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "file is empty"),
        (b" \n\t\n", "holds no text"),
        (b"\xef\xbb\xbf", "holds no text"),
        (b"---\ntitle: x\n---\n", "holds no text"),
        (bytes(range(256)) * 9, "binary data"),
        (b"\0" * 100 + b"text", "binary data"),
        (b"%PDF-1.7 and so on", "binary file under a text suffix"),
        (b"PK\x03\x04 and so on", "binary file under a text suffix"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, said: str) -> None:
    assert said in reason(data, "a.md")


def test_a_few_nuls_in_a_log_do_not_make_it_binary() -> None:
    assert parse(b"line\n" * 1000 + b"\0\0\0end", "a.log").text.endswith("line\nend")


def test_cleaning() -> None:
    assert clean("a\r\nb\rc\x0cd\x0be\u2028f\x85g") == "a\nb\nc\nd\ne\nf\ng"
    assert (
        clean("\x1b[1;31mred\x1b[0m \x07bell\x00 so\xadft\u200b \ufeffx\ud800") == "red bell soft x"
    )
    assert clean("e\u0301 \U000e0041hidden tag") == "é hidden tag"
    assert clean("👩\u200d💻\ttab") == "👩\u200d💻\ttab"


@given(st.binary(max_size=300), st.sampled_from(sorted(SUPPORTED)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_document_or_a_reason(data: bytes, suffix: str) -> None:
    document = parse_or_reason(data, "x" + suffix)
    assert parse_or_reason(data, "x" + suffix) == document
    if isinstance(document, str):
        assert document
        return
    assert document.text.strip()
    assert document.title
    document.text.encode("utf-8")


@given(st.text(min_size=1, max_size=200))
@settings(deadline=None)
def test_clean_is_stable_and_storable(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "\r" not in once
    assert "\0" not in once
    once.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n# The *real* [title](http://x) `x` ##\n", "The real title x"),
        ("## Second\n\n# First\n", "First"),
        ("## Only\n", "Only"),
        ("```sh\n# a comment\n```\n\n# Heading {#anchor}\n", "Heading"),
        ("~~~\n# never closed", "Vm guide"),
        ("Under line\n==========\n\n# Later\n", "Under line"),
        ("#hashtag\n\nno heading", "Vm guide"),
        ("# my_var and __bold__ <br>", "my_var and bold"),
        ("#   \n# Next\n", "Next"),
        ("# " + "x" * 500, "x" * 200),
    ],
)
def test_markdown_title(text: str, title: str) -> None:
    document = parse(text.encode(), "ops/vm_guide.md")
    assert (document.title, document.text) == (title, text)
    assert document.headings is None


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("title: From front matter\ntags: [a]\n", "From front matter"),
        ("title: vSphere: the 'guide'\n", "vSphere: the 'guide'"),
        ("title: 2024\n", "2024"),
        ("title:\n  - no\n", "Head"),
        ("tags: x\n", "Head"),
        ("", "Head"),
    ],
)
def test_front_matter_is_read_and_removed(front: str, title: str) -> None:
    document = parse(f"---\n{front}---\n\n# Head\n\ntext".encode(), "a.md")
    assert (document.title, document.text) == (title, "# Head\n\ntext")


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    text = "---\nJust prose.\n---\nmore"
    assert parse(text.encode(), "a.md").text == text


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.txt", "# Like Markdown\n", "Like Markdown"),
        ("host_log.log", "# not a title\n", "Host log"),
        ("ops/README.txt", "plain", "Ops"),
    ],
)
def test_plain_text_titles(name: str, text: str, title: str) -> None:
    document = parse(text.encode(), name)
    assert (document.title, document.text) == (title, text)
    assert document.media_type == "text/plain"


def test_readable_name() -> None:
    assert readable_name("a/vm_backup-guide.v2.md") == "Vm backup guide.v2"
    assert readable_name("README.md") == "README"
    assert readable_name("___.md") == "___.md"


def test_an_unknown_suffix_is_refused_with_the_list() -> None:
    assert "'.exe' files are not supported; supported: .adoc" in reason(b"x", "a.exe")
    assert "without a suffix" in reason(b"x", "a")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ((PROSE + "\n").encode() * (50 * 2**20 // (len(PROSE) + 1)), "a.txt"),
        (PROSE.encode() * (5 * 2**20 // len(PROSE)), "a.md"),
        (b"# " + b"[" * (5 * 2**20), "a.md"),
        (("Größe " + PROSE).encode("cp1252") * 200_000, "a.txt"),
        (b"=\n" * 2_000_000, "a.rst"),
    ],
    ids=["50 MB text", "5 MB line", "brackets", "35 MB of another encoding", "rules"],
)
def test_large_texts_take_seconds(data: bytes, name: str) -> None:
    start = time.monotonic()
    assert parse(data, name).text
    assert time.monotonic() - start < 60


# HTML


def html(body: str, head: str = "") -> str:
    return parse(f"<html><head>{head}</head><body>{body}</body></html>".encode(), "a.html").text


def test_html_keeps_structure_as_markdown() -> None:
    text = html(
        "<h1>Host</h1><p>Some <b>bold</b> my_var * x</p><ol><li>one<ul><li>sub</li></ul></li>"
        "<li>two</li></ol><table><tr><th>a</th><th>b|c</th></tr><tr><td>1<br>2</td><td>3</td></tr>"
        "</table><pre><code>esxcli  x\n  y</code></pre>"
    )
    assert text == (
        "# Host\n\nSome **bold** my_var * x\n\n1. one\n   - sub\n2. two\n\n"
        "- a: 1 / 2; b|c: 3\n\n```\nesxcli  x\n  y\n```"
    )


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>SECRET</script>",
        "<style>SECRET</style>",
        "<nav>SECRET</nav>",
        "<noscript>SECRET</noscript>",
        "<template>SECRET</template>",
        "<!-- SECRET -->",
        "<p style='color:red; DISPLAY : none !important'>SECRET <b>SECRET</b></p>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<p style='font-size: 0px; color:red'>SECRET</p>",
        "<p style='opacity:0'>SECRET</p>",
        "<div hidden>SECRET<p hidden>SECRET</p></div>",
        "<svg><text>SECRET</text></svg>",
        "<![CDATA[SECRET]]>",
    ],
)
def test_html_drops_what_is_not_seen(hidden: str) -> None:
    assert html(f"<p>seen</p>{hidden}<p>too</p>") == "seen\n\ntoo"


@pytest.mark.parametrize("style", ["opacity: 0.5", "font-size: 0.8em", "fill-opacity:0"])
def test_html_keeps_what_is_only_small_or_pale(style: str) -> None:
    assert html(f"<p style='{style}'>seen</p>") == "seen"


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("a <!-- SECRET --> b", "a  b"),
        ("a <!-- SECRET\n\n# SECRET\n\n--> b\n\n<!---->c", "a  b\n\nc"),
        ("`<!-- x -->` and ``<!-- y -->``", "`<!-- x -->` and ``<!-- y -->``"),
        ("```html\n<!-- x -->\n```\n<!-- SECRET -->", "```html\n<!-- x -->\n```\n"),
        ("t\n\n    <!-- x -->\n", "t\n\n    <!-- x -->\n"),
        ("a <!-- `SECRET` --> b <!-- never ends", "a  b <!-- never ends"),
        ("a <!-- ``` --> b\n<!-- SECRET -->", "a  b\n"),
        ("<!-- <!-- " * 20_000, "<!-- <!-- " * 20_000),
    ],
)
def test_markdown_comments_go_but_for_those_in_code(markdown: str, text: str) -> None:
    assert parse(markdown.encode(), "a.md").text == text


def test_html_links_and_images() -> None:
    long = "https://example.com/?" + "q" * 200
    assert html("<a href='https://a.b/c'>short</a>") == "[short](https://a.b/c)"
    assert html("<a href='https://a.b/'>https://a.b/</a>") == "<https://a.b/>"
    assert html(f"<a href='{long}'>long</a> <a href='#x'>here</a>") == "long here"
    assert html("<a href='javascript:alert(1)'>js</a><a class='headerlink' href='#'>¶</a>") == "js"
    assert (
        html("<p>see <img src='data:image/png;base64,AAAA' alt='the  rack'></p>") == "see the rack"
    )


def test_html_takes_the_main_part_where_it_is_most_of_the_page() -> None:
    assert html(f"<div>menu</div><main><h1>T</h1><p>{PROSE}</p></main>") == f"# T\n\n{PROSE}"
    assert "menu" in html("<div>menu, and much more</div><main>x</main>")


def test_a_hash_in_html_text_is_no_heading() -> None:
    assert html("<p># of hosts</p>") == "\\# of hosts"


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title> Host &amp;\n guide </title><h1>Other</h1>x", "Host & guide"),
        ("<title></title><h1>The <i>first</i></h1>x", "The first"),
        ("<p>nothing", "Host page"),
        ('<?xml version="1.0" encoding="utf-8"?><html><head><title>X</title></head>x</html>', "X"),
        ("<!-- c --><?xml version='1.0'?><note>x</note>", "Host page"),
        ("index.html", "Host page"),
    ],
)
def test_html_title(markup: str, title: str) -> None:
    assert parse(markup.encode(), "host-page.htm").title == title


def test_html_declared_encoding() -> None:
    page = '<meta charset="windows-1251"><p>Привет'
    assert parse(page.encode("cp1251"), "a.html").text == "Привет"
    assert parse(page.encode("utf-8"), "a.html").text == "Привет"
    wrong = parse('<meta charset="no-such"><p>Größe'.encode("cp1252"), "a.html")
    assert (wrong.text, wrong.warnings) == ("Größe", ("decoded as windows-1252",))


def test_html_without_text_or_too_deep_is_refused() -> None:
    assert reason(b"<script>x</script>", "a.html") == "holds no text"
    assert "too deeply" in reason(b"<div>" * 20_000 + b"x", "a.html")


def test_html_entities_are_not_fetched_or_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "SECRET"><!ENTITY b SYSTEM "file:///etc/passwd">]><p>&a; &b; ok'
    text = parse(bomb.encode(), "a.html").text
    assert "ok" in text
    assert "root:" not in text


# PDF

Draw = Callable[[canvas.Canvas], None]


def pdf(*pages: Draw, title: str = "", encrypt: object = None, outline: bool = False) -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=A4, encrypt=encrypt, invariant=1)
    page.setTitle(title)
    for draw in pages:
        draw(page)
        page.showPage()
    if outline:
        page.showOutline()
    page.save()
    return buffer.getvalue()


def lines(*texts: str, top: float = 720, left: float = 72, leading: float = 14) -> Draw:
    def draw(page: canvas.Canvas) -> None:
        for row, text in enumerate(texts):
            page.drawString(left, top - row * leading, text)

    return draw


def wrapped(text: str, top: float = 720, font: str = "Helvetica") -> Draw:
    """The text broken as a word processor breaks it, to a column of 450 points."""

    def draw(page: canvas.Canvas) -> None:
        row, used, out = "", 0, []
        page.setFont(font, 11)
        for word in text.split():
            if page.stringWidth(f"{row} {word}", font, 11) > 450:
                out.append(row)
                row, used = "", used + 1
            row = f"{row} {word}".strip()
        lines(*out, row, top=top)(page)

    return draw


def both(*draws: Draw) -> Draw:
    def draw(page: canvas.Canvas) -> None:
        for one in draws:
            one(page)

    return draw


def test_pdf_mends_lines_into_paragraphs() -> None:
    data = pdf(both(wrapped(PROSE), lines("Short line.", "Another.", top=600), wrapped(PROSE, 500)))
    assert parse(data, "a.pdf").text == f"{PROSE}\n\nShort line.\nAnother.\n\n{PROSE}"


def test_pdf_pages_and_their_starts() -> None:
    document = parse(pdf(lines("One"), lines("Two"), lines("Three")), "a.pdf")
    assert document.text == "One\n\nTwo\n\nThree"
    assert [document.text[at:] for at in document.page_starts][1] == "Two\n\nThree"
    assert document.page_starts == (0, 5, 10)
    assert document.headings == ()
    assert document.media_type == "application/pdf"


def test_pdf_words_divided_at_line_ends() -> None:
    document = parse(
        pdf(
            lines("This is about the informa-", "tion that a vSphere-", "based host gives, with a"),
            lines(
                "The vSphere host is based on a kernel and self-", "service. A self-service desk."
            ),
        ),
        "a.pdf",
    )
    assert "the information that a vSphere-based host" in document.text
    assert "self-service. A self-service" in document.text


def test_pdf_listings_keep_their_lines() -> None:
    code = ("esxcli system maintenanceMode set --enable true", "esxcli software vib update -d x")

    def draw(page: canvas.Canvas) -> None:
        page.setFont("Courier", 10)
        lines(*code, leading=12)(page)

    assert parse(pdf(draw), "a.pdf").text == "\n".join(code)


def test_pdf_table_rows_stay_lines() -> None:
    rows = ("Name Size Remark", "esx01 128 GB rack 1", "esx02 256 GB rack 2", "esx03 64 GB rack 3")
    table = lines(*rows, top=600, leading=22)
    assert "\n".join(rows) in parse(pdf(both(wrapped(PROSE), table)), "a.pdf").text


def test_pdf_running_lines_are_dropped_but_single_ones_stay() -> None:
    def page(number: int) -> Draw:
        return both(
            lines("ACME internal", top=820),
            lines(f"Body of page {number}"),
            lines(f"Page {number} of 4", top=30),
            lines(f"Only note {'abcd'[number - 1] * 5}", top=50),
        )

    text = parse(pdf(*map(page, (1, 2, 3, 4))), "a.pdf").text
    assert "ACME" not in text
    assert "Page" not in text
    assert text.count("Body of page") == 4
    assert text.count("Only note") == 4
    assert "ACME" in parse(pdf(page(1), page(2)), "a.pdf").text


def test_pdf_outline_becomes_headings() -> None:
    def chapter(key: str, title: str, level: int) -> Draw:
        def draw(page: canvas.Canvas) -> None:
            page.bookmarkPage(key)
            page.addOutlineEntry(title, key, level)

        return draw

    first = both(
        chapter("a", "Upgrade", 0),
        chapter("b", "Before you start", 1),
        lines("1 Upgrade", "", "Text that mentions Before you start here.", "", "Before you start"),
    )
    second = both(chapter("c", "Not on the page", 0), lines("Other words"))
    document = parse(pdf(first, second, outline=True), "a.pdf")
    assert document.headings is not None
    assert [(document.text[at : at + 9], path) for at, path in document.headings] == [
        ("1 Upgrade", ("Upgrade",)),
        ("Before yo", ("Upgrade", "Before you start")),
        ("Other wor", ("Not on the page",)),
    ]
    offsets = [at for at, _ in document.headings]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize(
    ("meta", "title"),
    [
        ("Host Guide", "Host Guide"),
        ("", "Large Title"),
        ("untitled", "Large Title"),
        ("Microsoft Word - guide_v3.docx", "Large Title"),
        ("guide.pdf", "Large Title"),
    ],
)
def test_pdf_title(meta: str, title: str) -> None:
    def draw(page: canvas.Canvas) -> None:
        lines("Internal", top=800)(page)
        page.setFont("Helvetica", 24)
        page.drawString(72, 760, "Large Title")
        wrapped(PROSE)(page)

    assert parse(pdf(draw, title=meta), "a.pdf").title == title


def test_pdf_turned_page_is_read_like_an_upright_one() -> None:
    def draw(page: canvas.Canvas) -> None:
        page.setPageRotation(90)
        page.translate(A4[0], 0)
        page.rotate(90)
        wrapped(PROSE, top=400)(page)
        lines("Next paragraph.", top=250)(page)

    assert parse(pdf(draw), "a.pdf").text == f"{PROSE}\n\nNext paragraph."


def test_pdf_encrypted() -> None:
    locked = pdfencrypt.StandardEncryption("user", "owner", strength=128)
    assert reason(pdf(lines("x"), encrypt=locked), "a.pdf").startswith("is encrypted: remove the")
    owner_only = pdfencrypt.StandardEncryption("", "owner", strength=128)
    assert parse(pdf(lines("readable"), encrypt=owner_only), "a.pdf").text == "readable"


def test_pdf_without_text() -> None:
    def picture(page: canvas.Canvas) -> None:
        page.rect(100, 100, 200, 200, fill=1)

    said = reason(pdf(picture, picture), "a.pdf")
    assert said.startswith("holds no text: looks scanned (2 pages); OCR is not built in")
    mixed = parse(pdf(lines("One"), picture, lines("Three")), "a.pdf")
    assert mixed.warnings == ("1 of 3 pages hold no text (scanned?)",)
    assert mixed.page_starts == (0, 5, 7)
    assert mixed.text == "One\n\n\n\nThree"


def test_pdf_cut_short_or_damaged() -> None:
    whole = pdf(*[wrapped(PROSE)] * 5)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert "cut short" in reason(whole[: int(len(whole) * share)], "a.pdf")
    assert "not a PDF" in reason(b"<html>Sign in to download</html>", "a.pdf")
    assert "damaged" in reason(b"%PDF-1.7\n" + b"junk " * 99 + b"\nstartxref\n9\n%%EOF", "a.pdf")
    assert parse(whole + b"\n\0\0\0", "a.pdf").text


def test_pdf_survives_flipped_bytes() -> None:
    whole = pdf(*[wrapped(PROSE)] * 3)
    for seed in range(200):
        assert parse_or_reason(flipped(whole, seed), "a.pdf")


def test_pdf_parsing_from_many_threads() -> None:
    data = pdf(*[wrapped(PROSE)] * 5)
    expected = parse(data, "a.pdf")
    results: list[bool] = []
    work = [
        threading.Thread(target=lambda: results.append(parse(data, "a.pdf") == expected))
        for _ in range(8)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert results == [True] * 8


# DOCX


def word(fill: Callable[[docx.document.Document], object], title: str = "") -> bytes:
    document = docx.Document()
    document.core_properties.title = title
    fill(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def repacked(data: bytes, changes: dict[str, bytes]) -> bytes:
    """The archive with some entries replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        entries = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in entries.items():
            new.writestr(name, content)
    return buffer.getvalue()


def test_docx_keeps_structure_as_markdown() -> None:
    def fill(document: docx.document.Document) -> None:
        document.add_heading("Host guide", 0)
        document.add_heading("Steps", 1)
        document.add_paragraph("Set ").add_run("my_var").bold = True
        document.add_paragraph("first", style="List Number")
        document.add_paragraph("second", style="List Number")
        document.add_heading("Sizes", 2)
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(
            [c for r in table.rows for c in r.cells], ("Name", "Size", "esx01", "1|2"), strict=True
        ):
            cell.text = text

    document = parse(word(fill), "a.docx")
    assert document.text == (
        "# Host guide\n\n# Steps\n\nSet **my_var**\n\n1. first\n2. second\n\n## Sizes\n\n"
        "- Name: Size\n- esx01: 1|2"
    )
    assert document.title == "Host guide"
    assert document.headings is None


@pytest.mark.parametrize(
    ("core", "heading", "title"),
    [
        ("Core title", "Heading", "Core title"),
        ("Word Document", "Heading", "Heading"),
        ("guide_v2.docx", "Heading", "Heading"),
        ("", "Heading", "Heading"),
        ("", "", "Host guide"),
    ],
)
def test_docx_title(core: str, heading: str, title: str) -> None:
    def fill(document: docx.document.Document) -> None:
        document.add_paragraph("Some text.")
        if heading:
            document.add_heading(heading, 1)

    assert parse(word(fill, core), "host_guide.docx").title == title


def test_docx_that_is_none() -> None:
    whole = word(lambda d: d.add_paragraph("x"))
    plain_zip = io.BytesIO()
    with zipfile.ZipFile(plain_zip, "w") as archive:
        archive.writestr("notes.txt", "x")
    assert "holds no Word document" in reason(plain_zip.getvalue(), "a.docx")
    assert "not a DOCX" in reason(b"plain text", "a.docx")
    assert "old .doc" in reason(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 etc", "a.docx")
    assert "damaged or cut short" in reason(whole[: len(whole) // 2], "a.docx")
    broken = repacked(whole, {"word/document.xml": b"<w:document>"})
    assert "is damaged" in reason(broken, "a.docx")
    assert reason(word(lambda d: None), "a.docx") == "holds no text"


def test_docx_survives_flipped_bytes() -> None:
    whole = word(lambda d: d.add_paragraph(PROSE))
    for seed in range(60):
        assert parse_or_reason(flipped(whole, seed), "a.docx")


def test_docx_bombs_are_refused_before_they_expand() -> None:
    whole = word(lambda d: d.add_paragraph("x"))
    start = time.monotonic()
    ratio = repacked(whole, {"word/media/x.bin": b"\0" * (60 * 2**20)})
    assert "zip bomb" in reason(ratio, "a.docx")
    markup = repacked(whole, {"word/x.xml": random.Random(1).randbytes(41 * 2**20)})
    assert "text markup" in reason(markup, "a.docx")
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    assert "XML entities" in reason(repacked(whole, {"docProps/core.xml": entity}), "a.docx")
    wide = entity.decode().encode("utf-16")
    assert "XML entities" in reason(repacked(whole, {"word/document.xml": wide}), "a.docx")
    deep = b"<w:p>" * 5000
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        body = archive.read("word/document.xml").replace(b"<w:p>", deep, 1)
    body = body.replace(b"</w:p>", b"</w:p>" * 5000, 1)
    assert "deeply" in reason(repacked(whole, {"word/document.xml": body}), "a.docx")
    assert time.monotonic() - start < 60


def test_docx_pictures_and_linked_files_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_text("SECRET")
    whole = word(lambda d: d.add_paragraph("text"))
    drawing = (
        '<w:p><w:r><w:drawing xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/'
        'wordprocessingDrawing" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><wp:inline>'
        '<wp:docPr id="1" name="p" descr="the rack"/><a:graphic><a:graphicData><pic:pic>'
        '<pic:blipFill><a:blip r:link="rId99"/></pic:blipFill></pic:pic></a:graphicData>'
        "</a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    relation = (
        '<Relationship Id="rId99" TargetMode="External" Type="http://schemas.openxmlformats.org/'
        f'officeDocument/2006/relationships/image" Target="{secret.as_uri()}"/></Relationships>'
    )
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        body = archive.read("word/document.xml").decode().replace("<w:body>", "<w:body>" + drawing)
        links = archive.read("word/_rels/document.xml.rels").decode()
    changes = {
        "word/document.xml": body.encode(),
        "word/_rels/document.xml.rels": links.replace("</Relationships>", relation).encode(),
    }
    assert parse(repacked(whole, changes), "a.docx").text == "the rack\n\ntext"
