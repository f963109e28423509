"""How many calls of a tool may be under way, and how many may begin in a time, over all runs of a process."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Final

from workers.contained import Overdue
from workers.errors import ToolError

GRACE_SECONDS: Final = 5.0
"""How long beyond its timeout a call may keep its place before those who wait for one give up."""

_PERIODS: Final = {"s": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(\w+)\s*")

_groups: dict[str, Gate] = {}
_groups_lock = threading.Lock()


class Place:
    """A place behind a gate, which is given back once, from any thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.until = float("inf")
        """When whoever has it should have given it back, as ``time.monotonic`` counts."""

    def leave(self) -> None:
        """Give it back; again does nothing."""
        self._gate._leave(self)


@dataclass(slots=True, eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future[None]
    place: Place | None = None


class Gate:
    """Lets at most ``places`` through at a time, in the order of arrival, from any event loop and thread."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._taken: set[Place] = set()
        self._waiting: deque[_Waiter] = deque()

    async def enter(self) -> Place:
        """A place, as soon as there is one.

        Raises:
            Overdue: all who have one should have given it back long ago.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self._lock:
            self._waiting.append(waiter)
            self._admit()
        try:
            while (place := waiter.place) is None:
                if self._patience() <= 0:
                    raise Overdue("the call", "waits for calls that do not end")
                await asyncio.wait([waiter.woken], timeout=self._patience())
        except BaseException:
            self._give_up(waiter)
            raise
        return place

    def _patience(self) -> float:
        """Seconds until the last of those who have a place should have given it back."""
        with self._lock:
            last = max((place.until for place in self._taken), default=time.monotonic())
        return last + GRACE_SECONDS - time.monotonic()

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock, suppress(ValueError):
            self._waiting.remove(waiter)
        if waiter.place is not None:  # it was let through in the moment in which it was cancelled
            waiter.place.leave()

    def _leave(self, place: Place) -> None:
        with self._lock:
            self._taken.discard(place)
            self._admit()

    def _admit(self) -> None:
        """Let the first through for whom there is room; those whose event loop was closed are gone."""
        while self._waiting and len(self._taken) < self._places:
            waiter = self._waiting.popleft()
            try:
                waiter.loop.call_soon_threadsafe(_wake, waiter.woken)
            except RuntimeError:
                continue
            waiter.place = Place(self)
            self._taken.add(waiter.place)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class Rate:
    """At most ``count`` beginnings in any stretch of ``seconds``, in the order of arrival."""

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._begun: deque[float] = deque(maxlen=count)
        self._door = Gate(1)

    @asynccontextmanager
    async def next(self) -> AsyncIterator[None]:
        """Begin the block when another may begin, and count it at its end, unless that is an error.

        Only one is in the block at a time, so what it waits for there cannot lead to several at once.
        """
        place = await self._door.enter()
        try:
            if len(self._begun) == self._begun.maxlen:
                await asyncio.sleep(self._begun[0] + self._seconds - time.monotonic())
            yield
            self._begun.append(time.monotonic())
        finally:
            place.leave()


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """The limits of one tool, shared by all the runs, event loops and threads of a process.

    Attributes:
        concurrency: how many calls of the tool may be under way; None: any number.
        rate: how many may begin in a time, such as ``10/second``; empty: any number.
        exclusive: the name of what only one call may use at a time, of all the tools that name it.

    Raises:
        ValueError: one of them makes no sense.
    """

    concurrency: int | None = None
    rate: str = ""
    exclusive: str = ""
    _gates: tuple[Gate, ...] = field(init=False, default=(), repr=False)
    _rate: Rate | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        gates: list[Gate] = []
        if self.exclusive:
            with _groups_lock:
                gates.append(_groups.setdefault(self.exclusive, Gate(1)))
        if self.concurrency is not None:
            if self.concurrency < 1:
                raise ValueError(f"concurrency is {self.concurrency}: at least 1 call must be able to run")
            gates.append(Gate(self.concurrency))
        object.__setattr__(self, "_gates", tuple(gates))
        if self.rate:
            object.__setattr__(self, "_rate", _rate_of(self.rate))

    async def begin(self, name: str, seconds: float) -> Callable[[], None]:
        """Wait until a call of the tool ``name``, which takes up to ``seconds``, may begin.

        Returns what the call has to do at its very end, also if nobody waits for it any more: what was left
        behind counts for as long as it runs.

        Raises:
            ToolError: the calls before it do not end.
        """
        places: list[Place] = []

        def leave() -> None:
            for place in places:
                place.leave()

        try:
            # The rate comes first: who waits for it must not keep other tools from what is exclusive.
            async with self._rate.next() if self._rate is not None else nullcontext():
                for gate in self._gates:
                    place = await gate.enter()
                    places.append(place)
        except BaseException as error:
            leave()
            if isinstance(error, Overdue):
                raise ToolError(
                    f"{name} was not begun: it waits for earlier calls, which took longer than they may and "
                    "still run"
                ) from None
            raise
        for place in places:
            place.until = time.monotonic() + seconds
        return leave


UNLIMITED: Final = Limits()


def _rate_of(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    count, period = (int(found[1]), _PERIODS.get(found[2].lower())) if found else (0, None)
    if not count or period is None:
        raise ValueError(
            f"rate {text!r}: write a number and a time, such as 10/second, 60/minute or 500/hour"
        )
    return Rate(count, period)
