"""Prometheus text, read by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str, prefix: str = "anabranch_pool_") -> Callable[..., float]:
    """Looks values up by name (without the prefix) and labels; there must be one value for both."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, f"{family.name} has no help"
        assert family.type in ("counter", "gauge", "histogram"), family
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{sample} is told twice"
            found[key] = sample.value

    def value(name: str, **labels: str) -> float:
        return found[prefix + name, frozenset(labels.items())]

    return value
