"""Votes whose branches take turns with several prompts for one question."""

from __future__ import annotations

from random import Random

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, play
from workers.calls import Call
from workers.engines.simulator.engine import Simulator


async def vote(rule: str, engine: Simulator, *others: str) -> Played:
    async def body(run: Run) -> Answer:
        return await run.vote(
            [user("First?")], turns=[[user(each)] for each in others], rule=rule, width=5, max_tokens=64
        )

    return await play(body, engine)


def asked(played: Played) -> list[str]:
    """What each call was asked, in the order of starting, without what it goes on with."""
    requests = [e.data["request"]["prompt"] for e in played.events if "request" in e.data]
    return [prompt[0][1] for prompt in requests]


async def test_branches_take_turns_and_vote_together() -> None:
    def answer(call: Call, _: Random) -> str:
        return rf"\boxed{{{7 if 'First' in call.prompt.messages()[0]['content'] else 8}}}"

    played = await vote("fixed", Simulator(answer), "Second?")
    assert asked(played) == ["First?", "Second?", "First?", "Second?", "First?"]
    assert played.result.answer is not None
    assert [(each.claim, each.count) for each in played.result.answer.clusters] == [("7", 3), ("8", 2)]
    assert asked(await vote("fixed", Simulator(answer), "Second?", "Third?"))[2:4] == ["Third?", "First?"]
    assert asked(await vote("fixed", Simulator(answer))) == ["First?"] * 5


async def test_a_branch_that_goes_on_keeps_its_prompt() -> None:
    played = await vote("parallel_probe", Simulator("word " * 2000 + r"\boxed{7}"), "Second?")
    labels = {e.path: e.data["label"] for e in played.events if e.type is EventType.NODE_ADDED}
    requests = {e.path: e.data["request"]["prompt"] for e in played.events if "request" in e.data}
    for path, prompt in requests.items():
        branch = int(labels[path].removeprefix("branch ").partition(",")[0])
        assert prompt[0][1] == ("Second?" if branch % 2 else "First?")
