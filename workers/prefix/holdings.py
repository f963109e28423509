"""Which blocks one replica is believed to hold."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable

from workers.prefix.blocks import Chain


class Holdings:
    """The blocks that one replica is believed to hold, least recently used first; bounded.

    A block is *known* until the replica drops it, or a *guess* that is believed until a given time. Chains
    enter and age as a whole, tail first, so a block is never here without its parents for long, and the
    length of a held prefix can be found by bisection.

    Args:
        capacity: blocks to keep. An entry takes about 130 bytes.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity} blocks: give 1 or more")
        self._capacity = capacity
        self._until: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, block: int) -> bool:
        return block in self._until

    @property
    def capacity(self) -> int:
        """The most blocks that are kept."""
        return self._capacity

    def covered(self, chain: Chain, now: float) -> int:
        """How many leading blocks of ``chain`` are here."""
        until = self._until
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high) // 2
            if until.get(chain[middle], -math.inf) > now:
                low = middle + 1
            else:
                high = middle
        return low

    def add(self, chain: Chain, until: float = math.inf) -> None:
        """Believe ``chain`` to be here until ``until``; a longer belief in a block is kept."""
        entries = self._until
        for block in reversed(chain):
            known = entries.get(block)
            if known is None or known < until:
                entries[block] = until
            if known is not None:
                entries.move_to_end(block)
        self._trim()

    def remove(self, blocks: Iterable[int]) -> None:
        """The replica dropped these blocks. Blocks that are not here are ignored."""
        for block in blocks:
            self._until.pop(block, None)

    def clear(self) -> None:
        """The replica lost everything."""
        self._until.clear()

    def correct(self, chain: Chain, predicted: int, found: int) -> None:
        """The replica had ``found`` leading blocks of ``chain`` where ``predicted`` were believed here.

        If the replica evicts earlier than this index, everything that was used less recently than the
        missing blocks is gone too; the index forgets it, and remembers less from then on.
        """
        if found >= predicted:
            return
        missing = chain[found]
        if missing not in self._until:
            return
        # The age of the missing block, in blocks, says how much the replica really holds. Only an index
        # that is well filled has evidence for this; a nearly empty one was wrong for another reason.
        stale = 0
        for block in self._until:
            if block == missing:
                break
            stale += 1
        self.remove(chain[found:])
        held = len(self._until) - stale
        if held > 256:
            self._capacity = max(256, min(self._capacity, held))
            self._trim()

    def _trim(self) -> None:
        while len(self._until) > self._capacity:
            self._until.popitem(last=False)
