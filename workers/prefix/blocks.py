"""Prompts as chains of hashed blocks.

A prompt is cut into blocks; the hash of a block covers everything before it, so equal hashes mean equal
prompts up to there, and a set of hashes answers "how much of this prompt is there?" without the text.
A block here is 64 characters, about the 16 tokens of vLLM's blocks: it only has to rank replicas. If a
server publishes what it caches, :mod:`workers.prefix.tokens` has chains of its real token blocks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence

from workers.calls import Prompt, Segment
from workers.functions import Function

BLOCK_CHARACTERS = 64

Chain = tuple[int, ...]
"""The hashes of a prompt's full blocks, first block first."""


def extend_chain(parent: int, blocks: Iterable[Hashable]) -> list[int]:
    """Hashes of ``blocks``, each covering its parent; the first follows a block or root hashed ``parent``."""
    chain = []
    for block in blocks:
        parent = hash((parent, block))
        chain.append(parent)
    return chain


def root(tenant: str) -> int:
    """The parent of a prompt's first block. Tenants never share blocks, as with vLLM's ``cache_salt``."""
    return hash(("root", tenant))


class Chains:
    """Cuts prompts into chained blocks, and remembers the blocks that siblings share.

    All segments but the last of a prompt are usually shared by a family, so their chain is computed once;
    a sibling then costs the hashing of its own last segment. Prompts beyond ``longest`` blocks are
    ranked by their beginning.
    """

    def __init__(self, *, remembered: int = 4096, longest: int = 2048) -> None:
        self._remembered = remembered
        self._longest = longest
        # Keyed by a hash instead of the text: a collision would only misplace a call, while keeping the
        # texts of thousands of long prompts would cost memory.
        self._stems: OrderedDict[int, tuple[Chain, int, str, str]] = OrderedDict()

    def of(self, prompt: Prompt, tenant: str, functions: Sequence[Function] = ()) -> Chain:
        """The chain of ``prompt``. Prompts that the engine sees as equal have equal chains.

        ``functions`` that go with it come first of all, so it shares nothing with a prompt without them.
        """
        segments = prompt.segments
        if not segments:
            return ()
        if functions:
            tenant = f"{tenant}\0{functions}"
        chain, parent, rest, role = self._stem(segments[:-1], tenant)
        text = rest + _rendered(segments[-1:], role)
        return (*chain, *extend_chain(parent, _blocks(text)))[: self._longest]

    def _stem(self, segments: tuple[Segment, ...], tenant: str) -> tuple[Chain, int, str, str]:
        """Chain, last hash, the text after the last full block, and the role that it ends in."""
        key = hash((tenant, segments))
        known = self._stems.get(key)
        if known is not None:
            self._stems.move_to_end(key)
            return known
        text = _rendered(segments, "")
        parent = root(tenant)
        chain = tuple(extend_chain(parent, _blocks(text)))
        rest = text[len(chain) * BLOCK_CHARACTERS :]
        stem = (chain, chain[-1] if chain else parent, rest, segments[-1].role if segments else "")
        self._stems[key] = stem
        if len(self._stems) > self._remembered:
            self._stems.popitem(last=False)
        return stem


def _rendered(segments: Sequence[Segment], role: str) -> str:
    parts = []
    for segment in segments:
        if segment.role != role:
            role = segment.role
            parts.append(f"\0{role}\0")
        parts.append(f"{segment.text}{segment.calls}" if segment.calls else segment.text)
    return "".join(parts)


def _blocks(text: str) -> Iterable[str]:
    size = BLOCK_CHARACTERS
    return (text[start : start + size] for start in range(0, len(text) - size + 1, size))
