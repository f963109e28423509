from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.workers.tools.samples import area, wait_for
from workers.errors import ToolError
from workers.tools.declaration import tool


@pytest.mark.parametrize("arguments", [{"width": 2, "height": "3"}, [2, 3], (2.0, "3", "m")])
async def test_arguments_come_by_name_or_in_order(arguments: dict[str, object] | list[object]) -> None:
    assert await area.invoke(arguments) == "6 m²"


async def test_any_parameter_name_is_allowed() -> None:
    @tool
    def odd(schema: int, copy: int, _private: int, model_config: int) -> int:
        """Add."""
        return schema + copy + _private + model_config

    assert await odd.invoke({"schema": 1, "copy": 2, "_private": 3, "model_config": 4}) == 10
    assert odd.parameters == ("schema", "copy", "_private", "model_config")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({}, ["argument 'width' is missing"]),
        ({"width": "wide"}, ["'width' was given 'wide'", "valid number"]),
        ({"width": 1, "unit": "km"}, ["'unit' was given 'km'", "'m' or 'cm'"]),
        ({"width": 1, "depth": 2}, ["no argument 'depth', only width, height, unit"]),
        ({"width": None, "height": []}, ["'width' was given None", "'height' was given []"]),
        ({"width": "x" * 5000}, ["was given 'xxx", "…"]),
        ([1, 2, "m", 4], ["takes at most 3 arguments (width, height, unit), but 4 were given"]),
        ("1, 2", ["as a list or by name, not as '1, 2'"]),
    ],
)
async def test_wrong_arguments_are_named_with_what_would_be_right(
    arguments: dict[str, object] | list[object] | str, messages: list[str]
) -> None:
    with pytest.raises(ToolError) as caught:
        await area.invoke(arguments)
    assert str(caught.value).startswith("area")
    assert len(str(caught.value)) < 400
    for message in messages:
        assert message in str(caught.value)


async def test_nested_models_are_validated_and_given_as_models() -> None:
    class Point(BaseModel):
        x: int

    def shift(points: list[Point]) -> list[Point]:
        """Shift."""
        return [Point(x=point.x + 1) for point in points]

    shift.__annotations__ = {"points": list[Point]}  # local classes are out of reach of deferred types
    moved = tool(shift)
    assert await moved.invoke([[{"x": 1}, {"x": 2}]]) == [{"x": 2}, {"x": 3}]
    with pytest.raises(ToolError, match=r"'points\.0\.x' was given 'one'"):
        await moved.invoke([[{"x": "one"}]])


@dataclass
class Day:
    date: date
    names: set[str]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Day(date(2026, 1, 2), {"a"}), {"date": "2026-01-02", "names": ["a"]}),
        (None, None),
        ((1, "two", 3.5), [1, "two", 3.5]),
    ],
)
async def test_results_become_json(result: object, expected: object) -> None:
    @tool
    def give() -> object:
        """Give."""
        return result

    assert await give.invoke({}) == expected


@pytest.mark.parametrize("result", [object(), float("nan"), {"x": float("inf")}, threading.Lock(), b"\xff"])
async def test_results_that_are_not_json_are_an_error(result: object) -> None:
    @tool
    def give() -> object:
        """Give."""
        return result

    with pytest.raises(ToolError, match=r"give returned .* not JSON"):
        await give.invoke([])


class Shy(Exception):
    """Cannot be told."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


def nest() -> object:
    inner: object = 0
    for _ in range(10_000):
        inner = [inner]
    return inner


@pytest.mark.parametrize("result", [10**5_000, [10**5_000], Shy(), nest()], ids=["long", "in", "shy", "deep"])
async def test_results_that_cannot_even_be_shown_are_an_error(result: object) -> None:
    @tool
    def give(value: bool = False) -> object:
        """Give."""
        return result

    deep = isinstance(result, list) and isinstance(result[0], list)
    shown = (
        r"\[+…" if deep and sys.version_info >= (3, 14) else r"<\w+>"
    )  # 3.14 shows what is nested so deeply
    with pytest.raises(ToolError, match=rf"give returned {shown}, not JSON"):
        await give.invoke([])
    with pytest.raises(ToolError, match=rf"argument 'value' was given {shown}, but"):
        await give.invoke([result])


@pytest.mark.parametrize(
    "arguments",
    [{"n" * 1_000_000: 1}, {"numbers": ["x"] * 100_000}, {"numbers": "x" * 1_000_000}],
)
async def test_errors_about_huge_arguments_are_short(arguments: dict[str, object]) -> None:
    @tool
    def add(numbers: list[int]) -> int:
        """Add."""
        return sum(numbers)

    with pytest.raises(ToolError, match=r"^add: .*argument") as caught:
        await add.invoke(arguments)
    assert len(str(caught.value)) < 2_000


async def test_a_circle_is_not_json() -> None:
    circle: list[object] = []
    circle.append(circle)

    @tool
    def give() -> object:
        """Give."""
        return circle

    with pytest.raises(ToolError, match="not JSON"):
        await give.invoke([])


@pytest.mark.parametrize(
    ("error", "is_async"),
    [
        (ValueError("bad luck"), True),
        (ValueError("bad luck"), False),
        (TimeoutError("bad luck"), True),
        (TimeoutError("bad luck"), False),
        (StopIteration("bad luck"), False),  # which a future does not take, and a coroutine cannot raise
    ],
)
async def test_what_a_tool_raises_becomes_a_tool_error(error: Exception, is_async: bool) -> None:
    def fail() -> None:
        """Fail."""
        raise error

    async def fail_later() -> None:
        """Fail."""
        raise error

    failing = tool(name="fail")(fail_later if is_async else fail)
    with pytest.raises(ToolError, match=r"fail raised \w+: .*bad luck"):
        await failing.invoke({})


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("x" * 10_000_000), "ValueError: x*…"),
        (Shy(), "Shy: <Shy>"),
        (asyncio.CancelledError(), "CancelledError: "),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
async def test_whatever_a_tool_raises_is_told_in_short(
    error: BaseException, told: str, is_async: bool
) -> None:
    def fail() -> None:
        """Fail."""
        raise error

    async def fail_later() -> None:
        """Fail."""
        raise error

    failing = tool(name="fail")(fail_later if is_async else fail)
    with pytest.raises(ToolError, match=f"^fail raised {told}$") as caught:
        await failing.invoke({})
    assert len(str(caught.value)) < 3_000


async def test_a_tool_error_passes_as_it_is_and_an_exit_does_not_end_the_process() -> None:
    @tool
    def refuse() -> None:
        """Refuse."""
        raise ToolError("not today")

    @tool
    def leave() -> None:
        """Leave."""
        sys.exit(3)

    with pytest.raises(ToolError, match=r"^not today$"):
        await refuse.invoke({})
    with pytest.raises(ToolError, match="leave raised SystemExit: 3"):
        await leave.invoke({})


async def test_synchronous_tools_do_not_block_the_loop_and_see_the_context() -> None:
    user = contextvars.ContextVar("user", default="nobody")
    user.set("ann")

    go_on, together = threading.Event(), threading.Barrier(50)

    @tool(timeout=100)
    def slow() -> str:
        """Wait for the loop."""
        return user.get() if go_on.wait(30) else "nobody said so"

    @tool(timeout=100)
    def meet() -> int:
        """Wait for all others."""
        return together.wait(60)

    task = asyncio.create_task(slow.invoke({}))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    assert await task == "ann"
    many = await asyncio.gather(*(meet.invoke({}) for _ in range(50)))  # more than a pool has threads
    assert set(many) == set(range(50))


async def test_a_timeout_names_the_tool_and_the_seconds() -> None:
    release = threading.Event()

    @tool(timeout=0.05)
    def stuck() -> None:
        """Hang."""
        release.wait(10)

    for slow, arguments in [(stuck, []), (wait_for, [5])]:
        with pytest.raises(ToolError, match=rf"{slow.name} took more than {slow.timeout:g} s"):
            await slow.invoke(arguments)
    release.set()


async def test_cancelling_reaches_the_tool() -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def patient() -> None:
        """Wait."""
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    task = asyncio.create_task(patient.invoke({}))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped.is_set()


def test_a_stuck_tool_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from workers.errors import ToolError
from workers.tools.declaration import tool

@tool(timeout=0.05)
def stuck() -> None:
    "Hang."
    threading.Event().wait()

async def main():
    try:
        await stuck.invoke({})
    except ToolError as error:
        print(error)

asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=root, capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr, done.returncode) == ("stuck took more than 0.05 s\n", "", 0)


async def test_idempotency_key_is_not_the_models_to_give() -> None:
    @tool(side_effects=True)
    def pay(cents: int, idempotency_key: str) -> str:
        """Pay."""
        return f"{cents} under {idempotency_key}"

    assert pay.takes_key
    assert pay.parameters == ("cents",)
    assert list(pay.schema["properties"]) == ["cents"]
    assert await pay.invoke([5], key="k") == "5 under k"
    with pytest.raises(ToolError, match="there is no argument 'idempotency_key', only cents"):
        await pay.invoke({"cents": 5, "idempotency_key": "mine"}, key="k")
    with pytest.raises(ToolError, match="pay must not be invoked without an idempotency key"):
        await pay.invoke([5])
