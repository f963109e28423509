"""Claims compared by a judge: in both directions, less its bias, as nodes of the vote."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator

import pytest

from orchestrator.consensus.judgement import NEUTRAL_PAIR
from orchestrator.run import Run
from orchestrator.values import Answer
from storage.events import EventType
from tests.orchestrator.harness import Speaker, play, said, whole
from workers.calls import Call, Chunk, Logprob, Usage
from workers.tools.registry import tool

DOG, HOUND, CAT = "a small dog", "a little hound", "a big cat"
SAME, DIFFERENT = 4.0, -4.0
JUDGED = {
    frozenset({DOG, HOUND}): SAME,
    frozenset({DOG, CAT}): DIFFERENT,
    frozenset({HOUND, CAT}): DIFFERENT,
    frozenset(NEUTRAL_PAIR): DIFFERENT,
}


def a_judge(answers: list[str], bias: float) -> Speaker:
    """Branches that answer in turn, and a judge that leans to yes by ``bias`` whatever it is asked."""
    spoken = iter(answers)

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if call.role != "judge":
            yield whole(f"The answer is {next(spoken)}.")
            return
        pair = frozenset(line.partition(": ")[2] for line in said(call).splitlines()[-3:-1])
        odds = bias + JUDGED[pair]
        yes, no = -math.log1p(math.exp(-odds)), -math.log1p(math.exp(odds))
        token = Logprob("Yes", yes, {" Yes": yes, " No": no})
        yield Chunk("Yes", 1, logprobs=(token,), finish_reason="length", usage=Usage(1, 0, 1))

    return Speaker(speak)


async def clusters(engine: Speaker, judge: str, *, width: int = 3) -> list[tuple[str, int]]:
    @tool
    def entailment(premise: str, hypothesis: str) -> str:
        """What the premise says of the hypothesis."""
        assert premise.startswith("Which?")
        same = CAT not in (premise[7:], hypothesis[7:])
        return "entailment" if same else "contradiction"

    async def body(run: Run) -> Answer:
        kind = judge if judge in ("model", "nli") else "none"
        return await run.vote("Which?", width=width, rule="fixed", question="Which?", judge=kind)  # type: ignore[arg-type]

    answer = (await play(body, engine, tools=[entailment])).result.answer
    assert answer is not None
    return [(cluster.claim, cluster.count) for cluster in answer.clusters]


@pytest.mark.parametrize("bias", [-3.0, 0.0, 3.0])
async def test_the_bias_of_the_judge_does_not_count(bias: float) -> None:
    assert await clusters(a_judge([DOG, HOUND, CAT], bias), "model") == [(DOG, 2), (CAT, 1)]


async def test_entailment_in_both_directions_joins_claims() -> None:
    assert await clusters(a_judge([DOG, HOUND, CAT], 0.0), "nli") == [(DOG, 2), (CAT, 1)]


async def test_without_a_judge_other_words_are_another_claim() -> None:
    assert await clusters(a_judge([DOG, HOUND], 0.0), "none", width=2) == [(DOG, 1), (HOUND, 1)]


async def test_a_judge_that_fails_leaves_claims_apart() -> None:
    spoken = iter([DOG, HOUND])

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if call.role == "judge":
            raise RuntimeError("the judge is ill")
        yield whole(f"The answer is {next(spoken)}.")

    assert len(await clusters(Speaker(speak), "model", width=2)) == 2


async def test_the_calls_of_a_judge_are_nodes_of_the_vote_and_share_their_prefix() -> None:
    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=3, rule="fixed", question="Which?", judge="model")

    played = await play(body, a_judge([DOG, HOUND, CAT], 0.0))
    prompts = [
        event.data["request"]["prompt"]
        for event in played.events
        if event.type is EventType.NODE_ADDED and event.data["label"] == "judge"
    ]
    assert len(prompts) == 2 + 1 + 2  # each pair in both directions, and the bias once
    assert len({prompt[0][1] for prompt in prompts}) == 1
