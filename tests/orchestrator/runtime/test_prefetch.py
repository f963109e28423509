"""What a prompt begins with is computed while the rest of it is still being found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from orchestrator.errors import NodeCancelled
from orchestrator.planning.run import Run
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import system, user
from orchestrator.runtime.nodes import Node, NodeKind, Succeeded
from orchestrator.runtime.prefetch import known
from orchestrator.runtime.values import Answer
from storage.events import EventType
from tests.orchestrator.runtime.harness import DONE, environment, play, replay, resume
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engines.simulator.engine import CostModel, Simulator
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool
from workers.tools.declaration import tool

COST = CostModel(latency=0.01, prefill_tokens_per_s=1_000, decode_tokens_per_s=100)
INSTRUCTIONS = "Judge what the tools have found. ".ljust(4_000, "i")  # 1,000 tokens: a second


@tool
async def search(query: str) -> str:
    """Look something up, which takes two seconds."""
    await asyncio.sleep(2.0)
    return f"All about {query}."


async def in_the_prompt(run: Run) -> Answer:
    found = run.tool("search", {"query": "rivers"})
    judged = run.generate([system(INSTRUCTIONS), user("They found: ", found)])
    return Answer((await judged).text)


async def expected(run: Run) -> Answer:
    found = run.tool("search", {"query": "rivers"})
    run.expect([system(INSTRUCTIONS), user("They found: ")])
    said = await found
    return Answer((await run.generate([system(INSTRUCTIONS), user("They found: ", said)])).text)


async def unexpected(run: Run) -> Answer:
    said = await run.tool("search", {"query": "rivers"})
    return Answer((await run.generate([system(INSTRUCTIONS), user("They found: ", said)])).text)


Planner = Callable[[Run], Awaitable[Answer]]


class Watched(Pool):
    """A pool that keeps in mind how long calls waited for their first token."""

    first_tokens: list[float]

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        clock = asyncio.get_running_loop().time
        began, first = clock(), True
        stream = super().generate(call)
        async for chunk in stream:
            if first:
                first = False
                self.first_tokens.append(clock() - began)
            yield chunk


def pool(*, sharing: Sharing = Sharing.COMPUTED) -> Watched:
    simulator = Simulator("Rivers.", cost=COST, share_in_flight=sharing is Sharing.IN_FLIGHT)
    made = Watched([Member(simulator, sharing=sharing)])
    made.first_tokens = []
    return made


@pytest.mark.parametrize("sharing", [Sharing.COMPUTED, Sharing.IN_FLIGHT])
@virtual_time
async def test_the_call_after_a_tool_has_its_first_token_at_once(sharing: Sharing) -> None:
    seconds = {}
    for body in (in_the_prompt, expected, unexpected):
        engine = pool(sharing=sharing)
        await engine.capabilities()
        played = await play(body, engine, tools=[search])
        assert played.answer == "Rivers."
        (seconds[body.__name__],) = engine.first_tokens
        warmed = engine.snapshot().replicas[0]
        assert (warmed.finished, warmed.aborted) == (1, 0)  # what was warmed is no call
        await engine.close()
    assert seconds["unexpected"] > 1.0
    assert seconds["in_the_prompt"] < 0.05
    assert seconds["expected"] < 0.05


@virtual_time
async def test_the_journal_says_nothing_of_it() -> None:
    engine = pool()
    await engine.capabilities()
    warm = await play(in_the_prompt, engine, tools=[search])
    assert "anabranch_pool_warmed_total 1" in engine.metrics()
    cold = await play(in_the_prompt, Simulator("Rivers.", cost=COST), tools=[search])

    def told(event: object) -> object:
        return getattr(event, "type", None), getattr(event, "path", None)

    assert [told(event) for event in warm.events] == [told(event) for event in cold.events]
    assert [event.type for event in warm.events] == [
        EventType.RUN_STARTED,
        EventType.NODE_ADDED,
        EventType.NODE_ADDED,
        EventType.NODE_SETTLED,
        EventType.NODE_STARTED,
        EventType.NODE_SETTLED,
        EventType.RUN_FINISHED,
    ]
    assert warm.result.spent.calls == cold.result.spent.calls == 1
    asked = warm.result.spent.usage
    assert asked.prompt_tokens == cold.result.spent.usage.prompt_tokens
    assert asked.cached_tokens > 900 > cold.result.spent.usage.cached_tokens
    await engine.close()


class Asked(Simulator):
    """An engine that takes note of what it is asked to warm, and never does it."""

    def __init__(self, answer: bool = True, **options: object) -> None:
        super().__init__("ok", **options)  # type: ignore[arg-type]
        self.asked: list[Prompt] = []
        self.cancelled = 0
        self.answer = answer

    async def warm(self, prompt: Prompt, *, tenant: str, role: str) -> bool:
        self.asked.append(prompt)
        try:
            await asyncio.sleep(3600 if self.answer else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return False


@virtual_time
async def test_a_cancelled_call_needs_no_prompt_and_a_run_that_ends_leaves_nothing() -> None:
    async def changed_its_mind(run: Run) -> Answer:
        found = run.tool("search", {"query": "rivers"})
        judged = run.generate([system(INSTRUCTIONS), user(found)])
        await run.tool("search", {"query": "lakes"})
        judged.cancel()
        with pytest.raises(NodeCancelled):
            await judged
        run.expect("x" * 1_000)
        await run.tool("search", {"query": "seas"})
        return DONE

    engine = Asked()
    await play(changed_its_mind, engine, tools=[search])
    assert [prompt.segments[0].text[:5] for prompt in engine.asked] == ["Judge", "xxxxx"]
    assert engine.cancelled == 2


@virtual_time
async def test_siblings_are_asked_for_once_and_again_when_the_engine_may_be_idle() -> None:
    async def many(run: Run) -> Answer:
        first, second = (run.tool("search", {"query": name}) for name in ("rivers", "lakes"))
        calls = [
            run.generate([system(INSTRUCTIONS), user(str(number % 3), first, second)]) for number in range(6)
        ]
        await run.generate("Something else.")
        await run.join(calls)
        return DONE

    engine = Asked(answer=False, cost=COST)
    await play(many, engine, tools=[search])
    assert [prompt.segments[1].text for prompt in engine.asked[:6]] == ["0", "1", "2"] * 2
    assert {len(prompt.segments) for prompt in engine.asked[:6]} == {2}


@virtual_time
async def test_a_replay_and_a_resumed_part_ask_for_nothing() -> None:
    engine = Asked(answer=False)
    played = await play(in_the_prompt, engine, tools=[search])
    before = len(engine.asked)
    assert before > 0
    world = environment(engine, tools=[search])
    assert await replay(in_the_prompt, played.events, world) == played.result
    assert (await resume(in_the_prompt, played.events[:-1], world)).result == played.result
    assert len(engine.asked) == before


async def test_an_engine_that_breaks_the_contract_is_not_asked_again() -> None:
    class Broken(Simulator):
        times = 0

        async def warm(self, prompt: Prompt, *, tenant: str, role: str) -> bool:
            self.times += 1
            raise LookupError("a mistake")

    @tool
    async def look(query: str) -> str:
        """Look something up."""
        return query

    async def body(run: Run) -> Answer:
        for number in range(3):
            run.expect(f"prompt {number}")
            await run.tool("look", {"query": "x"})
        return DONE

    engine = Broken("ok")
    assert (await play(body, engine, tools=[look])).answer == "done"
    assert engine.times == 1


def test_a_prompt_is_known_up_to_the_first_open_result() -> None:
    executor: Executor[Run] = object.__new__(Executor)
    there: Node[str] = Node(executor, "0", NodeKind.TOOL, "")
    there.outcome = Succeeded("found")
    missing: Node[str] = Node(executor, "1", NodeKind.TOOL, "")
    messages = [system("s"), user("a", there, "b", missing, "c"), user("d")]
    assert known(messages) == Prompt(
        (Segment("system", "s"), Segment("user", "a"), Segment("user", "found"), Segment("user", "b"))
    )
    assert known([user(missing, "a")]) == Prompt(())
