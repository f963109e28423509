"""An engine whose chunks a test gives it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from workers.calls import Call, Chunk
from workers.engine import Capabilities, Health


class Saying:
    """Sends what it was given, call by call and then the last again, and remembers the calls."""

    name = "saying"

    def __init__(self, *chunks: Chunk, then: Sequence[Chunk] = ()) -> None:
        self.answers: list[Sequence[Chunk]] = [chunks, *([each] for each in then)]
        self.calls: list[Call] = []

    async def capabilities(self) -> Capabilities:
        return Capabilities("saying", assistant_prefill=True)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        chunks = self.answers[min(len(self.calls), len(self.answers) - 1)]
        self.calls.append(call)
        for chunk in chunks:
            yield chunk

    async def health(self) -> Health:
        return Health(True)

    async def close(self) -> None:
        pass
