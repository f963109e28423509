"""KV events as vLLM publishes them."""

from __future__ import annotations

from collections.abc import Sequence

from workers.prefix.tokens import token_chain, token_root

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
