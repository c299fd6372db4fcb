"""Sentences -> the answer's text with `[n]` marks, and the citations behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rag.draft import UNSUPPORTED, Sentence
from rag.schema import Hit, Sampling

_CODE_OR_MARK = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\[(\d{1,3})\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SupportedSentence:
    """A sentence of the answer and the span of the document that bears it out."""

    sentence: str
    start: int
    end: int
    score: float
    quoted: bool


@dataclass(slots=True)
class Citation:
    """A cited passage; `number` is its mark in the answer, spans are in the parsed document."""

    number: int
    hit: Hit
    support: list[SupportedSentence] = field(default_factory=list)


class Answer:
    """Grows sentence by sentence. Passages are numbered in the order in which they are cited."""

    def __init__(
        self, hits: Sequence[Hit], sampling: Sampling, count_tokens: Callable[[str], int]
    ) -> None:
        self._hits = hits
        self._stop = sampling.stop
        self._tokens_left = sampling.max_tokens
        self._count_tokens = count_tokens
        self._by_passage: dict[int, Citation] = {}
        self._unmarked = ""
        self.text = ""
        self.full: Literal["", "stop", "length"] = ""

    @property
    def citations(self) -> list[Citation]:
        return list(self._by_passage.values())

    def add(self, sentence: Sentence) -> str:
        """Take in a sentence; the text to send for it, cut at `stop` or the token limit.

        Quotations count towards `max_tokens` like generated text. A cut sentence is not cited.
        May block while tokens are counted; one call at a time.
        """
        before = sentence.before if self.text else ""
        shown = _without_marks(sentence.text)
        text = self._cut(before, shown)
        if not text:
            return ""
        self._unmarked += before + text
        if (sentence.support is not None or sentence.unsupported) and not self.full:
            mark = (
                UNSUPPORTED if sentence.unsupported else f"[{self._cite(sentence, shown).number}]"
            )
            text += f"\n{mark}" if text.endswith("```") else f" {mark}"
        self.text += before + text
        return before + text

    def _cite(self, sentence: Sentence, shown: str) -> Citation:
        assert sentence.support is not None
        quote = sentence.support.quote
        new = Citation(len(self._by_passage) + 1, self._hits[quote.passage])
        citation = self._by_passage.setdefault(quote.passage, new)
        citation.support.append(
            SupportedSentence(
                sentence=shown,
                start=quote.start,
                end=quote.end,
                score=round(sentence.support.score, 3),
                quoted=sentence.quoted,
            )
        )
        return citation

    def _cut(self, before: str, text: str) -> str:
        """`text` up to a stop string or to the end of the token budget.

        A stop string may begin in what is sent already; the marks are not searched for it.
        """
        sent = len(self._unmarked)
        whole = self._unmarked + before + text
        found = [whole.find(stop, max(0, sent + 1 - len(stop))) for stop in self._stop]
        if stops := [at for at in found if at >= 0]:
            self.full = "stop"
            text = whole[sent + len(before) : max(sent + len(before), min(stops))]
        tokens = self._count_tokens(text)
        if tokens > self._tokens_left:
            self.full = "length"
            # Tokens are not characters: this may leave a few of the budget unused.
            text = text[: len(text) * self._tokens_left // tokens].rstrip()
        self._tokens_left -= min(tokens, self._tokens_left)
        return text


def _without_marks(text: str) -> str:
    """A document's own `[7]` as `(7)`, so that every mark in the answer is one of a citation.

    Code is left as it is: there, `[0]` is an index.
    """
    return _CODE_OR_MARK.sub(lambda match: f"({match[1]})" if match[1] else match[0], text)
