"""What is measured of one model on held-back rows, by their kind: one number a row and measure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from finetune.answers import RowLoss, generate, losses
from finetune.config import DataConfig, RunConfig
from finetune.datasets import answer_row
from finetune.render import Rendered, render, render_prompt
from finetune.reward import RewardFunction, score
from finetune.rows import ChatRow, Message, PairRow, PromptRow, Row, TextRow, VoteRow, prompt_key
from finetune.scores import exact_match, rouge_l, token_f1

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Values = dict[str, list[float]]


@dataclass(slots=True)
class Measured:
    """Of one model. All lists of one measure are in the same order for base and adapter."""

    values: Values = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ruler:
    """How rows are measured: with which tokenizer and settings, and of rloo and grpo by whom."""

    run: RunConfig
    tokenizer: PreTrainedTokenizerBase
    reward: RewardFunction | None = None

    def measure(self, model: Any, rows: Sequence[Row], data: DataConfig) -> Measured:
        """Raises DataError for a row that cannot be rendered."""
        first = rows[0]
        if isinstance(first, ChatRow):
            return self._chats(model, [row for row in rows if isinstance(row, ChatRow)], data)
        if isinstance(first, TextRow):
            texts = [row for row in rows if isinstance(row, TextRow)]
            return Measured({"loss": self._text_losses(model, texts, data)})
        if isinstance(first, PairRow):
            pairs = [row for row in rows if isinstance(row, PairRow)]
            if self.run.objective.name == "reward":
                return self._scored(model, pairs, data)
            return self._pairs(model, pairs, data)
        if isinstance(first, VoteRow):
            return self._votes(model, [row for row in rows if isinstance(row, VoteRow)], data)
        return self._sampled(model, [row for row in rows if isinstance(row, PromptRow)], data)

    def answers(self, model: Any, prompts: Sequence[Sequence[int]], data: DataConfig) -> list[str]:
        settings = self.run.evaluate
        return generate(
            model,
            self.tokenizer,
            prompts,
            data,
            max_new_tokens=settings.max_new_tokens,
            batch_size=settings.batch_size,
        )

    def prompt_ids(self, prompt: Sequence[Message], data: DataConfig) -> list[int]:
        text = render_prompt(prompt, self.tokenizer, data)
        return list(self.tokenizer(text, add_special_tokens=not data.chat)["input_ids"])

    def _chats(self, model: Any, rows: Sequence[ChatRow], data: DataConfig) -> Measured:
        """Greedy answers against the expected last answers, and the loss on those."""
        rendered = [render(row, self.tokenizer, data, "completion") for row in rows]
        prompts = [one.input_ids[: one.prompt_tokens] for one in rendered]
        answers = self.answers(model, prompts, data)
        expected = [row.messages[-1]["content"] for row in rows]
        pairs = list(zip(answers, expected, strict=True))
        values = {
            name: [compute(*pair) for pair in pairs] for name, compute in _ANSWER_SCORES.items()
        }
        values["loss"] = _means(self._losses(model, rendered))
        return Measured(values, answers)

    def _text_losses(self, model: Any, rows: Sequence[TextRow], data: DataConfig) -> list[float]:
        """A token's mean loss of each text, over pieces of the length trained on."""
        from finetune.render import pieces

        parts: list[Rendered] = []
        owners: list[int] = []
        for number, row in enumerate(rows):
            whole = render(row, self.tokenizer, data, "all")
            found = [p for p in pieces(whole, data.max_length) if len(p.input_ids) > 1]
            parts += found
            owners += [number] * len(found)
        totals = [[0.0, 0.0] for _ in rows]
        for owner, loss in zip(owners, self._losses(model, parts), strict=True):
            totals[owner][0] += loss.total
            totals[owner][1] += loss.tokens
        return [total / tokens for total, tokens in totals if tokens]

    def _pairs(self, model: Any, rows: Sequence[PairRow], data: DataConfig) -> Measured:
        """Whether the chosen answer is the likelier, and by how much."""
        chosen = self._answer_losses(model, [(r.number, r.prompt, r.chosen) for r in rows], data)
        other = self._answer_losses(model, [(r.number, r.prompt, r.rejected) for r in rows], data)
        margins = [bad.total - good.total for good, bad in zip(chosen, other, strict=True)]
        return Measured(
            {
                "pair_accuracy": [float(margin > 0) for margin in margins],
                "margin": margins,
                "loss": _means(chosen),
            }
        )

    def _votes(self, model: Any, rows: Sequence[VoteRow], data: DataConfig) -> Measured:
        """As of pairs, over each liked and disliked answer to one prompt."""
        triples = [(row.number, row.prompt, row.completion) for row in rows]
        found = self._answer_losses(model, triples, data)
        groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for index, row in enumerate(rows):
            groups[prompt_key(row)][0 if row.label else 1].append(index)
        margins = [
            found[bad].total - found[good].total
            for liked, disliked in groups.values()
            for good, bad in product(liked, disliked)
        ]
        liked_losses = [loss for loss, row in zip(found, rows, strict=True) if row.label]
        values = {"loss": _means(liked_losses)}
        if margins:
            values["pair_accuracy"] = [float(margin > 0) for margin in margins]
            values["margin"] = margins
        return Measured(values)

    def _scored(self, model: Any, rows: Sequence[PairRow], data: DataConfig) -> Measured:
        pad = int(self.tokenizer.pad_token_id or 0)
        both = [
            score(model, [self._ids(row, answer, data) for row, answer in part], pad)
            for part in ([(r, r.chosen) for r in rows], [(r, r.rejected) for r in rows])
        ]
        margins = [good - bad for good, bad in zip(*both, strict=True)]
        right = [float(margin > 0) for margin in margins]
        return Measured({"pair_accuracy": right, "margin": margins})

    def _sampled(self, model: Any, rows: Sequence[PromptRow], data: DataConfig) -> Measured:
        assert self.reward is not None  # opened for rloo and grpo, which alone have such rows
        answers = self.answers(model, [self.prompt_ids(row.prompt, data) for row in rows], data)
        prompts = [list(row.prompt) for row in rows]
        return Measured({"reward": self.reward(prompts, answers)}, answers)

    def _ids(self, row: PairRow, answer: str, data: DataConfig) -> list[int]:
        conversation = answer_row(row.number, row.prompt, answer)
        return render(conversation, self.tokenizer, data, "completion").input_ids

    def _answer_losses(
        self,
        model: Any,
        triples: Sequence[tuple[int, tuple[Message, ...], str]],
        data: DataConfig,
    ) -> list[RowLoss]:
        rendered = [
            render(answer_row(*triple), self.tokenizer, data, "completion") for triple in triples
        ]
        return self._losses(model, rendered)

    def _losses(self, model: Any, rendered: Sequence[Rendered]) -> list[RowLoss]:
        return losses(model, rendered, int(self.tokenizer.pad_token_id or 0))


_ANSWER_SCORES: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
}


def _means(found: Sequence[RowLoss]) -> list[float]:
    return [loss.total / loss.tokens for loss in found]
