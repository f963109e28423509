from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.engines.simulator.harness import ask, cached, read
from workers.engines.simulator.cache import BLOCK, CHARACTERS, BlockCache, block_hashes, count_tokens, render
from workers.engines.simulator.engine import CostModel, Simulator


async def test_cached_tokens_are_whole_blocks_and_the_last_token_is_computed() -> None:
    engine = Simulator()
    system = "s" * 4 * 61
    call = ask("x" * 4 * 60, system=system)
    tokens = len(render(call.prompt)) // CHARACTERS
    assert await cached(engine, call) == 0
    assert await cached(engine, call) == (tokens - 1) // BLOCK * BLOCK
    shared = 1 + 61 + 1 + 1  # header, text, end; then the user's header
    assert await cached(engine, ask("y" * 4 * 60, system=system)) == shared // BLOCK * BLOCK


async def test_a_prompt_of_whole_blocks_computes_its_last_block_again() -> None:
    engine = Simulator()
    call = ask("x" * 4 * (3 * BLOCK - 3))
    assert len(render(call.prompt)) == 3 * BLOCK * CHARACTERS
    assert [await cached(engine, call) for _ in range(2)] == [0, 2 * BLOCK]


async def test_tenants_do_not_share() -> None:
    engine = Simulator()
    long = "x" * 1000
    assert await cached(engine, ask(long, tenant="a")) == 0
    assert await cached(engine, ask(long, tenant="b")) == 0
    assert await cached(engine, ask(long, tenant="a")) > 0


@pytest.mark.parametrize("share", [True, False])
async def test_siblings_at_the_same_instant_share_only_where_the_engine_shares_in_flight(
    share: bool,
) -> None:
    engine = Simulator(cost=CostModel(prefill_tokens_per_s=50_000), share_in_flight=share)
    system = "s" * 4 * (16 * 8 - 1)
    calls = [ask(f"{i:4}", system=system) for i in range(4)]
    hits = await asyncio.gather(*(cached(engine, call) for call in calls))
    assert sorted(hits) == ([0, 128, 128, 128] if share else [0, 0, 0, 0])
    assert await cached(engine, ask("late", system=system)) == 128
    counters = engine.counters()
    assert counters.prompt_tokens_total - counters.prompt_tokens_computed == sum(hits) + 128


async def test_an_answer_is_cached_for_the_call_that_continues_it() -> None:
    engine = Simulator(["a" * 4 * 64, "b"])
    await read(engine, ask("q"))
    again = ask("q", prefill="a" * 4 * 64)
    tokens = len(render(again.prompt)) // CHARACTERS
    assert await cached(engine, again) == (tokens - 1) // BLOCK * BLOCK


async def test_the_cache_evicts_what_was_used_longest_ago_and_tails_before_heads() -> None:
    engine = Simulator(cache_blocks=8)
    old, new = ask("o" * 4 * (4 * BLOCK)), ask("n" * 4 * (6 * BLOCK))
    await read(engine, old)
    await read(engine, new)
    assert await cached(engine, old) == 2 * BLOCK


def test_a_cache_that_is_full_of_pinned_blocks_keeps_no_more() -> None:
    cache = BlockCache(2)
    assert cache.pin([1, 2, 3]) == [1, 2]
    assert cache.pin([1, 9]) == [1]
    cache.release([1, 2])
    assert cache.pin([9]) == [9]  # 2 had no pin any more
    assert cache.match([1], 100) == 1
    assert cache.match([1, 2], 100) == 1
    assert len(cache) == 2
    with pytest.raises(ValueError, match="-1 blocks"):
        BlockCache(-1)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab", max_size=400), min_size=1, max_size=12))
def test_matching_is_the_longest_common_prefix_in_whole_blocks(texts: list[str]) -> None:
    cache = BlockCache(10_000)
    seen: list[str] = []
    for text in texts:
        rendered = render(ask(text).prompt)
        hashes = block_hashes(rendered, "tenant")
        assert len(hashes) == len(rendered) // (BLOCK * CHARACTERS)
        longest = max((_common(rendered, other) for other in seen), default=0)
        # A block counts only if the earlier prompt had it whole, and the last token is always computed.
        tokens = len(rendered) // CHARACTERS
        expected = min(longest // CHARACTERS // BLOCK, (tokens - 1) // BLOCK)
        assert cache.match(hashes, tokens) == expected
        cache.release(cache.pin(hashes))
        seen.append(rendered)


def _common(one: str, other: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_hashes_can_be_continued(first: str, rest: str) -> None:
    known = block_hashes(first, "t")
    assert block_hashes(first + rest, "t", known) == block_hashes(first + rest, "t")


def test_tokens_are_counted_in_fours() -> None:
    assert [count_tokens("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
