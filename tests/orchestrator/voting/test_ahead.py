"""What comes after a vote, begun before the vote has ended.

Branches say what a script says by the path of their node, each after so many seconds, so that a run that goes
on after a kill is told the same.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence
from random import Random
from typing import Any

import pytest

from orchestrator.errors import PlannerError
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.beginning import NO_ROOM
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.messages import user
from orchestrator.runtime.nodes import Cancelled, Failed
from orchestrator.runtime.values import Answer, Budget, Question
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.voting.ahead import Firm
from orchestrator.voting.ballot import Turn
from storage.events import EventType
from storage.opening import open_store
from storage.trace import Trace
from tests.orchestrator.runtime.harness import (
    Body,
    Played,
    Speaker,
    environment,
    play,
    replay,
    resume,
    said,
)
from tests.storage.journals import TASK
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Usage
from workers.engines.simulator.engine import Simulator
from workers.errors import EngineUnavailable
from workers.tools.declaration import tool

Branches = Sequence[tuple[float, str]]
"""For each branch of the vote, when it has finished and what it claims; empty: nothing."""

TOKENS = 10
"""Of each completion, whatever its text; a successor streams them evenly over its time."""

CONFIRMED: Branches = [(1, "7"), (2, "7"), (3, "7"), (4, "8"), (10, "7")]
TURNED: Branches = [(1, "7"), (2, "7"), (3, "8"), (4, "8"), (5, "8"), (6, "8"), (20, "9")]
TURNED_TWICE: Branches = [*TURNED[:6], (7, "7"), (8, "7"), (9, "7"), (10, "7"), (20, "9")]


class Script(Speaker):
    """An engine for a vote at path 0 with such ``branches``, and successors that take ``seconds``.

    ``broken`` are the claims whose successor fails.
    """

    def __init__(self, branches: Branches, seconds: float = 5.5, broken: Sequence[str] = ()) -> None:
        super().__init__(self.speak)
        self._branches = {
            zlib.crc32(f"0:0.{index}".encode()) & 0x7FFFFFFF: each for index, each in enumerate(branches)
        }
        self._seconds = seconds
        self._broken = broken
        self._began: float | None = None
        self.asked: list[tuple[float, str]] = []
        """When successors were asked, in seconds since the first call, and what."""

    async def speak(self, call: Call) -> AsyncGenerator[Chunk, None]:
        prompt, now = said(call), asyncio.get_running_loop().time()
        self._began = now if self._began is None else self._began
        if prompt == "Vote":
            seconds, claim = self._branches[call.sampling.seed or 0]
            await asyncio.sleep(seconds)
            text = rf"So \boxed{{{claim}}}." if claim else "I cannot say."
            yield Chunk(text, TOKENS, finish_reason="stop", usage=Usage(1, 0, TOKENS))
            return
        self.asked.append((round(now - self._began, 3), prompt))
        for _ in range(TOKENS - 1):
            await asyncio.sleep(self._seconds / TOKENS)
            yield Chunk("-", 1)
        await asyncio.sleep(self._seconds / TOKENS)
        if any(f"after {claim}" in prompt for claim in self._broken):
            raise EngineUnavailable("it broke")
        yield Chunk(f" {prompt}", 1, finish_reason="stop", usage=Usage(1, 0, TOKENS))


async def after(run: Run, answer: Answer) -> str:
    """A successor of one call."""
    return (await run.generate(f"after {answer.claim}", max_tokens=TOKENS)).text.lstrip("- ")


def body_of(branches: Branches, function: Any = after, rule: str = "fixed", **options: Any) -> Body:
    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule=rule, width=len(branches))
        return Answer(await run.ahead(vote, function, **options))

    return body


def verdicts(played: Played) -> list[tuple[str, str | None, int]]:
    """What was decided about running ahead: the verdict, the claim, and the tokens that were for nothing."""
    return [
        (event.data["verdict"], event.data["saw"]["claim"], event.data["saw"]["wasted_tokens"])
        for event in played.events
        if event.type is EventType.DECISION and event.data["by"] == "ahead"
    ]


def trace_of(played: Played) -> Trace:
    return Trace.of(TASK, played.events)


async def timed(branches: Branches, *, script: Script | None = None, **options: Any) -> tuple[Played, float]:
    """Play, and say how many seconds the run took on the clock of the loop."""
    engine = script or Script(branches)
    clock = asyncio.get_running_loop().time
    began, ended = clock(), [0.0]
    body = body_of(branches, **options)

    async def watched(run: Run) -> Answer:
        answer = await body(run)
        ended[0] = ended[0] or clock() - began
        return answer

    return await play(watched, engine), ended[0]


# -- the vote ends as it stood, or otherwise --------------------------------------------------------


@virtual_time
async def test_a_leader_that_stays_ahead_is_used_with_nothing_redone() -> None:
    played, seconds = await timed(CONFIRMED)
    assert played.answer == "after 7"
    assert seconds == pytest.approx(10)  # 15.5 without; it had finished at 7.5
    assert verdicts(played) == [("begin", "7", 0), ("confirmed", "7", 0)]
    assert played.result.spent.calls == 6
    assert played.result.spent.cancelled_tokens == 0
    assert trace_of(played).usage()["wasted_tokens"] == 0


@virtual_time
async def test_a_successor_may_take_longer_than_the_vote() -> None:
    played, seconds = await timed(CONFIRMED, script=Script(CONFIRMED, seconds=30))
    assert seconds == pytest.approx(32)
    assert verdicts(played)[-1] == ("confirmed", "7", 0)


@virtual_time
async def test_a_vote_that_turns_has_it_cancelled_and_begun_anew() -> None:
    script = Script(TURNED)
    played, seconds = await timed(TURNED, script=script)
    assert played.answer == "after 8"
    assert seconds == pytest.approx(20)
    # 8 leads from second 5 on, when 5 of 10 tokens had come, and is firm from second 6 on
    assert script.asked == [(2, "after 7"), (6, "after 8")]
    assert verdicts(played) == [
        ("begin", "7", 0),
        ("turned", "8", 5),
        ("begin", "8", 5),
        ("confirmed", "8", 5),
    ]
    assert played.result.spent.cancelled_tokens == 5
    assert trace_of(played).usage()["wasted_tokens"] == 5


@virtual_time
async def test_calls_that_had_ended_are_for_nothing_too_if_the_vote_turns() -> None:
    played, _ = await timed(TURNED, script=Script(TURNED, seconds=1))
    assert verdicts(played)[1] == ("turned", "8", TOKENS)
    assert played.result.spent.cancelled_tokens == TOKENS
    assert trace_of(played).usage()["wasted_tokens"] == TOKENS


@virtual_time
async def test_it_begins_anew_no_more_often_than_it_may() -> None:
    script = Script(TURNED_TWICE)
    played, seconds = await timed(TURNED_TWICE, script=script)
    assert played.answer == "after 7"
    assert [prompt for _, prompt in script.asked] == ["after 7", "after 8", "after 7"]
    assert script.asked[-1][0] == pytest.approx(seconds - 5.5) == 20  # only once the vote had ended
    assert [verdict for verdict, *_ in verdicts(played)] == ["begin", "turned", "begin", "turned", "redo"]

    script = Script(TURNED_TWICE)
    played, seconds = await timed(TURNED_TWICE, script=script, restarts=2)
    assert seconds == pytest.approx(20)
    assert [verdict for verdict, *_ in verdicts(played)][-2:] == ["begin", "confirmed"]

    script = Script(TURNED)
    played, _ = await timed(TURNED, script=script, restarts=0)
    assert script.asked == [(2, "after 7"), (20, "after 8")]


@virtual_time
async def test_a_node_that_shows_no_leader_has_successors_all_the_same() -> None:
    async def answers(run: Run) -> Answer:
        await run.generate("wait")
        return Answer("8", "8")

    async def body(run: Run) -> Answer:
        return Answer(await run.ahead(run.spawn(answers), after))

    played = await play(body, Script([]))
    assert played.answer == "after 8"
    assert verdicts(played) == [("no leader was firm", "8", 0)]


@virtual_time
async def test_the_last_branch_may_turn_the_vote() -> None:
    branches = [(1.0, "7"), (2.0, "7"), (3.0, "8"), (4.0, "8"), (9.0, "8")]
    script = Script(branches)
    played, seconds = await timed(branches, script=script)
    assert played.answer == "after 8"
    assert seconds == pytest.approx(14.5)
    assert verdicts(played) == [("begin", "7", 0), ("redo", "8", 10)]


@virtual_time
async def test_without_a_firm_leader_it_begins_when_the_vote_ends() -> None:
    branches = [(1.0, "7"), (2.0, "8"), (3.0, "7"), (4.0, "9")]
    script = Script(branches)
    played, _ = await timed(branches, script=script)
    assert script.asked == [(4, "after 7")]
    assert verdicts(played) == [("no leader was firm", "7", 0)]

    script = Script(branches)
    await timed(branches, script=script, firm=Firm(votes=2, lead=1))
    assert script.asked == [(3, "after 7")]


@virtual_time
@pytest.mark.parametrize(
    ("weights", "begun"),
    [
        ((1, 1, 1), []),
        ((1.4, 0.7, 0.9), [("7", 2.3, 0.7)]),
        ((1.2, 0.9, 0.9), []),
    ],
)
async def test_how_firm_a_leader_is_goes_by_votes_of_any_weight(
    weights: Sequence[float], begun: list[Any]
) -> None:
    branches = [(1.0, "7"), (2.0, "8"), (3.0, "7"), (9.0, "7")]
    turns = [Turn([user("Vote")], str(at), weight=weight) for at, weight in enumerate(weights)]

    async def body(run: Run) -> Answer:
        vote = run.vote(turns[0], turns=turns[1:], rule="fixed", width=4)
        return Answer(await run.ahead(vote, after, firm=Firm(votes=1.5, lead=1.5)))

    played = await play(body, Script(branches))
    saw = [e.data["saw"] for e in played.events if e.data.get("verdict") == "begin"]
    assert [(each["claim"], each["votes"], each["next"]) for each in saw] == begun


@virtual_time
async def test_an_undecided_vote_is_told_to_its_successor() -> None:
    async def successor(run: Run, answer: Answer) -> str:
        return (await after(run, answer)) if answer.undecided is None else f"undecided: {answer.undecided}"

    branches = [(1.0, "7"), (2.0, "7"), (3.0, ""), (4.0, ""), (5.0, "")]
    played, _ = await timed(branches, function=successor)
    assert played.answer.startswith("undecided: 3 of 5 branches gave no answer")
    assert [verdict for verdict, *_ in verdicts(played)] == ["begin", "redo"]
    # It was undecided before its end, and then decided again: what is undecided is not gone on with.
    branches = [(1.0, ""), (2.0, "7"), (3.0, ""), (4.0, ""), (5.0, "7"), (6.0, "7"), (7.0, "7")]
    script = Script(branches)
    await timed(branches, script=script)
    assert [at for at, _ in script.asked] == [6]


@virtual_time
async def test_a_successor_that_fails_ahead_is_run_again() -> None:
    script = Script(CONFIRMED, broken=["7"])
    branches = CONFIRMED

    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=len(branches))
        outcome = await run.ahead(vote, after).settled()
        assert isinstance(outcome, Failed)
        return Answer(outcome.failure.code)

    played = await play(body, script)
    assert played.answer == "engine_unavailable"
    assert [at for at, _ in script.asked] == [2, 10]
    assert verdicts(played) == [("begin", "7", 0), ("redo", "7", TOKENS - 1)]
    assert trace_of(played).usage()["wasted_tokens"] == TOKENS - 1  # the second one failed by itself


@virtual_time
async def test_a_successor_that_fails_after_the_vote_has_failed() -> None:
    script = Script(CONFIRMED, seconds=20, broken=["7"])

    async def body(run: Run) -> Answer:
        outcome = await run.ahead(run.vote("Vote", rule="fixed", width=5), after).settled()
        return Answer(type(outcome).__name__)

    played = await play(body, script)
    assert (played.answer, len(script.asked)) == ("Failed", 1)


@virtual_time
async def test_a_vote_that_was_over_needs_nothing_ahead() -> None:
    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=2)
        await vote
        return Answer(await run.ahead(vote, after))

    played = await play(body, Script([(1, "7"), (2, "7")]))
    assert played.answer == "after 7"
    assert verdicts(played) == [("no leader was firm", "7", 0)]


@virtual_time
async def test_who_comes_late_begins_on_what_leads_by_then() -> None:
    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=5)
        await run.generate("first something else")
        return Answer(await run.ahead(vote, after))

    script = Script(CONFIRMED)
    played = await play(body, script)
    assert script.asked == [(0, "first something else"), (5.5, "after 7")]
    assert verdicts(played)[-1] == ("confirmed", "7", 0)


@virtual_time
async def test_a_stop_rule_that_stops_early_confirms_early() -> None:
    branches = [(float(at), "7") for at in (1, 2, 3, 4, 30, 40, 50, 60)]
    _, seconds = await timed(branches, rule="beta")
    assert seconds == pytest.approx(7.5)  # begun at 2, the vote stopped at 4; 9.5 without


@virtual_time
async def test_successors_of_several_votes_and_of_each_other() -> None:
    async def second(run: Run, answer: Answer) -> str:
        inner = run.spawn(after, answer)
        return f"{await inner}, then {await after(run, answer)}"

    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=5)
        one, two = run.ahead(vote, after), run.ahead(vote, second)
        return Answer(f"{await one}; {await two}")

    played = await play(body, Script(CONFIRMED))
    assert played.answer == "after 7; after 7, then after 7"


async def test_a_merge_that_is_not_decided_by_its_branches_has_no_leader() -> None:
    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=3, merge="medoid")
        return Answer(await run.ahead(vote, after))

    played = await play(body, Script([(0, "7"), (0.01, "7"), (0.02, "7")], seconds=0))
    assert verdicts(played) == [("no leader was firm", "7", 0)]


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"votes": 0}, {"lead": 0}):
        with pytest.raises(PlannerError, match="at least 1 vote and a lead of 1"):
            Firm(**wrong)


async def test_a_negative_number_of_restarts_is_refused() -> None:
    played = await play(body_of(CONFIRMED, restarts=-1), Script([(0, "7")] * 5))
    assert "begins anew 0 times or more, not -1" in played.failure


# -- failures and cancellations around it -----------------------------------------------------------


@virtual_time
async def test_a_vote_that_fails_or_is_cancelled_takes_its_successor_with_it() -> None:
    async def fails(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=1)
        outcome = await run.ahead(vote, after).settled()
        assert isinstance(outcome, Failed)
        return Answer(outcome.failure.code)

    def away(call: Call, _: Random) -> str:
        raise EngineUnavailable("it is away")

    assert (await play(fails, Simulator(away))).answer == "engine_unavailable"

    async def cancelled(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=5)
        successor = run.ahead(vote, after)
        await run.generate("wait")
        vote.cancel()
        outcome = await successor.settled()
        return Answer(type(outcome).__name__)

    played = await play(cancelled, Script(CONFIRMED))
    assert played.answer == "Failed"
    assert played.outcome("1.0") == "cancelled"


@virtual_time
async def test_a_successor_that_is_cancelled_leaves_its_vote_alone() -> None:
    async def body(run: Run) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=5)
        successor = run.ahead(vote, after)
        await run.generate("wait")
        successor.cancel()
        answer = await vote
        assert isinstance(await successor.settled(), Cancelled)
        return answer

    script = Script(CONFIRMED)
    played = await play(body, script)
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"
    assert played.outcome("1.0") == "cancelled"
    assert played.result.spent.cancelled_tokens == trace_of(played).usage()["wasted_tokens"] > 0


# -- what may not happen before the vote has ended --------------------------------------------------


class Acts:
    """A tool with side effects, and one without; when they were called, and with what."""

    def __init__(self) -> None:
        self.done: list[tuple[float, str]] = []
        self.looked: list[tuple[float, str]] = []

        @tool(side_effects=True)
        async def act(what: str, idempotency_key: str) -> str:
            """acts."""
            self.done.append((asyncio.get_running_loop().time(), what))
            await asyncio.sleep(0.5)
            return f"done: {what}"

        @tool
        async def look(what: str) -> str:
            """looks."""
            self.looked.append((asyncio.get_running_loop().time(), what))
            return f"seen: {what}"

        self.tools = [act, look]


async def acting(run: Run, answer: Answer) -> str:
    """A successor that looks, and acts, at once and after a call, itself and in a scope of its own."""
    looked = await run.tool("look", {"what": str(answer.claim)})
    first = run.tool("act", {"what": f"first {answer.claim}"})
    call = run.generate(f"after {answer.claim}")

    async def inner(scope: Run) -> str:
        return str(await scope.tool("act", {"what": call}))

    second = run.tool("act", {"what": call})
    third = run.spawn(inner)
    return f"{looked}; {await first}; {await second}; {await third}"


@virtual_time
@pytest.mark.parametrize("branches", [CONFIRMED, TURNED, TURNED_TWICE])
async def test_no_tool_with_side_effects_begins_before_the_vote_has_ended(branches: Branches) -> None:
    acts = Acts()
    ends, claim = branches[-1][0], "8" if branches is TURNED else "7"
    played = await play(body_of(branches, acting), Script(branches, seconds=1), tools=acts.tools)
    assert played.answer.startswith(f"seen: {claim}; done: first {claim}; done: ")
    assert all(at >= ends for at, _ in acts.done)
    assert len(acts.done) == 3
    assert all(claim in what for _, what in acts.done)
    assert acts.looked[:1] == [(2.0, "7")]  # others do begin
    held = [e.path for e in played.events if e.type is EventType.NODE_ADDED and e.data.get("held")]
    assert held
    walked = {node.path: node for node in trace_of(played).walk()}
    assert all(walked[path].state in ("succeeded", "cancelled") for path in held)


@virtual_time
async def test_inside_successors_of_successors_a_tool_waits_for_all_votes() -> None:
    acts = Acts()

    async def outer(run: Run, answer: Answer) -> str:
        vote = run.vote("Inner", rule="fixed", width=3)
        return str(await run.ahead(vote, act_on, firm=Firm(1, 1)))

    async def act_on(run: Run, answer: Answer) -> str:
        return str(await run.tool("act", {"what": str(answer.claim)}))

    outside = Script(CONFIRMED)

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if said(call) == "Inner":
            await asyncio.sleep(1)
            yield Chunk(r"\boxed{5}", TOKENS, finish_reason="stop", usage=Usage(1, 0, TOKENS))
            return
        async for chunk in outside.speak(call):
            yield chunk

    played = await play(body_of(CONFIRMED, outer), Speaker(speak), tools=acts.tools)
    assert played.answer == "done: 5"
    assert acts.done == [(10, "5")]  # the inner vote had ended at 3


@virtual_time
async def test_what_runs_ahead_proposes_nothing_until_it_is_confirmed() -> None:
    async def proposing(run: Run, answer: Answer) -> str:
        await after(run, answer)
        run.propose(lambda: Answer(f"a guess on {answer.claim}"))
        return await after(run, answer)

    async def limited(seconds: float) -> str:
        played = await play(
            body_of(CONFIRMED, proposing), Script(CONFIRMED), budget=Budget(seconds=seconds), repeat=False
        )
        assert played.result.outcome is RunOutcome.LIMITED
        assert played.result.answer is not None
        return played.result.answer.text

    # Both offers are as near to the root, so the later one counts, which is that of the successor.
    assert await limited(9) == r"So \boxed{7}."
    assert await limited(12) == "a guess on 7"


# -- budgets ----------------------------------------------------------------------------------------


@virtual_time
async def test_a_run_that_is_ended_meanwhile_says_what_was_for_nothing() -> None:
    played = await play(body_of(CONFIRMED), Script(CONFIRMED), budget=Budget(tokens=64))
    assert (played.result.outcome, played.result.limit) == (RunOutcome.LIMITED, "tokens")
    assert played.outcome("1.0") == "cancelled"
    wasted = played.result.spent.cancelled_tokens
    assert wasted == trace_of(played).usage()["wasted_tokens"] >= TOKENS


@virtual_time
@pytest.mark.parametrize("budget", [Budget(calls=6), Budget(width=6), Budget(tokens=70), Budget(nodes=20)])
async def test_where_the_budget_has_no_room_to_spare_nothing_runs_ahead(budget: Budget) -> None:
    if budget.width == 6:
        branches = [(1.0, "7"), (2.0, "7"), (10.0, "7"), (10.0, "7"), (10.0, "7")]
    else:
        branches = [(1.0, "9"), (2.0, "7"), (3.0, "7"), (4.0, "7"), (10.0, "7")]
    script = Script(branches)
    played = await play(body_of(branches), script, budget=budget)
    assert played.answer == "after 7"
    assert [at for at, _ in script.asked] == [10]
    assert verdicts(played) == [("begin", "7", 0), ("redo", "7", 0)]
    failed = [e.data["saw"].get("failed") for e in played.events if e.data.get("verdict") == "redo"]
    assert failed == ["it was cancelled"]
    assert played.settled("1.0")["reason"] == NO_ROOM


async def too_deep(run: Run) -> None:
    async def inner(scope: Run) -> None:
        await scope.spawn(too_deep)

    await run.spawn(inner)


async def too_many_nodes(run: Run) -> None:
    for at in range(1000):
        run.note(str(at))


async def too_many_nodes_deeper(run: Run) -> None:
    await run.spawn(too_many_nodes)


async def too_many_decisions(run: Run) -> None:
    for at in range(1000):
        run.decide("test", str(at), {})


async def too_many_tokens(run: Run) -> None:
    await run.generate("after 7", max_tokens=1000)


@virtual_time
@pytest.mark.parametrize(
    ("wrong", "budget"),
    [
        (too_deep, Budget(depth=3)),
        (too_many_nodes, Budget(nodes=200)),
        (too_many_nodes_deeper, Budget(nodes=200)),
        (too_many_decisions, Budget(nodes=200)),
        (too_many_tokens, Budget(tokens=400)),
    ],
)
async def test_nothing_that_runs_ahead_on_a_wrong_answer_ends_the_run(wrong: Any, budget: Budget) -> None:
    """Each would use all that there is, if it ran; the vote turns, so that it need not have run at all."""

    async def successor(run: Run, answer: Answer) -> str:
        if answer.claim == "7":
            await wrong(run)
        return f"on {answer.claim}"

    class Endless(Script):
        async def speak(self, call: Call) -> AsyncGenerator[Chunk, None]:
            if said(call) == "Vote":
                async for chunk in super().speak(call):
                    yield chunk
                return
            for _ in range(call.sampling.max_tokens):
                await asyncio.sleep(0.001)
                yield Chunk("-", 1)

    played = await play(body_of(TURNED, successor), Endless(TURNED), budget=budget)
    assert played.answer == "on 8"
    assert played.settled("1.0")["reason"] == NO_ROOM


@virtual_time
async def test_what_a_successor_leaves_open_does_not_run_on_until_the_vote_ends() -> None:
    async def successor(run: Run, answer: Answer) -> str:
        run.generate("not needed")
        return await after(run, answer)

    class Slow(Script):
        async def speak(self, call: Call) -> AsyncGenerator[Chunk, None]:
            if said(call) != "not needed":
                async for chunk in super().speak(call):
                    yield chunk
                return
            for _ in range(100):
                await asyncio.sleep(1)
                yield Chunk("-", 1)

    played = await play(body_of(CONFIRMED, successor), Slow(CONFIRMED))
    assert played.answer == "after 7"
    assert played.settled("1.0.0")["reason"] == "its scope has ended"
    assert played.result.spent.cancelled_tokens == 5  # it ran from 2 to 7.5, and the vote until 10


@virtual_time
async def test_what_runs_ahead_is_no_deeper_than_what_does_not() -> None:
    async def body(run: Run) -> Answer:
        async def inner(scope: Run, answer: Answer) -> str:
            return str(await scope.spawn(after, answer))

        return Answer(await run.ahead(run.vote("Vote", rule="fixed", width=5), inner))

    played = await play(body, Script(CONFIRMED), budget=Budget(depth=2))
    assert played.answer == "after 7"
    assert (await play(body, Script(CONFIRMED), budget=Budget(depth=1))).result.limit == "depth"


# -- replay, resume, fork ---------------------------------------------------------------------------


@virtual_time
@pytest.mark.parametrize(
    ("branches", "function"),
    [
        ([(1.0, "7"), (2.0, "7"), (3.0, "7")], after),
        ([(1.0, "7"), (2.0, "8"), (3.0, "8"), (4.0, "8")], after),
        ([(1.0, "7"), (2.0, "8"), (3.0, "8"), (4.0, "8")], acting),
    ],
)
async def test_a_run_that_is_killed_at_any_event_goes_on(branches: Branches, function: Any) -> None:
    body = body_of(branches, function, firm=Firm(1, 1))
    acts = Acts()
    played = await play(body, Script(branches), tools=acts.tools)
    for length in range(1, len(played.events)):
        world = environment(Script(branches), tools=acts.tools)
        resumed = await resume(body, played.events[:length], world)
        assert resumed.answer == played.answer, length
        assert await replay(body, resumed.events, world) == resumed.result
        settled = [e.path for e in resumed.events if e.type is EventType.NODE_SETTLED]
        assert len(settled) == len(set(settled))
        acted = [e.seq for e in resumed.events if e.data.get("request", {}).get("tool") == "act"]
        ended = next(e.seq for e in resumed.events if (e.type, e.path) == (EventType.NODE_SETTLED, "0"))
        assert all(seq > ended for seq in acted)
        assert bool(acted) == (function is acting)


@virtual_time
async def test_the_journal_says_what_ran_ahead() -> None:
    played, _ = await timed(TURNED)
    ahead = {e.path: e.data["ahead"] for e in played.events if "ahead" in e.data}
    assert ahead == {"1.0": "0", "1.1": "0"}
    assert [played.outcome(path) for path in ahead] == ["cancelled", "succeeded"]
    walked = {node.path: node for node in trace_of(played).walk()}
    assert walked["1.0"].ahead == "0"
    assert "0.1" in walked["1.0"].after  # the branch that made the leader firm


@virtual_time
async def test_the_critical_path_goes_through_the_vote_where_that_ends_last() -> None:
    played, _ = await timed(CONFIRMED)
    assert trace_of(played).critical_path("tokens").length == TOKENS + TOKENS  # a branch, and its successor
    assert {"0.0", "0.1"} & set(trace_of(played).critical_path("tokens").paths)


async def test_a_fork_that_turns_the_vote_redoes_what_had_run_ahead() -> None:
    branches = [(0.0, "7"), (0.02, "7"), (0.04, "7"), (0.06, "8"), (0.2, "8")]

    @planner("running_ahead")
    async def running_ahead(run: Run, question: Question) -> Answer:
        vote = run.vote("Vote", rule="fixed", width=len(branches))
        return Answer(await run.ahead(vote, after))

    script = Script(branches, seconds=0.05)
    async with await open_store("memory") as store:
        service = Service(store, script, planners={"running_ahead": running_ahead})
        first = await service.solve(parse({"query": "?", "planner": "running_ahead"}))
        assert first.answer == "after 7"
        await service.replay(first.trace_id)
        for at, says, answer in (("0.0", "8", "after 8"), ("0.3", "7", "after 7")):
            before = len(script.asked)
            change = Change(value=rf"\boxed{{{says}}}")
            fork = await service.fork(first.trace_id, at=at, change=change)
            assert fork.answer == answer
            await service.replay(fork.trace_id)
            assert len(script.asked) - before == (answer != "after 7")  # what ran ahead is reused otherwise
        same = await service.fork(first.trace_id, at="0", change=Change(rule="beta"))
        assert same.answer == "after 7"
        await service.replay(same.trace_id)


@virtual_time
async def test_a_vote_without_successors_writes_what_it_always_wrote() -> None:
    async def body(run: Run) -> Answer:
        return await run.vote("Vote", rule="fixed", width=5)

    played = await play(body, Script(CONFIRMED))
    keys = {key for event in played.events for key in event.data}
    assert not keys & {"ahead", "held"}
