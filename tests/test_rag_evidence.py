"""From passages to an answer that rests on them: quotations, attribution, the drafted answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answerable import relevance
from rag.attribute import attribute
from rag.config import AnswerConfig
from rag.draft import Sentence, _segments, claims_something, draft, quote_all
from rag.embed import Embedder
from rag.evidence import Quote, passage_sentences, select_quotes
from rag.knowledge import Knowledge
from rag.retrieve import search
from rag.schema import EVERYONE, Hit, Sampling
from tests.fakes import FakeEmbedder, FakeGenerator, fake_knowledge, new_document, store

MIN_SUPPORT = AnswerConfig().min_support
DOCUMENT = (
    "Set vgpu.hotmigrate.enabled to true before you migrate a virtual machine. "
    "The A100 can be split into seven instances. "
    "A host in maintenance mode does not accept new virtual machines. "
    "Each lease lasts 24 hours and needs 64 GB of memory."
)


def hit(text: str, start: int = 0, document: int = 1, score: float = 1.0) -> Hit:
    return Hit(
        document, document, f"u{document}", "T", (), None, start, start + len(text), text, score
    )


def sources(*passages: str) -> list[Quote]:
    return passage_sentences([hit(text, document=i + 1) for i, text in enumerate(passages)])


# --- quotations ----------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(["One two.", "- item", "1. Step.", "| a | b |", "\n\n", "> q", "x"]))
)
def test_spans_of_quotations_point_into_the_document(parts: list[str]) -> None:
    document = "leading text\n" + "\n".join(parts) + "\ntrailing"
    passage = document[8:]
    for quote in passage_sentences([hit(passage, start=8)]):
        assert document[quote.start : quote.end] == quote.text
        assert not quote.text.startswith(("- ", "> ", "1. "))


def test_a_sentence_that_two_passages_share_comes_once_from_the_better() -> None:
    text = "First sentence. Shared sentence. Last sentence."
    shared = text.index("Shared")
    first, second = hit(text[: shared + 16]), hit(text[shared:], start=shared)
    quotes = passage_sentences([second, first])
    assert [(q.passage, q.text) for q in quotes] == [
        (0, "Shared sentence."),
        (0, "Last sentence."),
        (1, "First sentence."),
    ]
    other = replace(first, document_id=2)
    assert len(passage_sentences([first, other])) == 4, "another document may say the same"


def test_the_best_quotation_comes_first(embedder: Embedder) -> None:
    quotes = select_quotes("How long does a lease last?", [hit(DOCUMENT)], embedder, 3)
    assert quotes[0].text.startswith("Each lease lasts 24 hours")
    assert quotes[0].score == max(quote.score for quote in quotes)
    assert len({quote.text for quote in quotes}) == len(quotes) <= 3


def test_quotations_of_little_and_of_nothing() -> None:
    fake = FakeEmbedder()
    assert select_quotes("anything", [], fake, 3) == []
    assert select_quotes("anything", [hit("Too short.")], fake, 3) == []
    assert select_quotes("", [hit(DOCUMENT)], fake, 1) != []
    twice = hit("The host needs 64 GB of memory. The host needs 64 GB memory.")
    assert len(select_quotes("memory of the host", [twice], fake, 3)) == 1, "they say the same"
    low = hit(DOCUMENT, score=0.0)
    assert len(select_quotes("lease", [low], fake, 2)) >= 1


def test_relevance_is_higher_for_what_the_passages_hold(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    store(knowledge.catalog, new_document("a", [DOCUMENT]), new_document("b", ["Other words."]))
    hits = [replace(hit(DOCUMENT), dense=0.6)]
    held = relevance(knowledge, "How many hours does a lease last?", hits)
    absent = relevance(knowledge, "Which zebra won the regatta?", hits)
    assert 0 <= absent < held <= 1
    assert relevance(knowledge, "anything", []) == 0.0
    for question in ("", "?", "the of", "\0", "\ud800"):
        assert 0 <= relevance(knowledge, question, hits) <= 1
    knowledge.close()


# --- attribution ---------------------------------------------------------------------------------


def support(sentence: str, *passages: str) -> float:
    found = attribute(sentence, sources(*(passages or (DOCUMENT,))))
    return found.score if found else 0.0


@pytest.mark.parametrize(
    "sentence",
    [
        "Set vgpu.hotmigrate.enabled to true before you migrate a virtual machine.",
        "Before migrating a virtual machine, set vgpu.hotmigrate.enabled to true.",
        "The A100 can be split into seven instances.",
        "A host in maintenance mode does not accept any new virtual machines.",
        "Each lease lasts 24 hours.",
        "It needs 64 GB of memory.",
    ],
)
def test_what_the_passage_says_is_supported(sentence: str) -> None:
    assert support(sentence) >= MIN_SUPPORT


@pytest.mark.parametrize(
    "sentence",
    [
        "Each lease lasts 48 hours and needs 64 GB of memory.",
        "Each lease lasts 24 hours and needs 640 GB of memory.",
        "The A30 can be split into seven instances.",
        "Set vgpu.hotmigrate.disabled to true before you migrate a virtual machine.",
        "Set vgpu.hotmigrate.enabled to true before you migrate vSphere 8.0.",
        "A host in maintenance mode does accept new virtual machines.",
        "A host in maintenance mode accepts new virtual machines.",
        "The A100 cannot be split into seven instances.",
        "Never set vgpu.hotmigrate.enabled to true before you migrate a virtual machine.",
        "The weather in Paris is lovely in spring.",
        "Virtual machines are described elsewhere in great and loving detail.",
    ],
)
def test_what_the_passage_does_not_say_is_not(sentence: str) -> None:
    assert support(sentence) < MIN_SUPPORT


def test_a_negation_next_door_excuses_nothing() -> None:
    """The sentence itself decides, not whether a neighbour happens to hold a "not"."""
    text = "Hot plugging is supported on these hosts. Suspending is not supported there."
    assert support("Hot plugging is supported on these hosts.", text) >= MIN_SUPPORT
    assert support("Suspending is not supported there.", text) >= MIN_SUPPORT
    assert support("Hot plugging is not supported on these hosts.", text) < MIN_SUPPORT
    assert support("Suspending is supported there.", text) < MIN_SUPPORT


def test_swapped_roles_lose_their_support() -> None:
    text = "The primary host replicates the secondary host."
    assert support(text, text) == pytest.approx(1.0)
    assert support("The secondary host replicates the primary host.", text) < 1.0
    assert support("Beta follows alpha.", "Alpha follows beta.") < MIN_SUPPORT


def test_facts_of_two_passages_are_not_joined() -> None:
    one, other = "The gateway listens on port 8443.", "The appliance needs 16 GB of memory."
    assert support("The appliance listens on port 8443.", one, other) < 1.0
    assert support("The gateway needs 16 GB of memory on port 8443.", one, other) == 0.0


def test_the_closest_sentence_and_its_passage_are_named() -> None:
    found = attribute("Each lease lasts 24 hours.", sources("Nothing here.", DOCUMENT))
    assert found is not None
    assert found.quote.passage == 1
    assert found.quote.text.startswith("Each lease lasts 24 hours")
    assert attribute("Each lease lasts.", []) is None
    assert attribute("?!", sources(DOCUMENT)) is None
    assert attribute("the of and", sources(DOCUMENT)) is None


@given(st.text(max_size=80), st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_support_is_a_share(sentence: str, passage: str) -> None:
    assert 0.0 <= support(sentence, passage) <= 1.0


@pytest.mark.parametrize("sentence", [s for s in DOCUMENT.split(". ") if s])
def test_a_passage_bears_out_its_own_sentences(sentence: str) -> None:
    assert support(sentence) == pytest.approx(1.0)


# --- segments ------------------------------------------------------------------------------------


async def stream(pieces: Sequence[str]) -> AsyncGenerator[str]:
    for piece in pieces:
        yield piece


def segments(*pieces: str) -> list[tuple[str, str]]:
    async def collect() -> list[tuple[str, str]]:
        return [segment async for segment in _segments(stream(pieces))]

    return asyncio.run(collect())


SNIPPETS = st.sampled_from(
    [
        "One two.",
        " ",
        "\n",
        "\n\n",
        "- item",
        "e.g.",
        "8.0",
        "?",
        "```",
        "```sh\n",
        "x = 1. Y",
        "`",
        "|",
    ]
)
ANSWERS = st.lists(SNIPPETS, max_size=20).map("".join)


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({min(i, len(text)) for i in at})
    edges = [0, *places, len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(ANSWERS, st.lists(st.integers(0, 80), max_size=20))
@settings(max_examples=300, deadline=None)
def test_segments_give_the_text_back_however_it_came(text: str, at: list[int]) -> None:
    found = segments(*cut(text, at))
    joined = "".join(before + sentence for before, sentence in found)
    assert joined.strip() == text.strip()
    assert all(before.strip() == "" for before, _ in found)
    assert all(sentence.strip() for _, sentence in found)


def test_a_sentence_is_let_go_once_the_next_begins() -> None:
    async def first_of(pieces: list[str]) -> tuple[str, int]:
        drawn = 0

        async def counting() -> AsyncGenerator[str]:
            nonlocal drawn
            for piece in pieces:
                drawn += 1
                yield piece

        found = _segments(counting())
        first = (await anext(found))[1]
        await found.aclose()
        return first, drawn

    pieces = ["Use ", "8", ".", "0. ", "Then", " more.", " And", " more."]
    assert asyncio.run(first_of(pieces)) == ("Use 8.0.", 5)


def test_code_counts_as_one_however_it_came() -> None:
    text = "Run this:\n\n```sh\necho one. Two\n\n# three\nls\n```\n\nThen wait. Done."
    code = "```sh\necho one. Two\n\n# three\nls\n```"
    expected = ["Run this:", code, "Then wait.", "Done."]
    assert [s for _, s in segments(text)] == expected
    assert [s for _, s in segments(*text)] == expected
    assert [s for _, s in segments(*cut(text, list(range(0, 90, 7))))] == expected
    assert [s for _, s in segments("One. Two.\n```\na. B\n")] == ["One.", "Two.", "```\na. B\n"]


def test_a_sentence_without_end_is_let_go_some_time() -> None:
    found = segments(*["word "] * 1000)
    assert len(found) > 2
    assert "".join(b + s for b, s in found).strip() == ("word " * 1000).strip()


# --- the draft -----------------------------------------------------------------------------------

QUOTES = sources(DOCUMENT)


async def anything(_text: str, _supported: bool = True) -> bool:
    return True


def drafted(
    generator: FakeGenerator,
    quotes: Sequence[Quote] = QUOTES,
    accept: object = anything,
    patience: int = 2,
    unsupported: str = "drop",
) -> list[Sentence]:
    async def collect() -> list[Sentence]:
        pieces = generator.stream([], Sampling())
        config = AnswerConfig(patience=patience, unsupported=unsupported)  # type: ignore[arg-type]
        found = draft(pieces, quotes, QUOTES, accept, config)  # type: ignore[arg-type]
        return [sentence async for sentence in found]

    return asyncio.run(collect())


LEASE, A100 = "Each lease lasts 24 hours.", "The A100 can be split into seven instances."
WRONG = [
    "The moon is made of green cheese and honey. ",
    "Bananas ripen faster next to sour apples. ",
    "Whales sing longer songs in colder waters. ",
]


def test_supported_sentences_stand_as_they_were_written() -> None:
    generator = FakeGenerator(*f"{LEASE} {A100}")
    said = drafted(generator)
    assert [s.text for s in said if not s.quoted] == [LEASE, A100]
    assert all(s.support and s.support.score >= MIN_SUPPORT for s in said)
    assert generator.closed


def test_an_unsupported_sentence_gives_way_to_a_quotation() -> None:
    for wrong in (*WRONG, "Each lease lasts 48 hours and needs 64 GB of memory. "):
        said = drafted(FakeGenerator(wrong, f"{A100}"))
        assert wrong.strip() not in [s.text for s in said]
        assert said[0].quoted
        assert said[0].support is not None
        assert said[0].text.strip("“”") in DOCUMENT


def test_an_unsupported_sentence_is_marked_where_the_site_wants_that() -> None:
    said = drafted(FakeGenerator(WRONG[0], LEASE, " "), unsupported="mark")
    assert [(s.text, s.unsupported) for s in said[:2]] == [(WRONG[0].strip(), True), (LEASE, False)]
    assert said[0].support is None
    said = drafted(FakeGenerator(*WRONG * 9), unsupported="mark")
    assert [s.unsupported for s in said] == [True, True] + [False] * len(QUOTES)


def test_marked_sentences_pass_the_other_rails() -> None:
    asked: list[tuple[str, bool]] = []

    async def refuse_whales(text: str, supported: bool) -> bool:
        asked.append((text, supported))
        return "Whales" not in text

    said = drafted(FakeGenerator(*WRONG, LEASE), QUOTES, refuse_whales, 9, "mark")
    assert not any("Whales" in s.text for s in said)
    assert (WRONG[2].strip(), False) in asked
    assert (LEASE, True) in asked


def test_the_mark_of_an_earlier_answer_is_not_repeated() -> None:
    assert drafted(FakeGenerator(f"{LEASE} [unsupported]"))[0].text == LEASE


def test_a_garbled_sentence_gives_way_to_the_one_that_it_garbled() -> None:
    said = drafted(FakeGenerator("The A100 cannot be split into seven instances."))
    assert said[0].text == f"“{A100}”"


def test_each_quotation_comes_once_and_none_twice_in_other_words() -> None:
    said = drafted(FakeGenerator(*WRONG, LEASE, " ", LEASE), patience=100)
    texts = [s.text for s in said]
    assert len(texts) == len(set(texts))
    for quote in QUOTES:
        assert sum(quote.text in text for text in texts) <= 1
    repeated = drafted(FakeGenerator(f"{A100} {A100} {A100}"))
    assert sum(A100 in s.text for s in repeated) == 1


def test_a_model_that_goes_on_failing_is_left() -> None:
    generator = FakeGenerator(*WRONG * 50)
    said = drafted(generator)
    assert generator.drawn < 10
    assert generator.closed
    assert [s.quoted for s in said] == [True] * len(QUOTES)
    assert {s.text.strip("“”") for s in said} == {q.text for q in QUOTES}


def test_leaving_the_draft_closes_the_stream() -> None:
    generator = FakeGenerator(*f"{LEASE} {A100} {LEASE}" * 20)

    async def leave() -> str:
        found = draft(generator.stream([], Sampling()), QUOTES, QUOTES, anything, AnswerConfig())
        first = await anext(found)
        await found.aclose()
        return first.text

    assert asyncio.run(leave()) == LEASE
    assert generator.closed
    assert generator.drawn < 100


def test_a_model_that_says_nothing_leaves_the_quotations() -> None:
    for pieces in ([], [""], ["  \n\n "], ["[1]"], ["Sure:"], ["Yes."]):
        said = drafted(FakeGenerator(*pieces))
        assert [s.text for s in said] == [f"“{q.text}”" for q in QUOTES]
    assert drafted(FakeGenerator(), quotes=[]) == []


def test_what_the_rails_refuse_is_neither_said_nor_quoted() -> None:
    async def refuse_leases(text: str, _supported: bool) -> bool:
        return "lease" not in text

    said = drafted(FakeGenerator(f"{LEASE} {A100} ", *WRONG), accept=refuse_leases, patience=9)
    assert A100 in [s.text for s in said]
    assert not any("lease" in s.text for s in said)

    async def refuse(_text: str, _supported: bool) -> bool:
        return False

    assert drafted(FakeGenerator(f"{LEASE} {A100}"), accept=refuse) == []


def test_every_piece_of_the_answer_was_accepted() -> None:
    asked: list[str] = []

    async def note(text: str, _supported: bool) -> bool:
        asked.append(text)
        return True

    said = drafted(FakeGenerator("Here it is: ", f"{LEASE} ", *WRONG), accept=note)
    assert {s.text.strip("“”") for s in said} <= set(asked) | {" ".join(a.split()) for a in asked}


def test_the_marks_of_the_model_go_and_indices_in_code_stay() -> None:
    text = "Each lease [1] lasts 24 hours [2][3]."
    assert drafted(FakeGenerator(text))[0].text == LEASE
    code = "```py\nlease[0] = needs[24]\n```"
    source = passage_sentences([hit("lease 0 needs 24")])

    async def collect() -> list[Sentence]:
        pieces = stream([code])
        return [s async for s in draft(pieces, [], source, anything, AnswerConfig(min_support=0.0))]

    assert "lease[0]" in asyncio.run(collect())[0].text


@given(st.lists(st.sampled_from([LEASE, A100, *WRONG, "Here:", "Yes.", "```\nx\n```", "\n\n- "])))
@settings(max_examples=100, deadline=None)
def test_whatever_the_model_says_claims_are_borne_out(parts: list[str]) -> None:
    generator = FakeGenerator(*" ".join(parts))
    said = drafted(generator)
    for sentence in said:
        if sentence.quoted:
            assert sentence.text.strip("“”") in DOCUMENT
        elif claims_something(sentence.text):
            assert sentence.support is not None
            assert sentence.support.score >= MIN_SUPPORT
    texts = [s.text for s in said if s.support]
    assert len(texts) == len(set(texts))
    assert generator.closed


def test_the_extractive_answer() -> None:
    async def collect() -> list[Sentence]:
        return [s async for s in quote_all(QUOTES[:2], anything)]

    said = asyncio.run(collect())
    assert [s.text for s in said] == [f"“{q.text}”" for q in QUOTES[:2]]
    assert [s.before for s in said] == ["\n\n", "\n\n"]


def test_an_answer_from_the_sample_knowledge_base(knowledge: Knowledge) -> None:
    from rag.ask import Asked, ask
    from tests.fakes import PUBLIC

    async def answer(question: str, *pieces: str) -> Asked:
        asked = Asked()
        generator = FakeGenerator(*pieces) if pieces else None
        said = [p async for p in ask(knowledge, generator, question, PUBLIC, asked)]
        assert "".join(said) == asked.text
        return asked

    question = "Which advanced setting enables vMotion for vGPU machines?"
    for pieces in ((), tuple(WRONG)):
        asked = asyncio.run(answer(question, *pieces))
        assert asked.found
        assert "vgpu.hotmigrate.enabled" in asked.text
        assert "[1]" in asked.text
        assert all(f"[{n}]" in asked.text for n in asked.cited)
        assert not any(wrong.strip() in asked.text for wrong in WRONG)
    asked = asyncio.run(answer("Who won the chess olympiad in Reykjavik?"))
    assert (asked.found, asked.text, asked.cited) == (False, "", {})


@pytest.mark.parametrize("text", ["No.", "Set it to 64.", "Use --force:", "It is not."])
def test_a_short_sentence_may_claim_a_lot(text: str) -> None:
    assert claims_something(text)


@pytest.mark.parametrize("text", ["Here are the steps:", "Sure.", "In short:"])
def test_a_lead_in_claims_nothing(text: str) -> None:
    assert not claims_something(text)


@pytest.mark.parametrize("question", ["What is a DLS?", "What does the DLS do?", "What is MIG?"])
def test_a_word_that_few_passages_hold_is_no_reason_to_refuse(
    question: str, knowledge: Knowledge
) -> None:
    found = search(knowledge, question, frozenset({EVERYONE}), 4)
    assert found.contrast is not None
    assert found.contrast.words == 1.0
    held = relevance(knowledge, question, found.hits, found.contrast)
    assert held >= knowledge.config.retriever.min_relevance
