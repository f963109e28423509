"""Votes whose branches are drawn by codes of arithmetic sampling."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.ballot import Turn
from tests.orchestrator.runtime.harness import Played, play
from workers.calls import Completion
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

ABLE = Capabilities("simulator", arithmetic_sampling=True, assistant_prefill=True)


async def write(run: Verbs) -> Completion:
    return await run.generate([user("Write.")])


async def vote(claims: Capabilities = ABLE, reply: str = r"\boxed{7}", **given: Any) -> Played:
    async def body(run: Run) -> Answer:
        return await run.vote([user("Which?")], **{"draws": "arithmetic", "max_tokens": 64, **given})

    return await play(body, Simulator(reply, claims=claims), capabilities=claims)


def codes(played: Played) -> list[float | None]:
    return [e.data["request"]["sampling"].get("code") for e in played.events if "request" in e.data]


async def test_the_codes_of_branches_are_spread_evenly_and_recorded() -> None:
    played = await vote(rule="fixed", width=13)
    given = sorted(code for code in codes(played) if code is not None)
    assert len(given) == 13
    gaps = [after - before for before, after in pairwise([*given, given[0] + 1.0])]
    assert max(gaps) < 2.7 * min(gaps)
    assert max(gaps) < 2 / 13
    again = await vote(rule="fixed", width=13)
    assert codes(again) == codes(played)  # of the same seed


@pytest.mark.parametrize("ways", [2, 3, 5, 8, 13])
async def test_the_codes_of_one_turn_are_spread_evenly_too(ways: int) -> None:
    turns = [Turn([user(f"And {at}?")]) for at in range(1, ways)]
    given = [
        code for code in codes(await vote(rule="fixed", width=4 * ways, turns=turns)) if code is not None
    ]
    assert len(set(given)) == 4 * ways
    for turn in range(ways):
        first, *others = sorted(given[turn::ways])
        gaps = [after - before for before, after in pairwise([first, *others, first + 1.0])]
        assert min(gaps) > 0.14  # four that are equally far from each other would have 0.25


async def test_branches_that_run_in_segments_have_a_point_of_their_own_in_each() -> None:
    played = await vote(
        reply="word " * 50 + r"\boxed{7}", rule="token_budget:400", width=2, segment=8, max_tokens=32
    )
    given = codes(played)
    assert len(set(given)) == len(given) > 4


async def test_greedy_branches_have_no_code() -> None:
    turns = [Turn([user("And?")], sampling={"temperature": 0.0})]
    played = await vote(rule="fixed", width=4, turns=turns)
    assert [code is None for code in codes(played)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("claims", "given", "says"),
    [
        (Capabilities("other"), {}, "arithmetic sampling needs a vLLM server .* that of other has none"),
        (ABLE, {"temperature": 0.0}, "above 0"),
        (ABLE, {"turns": [Turn([user("?")], writing=write)]}, "planner code writes them"),
        (ABLE, {"draws": "dice"}, "not drawn 'dice', but independent or arithmetic"),
    ],
)
async def test_what_cannot_be_drawn_so_is_refused(
    claims: Capabilities, given: dict[str, Any], says: str
) -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(InvalidRequest, match=says):
            run.vote([user("Which?")], **{"draws": "arithmetic", "rule": "fixed", "width": 2, **given})
        return Answer("refused")

    played = await play(body, capabilities=claims)
    assert played.result.answer == Answer("refused")
    assert codes(played) == []


async def test_other_votes_have_no_codes() -> None:
    assert codes(await vote(draws="independent", rule="fixed", width=3)) == [None, None, None]


async def test_a_call_with_a_code_is_refused_where_it_would_have_no_effect() -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(InvalidRequest, match="needs arithmetic sampling"):
            run.generate([user("Which?")], code=0.5)
        return Answer("refused")

    assert (await play(body, capabilities=Capabilities("other"))).result.answer == Answer("refused")
