"""The answer's Markdown -> HTML that can only be read.

Documents and models are not trusted: HTML in the text is shown as the characters it is, images and
links stay plain text, so that rendering an answer never makes a browser fetch anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_MARK = re.compile(r"\[(\d{1,3})\]")
_QUOTATION = re.compile(r"“.*”\s*(?:\[\d{1,3}\]\s*)*", re.DOTALL)
_QUOTED_START = re.compile(r"^(“[^\n]*?” \[\d{1,3}\])[ \n]+(?=\S)", re.MULTILINE)
_LOADS_OR_LEADS_AWAY = ["image", "link", "autolink", "reference", "html_block", "html_inline"]


def render(text: str, numbers: Collection[int] | None) -> str:
    """HTML of an answer whose marks `[n]` became buttons, for every n in `numbers`.

    None makes a button of every mark: while an answer grows its citations are not known yet.
    """
    # A quotation stands alone even where the model went on in the same paragraph.
    apart = _QUOTED_START.sub(r"\1\n\n", text)
    return str(_MARKDOWN.render(apart, {"numbers": numbers}))


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable(_LOADS_OR_LEADS_AWAY)
    markdown.inline.ruler.before("emphasis", "citation", _citation)
    markdown.core.ruler.push("quotation", _quotations)
    markdown.add_render_rule("citation", _render_citation)
    return markdown


def _citation(state: StateInline, silent: bool) -> bool:
    """A rule of the inline parser, so that `list[1]` in a code span stays what it is."""
    match = _MARK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    numbers = state.env["numbers"]
    if numbers is not None and int(match[1]) not in numbers:
        return False
    if not silent:
        state.push("citation", "", 0).content = match[1]
    state.pos = match.end()
    return True


def _quotations(state: StateCore) -> None:
    """Mark the paragraphs that are nothing but a quotation from a document."""
    for opening, inline in pairwise(state.tokens):
        if opening.type == "paragraph_open" and _QUOTATION.fullmatch(inline.content):
            opening.attrJoin("class", "quotation")


def _render_citation(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    number = tokens[index].content  # digits, by the pattern
    return (
        f'<button type="button" class="mark" data-number="{number}" '
        f'aria-label="Show source {number}">{number}</button>'
    )


_MARKDOWN = _markdown()
