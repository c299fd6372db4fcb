"""Passages prepared for comparison, kept by hash so that a streamed answer pays for them once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from guardrails.detectors.facts import ESCAPE, WORDS, numbers_known, without_marks
from guardrails.detectors.sentences import content_words, split_sentences
from guardrails.schema import Embed, Vectors

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
PASSAGE_SETS = 64


def digest(*parts: str) -> bytes:
    """A key that keeps no text in memory; parts cannot run into one another."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "big") + raw)
    return state.digest()


class Recent(Generic[K, V]):
    """The most recently used entries, thread-safe. Zero size keeps nothing."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """One sentence of a passage and its content words."""

    text: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a set of passages holds."""

    text: str
    """All passages in lower case, for looking names up."""
    words: frozenset[str]
    spelled: frozenset[str]
    """Every word as it is written, in lower case."""
    numbers: frozenset[str]
    sentences: tuple[SourceSentence, ...]
    flowing: str
    """One line a passage, white space folded, for recognising quotations."""
    places: Mapping[str, NDArray[np.intp]]
    """The sentences in which a word occurs."""
    sizes: NDArray[np.float64]
    """By sentence: a long one shares words with everything."""

    def quotes(self, text: str) -> bool:
        """Whether `text` is a whole sentence, or several, of one passage, word for word.

        What begins in the middle of a sentence is no quotation: its subject may be cut off.
        """
        wanted = " ".join(text.split())
        if not wanted.endswith((".", "!", "?")):
            return False
        at = self.flowing.find(wanted)
        return at >= 0 and (at == 0 or self.flowing[at - 1] == "\n" or self._after_stop(at))

    def _after_stop(self, at: int) -> bool:
        return self.flowing[max(0, at - 2) : at] in {". ", "! ", "? "}

    def nearest(self, words: set[str], count: int) -> list[int]:
        """The sentences that share most words with the given ones, best first."""
        found = [self.places[word] for word in words if word in self.places]
        if not found:
            return []
        shared = np.bincount(np.concatenate(found), minlength=len(self.sentences))
        sharing = np.flatnonzero(shared)
        order = np.argsort(-shared[sharing] / self.sizes[sharing], kind="stable")
        best: list[int] = sharing[order[:count]].tolist()
        return best


def gather(passages: Sequence[str]) -> Evidence:
    """Split, stem and index the passages."""
    sentences = tuple(
        SourceSentence(sentence, frozenset(content_words(sentence)))
        for passage in passages
        for sentence in split_sentences(without_marks(passage))
    )
    places: dict[str, list[int]] = {}
    for index, sentence in enumerate(sentences):
        for word in sentence.words:
            places.setdefault(word, []).append(index)
    whole = "\n".join(passages)
    return Evidence(
        text=ESCAPE.sub(r"\1", whole).lower(),
        words=frozenset().union(*(sentence.words for sentence in sentences)),
        spelled=frozenset(WORDS.findall(whole.lower())),
        numbers=frozenset(numbers_known(whole)),
        sentences=sentences,
        flowing="\n".join(" ".join(passage.split()) for passage in passages),
        places={word: np.array(found, np.intp) for word, found in places.items()},
        sizes=np.array([(1 + len(sentence.words)) ** 0.5 for sentence in sentences]),
    )


class EvidenceCache:
    """Prepared passages and sentence embeddings, both bounded."""

    def __init__(self, sentences: int) -> None:
        self._evidence: Recent[bytes, Evidence] = Recent(PASSAGE_SETS)
        self._vectors: Recent[bytes, Vectors] = Recent(sentences)

    def evidence(self, passages: Sequence[str]) -> Evidence:
        """The passages, prepared once per set."""
        key = digest(*passages)
        found = self._evidence.get(key)
        if found is None:
            found = gather(passages)
            self._evidence.put(key, found)
        return found

    def vectors(self, texts: Sequence[str], embed: Embed) -> Vectors:
        """A row for each text, one embedding call for all that are not known."""
        keys = [digest(text) for text in texts]
        known = {key: self._vectors.get(key) for key in keys}
        missing = [key for key, vector in known.items() if vector is None]
        if missing:
            fresh = embed([texts[keys.index(key)] for key in missing])
            for key, vector in zip(missing, fresh, strict=True):
                known[key] = vector
                self._vectors.put(key, vector)
        return np.stack([vector for key in keys if (vector := known[key]) is not None])

    def similarities(self, sentence: str, sources: Sequence[str], embed: Embed) -> list[float]:
        """Cosine of the sentence to each source."""
        matrix = self.vectors([sentence, *sources], embed)
        cosines: list[float] = (matrix[1:] @ matrix[0]).tolist()
        return cosines
