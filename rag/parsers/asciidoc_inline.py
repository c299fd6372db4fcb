"""AsciiDoc within a line: attributes filled in, links and macros reduced to what a reader sees.

Every pattern is bounded in what it looks ahead at, so that the time stays linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rag.parsers.markdown_lines import code, link

_INTRINSIC = {
    **{"nbsp": " ", "sp": " ", "blank": "", "empty": "", "zwsp": "", "wj": "", "shy": ""},
    **{"amp": "&", "lt": "<", "gt": ">", "apos": "'", "quot": '"', "backtick": "`", "vbar": "|"},
    **{"plus": "+", "asterisk": "*", "tilde": "~", "caret": "^", "startsb": "[", "endsb": "]"},
    **{"two-colons": "::", "two-semicolons": ";;", "brvbar": "¦", "deg": "°", "cpp": "C++"},
    **{"ldquo": "“", "rdquo": "”", "lsquo": "‘", "rsquo": "’", "backslash": "\\"},
}
_LONGEST_VALUE = 2000
_MAX_EXPANSION = 5_000_000
"""Characters that attributes may add to a text: they can be made of each other."""

_ATTRIBUTE = re.compile(r":(!?)(\w[\w-]{0,80})(!?):(?:[ \t]+(.*))?", re.DOTALL)
_REFERENCE = re.compile(r"(\\?)\{(!?[\w][\w-]{0,80})\}|\{(?:counter2?|set):[^{}\n]{0,200}\}")
_VERBATIM = re.compile(
    r"(?<!\w)\+\+\+(?P<triple>.{0,500}?)\+\+\+|pass:[a-z,]{0,20}\[(?P<pass>[^\]]{0,500})\]"
    r"|``(?P<double>[^`]{1,500})``|(?<![\w`])`(?P<single>[^`\s](?:[^`]{0,500}[^`\s])?)`(?!`)"
    r"|(?<![\w+])\+(?P<plus>[^+\s](?:[^+]{0,500}[^+\s])?)\+(?![\w+])"
)
_LABEL = r"\[(?P<label>[^\]]{0,600})\]"
_MACRO = re.compile(
    rf"\\?(?<![\w:/])(?P<name>link|xref|mailto|image|icon|kbd|btn|menu|footnote|footnoteref|stem|"
    rf"latexmath|asciimath|indexterm2?|anchor|chem|term):(?P<target>[^\s\[\]]{{0,500}}){_LABEL}"
)
_URL = re.compile(rf"<?(?P<target>\b(?:https?|ftp)://[^\s\[\]<>]{{1,1000}})(?:{_LABEL})?>?")
_REFER = re.compile(r"<<#?([^<>,]{1,200})(?:,([^<>]{0,500}))?>>")
_ANCHOR = re.compile(r"\[\[[^\[\]\n]{1,200}\]\]|\(\(\([^()\n]{1,200}\)\)\)")
_TERM = re.compile(r"\(\(([^()\n]{1,200})\)\)")
_QUOTES = re.compile(r"\"`([^`\n]{1,500})`\"|'`([^`\n]{1,500})`'")
_ROLE = re.compile(r"\[[.#%][\w .#%-]{1,100}\](?=[#*_`])")
_BOLD = re.compile(r"(?<![\w*\\])\*{1,2}(?=[^\s*])([^*\n]{0,500}[^\s*])\*{1,2}(?![\w*])")
_ITALIC = re.compile(r"(?<![\w_\\])_{1,2}(?=[^\s_])([^_\n]{0,500}[^\s_])_{1,2}(?![\w_])")
_MARKED = re.compile(r"(?<![\w#&\\])#{1,2}(?=[^\s#])([^#\n]{0,500}[^\s#])#{1,2}(?![\w#])")
_RAISED = re.compile(r"([~^])(?=[^\s~^])([^\s~^]{1,100})\1")
_KEPT = re.compile("\x00(\\d+)\x00")


class Inline:
    """Knows the attributes that the document has set so far."""

    def __init__(self) -> None:
        self._values = dict(_INTRINSIC)
        self._room = _MAX_EXPANSION

    def define(self, line: str) -> bool:
        """Take in `:name: value` or `:!name:`; whether the line is one."""
        match = _ATTRIBUTE.fullmatch(line)
        if match is None:
            return False
        if match[1] or match[3]:
            self._values.pop(match[2].lower(), None)
        else:
            value = re.sub(r"[ \t]*\\?\n[ \t]*", " ", match[4] or "")
            self._values[match[2].lower()] = self.filled(value)[:_LONGEST_VALUE]
        return True

    def filled(self, text: str) -> str:
        """With the values of attributes; an unknown one stays as it is written."""
        return _REFERENCE.sub(self._value, text) if "{" in text else text

    def text(self, source: str) -> str:
        """What a reader sees of a paragraph, as Markdown on one line."""
        kept: list[str] = []

        def keep(text: str) -> str:
            kept.append(text)
            return f"\x00{len(kept) - 1}\x00"

        source = " ".join(self.filled(source).split())
        source = _QUOTES.sub(lambda match: f"“{match[1]}”" if match[1] else f"‘{match[2]}’", source)
        source = _VERBATIM.sub(lambda match: keep(_verbatim(match)), source)
        source = _marked_up(_linked(source, keep))
        source = re.sub(r"\\(?=[*_`#+~^{<\[])", "", source)
        source = re.sub(" {2,}", " ", source)
        for _ in range(3):  # a link's label may hold code
            source = _KEPT.sub(lambda match: kept[int(match[1])], source)
        return source.strip()

    def _value(self, match: re.Match[str]) -> str:
        name = match[2]
        if match[1] or name is None:
            return match[0][1:] if match[1] else ""
        value = self._values.get(name.lower())
        if value is None or self._room < len(value):
            return match[0]
        self._room -= len(value)
        return value


def _verbatim(match: re.Match[str]) -> str:
    mono = match["double"] or match["single"]
    if not mono:
        return match["triple"] or match["pass"] or match["plus"] or ""
    return code(mono[1:-1] if mono[0] == mono[-1] == "+" and len(mono) > 2 else mono)


def _linked(text: str, keep: Callable[[str], str]) -> str:
    """Macros as their text; links go through `keep`, so that nothing else is seen in them."""
    if "[" in text:
        text = _ANCHOR.sub("", _MACRO.sub(lambda match: _macro(match, keep), text))
    if "://" in text:
        text = _URL.sub(lambda match: _url(match, keep), text)
    if "<<" in text:
        text = _REFER.sub(lambda match: (match[2] or _readable(match[1])).strip(), text)
    return _TERM.sub(r"\1", text)


def _macro(match: re.Match[str], keep: Callable[[str], str]) -> str:
    name, target = match["name"], match["target"]
    label = match["label"]
    if match[0].startswith("\\"):
        return match[0][1:]
    if name in ("link", "mailto"):
        shown = _label(label) or target
        return keep(link(shown, f"mailto:{target}" if name == "mailto" else target))
    if name == "xref":
        return _label(label) or _readable(target)
    if name == "menu":
        return " > ".join(filter(None, [target, *re.split(r"\s*>\s*", label)]))
    if name in ("footnote", "footnoteref"):
        return f" ({label})" if label else ""
    if name in ("icon", "anchor", "indexterm"):
        return ""
    return _label(label) if name == "image" else label


def _url(match: re.Match[str], keep: Callable[[str], str]) -> str:
    target = match["target"]
    if match["label"] is None:  # a stop behind an address belongs to the sentence
        bare = target.rstrip(".,;:!?)'\"")
        return keep(link(bare, bare)) + target[len(bare) :] if len(bare) > 8 else match[0]
    return keep(link(_label(match["label"]) or target, target))


def _label(label: str) -> str:
    """The text of a link, without its attributes: [the guide,window=_blank] or ["a, b",role=x]."""
    quoted = re.match(r'\s*"([^"]{0,500})"', label)
    if quoted:
        return quoted[1]
    return re.split(r",\s*[\w-]{1,40}=|\^$", label, maxsplit=1)[0].strip()


def _readable(target: str) -> str:
    """A target without a label: the file or anchor that it names."""
    path, _, anchor = target.partition("#")
    return anchor or path


def _marked_up(text: str) -> str:
    text = _ROLE.sub("", text)
    text = _ITALIC.sub(r"*\1*", _BOLD.sub("\x01\\1\x01", text)).replace("\x01", "**")
    return _RAISED.sub(r"\2", _MARKED.sub(r"\1", text))
