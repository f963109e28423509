"""What a pool tells about itself: a snapshot for people and tools, and Prometheus metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from workers.breaker import BreakerState
from workers.replica import Replica

QUEUE_WAIT_BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
FIRST_TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


@dataclass(frozen=True, slots=True)
class ReplicaSnapshot:
    """One replica now. ``hit_ratio`` is cached over all prompt tokens; None before the first call ended."""

    name: str
    model: str
    roles: tuple[str, ...]
    state: str
    detail: str
    in_flight: int
    limit: int
    queued: int
    held: int
    prefill_tokens_per_s: float | None
    indexed_blocks: int
    sharing: str
    finished: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    wasted_tokens: int
    hit_ratio: float | None


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """The pool now. ``ideal_hit_ratio`` is what one cache that never forgets would have reached."""

    replicas: tuple[ReplicaSnapshot, ...]
    families: int
    waiting: int
    parked: int
    hit_ratio: float | None
    ideal_hit_ratio: float | None


@dataclass(slots=True)
class Histogram:
    """Counts by upper bound, as Prometheus wants them."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        """Values observed."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class PoolTally:
    """What happened in the pool as a whole since its start."""

    queue_wait: Histogram = field(default_factory=lambda: Histogram(QUEUE_WAIT_BOUNDS))
    first_token: Histogram = field(default_factory=lambda: Histogram(FIRST_TOKEN_BOUNDS))
    refused: int = 0
    restarts: int = 0
    hedges: int = 0
    hedges_won: int = 0
    warmed: int = 0


def state_of(replica: Replica) -> str:
    """One word for a replica's state."""
    if replica.draining:
        return "draining"
    if replica.capabilities is None:
        return "down" if replica.breaker.state is BreakerState.OPEN else "starting"
    return {BreakerState.CLOSED: "up", BreakerState.OPEN: "down", BreakerState.HALF_OPEN: "on trial"}[
        replica.breaker.state
    ]


def snapshot_of(replica: Replica) -> ReplicaSnapshot:
    """The present state of one replica."""
    tally = replica.tally
    return ReplicaSnapshot(
        name=replica.name,
        model=replica.capabilities.model if replica.capabilities else "",
        roles=tuple(sorted(replica.roles)),
        state=state_of(replica),
        detail=replica.breaker.reason,
        in_flight=len(replica.flights),
        limit=replica.limit.value,
        queued=len(replica.queue),
        held=replica.held,
        prefill_tokens_per_s=replica.pace.measured_prefill,
        indexed_blocks=replica.indexed_blocks,
        sharing=str(replica.sharing or "unknown"),
        finished=tally.finished,
        failed=tally.failed,
        prompt_tokens=tally.prompt_tokens,
        cached_tokens=tally.cached_tokens,
        completion_tokens=tally.completion_tokens,
        wasted_tokens=tally.wasted_tokens,
        hit_ratio=ratio(tally.cached_tokens, tally.prompt_tokens),
    )


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or None where there is no whole yet."""
    return part / whole if whole else None


def prometheus(tally: PoolTally, replicas: Iterable[Replica], waiting: int) -> str:
    """The pool's metrics in Prometheus' text format, version 0.0.4."""
    return "\n".join(_lines(tally, tuple(replicas), waiting)) + "\n"


def _lines(tally: PoolTally, replicas: tuple[Replica, ...], waiting: int) -> Iterator[str]:
    yield from _family("calls_total", "counter", "Attempts at calls, by how they ended.")
    for replica in replicas:
        outcomes = {
            "finished": replica.tally.finished,
            "aborted": replica.tally.aborted,
        } | replica.tally.errors
        for outcome, count in outcomes.items():
            yield _sample("calls_total", {"replica": replica.name, "outcome": outcome}, count)
    yield from _family("prompt_tokens_total", "counter", "Prompt tokens of finished calls, by their source.")
    for replica in replicas:
        cached, total = replica.tally.cached_tokens, replica.tally.prompt_tokens
        yield _sample("prompt_tokens_total", {"replica": replica.name, "source": "computed"}, total - cached)
        yield _sample("prompt_tokens_total", {"replica": replica.name, "source": "cached"}, cached)
    yield from _family(
        "prompt_tokens_ideal_cached_total",
        "counter",
        "Prompt tokens that one cache of all replicas, which never forgets, would have held.",
    )
    for replica in replicas:
        yield _sample(
            "prompt_tokens_ideal_cached_total", {"replica": replica.name}, replica.tally.ideal_cached_tokens
        )
    yield from _family("completion_tokens_total", "counter", "Completion tokens of finished calls.")
    for replica in replicas:
        yield _sample("completion_tokens_total", {"replica": replica.name}, replica.tally.completion_tokens)
    yield from _family("wasted_tokens_total", "counter", "Completion tokens of attempts that did not finish.")
    for replica in replicas:
        yield _sample("wasted_tokens_total", {"replica": replica.name}, replica.tally.wasted_tokens)
    gauges = (
        ("in_flight", "Calls at the engine.", lambda r: len(r.flights)),
        ("in_flight_limit", "Calls that it gets at once.", lambda r: r.limit.value),
        ("queued", "Calls that wait for a place there.", lambda r: len(r.queue)),
        ("held", "Calls that wait for a sibling to compute their prefix.", lambda r: r.held),
        ("indexed_blocks", "Blocks that the index believes to be there.", lambda r: r.indexed_blocks),
    )
    for name, text, value in gauges:
        yield from _family(name, "gauge", text)
        for replica in replicas:
            yield _sample(name, {"replica": replica.name}, value(replica))
    yield from _family("breaker_state", "gauge", "1 for the state that the circuit breaker is in.")
    for replica in replicas:
        for state in BreakerState:
            labels = {"replica": replica.name, "state": str(state)}
            yield _sample("breaker_state", labels, int(replica.breaker.state is state))
    yield from _family("waiting", "gauge", "Calls in the pool that are not at an engine.")
    yield _sample("waiting", {}, waiting)
    counters = (
        ("refused_total", "Calls refused because too many wait.", tally.refused),
        ("restarts_total", "Calls begun again elsewhere after a failure.", tally.restarts),
        ("hedges_total", "Stragglers that were sent a second time.", tally.hedges),
        ("hedges_won_total", "Stragglers whose second sending answered first.", tally.hedges_won),
        ("warmed_total", "Prefixes computed ahead of their calls.", tally.warmed),
    )
    for name, text, count in counters:
        yield from _family(name, "counter", text)
        yield _sample(name, {}, count)
    yield from _histogram("queue_wait_seconds", "From arrival to sending.", tally.queue_wait)
    yield from _histogram("first_token_seconds", "From sending to the first token.", tally.first_token)


def _family(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP anabranch_pool_{name} {text}"
    yield f"# TYPE anabranch_pool_{name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"anabranch_pool_{name}{{{inside}}} {value!r}" if inside else f"anabranch_pool_{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _histogram(name: str, text: str, histogram: Histogram) -> Iterator[str]:
    yield from _family(name, "histogram", text)
    below = 0
    for bound, count in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        below += count
        yield _sample(f"{name}_bucket", {"le": str(bound)}, below)
    yield _sample(f"{name}_sum", {}, histogram.total)
    yield _sample(f"{name}_count", {}, below)
