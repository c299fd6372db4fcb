"""Another embedder: the former one serves meanwhile, and nothing that happens by then is lost."""

from __future__ import annotations

import json
import logging
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

import rag.reembed
from rag.catalog import Catalog
from rag.chunk import embedding_text
from rag.config import EmbedderConfig, RagConfig, RetrieverConfig
from rag.embed import weights_hash
from rag.errors import EmbedderChanged, ModelError
from rag.knowledge import Knowledge, open_knowledge
from rag.reembed import Overruled, progress, reembed
from rag.retrieve import retrieve
from rag.tables import chunks, facts, next_vectors
from serve.reembedding import Reembedding
from tests.fakes import (
    PUBLIC,
    FakeEmbedder,
    assert_whole,
    fake_knowledge,
    new_document,
    store,
    take_in,
)

ROOT = Path(__file__).parent.parent
BATCH = 8
FORMER = "fake/32"
WORDS = ["host", "cluster", "memory", "driver", "licence", "profile", "network", "storage"]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.reembed, "_BATCH", BATCH)


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    """Twenty documents of three passages, embedded with `FORMER`."""
    opened = fake_knowledge(tmp_path)
    fill(opened.catalog, range(20))
    yield opened
    opened.close()


def fill(catalog: Catalog, numbers: Sequence[int], life: int = 0) -> None:
    for i in numbers:
        pick = random.Random(100 * life + i)
        texts = [f"{i} {life} " + " ".join(pick.choices(WORDS, k=6)) for _ in range(3)]
        vectors = FakeEmbedder().encode([embedding_text(f"Page {i}", text) for text in texts])
        catalog.store([new_document(f"d{i}", texts, title=f"Page {i}")], vectors, FORMER)


def changing(opened: Knowledge, wanted: FakeEmbedder) -> Knowledge:
    """The same catalog as a process sees it whose configuration names another embedder."""
    return Knowledge(opened.config, opened.catalog, opened.embedder, opened.index, wanted)


def another(opened: Knowledge) -> Catalog:
    """The catalog as another process opens it."""
    return Catalog(opened.config)


def assert_embedded_by(catalog: Catalog, embedder: FakeEmbedder) -> None:
    """Every passage has this embedder's vector and nothing is left of any other."""
    assert catalog.embedder() == embedder.fingerprint
    query = sa.select(chunks.c.heading, chunks.c.text, chunks.c.embedding).order_by(chunks.c.id)
    with catalog.reading() as connection:
        rows = connection.execute(query).all()
        assert connection.execute(sa.select(next_vectors)).all() == []
        known = connection.execute(sa.select(facts.c.name)).scalars().all()
    assert "next_embedder" not in known
    texts = [embedding_text(row.heading, row.text) for row in rows]
    expected = embedder.encode(texts).astype(np.float16)
    stored = [np.frombuffer(row.embedding, dtype=np.float16) for row in rows]
    assert all(np.array_equal(one, other) for one, other in zip(stored, expected, strict=True))
    assert_whole(catalog)


def assert_searches(opened: Knowledge, seed: int = 0) -> None:
    """Dense search finds what comparing with every stored vector finds."""
    question = " ".join(random.Random(seed).choices(WORDS, k=4))
    settings = RetrieverConfig(mode="dense", collapse=False, per_document=100)
    hits = retrieve(opened, question, PUBLIC, 5, settings=settings)
    vector = opened.embedder.encode([question])[0]
    readable = chunks.c.acl_id.in_(opened.catalog.allowed_acls(PUBLIC))
    with opened.catalog.reading() as connection:
        ids = connection.execute(sa.select(chunks.c.id).where(readable)).scalars().all()
    stored = opened.catalog.vectors(ids)
    exact = sorted((float(v.astype(np.float32) @ vector) for v in stored.values()), reverse=True)
    assert [hit.dense for hit in hits] == pytest.approx(exact[:5], abs=1e-4)


@pytest.mark.parametrize("wanted", [FakeEmbedder(16), FakeEmbedder(32, "other/32")])
def test_changed_while_searches_and_writes_go_on(
    knowledge: Knowledge, wanted: FakeEmbedder
) -> None:
    fill(knowledge.catalog, range(20, 60))
    pick = random.Random(7)
    opened, other = changing(knowledge, wanted), another(knowledge)
    former, steps = opened.embedder, 0

    def meanwhile(_done: int) -> None:
        nonlocal steps
        steps += 1
        if steps > 30:  # in the end it has to catch up
            return
        assert opened.refresh()[0] is former
        assert_searches(opened, steps)
        there = other.uris()
        if steps % 3 == 0:
            other.delete(pick.sample(sorted(there.values()), k=2))
        elif steps % 3 == 1:
            fill(other, [pick.randrange(90)], life=steps)  # added or changed
        else:
            other.set_groups(pick.choice(sorted(there.values())), frozenset({"board"}))
            other.set_groups(pick.choice(sorted(there.values())), PUBLIC)

    assert reembed(opened.catalog, wanted, meanwhile)
    assert steps >= 10
    assert_embedded_by(other, wanted)
    embedder, index = opened.refresh()
    assert embedder is wanted
    assert len(index) == other.count_chunks()
    for i in other.uris().values():
        other.set_groups(i, PUBLIC)
    assert_searches(opened)
    take_in(opened, {"new.md": "A new host in the cluster."})
    assert_searches(opened)
    other.close()


def test_gathering_is_not_seen_by_open_indexes_until_the_end(knowledge: Knowledge) -> None:
    wanted, seen = FakeEmbedder(16), []
    other = changing(fake_knowledge(knowledge.config.data_dir), wanted)
    before = knowledge.catalog.generation()

    def look(_done: int) -> None:
        seen.append(knowledge.catalog.generation())
        assert other.refresh()[0].fingerprint == FORMER

    assert reembed(knowledge.catalog, wanted, look)
    assert set(seen) == {before}
    assert knowledge.catalog.generation() == before + 1
    embedder, index = other.refresh()
    assert (embedder, len(index)) == (wanted, 60)
    assert_searches(other)
    assert index.generation == before + 1
    with pytest.raises(EmbedderChanged, match=r"embedded with fake/16.*names fake/32.*reindex"):
        knowledge.refresh()  # a process that does not have the new one
    other.close()


def test_stopped_and_resumed_nothing_is_embedded_twice(knowledge: Knowledge) -> None:
    wanted, reached = FakeEmbedder(16), list[int]()
    for _ in range(100):
        if reembed(knowledge.catalog, wanted, reached.append, iter([False, True]).__next__):
            break
        done, total = progress(knowledge.catalog)
        assert (done, total) == (reached[-1], 60)
    else:
        while not reembed(knowledge.catalog, wanted, reached.append):
            pass
    assert wanted.texts == 60
    assert reached == [8, 16, 24, 32, 40, 48, 56, 60]
    assert_embedded_by(knowledge.catalog, wanted)


def test_stopped_at_once_it_has_not_changed_over(knowledge: Knowledge) -> None:
    wanted = FakeEmbedder(16)
    assert not reembed(knowledge.catalog, wanted, stop=lambda: True)
    assert (wanted.texts, knowledge.catalog.embedder()) == (0, FORMER)


def test_already_in_force(knowledge: Knowledge) -> None:
    generation = knowledge.catalog.generation()
    embedder = FakeEmbedder()
    assert reembed(knowledge.catalog, embedder)
    assert (embedder.texts, knowledge.catalog.generation()) == (0, generation)


def test_a_third_embedder_in_between(knowledge: Knowledge) -> None:
    second, third = FakeEmbedder(16), FakeEmbedder(16, "third/16")
    half = iter([False, False, False, True]).__next__
    assert not reembed(knowledge.catalog, second, stop=half)
    assert reembed(knowledge.catalog, third)
    assert third.texts == 60, "nothing of the second one was taken for its own"
    assert_embedded_by(knowledge.catalog, third)
    assert reembed(knowledge.catalog, second)
    assert_embedded_by(knowledge.catalog, second)


def test_back_to_the_first(knowledge: Knowledge) -> None:
    first, second = FakeEmbedder(), FakeEmbedder(16)
    assert not reembed(knowledge.catalog, second, stop=iter([False, False, True]).__next__)
    assert reembed(knowledge.catalog, first)
    assert first.texts == 0, "its vectors were in force all the time"
    assert_embedded_by(knowledge.catalog, first)
    assert reembed(knowledge.catalog, second)
    assert reembed(knowledge.catalog, first)
    assert_embedded_by(knowledge.catalog, first)
    assert_searches(knowledge)


def test_an_empty_catalog(tmp_path: Path) -> None:
    opened, wanted = fake_knowledge(tmp_path), FakeEmbedder(16)
    assert reembed(opened.catalog, wanted)
    assert_embedded_by(opened.catalog, wanted)
    after = changing(opened, wanted)
    assert after.refresh()[0] is wanted
    take_in(after, {"a.md": "A host."})
    assert_searches(after)
    opened.close()


# --- several processes ---------------------------------------------------------------------------


def test_two_share_the_work(knowledge: Knowledge) -> None:
    """Threads with catalogs of their own, which is what two processes are to the database."""
    fill(knowledge.catalog, range(20, 100))
    start, ended = threading.Barrier(2), []
    embedders = [FakeEmbedder(16, delay=0.01) for _ in range(2)]

    def work(embedder: FakeEmbedder) -> None:
        catalog = another(knowledge)
        start.wait()
        ended.append(reembed(catalog, embedder))
        catalog.close()

    threads = [threading.Thread(target=work, args=(embedder,)) for embedder in embedders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True, True]
    assert_embedded_by(knowledge.catalog, FakeEmbedder(16))
    assert sum(embedder.texts for embedder in embedders) < 1.6 * 300


def once(do: Callable[[], object]) -> Callable[[int], None]:
    """Done after the first batch alone."""
    left = [do]
    return lambda done: None if not left else (left.pop()(), None)[1]


def test_another_process_ends_it(knowledge: Knowledge) -> None:
    mine, other = FakeEmbedder(16), FakeEmbedder(16)
    catalog = another(knowledge)
    assert reembed(knowledge.catalog, mine, once(lambda: reembed(catalog, other)))
    assert (mine.texts, other.texts) == (2 * BATCH, 60 - BATCH), "one batch in vain"
    assert_embedded_by(knowledge.catalog, mine)
    catalog.close()


@pytest.mark.parametrize("stopping", [True, False])
def test_another_process_begins_with_another_embedder(knowledge: Knowledge, stopping: bool) -> None:
    """The last word counts: the other one gives up, mixes nothing in and does not spin."""
    mine, third = FakeEmbedder(16), FakeEmbedder(16, "third/16")
    catalog = another(knowledge)
    stop = iter([False, True]).__next__ if stopping else lambda: False
    begin = once(lambda: reembed(catalog, third, stop=stop))
    with pytest.raises(Overruled, match=r"with fake/16 was given up.*embedder\.model.*reindex"):
        reembed(knowledge.catalog, mine, begin)
    assert mine.texts <= 2 * BATCH
    assert catalog.embedder() == (FORMER if stopping else third.fingerprint)
    assert reembed(catalog, third)
    assert third.texts == 60
    assert_embedded_by(catalog, third)
    catalog.close()


def test_another_process_goes_back_to_the_former_one(knowledge: Knowledge) -> None:
    mine, former = FakeEmbedder(16), FakeEmbedder()
    catalog = another(knowledge)
    with pytest.raises(Overruled):
        reembed(knowledge.catalog, mine, once(lambda: reembed(catalog, former)))
    assert_embedded_by(catalog, former)
    assert knowledge.refresh()[0].fingerprint == FORMER
    catalog.close()


def test_overruled_when_every_vector_is_there(knowledge: Knowledge) -> None:
    """At the last moment, between the last batch and the change-over."""
    mine, catalog = FakeEmbedder(16), another(knowledge)

    def at_the_end(done: int) -> None:
        if done == 60:
            reembed(catalog, FakeEmbedder())

    generation = catalog.generation()
    with pytest.raises(Overruled):
        reembed(knowledge.catalog, mine, at_the_end)
    assert_embedded_by(catalog, FakeEmbedder())
    assert catalog.generation() <= generation + 1
    catalog.close()


KILLED = """
import sys
from pathlib import Path
import rag.reembed
from rag.catalog import Catalog
from rag.config import RagConfig
from tests.fakes import FakeEmbedder
rag.reembed._BATCH = 8
embedder = FakeEmbedder(16, delay=0.01)
print("ready", flush=True)
tell = lambda done: print(embedder.texts, flush=True)
rag.reembed.reembed(Catalog(RagConfig(data_dir=Path(sys.argv[1]))), embedder, tell)
"""


def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path: Path) -> None:
    opened = fake_knowledge(tmp_path)
    fill(opened.catalog, range(200))
    pick, embedded = random.Random(), 0
    for _ in range(3):
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(pick.randint(1, 8)):
            process.stdout.readline()
        time.sleep(pick.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
        done, total = progress(opened.catalog)
        assert embedded < done < total == 600, "each run gets further, none to the end"
        assert done % BATCH == 0, "whole batches"
        embedded = done
        assert opened.refresh()[0].fingerprint == FORMER
        assert_searches(opened)
        assert_whole(opened.catalog)
    wanted = FakeEmbedder(16)
    assert reembed(opened.catalog, wanted)
    assert wanted.texts == 600 - embedded, "what was kept is not embedded again"
    assert_embedded_by(opened.catalog, wanted)
    opened.close()


# --- the former embedder -------------------------------------------------------------------------


def test_vectors_of_the_former_embedder_come_too_late(knowledge: Knowledge) -> None:
    """An ingest that embedded before the change and stores after it: nothing half goes in."""
    reembed(knowledge.catalog, FakeEmbedder(16))
    before = knowledge.catalog.uris()
    with pytest.raises(EmbedderChanged, match=r"embedded with fake/16.*reindex"):
        store(knowledge.catalog, new_document("late", ["late"]))
    assert knowledge.catalog.uris() == before
    assert_whole(knowledge.catalog)


def test_the_former_embedder_is_gone(tmp_path: Path) -> None:
    gone = EmbedderConfig(model=str(tmp_path / "gone"))
    config = RagConfig(data_dir=tmp_path / "data", embedder=gone)
    made = open_knowledge(config, FakeEmbedder())
    fill(made.catalog, range(3))
    made.close()
    wanted = FakeEmbedder(16)
    with pytest.raises(EmbedderChanged, match=r"embedded with fake/32.*names fake/16.*reindex"):
        open_knowledge(config, wanted)
    catalog = Catalog(config)
    assert reembed(catalog, wanted), "what the message says helps"
    catalog.close()
    opened = open_knowledge(config, wanted)
    assert opened.embedder is wanted
    assert_searches(opened)
    opened.close()


def test_one_changed_weight_is_another_embedder(models: Path, tmp_path: Path) -> None:
    folder = models / "all-MiniLM-L6-v2"
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    assert weights_hash(copy) == weights_hash(folder)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-10, 2)
        byte = file.read(1)
        file.seek(-10, 2)
        file.write(bytes([byte[0] ^ 1]))
    assert weights_hash(copy) != weights_hash(folder)


class Endpoint(BaseHTTPRequestHandler):
    """`/v1/embeddings` that answers with a fake's vectors, and notes the keys it was sent."""

    embedder: FakeEmbedder
    keys: list[str]
    down: threading.Event

    def do_POST(self) -> None:
        self.keys.append(str(self.headers["Authorization"]))
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        vectors = self.embedder.encode(request["input"])
        data = [
            {"object": "embedding", "index": i, "embedding": vector.tolist()}
            for i, vector in enumerate(vectors)
        ]
        body = json.dumps({"object": "list", "model": "m", "data": data}).encode()
        self.send_response(400 if self.down.is_set() else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def endpoint(dimension: int) -> Iterator[tuple[type[Endpoint], str]]:
    values = {"embedder": FakeEmbedder(dimension), "keys": [], "down": threading.Event()}
    handler = type("Handler", (Endpoint,), values)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield handler, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_from_one_endpoint_to_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the server does it: opened by its configuration, changed over in the background."""
    with endpoint(24) as (_, old_url), endpoint(16) as (_, new_url):
        old = configured(tmp_path, old_url)
        made = open_knowledge(old)
        take_in(made, {"a.md": "A host in the cluster.", "b.md": "The licence server."})
        made.close()
        opened = open_knowledge(configured(tmp_path, new_url))
        assert opened.embedder.fingerprint == f"{old_url}/m/24"
        assert_searches(opened)
        reembedding = Reembedding(opened)
        wait_until(lambda: reembedding.progress(PUBLIC) is None)
        reembedding.stop()
        assert opened.embedder.fingerprint == f"{new_url}/m/16"
        assert_searches(opened)
        opened.close()
        again = open_knowledge(configured(tmp_path, new_url))
        assert Reembedding(again).progress(PUBLIC) is None
        again.close()
    assert "every passage is embedded with" in caplog.text


def configured(folder: Path, url: str, key: str = "") -> RagConfig:
    embedder = EmbedderConfig(provider="openai", model="m", base_url=url, api_key=key)
    return RagConfig(data_dir=folder, embedder=embedder)


def wait_until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_a_key_is_sent_to_its_own_endpoint_alone(tmp_path: Path) -> None:
    with endpoint(24) as (first, old_url), endpoint(16) as (second, new_url):
        made = open_knowledge(configured(tmp_path, old_url, "old-secret"))
        take_in(made, {"a.md": "A host."})
        stored = made.catalog.fact(f"embedder {made.embedder.fingerprint}")
        assert stored is not None
        assert "secret" not in stored
        made.close()
        first.keys.clear()
        opened = open_knowledge(configured(tmp_path, new_url, "new-secret"))
        assert_searches(opened)
        opened.close()
        assert set(first.keys) == {"Bearer none"}
        assert set(second.keys) == {"Bearer new-secret"}
        same = configured(tmp_path, old_url, "old-secret")
        other_model = same.model_copy(
            update={"embedder": same.embedder.model_copy(update={"model": "m2"})}
        )
        first.keys.clear()
        open_knowledge(other_model).close()
        assert set(first.keys) == {"Bearer old-secret"}


# --- beside the server ---------------------------------------------------------------------------


class Failing(FakeEmbedder):
    """Its endpoint is down at first."""

    def __init__(self, failures: int) -> None:
        super().__init__(16)
        self.failures = failures

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.failures:
            self.failures -= 1
            raise ModelError("the endpoint is down")
        return super().encode(texts)


def test_what_fails_is_tried_again(knowledge: Knowledge, caplog: pytest.LogCaptureFixture) -> None:
    wanted = Failing(3)
    opened = changing(knowledge, wanted)
    reembedding = Reembedding(opened, pause_s=0.01)
    wait_until(lambda: not reembedding.under_way)
    reembedding.stop()
    assert wanted.failures == 0
    assert_embedded_by(opened.catalog, wanted)
    assert caplog.text.count("the endpoint is down; tried again in 0.01 s") == 3


def test_it_stops_while_it_waits_and_while_it_works(knowledge: Knowledge) -> None:
    for wanted in (Failing(10**9), FakeEmbedder(16, delay=0.05)):
        opened = changing(knowledge, wanted)
        reembedding = Reembedding(opened, pause_s=3600)
        started = time.monotonic()
        reembedding.stop()
        assert time.monotonic() - started < 60
        assert opened.embedder.fingerprint == FORMER
        assert reembedding.progress(PUBLIC) is not None
        reembedding.stop()


def test_it_gives_up_where_it_is_overruled(
    knowledge: Knowledge, caplog: pytest.LogCaptureFixture
) -> None:
    class Overruling(FakeEmbedder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            reembed(knowledge.catalog, FakeEmbedder())  # an operator went back meanwhile
            return super().encode(texts)

    with caplog.at_level(logging.ERROR):
        reembedding = Reembedding(changing(knowledge, Overruling(16)), pause_s=3600)
        wait_until(lambda: "was given up" in caplog.text)
        reembedding.stop()
    assert_embedded_by(knowledge.catalog, FakeEmbedder())


def test_nothing_to_do_starts_nothing(knowledge: Knowledge) -> None:
    before = threading.active_count()
    reembedding = Reembedding(knowledge)
    assert threading.active_count() == before
    assert reembedding.progress(PUBLIC) is None
    reembedding.stop()


class Held(FakeEmbedder):
    """Embeds only when it is let go."""

    def __init__(self) -> None:
        super().__init__(16)
        self.go = threading.Event()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert self.go.wait(60)
        return super().encode(texts)


def test_what_is_ingested_meanwhile_is_found_before_and_after(knowledge: Knowledge) -> None:
    wanted = Held()
    opened = changing(knowledge, wanted)
    reembedding = Reembedding(opened)
    take_in(opened, {"during.md": "A host that came in between."})
    assert reembedding.progress(PUBLIC) == {"done": 0, "total": 61}
    assert_searches(opened)
    wanted.go.set()
    wait_until(lambda: not reembedding.under_way)
    reembedding.stop()
    assert_embedded_by(opened.catalog, wanted)
    assert_searches(opened)


class Interrupted(FakeEmbedder):
    """While it embeds for the first time, something else happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__(fingerprint=FORMER)
        self._happens: Callable[[], object] | None = happens

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        happens, self._happens = self._happens, None
        vectors = super().encode(texts)
        if happens is not None:
            happens()
        return vectors


def test_a_change_over_in_the_middle_of_an_ingest(knowledge: Knowledge) -> None:
    wanted = FakeEmbedder(16, "next/16")
    elsewhere = another(knowledge)
    embedder = Interrupted(lambda: reembed(elsewhere, wanted))
    opened = Knowledge(knowledge.config, knowledge.catalog, embedder, knowledge.index, wanted)
    take_in(opened, {"late.md": "# Late\n\nA zebra crosses."})
    elsewhere.close()
    assert opened.embedder is wanted
    lengths = {len(v) for v in opened.catalog.vectors(range(1, 1000)).values()}
    assert lengths == {16}
    hits = retrieve(opened, "zebra", PUBLIC, 1, settings=RetrieverConfig(mode="dense"))
    assert hits[0].uri == "test:late.md"
    assert_whole(opened.catalog)
