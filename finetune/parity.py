"""Whether two forms of one model say the same: greedy answers and log-probabilities, step by step.

A reference answers prompts greedily; the other form is then asked at every step of those answers
which token it would choose and how likely it finds those that the reference finds likely. Walking
along one path keeps a near-tie from turning into two incomparable answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

LIKELIEST = 10
"""Tokens compared at each step, at most."""
LEAST_PROBABILITY = 1e-3
"""Of a compared token. The logarithm of what is never chosen is mostly rounding."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a model thinks of the next token: its choice, and log-probabilities (nats) by token."""

    choice: int
    log_probs: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Trace:
    """A reference's greedy answer to one prompt, and what it thought at each of its steps."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between a reference and another form of it, over the steps of all traces."""

    largest: float
    """Of a likely token's log-probability, in nats."""
    mean: float
    steps: int
    same_choice: float
    """The part of the steps at which both choose one token."""
    same_answers: float
    """The part of the answers that the other would have given word for word."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Scorer(Protocol):
    """Another form of the model."""

    def steps(self, trace: Trace) -> Sequence[Step]:
        """One for each token of the trace's answer, given prompt and answer before it."""


class TorchScorer:
    """A model of `transformers` or PEFT, in its own arithmetic."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def steps(self, trace: Trace) -> list[Step]:
        log_probs = _log_probs(self._model, trace.prompt, trace.answer)
        return [
            Step(int(row.argmax()), {token: float(row[token]) for token in step.log_probs})
            for row, step in zip(log_probs, trace.steps, strict=True)
        ]


def trace(model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Trace]:
    """Let a model of `transformers` or PEFT answer `prompts` greedily, each on its own."""
    import torch

    traces = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)], device=model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                temperature=None,
                top_p=None,
                top_k=None,
            )
        answer = tuple(int(token) for token in output[0][len(prompt) :])
        log_probs = _log_probs(model, tuple(prompt), answer)
        traces.append(Trace(tuple(prompt), answer, tuple(_step(row) for row in log_probs)))
    return traces


def compare(traces: Sequence[Trace], scorer: Scorer) -> Difference:
    """How far `scorer` is from the model that left `traces`.

    A likely token that the scorer does not rank counts with the least that it ranks: a lower bound.
    """
    gaps: list[float] = []
    same_steps, same_answers = 0, 0
    for one in traces:
        steps = scorer.steps(one)
        for reference, step in zip(one.steps, steps, strict=True):
            floor = min(step.log_probs.values(), default=float("-inf"))
            gaps += [
                abs(value - step.log_probs.get(token, floor))
                for token, value in reference.log_probs.items()
            ]
        same = [step.choice == token for token, step in zip(one.answer, steps, strict=True)]
        same_steps += sum(same)
        same_answers += all(same)
    count = sum(len(one.answer) for one in traces)
    return Difference(
        largest=max(gaps, default=0.0),
        mean=sum(gaps) / len(gaps) if gaps else 0.0,
        steps=count,
        same_choice=same_steps / count if count else 1.0,
        same_answers=same_answers / len(traces) if traces else 1.0,
    )


def _log_probs(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """(tokens of the answer, vocabulary), float32 on the CPU."""
    import torch

    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        kept = logits[0, len(prompt) - 1 : -1].float()
        return torch.log_softmax(kept, dim=-1).cpu()


def _step(row: torch.Tensor) -> Step:
    import math

    values, tokens = row.topk(LIKELIEST)
    likely = {
        int(token): float(value)
        for token, value in zip(tokens, values, strict=True)
        if value >= math.log(LEAST_PROBABILITY)
    }
    return Step(int(tokens[0]), likely)
