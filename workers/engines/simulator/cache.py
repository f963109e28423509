"""The simulator's tokenizer and its prefix cache, which follows vLLM's rules."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence

from workers.calls import Prompt
from workers.functions import Function

CHARACTERS = 4
"""A token is this many characters; the last token of a message may be shorter."""

BLOCK = 16
"""Tokens in a block of the cache (vLLM's default)."""

_BLOCK_CHARACTERS = BLOCK * CHARACTERS
_HEADERS = {"system": "<|s>", "user": "<|u>", "assistant": "<|a>", "tool": "<|t>"}
_FUNCTIONS = "<|f>"
_END = "<|/>"


def count_tokens(text: str) -> int:
    """How many tokens the simulator makes of ``text``."""
    return -(-len(text) // CHARACTERS)


def render(prompt: Prompt, functions: Sequence[Function] = ()) -> str:
    """The chat template: one token before and one after each message, and the assistant's header last.

    Functions come first of all, as in the templates of most models, and an assistant's calls after its text.

    The result is padded so that each token has exactly ``CHARACTERS`` characters: the content of each
    message is tokenised by itself. So a generated answer that comes back as an assistant message has the
    same tokens as when it was generated. A prefill that ends inside a token does not: its tokens change
    once the answer is appended to it, as with real tokenizers.
    """
    parts = [_FUNCTIONS, _padded(json.dumps([each.as_tool() for each in functions]))] if functions else []
    messages = prompt.messages()
    for message in messages:
        parts.append(_HEADERS[message["role"]])
        parts.append(_padded(message["content"]))
        if calls := message.get("tool_calls"):
            parts.append(_padded(json.dumps(calls)))
        parts.append(_END)
    if messages and messages[-1]["role"] == "assistant":
        parts.pop()
    else:
        parts.append(_HEADERS["assistant"])
    return "".join(parts)


def extend(rendered: str, answer: str) -> str:
    """A rendered prompt and the answer generated after it, as one padded text."""
    return rendered + _padded(answer)


def _padded(text: str) -> str:
    return text.ljust(count_tokens(text) * CHARACTERS, "\0")


def block_hashes(rendered: str, salt: str, known: Sequence[int] = ()) -> list[int]:
    """The chained hashes of the full blocks: equal hashes mean equal text from the start up to there.

    ``known`` are the hashes of the first blocks, where they were computed before.
    """
    hashes = list(known)
    parent = hashes[-1] if hashes else hash(salt)
    for start in range(
        len(hashes) * _BLOCK_CHARACTERS, len(rendered) - _BLOCK_CHARACTERS + 1, _BLOCK_CHARACTERS
    ):
        parent = hash((parent, rendered[start : start + _BLOCK_CHARACTERS]))
        hashes.append(parent)
    return hashes


class BlockCache:
    """Full blocks by chained hash; blocks in use are pinned, others are evicted least recently used first.

    A finished call frees its blocks tail first, so that shared beginnings live longest. When pinned
    blocks fill the cache, further blocks are not kept; unlike in vLLM, no call waits or is preempted.
    """

    def __init__(self, blocks: int) -> None:
        if blocks < 0:
            raise ValueError(f"the cache cannot have {blocks} blocks: give 0 (no cache) or more")
        self._room = blocks
        self._pinned: dict[int, int] = {}
        self._free: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        """Blocks that are kept, pinned or free."""
        return len(self._pinned) + len(self._free)

    def match(self, hashes: list[int], tokens: int) -> int:
        """How many leading blocks of a prompt of ``tokens`` tokens are here.

        The last token is always computed, because the engine needs its logits: a prompt that is entirely
        here counts one block fewer.
        """
        found = 0
        for block in hashes[: max(0, tokens - 1) // BLOCK]:
            if block not in self._pinned and block not in self._free:
                break
            found += 1
        return found

    def pin(self, hashes: list[int]) -> list[int]:
        """Keep these blocks until they are released; returns those that found room."""
        held: list[int] = []
        for block in hashes:
            if block in self._pinned:
                self._pinned[block] += 1
            else:
                if block in self._free:
                    del self._free[block]
                elif len(self) >= self._room:
                    if not self._free:
                        break
                    self._free.popitem(last=False)
                self._pinned[block] = 1
            held.append(block)
        return held

    def release(self, hashes: list[int]) -> None:
        """Take one pin off each of these blocks; those without a pin become free, the last one first."""
        for block in reversed(hashes):
            pins = self._pinned[block]
            if pins > 1:
                self._pinned[block] = pins - 1
            else:
                del self._pinned[block]
                self._free[block] = None
