from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.workers.tools.samples import area
from workers.errors import ToolError, ToolUnavailable
from workers.tools import limits
from workers.tools.declaration import tool
from workers.tools.tool import Tool


class Counter:
    """Counts how many are inside at the same time, over all threads."""

    def __init__(self) -> None:
        self.now = self.most = self.entered = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.entered += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


def limited(inside: Counter, *, is_async: bool = True, **options: Any) -> Tool:
    async def work() -> None:
        with inside:
            await asyncio.sleep(0.01)

    def work_in_thread() -> None:
        with inside:
            time.sleep(0.01)

    made = tool(name="work", **options)
    function: Callable[..., object] = work if is_async else work_in_thread
    function.__doc__ = "Work."
    declared: Tool = made(function)
    return declared


def test_a_tool_has_no_limits_unless_it_declares_some() -> None:
    assert (area.limits.concurrency, area.limits.rate, area.limits.exclusive) == (None, "", "")
    assert (area.retries, area.examples) == (0, ())


@pytest.mark.parametrize("is_async", [True, False])
async def test_no_more_calls_are_under_way_than_may_be(is_async: bool) -> None:
    inside = Counter()
    work = limited(inside, is_async=is_async, concurrency=3)
    await asyncio.gather(*(work.invoke({}) for _ in range(12)))
    assert (inside.most, inside.entered) == (3, 12)


async def test_a_tool_as_a_journal_describes_it_shares_the_limits_of_its_own() -> None:
    inside = Counter()
    work = limited(inside, concurrency=1)
    other = replace(work, description="as it was then")
    await asyncio.gather(*(each.invoke({}) for each in (work, other) * 4))
    assert inside.most == 1


def test_a_limit_holds_over_event_loops_and_threads() -> None:
    inside = Counter()
    work = limited(inside, concurrency=2)

    async def several() -> None:
        await asyncio.gather(*(work.invoke({}) for _ in range(5)))

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside.most, inside.entered) == (2, 20)


async def test_of_the_tools_that_use_one_thing_exclusively_one_call_runs_at_a_time() -> None:
    inside, beside = Counter(), Counter()
    click, scroll = (limited(inside, exclusive="the browser of this test") for _ in range(2))
    look = limited(beside)
    await asyncio.gather(*(each.invoke({}) for each in (click, scroll, look) * 4))
    assert (inside.most, inside.entered) == (1, 8)
    assert beside.most == 4


async def test_who_is_cancelled_while_it_waits_takes_no_place() -> None:
    inside = Counter()
    work = limited(inside, concurrency=1)
    calls = [asyncio.create_task(work.invoke({})) for _ in range(6)]
    await asyncio.sleep(0)
    for call in calls[1:4]:
        call.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in ended] == [False, *[True] * 3, False, False]
    assert (inside.most, inside.entered) == (1, 3)
    for moment in range(50):  # at whatever moment a call is cancelled, its place is free afterwards
        call = asyncio.create_task(work.invoke({}))
        for _ in range(moment % 7):
            await asyncio.sleep(0)
        call.cancel()
    await asyncio.wait_for(work.invoke({}), 30)


def test_who_waits_in_an_event_loop_that_is_gone_is_passed_over() -> None:
    began, go_on = threading.Event(), threading.Event()

    @tool(concurrency=1)
    def work() -> str:
        """Work."""
        began.set()
        go_on.wait(30)
        return "done"

    holding = threading.Thread(target=lambda: asyncio.run(work.invoke({})))
    holding.start()
    assert began.wait(30)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(work.invoke({}))
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    go_on.set()
    holding.join(30)
    assert asyncio.run(asyncio.wait_for(work.invoke({}), 30)) == "done"
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]


async def test_the_time_that_a_call_waits_is_not_its_own() -> None:
    @tool(exclusive="the desk of this test")
    async def long() -> None:
        """Take long."""
        await asyncio.sleep(1.2)

    @tool(exclusive="the desk of this test", timeout=1.0)
    async def short() -> str:
        """Take no time."""
        return "done"

    first = asyncio.create_task(long.invoke({}))
    await asyncio.sleep(0)
    assert await short.invoke({}) == "done"
    assert first.done()
    await first


async def test_a_thread_that_was_left_behind_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.1)
    go_on, runs = threading.Event(), []

    @tool(concurrency=1, timeout=0.05)
    def work() -> str:
        """Work."""
        runs.append(1)
        go_on.wait(30 if len(runs) == 1 else 0)
        return "done"

    with pytest.raises(ToolError, match=r"work took more than 0\.05 s"):
        await work.invoke({})
    with pytest.raises(ToolError, match="work was not begun: it waits for earlier calls, which took longer"):
        await work.invoke({})
    assert len(runs) == 1
    go_on.set()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await work.invoke({}) == "done"
                break
            except ToolError:
                await asyncio.sleep(0.01)


async def test_no_more_calls_begin_in_a_time_than_may() -> None:
    times: list[float] = []

    @tool(rate="3/second")
    async def look() -> None:
        """Look."""
        times.append(time.monotonic())

    await asyncio.gather(*(look.invoke({}) for _ in range(7)))
    assert len(times) == 7
    # A call may have been let in a moment before it could look at the clock.
    assert all(later - earlier >= 0.8 for earlier, later in zip(times, times[3:], strict=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "often"}, r"the tool work: rate 'often': write a number and a time, such as 10/second"),
        ({"rate": "5/fortnight"}, "write a number and a time"),
        ({"rate": "0/second"}, "write a number and a time"),
        ({"concurrency": 0}, "the tool work: concurrency is 0"),
        ({"retries": -1}, "-1 retries"),
        ({"retries": 1, "side_effects": True}, "for retries, it must take an idempotency_key: str"),
        ({"examples": ["wrok()"]}, r"the example 'wrok\(\)' is no call of the tool: write work\(…\)"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        limited(Counter(), **options)


class Failing:
    """Raises what it is given, one after the other, and then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.keys: list[str] = []

    def __call__(self, key: str = "") -> str:
        self.keys.append(key)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_a_tool_is_tried_again_for_the_errors_that_it_declares() -> None:
    failing = Failing(ConnectionError("gone"), ToolUnavailable("full", retry_after=0.01))

    @tool(retries=2)
    def fetch() -> str:
        """Fetch."""
        return failing()

    assert await fetch.invoke({}) == "done"
    assert len(failing.keys) == 3


async def test_who_waits_for_its_rate_keeps_nothing_from_other_tools() -> None:
    @tool(exclusive="the press", rate="1/hour")
    async def slow() -> str:
        """Slow."""
        return "slow"

    @tool(exclusive="the press")
    async def quick() -> str:
        """Quick."""
        return "quick"

    await slow.invoke({})
    waiting = asyncio.create_task(slow.invoke({}))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        assert await quick.invoke({}) == "quick"
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_what_another_error_led_to_is_tried_again_too() -> None:
    failing = Failing(LookupError("gone"))

    @tool(retries=1)
    def fetch() -> str:
        """Fetch."""
        try:
            return failing()
        except LookupError as error:
            raise ToolUnavailable("not there") from error

    assert await fetch.invoke({}) == "done"


@pytest.mark.parametrize(
    ("errors", "told", "tries"),
    [
        ([ValueError("bad")], "fetch raised ValueError: bad", 1),
        ([ConnectionError("gone")] * 3, "fetch raised ConnectionError: gone", 2),
        ([ToolUnavailable("full", retry_after=3600)], "full", 1),
        ([ToolError("no")], "no", 1),
    ],
)
async def test_a_tool_is_not_tried_again_and_again(errors: list[Exception], told: str, tries: int) -> None:
    failing = Failing(*errors)

    @tool(retries=1)
    def fetch() -> str:
        """Fetch."""
        return failing()

    with pytest.raises(ToolError, match=f"^{told}$"):
        await fetch.invoke({})
    assert len(failing.keys) == tries


async def test_a_tool_with_side_effects_is_tried_again_with_its_key_only() -> None:
    failing = Failing(ConnectionError("gone"), ConnectionError("gone"))

    @tool(side_effects=True, retries=1)
    def pay(idempotency_key: str) -> str:
        """Pay."""
        return failing(idempotency_key)

    with pytest.raises(ToolError):  # as a journal may describe a tool that declares otherwise by now
        await replace(pay, takes_key=False, function=lambda: failing()).invoke({})
    assert failing.keys == [""]
    assert await pay.invoke({}, key="k") == "done"
    assert failing.keys == ["", "k", "k"]


async def test_the_permit_is_asked_for_when_the_call_may_begin_and_for_each_try() -> None:
    order: list[str] = []
    failing = Failing(ConnectionError("gone"))

    @tool(retries=1, concurrency=1)
    async def fetch() -> str:
        """Fetch."""
        order.append("fetch")
        return failing()

    async def permit() -> None:
        order.append("permit")

    async def refused() -> None:
        raise PermissionError

    assert await fetch.invoke({}, permit=permit) == "done"
    assert order == ["permit", "fetch"] * 2
    with pytest.raises(PermissionError):
        await fetch.invoke({}, permit=refused)
    assert await fetch.invoke({}) == "done"  # the place is free


async def test_a_wrong_argument_waits_for_nothing() -> None:
    go_on = asyncio.Event()

    @tool(concurrency=1)
    async def work(number: int = 0) -> None:
        """Work."""
        await go_on.wait()

    first = asyncio.create_task(work.invoke({}))
    await asyncio.sleep(0.01)
    with pytest.raises(ToolError, match="'number' was given 'x'"):
        await asyncio.wait_for(work.invoke({"number": "x"}), 30)
    go_on.set()
    await first
