"""Claims compared by a judge: in both directions, less its bias, as nodes of the vote."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncGenerator

import pytest

from orchestrator.consensus.equivalence import Pair
from orchestrator.consensus.judgement import MARGIN, NEUTRAL_PAIR, judge_prompt, log_odds
from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer
from orchestrator.voting.judging import Judge, Judging, check_judges
from storage.events import Event, EventType
from tests.orchestrator.runtime.harness import Played, Speaker, play, said, whole
from tests.real_model import SMALL
from workers.calls import Call, Chunk, Logprob, Usage
from workers.engine import Capabilities
from workers.engines.llama.engine import LlamaCppEngine
from workers.tools.declaration import tool

SCORING = Capabilities("speaker", assistant_prefill=True, logprobs=True)

DOG, HOUND, CAT = "a small dog", "a little hound", "a big cat"
SAME, DIFFERENT = 5.0, -5.0
JUDGED = {
    frozenset({DOG, HOUND}): SAME,
    frozenset({DOG, CAT}): DIFFERENT,
    frozenset({HOUND, CAT}): DIFFERENT,
    frozenset(NEUTRAL_PAIR): DIFFERENT,
}


def added(played: Played, label: str) -> list[Event]:
    """The nodes of this label."""
    return [
        event
        for event in played.events
        if event.type is EventType.NODE_ADDED and event.data["label"] == label
    ]


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


async def clusters(engine: Speaker, judge: Judge, *, width: int = 3) -> list[tuple[str, int]]:
    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=width, rule="fixed", question="Which?", judge=judge)

    answer = (await play(body, engine, capabilities=SCORING)).result.answer
    assert answer is not None
    return [(cluster.claim, cluster.count) for cluster in answer.clusters]


@pytest.mark.parametrize("bias", [-1.0, 0.0, 3.0, 12.0])
async def test_a_judge_that_leans_to_yes_joins_no_more(bias: float) -> None:
    assert await clusters(a_judge([DOG, HOUND, CAT], bias), "model") == [(DOG, 2), (CAT, 1)]


async def test_a_judge_that_is_not_sure_leaves_claims_apart() -> None:
    assert await clusters(a_judge([DOG, HOUND], -3.0), "model", width=2) == [(DOG, 1), (HOUND, 1)]


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

    played = await play(body, a_judge([DOG, HOUND, CAT], 0.0), capabilities=SCORING)
    prompts = [event.data["request"]["prompt"] for event in added(played, "judge")]
    assert len(prompts) == 2 + 1 + 1  # both directions where the first one passes, and the bias once
    assert len({json.dumps(prompt[:-1]) for prompt in prompts}) == 1


# What an entailment model can say in each direction, and whether the two claims then mean the same.
RECORDED = [
    ("entailment", "entailment", True),
    ("entailment", "neutral", False),
    ("neutral", "entailment", False),
    ("neutral", "neutral", False),
    ("entailment", "contradiction", False),
    ("contradiction", "entailment", False),
    ("contradiction", "contradiction", False),
    ("no such verdict", "entailment", False),
]


@pytest.mark.parametrize(("forward", "backward", "same"), RECORDED)
async def test_claims_mean_the_same_if_each_entails_the_other(
    forward: str, backward: str, same: bool
) -> None:
    said = {("Why? due to gravity", "Why? because of gravity"): backward}

    @tool
    def entailment(premise: str, hypothesis: str) -> str:
        """What the premise says of the hypothesis, as it was recorded."""
        return said.get((premise, hypothesis), forward)

    pair = Pair.of("because of gravity", "due to gravity", "semantic")

    async def body(run: Run) -> Answer:
        verdicts = await Judging(run, "Why?", "nli").verdicts([pair])
        return Answer(str(verdicts[pair]))

    played = await play(body, tools=[entailment])
    assert played.result.answer == Answer(str(same))
    assert len(added(played, "entailment")) == (2 if forward == "entailment" else 1)


async def test_an_entailment_model_is_offered_to_no_planner() -> None:
    @tool
    def entailment(premise: str, hypothesis: str) -> str:
        """What the premise says of the hypothesis."""
        return "neutral"

    async def body(run: Run) -> Answer:
        return Answer(f"{run.entails} {list(run.tools)}")

    played = await play(body, tools=[entailment, run_python])
    assert played.result.answer == Answer("True ['run_python']")
    assert (await play(body)).result.answer == Answer("False []")


async def test_an_entailment_model_that_fails_leaves_claims_apart() -> None:
    @tool
    def entailment(premise: str, hypothesis: str) -> str:
        """Fail."""
        raise RuntimeError("out of memory")

    pair = Pair.of("a", "b", "semantic")

    async def body(run: Run) -> Answer:
        return Answer(str((await Judging(run, "", "nli").verdicts([pair]))[pair]))

    assert (await play(body, tools=[entailment])).result.answer == Answer("False")


@pytest.mark.parametrize(
    ("meanings", "compared", "calls", "most_at_once"),
    [
        (1, 63, 2 * 63, 1),
        (2, 94, 31 * (2 + 3) + 1, 1),
        (3, 144, 20 * (2 + 4 + 4) + 2 + 3, 2),
        (4, 171, 15 * (2 + 4 + 4 + 5) + 6, 2),
        (8, 329, 7 * (2 + 4 + 4 + 4 * 8 + 9) + 28, 4),
    ],
)
async def test_pairs_are_compared_less_often_than_branches_times_clusters(
    meanings: int, compared: int, calls: int, most_at_once: int
) -> None:
    """64 branches, no two with the same words, and meanings that are equally frequent: nothing is cheaper."""
    running, together = 0, 0

    @tool
    async def entailment(premise: str, hypothesis: str) -> str:
        """Whether the last words are the same."""
        nonlocal running, together
        running += 1
        together = max(together, running)
        await asyncio.sleep(0)
        running -= 1
        return "entailment" if premise.split()[-1] == hypothesis.split()[-1] else "neutral"

    words = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple"]
    spoken = iter([f"tree {chr(97 + at // 8)}{chr(97 + at % 8)} {words[at % meanings]}" for at in range(64)])

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield whole(f"The answer is {next(spoken)}.")

    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=64, rule="fixed", judge="nli")

    played = await play(body, Speaker(speak), tools=[entailment])
    assert played.result.answer is not None
    counts = [cluster.count for cluster in played.result.answer.clusters]
    assert sum(counts) == 64
    assert max(counts) - min(counts) <= 1
    asked = [event.data["request"]["arguments"] for event in added(played, "entailment")]
    pairs = {frozenset({each["premise"], each["hypothesis"]}) for each in asked}
    assert len(pairs) == compared < 64 * meanings
    assert len(asked) == calls  # a pair that is joined takes both directions
    assert (calls < 64 * meanings) == (meanings >= 4)
    assert together == most_at_once


@pytest.mark.parametrize(
    ("judge", "outputs", "verifier", "reason"),
    [
        ("nli", None, None, r"pip install 'anabranch\[nli\]'"),
        (
            "model",
            None,
            None,
            "judge model needs log-probabilities, which the engine of simulator does not give",
        ),
        ("none", None, "solves", "verified by the tool 'solves'.*only none at all"),
        ("none", "run_python", None, "programs are to be run by the tool 'run_python'.*only none at all"),
    ],
)
async def test_a_judge_that_is_not_there_is_refused(
    judge: Judge, outputs: str | None, verifier: str | None, reason: str
) -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(InvalidRequest, match=reason):
            check_judges(run, judge, outputs, verifier)
        return Answer("refused")

    assert (await play(body)).result.answer == Answer("refused")


async def test_a_vote_without_its_judge_fails_with_the_reason() -> None:
    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=2, rule="fixed", judge="nli")

    assert (await play(body)).failure.startswith("invalid_request: judge nli needs an entailment model")


@pytest.mark.engine
@pytest.mark.timeout(600)
async def test_a_real_model_leans_to_yes_or_to_no() -> None:
    async def body(run: Run) -> Answer:
        prompt = judge_prompt("What did she ride?", *NEUTRAL_PAIR)
        completion = await run.generate(prompt, temperature=0.0, max_tokens=1, top_logprobs=20)
        first = completion.logprobs[0]
        return Answer(str(log_odds({first.token: first.logprob, **first.top})))

    engine = LlamaCppEngine(SMALL, slots=1, context=1024, threads=1)
    try:
        answer = (await play(body, engine, capabilities=await engine.capabilities())).result.answer
    finally:
        await engine.close()
    assert answer is not None
    assert -30.0 < float(answer.text) < MARGIN


# -- programs -------------------------------------------------------------------------------------

HARNESS = """
import json, sys
names = {}
exec(sys.stdin.read(), names)
json.dump([names["median"](values) for values in json.loads(sys.argv[1])], sys.stdout)
"""
INPUTS = [[3], [1, 2], [5, 1, 4], [2, 2, 9, 1]]

SORTS = "def median(v):\n    v = sorted(v)\n    n = len(v)\n    return (v[(n - 1) // 2] + v[n // 2]) / 2\n"
LIBRARY = "from statistics import median\n"
MEAN = "def median(v):\n    return sum(v) / len(v)\n"
RAISES = "def median(v):\n    return v[len(v)]\n"
HANGS = "def median(v):\n    while True:\n        pass\n"
BROKEN = "def median(v:\n"


@tool
async def run_python(code: str) -> object:
    """Run a program in a process of its own and return its outputs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", HARNESS, json.dumps(INPUTS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(2.0 if "while True" in code else 30.0):
            printed, _ = await process.communicate(code.encode())
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the program ended with {process.returncode}")
    return json.loads(printed)


async def test_programs_are_the_same_if_their_outputs_are() -> None:
    programs = [SORTS, RAISES, LIBRARY, MEAN, HANGS, BROKEN, SORTS + "# as above\n", RAISES]
    written = iter(programs)

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield whole(f"Here it is:\n```python\n{next(written)}```\n")

    async def body(run: Run) -> Answer:
        return await run.vote("The median?", width=len(programs), rule="fixed", outputs=run_python)

    played = await play(body, Speaker(speak))
    answer = played.result.answer
    assert answer is not None
    assert sorted(cluster.count for cluster in answer.clusters) == [1, 3]
    assert answer.confidence == 3 / 8  # those that failed agree with nobody
    assert answer.clusters[0].claim in (SORTS.strip(), LIBRARY.strip(), f"{SORTS}# as above")
    assert len(added(played, "run_python")) == len(programs)
