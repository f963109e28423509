"""The estimates of :mod:`storage.queueing` against what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.memory import MemoryStore
from storage.queueing import Pace, Rules, ahead
from storage.tasks import NewTask, Priority

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 8), max_size=4)
WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.5, 1.0, 2.0, 4.0]), max_size=4)


@settings(deadline=None, max_examples=60)
@given(
    interactive=COUNTS,
    batch=COUNTS,
    weights=WEIGHTS,
    every=st.integers(2, 5),
    tenant=st.sampled_from("abcd"),
    priority=st.sampled_from(Priority),
)
def test_as_many_tasks_begin_before_one_as_was_foretold(
    interactive: Mapping[str, int],
    batch: Mapping[str, int],
    weights: Mapping[str, float],
    every: int,
    tenant: str,
    priority: Priority,
) -> None:
    """But for rounding: by a turn for each other tenant, and by what the other line has in those turns."""

    async def before() -> tuple[float, int]:
        store = MemoryStore()
        for line, counts in ((Priority.INTERACTIVE, interactive), (Priority.BATCH, batch)):
            for other, count in counts.items():
                for _ in range(count):
                    await store.submit(NewTask(question="q", planner="vote", tenant=other, priority=line))
        foretold = ahead(await store.waiting(), tenant, priority, rules)
        mine = await store.submit(NewTask(question="q", planner="vote", tenant=tenant, priority=priority))
        begun = 0
        while (claim := await store.claim("me", 30, rules=rules)) is not None and claim.task.id != mine.id:
            begun += 1
        assert claim is not None
        return foretold, begun

    rules = Rules(weights=weights, batch_every=every)
    foretold, begun = asyncio.run(before())
    others = (interactive if priority is Priority.INTERACTIVE else batch).keys() - {tenant}
    off = 1 + sum(1 + rules.weight(other) / rules.weight(tenant) for other in others)
    assert abs(begun - foretold) <= off * (2 if priority is Priority.INTERACTIVE else every)


@pytest.mark.parametrize(
    "pace", [Pace(), Pace(3, None, 60.0), Pace(0, 5.0, 60.0), Pace(3, 5.0, 0.5)], ids=str
)
def test_without_knowledge_there_is_no_estimate(pace: Pace) -> None:
    assert pace.interval is None


def test_tasks_begin_as_fast_as_those_that_run_end() -> None:
    assert Pace(running=4, seconds=10.0, waited=60.0).interval == 2.5
