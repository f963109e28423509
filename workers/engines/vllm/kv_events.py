"""Follows what a vLLM server caches, from the KV events that it publishes over ZeroMQ.

The server sends batches of *stored*, *removed* and *cleared* (``--kv-events-config``), numbered from 0, and
keeps the latest for subscribers that missed some (its replay socket). Needs the packages pyzmq and msgspec,
which the extras ``vllm`` and ``vllm-events`` bring.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import structlog

from workers.errors import EngineProtocolError, EngineUnavailable
from workers.prefix.tokens import TokenBlocks

log = structlog.get_logger(__name__)

REPLAY_SECONDS = 5.0
_END = (2**64 - 1).to_bytes(8, "big")  # -1, the number after the last replayed batch


@dataclass(frozen=True, slots=True)
class KVEndpoints:
    """Where a server publishes its events, and where it replays them (None: it does not)."""

    events: str
    replay: str | None = None


def events_supported() -> bool:
    """Whether the packages that :func:`follow` needs are installed."""
    return find_spec("zmq") is not None and find_spec("msgspec") is not None


async def follow(endpoints: KVEndpoints, blocks: TokenBlocks) -> None:
    """Keep ``blocks`` equal to what the server says, until cancelled.

    Skipped batches are requested again; if the server no longer has them, everything is forgotten, because
    what was missed may have been a removal. A server that restarted counts from 0 again, and holds nothing.

    Raises:
        EngineUnavailable: pyzmq or msgspec is not installed, or an endpoint is not an address.
        EngineProtocolError: what came is not vLLM's events.
    """
    if not events_supported():
        raise EngineUnavailable('KV events need pyzmq and msgspec: pip install "anabranch[vllm-events]"')
    import zmq
    import zmq.asyncio

    context = zmq.asyncio.Context()
    try:
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.setsockopt(zmq.RCVHWM, 100_000)
        socket.connect(endpoints.events)
        follower = _Follower(blocks)
        # What was published before the subscription took effect.
        follower.take_all(await _replayed(context, endpoints, 0))
        while True:
            batch = follower.read(await socket.recv_multipart())
            if follower.misses(batch):
                follower.take_all(await _replayed(context, endpoints, follower.next))
            follower.take(batch)
    except zmq.ZMQError as error:
        raise EngineUnavailable(f"KV events of {endpoints.events} cannot be followed: {error}") from error
    finally:
        context.destroy(linger=0)


async def _replayed(context: object, endpoints: KVEndpoints, start: int) -> list[list[bytes]]:
    """The batches that the server still has, from number ``start``; none if it does not answer."""
    import zmq
    import zmq.asyncio

    if endpoints.replay is None:
        return []
    assert isinstance(context, zmq.asyncio.Context)
    socket = context.socket(zmq.DEALER)
    batches: list[list[bytes]] = []
    try:
        socket.connect(endpoints.replay)
        async with asyncio.timeout(REPLAY_SECONDS):
            await socket.send_multipart((b"", start.to_bytes(8, "big")))
            while (frames := await socket.recv_multipart())[-2:-1] != [_END]:
                batches.append(frames)
    except TimeoutError:
        log.warning("kv_events_not_replayed", endpoint=endpoints.replay, start=start)
    finally:
        socket.close(linger=0)
    return batches


class _Batch(NamedTuple):
    number: int
    at: float  # by the server's clock
    events: list[object]


class _Follower:
    """Keeps count of the batches, and applies them to the blocks."""

    def __init__(self, blocks: TokenBlocks) -> None:
        import msgspec

        self._decode = msgspec.msgpack.Decoder().decode
        self._malformed = (ValueError, msgspec.MsgspecError)
        self._blocks = blocks
        self._at = 0.0  # the server's clock at the last batch
        self.next = 0

    def read(self, frames: Sequence[bytes]) -> _Batch:
        """The batch in the frames of a message.

        Raises:
            EngineProtocolError: it is not one of vLLM's.
        """
        try:
            number, payload = frames[-2:]
            match self._decode(payload):
                case [float() | int() as at, list(events), *_]:
                    return _Batch(int.from_bytes(number, "big"), float(at), events)
        except self._malformed:
            pass
        raise EngineProtocolError(f"KV events that are not vLLM's: {frames!r:.200}")

    def misses(self, batch: _Batch) -> bool:
        """Whether batches are missing before this one. Also notices that the server restarted."""
        if batch.number < self.next and batch.at > self._at:
            self._blocks.clear()
            self.next = 0
        return batch.number > self.next

    def take_all(self, replayed: Iterable[Sequence[bytes]]) -> None:
        """Apply replayed batches."""
        for frames in replayed:
            self.take(self.read(frames))

    def take(self, batch: _Batch) -> None:
        """Apply one batch; one that was applied before is ignored."""
        if batch.number < self.next:
            return
        if batch.number > self.next:
            self._blocks.clear()
        self.next = batch.number + 1
        self._at = batch.at
        self._blocks.apply(batch.events)
