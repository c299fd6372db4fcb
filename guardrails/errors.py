"""Everything that `guardrails` raises on purpose. A message says what to do next.

GuardrailsError
└── RailsConfigError   the rails folder cannot be used: missing, broken YAML or Colang, unknown flow

A rail that fails on one text raises nothing: the text is blocked with category `error`.
"""


class GuardrailsError(Exception):
    """Base of all errors that a user of `guardrails` can meet."""


class RailsConfigError(GuardrailsError):
    """The rails folder cannot be used. The caller must not start without its rails."""
