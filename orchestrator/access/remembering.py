"""Values that are read from the database now and then, and not for each request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: T | None = None
    until: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Freshness:
    """For how many ``seconds`` of ``clock`` a value is relied on."""

    seconds: float
    clock: Callable[[], float] = monotonic


class Remembered(Generic[T]):
    """What ``read`` gives for a name, while it is ``fresh``, counted from before it was read.

    Whoever asks for the same name meanwhile waits for the same answer. At most ``most`` names are kept; with
    ``forgets_none``, those with no value are not, so that names nobody has cannot push out the others.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[T | None]],
        *,
        fresh: Freshness,
        most: int,
        forgets_none: bool = False,
    ) -> None:
        self._read = read
        self._seconds = fresh.seconds
        self._most = most
        self._forgets_none = forgets_none
        self._clock = fresh.clock
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()

    async def get(self, name: str) -> T | None:
        """The value, as fresh as it has to be. Raises what reading raises."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(name)
        if self._clock() < entry.until:
            return entry.value
        async with entry.lock:
            if self._clock() < entry.until:  # somebody has read it meanwhile
                return entry.value
            began = self._clock()
            entry.value = await self._read(name)
            entry.until = began + self._seconds
            if entry.value is None and self._forgets_none and self._entries.get(name) is entry:
                del self._entries[name]
            return entry.value

    def forget(self, name: str | None = None) -> None:
        """Read a name again when it is next asked for, or all of them."""
        if name is None:
            self._entries.clear()
        else:
            self._entries.pop(name, None)
