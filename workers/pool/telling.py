"""What some engines report to a pool beyond the protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from workers.calls import Call
from workers.prefix.blocks import Chain
from workers.prefix.tokens import TokenBlocks


@runtime_checkable
class TellsLoad(Protocol):
    """An engine that can say how many calls it runs, and how many wait inside it."""

    async def load(self) -> tuple[int, int] | None:
        """Running and waiting calls; None if it cannot say. Never raises."""
        ...


@runtime_checkable
class TellsBlocks(Protocol):
    """An engine that publishes what it caches, and can name the blocks of a prompt."""

    @property
    def blocks(self) -> TokenBlocks | None:
        """What it holds; None if it does not publish it after all."""
        ...

    async def follow(self) -> None:
        """Keep ``blocks`` up to date until cancelled."""
        ...

    async def chain(self, call: Call) -> Chain:
        """The blocks of the prompt of ``call``; empty if they cannot be obtained now. Never raises."""
        ...
