"""AsciiDoc line by line into Markdown blocks: a reader that is fed lines and holds what is open."""

from __future__ import annotations

import re

from rag.errors import ParseError
from rag.parsers.asciidoc_inline import Inline
from rag.parsers.asciidoc_tables import table_lines
from rag.parsers.html import html_to_markdown
from rag.parsers.markdown_lines import escaped, fenced, heading
from rag.parsers.table_rows import limited

_MAX_TEXT = 50_000_000
_DEEPEST = 12
_LONGEST_STYLE = 2000
_DELIMITER = re.compile(
    r"-{4,}|\.{4,}|\+{4,}|={4,}|\*{4,}|_{4,}|/{4,}|--|~{4,}|`{3,}[\w+#.-]{0,40}|[|,:!]={3,}"
)
_UNDERLINE = re.compile(r"([=\-~^+])\1{2,}")
_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_STYLE = re.compile(r"\[(?:[\w.,%#{\"'\[].{0,1000})?\]")
_MACRO = re.compile(r"(\w[\w-]{0,40})::([^\s\[]{0,500})\[(.{0,2000})\]")
_RULE = re.compile(r"'{3,}|<{3,}|-{3}|\*{3}|- - -|\* \* \*")
_NOTE = re.compile(r"(NOTE|TIP|IMPORTANT|WARNING|CAUTION):[ \t]+(\S.*)")
_NOTE_STYLE = re.compile(r"\[(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\b")
_ITEM = re.compile(r"[ \t]*(\*{1,6}|-|•|\.{1,6}|\d{1,4}\.|[a-z]\.|<(?:\d{1,3}|\.)>)[ \t]+(\S.*)")
_TERM = re.compile(r"(:{2,4}|;;)(?=[ \t]|$)")
_CODE = re.compile(r"\[(?:source|listing|literal)\b|\[,")
_LANGUAGE = re.compile(r"\[(?:source|listing)?[^,\[\]]{0,100},[ \t]*\"?([\w+#-]{1,40})(?![\w=])")


class Blocks:
    """Takes the lines of one document; `text` gives what they were."""

    def __init__(self, inline: Inline) -> None:
        self._inline = inline
        self._out: list[tuple[bool, str]] = []
        self._room = _MAX_TEXT
        self._style = self._title = self._label = ""
        """What was said of the block that comes next."""
        self._paragraph: list[str] = []
        self._prefix = ""
        self._until: str | None = None
        """The line that ends the block that is held as it stands; '' is an empty one."""
        self._kind = ""
        self._held: list[str] = []
        self._markers: list[str] = []
        self._counts: list[int] = []
        self._base = 0
        """How deep the block around these lists stands in lists itself."""
        self._attached = False
        self._open: list[tuple[str, list[str], list[int], int]] = []
        self._blank = True
        self._in_header = True

    def read(self, line: str) -> None:
        line = line.rstrip()
        if self._until is not None:
            if line == self._until:
                self._close()
            else:
                self._held.append(line)
            self._blank = not line
        elif not line:
            if self._paragraph:  # a term may wait for its definition
                self._flush()
            self._blank, self._in_header = True, self._in_header and not self._out
        else:
            seen = self._underline(line) or self._delimiter(line) or self._heading(line)
            if not (seen or self._aside(line) or self._item(line) or self._term(line)):
                self._prose(line)
            self._blank = False

    def text(self) -> str:
        """Everything, once all lines have been read."""
        if self._until is not None:
            self._close()
        self._flush()
        self._announce()
        parts: list[str] = []
        before = False
        for is_item, block in self._out:
            parts += ("\n" if before and is_item else "\n\n", block)
            before = is_item
        return "".join(parts).strip("\n")

    def _underline(self, line: str) -> bool:
        """The older headings: a line, and as many marks below it."""
        if len(self._paragraph) != 1 or self._prefix or not _UNDERLINE.fullmatch(line):
            return False
        title = self._paragraph[0]
        if abs(len(title) - len(line)) > 1:
            return False
        self._paragraph = []
        self._begin_section("=-~^+".index(line[0]) + 1, title)
        return True

    def _heading(self, line: str) -> bool:
        match = _HEADING.fullmatch(line)
        if match is None:
            return False
        self._flush()
        self._begin_section(len(match[1]), re.sub(r"[ \t]=+$", "", match[2]))
        return True

    def _begin_section(self, level: int, title: str) -> None:
        self._announce()
        self._markers, self._counts, self._base, self._open = [], [], 0, []
        self._attached = False
        self._emit(heading(level, self._inline.text(title)))

    def _delimiter(self, line: str) -> bool:
        if not _DELIMITER.fullmatch(line):
            return False
        self._flush()
        mark = line[0]
        if (line == "--" or mark in "=*_~") and not _CODE.search(self._style):
            self._container(line)
            return True
        self._kind = {"/": "comment", "+": "raw"}.get(mark, "code")
        if mark in "|,:!":
            self._kind = "table"
        if mark == "`":
            self._style += f"[source,{line.lstrip('`')}]" if line.strip("`") else ""
            line = "`" * (len(line) - len(line.lstrip("`")))
        self._until, self._held = line, []
        return True

    def _container(self, line: str) -> None:
        """An example, a sidebar, a quotation: its content is read like any other."""
        if any(line == opened for opened, *_ in self._open):
            while self._open:
                opened, self._markers, self._counts, self._base = self._open.pop()
                if opened == line:
                    break
            self._attached = False
        elif len(self._open) < _DEEPEST:
            self._open.append((line, self._markers, self._counts, self._base))
            if self._attached:
                self._base += len(self._markers)
            self._markers, self._counts, self._attached = [], [], False
        self._take_label()

    def _close(self) -> None:
        """The block held so far is whole."""
        held, until, kind, style = self._held, self._until, self._kind, self._style
        self._held, self._until, self._kind = [], None, ""
        if kind == "comment":
            return
        text = "\n".join(held)
        if kind == "table":
            rows = table_lines(held, style, until or "|", self._inline.text)
            text, whole = limited(rows, self._room)
            if not whole:
                raise ParseError("expands to more than 50 MB: split its tables")
        elif kind == "raw" and not re.match(r"\[(?:stem|latexmath|asciimath)", style):
            text = html_to_markdown(text)[1]
        else:
            language = _LANGUAGE.search(style)
            text = self._inline.filled(text) if "attributes" in style else text
            named = "latex" if kind == "raw" else language[1] if language else ""
            text = fenced(text, named) if text.strip() else ""
        self._emit(text)

    def _aside(self, line: str) -> bool:
        """Lines that say something of the text and are none: attributes, styles, titles, macros."""
        if line.startswith("//") and not line.startswith("///"):
            return True
        if line == "+" and self._markers:
            self._flush()
            self._attached = True
            return True
        if (self._in_header or not self._paragraph) and self._inline.define(line):
            return True
        if self._paragraph:
            return False
        titled = line[0] == "." and len(line) > 1 and line[1] not in ". \t"
        if titled or _STYLE.fullmatch(line):
            self._title = line[1:] if titled else self._title
            self._style = self._style if titled else (self._style + line)[-_LONGEST_STYLE:]
            self._take_label()
            if not self._attached:  # what has a title or a style of its own is a list of its own
                self._markers, self._counts = [], []
        elif match := _MACRO.fullmatch(line):
            self._macro(match[1], match[2], match[3])
        else:
            return _RULE.fullmatch(line) is not None
        return True

    def _macro(self, name: str, target: str, label: str) -> None:
        if name in ("toc", "video", "audio", "anchor"):
            return
        if name == "image":
            label = re.split(r",[ \t]*\w+=|,[ \t]*\d", label, maxsplit=1)[0].strip('"')
            label = "" if "=" in label else label
        self._emit(escaped(self._inline.text(label)))

    def _take_label(self) -> None:
        if match := _NOTE_STYLE.search(self._style):
            self._label, self._style = match[1].capitalize(), ""

    def _item(self, line: str) -> bool:
        match = _ITEM.fullmatch(line)
        if match is None:
            return False
        marker = match[1]
        if self._paragraph and not self._prefix and marker[0] not in "*.":
            return False  # a line of prose that begins so by chance
        self._flush()
        kind = "1." if marker[0].isdigit() else "a." if marker[0].isalpha() else marker
        kind = "<>" if marker[0] == "<" else kind
        indent = self._enter(kind)
        if marker[0] == "." or marker[0].isdigit():
            self._counts[-1] = int(marker[:-1]) if marker[0].isdigit() else self._counts[-1] + 1
            self._prefix = f"{indent}{self._counts[-1]}. "
        else:
            self._prefix = f"{indent}- {marker + ' ' if kind in ('a.', '<>') else ''}"
        self._paragraph = [match[2]]
        return True

    def _term(self, line: str) -> bool:
        """`term:: definition`, where the definition may stand in the lines below."""
        match = _TERM.search(line)
        in_prose = self._paragraph and not self._prefix
        if match is None or in_prose or not line[: match.start()].strip():
            return False
        self._flush()
        term = self._inline.text(line[: match.start()])
        self._prefix = f"{self._enter(match[1])}- {term.rstrip(':')}: "
        rest = line[match.end() :].strip()
        self._paragraph = [rest] if rest else []
        return True

    def _enter(self, kind: str) -> str:
        """Go to the list with such markers, a new one inside the others if there is none."""
        self._announce()
        self._attached = False
        known = kind in self._markers
        depth = 1 + (self._markers.index(kind) if known else min(len(self._markers), _DEEPEST))
        self._markers = [*self._markers[: depth - 1], kind]
        self._counts = [*self._counts[:depth], 0][:depth]
        return "   " * (self._base + depth - 1)

    def _prose(self, line: str) -> None:
        if not self._paragraph and not self._prefix:
            indented = line[0].isspace() and self._blank
            if self._markers and self._blank and not self._attached and not indented:
                self._markers, self._counts = [], []
            if indented or _CODE.search(self._style):
                self._attached = self._attached or bool(self._markers)
                self._until, self._kind, self._held = "", "code", [line]
                return
            if match := _NOTE.fullmatch(line):
                self._label, line = match[1].capitalize(), match[2]
        self._paragraph.append(line.strip().removesuffix(" +"))

    def _flush(self) -> None:
        """End the paragraph or item that is open."""
        if not self._paragraph and not self._prefix:
            return
        text, prefix = self._inline.text(" ".join(self._paragraph)), self._prefix
        self._paragraph, self._prefix = [], ""
        if prefix:
            self._add(True, f"{prefix}{text}".rstrip())
            self._style = ""
        else:
            self._emit(escaped(text), prose=True)

    def _emit(self, text: str, *, prose: bool = False) -> None:
        """A block, below the item that it is attached to; any other ends the lists."""
        if text.strip():
            label = self._label if prose else ""
            self._label = "" if prose else self._label
            self._announce()
            text = f"{label}: {text}" if label else text
            indent = "   " * (self._base + (len(self._markers) if self._attached else 0))
            self._add(
                False, re.sub(r"^(?=.)", indent, text, flags=re.MULTILINE) if indent else text
            )
            if not self._attached:
                self._markers, self._counts = [], []
        self._attached, self._style = False, ""

    def _announce(self) -> None:
        """The title and the kind of the block that follows, on lines of their own."""
        title, label, self._title, self._label = self._title, self._label, "", ""
        if title:
            self._add(False, f"**{self._inline.text(title)}**")
        if label:
            self._add(False, f"{label}:")

    def _add(self, is_item: bool, block: str) -> None:
        self._room -= len(block)
        if self._room < 0:
            raise ParseError("expands to more than 50 MB: split it")
        self._out.append((is_item, block))
