"""KV events: what they do to the index, and a publisher that loses, restarts and replays."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import zmq
import zmq.asyncio

from workers.calls import Call, Prompt, Segment
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import (
    KVEndpoints,
    TokenBlocks,
    Translation,
    follow,
    token_chain,
    token_root,
)
from workers.errors import EngineProtocolError, EngineUnavailable
from workers.pool.pool import Pool
from workers.prefix.blocks import BLOCK_CHARACTERS, Chains

SIZE = 4
TOKENS = tuple(range(100, 120))  # five blocks
NAMES = [b"a", b"b", b"c", b"d", b"e"]


def stored(
    start: int = 0, end: int = 5, *, salt: str | None = None, tokens: Sequence[int] = TOKENS, **more: object
) -> dict[str, object]:
    return {
        "type": "BlockStored",
        "block_hashes": NAMES[start:end],
        "parent_block_hash": NAMES[start - 1] if start else None,
        "token_ids": list(tokens[start * SIZE : end * SIZE]),
        "block_size": SIZE,
        "lora_id": None,
        "medium": "GPU",
        "lora_name": None,
        "extra_keys": [[salt] if salt and start == 0 and not index else None for index in range(end - start)],
        **more,
    }


def removed(*names: bytes) -> dict[str, object]:
    return {"type": "BlockRemoved", "block_hashes": list(names), "medium": "GPU"}


def chain(salt: str | None = None) -> tuple[int, ...]:
    return token_chain(TOKENS, SIZE, token_root(salt) if salt else token_root())


def test_stored_blocks_are_found_by_their_tokens() -> None:
    blocks = TokenBlocks()
    blocks.apply([stored(0, 2)])
    assert blocks.covered(chain()) == 2
    blocks.apply([stored(2, 5)])
    assert blocks.covered(chain()) == 5
    assert blocks.covered(token_chain((1, *TOKENS[1:]), SIZE, token_root())) == 0


def test_removed_blocks_are_gone() -> None:
    blocks = TokenBlocks()
    blocks.apply([stored(), removed(b"d", b"e", b"never seen")])
    assert blocks.covered(chain()) == 3
    blocks.apply([{"type": "AllBlocksCleared"}])
    assert blocks.covered(chain()) == 0


def test_a_salt_separates_tenants() -> None:
    blocks = TokenBlocks()
    blocks.apply([stored(salt="one")])
    assert blocks.covered(chain("one")) == 5
    assert blocks.covered(chain("other")) == blocks.covered(chain()) == 0


def test_blocks_after_an_unknown_one_are_not_guessed() -> None:
    blocks = TokenBlocks()
    blocks.apply([stored(2, 5)])
    assert len(blocks) == 0


def test_copies_elsewhere_and_windows_say_nothing() -> None:
    blocks = TokenBlocks()
    blocks.apply([stored(medium="CPU"), stored(kv_cache_spec_kind="sliding_window")])
    assert len(blocks) == 0


def test_events_as_arrays() -> None:
    blocks = TokenBlocks()
    blocks.apply([["BlockStored", NAMES, None, list(TOKENS), SIZE, None, "GPU"], ["BlockRemoved", [b"e"]]])
    assert blocks.covered(chain()) == 4


@pytest.mark.parametrize("event", [42, {"type": "BlockStored"}, stored(block_size=0), ["Unheard", 1]])
def test_what_is_no_event_is_refused(event: object) -> None:
    with pytest.raises(EngineProtocolError):
        TokenBlocks().apply([event])


def test_the_index_is_bounded() -> None:
    blocks = TokenBlocks(capacity=100)
    for number in range(1000):
        blocks.apply(
            [
                stored(
                    tokens=[number * 20 + index for index in range(20)],
                    block_hashes=[f"{number}/{i}" for i in range(5)],
                )
            ]
        )
    assert len(blocks) == 100
    assert len(blocks._names) == 100


def test_characters_are_translated_for_siblings() -> None:
    chains, translation, blocks = Chains(), Translation(), TokenBlocks()
    stem = "s" * (20 * BLOCK_CHARACTERS)
    one = chains.of(Prompt((Segment("user", stem), Segment("user", "one" * 100))), "t")
    other = chains.of(Prompt((Segment("user", stem), Segment("user", "two" * 100))), "t")
    tokens = token_chain(tuple(range(400)), 16, token_root())
    assert not translation.knows(other)
    translation.learn(one, tokens, len(one))
    assert translation.knows(other)
    assert translation.covered(other, blocks) == 0
    blocks._holdings.add(tokens)
    assert translation.covered(one, blocks) == len(one)
    assert translation.covered(other, blocks) == 20
    blocks._holdings.remove(tokens[12:])
    assert 8 <= translation.covered(other, blocks) <= 12


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
                while replica.told is not None:
                    await publisher._socket.send_multipart([b"hello"])
                    await asyncio.sleep(0.02)
            call = Call(Prompt((Segment("user", "Say hello."),)))
            assert "".join([chunk.text async for chunk in pool.generate(call)]) == "hello"
        finally:
            await pool.close()
            await publisher.close()
