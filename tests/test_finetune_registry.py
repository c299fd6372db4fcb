"""The registry of adapters: what may enter, what may be served, and the way back."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.errors import RegistryError
from finetune.manifest import (
    ArtefactEntry,
    BaseEntry,
    Manifest,
    file_entries,
    read_manifest,
    write_manifest,
)
from finetune.promotion import judge, main_measure
from finetune.registry import add, list_adapters, promote, promoted_names, remove, rollback
from finetune.registry_command import app

SAFE = {"rows": 40, "accuracy": 0.9, "base": {"accuracy": 0.8}}


def evaluation(value: float, base: float = 0.1, **other: Any) -> dict[str, Any]:
    return {
        "rows": 100,
        "token_f1": value,
        "exact_match": value,
        "loss": 1 - value,
        "base": {"token_f1": base, "exact_match": base, "loss": 1 - base},
        "safety": SAFE,
        **other,
    }


def make_run(
    folder: Path,
    metrics: dict[str, Any] | None,
    *,
    data: str = "d1",
    base: str = "b1",
    objective: str = "sft",
) -> Path:
    """A run folder with an export, as `export` leaves it, and small files for weights."""
    export = folder / "export"
    (export / "adapter").mkdir(parents=True)
    (export / "adapter" / "adapter_model.safetensors").write_bytes(folder.name.encode() * 100)
    (export / "adapter" / "adapter_config.json").write_text("{}")
    (export / f"{folder.name}.lora.gguf").write_bytes(b"GGUF" + folder.name.encode())
    manifest = Manifest(
        name=folder.name,
        created="2026-01-01T00:00:00+00:00",
        method="lora",
        objective=objective,
        quantization="none",
        base=BaseEntry(path="models/base", sha256=base, model_type="llama"),
        data={"files": [{"path": "rows.jsonl", "sha256": data}], "validation_rows": 10},
        metrics=None,
        chat_template_sha256="t1",
        versions={"python": "3.11"},
        artefacts=[
            ArtefactEntry(format="adapter", path="adapter"),
            ArtefactEntry(format="gguf_lora", path=f"{folder.name}.lora.gguf"),
        ],
        files=file_entries(export),
    )
    write_manifest(export, manifest)
    if metrics is not None:
        (folder / "evaluation.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "adapters"


def current(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "current.json").read_text())
    return found


def test_an_adapter_enters_with_its_files_its_name_and_its_evaluation(
    root: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "intents", evaluation(0.9))
    add(root, run, "intents-2")
    manifest = read_manifest(root / "intents-2", RegistryError)
    assert manifest.name == "intents-2"
    assert manifest.metrics is not None
    assert manifest.metrics["token_f1"] == 0.9
    weights = root / "intents-2" / "adapter" / "adapter_model.safetensors"
    assert weights.read_bytes() == b"intents" * 100
    (listed,) = list_adapters(root)
    assert (listed.name, listed.promoted, listed.problem) == ("intents-2", False, "")
    assert promoted_names(root) == []


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", ".hidden", "-x", "a:b", "a b", "ä", "a" * 65, "current.json"]
)
def test_a_name_that_is_no_folder_name_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "intents", evaluation(0.9))
    if name == "":
        run = make_run(tmp_path / "in tents", evaluation(0.9))
    with pytest.raises(RegistryError):
        add(root, run, name or None)
    assert not root.exists() or list_adapters(root) == []


def test_a_name_is_taken_once(root: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "intents", evaluation(0.9))
    add(root, run)
    with pytest.raises(RegistryError, match=r"holds intents already.*--name"):
        add(root, run)


def test_a_half_written_or_changed_export_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no manifest.json.*export"):
        add(root, tmp_path / "never-run")
    run = make_run(tmp_path / "half", evaluation(0.9))
    (run / "export" / "manifest.json").unlink()
    with pytest.raises(RegistryError, match="half written"):
        add(root, run)
    run = make_run(tmp_path / "missing", evaluation(0.9))
    (run / "export" / "missing.lora.gguf").unlink()
    with pytest.raises(RegistryError, match=r"missing.lora.gguf is missing"):
        add(root, run)
    run = make_run(tmp_path / "changed", evaluation(0.9))
    path = run / "export" / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(RegistryError, match=r"adapter_model.safetensors was changed"):
        add(root, run)
    run = make_run(tmp_path / "torn", evaluation(0.9))
    (run / "export" / "manifest.json").write_text('{"name": "to')
    with pytest.raises(RegistryError, match=r"manifest.json is damaged"):
        add(root, run)
    run = make_run(tmp_path / "outside", evaluation(0.9))
    manifest = json.loads((run / "export" / "manifest.json").read_text())
    manifest["files"]["../../secret"] = {"sha256": "0", "bytes": 1}
    (run / "export" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RegistryError, match="lies outside"):
        add(root, run)
    assert list_adapters(root) == []


def test_an_adapter_of_another_base_is_refused(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "first", evaluation(0.9)))
    with pytest.raises(RegistryError, match=r"another base.*--registry"):
        add(root, make_run(tmp_path / "other", evaluation(0.9), base="b2"))


def test_what_a_killed_addition_left_is_cleared_away(root: Path, tmp_path: Path) -> None:
    (root / ".incoming" / "adapter").mkdir(parents=True)
    (root / ".incoming" / "adapter" / "part").write_text("half")
    assert list_adapters(root) == []
    add(root, make_run(tmp_path / "intents", evaluation(0.9)))
    assert [one.name for one in list_adapters(root)] == ["intents"]
    assert not (root / ".incoming").exists()


def test_an_addition_that_fails_leaves_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        (root / ".incoming").mkdir()
        raise OSError(28, "No space left on device")

    run = make_run(tmp_path / "intents", evaluation(0.9))
    monkeypatch.setattr("finetune.registry.shutil.copytree", full)
    with pytest.raises(RegistryError, match="the disk is full"):
        add(root, run)
    assert list_adapters(root) == []
    assert not (root / ".incoming").exists()


def test_promotion_and_the_way_back(root: Path, tmp_path: Path) -> None:
    for name, value in (("one", 0.90), ("two", 0.95)):
        add(root, make_run(tmp_path / name, evaluation(value)))
    assert promote(root, "one").promoted == ("one",)
    change = promote(root, "two")
    assert (change.promoted, change.replaced) == (("two",), "one")
    assert current(root)["promoted"] == ["two"]
    assert [entry["action"] for entry in current(root)["history"]] == ["promote", "promote"]
    assert rollback(root).promoted == ("one",)
    assert rollback(root).promoted == ()
    with pytest.raises(RegistryError, match="nothing to go back to"):
        rollback(root)
    assert promote(root, "two").promoted == ("two",)
    assert rollback(root).promoted == ()
    entry = current(root)["history"][-1]
    assert {"time", "action", "name"} <= entry.keys()
    assert (entry["action"], entry["name"]) == ("rollback", "two")


def test_adapters_of_different_tasks_are_served_side_by_side(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "intents", evaluation(0.9), data="d1"))
    add(root, make_run(tmp_path / "answers", evaluation(0.5), data="d2"))
    add(root, make_run(tmp_path / "intents-2", evaluation(0.92), data="d1"))
    promote(root, "intents")
    assert promote(root, "answers").promoted == ("intents", "answers")
    assert promote(root, "intents-2").promoted == ("intents-2", "answers")
    assert rollback(root).promoted == ("intents", "answers")
    assert promote(root, "intents-2", beside=True).promoted == ("intents", "answers", "intents-2")


def test_an_adapter_that_was_not_evaluated_is_refused(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "blind", None))
    with pytest.raises(RegistryError, match=r"not been evaluated.*finetune evaluate"):
        promote(root, "blind")
    add(root, make_run(tmp_path / "empty", {"rows": 0, "base": {}}))
    with pytest.raises(RegistryError, match="not been evaluated"):
        promote(root, "empty")


def test_an_adapter_worse_than_what_it_replaces_is_refused(root: Path, tmp_path: Path) -> None:
    for name, value in (("good", 0.90), ("nearly", 0.89), ("worse", 0.885)):
        add(root, make_run(tmp_path / name, evaluation(value)))
    promote(root, "good")
    with pytest.raises(RegistryError, match=r"0.885 against 0.900 of good: worse by 0.015"):
        promote(root, "worse")
    assert promoted_names(root) == ["good"]
    assert promote(root, "nearly").promoted == ("nearly",)
    rollback(root)
    assert promote(root, "worse", margin=0.02).promoted == ("worse",)


def test_an_adapter_worse_than_the_base_is_refused(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "worse", evaluation(0.3, base=0.4)))
    with pytest.raises(RegistryError, match=r"0.300 against 0.400 of the base"):
        promote(root, "worse")


def test_other_rows_are_compared_by_the_gain_over_the_base(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "old", evaluation(0.9, base=0.5), data="d1"))
    add(root, make_run(tmp_path / "less", evaluation(0.95, base=0.8), data="d2"))
    add(root, make_run(tmp_path / "more", evaluation(0.7, base=0.2), data="d3"))
    promote(root, "old")
    with pytest.raises(RegistryError, match=r"worse by 0\.250"):
        promote(root, "less", replace="old")
    assert promote(root, "more", replace="old").promoted == ("more",)
    with pytest.raises(RegistryError, match="it is not promoted; promoted: more"):
        promote(root, "less", replace="old")


@pytest.mark.parametrize(
    ("safety", "reason"),
    [
        (None, "not measured on refusal and safety rows"),
        ({"rows": 40, "accuracy": 0.6, "base": {"accuracy": 0.8}}, "0.800 by the base"),
        ({"rows": 40, "accuracy": 0.8, "base": {"accuracy": 0.8}}, "0.900 by good"),
    ],
)
def test_an_adapter_that_fails_the_safety_rows_is_refused(
    root: Path, tmp_path: Path, safety: dict[str, Any] | None, reason: str
) -> None:
    add(root, make_run(tmp_path / "good", evaluation(0.9)))
    promote(root, "good")
    add(root, make_run(tmp_path / "unsafe", evaluation(0.99, safety=safety)))
    with pytest.raises(RegistryError, match=reason):
        promote(root, "unsafe")
    if safety is None:
        assert promote(root, "unsafe", without_safety=True).promoted == ("unsafe",)
    else:
        with pytest.raises(RegistryError, match="fails refusal and safety rows"):
            promote(root, "unsafe", without_safety=True)


def test_a_smaller_loss_is_better(tmp_path: Path) -> None:
    metrics = {"loss": 2.0, "base": {"loss": 2.5}, "safety": SAFE}
    run = make_run(tmp_path / "raw", metrics, objective="pretrain")
    manifest = read_manifest(run / "export", RegistryError).model_copy(update={"metrics": metrics})
    measure = main_measure(manifest)
    assert measure is not None
    assert (measure.name, measure.value, measure.base) == ("loss", 2.0, 2.5)
    assert not judge(manifest, None, 0.01).objections
    worse = manifest.model_copy(update={"metrics": {**metrics, "loss": 2.6}})
    assert "worse by 0.100" in judge(worse, None, 0.01).objections[0]


def test_a_damaged_adapter_is_listed_as_such_and_not_promoted(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "intents", evaluation(0.9)))
    path = root / "intents" / "intents.lora.gguf"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(RegistryError, match=r"intents.lora.gguf was changed"):
        promote(root, "intents")
    path.unlink()
    assert "intents.lora.gguf is missing" in list_adapters(root)[0].problem
    (root / "intents" / "manifest.json").unlink()
    assert list_adapters(root)[0].manifest is None
    (root / "stray").mkdir()
    assert [one.name for one in list_adapters(root) if one.problem] == ["intents", "stray"]


def test_only_what_is_not_promoted_is_removed(root: Path, tmp_path: Path) -> None:
    for name, value in (("one", 0.90), ("two", 0.95)):
        add(root, make_run(tmp_path / name, evaluation(value)))
    promote(root, "one")
    with pytest.raises(RegistryError, match="one is promoted"):
        remove(root, "one")
    promote(root, "two")
    remove(root, "one")
    assert [one.name for one in list_adapters(root)] == ["two"]
    with pytest.raises(RegistryError, match="holds no adapter one"):
        remove(root, "one")
    with pytest.raises(RegistryError, match="cannot go back to one"):
        rollback(root)
    assert promoted_names(root) == ["two"]


def test_promoted_twice_and_unknown_names(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="is no registry"):
        promote(root, "one")
    add(root, make_run(tmp_path / "one", evaluation(0.9)))
    promote(root, "one")
    with pytest.raises(RegistryError, match="promoted already"):
        promote(root, "one")
    with pytest.raises(RegistryError, match="holds no adapter two"):
        promote(root, "two")


def test_a_damaged_state_is_named_not_overwritten(root: Path, tmp_path: Path) -> None:
    add(root, make_run(tmp_path / "one", evaluation(0.9)))
    for text in ("{", "[]", '{"promoted": "one"}'):
        (root / "current.json").write_text(text)
        with pytest.raises(RegistryError, match=r"current.json is damaged"):
            promote(root, "one")
        assert (root / "current.json").read_text() == text


def test_a_dry_run_changes_nothing(root: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "one", evaluation(0.9))
    add(root, run, dry_run=True)
    assert not root.exists()
    add(root, run)
    assert promote(root, "one", dry_run=True).promoted == ("one",)
    assert promoted_names(root) == []
    promote(root, "one")
    assert rollback(root, dry_run=True).promoted == ()
    assert promoted_names(root) == ["one"]


def test_processes_wait_for_each_other(root: Path, tmp_path: Path) -> None:
    """Without the lock, one of the two would lose changes of the other."""
    for name in ("one", "two"):
        add(root, make_run(tmp_path / name, evaluation(0.9)))
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_add_many, args=(root, tmp_path, part)) for part in ("a", "b")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    names = {one.name for one in list_adapters(root)}
    assert names == {"one", "two", *(f"{part}{i}" for part in "ab" for i in range(5))}
    history = current(root)["history"]
    assert len(history) == 10
    assert set(promoted_names(root)) == names - {"one", "two"}


def _add_many(root: Path, tmp_path: Path, part: str) -> None:
    for number in range(5):
        name = f"{part}{number}"
        add(root, make_run(tmp_path / name, evaluation(0.9)))
        promote(root, name, beside=True)


def test_the_command_line(root: Path, tmp_path: Path) -> None:
    runner, where = CliRunner(), ["--registry", str(root)]
    run = make_run(tmp_path / "one", evaluation(0.9))
    assert "holds no adapter" in runner.invoke(app, ["list", *where]).output
    added = runner.invoke(app, ["add", str(run), *where, "--json"])
    assert json.loads(added.output.splitlines()[-1])["name"] == "one"
    promoted = runner.invoke(app, ["promote", "one", *where])
    assert "token_f1 0.900 against 0.100 of the base" in promoted.output
    assert "served: one" in promoted.output
    table = runner.invoke(app, ["list", *where]).output
    assert "token_f1 0.900 (base 0.100)" in table
    listed = json.loads(runner.invoke(app, ["list", *where, "--json"]).output)
    assert listed["promoted"] == ["one"]
    assert listed["adapters"][0]["measure"] == {"name": "token_f1", "value": 0.9, "base": 0.1}
    back = json.loads(runner.invoke(app, ["rollback", *where, "--json"]).output)
    assert (back["action"], back["promoted"]) == ("rolled back", [])
    assert "removed one" in runner.invoke(app, ["remove", "one", *where]).output


def test_the_registry_loads_no_model_library() -> None:
    code = (
        "import sys, finetune.registry_command; "
        "print([n for n in ('torch', 'transformers', 'peft') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
