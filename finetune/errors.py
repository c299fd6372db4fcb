"""Everything that `finetune` raises on purpose. A message says what happened and what to do next.

FinetuneError
├── ConfigError      settings that contradict each other, or a method that the base cannot take
├── DataError        rows that cannot be used; names file and line
├── ModelError       the base model is missing, damaged, or another one than before
├── PreflightError   the run does not fit: memory or disk
├── TrainingError    training broke off: loss is no number, nothing was learned, no space left
├── ExportError      an artefact differs from what was trained, or cannot be written
└── RegistryError    an adapter cannot be listed, promoted or rolled back
"""


class FinetuneError(Exception):
    """Base of all errors that a user of `finetune` can meet."""


class ConfigError(FinetuneError):
    """Settings that contradict each other, or a method that the base cannot take."""


class DataError(FinetuneError):
    """Rows that cannot be used. Names file and line."""


class ModelError(FinetuneError):
    """The base model is missing, damaged, or another one than before."""


class PreflightError(FinetuneError):
    """The run does not fit: memory or disk. Says what would."""


class TrainingError(FinetuneError):
    """Training broke off, or ended without having changed anything."""


class ExportError(FinetuneError):
    """An artefact differs from what was trained, or cannot be written."""


class RegistryError(FinetuneError):
    """An adapter cannot be listed, promoted or rolled back."""
