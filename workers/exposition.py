"""Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
"""The labels of a value, and the value."""


@dataclass(slots=True)
class Histogram:
    """Counts by upper bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def metric(
    name: str, kind: Literal["counter", "gauge"], text: str, samples: Iterable[Sample]
) -> Iterator[str]:
    """The lines of a metric."""
    yield from _head(name, kind, text)
    for labels, value in samples:
        yield _line(name, labels, value)


def histogram(name: str, text: str, observed: Histogram) -> Iterator[str]:
    """The lines of a histogram."""
    yield from _head(name, "histogram", text)
    below = 0
    for bound, count in zip((*observed.bounds, "+Inf"), observed.counts, strict=True):
        below += count
        yield _line(f"{name}_bucket", {"le": str(bound)}, below)
    yield _line(f"{name}_sum", {}, observed.total)
    yield _line(f"{name}_count", {}, below)


def exposition(lines: Iterable[str]) -> str:
    """The lines as one text."""
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
