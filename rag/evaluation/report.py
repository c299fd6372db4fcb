"""A run -> one HTML file that holds everything: no script, nothing is fetched.

Questions, answers and names are other people's text: all of it is escaped, and the page's own
policy forbids whatever might slip through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from unicodedata import category

from rag.errors import EvaluationError
from rag.evaluation.evaluate import DEPTH, MEASURES, MODES
from rag.evaluation.means import ANSWER_MEASURES, ANSWERS, QUOTATIONS, STAGES
from rag.evaluation.plots import curves, histogram
from rag.evaluation.run import QuestionResult, Run
from rag.evaluation.tables import worth

_WORST = 20
_SHOWN = 5
_CONTROL = ("Cc", "Cs")
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --paper: #fff; --faint: #d5dade; --soft: #5a6570;
  --s0: #0b6bcb; --s1: #c4501b; --s2: #1b7f4d; --s3: #8a3fa0; --bad: #b3261e; --good: #1b7f4d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --paper: #14181c; --faint: #343c44;
  --soft: #9aa5b0; --s0: #6db3ff; --s1: #ff9d6b; --s2: #63d29b; --s3: #d79bea; --bad: #ff8a80;
  --good: #63d29b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; } p.soft, td.soft, figcaption { color: var(--soft); }
table { border-collapse: collapse; min-width: 100%; } caption { text-align: left; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--faint); text-align: left;
  vertical-align: top; overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 0; } svg { width: 100%; max-width: 44rem; height: auto; }
svg text { font: 17px system-ui; fill: var(--soft); }
.axis { stroke: var(--faint); } .threshold { stroke: var(--bad); stroke-dasharray: 4 3;
  stroke-width: 2; }
.line { fill: none; stroke-width: 2.5; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); stroke-dasharray: 8 4; }
.line.s2 { stroke: var(--s2); stroke-dasharray: 2 4; }
.line.s3 { stroke: var(--s3); stroke-dasharray: 10 3 2 3; }
.bar.s0 { fill: var(--s0); } .bar.s1 { fill: var(--s1); }
.legend span { margin-right: 1rem; font-weight: 600; } .legend .s0 { color: var(--s0); }
.legend .s1 { color: var(--s1); } .legend .s2 { color: var(--s2); }
.legend .s3 { color: var(--s3); }
ol.worst { padding-left: 1.4rem; } ol.worst li { margin-bottom: 1rem; }
dl { margin: .2rem 0; display: grid; grid-template-columns: max-content 1fr; gap: 0 .8rem; }
dt { color: var(--soft); } dd { margin: 0; } .hit { color: var(--good); font-weight: 600; }
pre { white-space: pre-wrap; }
"""
_BEGINS = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_report(run: Run) -> str:
    """The page, as text."""
    title = f"Evaluation over {run.corpus.name}"
    body = "\n".join(_sections(run))
    return (
        f'{_BEGINS}<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{_text(title)}</h1>\n{body}\n</body></html>\n"
    )


def read_report(path: Path) -> str:
    """A page that was written before. Raises EvaluationError for any other file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    if not text.startswith(_BEGINS):
        raise EvaluationError(f"{path} is not a report of `python -m rag evaluate`")
    return text


def _sections(run: Run) -> Iterator[str]:
    yield _facts(run)
    modes = [mode for mode in MODES if mode in run.means]
    if modes:
        yield "<h2>Retrieval</h2>" + _retrieval(run, modes)
        yield "<h2>Found by rank</h2>" + _hit_curves(run, modes)
    if estimates := _estimates(run):
        yield "<h2>Relevance</h2>" + _figure(
            histogram(estimates, run.threshold, "Relevance of answerable and other questions"),
            "Share of the questions at each estimate. Below the threshold the reply is that the "
            "knowledge base holds no answer.",
        )
    if ANSWERS in run.means:
        yield "<h2>Answers</h2>" + _answers(run)
    if run.latency_ms:
        yield "<h2>Times</h2>" + _times(run)
    if modes:
        yield "<h2>Worst questions</h2>" + _worst(run, modes)
    if wrong := _wrong_decisions(run):
        yield "<h2>Wrongly answered or refused</h2>" + wrong
    settings = "\n".join(_settings(run.config))
    yield f"<h2>Settings</h2><details><summary>all of them</summary><pre>{settings}</pre></details>"


def _facts(run: Run) -> str:
    unanswerable = sum(not question.answerable for question in run.questions)
    facts = {
        "questions": f"{len(run.questions)}, of which {unanswerable} unanswerable"
        + ("" if run.complete else " (interrupted: not all that were to be asked)"),
        "documents": f"{run.corpus.documents} ({run.corpus.passages} passages)",
        "embedder": run.embedder,
        "generator": run.generator,
        "measured": f"{run.written:%Y-%m-%d %H:%M} UTC on {run.machine}",
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    }
    rows = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in facts.items())
    return f"<dl>{rows}</dl>"


def _retrieval(run: Run, modes: Sequence[str]) -> str:
    rows = [[mode, *(_share(run.means[mode].get(name)) for name in MEASURES)] for mode in modes]
    return _table(["search", *MEASURES], rows)


def _hit_curves(run: Run, modes: Sequence[str]) -> str:
    found = {}
    for mode in modes:
        ranks = [q.rankings[mode].rank for q in run.questions if mode in q.rankings]
        found[mode] = [
            sum(rank is not None and rank <= k for rank in ranks) / len(ranks)
            for k in range(1, DEPTH + 1)
        ]
    return _figure(
        curves(found, "hit@k by mode of search"),
        "hit@k: share of the questions with a labelled document among the first k. "
        "The vertical axis need not begin at 0.",
    )


def _estimates(run: Run) -> dict[str, list[float]]:
    known = [(q.answerable, q.relevance) for q in run.questions if q.relevance is not None]
    groups = {
        "answerable": [value for answerable, value in known if answerable],
        "unanswerable": [value for answerable, value in known if not answerable],
    }
    return {name: values for name, values in groups.items() if values}


def _answers(run: Run) -> str:
    scopes = [scope for scope in (ANSWERS, QUOTATIONS) if scope in run.means]
    names = {ANSWERS: "answers", QUOTATIONS: "quotations alone"}
    rows = [
        [measure, *(_share(run.means[scope].get(measure)) for scope in scopes)]
        for measure in ANSWER_MEASURES
        if any(measure in run.means[scope] for scope in scopes)
    ]
    return _table(["measure", *(names[scope] for scope in scopes)], rows) + _soft(worth(run))


def _times(run: Run) -> str:
    rows = [
        [stage, f"{times['p50']:.1f}", f"{times['p95']:.1f}", str(int(times["questions"]))]
        for stage in STAGES
        if (times := run.latency_ms.get(stage))
    ]
    note = f"Of this machine ({run.machine}); a busy or a faster one gives other times."
    return _table(["stage", "p50 ms", "p95 ms", "questions"], rows) + _soft(note)


def _worst(run: Run, modes: Sequence[str]) -> str:
    mode = "default" if "default" in modes else modes[0]
    ranked = [question for question in run.questions if mode in question.rankings]
    ranked.sort(key=lambda question: question.rankings[mode].measures["ndcg@10"])
    worst = [q for q in ranked[:_WORST] if q.rankings[mode].measures["ndcg@10"] < 1.0]
    if not worst:
        return _soft("Every question has its documents on top.")
    items = "".join(f"<li>{_question(question, mode)}</li>" for question in worst)
    return _soft(f"By nDCG@10 of {mode}, worst first.") + f'<ol class="worst">{items}</ol>'


def _question(question: QuestionResult, mode: str) -> str:
    ranking = question.rankings[mode]
    found = "<br>".join(
        f'<span class="{"hit" if item.name in question.gold else ""}">{rank}. {_text(item.name)}'
        f"</span> <small>{item.score:.3f}</small>"
        for rank, item in enumerate(ranking.documents[:_SHOWN], start=1)
    )
    rows = {
        "labelled": "<br>".join(map(_text, question.gold)),
        "found": found or "nothing",
        "first right": str(ranking.rank or f"not among the first {DEPTH}"),
    }
    if question.query != question.question:
        rows = {"searched for": _text(question.query), **rows}
    if answer := question.answers.get(ANSWERS):
        rows["answer"] = "refused" if answer.abstained else _text(answer.text)
    terms = "".join(f'<dt>{key}</dt><dd dir="auto">{value}</dd>' for key, value in rows.items())
    identity = f"<small>{_text(question.id)}</small>"
    return f'<strong dir="auto">{_text(question.question)}</strong> {identity}<dl>{terms}</dl>'


def _wrong_decisions(run: Run) -> str:
    rows = [
        [
            question.id,
            question.question,
            "refused" if question.answers[ANSWERS].abstained else "answered",
            _share(question.relevance),
        ]
        for question in run.questions
        if ANSWERS in question.answers
        and question.answers[ANSWERS].abstained == question.answerable
    ]
    if not rows:
        return ""
    more = _soft(f"The first {_WORST} of {len(rows)}.") if len(rows) > _WORST else ""
    return _table(["question", "", "was", "relevance"], rows[:_WORST]) + more


def _settings(config: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield _text(f"{prefix}{key}: {value}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]

    def cells(tag: str, row: Sequence[str]) -> str:
        classes = [' class="number"' if number else "" for number in numeric]
        return "".join(
            f'<{tag} dir="auto"{kind}>{_text(cell)}</{tag}>'
            for cell, kind in zip(row, classes, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdecimal() or cell == "-"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{_text(caption)}</figcaption></figure>"


def _soft(text: str) -> str:
    return f'<p class="soft">{_text(text)}</p>' if text else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _text(text: str) -> str:
    """Escaped, without the control characters that no HTML may hold."""
    return escape("".join(c if c in "\n\t" or category(c) not in _CONTROL else " " for c in text))
