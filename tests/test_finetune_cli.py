"""`python -m finetune`: exit statuses, one JSON object as the last line, reasons in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from finetune.__main__ import main

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "trl", "peft", "datasets")


def finetune(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def overrides(tiny: Path, tmp_path: Path) -> list[str]:
    rows = tmp_path / "rows.jsonl"
    lines = [json.dumps({"prompt": f"say {i}", "completion": "yes"}) for i in range(20)]
    rows.write_text("\n".join(lines), encoding="utf-8")
    return [
        f"model.path={tiny}",
        f"data.train={rows}",
        f"output_dir={tmp_path / 'run'}",
        "train.epochs=1",
        "train.threads=1",
        "evaluate.max_new_tokens=2",
        "evaluate.bootstrap=100",
    ]


def test_help_teaches_and_loads_no_model_library() -> None:
    shown = finetune("--help")
    assert shown.returncode == 0
    for step in ("check", "plan", "train", "evaluate", "export", "compare", "data", "registry"):
        assert step in shown.stdout
    assert "data.train=rows.jsonl" in shown.stdout
    code = f"import sys, finetune.__main__; print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "[]", ran.stderr


def test_a_whole_run_ends_with_one_object(overrides: list[str], tmp_path: Path) -> None:
    ran = finetune("run", *overrides, "--json")
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.strip().splitlines()
    found: dict[str, Any] = json.loads(line)
    for name in ("exact_match", "token_f1", "rouge_l", "loss"):
        assert isinstance(found[name], float)
        assert isinstance(found[f"base_{name}"], float)
    assert found["rows"] == 2
    assert found["training"]["changed_tensors"] > 0
    assert [made["format"] for made in found["artefacts"]] == ["adapter"]
    folder = tmp_path / "run"
    for name in ("adapter", "export", "evaluation.json", "MODEL_CARD.md", "metrics.jsonl"):
        assert (folder / name).exists()
    again = finetune("train", *overrides)
    assert again.returncode == 1
    assert again.stderr.startswith("error: ")
    assert "holds a finished run" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1


def test_dry_runs_write_nothing(overrides: list[str], tmp_path: Path) -> None:
    for step in ("train", "run"):
        ran = finetune(step, *overrides, "--dry-run", "--json")
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout.strip().splitlines()[-1])
        assert found["dry_run"] is True
        assert found["total_steps"] == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["train", "train.epoch=3"], 2, "train.epochs"),
        (["train", "--config", "missing.yaml"], 2, "no such file"),
        (["train"], 1, "data.train is not set"),
        (["train", "data.train=missing.jsonl"], 1, "does not exist"),
        (["train", "model.path=missing", "data.train=x.jsonl"], 1, "holds no config.json"),
        (["train", "objective.name=dpo", "train.packing=true"], 1, "packing is of sft"),
        (["evaluate", "output_dir=nowhere"], 1, "run `train` first"),
        (["compare", "nowhere", "neither"], 1, "holds no run"),
    ],
)
def test_a_mistake_is_named_in_one_message(
    arguments: list[str],
    status: int,
    reason: str,
    models: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from finetune.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert reason in said


def test_ctrl_c_keeps_a_checkpoint_that_resume_goes_on_from(
    overrides: list[str], tmp_path: Path
) -> None:
    more = [*overrides, "train.epochs=300", "train.batch_size=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune", "train", *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    waited = time.monotonic()
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < waited + 60:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--resume goes on from it" in said
    assert list((tmp_path / "run" / "checkpoints").glob("checkpoint-*/complete.json"))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def absent(*_: object) -> bool:
        raise ModuleNotFoundError("No module named 'trl'", name="trl")

    monkeypatch.setattr("finetune.steps.check", absent)
    with pytest.raises(SystemExit) as caught:
        main(["check"])
    assert caught.value.code == 1
    assert "make setup EXTRAS=finetune" in capsys.readouterr().err
