"""One run: base model, data, method, objective, training, evaluation, export. A YAML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal[
    "lora",
    "dora",
    "rslora",
    "ia3",
    "p_tuning",
    "prompt_tuning",
    "prefix_tuning",
    "adapter_layers",
    "full",
]
Objective = Literal["sft", "pretrain", "dpo", "kto", "reward", "rloo", "grpo"]
Quantization = Literal["none", "nf4", "int8"]
ExportFormat = Literal["adapter", "merged", "gguf_lora", "gguf", "ollama"]


class Section(BaseModel):
    """A section whose unknown keys are errors, not silently dropped wishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """The base model."""

    path: Path = Field(
        Path("models/SmolLM2-135M-Instruct/hf"),
        description="Folder in Hugging Face's form: config.json, safetensors, tokenizer.",
    )
    quantization: Quantization = Field(
        "none",
        description="Of the frozen base. nf4: 4 bits with double quantisation, for QLoRA; int8: 8 "
        "bits. Adapters are always trained in float32.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Of base and arithmetic. auto: bfloat16 on a GPU, float32 on a CPU."
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="auto: what transformers chooses."
    )


class DataConfig(Section):
    """What is learned from, and what it is checked on."""

    train: Path | None = Field(
        None, description="Rows to train on: .jsonl, .csv or .parquet; for pretrain also a folder."
    )
    validation: Path | None = Field(
        None,
        description="Rows that are never trained on. Without it a part of `train` is set aside.",
    )
    validation_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="The part set aside where `validation` is not given, split by prompt so that "
        "no prompt stands on both sides.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our name: the file's. Ours are messages, prompt, completion, text, chosen, "
        "rejected, label; for example {prompt: text, completion: intent}.",
    )
    prompt_template: str = Field(
        "{prompt}", description="The user's message around a prompt; {prompt} stands for it."
    )
    system: str = Field("", description="A system message before every prompt that has none.")
    chat: bool = Field(
        True,
        description="Wrap prompt and completion in the model's chat template. False: plain text "
        "one after the other, and the end-of-text token.",
    )
    max_length: int = Field(
        1024, ge=8, le=131_072, description="Most tokens of one row, prompt and answer together."
    )
    too_long: Literal["refuse", "drop", "cut_prompt"] = Field(
        "refuse",
        description="What becomes of a longer row: an error that names it, left out and counted, "
        "or the beginning of its prompt is cut. An answer is never cut.",
    )
    seed: int = Field(0, ge=0, description="For the split and the order of rows.")


class MethodConfig(Section):
    """Which parameters are trained."""

    name: Method = "lora"
    rank: int = Field(16, ge=1, le=1024, description="Of lora, dora and rslora.")
    alpha: float = Field(32, gt=0, description="Scale of lora, dora and rslora.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of lora, dora and rslora.")
    targets: list[str] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the linear layers that get an adapter."
    )
    virtual_tokens: int = Field(
        20, ge=1, le=1000, description="Of p_tuning, prompt_tuning, prefix_tuning, adapter_layers."
    )
    layers: int = Field(
        0, ge=0, description="Of adapter_layers: how many of the last layers. 0: all but two."
    )


class ObjectiveConfig(Section):
    """What is optimised."""

    name: Objective = "sft"
    loss_on: Literal["completion", "assistant", "all"] = Field(
        "completion",
        description="Of sft: the last answer, every answer of the conversation, or all tokens.",
    )
    beta: float = Field(0.1, gt=0, description="Of dpo and kto: how near to stay to the reference.")
    desirable_weight: float | None = Field(
        None, gt=0, description="Of kto. None: from the counts of both kinds of votes."
    )
    undesirable_weight: float | None = Field(None, gt=0, description="Of kto, see above.")
    reward_model: Path | None = Field(
        None, description="Of rloo and grpo: the folder of a run with objective reward."
    )
    generations: int = Field(4, ge=2, le=64, description="Of rloo and grpo: answers a prompt.")
    max_new_tokens: int = Field(64, ge=1, description="Of rloo and grpo.")


class TrainConfig(Section):
    """How it is optimised."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: the GPU if there is one. cuda: refuse to run without."
    )
    epochs: float = Field(3.0, gt=0)
    max_steps: int = Field(0, ge=0, description="Ends earlier than `epochs`. 0: no limit.")
    batch_size: int = Field(8, ge=1, description="Rows a device and step.")
    accumulate: int = Field(1, ge=1, description="Steps whose gradients are added up.")
    learning_rate: float | None = Field(
        None, gt=0, description="None: one that suits method and objective."
    )
    scheduler: Literal["linear", "cosine", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1, description="Part of the steps.")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    packing: bool = Field(
        False, description="Several rows in one sequence, kept apart. Of sft and pretrain."
    )
    group_by_length: bool = Field(
        True, description="Rows of like length in one batch: less padding, more tokens a second."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice instead of keeping them: memory for time."
    )
    eval_every: int = Field(0, ge=0, description="Steps between evaluations. 0: after each epoch.")
    save_every: int = Field(0, ge=0, description="Steps between checkpoints. 0: as eval_every.")
    keep_checkpoints: int = Field(2, ge=1)
    early_stopping: int = Field(
        0, ge=0, description="Evaluations without a better loss after which to stop. 0: never."
    )
    threads: int = Field(0, ge=0, description="Of the CPU. 0: as torch chooses.")
    tensorboard: bool = Field(False, description="Also write TensorBoard's files (extra).")
    seed: int = Field(0, ge=0)


class EvaluateConfig(Section):
    """What base and adapter are compared on, beside the validation rows."""

    max_rows: int = Field(500, ge=1, description="Rows for which answers are generated.")
    max_new_tokens: int = Field(128, ge=1, le=8192)
    batch_size: int = Field(16, ge=1)
    forgetting: Path | None = Field(
        None, description="Rows of other tasks: what the adapter must not unlearn."
    )
    safety: Path | None = Field(
        None, description="Rows {prompt, refuse: true or false}: what must and must not be refused."
    )
    bootstrap: int = Field(2000, ge=100, le=100_000, description="Resamples for intervals.")


class ExportConfig(Section):
    """Artefacts that `export` writes below output_dir/export."""

    formats: list[ExportFormat] = Field(default_factory=lambda: list[ExportFormat](("adapter",)))
    gguf_type: Literal["f16", "q8_0"] = "q8_0"
    max_difference: float = Field(
        0.02, gt=0, description="Largest difference of log-probabilities to what was trained."
    )
    served_rows: int = Field(
        64, ge=0, description="Validation rows that each GGUF artefact answers as it is served."
    )


class PlanConfig(Section):
    """What the run must fit into."""

    memory_gb: float | None = Field(
        None, gt=0, description="Of the GPU. None: this machine's GPU, else its main memory."
    )
    headroom: float = Field(0.1, ge=0, lt=1, description="Part of the memory that stays free.")
    mfu: float = Field(0.4, gt=0, lt=1, description="Share of the peak that is reached.")
    peak_tflops: float | None = Field(None, gt=0, description="None: of the GPU by its name.")


class RunConfig(Section):
    """A whole run."""

    output_dir: Path = Path("data/finetune/run")
    model: ModelConfig = Field(default_factory=ModelConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    method: MethodConfig = Field(default_factory=MethodConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    export: ExportConfig = Field(default_factory=ExportConfig)
    plan: PlanConfig = Field(default_factory=PlanConfig)
