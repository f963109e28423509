"""A tournament on branches that say what is written for them, word by word."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Budget, Question
from orchestrator.voting.branches import FORCE
from planners.tournament import tournament
from storage.events import EventType
from tests.planners.conftest import Played, play
from tests.planners.revisiting import forked, killed_anywhere
from workers.calls import Call, Chunk, Logprob, Usage
from workers.engine import Capabilities
from workers.engines.simulator.engine import Fault, Simulator
from workers.errors import EngineUnavailable

ABLE = Capabilities("words", assistant_prefill=True, logprobs=True)
UNSURE = replace(ABLE, logprobs=False)


@dataclass(frozen=True)
class Says:
    """A branch: what it claims, after how many words, how sure of each, and what it says when it is asked."""

    claim: str
    words: int = 8
    sure: float = 1.0
    forced: str = ""
    fails: bool = False


@dataclass
class Words(Simulator):
    """Branches of a script, begun in its order; a word is a token, and a copy says what its branch does."""

    script: Sequence[Says] = ()
    calls: list[Call] = field(default_factory=list)
    claims: Capabilities = ABLE
    by_seed: bool = False

    def __init__(self, *script: Says, claims: Capabilities = ABLE, by_seed: bool = False) -> None:
        super().__init__(claims=claims)
        self.script, self.calls, self.by_seed = script, [], by_seed
        self._begun = count()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.calls.append(call)
        said = call.prompt.prefill.removesuffix(FORCE).split()
        number = int(said[0].removeprefix("w")) if said else self._next(call)
        branch = self.script[number]
        if call.prompt.prefill.endswith(FORCE):
            yield self._chunk(f"{branch.forced or branch.claim}}}.", 1, call, branch, whole=True)
            return
        if branch.fails and said:
            raise EngineUnavailable("it is away")
        words = [f"w{number}"] * (branch.words - 1) + [f"\\boxed{{{branch.claim}}}"]
        left = words[len(said) :]
        room = call.sampling.max_tokens
        text = (" " if said else "") + " ".join(left[:room])
        yield self._chunk(text, len(left[:room]), call, branch, whole=len(left) <= room)

    def _next(self, call: Call) -> int:
        if self.by_seed:
            return (call.sampling.seed or 0) % len(self.script)
        return next(self._begun)

    def _chunk(self, text: str, tokens: int, call: Call, branch: Says, *, whole: bool) -> Chunk:
        top = {" a": 0.0, " b": -2 * branch.sure}
        scores = (Logprob("w", -0.1, top),) * tokens if call.sampling.top_logprobs else ()
        return Chunk(
            text,
            tokens,
            logprobs=scores,
            finish_reason="stop" if whole else "length",
            usage=Usage(10, 0, tokens),
        )


async def ask(*script: Says, claims: Capabilities = ABLE, **options: Any) -> Played:
    engine = options.pop("engine", None) or Words(*script, claims=claims)
    asked = {"n": len(script), "segment": 2, "max_tokens": 64, **options}
    return await play(tournament, "How many?", engine, capabilities=claims, **asked)


def seen(played: Played, verdict: str) -> list[Mapping[str, Any]]:
    return [each["saw"] for each in played.decisions("tournament") if each["verdict"] == verdict]


async def test_copies_of_the_surest_take_the_places_of_the_least_sure() -> None:
    script = [Says("7", sure=5), Says("7", sure=4), Says("8", sure=3), Says("9", sure=1)]
    played = await ask(*script, score="confidence")
    copied, cancelled = seen(played, "copy"), seen(played, "cancel")
    assert [each["branches"] for each in cancelled] == [[3], [2], [1]]
    assert [(each["of"], each["as"], each["segments"]) for each in copied] == [
        ([0], [4], 1),
        ([0], [5], 2),
        ([0], [6], 3),
    ]
    assert (played.answer.claim, played.answer.confidence) == ("7", 1.0)
    assert played.answer.basis == "all 4 branches agree"
    assert played.answer.entropy == 0


async def test_a_copy_goes_on_from_the_segments_of_its_branch_with_another_seed() -> None:
    engine = Words(Says("7", sure=5), Says("8", sure=1))
    played = await ask(engine=engine, n=2, score="confidence", copies=1)
    parent, copy = played.requests("branch 0, segment 1")[0], played.requests("branch 2")[0]
    assert copy["prompt"] == parent["prompt"]
    assert copy["prompt"][-1][:2] == ["assistant", "w0 w0"]
    twice = [call for call in engine.calls if call.prompt.prefill == "w0 w0"]
    assert len({call.sampling.seed for call in twice}) == len(twice) == 2
    (of,) = played.nodes(NodeKind.GENERATE, "branch 2")[:1]
    (begun,) = [path for path in played.nodes(NodeKind.GENERATE, "branch 0") if path in played.inputs(of)]
    assert begun == played.nodes(NodeKind.GENERATE, "branch 0")[0]
    assert played.answer.text == "w0 w0 w0 w0 w0 w0 w0 \\boxed{7}"  # what is inherited is part of it


async def test_what_a_copy_inherits_counts_against_its_length() -> None:
    script = [Says("7", words=100, sure=5), Says("8", words=100, sure=1)]
    played = await ask(*script, score="confidence", copies=1, max_tokens=7)
    asked = [each["sampling"]["max_tokens"] for each in played.requests("branch 2")]
    assert asked == [2, 2, 1]
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_those_that_agree_are_copied() -> None:
    script = [Says("7", sure=1), Says("8", sure=9), Says("7", sure=1)]
    played = await ask(*script, score="agreement")
    assert seen(played, "cancel")[0]["branches"] == [1]
    assert seen(played, "copy")[0]["of"] == [0]
    assert played.answer.claim == "7"
    assert played.nodes(NodeKind.GENERATE, "branch 0, probe")
    assert all(not request.get("scored") for request in played.requests("branch"))


async def test_both_is_what_an_engine_with_log_probabilities_does_by_itself() -> None:
    script = [Says("7", sure=4), Says("8", sure=4), Says("7", sure=4)]
    played = await ask(*script)
    assert played.verdicts("tournament")[0] == "both"
    scores = seen(played, "cancel")[0]["scores"]
    assert scores == {
        "0": pytest.approx(0.833333),
        "2": pytest.approx(0.833333),
        "1": pytest.approx(0.666667),
    }


async def test_without_log_probabilities_agreement_alone_is_the_score() -> None:
    played = await ask(Says("7"), Says("8"), Says("7"), claims=UNSURE)
    assert played.decisions("tournament")[0] == {
        "by": "tournament",
        "verdict": "agreement",
        "saw": {"reason": "there are no log-probabilities"},
    }
    assert seen(played, "cancel")[0]["branches"] == [1]
    assert played.answer.claim == "7"


async def test_no_more_copies_are_made_than_are_asked_for() -> None:
    script = [Says("7", words=40, sure=5), Says("8", words=40, sure=1)]
    played = await ask(*script, score="confidence", copies=1)
    assert len(seen(played, "copy")) == 1
    assert {label(played, path) for path in played.nodes(NodeKind.GENERATE)} == {0, 1, 2}


def label(played: Played, path: str) -> int:
    """The number of the branch that a node belongs to."""
    added = next(e for e in played.events if e.type is EventType.NODE_ADDED and e.path == path)
    return int(added.data["label"].removeprefix("branch ").partition(",")[0])


async def test_the_warm_up_is_left_alone() -> None:
    played = await ask(Says("7", sure=5), Says("8", sure=1), score="confidence", warmup=3)
    assert [each["segments"] for each in seen(played, "copy")] == [3]


async def test_what_falls_below_the_floor_is_cancelled_whatever_room_there_is() -> None:
    script = [Says("7", sure=9), Says("7", sure=9), Says("8", sure=0.1), Says("9", sure=0.1)]
    played = await ask(*script, score="confidence", copies=1, floor=0.5)
    assert seen(played, "cancel")[0]["branches"] == [2, 3]
    assert played.answer.claim == "7"


async def test_what_is_cancelled_is_seen_to_be_wasted() -> None:
    played = await ask(Says("7", sure=5), Says("8", sure=1, words=60), score="confidence")
    paths = played.nodes(NodeKind.GENERATE, "branch 1")
    assert played.outcome(paths[-1]) == "cancelled"


async def test_branches_that_fail_are_replaced_by_copies() -> None:
    script = [Says("7", fails=True), Says("7"), Says("7")]
    played = await ask(*script, score="agreement")
    assert played.answer.claim == "7"
    assert seen(played, "copy")


async def test_where_all_fail_on_their_way_it_is_undecided() -> None:
    played = await ask(*[Says("7", fails=True)] * 2, score="agreement")
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided == "no branch came to its end"
    away = Simulator(faults=[Fault(kind="refuse", probability=1.0)], claims=ABLE)
    assert (await ask(engine=away, n=2)).result.outcome is RunOutcome.FAILED


async def test_finished_branches_vote_with_their_scores() -> None:
    script = [Says("7", sure=9), Says("8", sure=2), Says("8", sure=2)]
    played = await ask(*script, score="confidence", warmup=64)
    assert played.answer.claim == "7"
    assert played.answer.doubtful
    assert played.answer.confidence == pytest.approx(1 / 3)
    assert [cluster.claim for cluster in played.answer.clusters] == ["8", "7"]


async def test_branches_that_are_short_are_a_plain_vote() -> None:
    script = [Says("7", words=1), Says("7", words=1), Says("8", words=1)]
    played = await ask(*script)
    assert (played.answer.claim, played.answer.basis) == ("7", "2 of 3 branches agree")
    assert played.verdicts("tournament") == ["both", "continue", "continue", "stop: exhausted"]


async def test_a_split_vote_is_undecided() -> None:
    played = await ask(Says("7", words=1), Says("8", words=1), score="agreement")
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_choices_are_voted_on_by_their_letters() -> None:
    question = Question("Which?", choices=("this", "that"))
    engine = Words(Says("B"), Says("B"))
    played = await play(tournament, question, engine, capabilities=ABLE, n=2, segment=2)
    assert played.answer.claim == "B"


@pytest.mark.parametrize(("calls", "copies", "limit"), [(4, 0, "calls"), (9, 1, None)])
async def test_the_calls_that_are_left_bound_the_copies(calls: int, copies: int, limit: str | None) -> None:
    script = [Says("7", sure=5, words=6), Says("8", sure=1, words=6)]
    played = await ask(*script, score="confidence", budget=Budget(calls=calls))
    assert played.result.limit == limit
    assert played.result.spent.calls <= calls
    assert played.verdicts("tournament").count("copy") == copies


@pytest.mark.parametrize("calls", [1, 2])
async def test_no_more_branches_are_begun_than_there_are_calls(calls: int) -> None:
    script = [Says("7", words=1)] * 3
    played = await ask(*script, score="confidence", budget=Budget(calls=calls))
    assert (played.answer.claim, len(played.requests())) == ("7", calls)


async def test_a_budget_that_ends_it_leaves_the_votes_so_far() -> None:
    script = [Says("7", words=1), Says("8", words=60), Says("8", words=60)]
    played = await ask(*script, budget=Budget(calls=9))
    assert played.result.limit == "calls"
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"


@pytest.mark.parametrize(
    ("claims", "options", "hint"),
    [
        (replace(ABLE, assistant_prefill=False), {}, "cannot continue an answer that it has begun"),
        (UNSURE, {"score": "confidence"}, "needs log-probabilities"),
        (UNSURE, {"score": "both"}, "needs log-probabilities"),
    ],
)
async def test_what_an_engine_cannot_do_is_refused(
    claims: Capabilities, options: dict[str, Any], hint: str
) -> None:
    played = await ask(Says("7"), Says("7"), claims=claims, **options)
    assert played.failure == "invalid_request"
    assert played.result.failure is not None
    assert hint in played.result.failure.message
    assert played.nodes(NodeKind.GENERATE) == []


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"n": 1}, "greater than or equal to 2"),
        ({"temperature": 0}, "greater than 0"),
        ({"floor": 2}, "less than or equal to 1"),
        ({"score": "luck"}, "agreement"),
        ({"copies": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        tournament.validate(options)


SCRIPT = (Says("7", sure=5), Says("8", sure=4), Says("9", sure=1))


async def test_a_tournament_that_was_killed_goes_on() -> None:
    def engine() -> Words:
        return Words(*SCRIPT, by_seed=True)

    asked: dict[str, Any] = {"n": 3, "segment": 2, "score": "confidence"}
    played = await killed_anywhere(tournament, "How many?", engine, **asked)
    assert seen(played, "copy")


async def test_a_fork_shows_what_another_ending_had_changed() -> None:
    asked: dict[str, Any] = {"n": 2, "segment": 2, "score": "agreement", "warmup": 64}
    engine = Words(Says("7", words=1), Says("7", words=1))
    first, fork = await forked(
        tournament, "How many?", engine, at="0.0", change=Change(value="\\boxed{9}"), **asked
    )
    assert first.answer == "7"
    assert fork.outcome == "undecided"
