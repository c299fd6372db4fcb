"""YAML + overrides -> model: precedence, and every problem named at once with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag.config import FOREIGN_SECTIONS, RagConfig
from settings import SettingsError, load, split_overrides


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(10, ge=1, le=100)
    share: float = 0.5
    names: tuple[str, ...] = ()
    mode: Literal["fast", "slow"] = "fast"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = "untitled"
    on: bool = False
    folder: Path = Path("data")
    inner: Inner = Inner()
    other: Inner | None = None


class Strict(BaseModel):
    needed: str
    low: int = 1
    high: int = 2

    @model_validator(mode="after")
    def _ordered(self) -> Strict:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.yaml"


def read(file: Path, text: str, *overrides: str, foreign: tuple[str, ...] = ()) -> Outer:
    file.write_text(text, encoding="utf-8")
    return load(Outer, file, overrides, foreign)


def problems(file: Path, text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(file, text, *overrides)
    assert str(caught.value).startswith(f"{file}: {len(caught.value.problems)} problem")
    assert all(f"\n  {problem}" in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_defaults_then_file_then_overrides(file: Path) -> None:
    text = "inner: {size: 20, share: 0.7}"
    assert read(file, "").inner == Inner()
    assert read(file, text).inner == Inner(size=20, share=0.7)
    assert read(file, text, "inner.size=30").inner == Inner(size=30, share=0.7)
    assert read(file, text, "inner.size=30", "inner.size=31").inner.size == 31


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff# marked\n"])
def test_an_empty_file_means_the_defaults(file: Path, text: str) -> None:
    assert read(file, text) == Outer()


def test_all_problems_are_reported_together(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    text = "title: ${NOT_SET}\ninner: {size: 0, sahre: 1, mode: quick}\nflder: x\n"
    found = problems(file, text, "on=perhaps", "nonsense", "title.below=1")
    assert len(found) == 8
    together = "\n".join(found)
    assert "title: the environment variable NOT_SET is not set" in together
    assert "${NOT_SET:-default}" in together
    assert "'nonsense' is not an override: write key.path=value" in together
    assert "title.below: 'title' is a single value and has no keys below it" in together
    assert "inner.size: input should be greater than or equal to 1 (given: 0)" in together
    assert "inner.sahre: unknown key; did you mean 'inner.share'?" in together
    assert "inner.mode: input should be 'fast' or 'slow' (given: 'quick')" in together
    assert "flder: unknown key; did you mean 'folder'?" in together
    assert "on: input should be a valid boolean" in together


def test_an_unknown_key_is_looked_for_elsewhere(file: Path) -> None:
    assert problems(file, "size: 3") == ("size: unknown key; did you mean 'inner.size'?",)
    assert problems(file, "inner: {title: x}") == (
        "inner.title: unknown key; did you mean 'title'?",
    )
    (found,) = problems(file, "other: {zzzzz: 1}")
    assert found == "other.zzzzz: unknown key; known here: mode, names, share, size"


def test_a_required_key_and_a_rule_of_the_whole(file: Path) -> None:
    file.write_text("low: 1")
    with pytest.raises(SettingsError, match="needed: is required"):
        load(Strict, file)
    file.write_text("{needed: x, low: 3}")
    with pytest.raises(SettingsError, match=r"\(whole file\): low must not exceed high"):
        load(Strict, file)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("inner.size=7", "inner.size", 7),
        ("inner.share=1e-2", "inner.share", 0.01),
        ("inner.share=1", "inner.share", 1.0),
        ("on=true", "on", True),
        ("on=no", "on", False),
        ("inner.names=[a, b]", "inner.names", ("a", "b")),
        ("inner.names=[]", "inner.names", ()),
        ("inner={size: 3}", "inner.size", 3),
        ("other.size=4", "other.size", 4),
        ("title=", "title", ""),
        ("title=a=b", "title", "a=b"),
        ("title='7'", "title", "7"),
        ("title=with spaces: and colons: x", "title", "with spaces: and colons: x"),
        ("title=[unclosed", "title", "[unclosed"),
        ("title=2024-13-45", "title", "2024-13-45"),
        ("title=two\nlines", "title", "two lines"),
        ("folder=/srv/päth", "folder", Path("/srv/päth")),
    ],
)
def test_overrides_of_every_type(file: Path, override: str, path: str, value: object) -> None:
    found: object = read(file, "other:\n", override)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_an_override_is_not_expanded_but_the_file_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SIZE", "42")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOT_SET", raising=False)
    read_ = read(file, "inner: {size: '${SOME_SIZE}', names: ['a${SOME_SIZE}b', '${NOT_SET:-}']}")
    assert read_.inner.size == 42
    assert read_.inner.names == ("a42b", "")
    assert read(file, "title: ${NOT_SET:-a:b-c d}").title == "a:b-c d"
    assert read(file, "title: ${SOME_SIZE:-other}/${NOT_SET:-x}").title == "42/x"
    assert read(file, "title: ${EMPTY}").title == ""
    assert read(file, "title: $SOME_SIZE {SOME_SIZE} $${}").title == "$SOME_SIZE {SOME_SIZE} $${}"
    assert read(file, "", "title=${NOT_SET}").title == "${NOT_SET}"
    (found,) = problems(file, "inner: {names: [a, '${NOT_SET}']}")
    assert found.startswith("inner.names[1]: the environment variable NOT_SET is not set")


def test_a_value_from_the_environment_is_not_parsed_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL", "x}\nfolder: /etc\n${EVIL}")
    assert read(file, "title: ${EVIL}") == Outer(title="x}\nfolder: /etc\n${EVIL}")


def test_a_key_given_twice_is_refused(file: Path) -> None:
    (found,) = problems(file, "title: a\non: true\ntitle: b\n")
    assert "the key 'title' stands twice" in found
    assert "line 3" in found
    (found,) = problems(file, "inner:\n  size: 1\n  size: 2\n")
    assert "the key 'size' stands twice" in found


def test_anchors_and_merges_are_plain_yaml(file: Path) -> None:
    text = "inner: &base {size: 20}\nother:\n  <<: *base\n  share: 0.1\n"
    assert read(file, text).other == Inner(size=20, share=0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("a: [1, 2\nb: 3", "is not valid YAML"),
        ("a: b: c", "is not valid YAML"),
        ("\ttitle: x", "is not valid YAML"),
        ("title: \x07", "is not valid YAML"),
        ("? [a, b]\n: c\n", "a key must be a single value"),
        ("? {a: b}\n: c\n", "a key must be a single value"),
        ("title: 2024-13-45", "is not valid YAML"),
        ("title: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("1: x", "1: "),
        ("inner: 5", "inner: "),
    ],
)
def test_what_is_no_settings_file(file: Path, text: str, said: str) -> None:
    (found,) = problems(file, text)
    assert said in found
    assert "\n" not in found


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file: name one with --config"):
        load(Outer, tmp_path / "missing.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(Outer, tmp_path)
    (tmp_path / "latin.yaml").write_bytes("title: Größe".encode("latin-1"))
    with pytest.raises(SettingsError, match="cannot be read"):
        load(Outer, tmp_path / "latin.yaml")


def test_foreign_sections_are_left_to_their_owner(file: Path) -> None:
    text = "title: x\nserver: {port: 1, anything: [2]}\n"
    assert read(file, text, "server.port=2", foreign=("server",)).title == "x"
    assert problems(file, text) == (
        "server: unknown key; known here: folder, inner, on, other, title",
    )
    file.write_text("sever: {port: 1}")
    with pytest.raises(SettingsError, match="did you mean 'server'"):
        load(Outer, file, (), ("server",))


def test_overrides_are_told_from_operands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "title=x").write_text("a file of that very name")
    arguments = [
        "docs/a.md", "a.b=c", "title=x", "a=", "./k=v", "-x=1", "a..b=1", "9a=1", "k=two\nlines", ""
    ]  # fmt: skip
    operands, overrides = split_overrides(arguments)
    assert overrides == ["a.b=c", "a=", "k=two\nlines"]
    assert operands == ["docs/a.md", "title=x", "./k=v", "-x=1", "a..b=1", "9a=1", ""]


def test_an_override_may_be_longer_than_a_file_name() -> None:
    long = "title=" + "x" * 10_000
    assert split_overrides([long, "nul=a\0b"]) == ([], [long, "nul=a\0b"])


def test_the_shipped_configuration_holds_the_defaults() -> None:
    shipped = load(RagConfig, Path("configs/chat.yaml"), (), FOREIGN_SECTIONS)
    assert shipped == RagConfig()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("chunk.max_tokens=300", "chunk.max_tokens is larger than embedder.max_tokens"),
        ("prompt.max_passage_tokens=4000", "leaves no room for the question: at most 3640"),
        ("generator.max_tokens=4096", "max_tokens must be smaller than context_tokens"),
        ("retriever.lexical_weight=1.5", "less than or equal to 1"),
        ("retriever.lexical_weight=nan", "retriever.lexical_weight"),
        ("retriever.top_k=0", "greater than or equal to 1"),
        ("retriever.top_k=2.5", "retriever.top_k"),
        ("index.provider=chroma", "'faiss'"),
    ],
)
def test_bounds_that_keep_a_configuration_sane(override: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(RagConfig, Path("configs/chat.yaml"), [override], FOREIGN_SECTIONS)
    assert said in str(caught.value)


class Keyed(BaseModel):
    api_key: str = ""
    name: str = ""


@pytest.mark.parametrize(("environment", "read"), [(None, "d"), ("", "d"), ("v", "v")])
def test_an_empty_variable_takes_the_default_as_in_a_shell(
    file: Path, monkeypatch: pytest.MonkeyPatch, environment: str | None, read: str
) -> None:
    if environment is None:
        monkeypatch.delenv("SOME_NAME", raising=False)
    else:
        monkeypatch.setenv("SOME_NAME", environment)
    file.write_text("name: ${SOME_NAME:-d}\n")
    assert load(Keyed, file).name == read


def test_a_secret_is_not_shown_in_an_error(file: Path) -> None:
    file.write_text("api_key: 424242\nname: 7\n")
    with pytest.raises(SettingsError) as caught:
        load(Keyed, file)
    assert "424242" not in str(caught.value)
    assert "given: 7" in str(caught.value)
