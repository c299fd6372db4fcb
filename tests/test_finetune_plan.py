"""The plan: limits, speed, GPUs, proposals that really fit, disk, what is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune import machine
from finetune.config import RunConfig
from finetune.disk import disk_needed
from finetune.errors import ModelError, PreflightError
from finetune.gpus import find_gpu, known_gpus
from finetune.plan import Plan, correct, make_plan, require_fit
from finetune.plan_command import plan_command, show_plan
from finetune.shapes import read_shape, shape_of
from finetune.speed import count_work, operations_a_token
from settings import load

LLAMA_13B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "dtype": "bfloat16",
}
LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
Write = Callable[..., tuple[Path, RunConfig]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a configuration of the 13B shape, on a machine without a GPU."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(**sections: dict[str, Any]) -> tuple[Path, RunConfig]:
        (tmp_path / "config.json").write_text(json.dumps(LLAMA_13B))
        values: dict[str, Any] = {
            "output_dir": str(tmp_path / "run"),
            "model": {"path": str(tmp_path)} | sections.pop("model", {}),
            "train": {"device": "cuda"} | sections.pop("train", {}),
            **sections,
        }
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump(values))
        return path, load(RunConfig, path)

    return write


def test_the_preflight_loads_no_model_library() -> None:
    code = (
        "import sys; from finetune.config import RunConfig; from finetune.plan import make_plan;"
        "import finetune.plan_command; "
        "from finetune.shapes import shape_of; import finetune.plan as p;"
        f"p.read_shape = lambda path: shape_of({LLAMA_13B!r}, 'x');"
        "make_plan(RunConfig(), None, 9);"
        "print([n for n in ('torch', 'transformers', 'peft', 'trl') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("values", "checkpointing", "gigaflops", "ceiling"),
    [
        (LLAMA_8B, False, 31.6, 31_300),
        (LLAMA_13B, False, 53.9, 18_300),
        (LLAMA_13B, True, 80.5, 12_300),
    ],
)
def test_operations_a_token(
    values: dict[str, Any], checkpointing: bool, gigaflops: float, ceiling: float
) -> None:
    run = RunConfig.model_validate({"train": {"gradient_checkpointing": checkpointing}})
    operations = operations_a_token(shape_of(values, "x"), run, 2048)

    assert operations / 1e9 == pytest.approx(gigaflops, rel=0.005)
    assert 989e12 / operations == pytest.approx(ceiling, rel=0.005)


def test_full_fine_tuning_computes_six_n() -> None:
    shape = shape_of(LLAMA_13B, "x")
    frozen = operations_a_token(shape, RunConfig(), 0)
    full = operations_a_token(shape, RunConfig.model_validate({"method": {"name": "full"}}), 0)

    assert (frozen, full) == (4 * shape.multiplied, 6 * shape.multiplied)


def test_work_counts_padding_packing_and_steps() -> None:
    lengths = [10, 20, 30, 40] * 25

    def work(**train: Any) -> tuple[int | None, int | None, float, float]:
        run = RunConfig.model_validate(
            {"train": {"batch_size": 5, "epochs": 2, **train}, "data": {"max_length": 50}}
        )
        found = count_work(run, lengths, None)
        return found.sequences, found.steps, found.padded, found.real

    assert work() == (100, 40, 25, 25)
    assert work(accumulate=3)[1] == 14
    assert work(max_steps=7)[1] == 7
    assert work(group_by_length=False)[2] > 30
    assert work(packing=True) == (50, 20, 50, 50)
    assert count_work(RunConfig(), None, None).steps is None
    assert count_work(RunConfig(), None, 80).steps == 30


def test_a_run_that_fits(config: Write) -> None:
    _, run = config(plan={"memory_gb": 80}, train={"device": "cuda", "batch_size": 1})
    plan = make_plan(run, [200, 300], None)

    assert plan.fits
    assert plan.proposals == ()
    assert plan.limit.usable == 72_000_000_000
    require_fit(plan)


@pytest.mark.parametrize(
    ("memory_gb", "length", "train"),
    [
        (48, 4096, {"batch_size": 16, "packing": True}),
        (64, 2048, {"batch_size": 8}),
        (141, 4096, {"batch_size": 4, "accumulate": 2}),
        (24, 4096, {"batch_size": 1}),
        (16, 2048, {"batch_size": 1, "gradient_checkpointing": True}),
    ],
)
def test_every_proposal_fits_when_typed(
    config: Write, memory_gb: float, length: int, train: dict[str, Any]
) -> None:
    path, run = config(
        plan={"memory_gb": memory_gb},
        train={"device": "cuda", **train},
        data={"max_length": length},
    )
    plan = make_plan(run, None, 1000)

    assert not plan.fits
    assert plan.proposals
    for proposal in plan.proposals:
        changed = make_plan(load(RunConfig, path, proposal.overrides), None, 1000)
        assert changed.fits, proposal
        assert changed.needed == proposal.needed
        whole = changed.run.train.batch_size * changed.run.train.accumulate
        assert whole == run.train.batch_size * run.train.accumulate


def test_what_costs_no_quality_is_proposed_first(config: Write) -> None:
    _, run = config(plan={"memory_gb": 80}, data={"max_length": 2048})
    first = make_plan(run, None, None).proposals[0]

    assert first.overrides == ("train.batch_size=2", "train.accumulate=4")

    _, run = config(plan={"memory_gb": 30.5}, data={"max_length": 2048})
    first = make_plan(run, None, None).proposals[0]
    assert {one.split("=")[0] for one in first.overrides} == {
        "train.batch_size",
        "train.accumulate",
        "train.gradient_checkpointing",
        "model.quantization",
    }


def test_full_fine_tuning_that_cannot_fit_becomes_an_adapter(config: Write) -> None:
    path, run = config(
        plan={"memory_gb": 80},
        method={"name": "full"},
        train={"device": "cuda", "gradient_checkpointing": True, "batch_size": 1},
    )
    plan = make_plan(run, None, None)

    assert plan.memory.peak > 208e9
    assert "method.name=lora" in plan.proposals[0].overrides
    assert make_plan(load(RunConfig, path, plan.proposals[0].overrides), None, None).fits


def test_refusal_says_in_one_line_what_would_fit(config: Write) -> None:
    _, run = config(plan={"memory_gb": 80}, data={"max_length": 2048})
    with pytest.raises(PreflightError) as caught:
        require_fit(make_plan(run, None, None))

    message = str(caught.value)
    assert "\n" not in message
    assert "may use 72.0 GB of 80.0 GB (plan.memory_gb)" in message
    assert "train.batch_size=2 train.accumulate=4" in message

    _, run = config(
        plan={"memory_gb": 4}, data={"max_length": 2048}, train={"device": "cuda", "batch_size": 1}
    )
    with pytest.raises(PreflightError, match="the smallest that holds it: "):
        require_fit(make_plan(run, None, None))


def test_kto_is_never_proposed_a_batch_of_one(config: Write) -> None:
    _, run = config(plan={"memory_gb": 32}, objective={"name": "kto"}, data={"max_length": 2048})
    typed = [one for p in make_plan(run, None, None).proposals for one in p.overrides]

    assert typed
    assert "train.batch_size=1" not in typed


def test_a_probe_takes_the_place_of_the_estimate(config: Write) -> None:
    _, run = config(plan={"memory_gb": 80}, train={"device": "cuda", "batch_size": 1})
    plan = make_plan(run, [300] * 100, None)

    corrected = correct(plan, int(1.1 * plan.memory.peak), 1000.0)
    assert corrected.fits
    assert corrected.needed == int(1.1 * plan.memory.peak)
    assert corrected.speed.measured
    assert corrected.speed.hours == pytest.approx(3 * 100 * 300 / 1000 / 3600)

    too_much = correct(plan, 90_000_000_000, 1000.0)
    assert not too_much.fits
    assert all(one.needed <= plan.limit.usable for one in too_much.proposals)


def test_memory_of_the_cpu_and_its_guessed_speed(models: Path) -> None:
    run = RunConfig.model_validate({"train": {"device": "cpu", "threads": 2}})
    plan = make_plan(run, [60] * 1600, None, scored=[5] * 1600)

    assert plan.device == "cpu"
    assert plan.limit.source == "main memory that is free"
    assert plan.memory.parts["weights"] == 4 * 134_515_008
    assert plan.fits
    assert any("a guess until probed" in note for note in plan.notes)
    assert 40 < plan.speed.tokens_per_second < 120


def test_dtype_follows_the_device(config: Write) -> None:
    _, run = config(train={"device": "cpu"})
    assert make_plan(run, None, None).memory.parts["weights"] == 4 * 13_015_864_320
    _, run = config(train={"device": "cuda"})
    assert make_plan(run, None, None).memory.parts["weights"] == 2 * 13_015_864_320


def fake_nvidia_smi(folder: Path, line: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{line}'\n")
    program.chmod(0o755)


def test_the_installed_gpu_is_asked_for_its_memory(config: Write, tmp_path: Path) -> None:
    _, run = config(train={"device": "auto", "batch_size": 1}, data={"max_length": 512})
    fake_nvidia_smi(tmp_path, "NVIDIA A100-SXM4-80GB, 81920, 80000")
    plan = make_plan(run, None, None)

    assert plan.device == "cuda"
    assert plan.engine.name == "A100 80GB"
    assert plan.limit.total == 80000 * 1024**2
    assert plan.limit.source == "free on NVIDIA A100-SXM4-80GB"

    fake_nvidia_smi(tmp_path, "No devices were found")
    assert machine.installed_gpu() is None


def test_without_a_gpu_the_largest_known_is_the_measure(config: Write) -> None:
    _, run = config()
    plan = make_plan(run, None, None)

    assert plan.limit.source == "B200, the largest known"
    assert any("no plan.memory_gb" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("installed", "known"),
    [
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB"),
        ("Tesla T4", "T4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("GRID A100D-80C", "A100D-80C"),
        ("NVIDIA A30-24C", "A30-24C"),
        ("NVIDIA GeForce RTX 3060", None),
    ],
)
def test_gpus_are_known_by_their_installed_names(installed: str, known: str | None) -> None:
    gpu = find_gpu(installed)
    assert (gpu.name if gpu else None) == known


def test_profiles_are_those_that_exist() -> None:
    names = {gpu.name for gpu in known_gpus()}

    assert {"A100D-80C", "A30-24C", "H200X-141C", "A30-1-6C", "H100-7-80C", "B200X-180C"} <= names
    assert "A100-80C" not in names
    sizes = [gpu.usable for gpu in known_gpus()]
    assert sizes == sorted(sizes)


def test_holders_are_listed_smallest_first_with_what_is_left(config: Write) -> None:
    _, run = config(
        model={"quantization": "nf4"},
        train={"device": "cuda", "batch_size": 1, "gradient_checkpointing": True},
        data={"max_length": 2048},
    )
    plan = make_plan(run, None, 100)

    whole = [holder for holder in plan.holders if holder.gpu.kind == "gpu"]
    assert whole[0].gpu.usable < 24 * 1024**3
    spare = [holder.spare for holder in plan.holders]
    assert spare == sorted(spare)
    for holder in plan.holders:
        assert holder.spare == int(holder.gpu.usable * 0.9) - plan.memory.peak


def test_disk_by_part(models: Path, tmp_path: Path) -> None:
    run = RunConfig.model_validate(
        {
            "output_dir": str(tmp_path / "not/yet/there"),
            "export": {"formats": ["adapter", "gguf"]},
            "train": {"keep_checkpoints": 2, "device": "cpu"},
        }
    )
    shape = read_shape(run.model.path)
    disk = disk_needed(shape, run, "cpu")

    assert disk.parts["checkpoints"] == 3 * 12 * 4_884_480
    assert disk.parts["merged export"] == 4 * shape.parameters
    assert disk.parts["GGUF export"] == pytest.approx(1.0625 * shape.parameters, rel=1e-6)
    assert disk.where == tmp_path
    assert disk.fits


def test_a_full_disk_refuses_the_run(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(".")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    _, run = config(train={"device": "cuda", "batch_size": 1}, plan={"memory_gb": 141})

    plan = make_plan(run, None, None)
    assert plan.fits_memory
    assert not plan.fits
    with pytest.raises(PreflightError, match=r"of disk, and .* has 0\.00 GB left"):
        require_fit(plan)


def test_a_missing_model_is_named() -> None:
    run = RunConfig.model_validate({"model": {"path": "nowhere"}})
    with pytest.raises(ModelError, match=r"nowhere/config\.json does not exist"):
        make_plan(run, None, None)


def test_json_is_one_object(config: Write, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = config(plan={"memory_gb": 48})
    plan = plan_command(run, as_json=True)

    shown = json.loads(capsys.readouterr().out)
    assert shown["fits"] is plan.fits is False
    assert shown["parameters"]["total"] == 13_015_864_320
    assert shown["trainable"] == 62_586_880
    assert shown["proposals"][0]["overrides"]
    assert shown["memory"]["needed"] == sum(
        shown["memory"]["parts"][name] for name in shown["memory"]["held_at_peak"]
    )


def shown_text(plan: Plan, capsys: pytest.CaptureFixture[str]) -> str:
    show_plan(plan, as_json=False)
    return capsys.readouterr().out


def test_tables(config: Write, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = config(plan={"memory_gb": 80}, data={"max_length": 2048})
    plan = make_plan(run, None, 500)
    text = shown_text(plan, capsys)

    assert "13,015,864,320 parameters; lora trains 62,586,880 (0.48%), sft, on " in text
    assert "weights" in text
    assert "26.0 GB" in text
    assert "does not fit" in text
    assert "train.batch_size=2 train.accumulate=4" in text
    assert "no single GPU known holds it" in text
    assert "note: row lengths unknown: every row counts as data.max_length=2048" in text
    assert "measured peak" in shown_text(correct(plan, 10_000_000_000, 500.0), capsys)

    _, run = config(plan={"memory_gb": 80}, train={"device": "cuda", "batch_size": 1})
    text = shown_text(make_plan(run, None, 500), capsys)
    assert "fits: " in text
    assert "whole GPUs" in text
    assert "vGPU profiles on MIG" in text
