"""Claims compared by a judge: in both directions, less its bias."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator

import pytest

from orchestrator.judging import NEUTRAL, yes_margin
from orchestrator.run import Run
from orchestrator.values import Answer
from tests.orchestrator.harness import Speaker, play, said, whole
from workers.calls import Call, Chunk, Completion, Logprob, Usage
from workers.engine import Capabilities

WITH_LOGPROBS = Capabilities("speaker", logprobs=True)


def yes(probability: float) -> Chunk:
    token = Logprob(
        "Yes", math.log(probability), {" Yes": math.log(probability), " No": math.log1p(-probability)}
    )
    return Chunk("Yes", 1, logprobs=(token,), finish_reason="length", usage=Usage(1, 0, 1))


def a_vote(answers: list[str], judged: dict[frozenset[str], float], bias: float) -> Speaker:
    """Branches that answer in turn, and a judge that leans to yes by ``bias`` whatever it is asked."""
    spoken = iter(answers)

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if call.role != "judge":
            yield whole(f"The answer is {next(spoken)}.")
            return
        pair = frozenset(line.partition(": ")[2] for line in said(call).splitlines()[-3:-1])
        margin = bias + (0.0 if pair == frozenset(NEUTRAL) else judged[pair])
        yield yes(1 / (1 + math.exp(-margin)))

    return Speaker(speak)


@pytest.mark.parametrize("bias", [-3.0, 0.0, 3.0])
async def test_the_bias_of_the_judge_does_not_count(bias: float) -> None:
    judged = {
        frozenset({"a small dog", "a little hound"}): 1.0,
        frozenset({"a small dog", "a big cat"}): -1.0,
        frozenset({"a little hound", "a big cat"}): -1.0,
    }
    engine = a_vote(["a small dog", "a little hound", "a big cat"], judged, bias)

    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=3, rule="fixed", question="Which?", judge="model")

    answer = (await play(body, engine, capabilities=WITH_LOGPROBS)).result.answer
    assert answer is not None
    assert [(cluster.claim, cluster.count) for cluster in answer.clusters] == [
        ("a small dog", 2),
        ("a big cat", 1),
    ]


async def test_without_a_judge_other_words_are_another_claim() -> None:
    engine = a_vote(["a small dog", "a little hound"], {}, 0.0)

    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=2, rule="fixed")

    answer = (await play(body, engine, capabilities=WITH_LOGPROBS)).result.answer
    assert answer is not None
    assert len(answer.clusters) == 2


async def test_a_judge_that_fails_leaves_claims_apart() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if call.role == "judge":
            raise RuntimeError("the judge is ill")
        yield whole(f"The answer is {'a small dog' if call.sampling.seed == 1 else 'a little hound'}.")

    async def body(run: Run) -> Answer:
        run.propose(lambda: Answer("none"))
        return await run.vote("Which?", width=2, rule="fixed", judge="model")

    assert (await play(body, Speaker(speak), capabilities=WITH_LOGPROBS)).result.answer is not None


def test_the_margin_comes_from_every_spelling_and_falls_back_to_the_text() -> None:
    top = {" Yes": math.log(0.3), "yes": math.log(0.3), " No": math.log(0.2), "Perhaps": math.log(0.1)}
    completion = Completion("Yes", "length", logprobs=(Logprob(" Yes", math.log(0.3), top),))
    assert yes_margin(completion) == pytest.approx(math.log(0.6) - math.log(0.2))
    never_no = Completion("Yes", "length", logprobs=(Logprob("Yes", 0.0, {"Yes": 0.0, "Maybe": -9.0}),))
    assert yes_margin(never_no) == 9.0
    assert yes_margin(Completion(" yes", "stop")) == 1.0
    assert yes_margin(Completion("I think no", "stop")) == -1.0
