"""Which call gets which slot of a server whose prefix cache belongs to its slots, as llama.cpp's does.

A slot keeps the keys and values of the tokens that it last worked on. A call that is sent to a slot whose
tokens begin like its own computes only the rest. The state of a slot can also be saved, and restored into
any slot. So a prefix that several calls share is worth computing once, on the slot of the first of them
(*priming*), and saving; the others wait for it and start from the copy.

Everything here is bookkeeping without I/O. The prompts of the waiting calls are the evidence for what is
shared; nothing is guessed from timing.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

WIDTH = 4  # bytes for a token in a packed prompt
FAMILIES = 1024  # how many are remembered as begun
AFTER = b"\xff"  # sorts behind every continuation: token ids stay below 2**31


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids as bytes that compare, sort and slice at the speed of memory."""
    return struct.pack(f">{len(tokens)}I", *tokens)


def common(a: bytes, b: bytes) -> int:
    """How many tokens two packed prompts share at the front."""
    low, high = 0, min(len(a), len(b)) // WIDTH
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * WIDTH : middle * WIDTH] == b[low * WIDTH : middle * WIDTH]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A call that wants a slot. ``tokens`` is its packed prompt; a larger ``priority`` goes first."""

    tokens: bytes
    priority: float = 0.0
    family: str | None = None

    @property
    def reusable(self) -> int:
        """How many tokens can come from a cache: all but the last, which gives the first prediction."""
        return len(self.tokens) // WIDTH - 1


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A saved slot state: the packed ``tokens`` in it, its ``size`` in bytes, and where it is."""

    tokens: bytes
    size: int
    place: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to do for a request.

    Restore ``restore`` into ``slot`` if given, compute the prefixes of the lengths in ``primes`` (in
    tokens, ascending) and save each, then send the whole prompt. ``reused`` is how many tokens of the
    prompt the slot holds before anything is computed.
    """

    request: Request
    slot: int
    reused: int
    restore: Saved | None = None
    primes: tuple[int, ...] = ()


@dataclass(slots=True)
class _Slot:
    number: int
    held: bytes = b""
    used: int = 0
    assignment: Assignment | None = None


@dataclass(slots=True)
class SlotTable:
    """The slots, the calls that wait for one, and the saved prefixes.

    ``worthwhile`` is the number of tokens from which a shared prefix is primed, ``budget`` the bytes that
    saved prefixes may take, and ``places`` how many of them there may be, including one in reserve for each
    slot.
    """

    count: int
    worthwhile: int
    budget: int
    places: int
    _slots: list[_Slot] = field(init=False)
    _waiting: dict[Request, int] = field(init=False, default_factory=dict)
    _saved: dict[bytes, Saved] = field(init=False, default_factory=dict)
    _making: set[bytes] = field(init=False, default_factory=set)
    _announced: dict[str, None] = field(init=False, default_factory=dict)
    _clock: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._slots = [_Slot(number) for number in range(self.count)]

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests. Those that came together are added together, so that they see each other."""
        for request in requests:
            self._waiting[request] = self._tick()

    def withdraw(self, request: Request) -> None:
        """Forget a waiting request; does nothing if it is not waiting."""
        self._waiting.pop(request, None)

    def assign(self) -> list[Assignment]:
        """Hand free slots to waiting requests, as many as can start now.

        Higher priorities go first; at equal priority, the members of a family follow the one that has waited
        longest. A request waits while its prefix is being computed, and a free slot is kept for it.
        """
        assignments: list[Assignment] = []
        free = [slot for slot in self._slots if slot.assignment is None]
        if not free or not self._waiting:
            return assignments
        prompts = sorted(request.tokens for request in self._waiting)
        room = len(free)
        for request in self._order():
            if room == 0:
                break
            room -= 1
            slot, reused, restore = self._source(request, free, prompts)
            coming = max((common(prefix, request.tokens) for prefix in self._making), default=0)
            if min(coming, request.reusable) - reused >= self.worthwhile:
                continue
            primes = self._primes(request, reused, prompts)
            assignment = Assignment(request, slot.number, reused, restore, primes)
            assignments.append(assignment)
            slot.assignment, slot.used = assignment, self._tick()
            free.remove(slot)
            del self._waiting[request]
            del prompts[bisect_left(prompts, request.tokens)]
            self._making.update(request.tokens[: depth * WIDTH] for depth in primes)
            if request.family is not None:
                self._announce(request.family)
            if restore is not None:  # the least recently used prefix is the first to be dropped
                self._saved[restore.tokens] = self._saved.pop(restore.tokens)
        return assignments

    def keep(self, saved: Saved) -> list[Saved]:
        """Record that a primed prefix is saved; returns those dropped for it, for the caller to free."""
        self._making.discard(saved.tokens)
        dropped = [old] if (old := self._saved.pop(saved.tokens, None)) else []
        self._saved[saved.tokens] = saved
        in_use = {id(slot.assignment.restore) for slot in self._slots if slot.assignment}
        total = sum(each.size for each in self._saved.values())
        for each in list(self._saved.values()):
            if total <= self.budget and len(self._saved) + self.count <= self.places:
                break
            if id(each) not in in_use and each is not saved:
                del self._saved[each.tokens]
                total -= each.size
                dropped.append(each)
        return dropped

    def give_up(self, prefix: bytes) -> None:
        """Record that a primed prefix could not be saved, so that no call waits for it."""
        self._making.discard(prefix)

    def forget(self, saved: Saved) -> bool:
        """Drop a saved prefix that turned out to be unusable; False if it was gone already."""
        if self._saved.get(saved.tokens) is not saved:
            return False
        del self._saved[saved.tokens]
        return True

    def release(self, assignment: Assignment, held: bytes | None) -> None:
        """Free the slot of an assignment; ``held`` are the packed tokens that it now holds (None: as before).

        No call waits any longer for prefixes that the assignment was to prime but did not.
        """
        slot = self._slots[assignment.slot]
        slot.assignment, slot.used = None, self._tick()
        if held is not None:
            slot.held = held
        for depth in assignment.primes:
            self._making.discard(assignment.request.tokens[: depth * WIDTH])

    def _order(self) -> list[Request]:
        first: dict[str | None, int] = {}
        for request, number in self._waiting.items():  # in order of arrival
            first.setdefault(request.family, number)

        def key(item: tuple[Request, int]) -> tuple[float, int, int]:
            request, number = item
            return (-request.priority, number if request.family is None else first[request.family], number)

        return [request for request, _ in sorted(self._waiting.items(), key=key)]

    def _source(
        self, request: Request, free: list[_Slot], prompts: list[bytes]
    ) -> tuple[_Slot, int, Saved | None]:
        """The slot to use, how many tokens need not be computed there, and what to restore for that."""
        copy = max(self._saved.values(), key=lambda saved: common(saved.tokens, request.tokens), default=None)
        from_copy = common(copy.tokens, request.tokens) if copy else 0

        def value(slot: _Slot) -> tuple[int, int, int]:
            kept = common(slot.held, request.tokens)
            return (max(kept, from_copy), -self._wanted(slot.held, request, prompts), -slot.used)

        slot = max(free, key=value)
        kept = common(slot.held, request.tokens)
        restore = copy if from_copy > kept else None
        return slot, min(max(kept, from_copy), request.reusable), restore

    def _wanted(self, held: bytes, request: Request, prompts: list[bytes]) -> int:
        """The largest number of tokens in a slot that another waiting prompt could reuse."""
        at = bisect_left(prompts, held)
        near = [prompt for prompt in prompts[max(at - 1, 0) : at + 2] if prompt != request.tokens]
        return max((common(held, prompt) for prompt in near), default=0)

    def _primes(self, request: Request, reused: int, prompts: list[bytes]) -> tuple[int, ...]:
        """The lengths at which other prompts diverge from the request's, where priming them pays off."""
        depths = {
            common(slot.assignment.request.tokens, request.tokens) for slot in self._slots if slot.assignment
        }
        low = bisect_left(prompts, request.tokens)
        high = low + 1
        while True:
            depth = max(
                common(near, request.tokens)
                for near in [b"", *prompts[max(low - 1, 0) : low], *prompts[high : high + 1]]
            )
            if depth - reused < self.worthwhile:
                break
            depths.add(depth)
            head = request.tokens[: depth * WIDTH]
            low, high = bisect_left(prompts, head, 0, low), bisect_left(prompts, head + AFTER, high)
        chosen: list[int] = []
        for depth in sorted(min(depth, request.reusable) for depth in depths):
            if depth - reused >= self.worthwhile:
                chosen.append(depth)
                reused = depth
        announces = request.family is not None and request.family not in self._announced
        if (
            announces
            and request.reusable - reused >= self.worthwhile
            and not (chosen and self._has_kin(request))
        ):
            chosen.append(request.reusable)  # for siblings that are not here yet
        return tuple(chosen)

    def _has_kin(self, request: Request) -> bool:
        """Whether another call of its family waits, with which it shares all that the family shares."""
        return any(other.family == request.family for other in self._waiting if other is not request)

    def _announce(self, family: str) -> None:
        self._announced[family] = None
        if len(self._announced) > FAMILIES:
            del self._announced[next(iter(self._announced))]
