from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import zmq
import zmq.asyncio

from tests.workers.prefix.events import chain, removed, stored
from workers.calls import Call, Prompt, Segment
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints, follow
from workers.errors import EngineProtocolError, EngineUnavailable
from workers.pool.pool import Pool
from workers.prefix.tokens import TokenBlocks


class Publisher:
    """What vLLM's publisher does, with ways to lose batches and to restart."""

    def __init__(self, folder: Path) -> None:
        self.endpoints = KVEndpoints(f"ipc://{folder}/events", f"ipc://{folder}/replay")
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.XPUB)  # as PUB, and tells of who subscribes
        self._socket.bind(self.endpoints.events)
        self._replay = self._context.socket(zmq.ROUTER)
        self._replay.bind(self.endpoints.replay or "")
        self._clock: Iterator[float] = itertools.count(1.0)
        self._kept: list[tuple[int, bytes]] = []
        self._next = 0
        self.replays: list[int] = []
        self._serving = asyncio.create_task(self._serve())

    async def publish(self, *events: object, lost: bool = False, forgotten: bool = False) -> None:
        payload = msgspec.msgpack.encode([next(self._clock), list(events), 0])
        number, self._next = self._next, self._next + 1
        if not forgotten:
            self._kept.append((number, payload))
        if not lost:
            await self._socket.send_multipart((b"", number.to_bytes(8, "big"), payload))

    def restart(self) -> None:
        self._next = 0
        self._kept.clear()

    async def subscribed(self) -> None:
        """Wait for a subscriber; what was published before it has not heard."""
        assert await self._socket.recv() == b"\x01"

    async def _serve(self) -> None:
        while True:
            client, _, start = await self._replay.recv_multipart()
            self.replays.append(int.from_bytes(start, "big"))
            for number, payload in self._kept:
                if number >= int.from_bytes(start, "big"):
                    await self._replay.send_multipart((client, b"", b"", number.to_bytes(8, "big"), payload))
            await self._replay.send_multipart((client, b"", b"", (-1).to_bytes(8, "big", signed=True), b""))

    async def close(self) -> None:
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving
        self._context.destroy(linger=0)


@asynccontextmanager
async def followed(folder: Path, *before: object) -> AsyncGenerator[tuple[Publisher, TokenBlocks], None]:
    publisher, blocks = Publisher(folder), TokenBlocks()
    for event in before:
        await publisher.publish(event)
    following = asyncio.create_task(follow(publisher.endpoints, blocks))
    try:
        async with asyncio.timeout(60):
            await publisher.subscribed()
            while not publisher.replays:  # noqa: ASYNC110 -- a list tells nobody that it grew
                await asyncio.sleep(0.01)
        yield publisher, blocks
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await publisher.close()


async def holds(blocks: TokenBlocks, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if blocks.covered(chain()) == count:
                return
            await asyncio.sleep(0.01)


async def test_what_was_published_before_is_replayed(tmp_path: Path) -> None:
    async with followed(tmp_path, stored(0, 2), stored(2, 4)) as (publisher, blocks):
        await holds(blocks, 4)
        await publisher.publish(stored(4, 5))
        await holds(blocks, 5)
        assert publisher.replays == [0]


async def test_a_gap_is_filled_from_the_replay(tmp_path: Path) -> None:
    async with followed(tmp_path, stored(0, 3)) as (publisher, blocks):
        await holds(blocks, 3)
        await publisher.publish(removed(b"c"), lost=True)
        await publisher.publish({"type": "BlockRemoved", "block_hashes": [b"x"], "medium": "GPU"})
        await holds(blocks, 2)
        assert publisher.replays == [0, 1]


async def test_what_cannot_be_replayed_is_forgotten(tmp_path: Path) -> None:
    async with followed(tmp_path, stored(0, 3)) as (publisher, blocks):
        await holds(blocks, 3)
        await publisher.publish(removed(b"c"), lost=True, forgotten=True)
        await publisher.publish(stored(0, 1))
        await holds(blocks, 1)


async def test_a_restarted_server_holds_nothing(tmp_path: Path) -> None:
    async with followed(tmp_path, stored(0, 2), stored(2, 5)) as (publisher, blocks):
        await holds(blocks, 5)
        publisher.restart()
        await publisher.publish(stored(0, 1))
        await holds(blocks, 1)


@pytest.mark.parametrize(
    "frames",
    [
        [b"hello"],
        [b"", (0).to_bytes(8, "big"), b"\xc1"],
        [b"", (0).to_bytes(8, "big"), msgspec.msgpack.encode(["now", []])],
        [b"", (0).to_bytes(8, "big"), msgspec.msgpack.encode([1.0, {}])],
        [b"", (0).to_bytes(8, "big"), msgspec.msgpack.encode([1.0, [[["BlockStored"]]]])],
        [
            b"",
            (0).to_bytes(8, "big"),
            msgspec.msgpack.encode([1.0, [{"type": "BlockRemoved", "block_hashes": [[1]]}]]),
        ],
    ],
)
async def test_what_is_no_event_ends_the_following(tmp_path: Path, frames: list[bytes]) -> None:
    publisher = Publisher(tmp_path)
    following = asyncio.create_task(follow(publisher.endpoints, TokenBlocks()))
    try:
        async with asyncio.timeout(60):
            while not following.done():  # a message that comes before the subscription is lost
                await publisher._socket.send_multipart(frames)
                await asyncio.wait([following], timeout=0.05)
        with pytest.raises(EngineProtocolError, match="KV event"):
            await following
    finally:
        following.cancel()
        await publisher.close()


async def test_an_address_that_is_none_is_an_error_of_the_engine() -> None:
    with pytest.raises(EngineUnavailable, match="nonsense cannot be followed"):
        await follow(KVEndpoints("nonsense"), TokenBlocks())


async def test_a_pool_goes_on_without_the_events_of_a_replica(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    async with serving(Simulator("hello")) as url:
        pool = Pool([VLLMEngine(url, kv_events=publisher.endpoints)])
        try:
            await pool.capabilities()
            replica = pool._replicas[0]
            async with asyncio.timeout(60):
                while replica.index.told is not None:
                    await publisher._socket.send_multipart([b"hello"])
                    await asyncio.sleep(0.02)
            call = Call(Prompt((Segment("user", "Say hello."),)))
            assert "".join([chunk.text async for chunk in pool.generate(call)]) == "hello"
        finally:
            await pool.close()
            await publisher.close()
