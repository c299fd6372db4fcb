"""Every configuration file loads, and `configs/chat.yaml` says nothing but the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import settings
from finetune.config import RunConfig
from guardrails.config import GuardrailsConfig
from rag.config import FOREIGN_SECTIONS, RagConfig
from rag.sources.config import HttpSection, SourceSection
from rag.sources.site import SourcesConfig
from serve.config import ServeConfig
from serve.small_talk import SmallTalkConfig

CONFIGS = Path(__file__).parent.parent / "configs"
CHAT = CONFIGS / "chat.yaml"
NEMO = CONFIGS / "guardrails"
"""NeMo reads these itself; test_guardrails_rails.py opens them."""
ACCELERATE = CONFIGS / "accelerate"
"""For `accelerate launch`, which reads these itself."""
SOURCES = CONFIGS / "sources.yaml"
MODELS: dict[str, type[BaseModel]] = {
    "chat.yaml": ServeConfig,
    "sources.yaml": SourcesConfig,
    "small_talk.yaml": SmallTalkConfig,
    "finetune": RunConfig,
}
"""Which model a file, or all files of a folder, are validated by."""


def own_files() -> list[Path]:
    found = [*CONFIGS.rglob("*.yaml"), *CONFIGS.rglob("*.yml")]
    return sorted(path for path in found if not {NEMO, ACCELERATE} & {*path.parents})


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VSAGE_EMBEDDER_API_KEY", "VSAGE_GENERATOR_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("path", own_files(), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_it_loads(path: Path) -> None:
    name = str(path.relative_to(CONFIGS))
    model = MODELS.get(name) or MODELS.get(name.split("/")[0])
    assert model is not None, f"name the model of {name} in MODELS"
    settings.load(model, path)


def test_the_folder_holds_data_only() -> None:
    assert list(CONFIGS.rglob("*.py")) == []


def test_the_shipped_file_is_the_default() -> None:
    assert settings.load(ServeConfig, CHAT) == ServeConfig()


def test_rag_and_serve_read_the_same_file_alike() -> None:
    whole = settings.load(ServeConfig, CHAT)
    part = settings.load(RagConfig, CHAT, foreign=FOREIGN_SECTIONS)
    assert part == RagConfig(**{name: getattr(whole, name) for name in RagConfig.model_fields})
    assert set(ServeConfig.model_fields) - set(RagConfig.model_fields) == set(FOREIGN_SECTIONS)


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted paths of all values, sections followed down."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def stated(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= stated(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


RAILS = {"guardrails.enabled", "guardrails.rails_dir"}
KNOBS = {key for key in keys(ServeConfig) if key.startswith("guardrails.")} - RAILS
"""The rails' own knobs, each described in `guardrails.config`: the file names only the switch."""


def test_every_key_is_stated_with_its_default() -> None:
    written = stated(yaml.safe_load(CHAT.read_text(encoding="utf-8")))
    assert keys(ServeConfig) - KNOBS == set(written)
    default = stated(ServeConfig().model_dump(mode="json"))
    for key, value in written.items():
        secret = re.fullmatch(r"\$\{[A-Z_]+:-(.*)\}", str(value))
        assert (secret[1] if secret else value) == default[key], key
        number = type(default[key]) is float and type(value) is int
        assert secret or number or type(default[key]) is type(value), f"{key}: another type"


def test_every_value_has_a_comment() -> None:
    lines = CHAT.read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if re.match(r"\s*\w+:\s+[^#\s]", line)]
    assert len(values) == len(stated(yaml.safe_load("\n".join(lines))))
    bare = [line for line in values if not re.search(r"\s# ?\S", line)]
    assert bare == []


def test_it_opens_with_its_command() -> None:
    first = CHAT.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# Run it:   python -m serve --config configs/chat.yaml"


@pytest.mark.parametrize("key", sorted(keys(GuardrailsConfig)))
def test_every_knob_of_the_rails_is_described(key: str) -> None:
    section: type[BaseModel] = GuardrailsConfig
    *sections, name = key.split(".")
    for step in sections:
        inner = section.model_fields[step].annotation
        assert isinstance(inner, type)
        section = inner
    assert section.model_fields[name].description


def test_an_unknown_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(ServeConfig, CHAT, ["server.prot=1", "retriver.top_k=3", "server.port=70000"])
    problems = "\n".join(caught.value.problems)
    assert "server.prot: unknown key; did you mean 'server.port'?" in problems
    assert "'retriever'" in problems
    assert "server.port: input should be less than or equal to 65535" in problems


# --- sources.yaml -------------------------------------------------------------------------------


def uncommented() -> str:
    """The file with its examples switched on: what follows `  # ` in the part of the sources,
    unless it is prose."""
    head, mark, body = SOURCES.read_text(encoding="utf-8").partition("sources:\n")
    lines = [
        re.sub(r"^  # (?=\s*(?:[\w-]+:(?:\s|$)|#))", "  ", line) if "  #" in line[:3] else line
        for line in body.splitlines()
    ]
    return head + mark + "\n".join(lines) + "\n"


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourcesConfig:
    for name in re.findall(r"\$\{(\w+)\}", SOURCES.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, f"secret-{name}")
    path = tmp_path / "sources.yaml"
    path.write_text(uncommented(), encoding="utf-8")
    return settings.load(SourcesConfig, path)


def test_one_source_is_live() -> None:
    sources = settings.load(SourcesConfig, SOURCES).sources
    assert {name: source.kind for name, source in sources.items()} == {"kb": "files"}


def test_every_example_of_a_source_loads(examples: SourcesConfig) -> None:
    kinds = {name: source.kind for name, source in examples.sources.items()}
    assert kinds == {
        "kb": "files",
        "share": "files",
        "handbook": "web",
        "product-docs": "web",
        "pages": "web",
        "wiki": "confluence",
        "bugs": "bugzilla",
        "lab": "vcenter",
    }


def test_the_examples_show_every_key_of_every_kind(examples: SourcesConfig) -> None:
    common = set(SourceSection.model_fields)
    http = set(HttpSection.model_fields) - common
    shown: dict[str, set[str]] = {}
    for source in examples.sources.values():
        given = {key for key in source.model_fields_set if getattr(source, key) is not None}
        shown.setdefault(source.kind, set()).update(given)
        every = set(type(source).model_fields)
        missing = every - shown[source.kind] - common - (http if source.kind != "web" else set())
        shown[f"{source.kind} lacks"] = missing
    assert common | {"kind", "paths"} == shown["files"]
    # One source takes either a token or user and password: the example says so beside the token.
    assert shown["web lacks"] == {"user", "password"}
    assert [shown[f"{kind} lacks"] for kind in ("confluence", "bugzilla", "vcenter")] == [set()] * 3


def test_what_is_shown_as_a_default_is_one(examples: SourcesConfig) -> None:
    handbook = examples.sources["handbook"]
    for key in (*HttpSection.model_fields, "respect_robots", "main_text"):
        if key != "product":
            assert getattr(handbook, key) == type(handbook).model_fields[key].default, key


def test_sources_open_with_their_command() -> None:
    first = SOURCES.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# Run it:   python -m rag sync --dry-run")
