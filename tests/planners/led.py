"""A real model that is led into the form of a method: its first call is answered by a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Engine, Health


class Led:
    """Says ``first`` to the first call, as far as its stop strings; all others are answered by ``engine``."""

    def __init__(self, engine: Engine, first: str) -> None:
        self.name = "led"
        self._engine = engine
        self._first: str | None = first

    async def capabilities(self) -> Capabilities:
        return await self._engine.capabilities()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        if (said := self._first) is not None:
            self._first = None
            cut = min((at for at in map(said.find, call.sampling.stop) if at >= 0), default=len(said))
            yield Chunk(said[:cut], 9, finish_reason="stop", usage=Usage(1, 0, 9))
            return
        async with aclosing(self._engine.generate(call)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def health(self) -> Health:
        return await self._engine.health()

    async def close(self) -> None:
        await self._engine.close()
