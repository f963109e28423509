"""The books of a pool as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.exposition import Sample, exposition, histogram, metric
from workers.pool.breaker import BreakerState
from workers.pool.report import PoolSnapshot, ReplicaSnapshot
from workers.pool.tally import PoolTally


def prometheus(snapshot: PoolSnapshot, tally: PoolTally) -> str:
    """The metrics of a pool in Prometheus' text format."""
    return exposition(_lines(snapshot, tally))


def _lines(snapshot: PoolSnapshot, tally: PoolTally) -> Iterator[str]:
    def each(value: Callable[[ReplicaSnapshot], float | None]) -> Iterator[Sample]:
        for replica in snapshot.replicas:
            if (number := value(replica)) is not None:
                yield {"replica": replica.name}, number

    def calls() -> Iterator[Sample]:
        for replica in snapshot.replicas:
            outcomes = {"finished": replica.finished, "aborted": replica.aborted} | replica.errors
            for outcome, count in outcomes.items():
                yield {"replica": replica.name, "outcome": outcome}, count

    def prompt_tokens() -> Iterator[Sample]:
        for replica in snapshot.replicas:
            computed = replica.prompt_tokens - replica.cached_tokens
            yield {"replica": replica.name, "source": "computed"}, computed
            yield {"replica": replica.name, "source": "cached"}, replica.cached_tokens

    def breakers() -> Iterator[Sample]:
        for replica in snapshot.replicas:
            for state in BreakerState:
                yield {"replica": replica.name, "state": str(state)}, int(replica.breaker is state)

    pool = "anabranch_pool_"
    yield from metric(f"{pool}calls_total", "counter", "Attempts at calls, by how they ended.", calls())
    yield from metric(
        f"{pool}prompt_tokens_total",
        "counter",
        "Prompt tokens of finished calls, by their source.",
        prompt_tokens(),
    )
    counters: tuple[tuple[str, str, Callable[[ReplicaSnapshot], float]], ...] = (
        (
            "prompt_tokens_ideal_cached_total",
            "Prompt tokens that a single cache for all replicas, without eviction, would have held.",
            lambda replica: replica.ideal_cached_tokens,
        ),
        (
            "completion_tokens_total",
            "Completion tokens of finished calls.",
            lambda replica: replica.completion_tokens,
        ),
        (
            "wasted_tokens_total",
            "Completion tokens of attempts that did not finish.",
            lambda replica: replica.wasted_tokens,
        ),
    )
    for name, text, counted in counters:
        yield from metric(f"{pool}{name}", "counter", text, each(counted))
    gauges: tuple[tuple[str, str, Callable[[ReplicaSnapshot], float | None]], ...] = (
        ("up", "Whether calls are sent there.", lambda replica: int(replica.state in ("up", "on trial"))),
        ("in_flight", "Calls at the engine.", lambda replica: replica.in_flight),
        ("in_flight_limit", "Calls that it may get at once.", lambda replica: replica.limit),
        ("queued", "Calls that wait for a place there.", lambda replica: replica.queued),
        ("held", "Calls that wait for a sibling to compute their prefix.", lambda replica: replica.held),
        (
            "indexed_blocks",
            "Blocks that the index believes to be there.",
            lambda replica: replica.indexed_blocks,
        ),
        ("hit_ratio", "Cached over all prompt tokens since the start.", lambda replica: replica.hit_ratio),
    )
    for name, text, value in gauges:
        yield from metric(f"{pool}{name}", "gauge", text, each(value))
    yield from metric(
        f"{pool}breaker_state", "gauge", "1 for the state that the circuit breaker is in.", breakers()
    )
    whole: tuple[tuple[str, str, float | None], ...] = (
        ("waiting", "Calls in the pool that are not at an engine.", snapshot.waiting),
        ("families", "Families with calls in the pool.", snapshot.families),
        (
            "ideal_hit_ratio",
            "The hit ratio of a single cache for all replicas, without eviction.",
            snapshot.ideal_hit_ratio,
        ),
    )
    for name, text, number in whole:
        yield from metric(f"{pool}{name}", "gauge", text, [] if number is None else [({}, number)])
    totals = (
        ("refused_total", "Calls refused because too many wait.", tally.refused),
        ("restarts_total", "Calls started again after a failure.", tally.restarts),
        ("hedges_total", "Stragglers that were sent a second time.", tally.hedges),
        ("hedges_won_total", "Stragglers whose second attempt answered first.", tally.hedges_won),
        ("warmed_total", "Prefixes computed ahead of their calls.", tally.warmed),
        ("warmed_tokens_total", "Prompt tokens computed ahead of their calls.", tally.warmed_tokens),
    )
    for name, text, count in totals:
        yield from metric(f"{pool}{name}", "counter", text, [({}, count)])
    yield from histogram(f"{pool}queue_wait_seconds", "From arrival to sending.", tally.queue_wait)
    yield from histogram(f"{pool}first_token_seconds", "From sending to the first token.", tally.first_token)
