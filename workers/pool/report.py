"""What an engine reports about itself; one that is not a pool counts as a pool of one replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from workers.engine import Engine
from workers.pool.breaker import BreakerState
from workers.pool.replica import Replica
from workers.pool.tally import PoolTally


@dataclass(frozen=True, slots=True)
class ReplicaSnapshot:
    """One replica now.

    ``state`` is starting, up, on trial, draining or down; ``detail`` says why. ``limit`` is how many calls it
    gets at once, None if nothing bounds them. ``queued`` calls wait for a place, ``held`` ones for a
    sibling that is computing their prefix. ``errors`` counts the failed calls by code. ``hit_ratio`` is
    cached over all prompt tokens, None before the first call has ended.
    """

    name: str
    model: str
    roles: tuple[str, ...]
    state: str
    detail: str
    breaker: BreakerState
    in_flight: int
    limit: int | None
    queued: int
    held: int
    prefill_tokens_per_s: float | None
    indexed_blocks: int
    sharing: str
    finished: int
    aborted: int
    failed: int
    errors: dict[str, int]
    prompt_tokens: int
    cached_tokens: int
    ideal_cached_tokens: float
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
    refused: int
    restarts: int
    hit_ratio: float | None
    ideal_hit_ratio: float | None


@runtime_checkable
class Reporting(Engine, Protocol):
    """An engine that keeps books."""

    def snapshot(self) -> PoolSnapshot:
        """Its state now; one that is not a pool counts as a pool of one."""
        ...

    def metrics(self) -> str:
        """The snapshot and more, as Prometheus text."""
        ...


def state_of(replica: Replica) -> str:
    """One word for a replica's state."""
    if replica.draining:
        return "draining"
    if replica.refusal is not None:
        return "down"
    if replica.capabilities is None:
        return "down" if replica.breaker.state is BreakerState.OPEN else "starting"
    return {BreakerState.CLOSED: "up", BreakerState.OPEN: "down", BreakerState.HALF_OPEN: "on trial"}[
        replica.breaker.state
    ]


def snapshot_of(replica: Replica) -> ReplicaSnapshot:
    """The current state of one replica."""
    tally = replica.tally
    return ReplicaSnapshot(
        name=replica.name,
        model=replica.capabilities.model if replica.capabilities else "",
        roles=tuple(sorted(replica.roles)),
        state=state_of(replica),
        detail=str(replica.refusal) if replica.refusal is not None else replica.breaker.reason,
        breaker=replica.breaker.state,
        in_flight=len(replica.flights),
        limit=replica.limit.value,
        queued=len(replica.queue),
        held=replica.held,
        prefill_tokens_per_s=replica.pace.measured_prefill,
        indexed_blocks=len(replica.index),
        sharing=str(replica.sharing or "unknown"),
        finished=tally.finished,
        aborted=tally.aborted,
        failed=tally.failed,
        errors=dict(tally.errors),
        prompt_tokens=tally.prompt_tokens,
        cached_tokens=tally.cached_tokens,
        ideal_cached_tokens=tally.ideal_cached_tokens,
        completion_tokens=tally.completion_tokens,
        wasted_tokens=tally.wasted_tokens,
        hit_ratio=_ratio(tally.cached_tokens, tally.prompt_tokens),
    )


def snapshot_of_all(
    replicas: Sequence[ReplicaSnapshot], tally: PoolTally, *, families: int, waiting: int = 0, parked: int = 0
) -> PoolSnapshot:
    """The current state of a pool of these replicas."""
    prompt = sum(replica.prompt_tokens for replica in replicas)
    return PoolSnapshot(
        replicas=tuple(replicas),
        families=families,
        waiting=waiting,
        parked=parked,
        refused=tally.refused,
        restarts=tally.restarts,
        hit_ratio=_ratio(sum(replica.cached_tokens for replica in replicas), prompt),
        ideal_hit_ratio=_ratio(sum(replica.ideal_cached_tokens for replica in replicas), prompt),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
