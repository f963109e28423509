"""What was measured: the bounds that it must keep to, a table for people, and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.checks import Check, at_least, at_most
from benchmarks.service.phases import Flood, Load, Price, Size

P99_SECONDS = 0.050
PRICE_SECONDS = 0.0003
LISTENER_BYTES = 256 * 1024
"""What one listener may add to the memory of the service, its part of the running tasks included."""
HEALTH_SECONDS = 5.0
"""How long an answer of ``/healthz`` may take while submissions flood in."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured."""

    size: Size
    load: Load
    flood: Flood
    price: Price | None

    @property
    def checks(self) -> list[Check]:
        """The figures that have a bound. Those in seconds hold on a machine that does nothing else."""
        size, load, flood = self.size, self.load, self.flood
        peak = max(memory for _, memory in load.memory)
        checks = [
            at_most("errors under load", len(load.errors), 0),
            at_least(
                "listeners that read to the end", sum(each.ended for each in load.readers), len(load.readers)
            ),
            at_least("tasks that succeeded", load.tasks["succeeded"], size.tasks),
            at_most(
                "bytes of memory for each listener", (peak - load.before) / size.listeners, LISTENER_BYTES
            ),
            at_most("p99 of a call without a model, s", quantile(load.probes, 0.99), P99_SECONDS),
            at_least("submissions accepted", len(flood.accepted), size.submissions),
            at_most("submissions lost", flood.lost, 0),
            at_most("tasks stored beyond those accepted", len(flood.stored - flood.accepted), 0),
            at_most(
                "calls of /healthz without an answer", sum(not status for _, status, _ in flood.health), 0
            ),
            at_most("longest call of /healthz, s", quantile(flood.health, 1.0), HEALTH_SECONDS),
        ]
        if self.price is not None:
            without = self.price.without
            checks += [
                at_most("a key adds to a request, s", self.price.with_key - without, PRICE_SECONDS),
                at_most("a key with a limit adds, s", self.price.with_limit - without, PRICE_SECONDS),
            ]
        return checks


def quantile(probes: Sequence[tuple[str, int, float]], share: float) -> float:
    """The seconds that this share of the calls took at most; 0 if there were none."""
    seconds = sorted(each for _, _, each in probes)
    return seconds[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else 0.0


def lines(found: Found) -> list[str]:
    """The report for people."""
    load, flood = found.load, found.flood
    told = [
        f"{len(load.followed)} listeners, {len(load.followed) - len(load.readers)} of which never read; "
        f"at most {load.most_open} open at once, {load.resumed} came back; {sum(load.tasks.values())} tasks "
        f"in {load.seconds:.1f} s",
        "",
        f"{'call':<24}{'n':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}",
    ]
    for name, probes in (("calm", load.calm), ("under load", load.probes)):
        for path in dict.fromkeys(path for path, _, _ in probes):
            of_path = [each for each in probes if each[0] == path]
            told += [_row(f"{name} {_kind(path)}", of_path)]
    told.append(_row("flood /healthz", flood.health))
    told += [
        "",
        "seconds, MB: " + " ".join(f"{at:.0f}:{size / 1e6:.0f}" for at, size in _thinned(load.memory)),
    ]
    told += [
        f"before {load.before / 1e6:.0f} MB, at most {max(size for _, size in load.memory) / 1e6:.0f} MB",
        "",
        f"{found.size.submissions} submissions at once: {len(flood.accepted)} accepted in "
        f"{flood.seconds:.1f} s, {flood.lost} lost; told to come back: {dict(flood.refusals) or 'none'}",
        "",
    ]
    if found.price is None:
        told.append("the price of keys was not measured: this version has none")
    else:
        price = found.price
        told.append(
            f"one request: {price.without * 1e3:.3f} ms without a key, {price.with_key * 1e3:.3f} ms with "
            f"one, {price.with_limit * 1e3:.3f} ms with one that has a limit (medians)"
        )
    told += [
        f"{'ok  ' if each.passed else 'FAIL'} {each.name}: {each.value:g} ({each.bound:g})"
        for each in found.checks
    ]
    told += [f"     {problem}" for problem in (*load.errors[:10], *flood.unaccepted[:10])]
    return told


def as_json(found: Found) -> dict[str, Any]:
    """The report for programs."""
    load, flood, price = found.load, found.flood, found.price
    return {
        "checks": [
            {"name": each.name, "value": each.value, "bound": each.bound, "passed": each.passed}
            for each in found.checks
        ],
        "load": {
            "seconds": load.seconds,
            "listeners": len(load.followed),
            "most_open": load.most_open,
            "resumed": load.resumed,
            "tasks": dict(load.tasks),
            "calm": _timed(load.calm),
            "under_load": _timed(load.probes),
            "memory_before": load.before,
            "memory": [[round(at, 2), size] for at, size in load.memory],
            "errors": load.errors,
        },
        "flood": {
            "seconds": flood.seconds,
            "accepted": len(flood.accepted),
            "lost": flood.lost,
            "refusals": dict(flood.refusals),
            "unaccepted": flood.unaccepted,
            "health": _timed(flood.health),
        },
        "price": None
        if price is None
        else {"without": price.without, "with_key": price.with_key, "with_limit": price.with_limit},
    }


def _timed(probes: Sequence[tuple[str, int, float]]) -> dict[str, float]:
    return {
        "calls": len(probes),
        "p50": quantile(probes, 0.5),
        "p99": quantile(probes, 0.99),
        "max": quantile(probes, 1.0),
    }


def _row(name: str, probes: Sequence[tuple[str, int, float]]) -> str:
    times = [f"{quantile(probes, share) * 1e3:>9.1f}" for share in (0.5, 0.99, 1.0)]
    return f"{name:<24}{len(probes):>7}{''.join(times)}"


def _kind(path: str) -> str:
    return "one task" if path.count("/") > 2 else "list" if "limit" in path else path


def _thinned(series: Sequence[tuple[float, int]], most: int = 20) -> list[tuple[float, int]]:
    step = max(1, len(series) // most)
    return [
        (series[at][0], int(statistics.mean(size for _, size in series[at : at + step])))
        for at in range(0, len(series), step)
    ]
