"""Whatever a model says, however engine and tools fail: a run ends, by an answer or a typed failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.planning.planner import Planner
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.values import Question
from planners.adaptive import adaptive
from planners.aggregate import aggregate
from planners.auto import auto
from planners.calls import calls
from planners.decompose import decompose
from planners.direct import direct
from planners.distil.refining import distil
from planners.documents.planner import documents
from planners.joining import JOINER
from planners.llm_compiler import llm_compiler
from planners.no_thinking import no_thinking
from planners.plan_prompt import PLANNER
from planners.react import react
from planners.rounds import rounds
from planners.skeleton import skeleton
from planners.spawn_join.spawning import spawn_join
from planners.strategies.planner import strategies
from planners.template.planner import template
from planners.threads.weaving import threads
from planners.together.planner import together
from planners.tournament import tournament
from planners.tree.planner import tree
from planners.vote import vote
from tests.planners.conftest import BARE, GUIDED, play
from tests.workers.virtual_time import VirtualTimeLoop
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import CostModel, Fault, FaultKind, Simulator
from workers.tools.declaration import tool


async def say(text: str) -> str:
    """Gives back what it is given."""
    return text


async def fail(text: str) -> str:
    """Fails."""
    raise RuntimeError(text)


async def hang() -> None:
    """Never ends."""
    await asyncio.Event().wait()


TOOLS = [tool(say), tool(fail), tool(timeout=30.0)(hang), tool(name="send", side_effects=True)(say)]

WORDS = [
    *"123456789$(){}[]'\",. \n\\\x00é=ABCD",
    *("say", "fail", "hang", "send", "join", "fly", "$1", "${2}", "$$", "<END_OF_PLAN>", "True"),
    *('1. say("x")\n', "2. send($1)\n", "3. fail($1, 2)\n", "4. hang()\n", "5. join()\n"),
    *(
        '{"plan": [',
        '["say", "$',
        '"], ["ask", "$1?"], ["calculate", "$2 + $1.x"]',
        "]}",
        '], "then": "join"}',
        "null",
        "1e999",
    ),
    *('1. ask("x $1", [$1], 2)\n', '2. calculate("$1 + 2")\n', "Thought: ", "Answer: 7"),
    *('["hang"], ', '["join"]', '{"answer": "x"}', '{"replan": "y"}'),
    *(
        '{"data": ["One", "Two"], "n": null, ',
        '"template": "{data}"}',
        "Worker one: ",
        "nothing to add",
        "\n\n",
    ),
    *("1. One.\n", "2. Two.\n", "\\boxed{", "Answer: ", "\ud800"),
    *("\n\n", "7", "<think>", "</think>"),
    *("Thought: ", "Action: ", "finish(", "Observation:", "<tool_call>", '{"name": "say", "arguments": {'),
    *(
        "<spawn>\n",
        "<task>Say x.</task>",
        "</spawn>",
        "<results>",
        "<join>",
        "</join>",
        "<think>",
        "</think>",
    ),
    *('<tool_call>{"name": "spawn", "arguments": {"messages": ["a", "b"]}}</tool_call>', "</Thread>"),
    *("<Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n</Outlines>", "<Outlines>"),
]
DRAFTING = replace(GUIDED, roles=frozenset({"draft"}))
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=25).map("".join), min_size=1, max_size=3)
KINDS: list[FaultKind] = ["refuse", "reset", "hang", "garbage", "mangle", "overload"]
QUESTIONS = [
    Question("How can I sleep better?"),
    Question("Say something."),
    Question("What is 2 + 2?", context="{missing} $1"),
    Question("Which?", choices=("this", "that")),
    Question("Say each of these in French: One, Two"),
]


@pytest.mark.parametrize(
    "planner",
    [
        adaptive,
        aggregate,
        auto,
        calls,
        decompose,
        direct,
        distil,
        documents,
        llm_compiler,
        no_thinking,
        react,
        rounds,
        skeleton,
        spawn_join,
        strategies,
        template,
        threads,
        together,
        tournament,
        tree,
        vote,
    ],
    ids=lambda planner: planner.name,
)
@settings(max_examples=60, deadline=None)
@given(
    plans=TEXTS,
    verdicts=TEXTS,
    others=TEXTS,
    claims=st.sampled_from([BARE, GUIDED, replace(BARE, function_calls=True), DRAFTING]),
    kind=st.sampled_from(KINDS),
    probability=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    question=st.sampled_from(QUESTIONS),
    seed=st.integers(0, 99),
)
def test_a_run_ends(
    planner: Planner,
    plans: list[str],
    verdicts: list[str],
    others: list[str],
    claims: Capabilities,
    kind: FaultKind,
    probability: float,
    question: Question,
    seed: int,
) -> None:
    def answer(call: Call, rng: Random) -> str:
        told = "".join(message["content"] for message in call.prompt.messages())
        if PLANNER in told:
            return rng.choice(plans)
        return rng.choice(verdicts if JOINER in told else others)

    async def example() -> None:
        engine = Simulator(
            answer,
            cost=CostModel(latency=0.1, decode_tokens_per_s=20, jitter=0.5),
            faults=[Fault(kind=kind, probability=probability, after_tokens=3)],
            claims=claims,
            seed=seed,
        )
        played = await play(planner, question, engine, tools=TOOLS, seed=seed, call_seconds=60.0)
        counters = engine.counters()
        assert counters.started == counters.finished + counters.aborted + counters.failed
        if planner is tournament and not claims.assistant_prefill:
            assert played.failure == "invalid_request"  # there is nothing that it could do instead
        elif played.result.outcome not in (RunOutcome.ANSWERED, RunOutcome.UNDECIDED):
            assert played.failure not in ("planner_error", "engine_error", "internal", "invalid_request")

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(example())
