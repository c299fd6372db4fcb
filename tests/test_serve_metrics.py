"""`/metrics`: verdicts by rail and category in Prometheus' text format, without a text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from guardrails import Verdict
from serve.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_verdicts_are_counted_by_direction_rail_and_category() -> None:
    metrics = Metrics()
    secret = "my text"
    blocked = Verdict(False, "check injection", "matches", secret, "override", 1.0)
    metrics.rails_checked("input", blocked, 0.02)
    metrics.rails_checked("input", blocked, 0.02)
    metrics.rails_checked("output", Verdict(True, "", "", secret), 0.001)
    found = samples(metrics)
    labels = ("override", "input", "blocked", "check injection")
    assert found["vsage_rail_checks_total", *labels] == 2
    assert found["vsage_rail_checks_total", "", "output", "allowed", ""] == 1
    assert found["vsage_rail_seconds_count", "input"] == 2
    assert secret not in metrics.exposition().decode()


def test_two_servers_in_one_process_do_not_add_up() -> None:
    one, other = Metrics(), Metrics()
    one.rails_checked("input", Verdict(True, "", "", ""), 0.1)
    assert ("vsage_rail_seconds_count", "input") not in samples(other)
