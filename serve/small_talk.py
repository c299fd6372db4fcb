"""Greetings, thanks and "who are you": answered at once, without a search and never refused.

A message is small talk only if all of it is made of the phrases in `configs/small_talk.yaml`, so a
question that begins with a greeting stays a question. Knows the languages of that file and no
paraphrases; what it does not know is searched for like any question.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

import settings

Kind = Literal[
    "identity", "wellbeing", "thanks", "goodbye", "greeting", "acknowledgement", "answer"
]
KINDS: Sequence[Kind] = get_args(Kind)
"""The first of these that occurs in a message decides what is replied."""
WITH_EXAMPLE = frozenset({"identity", "greeting"})
MOST_CHARS = 120
OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
STRETCHED = re.compile(r"(\w)\1{2,}")
# Written without blanks between words: each sign stands for itself.
UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff])")

Phrases = tuple[Annotated[str, StringConstraints(min_length=1)], ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RepliesConfig(_Section):
    """What is said to each kind. `{documents}` is a number, `{question}` an example."""

    greeting: str
    thanks: str
    goodbye: str
    wellbeing: str
    identity: str
    acknowledgement: str
    answer: str
    example: str

    @field_validator("*")
    @classmethod
    def _known_places(cls, text: str) -> str:
        try:
            text.format(documents=0, question="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{text!r} has a place that nothing fills; only {{documents}} and {{question}} are "
                "known, and a brace that is meant as such is written twice"
            ) from error
        return text


class LanguageConfig(_Section):
    """The phrases of one language, by kind."""

    greeting: Phrases = ()
    thanks: Phrases = ()
    goodbye: Phrases = ()
    wellbeing: Phrases = ()
    identity: Phrases = ()
    acknowledgement: Phrases = ()
    answer: Phrases = Field((), description="yes and no: small talk only if nothing came before")
    addressee: Phrases = Field((), description="words that may stand beside any of the others")
    replies: RepliesConfig


class SmallTalkConfig(_Section):
    """The whole file."""

    languages: dict[str, LanguageConfig]


class SmallTalk:
    """The phrases, ready to be looked for."""

    def __init__(self, languages: Mapping[str, LanguageConfig]) -> None:
        self._languages = languages
        self._kinds: dict[str, tuple[Kind | None, str]] = {}
        for name, language in languages.items():
            for kind in (*KINDS, None):
                for phrase in getattr(language, kind or "addressee"):
                    for spelling in spellings(phrase):
                        self._kinds.setdefault(spelling, (kind, name))
        longest_first = sorted(self._kinds, key=len, reverse=True)
        self._phrase = re.compile("(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\S)")

    def kind(self, text: str, *, follow_up: bool = False) -> tuple[Kind, str] | None:
        """(kind, language) of a message that is small talk from end to end, else None.

        `follow_up`: something was said before, so that "yes" and "no" may mean that.
        """
        if len(text) > MOST_CHARS:
            return None
        found: list[tuple[Kind, str]] = []
        rest = plain(text)
        if not rest:  # an emoji, a question mark
            return None if follow_up else ("acknowledgement", next(iter(self._languages)))
        while rest:
            match = self._phrase.match(rest)
            if match is None:
                return None
            kind, language = self._kinds[match[0]]
            if kind is not None:
                found.append((kind, language))
            rest = rest[match.end() :].lstrip()
        if not found:
            return None
        first = min(found, key=lambda each: KINDS.index(each[0]))
        return None if follow_up and first[0] == "answer" else first

    def reply(self, kind: Kind, language: str, documents: int, example: str = "") -> str:
        """What to say. `documents`: how many the asker may read."""
        replies = self._languages[language].replies
        said = str(getattr(replies, kind)).format(documents=documents, question=example)
        if example and kind in WITH_EXAMPLE:
            said += " " + replies.example.format(documents=documents, question=example)
        return said


def open_small_talk(path: Path) -> SmallTalk:
    """Read the phrases and replies. Raises SettingsError, which names every mistake."""
    config = settings.load(SmallTalkConfig, path)
    if not config.languages:
        raise settings.SettingsError(str(path), ["languages: name at least one, or set `none`"])
    return SmallTalk(config.languages)


def plain(text: str) -> str:
    """Lower-case words with one blank between them: no accents, marks or emoji."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    shown = "".join(char for char in decomposed if unicodedata.category(char) not in {"Mn", "Cf"})
    words = "".join(char if char.isalnum() else " " for char in UNSPACED.sub(r" \1 ", shown))
    return " ".join(STRETCHED.sub(r"\1", words).split())


def spellings(phrase: str) -> Iterator[str]:
    """A phrase with and without each of its [optional|other] parts."""
    part = OPTIONAL.search(phrase)
    if part is None:
        yield plain(phrase)
        return
    for chosen in ("", *part[1].split("|")):
        yield from spellings(f"{phrase[: part.start()]} {chosen} {phrase[part.end() :]}")
