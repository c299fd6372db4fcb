"""The HTML report: whole, self-contained, and unmoved by hostile text."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from rag.evaluation.means import columns, latencies, means
from rag.evaluation.plots import curves, histogram
from rag.evaluation.report import html_report
from rag.evaluation.run import (
    Corpus,
    FoundDocument,
    KeptAnswer,
    QuestionResult,
    Ranking,
    Run,
)

HOSTILE = '</td></pre><script>alert(1)</script><img src=x onerror="a()"> & \x00\x1b[2J {{7*7}}'
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements, attributes and text; an element that is closed by another one fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def question(
    i: int,
    rank: int | None = 1,
    *,
    text: str = "What is it?",
    gold: str = "gold.md",
    abstained: bool | None = None,
    relevance: float = 0.7,
) -> QuestionResult:
    value = 1.0 / rank if rank else 0.0
    ranking = Ranking(
        documents=[
            FoundDocument(name=gold if n == rank else f"{n}.md", score=1 / n) for n in (1, 2)
        ],
        rank=rank,
        measures={"hit@1": float(rank == 1), "ndcg@10": value},
    )
    answers = {}
    if abstained is not None:
        answers["answers"] = KeptAnswer(text=text, abstained=abstained, cited=[gold], measures={})
    return QuestionResult(
        id=f"q{i}",
        question=text,
        query=text,
        gold={gold: 1} if gold else {},
        relevance=relevance,
        rankings={"default": ranking, "dense": ranking} if gold else {},
        answers=answers,
        times={"search": 12.5},
    )


def run(*questions: QuestionResult, name: str = "kb") -> Run:
    return Run(
        written=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        complete=True,
        corpus=Corpus(name=name, documents=17, passages=191, fingerprint="x"),
        embedder="mini/384",
        generator="extractive",
        threshold=0.53,
        config={"retriever": {"mode": name}},
        versions={"python": "3.11"},
        machine="Linux x86_64, 2 CPUs",
        means=means(columns(questions)),
        latency_ms=latencies(questions),
        questions=list(questions),
    )


def test_everything_is_in_it() -> None:
    no = question(3, gold="", abstained=False, text="Out of scope?", relevance=0.6)
    page = Page(html_report(run(question(1), question(2, rank=None, abstained=True), no)))
    for said in (
        "Evaluation over kb", "3, of which 1 unanswerable", "17 (191 passages)", "hit@1", "0.500",
        "search", "12.5", "threshold 0.53", "not among the first 20", "gold.md", "Out of scope?",
        "refused", "answered", "retriever.mode: kb", "2026-11-23 12:00 UTC",
    ):  # fmt: skip
        assert said in page.text, said
    assert page.tags.count("svg") == 2


def test_it_fetches_nothing_and_runs_nothing() -> None:
    text = html_report(run(question(1, text=HOSTILE, abstained=True), name=HOSTILE))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "href", "style"} & names
    assert not [name for name in names if name.startswith("on")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("rank", [1, 2, None])
def test_hostile_text_stays_text(rank: int | None) -> None:
    hostile = question(1, rank, text=HOSTILE, gold=HOSTILE, abstained=True)
    page = Page(html_report(run(hostile, question(2, gold="", text=HOSTILE, abstained=False))))
    assert "<script>alert(1)</script>" in page.text
    assert not {"\x00", "\x1b"} & set(page.text)


def test_the_worst_come_first_and_are_twenty() -> None:
    results = [question(i, rank=2 if i % 2 else None, text=f"number {i}!") for i in range(30)]
    page = Page(html_report(run(*results, question(99, rank=1, text="fine"))))
    assert page.tags.count("li") == 20
    assert "fine" not in page.text
    assert page.text.index("number 28!") < page.text.index("number 1!"), "not found before second"


def test_a_run_without_retrieval_or_faults() -> None:
    refused = question(1, gold="", abstained=True, relevance=0.1)
    page = Page(html_report(run(refused)))
    assert "Retrieval" not in page.text
    assert "Wrongly answered" not in page.text
    assert "Every question has its documents on top." in Page(html_report(run(question(1)))).text


def test_right_to_left_questions_keep_to_themselves() -> None:
    page = Page(html_report(run(question(1, rank=None, text="ما هو؟ \u200f"))))
    assert ("dir", "auto") in page.attributes
    assert "ما هو؟ \u200f" in page.text


def test_plots_of_extreme_values() -> None:
    for svg in (
        curves({"a": [0.0] * 20, "b": [1.0] * 20}, "x"),
        curves({"a": [1.0]}, '"<'),
        histogram({"a": [-0.5, 0.0, 1.0, 1.5]}, 0.0, "x"),
        histogram({"a": [], "b": [0.5]}, 1.0, "x"),
    ):
        page = Page(svg)
        coordinates = [float(v) for name, v in page.attributes if name in ("x", "y", "x1", "y1")]
        assert all(-10 <= value <= 660 for value in coordinates)
        assert "nan" not in svg
