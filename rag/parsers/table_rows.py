"""Tables as lines that each stand alone: `- Host: esx01; GPU: A100; Memory: 80 GB`.

The one representation of rows for spreadsheets, CSV, JSON records and the tables in documents. A
passage holds some 200 tokens and may begin at any line, so a Markdown table would lose its header
in every passage but the first; here each row repeats the names of its columns. That serves a search
by words (the header's words stand beside the value), a search by meaning (the row reads like a
statement) and an answer that quotes one row. As list items the rows are units that the chunker
never cuts in two. Empty cells are left out.

A row that is longer than `_LONGEST_LINE`, or a cell of several sentences, continues on further
lines that repeat the row's key, its first cells. Every sentence that `rag.sentences` finds in a row
hence begins with the name of a column. What it costs: header names take room in every row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest

from rag.sentences import sentence_spans

_LONGEST_LINE = 320
"""As `_cost` counts, some 80 tokens of prose and at most 160 of numbers, for MiniLM's tokenizer."""
LONGEST_LABEL = 80
_LONGEST_KEY = 60
_LONGEST_CARRIED = 200
_MOST_KEY_CELLS = 3
_LEAST_ROOM = 80

_MAY_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+\s|[。！？]")


def row_lines(labels: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The lines of one row. A cell without a label is named by its column's number."""
    pairs = [
        (labels[i] if i < len(labels) and labels[i] else f"Column {i + 1}", cell)
        for i, cell in enumerate(cells)
        if cell
    ]
    return pair_lines(pairs)


def pair_lines(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of `label: value; label: value`. An empty label leaves the value by itself."""
    clean = [(_label(label), one_line(value)) for label, value in pairs]
    clean = [pair for pair in clean if pair[1]]
    if not clean:
        return []
    line = "- " + "; ".join(map(_pair, clean))
    return [line] if _stands_alone(line) else _long_row(clean)


def document_table(head: Sequence[Sequence[str]], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table in a document that says itself which rows are its header.

    Where it has none, the first of two columns names the second, and of more each cell stands for
    itself. Without a name above it, the first column is taken for the names of the rows.
    """
    columns = zip_longest(*head, fillvalue="")
    whole = [" ".join(dict.fromkeys(filter(None, cells))) for cells in columns]
    names = column_names(whole)
    bare = any(names)
    if any(len(name) > LONGEST_LABEL for name in whole):  # too long to be repeated, said once
        yield from pair_lines([("Columns", "; ".join(filter(None, whole)))])
    named = any(names)
    for row in rows:
        if named and not names[0] and any(row[1:]):
            pairs = zip_longest(names[1:], row[1:], fillvalue="")
            lines = pair_lines([("", row[0]), *pairs])
        elif named:
            lines = row_lines(names, row)
        elif len(row) == 2 and row[1]:
            lines = pair_lines([(row[0], row[1])])
        else:
            lines = pair_lines([("", cell) for cell in row])
        bare = bare and not lines
        yield from lines
    if bare:
        yield f"- Columns: {', '.join(filter(None, names))}"


def carried(text: str) -> str:
    """A cell that spans rows, as it is repeated in those below: enough to name what it says."""
    return _shortened(text, _LONGEST_CARRIED)


def plain_label(text: str) -> str:
    """The Markdown of a header cell without links, bold marks and code marks, as a label."""
    text = re.sub(r"!?\[([^\]\[]*)\]\([^()]*\)", r"\1", text)
    return " ".join(re.sub(r"\*\*|`+", "", text).split())


def column_names(cells: Sequence[str]) -> list[str]:
    """A header row as labels: short, on one line, and different from each other."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for cell in cells:
        name = _label(" ".join(cell.split()))
        seen[name] = number = seen.get(name, 0) + 1
        names.append(f"{name} ({number})" if name and number > 1 else name)
    return names


def one_line(text: str) -> str:
    """A cell on one line. Its own lines are parted by a slash, unless the text just flows on."""
    if "\n" not in text:
        return " ".join(text.split())
    return parted(text.split("\n"), flowing=True)


def parted(parts: Iterable[str], *, flowing: bool = False) -> str:
    """Several texts on one line, with a slash between them where nothing else parts them.

    `flowing`: they are lines of one text, which goes on in the next where that begins small.
    """
    texts = [" ".join(part.split()) for part in parts]
    texts = [text for text in texts if text]
    line = texts[:1]
    for before, text in pairwise(texts):
        flows = before[-1] in ".,;:!?-/。！？、" or (flowing and text[0].islower())
        line += (" " if flows else " / ", text)
    return "".join(line)


def limited(lines: Iterable[str], limit: int) -> tuple[str, bool]:
    """The lines as text, as many as fit into `limit` characters, and whether that was all."""
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > limit:
            return "\n".join(kept), False
        kept.append(line)
    return "\n".join(kept), True


def _pair(pair: tuple[str, str]) -> str:
    return f"{pair[0]}: {pair[1]}" if pair[0] else pair[1]


def _label(name: str) -> str:
    name = _shortened(name.strip().rstrip(":").strip(), LONGEST_LABEL)
    return _blunted(name, " ") if _MAY_END.search(name) else name


def _stands_alone(line: str) -> bool:
    if len(line) > _LONGEST_LINE or _cost(line) > _LONGEST_LINE:
        return False
    return not _MAY_END.search(line) or _sentence_count(line) == 1


def _cost(text: str) -> int:
    """UTF-8 bytes, digits twice: tokenizers cut other scripts and numbers into smaller bits."""
    return len(text.encode("utf-8", "replace")) + sum(map(text.count, "0123456789"))


def _sentence_count(line: str) -> int:
    return sum(1 for _ in sentence_spans(line))


def _long_row(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The row on several lines, each after the first with the row's key before its cells."""
    keys = [f"{_key(name, value)}; " for name, value in _key_cells(pairs)]
    lines: list[str] = []
    open_line = ""
    for i, pair in enumerate(pairs):
        text = _pair(pair)
        joined = f"{open_line}; {text}" if open_line else f"- {text}"
        if (open_line or i == 0) and _stands_alone(joined):
            open_line = joined
            continue
        before = f"- {''.join(keys[:i])}"
        if f"{open_line}; " != before:  # which the next line repeats anyway
            lines.append(open_line)
        *whole, open_line = _fragments(before, pair)
        lines += whole
    return [line for line in (*lines, open_line) if line]


def _key(label: str, value: str) -> str:
    return _blunted(_pair((label, _shortened(value, _LONGEST_KEY)))).rstrip("。！？")


def _key_cells(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """The first cells up to one that holds a letter: a running number alone names nothing."""
    for count, (_, value) in enumerate(pairs[:_MOST_KEY_CELLS], start=1):
        if any(character.isalpha() for character in value):
            return pairs[:count]
    return pairs[:1]


def _fragments(before: str, pair: tuple[str, str]) -> Iterator[str]:
    """One line for each sentence of the cell, and several for one that is too long."""
    label, value = pair
    name = f"{before}{label}: " if label else before
    whole = name + value
    if _stands_alone(whole):
        yield whole
        return
    room = max(_LEAST_ROOM, _LONGEST_LINE - _cost(name))
    for start, end in sentence_spans(value):
        for piece in _pieces(value[start:end], room):
            line = name + piece
            yield _blunted(line) if _MAY_END.search(line) else line


def _pieces(sentence: str, room: int) -> Iterator[str]:
    """The sentence in bits that cost at most `room`, cut between the lines of the cell, else before
    words, where there are any."""
    at = 0
    while at < len(sentence):
        end = min(len(sentence), at + room)
        while (cost := _cost(sentence[at:end])) > room:
            end = at + max(1, (end - at) * room // cost)
        if end < len(sentence):
            slash = sentence.rfind(" / ", at + room // 2, end + 1)
            space = slash if slash > at else sentence.rfind(" ", at + room // 4, end + 1)
            end = space if space > at else end
        yield sentence[at:end].strip()
        at = end + 2 if sentence.startswith(" / ", end) else end
        while at < len(sentence) and sentence[at] == " ":
            at += 1


def _blunted(text: str, instead: str = " – ") -> str:
    """The text without full stops inside, so that it is one sentence."""
    parts = [text[start:end] for start, end in sentence_spans(text)]
    if len(parts) < 2:
        return text
    return instead.join([*(part.rstrip("\"'”’)].!?。！？") for part in parts[:-1]), parts[-1]])


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    cut = text.rfind(" ", limit // 2, limit)
    return text[: cut if cut > 0 else limit].rstrip() + "…"
