from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from guardrails.detectors.evidence import EvidenceCache, Recent, digest
from guardrails.detectors.grounded import check_grounded, states_nothing
from guardrails.detectors.sentences import content_words
from guardrails.detectors.support import GroundedLimits
from guardrails.schema import Context, Vectors, Verdict

LIMITS = GroundedLimits(
    threshold=0.5, similarity_weight=0.5, check_facts=True, candidates=4, max_chars=5_000
)
PASSAGES = (
    "A host in maintenance mode does not run virtual machines. DRS moves them to other hosts.",
    "A cluster holds at most 96 hosts. Set it with esxcli system maintenanceMode set --enable.",
)
CONTEXT = Context(question="What about maintenance mode?", passages=PASSAGES)


class WordEmbedder:
    """Hashes words into a vector, and counts what it was asked to embed."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in content_words(text):
                row[digest(word)[0] % 64] += 1
        vectors: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors


def judge(text: str, context: Context = CONTEXT) -> Verdict:
    return check_grounded(
        text, context, cache=EvidenceCache(100), embed=WordEmbedder(), limits=LIMITS
    )


@pytest.mark.parametrize(
    "text",
    [
        "DRS moves the virtual machines to other hosts [1].",
        "A host in maintenance mode does not run virtual machines. A cluster holds 96 hosts [2].",
        "Use `esxcli system maintenanceMode set --enable`.",
        "Here is what I found:",
        "I could not find this in the documents.",
        "The provided passages do not contain the answer.",
        "Hello! Sure.",
        "Run the following command on the host:",
        "```bash\nesxcli system maintenanceMode set --enable\n```",
        "Unfortunately, I cannot answer this question without further information.",
        "Let me know if you have further questions.",
    ],
)
def test_supported_or_saying_nothing(text: str) -> None:
    verdict = judge(text)
    assert verdict.allowed, verdict.reason
    assert verdict.text == text


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("A cluster holds at most 64 hosts.", "number"),
        ("Set it with esxcli system maintenanceMode set --disable.", "identifier"),
        ("Set the advanced option `Vm.FooBar` on the host.", "identifier"),
        ("A host in maintenance mode does run virtual machines.", "negation"),
        ("Bananas grow in warm countries.", "unsupported"),
        ("DRS moves them to other hosts. Bananas grow in warm countries.", "unsupported"),
        ("I could not find it, but bananas grow in warm countries.", "unsupported"),
    ],
)
def test_unsupported(text: str, category: str) -> None:
    verdict = judge(text)
    assert (verdict.allowed, verdict.category) == (False, category), verdict
    assert 0 <= verdict.score < LIMITS.threshold


def test_without_passages_nothing_is_supported() -> None:
    assert not judge("DRS moves them to other hosts.", Context()).allowed
    assert judge("I do not know.", Context()).allowed


def test_too_long_is_blocked() -> None:
    assert judge("DRS moves them. " * 400).category == "too_long"


def test_a_streamed_answer_embeds_each_passage_sentence_once() -> None:
    embedder, cache = WordEmbedder(), EvidenceCache(100)
    for text in ("DRS moves them to other hosts.", "DRS moves all of them to other hosts."):
        check_grounded(text, CONTEXT, cache=cache, embed=embedder, limits=LIMITS)
    assert len(embedder.embedded) == len(set(embedder.embedded))


@pytest.mark.parametrize("text", ["It crashes 3 times", "Restart now", "Use --force", "42"])
def test_a_short_claim_is_still_a_claim(text: str) -> None:
    assert not states_nothing(text)


def test_recent_forgets_the_oldest() -> None:
    recent: Recent[str, int] = Recent(2)
    for index, key in enumerate("abac"):
        recent.put(key, index)
    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (2, None, 3, 2)
    empty: Recent[str, int] = Recent(0)
    empty.put("a", 1)
    assert empty.get("a") is None


def test_digest_keeps_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("\ud800")


WRAPPED = Context(
    passages=("First of all. vMotion of vGPU virtual\nmachines is off by default. It stays so.",)
)


@pytest.mark.parametrize(
    "text",
    [
        "vMotion of vGPU virtual\nmachines is off by default.",
        "vMotion of vGPU virtual machines is off by default. It stays so.",
        "First of all.",
    ],
)
def test_a_quotation_is_supported_and_embeds_nothing(text: str) -> None:
    embedder = WordEmbedder()
    verdict = check_grounded(text, WRAPPED, cache=EvidenceCache(100), embed=embedder, limits=LIMITS)
    assert verdict.allowed
    assert verdict.score == 1.0
    assert not embedder.embedded


@pytest.mark.parametrize(
    "text",
    [
        "vGPU virtual machines is off by default.",  # its subject is cut off
        "vMotion of vGPU virtual machines is off by",  # so is its end
        "",
    ],
)
def test_a_fragment_is_no_quotation(text: str) -> None:
    assert not EvidenceCache(100).evidence(WRAPPED.passages).quotes(text)
