"""What OpenAI's protocol costs at the door: the bounds of ours, a table for people, and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.checks import Check, at_most
from benchmarks.service.clients import Clients, Cost
from benchmarks.service.doors import ENGINE, PASSED, PLANNED

PASSED_MS = 3.0
FIRST_MS = 30.0
FREED_MS = 250.0


def checks(found: Clients) -> list[Check]:
    """What ours must keep to, on a machine that does nothing else."""
    costs = found.costs
    passed, planned = costs[PASSED], costs[PLANNED]
    freed = [seconds for cost in (passed, planned) for each in cost.freed.values() for seconds in each]
    return [
        at_most("the engine's own model adds to an answer, ms", _added(found, PASSED, "whole"), PASSED_MS),
        at_most("the engine's own model adds to a first token, ms", _added(found, PASSED, "first"), FIRST_MS),
        at_most("anabranch/direct adds to a first token, ms", _added(found, PLANNED, "first"), FIRST_MS),
        at_most("the engine is free after its client left, ms", max(freed) * 1e3, FREED_MS),
    ]


def lines(found: Clients) -> list[str]:
    """The report for people."""
    size, engine = found.size, found.costs[ENGINE]
    told = [
        f"{size.turns} whole and {size.turns} streamed answers of each, one at a time; {size.crowds} times "
        f"{size.crowd_requests} by {size.crowd} clients at once; {size.streams} slow streams; "
        f"{size.leaves} clients of each kind that leave",
        f"the engine itself, ms: an answer {_ms(engine.whole, 0.5):.2f} (p99 {_ms(engine.whole, 0.99):.2f}), "
        f"a first token {_ms(engine.first, 0.5):.2f} (p99 {_ms(engine.first, 0.99):.2f}), "
        f"among {size.crowd} {_ms(engine.crowded, 0.5):.1f}",
        "",
        "milliseconds that each adds to the engine's own",
        f"{'':<32}{'an answer':>18}{'a first token':>18}{f'among {size.crowd}':>12}{'CPU each':>10}",
        f"{'':<32}{'p50':>9}{'p99':>9}{'p50':>9}{'p99':>9}{'p50':>12}",
    ]
    told += [_row(found, name) for name in found.costs if name != ENGINE]
    told += [
        "",
        "streams at 30 tokens/s, ms; and until the engine is free after its client left, ms",
        f"{'':<32}{'first':>9}{'gap p50':>9}{'gap p99':>9}{'whole':>9}{'streamed':>9}",
    ]
    for name, cost in found.costs.items():
        gaps = [gap for each in cost.streams for gap in each.gaps]
        told.append(
            f"{name:<32}{_ms([each.first for each in cost.streams], 0.5):>9.1f}{_ms(gaps, 0.5):>9.1f}"
            f"{_ms(gaps, 0.99):>9.1f}{_ms(cost.freed['whole'], 1.0):>9.0f}"
            f"{_ms(cost.freed['streamed'], 1.0):>9.0f}"
        )
    told.append("")
    told += [f"not measured: {name}: {why}" for name, why in found.missing.items()]
    told += [
        f"{'ok  ' if each.passed else 'FAIL'} {each.name}: {each.value:g} ({each.bound:g})"
        for each in checks(found)
    ]
    return told


def as_json(found: Clients) -> dict[str, Any]:
    """The report for programs; all times are milliseconds."""
    return {
        "size": asdict(found.size),
        "checks": [asdict(each) for each in checks(found)],
        "missing": dict(found.missing),
        "doors": {name: _door(found, name) for name in found.costs},
    }


def _door(found: Clients, name: str) -> dict[str, Any]:
    cost = found.costs[name]
    told: dict[str, Any] = {
        "whole": _spread(cost.whole),
        "first": _spread(cost.first),
        "crowded": {**_spread(cost.crowded), "per_second": len(cost.crowded) / cost.crowd_seconds},
        "slow_first": _spread([each.first for each in cost.streams]),
        "gap": _spread([gap for each in cost.streams for gap in each.gaps]),
        "freed": {form: _spread(seconds) for form, seconds in cost.freed.items()},
    }
    if name != ENGINE:
        told["added"] = {part: _added(found, name, part) for part in ("whole", "first", "crowded")}
        told["cpu"] = _cpu(cost)
    return told


def _row(found: Clients, name: str) -> str:
    parts = [
        _added(found, name, part, share)
        for part, share in (("whole", 0.5), ("whole", 0.99), ("first", 0.5), ("first", 0.99))
    ]
    return (
        f"{name:<32}{''.join(f'{each:>9.2f}' for each in parts)}{_added(found, name, 'crowded'):>12.1f}"
        f"{_cpu(found.costs[name]):>10.2f}"
    )


def _added(found: Clients, name: str, part: str, share: float = 0.5) -> float:
    """The milliseconds by which a quantile of a door is above the engine's."""
    theirs, engines = (getattr(found.costs[each], part) for each in (name, ENGINE))
    return _ms(theirs, share) - _ms(engines, share)


def _cpu(cost: Cost) -> float:
    return cost.processor / len(cost.crowded) * 1e3


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"n": 0}
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {"n": len(seconds), **{name: round(_ms(seconds, share), 3) for name, share in shares.items()}}


def _ms(seconds: Sequence[float], share: float) -> float:
    """The milliseconds that this share of them took at most; not a number where there are none."""
    if not seconds:  # an answer in one piece has no gaps
        return math.nan
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] * 1e3
