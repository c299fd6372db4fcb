"""Artefacts of a run, each compared with what was trained; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.base_model import describe_base
from finetune.config import RunConfig
from finetune.errors import ExportError, ModelError
from finetune.export import check_base, export, export_command
from finetune.export_check import LARGEST_MEAN
from finetune.export_formats import check_formats
from finetune.manifest import MANIFEST, damage, read_manifest
from tests.test_finetune_gguf import adapted, opened, small_llama

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
ROWS = [
    {"prompt": f"How do I add {count} {thing}?", "completion": f"Open {thing}, add {count}."}
    for thing in ("disks", "hosts", "networks", "users")
    for count in range(2, 8)
]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_llama(tmp_path_factory.mktemp("base"))


def settings(base: Path, folder: Path, **sections: dict[str, Any]) -> RunConfig:
    """Settings of a run in `folder`, with rows beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder.parent / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    values: dict[str, Any] = {
        "output_dir": folder,
        "model": {"path": base},
        "data": {"train": rows, "max_length": 128},
        "train": {"device": "cpu", "threads": 1},
        "evaluate": {"max_new_tokens": 8},
        "export": {"served_rows": 4},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return RunConfig.model_validate(values)


def finished(run: RunConfig) -> RunConfig:
    """What training writes beside the adapter."""
    folder = run.output_dir
    (folder / "base.json").write_text(json.dumps(describe_base(run.model.path).to_json()))
    (folder / "data.json").write_text(
        json.dumps({"files": [{"path": "rows.jsonl", "sha256": "d1"}], "validation_rows": 2})
    )
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {}}))
    (folder / "evaluation.json").write_text(json.dumps({"exact_match": 0.5, "base": {}}))
    return run


def trained(base: Path, folder: Path, lora: dict[str, Any], **sections: Any) -> RunConfig:
    """A run whose adapter is random, and large enough to change every answer."""
    run = settings(base, folder, **sections)
    adapted(base, folder / "adapter", **lora)
    return finished(run)


def test_every_form_of_a_lora_run(base: Path, tmp_path: Path) -> None:
    run = trained(base, tmp_path / "my run", {})
    made = {one.format: one for one in export(run, ["ollama", "merged", "adapter", "gguf_lora"])}
    assert list(made) == ["adapter", "merged", "gguf_lora", "gguf", "ollama"]
    folder = run.output_dir / "export"
    manifest = read_manifest(folder, ExportError)
    assert manifest.name == "my-run"
    assert manifest.base.sha256 == describe_base(base).sha256
    assert manifest.metrics == {"exact_match": 0.5, "base": {}}
    assert manifest.data["files"][0]["sha256"] == "d1"
    assert len(manifest.chat_template_sha256) == 64
    assert damage(folder, manifest) == []
    assert {one.format for one in manifest.artefacts} == set(made)
    for name in ("merged", "gguf_lora", "gguf"):
        difference, limit = made[name].difference, {"merged": 1e-3, "gguf_lora": 0.05, "gguf": 0.5}
        assert difference is not None
        assert difference["largest"] < limit[name]
        assert difference["steps"] > 2
    assert made["gguf"].served is not None
    assert made["gguf"].served["rows"] == 2
    alone = read_manifest(folder / "adapter", ExportError)
    assert damage(folder / "adapter", alone) == []
    assert (folder / "Modelfile").read_text().splitlines()[1] == "FROM ./my-run.q8_0.gguf"
    assert not list(run.output_dir.glob(".export-*"))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_an_adapter_over_a_quantised_base_is_merged_into_what_it_was_trained_on(
    base: Path, tmp_path: Path, quantization: str
) -> None:
    """Into the quantised weights most of it would be rounded away; over the original ones it is
    another model than was trained."""
    run = trained(base, tmp_path / "run", {}, model={"quantization": quantization})
    made = {one.format: one for one in export(run, ["merged", "gguf_lora"])}
    difference = made["merged"].difference
    assert difference is not None
    assert difference["largest"] < 0.02
    assert "quantization_config" not in (run.output_dir / "export/merged/config.json").read_text()
    assert "served over the original base" in made["gguf_lora"].notes[-1]
    rounds = "activations in 8 bits" in made["merged"].notes[-1]
    assert rounds == (quantization == "int8")


@pytest.mark.parametrize("lora", [{"use_dora": True}, {"use_rslora": True}])
def test_variants_of_lora_are_merged(base: Path, tmp_path: Path, lora: dict[str, Any]) -> None:
    name = "dora" if "use_dora" in lora else "rslora"
    run = trained(base, tmp_path / "run", lora, method={"name": name})
    (made,) = export(run, ["merged"])
    assert made.difference is not None
    assert made.difference["largest"] < 1e-3


def test_ia3_is_merged(base: Path, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model

    from finetune.methods import peft_config

    run = settings(base, tmp_path / "run", method={"name": "ia3"})
    config = peft_config(run, {"model_type": "llama"})
    assert config is not None
    model = get_peft_model(opened(base), config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "ia3" in name:
                weights.uniform_(0.5, 1.5)
    model.save_pretrained(str(run.output_dir / "adapter"))
    (made,) = export(finished(run), ["gguf"])
    assert made.difference is not None
    assert made.difference["mean"] < LARGEST_MEAN["q8_0"]
    assert not (run.output_dir / "export" / "merged").exists()


def test_a_fully_trained_model_is_copied(base: Path, tmp_path: Path) -> None:
    run = finished(settings(base, tmp_path / "run", method={"name": "full"}))
    opened(base).save_pretrained(run.output_dir / "model")
    (made,) = export(run, ["merged"])
    assert made.difference is not None
    assert made.difference["largest"] < 1e-5
    assert (run.output_dir / "export" / "merged" / "tokenizer.json").is_file()


def test_a_16_bit_base_stays_so_unless_rounding_costs_too_much(tmp_path: Path) -> None:
    import torch

    base = small_llama(tmp_path / "base")
    opened(base).to(torch.bfloat16).save_pretrained(base)
    run = trained(base, tmp_path / "run", {}, export={"max_difference": 5.0})
    assert export(run, ["merged"])[0].notes == ["in bfloat16"]
    run = trained(base, tmp_path / "run", {}, export={"max_difference": 0.001})
    assert export(run, ["merged"])[0].notes == ["in float32"]


def test_an_artefact_that_differs_is_refused_and_the_last_export_stays(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(base, tmp_path / "run", {})
    export(run, ["adapter"])
    before = (run.output_dir / "export" / MANIFEST).read_bytes()
    # What merging into rounded weights does: the adapter is gone.
    monkeypatch.setattr("finetune.export_merge.open_as_trained", lambda run: _Merging(opened(base)))
    with pytest.raises(ExportError, match=r"differs from what was trained.*nothing was kept"):
        export(run, ["adapter", "merged"])
    monkeypatch.undo()
    monkeypatch.setattr("finetune.export_gguf._rotated", lambda weights, *_: weights)
    for form in ("gguf_lora", "gguf"):
        with pytest.raises(ExportError, match="differs from what was trained"):
            export(run, [form])
    assert (run.output_dir / "export" / MANIFEST).read_bytes() == before
    assert sorted(path.name for path in run.output_dir.glob(".export-*")) == []


class _Merging:
    def __init__(self, model: Any) -> None:
        self._model = model

    def merge_and_unload(self, safe_merge: bool) -> Any:
        return self._model


@pytest.mark.parametrize(
    ("method", "form", "reason"),
    [
        ("p_tuning", "merged", r"p_tuning adds virtual tokens.*export.formats=\[adapter\]"),
        ("prefix_tuning", "gguf", "no weight that could be merged"),
        ("prompt_tuning", "gguf_lora", "no weight that could be merged"),
        ("adapter_layers", "ollama", "adapted attention"),
        ("dora", "gguf_lora", r"plain LoRA, and dora is none.*export.formats=\[gguf\]"),
        ("ia3", "gguf_lora", "plain LoRA"),
        ("full", "adapter", r"no adapter: choose export.formats=\[merged\]"),
        ("full", "gguf_lora", "plain LoRA"),
    ],
)
def test_forms_that_a_method_cannot_take(method: str, form: Any, reason: str) -> None:
    run = RunConfig.model_validate({"method": {"name": method}})
    with pytest.raises(ExportError, match=rf"^{form}|{form}: .*{reason}"):
        check_formats(run, [form])


def test_all_refusals_are_named_at_once() -> None:
    run = RunConfig.model_validate({"objective": {"name": "reward"}})
    with pytest.raises(ExportError, match=r"merged: a reward model.*; gguf: a reward model"):
        check_formats(run, ["gguf", "merged"])
    assert check_formats(run, ["adapter"]) == ["adapter"]


def test_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    run = trained(base, tmp_path / "run", {})
    other = small_llama(tmp_path / "other", initializer_range=0.1)
    moved = run.model_copy(update={"model": run.model.model_copy(update={"path": other})})
    with pytest.raises(ExportError, match=r"is another model than .* was trained on"):
        check_base(moved)


def test_runs_that_are_not_finished(base: Path, tmp_path: Path) -> None:
    run = settings(base, tmp_path / "run")
    with pytest.raises(ModelError, match="train"):
        export(run, ["adapter"])
    run = trained(base, tmp_path / "torn", {})
    weights = run.output_dir / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ExportError, match=r"adapter_model.safetensors is damaged"):
        export(run, ["adapter"])


def test_weights_that_are_no_number_are_refused(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    run = trained(base, tmp_path / "run", {})
    path = run.output_dir / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    weights[name][0] = float("nan")
    save_file(weights, path)
    with pytest.raises(ExportError, match="holds NaN or infinity"):
        export(run, ["adapter"])


def test_what_a_killed_export_left_is_put_right(base: Path, tmp_path: Path) -> None:
    run = trained(base, tmp_path / "run", {})
    export(run, ["adapter"])
    (run.output_dir / "export").rename(run.output_dir / ".export-old")  # killed between renames
    (run.output_dir / ".export-new").mkdir()
    weights = run.output_dir / "adapter" / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(ExportError, match="damaged"):
        export(run, ["adapter"])
    assert (run.output_dir / "export" / MANIFEST).is_file()
    weights.write_bytes(whole)
    export(run, ["adapter"])
    assert not list(run.output_dir.glob(".export-*"))


def test_the_command_prints_one_object(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(base, tmp_path / "run", {})
    export_command(run, as_json=True, dry_run=True)
    assert json.loads(capsys.readouterr().out)["artefacts"] == [{"format": "adapter"}]
    assert not (run.output_dir / "export").exists()
    export_command(run, as_json=True)
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["artefacts"][0]["path"] == "adapter"
    export_command(run, as_json=False)
    assert "made adapter:" in capsys.readouterr().out


def test_ollama_writes_the_prompts_of_the_template(models: Path, tmp_path: Path) -> None:
    from finetune.base_model import open_tokenizer
    from finetune.config import DataConfig
    from finetune.export_ollama import read_turns, write_modelfile

    tokenizer = open_tokenizer(models / "SmolLM2-135M-Instruct" / "hf")
    turns = read_turns(tokenizer)
    assert turns.around["user"] == ("<|im_start|>user\n", "<|im_end|>\n")
    assert turns.before_answer == "<|im_start|>assistant\n"
    write_modelfile(tmp_path / "Modelfile", "a.gguf", tokenizer, DataConfig(system="Be brief."))
    text = (tmp_path / "Modelfile").read_text()
    assert 'SYSTEM """Be brief."""' in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {% if messages[0].role == 'system'"
        " and loop.index0 == 1 %}<<SYS>>{{ messages[0].content }}<</SYS>> {% endif %}"
        "{{ m.content }} [/INST]{% elif m.role == 'assistant' %} {{ m.content }}<|im_end|>"
        "{% endif %}{% endfor %}"
    )
    with pytest.raises(ExportError, match="more than write something around each message"):
        read_turns(tokenizer)
