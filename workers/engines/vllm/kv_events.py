"""Follows what a vLLM server caches, from the KV events that it publishes over ZeroMQ.

The server sends batches of *stored*, *removed* and *cleared* (``--kv-events-config``), numbered from 0, and
keeps the last ones for those who missed some (its replay socket). Needs the packages pyzmq and msgspec,
which the extras ``vllm`` and ``vllm-events`` bring.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import structlog

from workers.errors import EngineProtocolError, EngineUnavailable
from workers.prefix.blocks import Chain, Holdings, extend_chain

log = structlog.get_logger(__name__)

REPLAY_SECONDS = 5.0
_END = (2**64 - 1).to_bytes(8, "big")  # -1, the number after the last replayed batch


@dataclass(frozen=True, slots=True)
class KVEndpoints:
    """Where a server publishes its events, and where it replays them (None: it does not)."""

    events: str
    replay: str | None = None


def events_supported() -> bool:
    """Whether the packages that following needs are installed."""
    return find_spec("zmq") is not None and find_spec("msgspec") is not None


class TokenBlocks:
    """The prefix blocks that one server holds, by the tokens in them.

    The server's own hashes only name blocks here: what its hash function is does not matter. Blocks that were
    stored after one that is unknown are unknown too, until a prompt stores them again.

    Args:
        capacity: blocks to remember. An entry takes about 400 bytes with its two names.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._holdings = Holdings(capacity)
        self._names: OrderedDict[object, int] = OrderedDict()  # the server's name of a block, and ours
        self.block_size: int | None = None  # tokens; None until the first block was stored

    def __len__(self) -> int:
        return len(self._holdings)

    def __contains__(self, block: int) -> bool:
        return block in self._holdings

    def covered(self, chain: Chain) -> int:
        """How many leading blocks of ``chain``, a chain of tokens, the server holds."""
        return self._holdings.covered(chain, 0.0)

    def clear(self) -> None:
        """Nothing is known."""
        self._holdings.clear()
        self._names.clear()

    def apply(self, events: Iterable[object]) -> None:
        """Take a batch of decoded events.

        Raises:
            EngineProtocolError: an event does not have the form that vLLM gives it.
        """
        for event in events:
            try:
                self._take(*_fields(event))
            except TypeError as error:  # a list or a map where a name, a token or a salt should be
                raise EngineProtocolError(f"a KV event of unknown form: {event!r:.200}") from error

    def _take(self, kind: str, fields: Mapping[str, object]) -> None:
        if kind == "AllBlocksCleared":
            self.clear()
        elif fields.get("medium") not in (None, "GPU"):
            return  # a copy in a slower tier says nothing about the cache itself
        elif kind == "BlockStored":
            self._stored(fields)
        elif kind == "BlockRemoved":
            ours = [self._names.pop(name, None) for name in _sequence(fields, "block_hashes")]
            self._holdings.remove(block for block in ours if block is not None)

    def _stored(self, fields: Mapping[str, object]) -> None:
        if fields.get("kv_cache_spec_kind") not in (None, "full_attention"):
            return  # other layers of a hybrid model keep windows, not prefixes
        size = fields.get("block_size")
        if not isinstance(size, int) or size < 1:
            raise EngineProtocolError(f"a stored block of {size!r} tokens")
        self.block_size = size
        names, tokens = _sequence(fields, "block_hashes"), _sequence(fields, "token_ids")
        above = fields.get("parent_block_hash")
        if above is None:
            extra = fields.get("extra_keys")
            first = extra[0] if isinstance(extra, Sequence) and extra else None
            parent: int | None = token_root(*(first if isinstance(first, Sequence) else ()))
        else:
            parent = self._names.get(above)
        if parent is None:
            return
        pieces = (tuple(tokens[start : start + size]) for start in range(0, len(tokens), size))
        chain = extend_chain(parent, pieces)
        self._holdings.add(tuple(chain))
        for name, block in zip(names, chain, strict=False):
            self._names[name] = block
            self._names.move_to_end(name)
        while len(self._names) > self._capacity:
            self._names.popitem(last=False)


class Translation:
    """From the blocks of characters that a pool knows to the blocks of tokens that servers tell of.

    A prompt is tokenised once; its siblings then find their common beginning by its characters. Blocks end at
    other places in tokens than in characters, so a block of characters stands for the last block of tokens
    that ends before it, were all tokens equally long; those before the first stand for the first.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._tokens: OrderedDict[int, int] = OrderedDict()

    def learn(self, chain: Chain, tokens: Chain, blocks: float) -> None:
        """``chain``, of a prompt ``blocks`` blocks of characters long, has the token blocks ``tokens``."""
        if not tokens:
            return
        for index in reversed(range(len(chain))):
            last = min(len(tokens), int((index + 1) * len(tokens) / max(blocks, 1.0))) - 1
            self._tokens[chain[index]] = tokens[max(0, last)]
            self._tokens.move_to_end(chain[index])
        while len(self._tokens) > self._capacity:
            self._tokens.popitem(last=False)

    def knows(self, chain: Chain) -> bool:
        """Whether at least the first half of ``chain`` can be translated."""
        return chain[len(chain) // 2] in self._tokens

    def covered(self, chain: Chain, blocks: TokenBlocks) -> int:
        """How many leading blocks of characters the server holds."""
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high) // 2
            if (token := self._tokens.get(chain[middle])) is not None and token in blocks:
                low = middle + 1
            else:
                high = middle
        return low


def token_root(*keys: object) -> int:
    """The parent of a prompt's first block; ``keys`` is what the server hashes beside the tokens (a salt)."""
    return hash(("tokens", *keys))


def token_chain(tokens: Sequence[int], block_size: int, root: int) -> Chain:
    """The chain of the full blocks of ``tokens``."""
    last = len(tokens) - block_size + 1
    return tuple(
        extend_chain(
            root, (tuple(tokens[start : start + block_size]) for start in range(0, last, block_size))
        )
    )


async def follow(endpoints: KVEndpoints, blocks: TokenBlocks) -> None:
    """Keep ``blocks`` equal to what the server says, until cancelled.

    A number that was skipped is asked for again; if the server does not have it any more, everything is
    forgotten, because what was missed may have been a removal. A server that restarted counts from 0
    again, and holds nothing.

    Raises:
        EngineUnavailable: pyzmq or msgspec is not installed, or an endpoint is not an address.
        EngineProtocolError: what came are not vLLM's events.
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
    """The batches from number ``start`` on that the server still has; none if it does not answer."""
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
    """The numbers of the batches, and what they mean for the blocks."""

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
            EngineProtocolError: it is none of vLLM's.
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
        """Take replayed batches."""
        for frames in replayed:
            self.take(self.read(frames))

    def take(self, batch: _Batch) -> None:
        """Take one batch; one that was taken before does nothing."""
        if batch.number < self.next:
            return
        if batch.number > self.next:
            self._blocks.clear()
        self.next = batch.number + 1
        self._at = batch.at
        self._blocks.apply(batch.events)


# Events are maps today; earlier releases of vLLM sent arrays in this order.
_ARRAYS = {
    "BlockStored": (
        "block_hashes",
        "parent_block_hash",
        "token_ids",
        "block_size",
        "lora_id",
        "medium",
        "lora_name",
        "extra_keys",
    ),
    "BlockRemoved": ("block_hashes", "medium"),
    "AllBlocksCleared": (),
}


def _fields(event: object) -> tuple[str, Mapping[str, object]]:
    if isinstance(event, Mapping):
        return str(event.get("type")), event
    if isinstance(event, Sequence) and event and event[0] in _ARRAYS:
        kind = str(event[0])
        return kind, dict(zip(_ARRAYS[kind], event[1:], strict=False))
    raise EngineProtocolError(f"a KV event of unknown form: {event!r:.200}")


def _sequence(fields: Mapping[str, object], name: str) -> Sequence[int]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise EngineProtocolError(f"a KV event whose {name} is {value!r:.100}")
    return value
