"""Which prefixes a replica holds, from what was sent to it and from what its engine reports."""

from __future__ import annotations

import math

from workers.pool.translation import Translation
from workers.prefix.blocks import Chain
from workers.prefix.holdings import Holdings
from workers.prefix.tokens import TokenBlocks

HOLD_BLOCKS = 4
"""A shared prefix shorter than this (about 64 tokens) is computed too fast to be worth waiting for."""

GUESS_SECONDS = 2.0
"""How long a prefix that was sent is believed to be held before the replica confirms it."""


class PrefixIndex:
    """What is known about one replica's cache.

    Args:
        capacity: blocks to remember.
    """

    def __init__(self, capacity: int) -> None:
        self.holdings = Holdings(capacity)
        self.promised = Holdings(capacity)  # what calls that wait for the replica will bring
        self.told: TokenBlocks | None = None  # what the engine itself reports that it holds
        self.translation: Translation | None = None

    def __len__(self) -> int:
        """How many blocks are believed to be there."""
        return len(self.holdings) + (len(self.told) if self.told is not None else 0)

    def held(self, chain: Chain, now: float) -> int:
        """Leading blocks of ``chain`` that the engine has in its cache."""
        held = self.holdings.covered(chain, now)
        if self.told is not None and self.translation is not None:
            held = max(held, self.translation.covered(chain, self.told))
        return held

    def guess(self, chain: Chain, now: float, seconds: float) -> None:
        """``chain`` was sent, and computing it takes ``seconds``."""
        self.holdings.add(chain, now + GUESS_SECONDS + seconds)

    def promise(self, chain: Chain, now: float, seconds: float) -> None:
        """A call that waits for ``seconds`` or less will bring ``chain``."""
        self.promised.add(chain, now + GUESS_SECONDS + seconds)

    def remember(self, chain: Chain, now: float) -> None:
        """The engine computed ``chain``; if it reports what it holds, this only fills in until it does."""
        self.holdings.add(chain, math.inf if self.told is None else now + GUESS_SECONDS)

    def correct(self, chain: Chain, predicted: int, found: int) -> None:
        """The engine had ``found`` blocks of ``chain`` instead of ``predicted``, and now has them all."""
        # Blocks of characters and of tokens do not end at the same places.
        if self.told is None and found + 2 < predicted * 0.9:
            self.holdings.correct(chain, predicted, found)
            # What it had to compute, it holds now.
            self.holdings.add(chain)

    def follow(self, told: TokenBlocks, translation: Translation) -> None:
        """The engine reports what it holds from now on."""
        self.told, self.translation = told, translation

    def unfollow(self) -> None:
        """The engine no longer reports what it holds; the index falls back on what was sent to it."""
        self.told = self.translation = None

    def clear(self) -> None:
        """The engine was gone: nothing that it held is left."""
        self.holdings.clear()
        self.promised.clear()
