"""A docutils document as Markdown blocks.

Paragraphs come on one line each, tables as rows that name their columns, admonitions with their
name before the first sentence. What docutils could not make sense of it leaves in the tree as a
message that holds the source: that comes in as text, so that no prose is lost.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from docutils import nodes

from rag.parsers.html import html_to_markdown
from rag.parsers.markdown_lines import code, escaped, fenced, heading, item, joined, link
from rag.parsers.table_rows import carried, document_table, parted

_SKIPPED = (
    *(nodes.comment, nodes.substitution_definition, nodes.target, nodes.pending, nodes.raw),
    *(nodes.meta, nodes.decoration, nodes.title, nodes.subtitle, nodes.colspec, nodes.label),
)
_NAMES = (nodes.term, nodes.classifier, nodes.field_name, nodes.option_group)
_ERROR = 3
_DIRECTIVE = re.compile(r"\.\.[ \t]+([\w:.+-]+)::[ \t]*([^\n]*)\n?(.*)", re.DOTALL)
_OPTIONS = re.compile(r"(?:[ \t]*:[\w-]+:[^\n]*(?:\n|\Z))+")
_UNDERLINED = re.compile(r"(?:[^\w\s]{2,}\n)?(.*\w.*)\n[^\w\s]{2,}")
_FILES = ("include", "literalinclude", "csv-table")


def to_markdown(document: nodes.document) -> str:
    return joined(_blocks(document, 0))


def _blocks(parent: nodes.Element, level: int) -> Iterator[str]:
    """The blocks in `parent`, which lies below `level` headings."""
    for node in parent.children:
        if isinstance(node, nodes.Text):
            yield escaped(" ".join(node.astext().split()))
        elif isinstance(node, nodes.Element) and not isinstance(node, (*_SKIPPED, *_NAMES)):
            yield from _block(node, level)


def _block(node: nodes.Element, level: int) -> Iterator[str]:
    if isinstance(node, nodes.section):
        yield from _section(node, level + 1)
    elif isinstance(node, nodes.system_message):
        yield from _source(node)
    elif isinstance(node, (nodes.literal_block, nodes.doctest_block, nodes.math_block)):
        yield fenced(node.astext(), _language(node))
    elif isinstance(node, nodes.line_block):
        yield "\n".join(escaped(_inline(line)) for line in node.findall(nodes.line))
    elif isinstance(node, (nodes.bullet_list, nodes.enumerated_list)):
        yield "\n".join(_items(node, level))
    elif isinstance(node, (nodes.definition_list, nodes.field_list, nodes.option_list)):
        yield "\n".join(_named_items(node, level))
    elif isinstance(node, nodes.table):
        yield from _table(node, level)
    elif isinstance(node, nodes.Admonition):
        name = _title(node) or node.tagname.capitalize()
        yield _introduced(name.rstrip(":"), joined(_blocks(node, level)))
    elif isinstance(node, (nodes.topic, nodes.sidebar)):
        if "contents" not in node["classes"]:  # the contents repeat the headings
            yield from (_strong(_title(node)), *_blocks(node, level))
    elif isinstance(node, (nodes.footnote, nodes.citation)):
        label = next((child.astext() for child in _children(node, nodes.label)), "*")
        yield f"[^{label}]: {joined(_blocks(node, level))}"
    elif isinstance(node, nodes.image):
        yield escaped(str(node.get("alt", "")))
    elif isinstance(node, nodes.TextElement):
        text = _inline(node)
        yield f"— {text}" if isinstance(node, nodes.attribution) else escaped(text)
    else:
        yield from _blocks(node, level)


def _children(node: nodes.Element, kind: type[nodes.Element]) -> Iterator[nodes.Element]:
    return (child for child in node.children if isinstance(child, kind))


def _title(node: nodes.Element) -> str:
    return " ".join(_inline(child) for child in _children(node, nodes.title))


def _section(node: nodes.section, level: int) -> Iterator[str]:
    if "system-messages" not in node["classes"]:
        yield heading(level, _title(node))
        yield from _blocks(node, level)


def _items(node: nodes.Element, level: int) -> Iterator[str]:
    """List items. A letter stays, behind a bullet, which ends the sentence before it."""
    kind = str(node.get("enumtype", ""))
    for number, child in enumerate(_children(node, nodes.list_item), int(node.get("start", 1))):
        body = joined(_blocks(child, level))
        if kind.endswith("alpha") and 0 < number <= 26:
            letter = chr(ord("a" if kind == "loweralpha" else "A") + number - 1)
            yield item("-", f"{letter}) {body}")
        else:
            yield item(f"{number}." if kind else "-", body)


def _named_items(node: nodes.Element, level: int) -> Iterator[str]:
    """Definitions, fields and options: `- name: what it is`."""
    for child in _children(node, nodes.Element):
        names = [_name(part) for part in child.children if isinstance(part, _NAMES)]
        body = joined(_blocks(child, level))
        if body or not isinstance(node, nodes.field_list):  # an empty field is a switch
            yield item("-", _introduced(" ".join(names).rstrip(":"), body))


def _name(node: nodes.Element) -> str:
    if isinstance(node, nodes.option_group):
        return code(", ".join(option.astext() for option in node.findall(nodes.option)))
    return f"({_inline(node)})" if isinstance(node, nodes.classifier) else _inline(node)


def _introduced(name: str, body: str) -> str:
    """`name: body`, or the name on a line of its own before a body that is no prose."""
    if not body or not name:
        return name or body
    between = "\n\n" if re.match(r"[`~]{3}|- |\d+\. ", body) else " "
    return f"{name}:{between}{body}"


def _table(node: nodes.table, level: int) -> Iterator[str]:
    yield _strong(_title(node))
    groups = list(_children(node, nodes.tgroup))
    head, body = (
        [row for group in groups for part in _children(group, kind) for row in _rows(part, level)]
        for kind in (nodes.thead, nodes.tbody)
    )
    yield "\n".join(document_table(head, body))


def _rows(part: nodes.Element, level: int) -> Iterator[list[str]]:
    """Cells as text. One that spans rows stands in each; one that spans columns names all of them
    in a header, and stands in the first elsewhere."""
    reaching: dict[int, tuple[int, str]] = {}
    for row in _children(part, nodes.row):
        cells: list[str] = []
        for entry in [*_children(row, nodes.entry), None]:
            while reaching.get(len(cells), (0, ""))[0]:
                rows, text = reaching[len(cells)]
                reaching[len(cells)] = (rows - 1, text)
                cells.append(text)
            if entry is not None:
                text = _cell(entry, level)
                for offset in range(int(entry.get("morecols", 0)) + 1):
                    shown = text if not offset or isinstance(part, nodes.thead) else ""
                    reaching[len(cells)] = (int(entry.get("morerows", 0)), carried(shown))
                    cells.append(shown)
        yield cells


def _cell(entry: nodes.Element, level: int) -> str:
    """A cell's blocks without the marks of lists and code blocks, which need lines of their own."""
    text = re.sub(r"^`{3,}\S*$", "", joined(_blocks(entry, level)), flags=re.MULTILINE)
    return parted(re.split(r"\n\n+|\n[ \t]*-[ \t]+", text.removeprefix("- ")))


def _language(node: nodes.Element) -> str:
    classes: list[str] = node.get("classes", [])
    named = [name for name in classes if name != "code"]
    return str(node.get("language", "") or (named[0] if named else ""))


def _strong(text: str) -> str:
    return f"**{text}**" if text else ""


def _inline(node: nodes.Element) -> str:
    return " ".join("".join(_spans(node)).split())


def _spans(node: nodes.Element) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, nodes.Text):
            yield child.astext()
        elif isinstance(child, (nodes.literal, nodes.math)):
            yield code(" ".join(child.astext().split()))
        elif isinstance(child, nodes.reference) and child.get("refuri"):
            yield link(_inline(child), str(child["refuri"]))
        elif isinstance(child, (nodes.footnote_reference, nodes.citation_reference)):
            yield f"[^{child.astext()}]"
        elif isinstance(child, nodes.image):
            yield str(child.get("alt", ""))
        elif isinstance(child, (nodes.strong, nodes.emphasis)):
            text, mark = _inline(child), "**" if isinstance(child, nodes.strong) else "*"
            yield f"{mark}{text}{mark}" if text else ""
        elif isinstance(child, nodes.Element) and not isinstance(
            child, (nodes.raw, nodes.system_message)
        ):
            yield from _spans(child)


def _source(message: nodes.system_message) -> Iterator[str]:
    """The source that a message is about, where it did not come in otherwise."""
    source = next((child.astext() for child in _children(message, nodes.literal_block)), "")
    directive = _DIRECTIVE.match(source)
    if directive is None:
        if source and int(message["level"]) >= _ERROR:
            title = _UNDERLINED.fullmatch(source.strip())
            yield _strong(str(title[1]).strip()) if title else fenced(source)
        return
    name, argument = str(directive[1]), str(directive[2])
    content = textwrap.dedent(_OPTIONS.sub("", directive[3], count=1)).strip("\n")
    if name == "raw":
        if argument.strip() == "html":
            yield html_to_markdown(content)[1]
    elif name not in _FILES or content:
        yield escaped(argument)
        yield from (escaped(" ".join(part.split())) for part in re.split(r"\n\s*\n", content))
