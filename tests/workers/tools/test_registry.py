from __future__ import annotations

import asyncio
import contextvars
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from workers.errors import ToolError
from workers.tools.registry import Tool, Toolbox, tool


@tool
def area(width: float, height: float = 1.0, unit: Literal["m", "cm"] = "m") -> str:
    """Compute an area.

    The unit is appended.
    """
    return f"{width * height:g} {unit}²"


@tool(name="wait", side_effects=True, timeout=0.1)
async def wait_for(seconds: Annotated[float, Field(description="how long", ge=0)]) -> float:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds


def test_a_function_becomes_a_tool_with_a_schema() -> None:
    assert (area.name, area.side_effects, area.timeout) == ("area", False, 30.0)
    assert area.description == "Compute an area.\n\nThe unit is appended."
    assert area.parameters == ("width", "height", "unit")
    assert area.schema == {
        "type": "object",
        "properties": {
            "width": {"type": "number"},
            "height": {"type": "number", "default": 1.0},
            "unit": {"type": "string", "enum": ["m", "cm"], "default": "m"},
        },
        "required": ["width"],
        "additionalProperties": False,
    }


def test_names_descriptions_and_constraints_are_kept() -> None:
    assert (wait_for.name, wait_for.side_effects, wait_for.timeout) == ("wait", True, 0.1)
    assert wait_for.schema["properties"] == {
        "seconds": {"type": "number", "minimum": 0, "description": "how long"}
    }


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

    with pytest.raises(ToolError, match=r"give returned <\w+>, not JSON"):
        await give.invoke([])
    with pytest.raises(ToolError, match=r"argument 'value' was given <\w+>, but"):
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
from workers.tools.registry import tool

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


def test_functions_that_cannot_be_tools_are_refused() -> None:
    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    def silent(x: int) -> None: ...

    def starred(*x: int) -> None:
        """Do."""

    def unnamed(x: int, /) -> None:
        """Do."""

    cases: list[tuple[Callable[..., object], str]] = [
        (untyped, "parameter x of the tool untyped needs a type"),
        (silent, "silent needs a docstring"),
        (starred, r"\*x"),
        (unnamed, "must be plain and named"),
    ]
    for function, message in cases:
        with pytest.raises(TypeError, match=message):
            tool(function)
    with pytest.raises(TypeError, match="seconds above 0"):
        tool(timeout=0)(wait_for.function)


# --- toolbox --------------------------------------------------------------------------------------------


async def test_a_toolbox_finds_and_invokes_by_name() -> None:
    box = Toolbox([area, wait_for])
    assert list(box) == ["area", "wait"]
    assert box["area"] is area
    assert len(box) == 2
    assert await box.find("area").invoke([2]) == "2 m²"
    with pytest.raises(ToolError, match=r"there is no tool 'aera', only area, wait"):
        await box.find("aera").invoke([2])
    with pytest.raises(ToolError, match="only none at all"):
        Toolbox().find("x")
    with pytest.raises(ValueError, match="two tools are named 'area'"):
        Toolbox([area, area])


async def test_a_toolbox_takes_more_tools_and_the_new_one_wins() -> None:
    @tool(name="area")
    def other() -> str:
        """Be another."""
        return "other"

    box = Toolbox([area])
    more = box.with_tools(wait_for, other)
    assert list(more) == ["area", "wait"]
    assert await more.find("area").invoke([]) == "other"
    assert box["area"] is area


async def test_a_described_toolbox_stands_for_the_tools_that_a_journal_tells_of() -> None:
    told = json.loads(json.dumps(Toolbox([area, wait_for]).describe()))
    assert [entry["name"] for entry in told] == ["area", "wait"]
    assert (told[1]["description"], told[1]["side_effects"]) == ("Wait.", True)
    told[0]["description"] = "as it was then"
    told[0]["side_effects"] = True
    box = Toolbox([area]).as_described(told)
    assert (box["area"].description, box["area"].side_effects) == ("as it was then", True)
    assert await box.find("area").invoke([2]) == "2 m²"
    assert box["wait"].schema == wait_for.schema
    for arguments in ([1], {"seconds": 1}, {}):
        with pytest.raises(ToolError, match="the tool wait is not installed in this process"):
            await box.find("wait").invoke(arguments)


def package(directory: Path, entries: str, source: str) -> None:
    """A package that is installed, as far as Python can tell."""
    (directory / "their_tools.py").write_text(source)
    info = directory / "their_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[anabranch.tools]\n{entries}\n")


def installed(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Toolbox:
    monkeypatch.syspath_prepend(directory)
    monkeypatch.delitem(sys.modules, "their_tools", raising=False)
    return Toolbox.installed()


SOURCE = '''
from workers.tools.registry import tool

@tool
def double(x: int) -> int:
    """Double."""
    return 2 * x

plain = 7
'''


async def test_installed_packages_offer_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "double = their_tools:double", SOURCE)
    box = await asyncio.to_thread(installed, monkeypatch, tmp_path)
    assert isinstance(box["double"], Tool)
    assert await box.find("double").invoke({"x": 21}) == 42


@pytest.mark.parametrize(
    ("entries", "source", "message"),
    [
        ("plain = their_tools:plain", SOURCE, "the entry point plain of anabranch.tools is 7"),
        ("gone = their_tools:gone", SOURCE, "the tool gone cannot be imported: AttributeError"),
        ("double = their_tools:double", "import no_such_module", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: str, source: str, message: str
) -> None:
    package(tmp_path, entries, source)
    with pytest.raises(ToolError, match=message):
        installed(monkeypatch, tmp_path)


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


def test_tool_that_takes_a_key_says_what_for() -> None:
    def pay(idempotency_key: str) -> None:
        """Pay."""

    def number(idempotency_key: int) -> None:
        """Pay."""

    with pytest.raises(TypeError, match=r"the tool pay takes an idempotency key: declare @tool\("):
        tool(pay)
    with pytest.raises(TypeError, match="idempotency_key of the tool number must have the type str"):
        tool(side_effects=True)(number)


def test_description_tells_of_a_key_only_where_there_is_one() -> None:
    """Journals that were written before there were keys compare equal."""

    @tool(side_effects=True)
    def pay(idempotency_key: str) -> None:
        """Pay."""

    described = Toolbox([area, pay]).describe()
    assert [entry.get("takes_key") for entry in described] == [None, True]
    assert "takes_key" not in described[0]
    assert Toolbox().as_described(described)["pay"].takes_key
