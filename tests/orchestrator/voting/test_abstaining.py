"""What a vote says of itself when branches give no answer, and when they are copies of one another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from orchestrator.consensus.stopping import FIRST_DEFAULT_RULE
from orchestrator.runtime.environment import RunOutcome
from planners.vote import vote
from tests.orchestrator.runtime.harness import Speaker
from tests.planners.conftest import Played, play
from workers.calls import Call, Chunk, FinishReason, Usage

LONG = "We take the half of 48, which is 24, and add it to 48 once more, so that it comes to 72 in all: "


async def ask(*said: tuple[str, FinishReason], cached: Sequence[bool] = (), **options: Any) -> Played:
    """A vote whose branches say and end so; ``cached`` says which of them a cache answered."""
    left = iter(range(len(said)))

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        at = next(left)
        text, end = said[at]
        kept = bool(cached) and cached[at]
        yield Chunk(text, 8, finish_reason=end, usage=Usage(20, 0, 8), cached=kept)

    return await play(vote, "How many?", Speaker(speak), n=len(said), rule="fixed", **options)


def boxed(answer: str) -> tuple[str, FinishReason]:
    return rf"{LONG}\boxed{{{answer}}}", "stop"


CUT: tuple[str, FinishReason] = ("First we take", "length")
REFUSED: tuple[str, FinishReason] = ("", "abort")


async def test_long_equal_completions_with_seeds_of_their_own_are_agreement() -> None:
    played = await ask(*[boxed("72")] * 5)
    assert (played.answer.confidence, played.answer.entropy) == (1.0, 0.0)


async def test_a_run_from_before_the_default_rule_was_recorded_asks_for_copies_by_text() -> None:
    played = await ask(*[boxed("72")] * 5, default_rule=FIRST_DEFAULT_RULE)
    assert (played.answer.claim, played.answer.confidence, played.answer.entropy) == ("72", None, None)


async def test_completions_from_a_cache_are_no_agreement() -> None:
    played = await ask(*[boxed("72")] * 3, cached=(False, True, True))
    assert (played.answer.claim, played.answer.confidence, played.answer.entropy) == ("72", None, None)


async def test_a_cache_that_tells_seeds_apart_holds_samples() -> None:
    played = await ask(boxed("72"), boxed("72"), boxed("7"), cached=(True, True, True))
    assert played.answer.confidence == pytest.approx(2 / 3)


async def test_one_answer_beside_four_abstentions_is_undecided() -> None:
    played = await ask(boxed("72"), CUT, CUT, CUT, REFUSED, max_tokens=8)
    assert played.result.outcome is RunOutcome.UNDECIDED
    answer = played.result.answer
    assert answer is not None
    assert (answer.claim, answer.confidence, answer.entropy) == ("72", None, None)
    assert answer.undecided == (
        "4 of 5 branches gave no answer: 3 cut off at max_tokens=8, 1 broken off by the server"
    )


async def test_a_branch_without_an_answer_lowers_the_share() -> None:
    played = await ask(boxed("72"), boxed("72"), boxed("72"), CUT)
    assert played.answer.confidence == 0.75
    assert played.answer.entropy is not None
    assert played.answer.entropy > 0.5


async def test_branches_that_were_all_cut_off_say_what_was_too_small() -> None:
    played = await ask(CUT, CUT, CUT, max_tokens=8)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided == (
        "all 3 branches were cut off: max_tokens=8 is too small (used: 8 tokens each)"
    )


async def test_texts_that_are_merged_whole_need_no_short_answer() -> None:
    essay: tuple[str, FinishReason] = (
        "A river runs through it, and the town lies on both banks. " * 4,
        "stop",
    )
    played = await ask(essay, essay, essay, merge="medoid")
    assert played.answer.text == essay[0]
    played = await ask(essay, essay, essay)
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_the_journal_of_a_decided_vote_does_not_speak_of_it() -> None:
    played = await ask(*[boxed("72")] * 2)
    assert not any("undecided" in str(event.data) for event in played.events)
