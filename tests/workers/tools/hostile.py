"""Tools that do what tools must not do, each with the error that comes of it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, model_serializer

from workers.tools.declaration import tool
from workers.tools.tool import Tool

MOST = 10_000
"""The bound on results under which these are invoked, in characters of JSON."""


class PanicException(BaseException):
    """What a Rust library raises when it panics; it is no Exception."""


class Shy(Exception):
    """Cannot be told."""

    def __repr__(self) -> str:
        raise KeyboardInterrupt

    __str__ = __repr__


class Liar(list[object]):
    """A list that says of itself that it is short."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return itertools.repeat(self)


class Endless(dict[str, object]):
    """A dict whose items never end."""

    def items(self) -> Any:
        return iter(lambda: ("more", 1), None)

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("more")


class Panicking(BaseModel):
    """A model that panics when it is written."""

    @model_serializer
    def write(self) -> object:
        raise PanicException("index out of bounds")


@dataclass
class Wide:
    """A dataclass with more in it than is kept."""

    rows: list[int]


def circle() -> object:
    inner: list[object] = []
    inner.append({"again": inner})
    return inner


def nest() -> object:
    inner: object = 0
    for _ in range(2_000):
        inner = [inner]
    return inner


RAISED: list[tuple[str, BaseException]] = [
    (r"PanicException: index out of bounds", PanicException("index out of bounds")),
    (r"KeyboardInterrupt: ", KeyboardInterrupt()),
    (r"SystemExit: 3", SystemExit(3)),
    (r"GeneratorExit: ", GeneratorExit()),
    (r"CancelledError: ", asyncio.CancelledError()),
    (r"BaseExceptionGroup: many", BaseExceptionGroup("many", [KeyboardInterrupt(), ValueError()])),
    (r"ValueError: x{1999}…$", ValueError("x" * 100_000_000)),
    (r"ValueError: a\ufffdb\x00c", ValueError("a\ud800b\x00c")),
    (r"Shy: <Shy>", Shy()),
    (r"MemoryError: ", MemoryError()),
    (r"RecursionError: ", RecursionError()),
]

TOO_LARGE = r"returned (at least )?\d+ characters of JSON, more than the 10000 that a result may have"
NOT_JSON = r"returned .*, not JSON: return text, numbers, lists or dicts"

RETURNED: list[tuple[str, Callable[[], object]]] = [
    (TOO_LARGE, lambda: "x" * 200_000_000),
    (TOO_LARGE, lambda: "\x00" * 9_000),
    (TOO_LARGE, lambda: [0] * 20_000_000),
    (TOO_LARGE, lambda: {"rows": [{"row": "x" * 100}] * 1_000_000}),
    (TOO_LARGE, lambda: Wide([0] * 1_000_000)),
    (TOO_LARGE, lambda: Liar(["x" * 20_000])),
    (TOO_LARGE, lambda: itertools.count()),
    (TOO_LARGE, lambda: (number for number in itertools.count())),
    (TOO_LARGE, lambda: set(range(100_000))),
    (TOO_LARGE, lambda: 1 << 1_000_000),
    (NOT_JSON, lambda: 10**5_000),
    (NOT_JSON, lambda: {"within": itertools.count()}),
    (NOT_JSON, circle),
    (NOT_JSON, nest),
    (NOT_JSON, lambda: float("nan")),
    (NOT_JSON, lambda: [float("inf")]),
    (NOT_JSON, lambda: b"\xff"),
    (NOT_JSON, lambda: Shy()),
    (NOT_JSON, lambda: asyncio.sleep(0)),
    (NOT_JSON, lambda: {"a\udfff": 1}),
    (NOT_JSON, Panicking),
]

KEPT: list[tuple[object, Callable[[], object]]] = [
    ("a\ufffdb", lambda: "a\ud800b"),
    ({"a": ["\ufffd"]}, lambda: {"a": ["\ud800"]}),
    ("a\x00b", lambda: "a\x00b"),
    ([], lambda: Liar()),
    ({"a": 1}, lambda: Endless(a=1)),
    ([0, 1, 4], lambda: (number**2 for number in range(3))),
    ("x" * (MOST - 2), lambda: "x" * (MOST - 2)),
    ("\N{GRINNING FACE}", lambda: "\N{GRINNING FACE}"),
]
"""Results that look dangerous but have a form in JSON."""


def tools_that_give(make: Callable[[], object]) -> tuple[Tool, Tool]:
    """A synchronous tool and an asynchronous one that return what ``make`` makes."""

    @tool(timeout=30)
    def give() -> object:
        """Give."""
        return make()

    @tool(name="give", timeout=30)
    async def give_later() -> object:
        """Give."""
        return await asyncio.to_thread(make)  # what making it takes is not what is measured

    return give, give_later


def tools_that_raise(error: BaseException) -> tuple[Tool, Tool]:
    """A synchronous tool and an asynchronous one that raise ``error``."""

    @tool(timeout=30)
    def fail() -> None:
        """Fail."""
        raise error

    @tool(name="fail", timeout=30)
    async def fail_later() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise error

    return fail, fail_later


class Hanging:
    """Tools that hang, and go on when they are cancelled, until they are let go."""

    def __init__(self, timeout: float) -> None:
        self._free = threading.Event()
        self._let_go = asyncio.Event()
        self.begun = 0
        self.has_begun = threading.Event()
        self.tools = (
            tool(name="hang", timeout=timeout)(self._hang),
            tool(name="deaf", timeout=timeout)(self._deaf),
        )

    def let_go(self) -> None:
        """Let all of them end."""
        self._free.set()
        self._let_go.set()

    def _hang(self) -> None:
        """Hang in a thread."""
        self.begun += 1
        self.has_begun.set()
        self._free.wait(100)

    async def _deaf(self) -> None:
        """Hang, and do not listen."""
        self.begun += 1
        self.has_begun.set()
        while not self._let_go.is_set():
            try:
                await self._let_go.wait()
            except asyncio.CancelledError:
                continue
