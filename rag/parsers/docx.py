"""DOCX to Markdown: mammoth makes HTML of the document, the HTML parser makes Markdown of that.

markitdown runs the same mammoth, but loads a file-type model first, escapes every `_` and `*`,
puts an empty header row on tables and lets the Title style go; called directly, mammoth takes 60 %
of its time and memory. What is lost by it: equations, which markitdown writes as LaTeX.
Word's hidden text and text that a heading's automatic number consists of are not told apart from
what a reader sees: the first comes in, the second stays out.
"""

from __future__ import annotations

import io
from typing import Any

from rag.errors import ParseError
from rag.parsers.html import html_to_markdown
from rag.parsers.text import markdown_title
from rag.parsers.zip_guard import Package, checked_title
from rag.schema import ParsedDocument

_WORD = Package("Word document", ".docx", "word/", "the word processor", 40, strict=True)

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='toc 1'] => !
p[style-name='toc 2'] => !
p[style-name='toc 3'] => !
p[style-name='toc 4'] => !
p[style-name='TOC Heading'] => !
"""


def parse_docx(data: bytes) -> ParsedDocument:
    """Body text, headings, lists, tables and notes. Not: page headers, contents, comments,
    deleted text."""
    import mammoth

    title = checked_title(data, _WORD)
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            include_embedded_style_map=False,
            convert_image=_describe_image,
        ).value
    except RecursionError as error:
        raise ParseError(
            "nests its parts too deeply: save it again from the word processor"
        ) from error
    except Exception as error:  # mammoth lets through whatever its XML and zip readers raise
        raise ParseError(f"is damaged ({error}): open it and save it again as .docx") from error
    _, text = html_to_markdown(html)
    media = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return ParsedDocument(title or markdown_title(text), text, media)


def _describe_image(image: Any) -> list[Any]:
    """An image as its description; without this, mammoth would inline its bytes."""
    from mammoth import html

    return [html.text(image.alt_text)] if image.alt_text else []
