"""CSV, JSON and e-mail, and the one representation of rows that tables of all formats share."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import time
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.chunk import chunk_document, sections
from rag.errors import ParseError
from rag.parsers.csv import parse_csv
from rag.parsers.email import parse_email
from rag.parsers.json import parse_json
from rag.parsers.table_grid import table_lines
from rag.parsers.table_rows import (
    column_names,
    document_table,
    limited,
    one_line,
    pair_lines,
    row_lines,
)
from rag.schema import ParsedDocument
from rag.sentences import sentences


def reason(data: bytes, suffix: str) -> str:
    with pytest.raises(ParseError) as caught:
        parsed(data, suffix)
    return str(caught.value)


def parsed(data: bytes, suffix: str) -> ParsedDocument:
    if suffix == ".eml":
        return parse_email(data)
    return (parse_csv if suffix in (".csv", ".tsv") else parse_json)(data, suffix)


def token_starts(text: str) -> NDArray[np.int64]:
    """A token for each four characters of a word, about as many as a real tokenizer finds."""
    found = [m.start() + i for m in re.finditer(r"\S+", text) for i in range(0, len(m[0]), 4)]
    return np.array(found, dtype=np.int64)


# Rows


def test_a_row_cut_out_anywhere_still_carries_its_header() -> None:
    """As the chunker cuts them, in passages of 200 tokens and in tiny ones."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["Ticket", "Product", "Resolution"])
    for i in range(150):
        text = f"Restart service {i}. Then wait! Did it help? Version 1.{i} e.g. does."
        writer.writerow([f"T-{i}", "vGPU" if i % 3 else "", text])
    document = parse_csv(buffer.getvalue().encode(), ".csv")
    for budget in (200, 60):
        chunks = chunk_document(document, token_starts, budget, overlap_sentences=1)
        assert len(chunks) > 20
        for chunk in chunks:
            for unit in sentences(chunk.text):
                assert re.match(r"- Ticket: T-\d+($|; (Product|Resolution): )", unit), unit


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=2, max_size=5),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=300)
def test_every_sentence_of_a_row_begins_as_an_item(rows: list[list[str]]) -> None:
    names = ["Host name", "Dept. Name", "好。名", "Q? A!", "x" * 200]
    for row in rows:
        lines = row_lines(column_names(names), row)
        assert sentences("\n".join(lines)) == [line.rstrip() for line in lines]
        for line in lines:
            assert line.startswith("- ")
            assert ": " in line or line.endswith(":")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (" a \t b ", "a b"),
        ("Restart\nCheck logs", "Restart / Check logs"),
        ("Restart the\nhost", "Restart the host"),
        ("Restart.\n\nCheck", "Restart. Check"),
        ("\n\n", ""),
        ("a |\nb", "a | b"),
    ],
)
def test_cells_of_several_lines(cell: str, shown: str) -> None:
    assert one_line(cell) == shown


def test_long_rows_repeat_their_key() -> None:
    lines = pair_lines([("No", "7"), ("Host", "esx01"), ("A", "x" * 200), ("B", "y" * 200)])
    assert lines == [
        f"- No: 7; Host: esx01; A: {'x' * 200}",
        f"- No: 7; Host: esx01; B: {'y' * 200}",
    ]
    question = "My host crashed. What now?"
    assert pair_lines([("Question", question), ("Answer", "Restart it. Wait.")]) == [
        "- Question: My host crashed.",
        "- Question: What now?",
        "- Question: My host crashed – What now?; Answer: Restart it.",
        "- Question: My host crashed – What now?; Answer: Wait.",
    ]


def test_equal_and_missing_names() -> None:
    assert column_names(["Total", "Total", "", "Note:\nlong"]) == [
        *("Total", "Total (2)", "", "Note: long"),
    ]
    assert row_lines(["Host"], ["a", "b", "", "d"]) == ["- Host: a; Column 2: b; Column 4: d"]
    assert list(document_table([["A", "B"]], [])) == ["- Columns: A, B"]
    assert list(document_table([], [["k", "v"], ["1", "2"]])) == ["- k: v", "- 1: 2"]
    assert list(document_table([], [["a", "b", "c"]])) == ["- a; b; c"]


def test_text_is_limited_at_a_line() -> None:
    assert limited(iter(["aa", "bb", "cc"]), 7) == ("aa\nbb", False)
    assert limited(iter(["aa", "bb"]), 6) == ("aa\nbb", True)


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([["Region", "2024", "2025"], ["EU", "1", "2"]], "- Region: EU; 2024: 1; 2025: 2"),
        ([["Day", "1", "2", "3"], ["EU", "7", "8", "9"]], "- Day: EU; 1: 7; 2: 8; 3: 9"),
        ([["esx01", "80", "12.5"]], "- Column 1: esx01; Column 2: 80; Column 3: 12.5"),
        ([["2026-01-01", "5 %"]], "- Column 1: 2026-01-01; Column 2: 5 %"),
        ([["only", "header"]], "- Columns: only, header"),
        ([["Name"], ["a"], ["b"]], "- Name: a\n- Name: b"),
        ([["", "Name"], ["", "a"]], "- Name: a"),
        ([["A text. It goes on."], ["More of it."]], "A text. It goes on.\n\n\nMore of it."),
        ([["A", "B"], ["1", "2"], ["A", "B"], ["3", "4"]], "- A: 1; B: 2\n- A: 3; B: 4"),
    ],
)
def test_which_row_is_the_header(rows: list[list[str]], shown: str) -> None:
    assert "\n".join(table_lines(rows, 3)).strip() == shown


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_delimiters_and_encodings(delimiter: str, encoding: str) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([["Größe", "Preis (€)", "Text"], ["1,5", "2;5", "a|b, c\nd"]])
    document = parse_csv(buffer.getvalue().encode(encoding), ".csv")
    assert document.text == "- Größe: 1,5; Preis (€): 2;5; Text: a|b, c d"
    assert (document.warnings != ()) == (encoding in ("utf-16-le", "cp1252"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a,b\n1\n1,2,3\n,\n", ["- a: 1", "- a: 1; b: 2; Column 3: 3"]),
        ("1,2\n3,4\n", ["- Column 1: 1; Column 2: 2", "- Column 1: 3; Column 2: 4"]),
        ("sep=|\na|b,c\n1|2\n", ["- a: 1; b,c: 2"]),
        ('a,b\n19" rack,"say ""hi"""\n', ['- a: 19" rack; b: say "hi"']),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ["- a: 1,5; b: 2,5", "- a: 3,5; b: 4,5"]),
        ("仮想,マシン\nخادم,שרת\n", ["- 仮想: خادم; マシン: שרת"]),
        ("a,b\r1,2\r", ["- a: 1; b: 2"]),
        ("Name\nalpha\nbeta\n", ["- Name: alpha", "- Name: beta"]),
    ],
)
def test_csv_rows(text: str, shown: list[str]) -> None:
    assert parse_csv(text.encode(), ".csv").text.splitlines() == shown


def test_tsv_takes_tabs_alone() -> None:
    document = parse_csv(b"a,x\tb\n1,2\t3\n", ".tsv")
    assert document.text == "- a,x: 1,2; b: 3"
    assert document.media_type == "text/tab-separated-values"


def test_a_quotation_mark_that_is_never_closed_costs_no_rows() -> None:
    document = parse_csv(b'a,b\n1,"open\n2,3\n4,5\n', ".csv")
    assert document.text.splitlines() == ['- a: 1; b: "open', "- a: 2; b: 3", "- a: 4; b: 5"]
    assert document.warnings == ("quotation marks do not pair up: 3 lines were read without them",)
    far = b'a,b\n1,"open\n' + b"2,3\n" * 60_000 + b'5,"six, seven"\n'
    document = parse_csv(far, ".csv")
    assert document.text.count("- a: 2; b: 3") == 60_000
    assert document.text.endswith("- a: 5; b: six, seven")


def test_nul_bytes_and_binary() -> None:
    assert parse_csv(b"a,b\n1,2\0\n" + b"3,4\n" * 50, ".csv").text.startswith("- a: 1; b: 2\n")
    assert "binary" in reason(bytes(range(256)) * 9, ".csv")
    assert "binary" in reason(b"PK\x03\x04", ".csv")


def test_csv_that_grows_too_large_is_cut_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.parsers.csv._MAX_TEXT", 100)
    document = parse_csv(b"a,b\n" + b"1,2\n" * 100, ".csv")
    assert document.warnings == ("too large to be read to the end: split it",)
    assert len(document.text) <= 100


# JSON


def test_an_object_reads_as_paths_and_its_records_as_rows() -> None:
    value = {
        "name": "Cluster 7",
        "network": {"mtu": 9000, "dns": {"servers": ["a", "b"], "deep": {"x": {"y": None}}}},
        "hosts": [
            {"name": "esx01", "gpu": {"model": "A100", "slots": [1, 2]}},
            {"name": "esx02", "disks": [{"size": 5}]},
        ],
        "empty": {},
        "on": True,
    }
    document = parse_json(json.dumps(value).encode(), ".json")
    assert document.title == "Cluster 7"
    assert [line for line in document.text.splitlines() if line] == [
        *("- name: Cluster 7", "- empty: {}", "- on: true", "## network", "- network.mtu: 9000"),
        *("### dns", "- network.dns.servers: a, b", "- network.dns.deep.x.y: null", "## hosts"),
        "- hosts[0].name: esx01; gpu.model: A100; gpu.slots: 1, 2",
        "- hosts[1].name: esx02; disks[0].size: 5",
    ]


def test_records_at_the_top_and_json_lines_read_alike() -> None:
    records = [{"host": "esx01", "gpu": "A100"}, {"host": "esx02", "gpu": "", "new": 1}]
    rows = ["- host: esx01; gpu: A100", "- host: esx02; new: 1"]
    document = parse_json(json.dumps(records).encode(), ".json")
    assert document.text.splitlines() == rows
    lines = "\n\n".join(json.dumps(record) for record in records)
    assert parse_json(lines.encode("utf-8-sig"), ".jsonl").text.splitlines() == rows


def test_values_stay_letter_by_letter() -> None:
    source = (
        '{"a": NaN, "b": 1.50, "c": -Infinity, "d": "\\ud800x\\u0000y", "a": 2, "e": 1e999, '
        f'"f": {"9" * 5000}, "g": "one\\nTwo. Three", "h": "\\u2028", "# i": "خادم"}}'
    )
    lines = parse_json(source.encode(), ".json").text.splitlines()
    assert lines[:6] == [
        "- a: NaN",
        "- b: 1.50",
        "- c: -Infinity",
        "- d: xy",
        "- a: 2",
        "- e: 1e999",
    ]
    assert sum(line.count("9") for line in lines) == 5000 + 3
    assert lines[-3:] == ["- g: one / Two.", "- g: Three", "- # i: خادم"]
    for line in lines:
        line.encode("utf-8")


@pytest.mark.parametrize(
    ("source", "suffix", "said"),
    [
        ('{"a": 1,}', ".json", "at line 1, column 9"),
        ('{"a": 1,\n "b" 2}', ".json", "at line 2, column 6"),
        ('{"a": 1}\n{"a": 2}', ".json", "Name it .jsonl"),
        ('{"a": 1}\n\n{"a": x}', ".jsonl", "at line 3, column 7"),
        ("", ".json", "at line 1, column 1"),
        ("[" * 100_000, ".json", "too deeply"),
        ('{"a":' * 100_000, ".jsonl", "too deeply"),
        ("[" * 100 + "]" * 100, ".json", "more than 60 deep"),
        ('{"a":' * 100 + "1" + "}" * 100, ".json", "more than 60 deep"),
    ],
)
def test_broken_and_bottomless_json(source: str, suffix: str, said: str) -> None:
    assert said in reason(source.encode(), suffix)


def test_long_paths_and_much_json_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: object = list(range(500))
    for i in range(20):
        deep = {f"key{i}" + "k" * 200: [deep, {"n": i}]}
    start = time.monotonic()
    document = parse_json(json.dumps(deep).encode(), ".json")
    assert time.monotonic() - start < 60
    assert max(map(len, document.text.splitlines())) < 500
    monkeypatch.setattr("rag.parsers.json._MAX_TEXT", 1000)
    document = parse_json(json.dumps([{"a": i} for i in range(999)]).encode(), ".json")
    assert document.warnings == ("too large to be read to the end: split it",)
    monkeypatch.setattr("rag.parsers.json._MAX_SIZE_MB", 0)
    assert "one JSON value of over" in reason(b'{"a": 1}', ".json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=20,
    )
)
@settings(deadline=None, max_examples=200)
def test_any_json_value_is_read_line_by_line(value: object) -> None:
    document = parse_json(json.dumps(value).encode(), ".json")
    for line in document.text.splitlines():
        assert not line or line.startswith(("- ", "#", "\\")), line
    assert parse_json(json.dumps(value).encode(), ".json") == document


# E-mail


def letter(text: str = "Hello", subject: str = "Licences", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    for name, value in ({"From": "Ann <ann@example.org>"} | headers).items():
        message[name] = value
    message.set_content(text)
    return message


def test_a_letter_with_its_head_and_text() -> None:
    message = letter("Hi,\n\n# no heading\n\n-- \nAnn", To="bob@example.org, eve@example.org")
    message["Date"] = "Mon, 05 Jan 2026 14:30:00 +0100"
    document = parse_email(bytes(message))
    assert document.title == "Licences"
    assert document.text == (
        "- From: Ann <ann@example.org>\n- To: bob@example.org, eve@example.org\n"
        "- Date: Mon, 05 Jan 2026 14:30:00 +0100\n\nHi,\n\n# no heading\n\n--\nAnn"
    )
    assert [section.heading_path for section in sections(document)] == [()]
    assert document.warnings == ()


def test_quoted_replies_stay_and_read_as_sentences() -> None:
    document = parse_email(
        bytes(
            letter(
                "Yes.\n\n> Does the licence server of the second site still have to be\n"
                "> restarted by hand? I think so.\n>\n>> older\n> - item\n"
            )
        )
    )
    assert (
        "> Does the licence server of the second site still have to be restarted by hand?"
        in sentences(document.text)
    )
    assert "\n>> older\n> - item" in document.text


def test_plain_text_is_preferred_unless_it_is_a_mere_pointer() -> None:
    page = "<h1>Report</h1><p>" + "All hosts were updated. " * 20 + "</p><script>x</script>"
    message = letter("All hosts were updated, see the report that I send with this letter.")
    message.add_alternative("<p>HTML</p>", subtype="html")
    assert "HTML" not in parse_email(bytes(message)).text
    message = letter("See HTML.")
    message.add_alternative(page, subtype="html")
    text = parse_email(bytes(message)).text
    assert "# Report\n\nAll hosts were updated." in text
    assert "script" not in text
    bare = EmailMessage()
    bare["Subject"] = "x"
    bare.set_content(page, subtype="html")
    assert "All hosts were updated." in parse_email(bytes(bare)).text


def test_attachments_are_named_and_not_read() -> None:
    message = letter()
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Prüfung.pdf")
    message.add_attachment("SECRET text", filename="b.txt")
    message.add_attachment(b"x", maintype="application", subtype="zip")
    message.add_attachment(b"x", maintype="image", subtype="png", cid="<logo>")
    document = parse_email(bytes(message))
    assert document.text.endswith("Attachments: Prüfung.pdf, b.txt, unnamed (application/zip)")
    assert "SECRET" not in document.text
    assert document.warnings == ("attachments were named but not read: 3",)


def test_attachments_beside_the_form_that_was_not_chosen_are_named() -> None:
    rich = MIMEMultipart("mixed")
    rich.attach(MIMEText("<p>Hello</p>", "html"))
    rich.attach(attachment("plan.pdf"))
    message = MIMEMultipart("alternative")
    message["Subject"] = "x"
    message.attach(MIMEText("Hello there"))
    message.attach(rich)
    assert parse_email(message.as_bytes()).text == "Hello there\n\nAttachments: plan.pdf"


def attachment(name: str) -> MIMEBase:
    part = MIMEBase("application", "pdf")
    part.set_payload("x")
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def test_enclosed_messages_have_headings_and_end() -> None:
    inner = letter("Inner text", "Inner subject")
    outer = letter("Outer text")
    outer.add_attachment(inner)
    outer.add_attachment("after", filename="z.txt")
    document = parse_email(bytes(outer))
    found = {
        section.heading_path: document.text[section.start : section.end]
        for section in sections(document)
    }
    assert "Inner text" in found[("Inner subject",)]
    assert "Attachments: z.txt" in found[()]
    deep = b"Subject: x\n" + b"Content-Type: message/rfc822\n\nSubject: y\n" * 300 + b"\ntext\n"
    start = time.monotonic()
    document = parse_email(deep)
    assert "Attachments: unnamed (y)" in document.text
    assert time.monotonic() - start < 60


def test_headers_in_every_encoding() -> None:
    raw = (
        "Subject: =?iso-8859-1?Q?Gr=F6=DFe?= =?utf-8?B?5Luu5oOz?= =?nonsense?Q?x?=\n"
        "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nTo: b@example.org,\n c@example.org\n\nHi"
    )
    document = parse_email(raw.encode())
    assert document.title == "Größe仮想x"
    assert "- From: Jürgen <j@example.org>\n- To: b@example.org, c@example.org" in document.text
    assert parse_email("Subject: Größe\n\nHi".encode()).title == "Größe"
    assert parse_email("Subject: Größe\n\nHi".encode("cp1252")).title == "Größe"
    assert parse_email(b"Subject: =?utf-8?B?abc!?=\n\nHi").title


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "仮想マシンを再起動します"),
        ("windows-1251", "Привет, это письмо о машинах"),
        ("utf-8", "خادم جديد"),
        ("iso-8859-8", "שרת"),
    ],
)
def test_bodies_in_every_encoding(charset: str, text: str) -> None:
    message = letter()
    message.set_content(text, charset=charset)
    assert parse_email(bytes(message)).text.endswith(text)


def test_format_flowed_lines_are_one_paragraph() -> None:
    raw = b"Subject: x\nContent-Type: text/plain; format=flowed\n\nThis goes \non. \n\n-- \nAnn"
    assert parse_email(raw).text == "This goes on.\n\n--\nAnn"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"just some text\nand more\n", "is not an e-mail message"),
        (b"Note: this is no letter\n\ntext", "is not an e-mail message"),
        (b"", "is not an e-mail message"),
        (b"Content-Type: multipart/encrypted; boundary=x\n\n--x--", "is encrypted"),
        (b"Subject: x\nContent-Type: application/pkcs7-mime\n\nMIA", "is encrypted"),
        (
            b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nhi\n" * 1200,
            "more than 1000 parts",
        ),
    ],
)
def test_what_is_no_letter_or_sealed(raw: bytes, said: str) -> None:
    assert said in reason(raw, ".eml")


def test_broken_mime_is_read_as_far_as_it_goes() -> None:
    raw = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    text = parse_email(raw + b"Content-Transfer-Encoding: base64\n\nSGVsbG8=!!!\n").text
    assert text.startswith("Hello")
    assert parse_email(b"Subject: x\nContent-Type: multipart/mixed\n\nHello").text == "Hello"
    assert parse_email(b"Subject: x\nContent-Type: text/plain; charset=no\n\nHello").text == "Hello"
    document = parse_email(b"Subject: x\nContent-Type: text/plain\n\n" + bytes(range(256)) * 9)
    assert "a part could not be read" in document.warnings[0]


def test_hostile_headers_and_nesting_take_no_time() -> None:
    start = time.monotonic()
    parse_email(b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\n\nhi")
    parse_email(b"Subject: x\nContent-Type: text/plain; " + b"a=b; " * 100_000 + b"\n\nhi")
    parse_email(b"Subject: x\nTo: " + b"<" * 200_000 + b"\n\nhi")
    nested = b"".join(
        b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (i, i + 1) for i in range(300)
    )
    parse_email(b"Subject: x\nContent-Type: multipart/mixed; boundary=b0\n\n" + nested + b"hi")
    assert time.monotonic() - start < 60


def test_damaged_letters_never_escape_as_other_errors() -> None:
    message = letter("Größe", To="b@example.org")
    message.add_alternative("<p>x</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="ü.pdf")
    message.add_attachment(letter("inner"))
    whole = bytes(message)
    pick = random.Random(3)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(12):
            damaged[pick.randrange(len(damaged))] = pick.choice(b'\n:;="?-*\xff\0 ab')
        try:
            document = parse_email(bytes(damaged))
        except ParseError:
            continue
        document.text.encode("utf-8")
        document.title.encode("utf-8")


@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".eml"]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_a_document_or_a_reason(data: bytes, suffix: str) -> None:
    try:
        document = parsed(data, suffix)
    except ParseError:
        return
    document.text.encode("utf-8")
    assert parsed(data, suffix) == document
