"""Figures for Prometheus: what the rails decided, and how long they took. Never a text."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from guardrails import Direction, Verdict

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1, 3, 10)


@dataclass(frozen=True, slots=True)
class Metrics:
    """One registry for each server, so that two in one process do not add up."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    checks: Counter = field(init=False)
    seconds: Histogram = field(init=False)

    def __post_init__(self) -> None:
        checks = Counter(
            "vsage_rail_checks",
            "Texts that the rails judged. `rail` and `category` are empty where none had a say.",
            ("direction", "outcome", "rail", "category"),
            registry=self.registry,
        )
        seconds = Histogram(
            "vsage_rail_seconds",
            "Time of all rails of one direction over one text, cached verdicts included.",
            ("direction",),
            buckets=SECONDS,
            registry=self.registry,
        )
        object.__setattr__(self, "checks", checks)
        object.__setattr__(self, "seconds", seconds)

    def rails_checked(self, direction: Direction, verdict: Verdict, seconds: float) -> None:
        """Count one verdict."""
        outcome = "allowed" if verdict.allowed else "blocked"
        self.checks.labels(direction, outcome, verdict.rail, verdict.category).inc()
        self.seconds.labels(direction).observe(seconds)

    def exposition(self) -> bytes:
        """The text format that Prometheus reads."""
        return generate_latest(self.registry)
