"""The base model's folder: what it is, its hash, and opening it for training or for answers."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import RunConfig
from finetune.device import Placement, keep_offline, local_rank
from finetune.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What of the base decides whether an adapter fits it."""

    path: str
    sha256: str
    model_type: str
    hidden_size: int
    layers: int
    vocab_size: int
    chat_template_sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe_base(path: Path) -> BaseModel:
    """Read config.json and hash the weights. Raises ModelError."""
    config = read_config(path)
    return BaseModel(
        path=str(path),
        sha256=base_hash(path),
        model_type=str(config.get("model_type", "")),
        hidden_size=int(config.get("hidden_size") or 0),
        layers=int(config.get("num_hidden_layers") or 0),
        vocab_size=int(config.get("vocab_size") or 0),
        chat_template_sha256=chat_template_hash(path),
    )


def read_config(path: Path) -> dict[str, Any]:
    """`config.json` of the base. Raises ModelError."""
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path} holds no config.json: model.path must be a folder in Hugging Face's form "
            "(`make models` puts the embedded model there)"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{file} is damaged: it holds no object")
    return config


def base_hash(path: Path) -> str:
    """SHA-256 over config.json and the bytes of all safetensors files, in the order of their names.

    Computed once a process for files of the same size and time. Raises ModelError.
    """
    read_config(path)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{path} holds no *.safetensors: only that form of weights is read")
    files = [path / "config.json", *weights]
    stats = [file.stat() for file in files]
    stamps = tuple((str(f), s.st_size, s.st_mtime_ns) for f, s in zip(files, stats, strict=True))
    return _hash(stamps)


@lru_cache(maxsize=8)
def _hash(stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, size, _ in stamps:
        digest.update(f"{Path(name).name}:{size}\n".encode())
        try:
            with open(name, "rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise ModelError(f"{name} cannot be read: {error}") from None
    return digest.hexdigest()


def chat_template_hash(path: Path) -> str:
    """SHA-256 of the chat template, from its own file or tokenizer_config.json; "" if none."""
    own = path / "chat_template.jinja"
    if own.is_file():
        return hashlib.sha256(own.read_bytes()).hexdigest()
    try:
        settings = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    template = settings.get("chat_template") if isinstance(settings, dict) else None
    return hashlib.sha256(str(template).encode()).hexdigest() if template else ""


def open_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The base's tokenizer, with a padding token. Raises ModelError."""
    keep_offline()
    from finetune.render import open_tokenizer as opened

    tokenizer = opened(path)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_base(
    run: RunConfig, placement: Placement, *, scores: bool = False, move: bool = True
) -> PreTrainedModel:
    """The base on its device (without `move`, in main memory), quantised if so configured.

    `scores`: with a head of one number (a reward model) in place of the language model's head.
    Raises ModelError.
    """
    keep_offline()
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    path = run.model.path
    read_config(path)
    options: dict[str, Any] = {"dtype": placement.torch_weights, "local_files_only": True}
    if run.model.attention != "auto":
        options["attn_implementation"] = run.model.attention
    if run.model.quantization != "none":
        options["quantization_config"] = quantization(run, placement)
        options["device_map"] = {"": local_rank() if placement.device == "cuda" else "cpu"}
    try:
        if scores:
            model = AutoModelForSequenceClassification.from_pretrained(
                path, num_labels=1, **options
            )
        else:
            model = AutoModelForCausalLM.from_pretrained(path, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(f"{path} cannot be opened: {one_line(error)}") from None
    if move and run.model.quantization == "none":
        model = model.to(placement.device)
    return model  # type: ignore[no-any-return]


def quantization(run: RunConfig, placement: Placement) -> Any:
    """BitsAndBytesConfig of NF4 with double quantisation, or of int8. Raises ModelError."""
    try:
        import bitsandbytes
    except ImportError:
        raise ModelError(
            f"model.quantization={run.model.quantization} needs bitsandbytes: "
            "pip install -e .[finetune]"
        ) from None
    from transformers import BitsAndBytesConfig as Config

    make: Any = Config

    # It warns of the same cast of inputs at every layer and step.
    logging.getLogger(bitsandbytes.__name__).setLevel(logging.ERROR)
    if run.model.quantization == "int8":
        return make(load_in_8bit=True)
    return make(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=placement.torch_compute,
    )


def one_line(error: BaseException) -> str:
    """A foreign error's message without line breaks, shortened."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
