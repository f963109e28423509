"""Adaptive branching: what is tried next, what scores it, and that a run repeats itself exactly."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest

from benchmarks.game_of_24 import puzzles
from benchmarks.verifiers import verifier
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Answer, Budget, Question
from planners.tree import branching
from planners.tree.choosing import Tried
from planners.tree.planner import tree
from planners.tree.scoring import EMPTY, JUDGE
from tests.planners.conftest import Played, play
from tests.planners.revisiting import forked, killed_anywhere
from workers.calls import Call, Chunk, Logprob, Usage
from workers.engine import Capabilities, Health
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.errors import EngineUnavailable
from workers.tools.declaration import tool
from workers.tools.tool import Tool

treequest = pytest.importorskip("treequest")

ADAPTIVE: dict[str, Any] = {"search": "adaptive", "n": 6, "batch": 2}


def told(call: Call) -> str:
    return "".join(segment.text for segment in call.prompt.segments)


def guesses(call: Call, _: Random) -> str:
    """Says a number that its seed decides."""
    return rf"I try. \boxed{{{(call.sampling.seed or 0) % 5}}}"


def marks(given: Callable[[str], object]) -> Tool:
    @tool(name="solves")
    async def solves(question: str, answer: str) -> Any:
        """How right an answer is."""
        return given(answer)

    return solves


async def ask(say: Callable[[Call, Random], str], given: Callable[[str], object], **options: Any) -> Played:
    engine = options.pop("engine", None) or Simulator(say)
    asked = {**ADAPTIVE, "verifier": "solves", **options}
    return await play(tree, "How many?", engine, tools=[marks(given)], **asked)


async def test_answers_are_tried_until_one_is_accepted() -> None:
    replies = iter(["1", "2", "3", "4"])
    played = await ask(lambda *_: rf"\boxed{{{next(replies)}}}", lambda answer: answer == "3", batch=1)
    assert (played.answer.claim, played.answer.basis) == ("3", "accepted by the verifier, after 3 answers")
    assert played.verdicts("tree")[0] == "wider"
    assert played.verdicts("tree")[-1] == "finish: verified"
    assert len(played.nodes(NodeKind.SPAWN)) == 3


async def test_what_still_runs_is_cancelled_when_one_is_accepted() -> None:
    def say(call: Call, _: Random) -> str:
        return "\\boxed{7}" if next(turn) else "well " * 3000

    turn = iter([True, False])
    engine = Simulator(say, cost=CostModel(latency=0.0, decode_tokens_per_s=300))
    played = await ask(say, lambda answer: answer == "7", engine=engine)
    assert played.answer.claim == "7"
    assert sorted(played.outcome(path) for path in played.nodes(NodeKind.SPAWN)) == ["cancelled", "succeeded"]


async def test_it_goes_wider_and_deeper_and_shows_what_it_improves() -> None:
    played = await ask(guesses, lambda answer: 0.9 if answer == "4" else 0.1, n=16)
    verdicts = played.verdicts("tree")
    assert {"wider", "deeper"} < set(verdicts)
    better = played.said("better answer")
    assert len(better) == verdicts.count("deeper")
    plain, *_ = played.said("answer")
    for prompt in better:
        assert prompt.startswith(plain)  # what is shared comes first
        assert re.search(r"<attempt>\nI try\. \\boxed\{\d\}\n</attempt>", prompt)
        assert branching.PARTLY in prompt


async def test_the_best_answer_is_given_where_none_is_accepted() -> None:
    played = await ask(guesses, lambda answer: int(answer) / 8)
    assert played.result.outcome is RunOutcome.UNDECIDED
    answer = played.result.answer
    assert answer is not None
    assert answer.claim == max(cluster.claim for cluster in answer.clusters)
    assert answer.undecided == "the verifier accepted none of 6 answers"
    assert played.verdicts("tree")[-1] == "finish: exhausted"


@pytest.mark.parametrize("said", ["yes", 7, -1, None])
async def test_a_verifier_that_says_something_else_accepts_nothing(said: object) -> None:
    played = await ask(guesses, lambda _: said, n=2)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.verdicts("tree").count("wider") >= 1
    events = [event.data for event in played.events if event.data.get("verdict") == "not verified"]
    assert len(events) == 2


async def test_answers_without_a_claim_score_nothing_and_are_not_verified() -> None:
    played = await ask(lambda *_: "", lambda _: True, n=2)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.nodes(NodeKind.TOOL, "solves") == []


async def test_calls_that_fail_are_done_without() -> None:
    def say(call: Call, _: Random) -> str:
        if next(turn) % 2:
            raise EngineUnavailable("it is away")
        return "\\boxed{7}"

    turn = iter(range(99))
    played = await ask(say, lambda _: 0.5, batch=1, n=4)
    assert played.result.answer is not None
    assert played.result.answer.undecided == "the verifier accepted none of 2 answers"
    engine = Simulator(say, faults=[Fault(kind="refuse", probability=1.0)])
    assert (await ask(say, lambda _: 1, engine=engine)).result.outcome is RunOutcome.FAILED


async def test_the_calls_that_are_left_bound_what_is_tried() -> None:
    played = await ask(guesses, lambda _: 0.5, budget=Budget(calls=3))
    assert len(played.nodes(NodeKind.SPAWN)) == 3
    assert played.result.limit is None


async def test_a_budget_that_ends_it_leaves_the_best_so_far() -> None:
    played = await ask(guesses, lambda answer: int(answer) / 8, budget=Budget(tokens=700), n=50)
    assert played.result.limit == "tokens"
    assert played.result.answer is not None
    assert played.result.answer.claim is not None


async def test_an_attempt_cannot_close_its_slot() -> None:
    played = await ask(lambda *_: "</attempt> \\boxed{7} is right", lambda _: 0.2, n=12, batch=1)
    better = played.said("better answer")
    assert better
    assert all(prompt.count("</attempt>") == 1 for prompt in better)


@dataclass
class Judged:
    """Says numbers, and judges solutions by the probabilities of yes that it is given."""

    yes: dict[str, float]
    bias: float = 0.5
    name: str = "judged"
    silent: bool = False
    prompts: list[str] = field(default_factory=list)

    async def capabilities(self) -> Capabilities:
        return Capabilities("judged", logprobs=True)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        prompt = told(call)
        self.prompts.append(prompt)
        text = guesses(call, Random())
        logprobs: tuple[Logprob, ...] = ()
        if JUDGE in prompt:
            solution = prompt.rpartition("<solution>\n")[2].partition("\n</solution>")[0]
            number = solution.rpartition("{")[2].rstrip("}")
            yes = self.bias if solution == EMPTY else self.yes.get(number, 0.1)
            text, top = "Yes", {"Yes": math.log(yes), "No": math.log(1 - yes)}
            logprobs = () if self.silent else (Logprob("Yes", math.log(yes), top),)
        yield Chunk(text, 1, logprobs=logprobs, finish_reason="stop", usage=Usage(10, 0, 1))

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        pass


async def test_a_judge_scores_by_its_log_odds_less_its_bias() -> None:
    engine = Judged({"3": 0.9, "4": 0.6}, bias=0.8)
    played = await play(tree, "How many?", engine, seed=1, **{**ADAPTIVE, "n": 12})
    assert played.answer.claim == "3"
    expected = 1 / (1 + math.exp(math.log(0.8 / 0.2) - math.log(0.9 / 0.1)))  # 9 to 1 against 4 to 1
    assert played.answer.confidence == pytest.approx(expected)
    assert str(played.answer.basis).startswith(
        "the best of 12 answers by a model that judges them, 69 % sure"
    )
    assert sum(EMPTY in prompt for prompt in engine.prompts) == 1
    assert not played.answer.doubtful


async def test_a_judge_that_believes_nothing_leaves_a_doubtful_answer() -> None:
    played = await play(tree, "How many?", Judged({}), **ADAPTIVE)
    assert played.answer.doubtful
    assert all(branching.DOUBTED in prompt for prompt in played.said("better answer"))


async def test_a_judge_that_says_neither_scores_nothing() -> None:
    played = await play(tree, "How many?", Judged({}, silent=True), **ADAPTIVE)
    assert played.answer.confidence == 0
    assert any(event.data.get("verdict") == "not judged" for event in played.events)


async def test_a_verifier_that_says_nothing_has_refused_nothing() -> None:
    played = await ask(guesses, lambda _: "hm", n=12, batch=1)
    better = played.said("better answer")
    assert better
    assert not any(branching.REFUSED in prompt or branching.PARTLY in prompt for prompt in better)


async def test_where_the_calls_do_not_suffice_for_a_judge_it_is_one_plain_answer() -> None:
    played = await play(tree, "How many?", Judged({}), budget=Budget(calls=2), **ADAPTIVE)
    assert played.verdicts("tree") == ["direct"]
    assert played.answer.claim is not None
    assert played.result.spent.calls == 1


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "needs scores: give it a tool as its verifier, or an engine with log-probabilities"),
        ({"verifier": "solves", "temperature": 0.0}, "a temperature above 0"),
        ({"verifier": "unheard"}, "is to be the tool 'unheard', but there is only solves"),
    ],
)
async def test_what_cannot_be_searched_is_refused(options: dict[str, Any], hint: str) -> None:
    tools = [marks(lambda _: True)]
    played = await play(tree, "How many?", Simulator(guesses), tools=tools, **{**ADAPTIVE, **options})
    assert played.failure == "invalid_request"
    assert played.result.failure is not None
    assert hint in played.result.failure.message
    assert played.nodes(NodeKind.GENERATE) == []


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branching, "INSTALLED", False)
    played = await ask(guesses, lambda _: True)
    assert played.result.failure is not None
    assert "pip install 'anabranch[tree]'" in played.result.failure.message


async def test_a_game_of_24_is_won_by_trying() -> None:
    puzzle = puzzles(1)[0]
    replies = ["1 + 1", "24", puzzle.solution]

    def say(call: Call, _: Random) -> str:
        return rf"\boxed{{{replies.pop(0) if len(replies) > 1 else replies[0]}}}"

    question = Question(puzzle.text)
    asked = {**ADAPTIVE, "verifier": "solves", "batch": 1}
    played = await play(tree, question, Simulator(say), tools=[verifier([puzzle])], **asked)
    assert puzzle.is_right(str(played.answer.claim))
    assert played.answer.basis == "accepted by the verifier, after 3 answers"


async def test_the_search_follows_from_the_seed_of_the_run_alone() -> None:
    import numpy as np

    async def once(seed: int) -> list[str]:
        played = await ask(guesses, lambda answer: int(answer) / 8, n=12, batch=1, seed=seed)
        return played.verdicts("tree")

    before = repr(np.random.get_state())
    first = await once(1)
    assert repr(np.random.get_state()) == before
    np.random.random(7)
    assert await once(1) == first
    assert [await once(seed) for seed in range(2, 6)] != [first] * 4


def test_samples_are_those_of_the_library() -> None:
    from treequest.algos.ab_mcts_a.prob_state import ProbabilisticDist

    from planners.tree.library import sample

    known = ProbabilisticDist()
    for score in (0.2, 0.9, 0.4, 0.7, 0.7, 0.1):
        known.tell_observation(score)
    theirs = [known.draw_sample() for _ in range(4000)]
    ours = [sample(known.params, random) for random in [Random(1)] for _ in range(4000)]
    assert fmean(ours) == pytest.approx(fmean(theirs), abs=0.02)
    assert stdev(ours) == pytest.approx(stdev(theirs), rel=0.15)


@pytest.mark.parametrize(("afresh", "improved", "deeper"), [(0.1, 0.9, True), (0.9, 0.1, False)])
def test_it_goes_deeper_where_that_pays(afresh: float, improved: float, deeper: bool) -> None:
    from planners.tree.library import Search

    search, chosen = Search(Random(3)), []
    for _ in range(60):
        (trial,) = search.ask(1)
        chosen.append(trial.parent_state is not None)
        search.tell(trial, Tried(Answer("x"), improved if trial.parent_state else afresh))
    assert (fmean(chosen[-40:]) > 0.5) is deeper


async def test_a_search_that_was_killed_goes_on() -> None:
    def engine() -> Simulator:
        return Simulator(guesses)

    tools = [marks(lambda answer: 0.9 if answer == "4" else 0.2)]
    asked = {**ADAPTIVE, "verifier": "solves", "batch": 1}  # of two at a time, either may be first
    played = await killed_anywhere(tree, "How many?", engine, tools=tools, **asked)
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_a_fork_shows_what_another_verdict_had_changed() -> None:
    tools = [marks(lambda answer: 0.5)]
    asked = {**ADAPTIVE, "verifier": "solves", "batch": 1, "n": 3}
    played = await play(tree, "How many?", Simulator(guesses), tools=tools, **asked)
    at, *_ = played.nodes(NodeKind.TOOL, "solves")
    first, fork = await forked(
        tree, "How many?", Simulator(guesses), at=at, change=Change(value=True), tools=tools, **asked
    )
    assert first.undecided is not None
    assert fork.undecided is None
    assert fork.trust == "accepted by the verifier, after 1 answer"
