"""Means, intervals, gates and comparisons over runs made by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from rag.errors import EvaluationError
from rag.evaluation.compare import Difference, compare, lost
from rag.evaluation.gates import Gate, check_measured, missed, parse_gates
from rag.evaluation.means import columns, difference_intervals, latencies, means, ratio
from rag.evaluation.run import Corpus, KeptAnswer, QuestionResult, Ranking, Run


def found(i: int, hit: float, mode: str = "default", **more: object) -> QuestionResult:
    """A question whose every measure is `hit`."""
    ranking = Ranking(documents=[], rank=1, measures={"hit@1": hit, "ndcg@10": hit})
    return QuestionResult(
        id=f"q{i}", question=f"question {i}", gold={"a": 1}, rankings={mode: ranking}, **more
    )


def replied(
    i: int, *, answerable: bool, abstained: bool, f1: float | None = None
) -> QuestionResult:
    measures = {} if f1 is None else {"token_f1": f1}
    answer = KeptAnswer(text="x", abstained=abstained, cited=[], measures=measures)
    gold = {"a": 1} if answerable else {}
    return QuestionResult(id=f"q{i}", question=f"{i}", gold=gold, answers={"answers": answer})


def run(*questions: QuestionResult, fingerprint: str = "x") -> Run:
    return Run(
        written=datetime.now(UTC),
        complete=True,
        corpus=Corpus(name="kb", documents=1, passages=1, fingerprint=fingerprint),
        embedder="e",
        generator="g",
        threshold=0.5,
        config={},
        versions={},
        machine="m",
        questions=list(questions),
    )


# --- means ---------------------------------------------------------------------------------------


def test_means_are_over_the_questions_that_have_a_value() -> None:
    made = columns([found(1, 1.0), found(2, 0.5), found(3, 0.25, mode="dense")])
    assert means(made) == {
        "dense": {"hit@1": 0.25, "ndcg@10": 0.25},
        "default": {"hit@1": 0.75, "ndcg@10": 0.75},
    }
    assert means(columns([])) == {}


def test_refusals_are_judged_over_the_set() -> None:
    decisions = [(True, False)] * 6 + [(True, True)] * 2 + [(False, True)] * 3 + [(False, False)]
    results = [replied(i, answerable=a, abstained=r) for i, (a, r) in enumerate(decisions)]
    measured = means(columns(results))["answers"]
    precision, recall = 3 / 5, 3 / 4
    assert measured == {
        "answered": 0.75,
        "abstention_precision": 0.6,
        "abstention_recall": 0.75,
        "abstention_f1": round(2 * precision * recall / (precision + recall), 4),
    }


def test_refusals_are_not_judged_where_none_is_due() -> None:
    results = [
        replied(1, answerable=True, abstained=True),
        replied(2, answerable=True, abstained=False),
    ]
    assert means(columns(results))["answers"] == {"answered": 0.5}


def test_nothing_refused_has_no_precision() -> None:
    measured = means(columns([replied(1, answerable=False, abstained=False)]))["answers"]
    assert measured == {"abstention_recall": 0.0, "abstention_f1": 0.0}


def test_percentiles_of_each_stage() -> None:
    results = [found(i, 1.0, times={"search": float(i)}) for i in range(1, 102)]
    results[0].times["rerank"] = 7.0
    assert latencies(results) == {
        "search": {"p50": 51.0, "p95": 96.0, "questions": 101},
        "rerank": {"p50": 7.0, "p95": 7.0, "questions": 1},
    }


# --- intervals -----------------------------------------------------------------------------------


def column(values: list[float]) -> np.ndarray:
    return np.array([values, [1.0] * len(values)])


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    random = np.random.default_rng(1)
    a, b = random.random(400).tolist(), random.random(400).tolist()
    ((low, high),) = difference_intervals([column(a)], [column(b)])
    differences = np.array(b) - np.array(a)
    middle, half = differences.mean(), 1.96 * differences.std() / math.sqrt(400)
    assert low == pytest.approx(middle - half, abs=0.004)
    assert high == pytest.approx(middle + half, abs=0.004)
    assert difference_intervals([column(a)], [column(b)]) == [(low, high)], "seeded"


def test_pairing_takes_out_what_the_questions_have_in_common() -> None:
    random = np.random.default_rng(2)
    a = random.random(50).tolist()
    ((low, high),) = difference_intervals([column(a)], [column([value + 0.1 for value in a])])
    assert (low, high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_the_interval_covers_the_truth_about_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(3)
    inside = 0
    for _ in range(60):
        a, b = random.random(60), random.random(60) + 0.05
        ((low, high),) = difference_intervals([column(a.tolist())], [column(b.tolist())])
        inside += low <= 0.05 <= high
    assert 52 <= inside <= 60


def test_one_question_has_no_width() -> None:
    assert difference_intervals([column([0.0])], [column([1.0])]) == [(1.0, 1.0)]


def test_a_ratio_that_some_draws_do_not_have() -> None:
    """The precision of refusals where one of thirty is a refusal: a third of the draws lack it."""
    refused = np.zeros((2, 30))
    refused[:, 0] = 1.0
    ((low, high),) = difference_intervals([refused], [refused])
    assert (low, high) == (0.0, 0.0)
    assert ratio(refused) == 1.0


# --- gates ---------------------------------------------------------------------------------------


def test_gates_are_read() -> None:
    assert parse_gates(" hit@1=0.80, dense.mrr@10 = .85,token_f1=0,quotations.rouge_l=1 ,") == [
        Gate("default", "hit@1", 0.8),
        Gate("dense", "mrr@10", 0.85),
        Gate("answers", "token_f1", 0.0),
        Gate("quotations", "rouge_l", 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no measure"),
        (" , ", "names no measure"),
        ("hit@2=0.5", "no measure 'hit@2' of default; did you mean"),
        ("accuracy=0.5", "no measure 'accuracy' of default"),
        ("sparse.hit@1=0.5", "there is no 'sparse': known are lexical"),
        ("dense.token_f1=0.5", "no measure 'token_f1' of dense"),
        ("hit@1", "needs a number"),
        ("hit@1=high", "needs a number"),
        ("hit@1=80", "between 0 and 1"),
        ("hit@1=-0.1", "between 0 and 1"),
        ("hit@1=nan", "between 0 and 1"),
        ("hit@1=inf", "between 0 and 1"),
        ("unsupported=0.1", "less of it is better"),
    ],
)
def test_gates_that_cannot_be_meant(text: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=r"^--fail-below ") as caught:
        parse_gates(text)
    assert said in str(caught.value)


def test_every_mistake_in_the_gates_is_named() -> None:
    with pytest.raises(EvaluationError) as caught:
        parse_gates("hit@1=0.5,hit@2=0.5,mrr@10=x")
    assert len(str(caught.value).splitlines()) == 2


def test_a_gate_on_what_is_not_measured_is_refused_beforehand() -> None:
    check_measured(parse_gates("hit@1=0.5"), ["default"])
    with pytest.raises(EvaluationError, match=r"default.hit@1: add default to --modes"):
        check_measured(parse_gates("hit@1=0.5"), ["dense"])
    with pytest.raises(EvaluationError, match="is measured with --answers"):
        check_measured(parse_gates("token_f1=0.5"), ["default"])


def test_missed_gates_are_named_and_met_ones_not() -> None:
    gates = parse_gates("hit@1=0.8,mrr@10=0.85,ndcg@10=0.9,token_f1=0.1")
    measured = {"default": {"hit@1": 0.8, "mrr@10": 0.8499, "ndcg@10": 0.3}}
    assert missed(gates, measured) == [
        "default.mrr@10 is 0.8499, below 0.85",
        "default.ndcg@10 is 0.3000, below 0.9",
        "answers.token_f1 could not be measured on these questions",
    ]


# --- comparisons ---------------------------------------------------------------------------------


def by_measure(differences: list[Difference]) -> dict[str, Difference]:
    return {f"{d.scope}.{d.measure}": d for d in differences}


def test_a_clear_loss_and_the_questions_behind_it() -> None:
    a = run(*[found(i, 1.0) for i in range(40)])
    b = run(*[found(i, 0.0 if i < 10 else 1.0) for i in reversed(range(40))])
    comparison = compare(a, b)
    d = by_measure(comparison.differences)["default.hit@1"]
    assert (d.a, d.b, d.better, d.worse, d.equal) == (1.0, 0.75, 0, 10, 30)
    assert d.low < -0.25 < d.high < 0
    assert d.clear
    assert {change.id for change in comparison.changes} == {f"q{i}" for i in range(10)}
    assert {change.measure for change in comparison.changes} == {"ndcg@10"}
    assert len(compare(a, b, most=3).changes) == 3
    assert len(lost(comparison, 0.2)) == 2
    assert lost(comparison, 0.25) == [], "not more than that"
    assert lost(compare(b, a), 0.0) == [], "a gain is no loss"


def test_a_loss_that_may_be_chance_is_not_held_against_it() -> None:
    a = run(*[found(i, float(i % 2)) for i in range(20)])
    b = run(*[found(i, float(i % 2) if i > 1 else 0.0) for i in range(20)])
    comparison = compare(a, b)
    (d, _) = comparison.differences
    assert d.change == pytest.approx(-0.05)
    assert not d.clear
    assert lost(comparison, 0.0) == []


def test_more_unsupported_sentences_are_a_loss() -> None:
    def with_share(share: float) -> Run:
        results = [replied(i, answerable=True, abstained=False) for i in range(30)]
        for result in results:
            result.answers["answers"].measures["unsupported"] = share
        return run(*results)

    comparison = compare(with_share(0.0), with_share(0.2))
    d = by_measure(comparison.differences)["answers.unsupported"]
    assert (d.worse, d.better, d.loss) == (30, 0, pytest.approx(0.2))
    assert len(lost(comparison, 0.1)) == 1
    assert lost(compare(with_share(0.2), with_share(0.0)), 0.1) == []


def test_modes_count_for_a_drop_only_where_the_configured_one_is_missing() -> None:
    good = [found(i, 1.0, mode="dense") for i in range(30)]
    bad = [found(i, 0.0, mode="dense") for i in range(30)]
    assert len(lost(compare(run(*good), run(*bad)), 0.1)) == 2
    for one, other in zip(good, bad, strict=True):
        one.rankings["default"] = other.rankings["default"] = one.rankings["dense"]
    assert lost(compare(run(*good), run(*bad)), 0.1) == []


def test_other_questions_are_refused_and_the_shared_ones_offered() -> None:
    a = run(found(1, 1.0), found(2, 1.0), found(3, 1.0))
    relabelled = found(3, 1.0).model_copy(update={"gold": {"b": 1}})
    b = run(found(1, 0.0), relabelled, found(4, 1.0))
    with pytest.raises(EvaluationError) as caught:
        compare(a, b)
    assert str(caught.value) == (
        "the runs are over different questions: 1 only in the first (q2); 1 only in the second "
        "(q4); 1 with another text or other labels (q3). Add --intersection to compare the 1 that "
        "they share"
    )
    comparison = compare(a, b, intersection=True)
    assert (comparison.questions, comparison.left_out) == (1, 3)
    with pytest.raises(EvaluationError, match="no question in common"):
        compare(a, run(found(9, 1.0)), intersection=True)
    with pytest.raises(EvaluationError, match="measured nothing alike"):
        compare(run(found(1, 1.0)), run(found(1, 1.0, mode="dense")))


def test_only_what_both_have_is_compared() -> None:
    a, b = run(found(1, 1.0), found(2, 1.0)), run(found(1, 1.0), found(2, 0.5))
    for result in b.questions:
        result.rankings["dense"] = result.rankings["default"]
    assert by_measure(compare(a, b).differences).keys() == {"default.hit@1", "default.ndcg@10"}


def test_measures_of_the_set_count_no_questions() -> None:
    a = run(*[replied(i, answerable=i > 2, abstained=i < 2) for i in range(10)])
    b = run(*[replied(i, answerable=i > 2, abstained=i < 4) for i in range(10)])
    d = by_measure(compare(a, b).differences)
    assert (d["answers.abstention_precision"].a, d["answers.abstention_precision"].b) == (1.0, 0.75)
    precision = d["answers.abstention_precision"]
    assert (precision.better, precision.worse, precision.equal) == (0, 0, 0)
    recall = d["answers.abstention_recall"]
    assert (recall.better, recall.worse, recall.equal) == (1, 0, 2)
    assert precision.low < 0 <= precision.high
