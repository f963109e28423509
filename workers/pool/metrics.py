"""The books of a pool as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from workers.pool.breaker import BreakerState
from workers.pool.report import PoolSnapshot, ReplicaSnapshot
from workers.pool.tally import PoolTally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_POOL = "anabranch_pool_"

_COUNTERS: tuple[tuple[str, str, Callable[[ReplicaSnapshot], float]], ...] = (
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

_GAUGES: tuple[tuple[str, str, Callable[[ReplicaSnapshot], float | None]], ...] = (
    ("up", "Whether calls are sent there.", lambda replica: int(replica.state in ("up", "on trial"))),
    ("in_flight", "Calls at the engine.", lambda replica: replica.in_flight),
    ("in_flight_limit", "Calls that it may get at once.", lambda replica: replica.limit),
    ("queued", "Calls that wait for a place there.", lambda replica: replica.queued),
    ("held", "Calls that wait for a sibling to compute their prefix.", lambda replica: replica.held),
    ("indexed_blocks", "Blocks that the index believes to be there.", lambda replica: replica.indexed_blocks),
    ("hit_ratio", "Cached over all prompt tokens since the start.", lambda replica: replica.hit_ratio),
)


def prometheus(snapshot: PoolSnapshot, tally: PoolTally) -> str:
    """The metrics of a pool in Prometheus' text format."""
    return exposition([*_of_replicas(snapshot.replicas), *_of_all(snapshot, tally)])


def exposition(metrics: Iterable[Metric]) -> str:
    """Metrics in Prometheus' text format, version 0.0.4, without the times at which they were created."""
    return generate_latest(_Given(metrics)).decode()


@dataclass(frozen=True, slots=True)
class _Given(Collector):
    metrics: Iterable[Metric]

    @override
    def collect(self) -> Iterator[Metric]:
        for metric in self.metrics:
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


def _of_replicas(replicas: Iterable[ReplicaSnapshot]) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        f"{_POOL}calls_total", "Attempts at calls, by how they ended.", labels=("replica", "outcome")
    )
    prompt_tokens = CounterMetricFamily(
        f"{_POOL}prompt_tokens_total",
        "Prompt tokens of finished calls, by their source.",
        labels=("replica", "source"),
    )
    breakers = GaugeMetricFamily(
        f"{_POOL}breaker_state",
        "1 for the state that the circuit breaker is in.",
        labels=("replica", "state"),
    )
    counters = [CounterMetricFamily(_POOL + name, text, labels=("replica",)) for name, text, _ in _COUNTERS]
    gauges = [GaugeMetricFamily(_POOL + name, text, labels=("replica",)) for name, text, _ in _GAUGES]
    for replica in replicas:
        name = replica.name
        outcomes = {"finished": replica.finished, "aborted": replica.aborted} | replica.errors
        for outcome, count in outcomes.items():
            calls.add_metric((name, outcome), count)
        prompt_tokens.add_metric((name, "computed"), replica.prompt_tokens - replica.cached_tokens)
        prompt_tokens.add_metric((name, "cached"), replica.cached_tokens)
        for state in BreakerState:
            breakers.add_metric((name, str(state)), int(replica.breaker is state))
        for counter, (_, _, counted) in zip(counters, _COUNTERS, strict=True):
            counter.add_metric((name,), counted(replica))
        for gauge, (_, _, value) in zip(gauges, _GAUGES, strict=True):
            if (number := value(replica)) is not None:
                gauge.add_metric((name,), number)
    yield from (calls, prompt_tokens, *counters, *gauges, breakers)


def _of_all(snapshot: PoolSnapshot, tally: PoolTally) -> Iterator[Metric]:
    gauges = (
        ("waiting", "Calls in the pool that are not at an engine.", snapshot.waiting),
        ("families", "Families with calls in the pool.", snapshot.families),
        (
            "ideal_hit_ratio",
            "The hit ratio of a single cache for all replicas, without eviction.",
            snapshot.ideal_hit_ratio,
        ),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(_POOL + name, text, value=value)
    totals = (
        ("refused_total", "Calls refused because too many wait.", tally.refused),
        ("restarts_total", "Calls started again after a failure.", tally.restarts),
        ("hedges_total", "Stragglers that were sent a second time.", tally.hedges),
        ("hedges_won_total", "Stragglers whose second attempt answered first.", tally.hedges_won),
        ("warmed_total", "Prefixes computed ahead of their calls.", tally.warmed),
        ("warmed_tokens_total", "Prompt tokens computed ahead of their calls.", tally.warmed_tokens),
    )
    for name, text, count in totals:
        yield CounterMetricFamily(_POOL + name, text, value=count)
    yield from tally.queue_wait.collect()
    yield from tally.first_token.collect()
