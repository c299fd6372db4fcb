"""Guardrails: strings in, verdict out. NeMo Guardrails runs inside, no import of it leaks out.

Imports none of the other packages. Importing this one is cheap: the heavy modules (NeMo takes
about a second) load when `open_rails` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardrails.config import GuardrailsConfig
from guardrails.errors import GuardrailsError, RailsConfigError
from guardrails.schema import GROUNDED, Context, Direction, Secrets, Verdict

if TYPE_CHECKING:
    from guardrails.rails import Rails, open_rails
    from guardrails.screen import open_screen

__all__ = [
    "GROUNDED",
    "Context",
    "Direction",
    "GuardrailsConfig",
    "GuardrailsError",
    "Rails",
    "RailsConfigError",
    "Secrets",
    "Verdict",
    "open_rails",
    "open_screen",
]


def __getattr__(name: str) -> Any:
    """Load `Rails` and what opens them on first use (PEP 562)."""
    if name in {"Rails", "open_rails"}:
        from guardrails import rails

        return getattr(rails, name)
    if name == "open_screen":
        from guardrails.screen import open_screen

        return open_screen
    raise AttributeError(f"module 'guardrails' has no attribute {name!r}")
