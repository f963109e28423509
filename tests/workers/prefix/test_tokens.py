from __future__ import annotations

import pytest

from tests.workers.prefix.events import NAMES, SIZE, TOKENS, chain, removed, stored
from workers.errors import EngineProtocolError
from workers.prefix.tokens import TokenBlocks, token_chain, token_root


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
