"""What a server holds in blocks of its own tokens, according to the KV events that it publishes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from workers.errors import EngineProtocolError
from workers.prefix.blocks import Chain, extend_chain
from workers.prefix.holdings import Holdings


class TokenBlocks:
    """The prefix blocks that one server holds, by the tokens in them.

    The server's own hashes only name blocks here, so its hash function does not matter. Blocks that were
    stored after an unknown one are unknown too, until a prompt stores them again.

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
        """Forget all blocks."""
        self._holdings.clear()
        self._names.clear()

    def apply(self, events: Iterable[object]) -> None:
        """Apply a batch of decoded events.

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


def token_root(*keys: object) -> int:
    """The parent of a prompt's first block; ``keys`` is what the server hashes besides tokens (a salt)."""
    return hash(("tokens", *keys))


def token_chain(tokens: Sequence[int], block_size: int, root: int) -> Chain:
    """The chain of the full blocks of ``tokens``."""
    last = len(tokens) - block_size + 1
    return tuple(
        extend_chain(
            root, (tuple(tokens[start : start + block_size]) for start in range(0, last, block_size))
        )
    )


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
