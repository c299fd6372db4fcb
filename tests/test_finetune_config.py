"""Run files load, say their command, and settings that contradict each other are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import settings
from finetune.config import RunConfig
from finetune.device import place
from finetune.errors import ConfigError
from finetune.methods import check_pairing, learning_rate

FOLDER = Path(__file__).parent.parent / "configs" / "finetune"
LLAMA = {"model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576}


def run_of(**sections: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate(sections)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_run_file_loads_agrees_with_itself_and_opens_with_its_command(path: Path) -> None:
    run = settings.load(RunConfig, path)
    check_pairing(run, LLAMA)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    command = f"# python -m finetune run --config configs/finetune/{path.name} data.train="
    assert first.startswith(command)
    assert run.output_dir.name == path.stem.removesuffix("-cpu")


def test_dotted_overrides_reach_every_section() -> None:
    run = settings.load(
        RunConfig,
        FOLDER / "lora-135m-cpu.yaml",
        [
            "data.train=a.jsonl",
            "output_dir=/srv/run",
            "data.columns={prompt: text}",
            "train.seed=3",
        ],
    )
    assert (run.data.train, run.output_dir, run.train.seed) == (
        Path("a.jsonl"),
        Path("/srv/run"),
        3,
    )
    assert run.data.columns == {"prompt": "text"}


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(settings.SettingsError, match=r"train\.learning_rate"):
        settings.load(RunConfig, FOLDER / "lora-135m-cpu.yaml", ["train.learnig_rate=1"])


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        (
            {"method": {"name": "full"}, "model": {"quantization": "nf4"}},
            "cannot train nf4 weights",
        ),
        (
            {"objective": {"name": "dpo"}, "train": {"packing": True}},
            "packing is of sft and pretrain",
        ),
        ({"method": {"name": "p_tuning"}, "train": {"packing": True}}, "virtual tokens"),
        ({"objective": {"name": "kto"}, "train": {"batch_size": 1}}, "2 or more"),
        ({"objective": {"name": "rloo"}}, "needs objective.reward_model"),
        ({"objective": {"name": "sft", "reward_model": "x"}}, "reward_model is of rloo and grpo"),
        (
            {"objective": {"name": "grpo", "reward_model": "x"}, "train": {"batch_size": 3}},
            "must be a multiple",
        ),
        ({"method": {"targets": ["q_proj", "lm_head"]}}, "names lm_head"),
        ({"method": {"name": "prompt_tuning", "targets": ["q_proj"]}}, "leave it out"),
        (
            {"method": {"name": "prefix_tuning"}, "train": {"gradient_checkpointing": True}},
            "cannot be joined",
        ),
        ({"method": {"name": "adapter_layers", "layers": 31}}, "the base has 30 layers"),
        ({"method": {"name": "p_tuning"}, "objective": {"name": "reward"}}, "reward model"),
        (
            {"train": {"early_stopping": 2, "eval_every": 10, "save_every": 15}},
            "multiple of train.eval_every",
        ),
    ],
)
def test_a_pairing_that_makes_no_sense_is_refused_with_its_reason(
    sections: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_pairing(run_of(**sections), LLAMA)


def test_adapter_layers_takes_llama_and_not_qwen() -> None:
    run = run_of(method={"name": "adapter_layers"})
    check_pairing(run, LLAMA)
    with pytest.raises(ConfigError, match="not qwen3"):
        check_pairing(run, LLAMA | {"model_type": "qwen3"})


def test_all_contradictions_are_named_at_once() -> None:
    run = run_of(
        method={"name": "full"},
        model={"quantization": "int8"},
        objective={"name": "dpo"},
        train={"packing": True},
    )
    with pytest.raises(ConfigError, match=r"int8.*; .*packing"):
        check_pairing(run, LLAMA)


def test_learning_rates_suit_method_and_objective() -> None:
    lora, full = run_of(), run_of(method={"name": "full"})
    ia3 = run_of(method={"name": "ia3"})
    dpo = run_of(objective={"name": "dpo"})
    assert learning_rate(lora) == 2e-4
    assert learning_rate(full) < learning_rate(lora) < learning_rate(ia3)
    assert learning_rate(dpo) == pytest.approx(1e-5)
    assert learning_rate(run_of(train={"learning_rate": 0.5})) == 0.5


def test_the_cpu_computes_in_float32_and_a_missing_gpu_is_named() -> None:
    torch = pytest.importorskip("torch")
    placement = place(run_of(train={"device": "cpu"}))
    assert (placement.device, placement.compute) == ("cpu", "float32")
    with pytest.raises(ConfigError, match="float16"):
        place(run_of(train={"device": "cpu"}, model={"dtype": "float16"}))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"finds no GPU here: set train\.device=cpu"):
            place(run_of(train={"device": "cuda"}))
