"""What docutils has to be told of directives and roles that are not its own: keep their prose.

Sphinx and its extensions bring hundreds of them (`toctree`, `tab-item`, `versionadded`, `:doc:`).
Their names are not listed here: an unknown directive gives its argument as a title and its content
as text, an unknown role its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from docutils import nodes, utils
from docutils.parsers.rst import Directive, directives, states
from docutils.parsers.rst.languages import en

_NAME = re.compile(
    r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]{1,100}\|[ \t]+)?([A-Za-z][\w.:+-]{0,60})::(?!\S)", re.MULTILINE
)
_MAX_UNKNOWN = 200

_CODE = frozenset("code code-block sourcecode console prompt terminal shell".split())
_SILENT = frozenset(
    "date index highlight tabularcolumns currentmodule module include literalinclude".split()
)
"""`date` too: a text must not change with the day on which it is read."""
_OURS = _CODE | _SILENT
"""Instead of docutils' own of that name: Sphinx has more options for code."""
_CONDITIONS = frozenset("only ifconfig grid grid-item tab-set tabs".split())
"""What stands behind these is no prose."""
_SAID = {
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
    "seealso": "See also",
}
_FILE = re.compile(r"[\w./:@-]*(?:/|\.\w{2,4}$)[\w./:@-]*")
_TARGET = re.compile(r"(.+?)\s*<[^<>]*>\s*", re.DOTALL)
_MARKS = re.compile(r"[^\w\s]|_")
_MAX_EFFORT = 60_000_000
"""Characters of a paragraph times the marks in it: a megabyte of prose, ten seconds at most."""
_LITERAL_ROLES = frozenset(
    "code literal file samp command program envvar option kbd regexp makevar token math".split()
)


def learn_directives(text: str) -> None:
    """Register the unknown directives of `text` with docutils, which keeps them for good.

    That changes nothing for other texts: each would register the same for the same names.
    """
    for name in sorted({found.lower() for found in _NAME.findall(text)})[:_MAX_UNKNOWN]:
        if name in _OURS or name not in en.directives:
            directives.register_directive(name, KeptDirective)


class _AnyOption(dict[str, Callable[[str], str]]):
    """Takes every option of a directive as it stands."""

    def __missing__(self, name: str) -> Callable[[str], str]:
        return lambda value: value or ""


class KeptDirective(Directive):
    """A directive that docutils does not know, read for its prose."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption({"class": str})

    def run(self) -> Sequence[nodes.Node]:
        name = self.name.lower()
        argument = self.arguments[0] if self.arguments else ""
        if name in _SILENT:
            return []
        if name in _CODE:
            return self._code(argument)
        if name == "toctree":
            return self._pages()
        if name in _SAID:
            words = argument if name == "seealso" else re.sub(r"\s", " ", argument, count=1)
            version, _, rest = ("", "", words) if name == "seealso" else words.partition(" ")
            title = f"{_SAID[name]} {version}".strip()
            return self._content(nodes.admonition("", nodes.title("", title)), rest)
        if name in _CONDITIONS or _FILE.fullmatch(argument) or not re.search(r"[^\W\d_]", argument):
            argument = ""
        return self._content(nodes.container(), argument, title="\n" not in argument)

    def _pages(self) -> Sequence[nodes.Node]:
        """The pages below this one, by title where one is given."""
        caption = self.options.get("caption", "")
        pages = nodes.bullet_list()
        for line in filter(None, map(str.strip, self.content)):
            titled = _TARGET.fullmatch(line)
            pages += nodes.list_item("", nodes.paragraph("", titled[1] if titled else line))
        return [*([nodes.paragraph(caption, caption)] if caption else []), pages]

    def _code(self, argument: str) -> Sequence[nodes.Node]:
        """Code may follow its language without a blank line, and then counts as argument."""
        language, _, first = argument.partition("\n")
        caption = self.options.get("caption", "")
        code = "\n".join([*([first] if first else []), *self.content])
        block = nodes.literal_block(code, code, language=language.strip())
        return [*([nodes.paragraph(caption, caption)] if caption else []), block]

    def _content(
        self, node: nodes.Element, argument: str, *, title: bool = False
    ) -> Sequence[nodes.Node]:
        if argument:
            children, messages = self.state.inline_text(argument, self.lineno)
            inner = nodes.strong("", "", *children) if title else nodes.inline("", "", *children)
            node += [nodes.paragraph("", "", inner), *messages]
        self.state.nested_parse(self.content, self.content_offset, node, match_titles=True)
        return [node]


def bounded_inliner() -> states.Inliner:
    """docutils' reader of markup within lines, for one document.

    It takes every role for its text, also those that the document declares, which docutils would
    keep for the documents after it; and once a document has used up `_MAX_EFFORT`, it leaves
    the markup as it stands: docutils looks for the end of each mark in all of the paragraph.
    """
    inliner = states.Inliner()
    parse, effort = inliner.parse, 0

    def bounded(
        text: str, lineno: int, memo: Any, parent: nodes.Element
    ) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        nonlocal effort
        effort += len(text) * len(_MARKS.findall(text))
        if effort > _MAX_EFFORT:
            return [nodes.Text(text)], []
        return parse(text, lineno, memo, parent)

    # On the object: docutils fills its patterns with what this very class defines, so a subclass
    # would have none.
    inliner.parse = bounded  # type: ignore[method-assign]
    inliner.interpreted = _interpreted  # type: ignore[method-assign]
    return inliner


def _interpreted(
    rawsource: str, text: str, role: str, lineno: int
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    name = (role or "").lower().rpartition(":")[2]
    if name in _LITERAL_ROLES:
        return [nodes.literal(rawsource, utils.unescape(text, restore_backslashes=True))], []
    shown = utils.unescape(text)
    titled = _TARGET.fullmatch(shown)
    shown = (titled[1] if titled else shown).lstrip("!~")
    if "raw" in name or "html" in name:
        shown = re.sub(r"<[^<>]*>", "", shown)
    if name in ("strong", "emphasis"):
        kind = nodes.strong if name == "strong" else nodes.emphasis
        return [kind(rawsource, shown)], []
    return [nodes.inline(rawsource, shown)], []
