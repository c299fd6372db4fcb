"""Shared fixtures. Real models, opened once a run; no network but loopback, no state but in tmp."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports a model library: no hub look-ups, no telemetry, no colours in output.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "200"
for _name in [
    name for name in os.environ if name.startswith("VSAGE_") and name != "VSAGE_DEV_DATA"
]:
    del os.environ[_name]

# A shell's background job ignores Ctrl-C and hands that on; the commands under test must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest

ROOT = Path(__file__).parent.parent
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: Any) -> Any:
    if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
        raise AssertionError(f"a test tried to reach {address}: only loopback is allowed")
    return _connect(self, address)


socket.socket.connect = _loopback_only  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations name files relative to the repository's root."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """The development data, for those who have it."""
    folder = os.environ.get("VSAGE_DEV_DATA")
    if not folder:
        pytest.skip("VSAGE_DEV_DATA is not set: point it at the development data")
    return Path(folder)


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the embedded models; `make test` has put them there."""
    from rag.models import models_ready

    folder = ROOT / "models"
    if not models_ready(folder):
        pytest.skip("the embedded models are missing: run `make models`")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A Llama of random weights with the embedded model's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(models / "SmolLM2-135M-Instruct" / "hf" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def embedder(models: Path) -> Any:
    """The embedded MiniLM."""
    from rag.config import EmbedderConfig
    from rag.embed import open_embedder

    return open_embedder(EmbedderConfig(model=str(models / "all-MiniLM-L6-v2")))


@pytest.fixture(scope="session")
def generator(models: Path) -> Iterator[Any]:
    """The embedded SmolLM2 on llama.cpp, two slots."""
    import asyncio

    from rag.config import GeneratorConfig
    from rag.generate import open_generator

    folder = models / "SmolLM2-135M-Instruct"
    path = folder / "SmolLM2-135M-Instruct.Q8_0.gguf"
    opened = open_generator(GeneratorConfig(model=str(path), slots=2))
    assert opened is not None
    yield opened
    asyncio.run(opened.close())


@pytest.fixture(scope="session")
def kb_data_dir(tmp_path_factory: pytest.TempPathFactory, embedder: Any) -> Path:
    """A data folder with `docs/kb` ingested. Read it only: other tests share it."""
    from rag.config import RagConfig
    from rag.ingest import ingest
    from rag.knowledge import open_knowledge
    from rag.sources.files import FileSource

    folder = tmp_path_factory.mktemp("kb")
    knowledge = open_knowledge(RagConfig(data_dir=folder), embedder)
    source = FileSource([ROOT / "docs" / "kb"], max_bytes=10**8)
    report = ingest(knowledge, list(source.documents()), frozenset({"everyone"}))
    assert not report.failures
    knowledge.close()
    return folder


@pytest.fixture(scope="session")
def knowledge(kb_data_dir: Path, embedder: Any) -> Iterator[Any]:
    """The sample knowledge base, opened. Read it only: other tests share it."""
    from rag.config import RagConfig
    from rag.knowledge import open_knowledge

    opened = open_knowledge(RagConfig(data_dir=kb_data_dir), embedder)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server_data(tmp_path_factory: pytest.TempPathFactory, kb_data_dir: Path) -> Path:
    """The data folder of `running_server`: a copy of the sample documents."""
    folder = tmp_path_factory.mktemp("server") / "data"
    shutil.copytree(kb_data_dir, folder)
    return folder


@pytest.fixture(scope="session")
def running_server(server_data: Path) -> Iterator[str]:
    """Base URL of `python -m serve` in a process of its own, over a copy of the sample documents.

    Quotations alone, so that it starts and answers quickly; tests may add documents.
    """
    overrides = [
        f"data_dir={server_data}",
        "generator.provider=extractive",
        "server.log_level=warning",
    ]
    command = [sys.executable, "-m", "serve", "--port", "0", *overrides]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = process.stdout.readline()
        url = re.search(r"page (http://\S+)/ ", announced)
        assert url, f"the server did not start: {announced!r}"
        yield url.group(1)
        process.terminate()
