from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Prompt, Segment
from workers.engines.llama.client import Piece, Timing
from workers.engines.llama.queue import SlotQueue
from workers.engines.llama.server import LlamaServer
from workers.engines.llama.slots import SlotTable
from workers.errors import EngineProtocolError


@dataclass
class Client:
    """Has a token for each byte, computes at once, and completes when ``end`` is set."""

    end: asyncio.Event
    fails: bool = False

    async def chat(self, messages: Sequence[Mapping[str, str]], tools: Sequence[object] = ()) -> list[int]:
        return list("".join(message["content"] for message in messages).encode())

    async def save(self, slot: int, place: str) -> int:
        if self.fails:
            raise EngineProtocolError("no room for the state")
        return 1

    async def complete(
        self, slot: int, tokens: Sequence[int], max_tokens: int, options: Mapping[str, object]
    ) -> AsyncGenerator[Piece]:
        yield Piece(prompt_done=len(tokens))
        if max_tokens:
            yield Piece("a", (97,))
            await self.end.wait()
        yield Piece("", (), timing=Timing(0, len(tokens), 1 if max_tokens else 0, "limit"))


@dataclass
class Cells:
    names: list[str]

    def take(self) -> str | None:
        return self.names.pop() if self.names else None

    def free(self, name: str) -> None:
        self.names.append(name)


@dataclass
class Server:
    client: Client
    cells: Cells
    context: int = 2_000


@dataclass
class Begun:
    calls: list[int] = field(default_factory=list)

    async def run(self, queue: SlotQueue, number: int) -> None:
        prompt = Prompt((Segment("user", "s" * 500 + f" {number}"),))
        async with queue.turn(Call(prompt, family="one")) as turn:
            async for _ in turn.complete(10, {}):
                self.calls.append(number)


@pytest.mark.parametrize(("cells", "fails"), [([], False), (["only"], True)])
@virtual_time
async def test_siblings_do_not_wait_for_a_prefix_that_could_not_be_saved(
    cells: list[str], fails: bool
) -> None:
    client = Client(asyncio.Event(), fails)
    before = list(cells)
    queue = SlotQueue(
        cast("LlamaServer", Server(client, Cells(cells))),
        SlotTable(2, worthwhile=32, budget=1 << 20, places=2),
    )
    begun = Begun()
    calls = [asyncio.create_task(begun.run(queue, number)) for number in range(3)]
    await asyncio.sleep(1)
    assert set(begun.calls) == {0, 1}, "both slots are used while the first call decodes"
    client.end.set()
    await asyncio.gather(*calls)
    assert set(begun.calls) == {0, 1, 2}
    assert cells == before
