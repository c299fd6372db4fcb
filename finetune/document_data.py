"""A corpus -> rows of question, passages and answer, unanswerable ones included.

An answerable row shows the passage that holds the answer among others that speak of similar things;
an unanswerable one shows passages of other documents alone and is answered with the refusal. What
is written depends on corpus, seed and answers alone, not on order or interruptions.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.document_filter import flaw, might_answer, telling
from finetune.document_passages import Passage
from finetune.document_questions import Asked
from finetune.errors import DataError
from finetune.grounded import REFUSAL, Shown, grounded_prompt

_DRAWN = 40  # passages among which the most alike are looked for
Ask = Callable[[Passage], list[Asked]]
"""Questions that a passage answers, unchecked. Called by several threads if `parallel` > 1."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the rows of a passage, beside corpus and generator."""

    generator: str
    """Which one asks, for the record: rows of two generators do not mix."""
    unanswerable: float = 0.25
    """Part of all rows, below 1."""
    passages: int = 3
    """In each prompt."""
    seed: int = 0


@dataclass(slots=True)
class Made:
    """What one run did."""

    passages: int = 0
    before: int = 0
    """Passages that an earlier run had done."""
    answerable: int = 0
    unanswerable: int = 0
    silent: int = 0
    """Passages of which nothing was asked, or nothing that could be read."""
    rejected: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "passages": self.passages,
            "done_before": self.before,
            "answerable": self.answerable,
            "unanswerable": self.unanswerable,
            "passages_without_question": self.silent,
            "rejected": dict(self.rejected),
        }


def make_rows(
    corpus: Sequence[Passage],
    ask: Ask,
    recipe: Recipe,
    output: Path,
    *,
    parallel: int = 1,
    on_passage: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Append rows for every passage that `output` holds none of yet.

    Beside it, `output`.done names the passages that are done: a run that was stopped goes on from
    there, and rows of passages that are gone from the corpus are dropped. Raises DataError where
    the files cannot be used, or `ask` fails; what is done by then stays.
    """
    state = output.with_name(f"{output.name}.done")
    done = _resume(output, state, recipe, {passage.key for passage in corpus})
    todo = [passage for passage in corpus if passage.key not in done]
    made = Made(passages=len(corpus), before=len(done))
    meanings = [telling(passage.text) for passage in corpus]
    with ThreadPoolExecutor(parallel) as threads:
        try:
            asked = threads.map(ask, todo)
            for number, (passage, pairs) in enumerate(zip(todo, asked, strict=True), start=1):
                rows = list(_rows(passage, pairs, corpus, meanings, recipe, made))
                _append(output, rows)
                _append(state, [{"passage": passage.key, "rows": len(rows)}])
                on_passage(len(done) + number, len(corpus))
        except BaseException:  # Ctrl-C included: do not ask for the rest
            threads.shutdown(cancel_futures=True)
            raise
    return made


def _rows(
    passage: Passage,
    pairs: Sequence[Asked],
    corpus: Sequence[Passage],
    meanings: Sequence[set[str]],
    recipe: Recipe,
    made: Made,
) -> Iterator[dict[str, Any]]:
    """The rows of one passage. Draws depend on the passage and the seed alone."""
    draw = random.Random(f"{recipe.seed} {passage.key}")
    made.silent += not pairs
    for pair in pairs:
        if reason := flaw(pair.question, pair.answer, passage.text):
            made.rejected[reason] += 1
            continue
        beside = _beside(pair, passage, corpus, meanings, draw)
        shown = [passage, *itertools.islice(beside, recipe.passages - 1)]
        others = shown[1:]
        draw.shuffle(shown)
        made.answerable += 1
        yield _row(pair.question, pair.answer, shown, passage, answerable=True)
        wanted = draw.random() < recipe.unanswerable / (1 - recipe.unanswerable)
        if not wanted:
            continue
        elsewhere = (
            one for one in itertools.chain(others, beside) if one.document != passage.document
        )
        foreign = list(itertools.islice(elsewhere, recipe.passages))
        if not foreign:
            made.rejected["no passage of another document to pair with"] += 1
            continue
        made.unanswerable += 1
        yield _row(pair.question, REFUSAL, foreign, passage, answerable=False)


def _beside(
    pair: Asked,
    passage: Passage,
    corpus: Sequence[Passage],
    meanings: Sequence[set[str]],
    draw: random.Random,
) -> Iterator[Passage]:
    """Other passages that do not answer, those first that share most words with the question."""
    asked = telling(pair.question)
    drawn = draw.sample(range(len(corpus)), min(_DRAWN, len(corpus)))
    drawn.sort(key=lambda at: -len(asked & meanings[at]))
    for at in drawn:
        other = corpus[at]
        same = other.key == passage.key
        if not same and not might_answer(pair.question, pair.answer, other.text):
            yield other


def _row(
    question: str, answer: str, shown: Sequence[Passage], source: Passage, *, answerable: bool
) -> dict[str, Any]:
    passages = [Shown(one.place, one.text) for one in shown]
    prompt = grounded_prompt(question, passages)
    return {
        "messages": [*prompt, {"role": "assistant", "content": answer}],
        "question": question,
        "answer": answer,
        "passages": [{"title": one.title, "text": one.text} for one in passages],
        "answerable": answerable,
        "document": source.document,
        "passage": source.key,
    }


def _resume(output: Path, state: Path, recipe: Recipe, keys: set[str]) -> set[str]:
    """The passages of `keys` that are done; rows of all others are taken out of `output`."""
    begun = {
        "generator": recipe.generator,
        "unanswerable": recipe.unanswerable,
        "passages": recipe.passages,
        "seed": recipe.seed,
    }
    lines = _lines(state)
    if not lines:
        if output.exists():
            raise DataError(f"{output} is there already and was not made by this command: move it")
        output.parent.mkdir(parents=True, exist_ok=True)
        _append(state, [begun])
        return set()
    if lines[0] != begun:
        raise DataError(
            f"{output} was begun with other settings ({json.dumps(lines[0])}): repeat those, "
            f"name another --output, or delete {output.name} and {state.name}"
        )
    done = {str(line["passage"]) for line in lines[1:] if "passage" in line} & keys
    rows = [row for row in _lines(output) if row.get("passage") in done]
    _replace(output, rows)
    _replace(state, [begun, *(line for line in lines[1:] if line.get("passage") in done)])
    return done


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a last one that was cut off by a kill is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number} is no JSON object: delete or move the file")
        found.append(value)
    return found


def _append(path: Path, records: Sequence[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from None


def _replace(path: Path, records: Sequence[dict[str, Any]]) -> None:
    beside = path.with_name(f"{path.name}.partial")
    beside.unlink(missing_ok=True)
    _append(beside, records)
    beside.replace(path)
