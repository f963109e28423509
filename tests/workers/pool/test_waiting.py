from __future__ import annotations

from dataclasses import dataclass
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pool.waiting import FairQueue


@dataclass(eq=False)
class Waiter:
    tenant: str = "t"
    priority: float = 0.0
    family_age: int = 0
    age: int = 0
    work: float = 1.0
    queued: int = 0


def test_priority_then_the_older_family_then_arrival() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    late_family = [Waiter(family_age=2, age=age) for age in (2, 4)]
    early_family = [Waiter(family_age=1, age=age) for age in (1, 3, 5)]
    urgent = Waiter(priority=1.0, family_age=6, age=6)
    for waiter in sorted([*late_family, *early_family, urgent], key=lambda one: one.age):
        queue.push(waiter)
    assert queue.drain() == [urgent, *early_family, *late_family]


def test_a_tenant_with_few_calls_does_not_wait_for_one_with_many() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for age in range(1000):
        queue.push(Waiter("many", age=age))
    for age in range(1000, 1010):
        queue.push(Waiter("few", age=age))
    order = queue.drain()
    last = max(index for index, waiter in enumerate(order) if waiter.tenant == "few")
    assert last <= 20


def test_service_is_shared_by_work_and_not_by_calls() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for age in range(400):
        queue.push(Waiter("long", age=age, work=300.0))
        queue.push(Waiter("short", age=age, work=100.0))
    first = [queue.pop() for _ in range(200)]
    short = sum(1 for waiter in first if waiter is not None and waiter.tenant == "short")
    assert 145 <= short <= 155


def test_absence_saves_up_no_service() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for age in range(100):
        queue.push(Waiter("steady", age=age))
    for _ in range(80):
        queue.pop()
    for age in range(100, 120):
        queue.push(Waiter("back", age=age))
    first = [queue.pop() for _ in range(10)]
    assert sum(1 for waiter in first if waiter is not None and waiter.tenant == "back") in (4, 5, 6)


def test_a_call_that_moved_to_another_queue_is_not_found_in_the_first() -> None:
    one: FairQueue[Waiter] = FairQueue()
    other: FairQueue[Waiter] = FairQueue()
    waiter = Waiter()
    one.push(waiter)
    one.remove(waiter)
    other.push(waiter)
    assert len(one) == 0
    assert one.pop() is None
    assert list(one.some(5)) == []
    assert other.pop() is waiter


def test_calls_that_left_are_not_kept() -> None:
    """One high in the order stays, so that the turn of those that leave never comes."""
    queue: FairQueue[Waiter] = FairQueue()
    first = Waiter(priority=1.0)
    queue.push(first)
    for age in range(10_000):
        left = Waiter(f"t{age % 2}", age=age)
        queue.push(left)
        queue.remove(left)
    assert len(queue) == 1
    assert sum(map(len, queue._calls.values())) < 2_000
    assert queue.drain() == [first]


@pytest.mark.parametrize("leave", [False, True])
def test_tenants_of_whom_nothing_waits_are_not_all_kept(leave: bool) -> None:
    """Each has one call, and one who is new always waits: virtual time stands still."""
    queue: FairQueue[Waiter] = FairQueue()
    queue.push(Waiter("in debt", work=2.0))
    queue.pop()
    stays = Waiter("stays", priority=1.0)
    for age in range(20_000):
        new = Waiter(f"t{age}", age=age)
        queue.push(new)
        if leave:
            queue.remove(new)
        elif age:
            queue.pop()
    assert len(queue._calls) == len(queue._tenants) < 5_000
    assert "in debt" in queue._calls, "who had more than others is remembered longest"
    queue.push(stays)
    assert stays in queue.drain()
    assert not queue._calls


@patch("workers.pool.waiting.STALE", 3)
@given(st.integers(0, 2**32), st.integers(1, 80))
def test_everybody_leaves_once(seed: int, steps: int) -> None:
    rng = Random(seed)
    queue: FairQueue[Waiter] = FairQueue()
    waiting: list[Waiter] = []
    for age in range(steps):
        match rng.randrange(4):
            case 0 if waiting:
                gone = waiting.pop(rng.randrange(len(waiting)))
                queue.remove(gone)
                queue.remove(gone)
            case 1:
                popped = queue.pop()
                assert (popped is None) == (not waiting)
                if popped is not None:
                    waiting.remove(popped)
            case _:
                waiter = Waiter(
                    f"t{rng.randrange(20)}", rng.randrange(2), rng.randrange(3), age, rng.random()
                )
                queue.push(waiter)
                waiting.append(waiter)
        assert len(queue) == len(waiting)
    assert sorted(map(id, queue.drain())) == sorted(map(id, waiting))
