"""Training end to end on a small Llama: objectives, resuming, and what goes wrong."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from finetune import run_folder
from finetune.config import RunConfig
from finetune.errors import ConfigError, DataError, ModelError, PreflightError, TrainingError
from finetune.evaluate import evaluate
from finetune.length_batches import length_order
from finetune.resume import checkpoints, is_complete
from finetune.train import probe, train
from finetune.train_result import TrainResult

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries; ours would be errors

WORDS = ("red", "green", "blue", "warm", "cold", "fast", "slow", "tall")


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    asked = [
        {"prompt": f"say {w} {i}" + " x" * i, "completion": w} for i in range(3) for w in WORDS
    ]
    return written(tmp_path / "rows.jsonl", asked)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    asked = [
        {"prompt": f"say {w} {i}", "chosen": w, "rejected": f"no {w}"}
        for i in range(2)
        for w in WORDS
    ]
    return written(tmp_path / "pairs.jsonl", asked)


def run_of(tiny: Path, rows: Path, folder: Path, **sections: dict[str, Any]) -> RunConfig:
    values: dict[str, dict[str, Any]] = {
        "model": {"path": str(tiny)},
        "data": {"train": str(rows), "max_length": 128},
        "method": {"rank": 4, "dropout": 0.1},
        "train": {"device": "cpu", "threads": 1, "batch_size": 4, "epochs": 2, "save_every": 3},
        "evaluate": {"max_rows": 4, "max_new_tokens": 3, "bootstrap": 100},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return RunConfig.model_validate({"output_dir": str(folder), **values})


def trained(run: RunConfig, *, resume: bool = False, yes: bool = False) -> TrainResult:
    return train(run, resume=resume, dry_run=False, progress=False, yes=yes)


def adapter_bytes(run: RunConfig) -> bytes:
    return (run.output_dir / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_run_folder_tells_what_was_done(tiny: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(tiny, rows, tmp_path / "run")
    result = trained(run)
    folder = run.output_dir
    assert run_folder.read_run(folder) == run
    metrics = run_folder.read_lines(folder / "metrics.jsonl")
    steps = [line["step"] for line in metrics if "loss" in line]
    assert steps == list(range(1, result.steps + 1))
    assert all(line["tokens_per_second"] > 0 for line in metrics if "loss" in line)
    assert any("eval_loss" in line for line in metrics)
    data = run_folder.read_json(folder / "data.json")
    assert data["train_rows"] + data["validation_rows"] == 24
    assert len(data["files"][0]["sha256"]) == 64
    base = run_folder.read_json(folder / "base.json")
    assert base["model_type"] == "llama"
    assert base["chat_template_sha256"]
    assert run_folder.read_json(folder / "environment.json")["packages"]["trl"]
    assert (folder / "loss.png").stat().st_size > 1000
    assert not list((folder / "adapter").glob("*.bin"))


def test_a_resumed_run_is_the_same_to_the_bit(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after step 4, in the middle of an epoch, with dropout, as Ctrl-C does it."""
    whole = run_of(tiny, rows, tmp_path / "whole")
    trained(whole)
    broken = run_of(tiny, rows, tmp_path / "broken")
    _interrupt_after(4, monkeypatch)
    stopped = trained(broken)
    monkeypatch.undo()
    assert stopped.interrupted
    assert stopped.artefact is None
    assert [path.name for path in checkpoints(broken.output_dir)][-1] == "checkpoint-4"
    resumed = trained(broken, resume=True)
    assert resumed.resumed_from == 4
    assert adapter_bytes(broken) == adapter_bytes(whole)
    losses = [
        [
            line["loss"]
            for line in run_folder.read_lines(r.output_dir / "metrics.jsonl")
            if "loss" in line
        ]
        for r in (whole, broken)
    ]
    assert losses[0] == losses[1]


def test_a_resumed_run_in_a_later_epoch_is_the_same_to_the_bit(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {"model": {"quantization": "nf4"}, "train": {"early_stopping": 5}}
    whole = run_of(tiny, rows, tmp_path / "whole", **sections, method={"name": "ia3"})
    whole = whole.model_copy(
        update={"train": whole.train.model_copy(update={"save_every": 0, "epochs": 2})}
    )
    trained(whole)
    broken = whole.model_copy(update={"output_dir": tmp_path / "broken"})
    _interrupt_after(8, monkeypatch)
    assert trained(broken).interrupted
    monkeypatch.undo()
    trained(broken, resume=True)
    assert adapter_bytes(broken) == adapter_bytes(whole)


def test_resuming_is_refused_when_something_changed(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    run = run_of(base, rows, tmp_path / "run")
    _interrupt_after(3, monkeypatch)
    assert trained(run).interrupted
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"holds a run that was broken off: go on with --resume"):
        trained(run)
    other = run_of(base, rows, tmp_path / "run", train={"learning_rate": 0.1})
    with pytest.raises(ConfigError, match=r"train\.learning_rate was None, is 0\.1"):
        trained(other, resume=True)
    kept = rows.read_text(encoding="utf-8")
    rows.write_text(kept.replace("say red 0", "say pink 0"), encoding="utf-8")
    with pytest.raises(DataError, match="has changed since the run was begun"):
        trained(run, resume=True)
    rows.write_text(kept, encoding="utf-8")
    with (base / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(ModelError, match="is not the base that the run was begun with"):
        trained(run, resume=True)


def test_a_checkpoint_cut_short_is_ignored(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tiny, rows, tmp_path / "run")
    _interrupt_after(7, monkeypatch)
    trained(run)
    monkeypatch.undo()
    *_, earlier, last = checkpoints(run.output_dir)
    (last / "complete.json").unlink()
    assert checkpoints(run.output_dir)[-1] == earlier
    with (earlier / "optimizer.pt").open("ab") as file:
        file.write(b"x")
    assert not is_complete(earlier)
    with pytest.raises(TrainingError, match=r"no complete checkpoint: begin again with --yes"):
        trained(run, resume=True)
    assert trained(run, yes=True).artefact


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(
    tiny: Path, rows: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the full disk: the optimiser's state exceeds it."""
    run = run_of(tiny, rows, tmp_path / "run", method={"rank": 64})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"no space left for .*--resume"):
            trained(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert checkpoints(run.output_dir) == []
    assert trained(run, yes=True).artefact


def test_a_loss_that_is_no_number_stops_the_run(tiny: Path, rows: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    run = run_of(base, rows, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"loss is nan after step 1.*learning_rate"):
        trained(run)
    assert run_folder.artefact_or_none(run.output_dir) is None


@pytest.mark.parametrize(
    ("content", "objective", "reason"),
    [
        ([], "sft", "holds no rows"),
        ([{"prompt": "a", "completion": ""}, {"prompt": "b", "completion": "x"}], "sft", "line 1"),
        (
            [{"prompt": f"p{i}", "completion": "x", "label": True} for i in range(8)],
            "kto",
            "every vote is true",
        ),
        ([{"prompt": f"p{i}", "completion": "x " * 200} for i in range(8)], "sft", "max_length"),
    ],
)
def test_rows_of_no_use_are_refused_before_anything_is_written(
    tiny: Path,
    tmp_path: Path,
    content: list[dict[str, Any]],
    objective: str,
    reason: str,
) -> None:
    path = written(tmp_path / "bad.jsonl", content)
    run = run_of(tiny, path, tmp_path / "run", objective={"name": objective})
    with pytest.raises(DataError, match=reason):
        trained(run)
    assert not run.output_dir.exists()


def test_a_run_that_does_not_fit_is_refused(tiny: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(tiny, rows, tmp_path / "run", plan={"memory_gb": 0.01})
    with pytest.raises(PreflightError, match="--yes"):
        trained(run)
    assert not run.output_dir.exists()


def test_a_dry_run_says_its_steps_and_writes_nothing(
    tiny: Path, rows: Path, tmp_path: Path
) -> None:
    run = run_of(tiny, rows, tmp_path / "run")
    planned = train(run, resume=False, dry_run=True, progress=False)
    assert not run.output_dir.exists()
    assert planned.total_steps == trained(run).total_steps


def test_a_probe_measures_and_leaves_nothing(tiny: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(tiny, rows, tmp_path / "run")
    found = probe(run)
    assert found.peak_bytes > 10**8
    assert found.tokens_per_second > 0
    assert not run.output_dir.exists()


@pytest.mark.parametrize("packing", [False, True])
def test_documents_are_learned_whole(tiny: Path, tmp_path: Path, packing: bool) -> None:
    texts = written(tmp_path / "texts.jsonl", [{"text": f"{word} " * 90} for word in WORDS])
    run = run_of(
        tiny,
        texts,
        tmp_path / "run",
        objective={"name": "pretrain"},
        data={"max_length": 64, "chat": False},
        train={"packing": packing, "epochs": 1},
    )
    result = trained(run)
    facts = run_folder.read_json(run.output_dir / "data.json")
    assert facts["train_tokens"] >= 7 * 90
    assert result.tokens == facts["train_tokens"]
    assert evaluate(run).metrics["loss"]


def test_preferences_are_learned(tiny: Path, pairs: Path, tmp_path: Path) -> None:
    for objective in ("dpo", "kto"):
        run = run_of(
            tiny,
            pairs,
            tmp_path / objective,
            objective={"name": objective},
            train={"learning_rate": 1e-2},
        )
        trained(run)
        found = evaluate(run)
        margin, before = found.metrics["margin"], found.base["margin"]
        assert margin is not None
        assert before is not None
        assert margin > before
        assert found.metrics["implied_accuracy"] == 1.0
        assert "pair_accuracy" in found.intervals


def test_a_reward_model_scores_and_teaches(tiny: Path, pairs: Path, tmp_path: Path) -> None:
    reward = run_of(
        tiny,
        pairs,
        tmp_path / "reward",
        objective={"name": "reward"},
        train={"learning_rate": 1e-2},
    )
    trained(reward)
    assert evaluate(reward).metrics["pair_accuracy"] is not None
    prompts = written(tmp_path / "prompts.jsonl", [{"prompt": f"say {word}"} for word in WORDS])
    online = {"reward_model": str(reward.output_dir), "generations": 2, "max_new_tokens": 3}
    for objective in ("rloo", "grpo"):
        run = run_of(
            tiny,
            prompts,
            tmp_path / objective,
            objective={"name": objective, **online},
            train={"max_steps": 2, "learning_rate": 1e-2},
        )
        assert trained(run).changed_tensors
        assert evaluate(run).metrics["reward"] is not None
    wrong = run_of(
        tiny,
        prompts,
        tmp_path / "wrong",
        objective={"name": "rloo", **online, "reward_model": str(tmp_path / "rloo")},
    )
    with pytest.raises(ConfigError, match="was trained for rloo"):
        trained(wrong)


def test_batches_are_of_like_length_and_each_epoch_has_its_order() -> None:
    lengths = [(i * 37) % 50 + 1 for i in range(103)]
    order = length_order(lengths, 8, "0 1")
    assert sorted(order) == list(range(103))
    padded = sum(8 * max(lengths[i] for i in order[start : start + 8]) for start in range(0, 96, 8))
    assert padded < 1.15 * sum(lengths[i] for i in order[:96])
    assert order == length_order(lengths, 8, "0 1")
    assert order != length_order(lengths, 8, "0 2")


def _interrupt_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a Ctrl-C at the end of a step, as a user might."""
    from finetune.progress import RunCallback

    original = RunCallback.on_step_end

    def interrupted(self: RunCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, args, state, control, **more)

    monkeypatch.setattr(RunCallback, "on_step_end", interrupted)
