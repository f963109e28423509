from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.workers.prefix.prompts import prompt
from workers.calls import Prompt, Segment
from workers.functions import Function, FunctionCall
from workers.prefix.blocks import BLOCK_CHARACTERS, Chain, Chains

roles = st.sampled_from(["system", "user", "assistant"])
segments = st.builds(Segment, roles, st.text("abc", max_size=200))


def shared(one: Chain, other: Chain) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def test_siblings_share_the_blocks_of_their_common_beginning() -> None:
    chains = Chains()
    stem = "s" * (10 * BLOCK_CHARACTERS)
    one = chains.of(prompt(stem, "first" * 100), "t")
    other = chains.of(prompt(stem, "other" * 100), "t")
    assert shared(one, other) == 10
    assert len(one) > 10


def test_tenants_share_nothing() -> None:
    chains = Chains()
    text = prompt("s" * 1000)
    assert shared(chains.of(text, "one"), chains.of(text, "other")) == 0


@given(st.lists(segments, max_size=6), st.integers(0, 200))
def test_a_chain_depends_on_the_messages_and_not_on_the_segments(parts: list[Segment], cut: int) -> None:
    whole = Prompt(tuple(parts))
    pieces = []
    for part in parts:
        pieces += [Segment(part.role, part.text[:cut]), Segment(part.role, part.text[cut:])]
    assert Chains().of(whole, "t") == Chains().of(Prompt(tuple(pieces)), "t")


@given(st.lists(segments, min_size=1, max_size=5), st.lists(segments, min_size=1, max_size=5))
def test_equal_blocks_mean_equal_text_up_to_there(one: list[Segment], other: list[Segment]) -> None:
    chains = Chains()

    def text(parts: list[Segment]) -> str:
        messages = Prompt((*parts, Segment("user", ""))).messages()  # an empty beginning of an answer stays
        return "".join(f"\0{m['role']}\0{m['content']}" for m in messages)

    common = shared(chains.of(Prompt(tuple(one)), "t"), chains.of(Prompt(tuple(other)), "t"))
    size = common * BLOCK_CHARACTERS
    assert text(one)[:size] == text(other)[:size]


def test_stems_are_remembered_up_to_a_bound() -> None:
    chains = Chains(remembered=10)
    for number in range(100):
        chains.of(prompt(f"{number} " + "x" * 500, "y"), "t")
    assert len(chains._stems) == 10


def test_functions_come_before_the_prompt_and_calls_are_part_of_it() -> None:
    chains = Chains()
    long = Prompt((Segment("user", "x" * 500),))
    look, ask = Function("look", "", {}), Function("ask", "", {})
    plain, offered, other = (chains.of(long, "t", each) for each in ((), (look,), (ask,)))
    assert len(plain) == len(offered)
    assert not set(plain) & set(offered)
    assert not set(offered) & set(other)
    assert chains.of(long, "t", (look,)) == offered
    call, another = FunctionCall("1", "look", "{}" * 99), FunctionCall("1", "ask", "[]" * 99)
    said = [Prompt((Segment("assistant", "", calls=(each,)),)) for each in (call, another)]
    assert chains.of(said[0], "t") != chains.of(said[1], "t")
