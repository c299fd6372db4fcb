"""reStructuredText to Markdown with docutils, also where it is written for Sphinx.

Nothing is included from other files, no raw markup is passed on and nothing is looked up: a
directive or role that docutils does not know is read for the prose in it. Sphinx itself would run
the `conf.py` of a project, and needs all of it to read one page.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rag.parsers.text import clean, decode, markdown_title, parse_plain
from rag.schema import ParsedDocument

_MAX_SIZE = 1_500_000
_LONGEST_LINE = 10_000
"""Characters; docutils needs quadratic time for some lines."""
_INCLUDED = re.compile(
    r"^[ \t]*(?:\.\.[ \t]+(?:literal)?include::|:(?:file|url):)[ \t]+(\S{1,200})", re.MULTILINE
)

_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "syntax_highlight": "none",
    "report_level": 2,  # what is wrong stays in the tree, with its source
    "halt_level": 5,
    "warning_stream": False,
    "line_length_limit": _LONGEST_LINE,
}


def parse_rst(data: bytes) -> ParsedDocument:
    """Headings, paragraphs, lists, code, tables and notes. Title: the first heading.

    A text that docutils cannot read, or that is too large for it, comes in as it stands, with a
    warning. Files that the text includes do not come in; a warning names them.
    """
    text, warnings = decode(data)
    text = clean(text)
    found = _markdown(text)
    if found is None:
        plain = parse_plain(data, ".rst")
        warning = "could not be read as reStructuredText: taken as plain text"
        return replace(plain, warnings=(*plain.warnings, warning))
    if files := list(dict.fromkeys(_INCLUDED.findall(text))):
        warnings += (f"included files were not read: {', '.join(files[:20])}",)
    return ParsedDocument(markdown_title(found), found, "text/x-rst", warnings=warnings)


def _markdown(text: str) -> str | None:
    """None for what docutils cannot read."""
    if len(text) > _MAX_SIZE or any(len(line) > _LONGEST_LINE for line in text.split("\n")):
        return None
    from docutils.core import publish_doctree
    from docutils.parsers.rst import Parser

    from rag.parsers.rst_directives import bounded_inliner, learn_directives
    from rag.parsers.rst_markdown import to_markdown

    learn_directives(text)
    parser = Parser(inliner=bounded_inliner())
    try:
        tree = publish_doctree(text, parser=parser, settings_overrides=_SETTINGS)
    except Exception:  # docutils lets through whatever its parts raise
        return None
    try:
        return clean(to_markdown(tree))
    except RecursionError:
        return None
