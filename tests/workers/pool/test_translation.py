from __future__ import annotations

from workers.calls import Prompt, Segment
from workers.pool.translation import Translation
from workers.prefix.blocks import BLOCK_CHARACTERS, Chains
from workers.prefix.tokens import TokenBlocks, token_chain, token_root


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
