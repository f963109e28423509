"""Random planner code: programs that hypothesis draws, and the planner that runs them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from orchestrator.errors import NodeCancelled, NodeFailed
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.nodes import Cancelled, Failed, Node, Outcome, Stream, Succeeded
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import said
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.tools.declaration import tool

Verb = Literal[
    "generate", "stream", "tool", "side_effect", "merge", "spawn", "vote", "note", "decide", "propose",
    "join", "settled", "arrivals", "read", "cancel", "raise",
]  # fmt: skip


START = "so "
"""How some streams are told to begin."""


@dataclass(frozen=True)
class Step:
    """One thing that a planner does; ``nodes`` are counted from the newest that it knows of."""

    verb: Verb
    nodes: tuple[int, ...] = ()
    number: int = 0
    steps: tuple[Step, ...] = ()


CALM: tuple[Verb, ...] = ("generate", "stream", "tool", "merge", "note", "join", "settled", "read")
"""What gives the same answer however long everything takes."""

RACY: tuple[Verb, ...] = (*CALM, "side_effect", "vote", "decide", "propose", "arrivals", "cancel", "raise")


def programs(verbs: Sequence[Verb], size: int = 12) -> st.SearchStrategy[tuple[Step, ...]]:
    """Programs out of ``verbs`` and spawned programs, of at most ``size`` steps on a level."""
    nodes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
    simple = st.builds(Step, st.sampled_from(verbs), nodes, st.integers(0, 99))
    number = st.integers(0, 99) if "cancel" in verbs else st.integers(0, 49).map(lambda half: 2 * half + 1)
    level = st.lists(simple, min_size=1, max_size=size).map(tuple)
    for _ in range(2):
        spawn = st.builds(Step, st.just("spawn"), nodes, number, level)
        mixed = st.one_of(simple, simple, simple, spawn)
        level = st.lists(mixed, min_size=size // 2, max_size=size).map(tuple)
    return level


def answer(call: Call, _rng: object) -> str:
    """What the engine says: it depends on what was asked, and goes on where a stream was cut off."""
    prefill = call.prompt.prefill
    asked = said(call).removesuffix(prefill)
    number = zlib.crc32(asked.encode()) % 1000
    whole = f"{number} words\nand more\nThe answer is {number % 3}."
    return whole.removeprefix(prefill.removeprefix(START))


def strikes(share: int) -> Any:
    """Whether a call is one of the unlucky ones, by what it asks."""
    return lambda call: zlib.crc32(said(call).removesuffix(call.prompt.prefill).encode()) % 97 < share


def simulator(seed: int = 0, *, jitter: float = 0.8, room: int | None = None) -> Simulator:
    """An engine on which some calls fail in each way, always the same ones."""
    return Simulator(
        answer,
        cost=CostModel(latency=0.05, decode_tokens_per_s=100, jitter=jitter),
        max_concurrency=room,
        faults=[
            Fault(kind="refuse", when=strikes(6)),
            Fault(kind="reset", when=strikes(12), after_tokens=3),
            Fault(kind="hang", when=strikes(15), after_tokens=2),
            Fault(kind="garbage", when=strikes(18)),
        ],
        seed=seed,
    )


async def work(number: int, texts: list[str]) -> str:
    """Take some time, and fail with some numbers."""
    await asyncio.sleep(number / 200)
    if number % 7 == 0:
        raise ValueError(f"number {number}")
    return f"{number}:{len(texts)}"


WORK = tool(name="work")(work)
SIDE_EFFECT = tool(name="side_effect", side_effects=True)(work)


def merged(number: int, values: list[Any]) -> str:
    if number % 7 == 0:
        raise ValueError(f"number {number}")
    return f"{number}({', '.join(str(value) for value in values)})"


def planner(steps: Sequence[Step]) -> Any:
    """The planner that runs a program."""

    async def body(run: Run) -> Answer:
        return Answer(await interpret(run, steps, []))

    return body


async def interpret(run: Run, steps: Sequence[Step], known: Sequence[Node[Any]]) -> str:
    """Run a program; the text tells all that its planner saw."""
    nodes, seen = list(known), list[str]()
    for step in steps:
        if (node := add(run, step, chosen(step, nodes), nodes)) is not None:
            nodes.append(node)
        elif (waiting := wait(run, step, chosen(step, nodes))) is not None:
            seen.append(await waiting)
    seen += [told(await node.settled()) for node in nodes[len(known) :][-3:]]
    return " | ".join(seen)


def chosen(step: Step, nodes: Sequence[Node[Any]]) -> list[Node[Any]]:
    return [nodes[-1 - index % len(nodes)] for index in step.nodes] if nodes else []


def add(run: Run, step: Step, inputs: list[Node[Any]], nodes: list[Node[Any]]) -> Node[Any] | None:
    prompt = [user(f"number {step.number}: ", *inputs)]
    match step.verb:
        case "generate":
            return run.generate(prompt, max_tokens=5 + step.number)
        case "stream":
            start = [assistant(START)] if step.number % 2 else []
            return run.stream([*prompt, *start], breaks="\n" if step.number % 3 else "")
        case "tool" | "side_effect":
            name = WORK if step.verb == "tool" else SIDE_EFFECT
            return run.tool(name, {"number": step.number, "texts": [f"{len(inputs)}", *inputs[:0]]})
        case "merge":
            return run.merge(merged, step.number, inputs)
        case "spawn":
            known = tuple(nodes) if step.number % 2 else nodes  # with the latter it may wait for itself

            async def child(own: Run, *values: object) -> str:
                return f"{len(values)}: {await interpret(own, step.steps, known)}"

            return run.spawn(child, *inputs)
        case "vote":
            return run.vote(f"vote {step.number}", rule="beta", width=1 + step.number % 6)
    return None


def wait(run: Run, step: Step, nodes: list[Node[Any]]) -> Coroutine[Any, Any, str] | None:
    match step.verb:
        case "note":
            run.note("a note", number=step.number)
        case "decide":
            run.decide("program", "go on", {"number": step.number, "left": run.random.random()})
        case "propose":
            run.propose(lambda: Answer(f"proposed {step.number}"))
        case "cancel":
            for node in nodes:
                node.cancel(f"step {step.number}")
        case "raise" if step.number % 5 == 0:
            raise ValueError(f"number {step.number}")
        case "join":
            return join(run, nodes)
        case "settled":
            return settle(run, nodes)
        case "arrivals":
            return arrivals(run, nodes)
        case "read":
            return read(nodes)
    return None


async def join(run: Run, nodes: list[Node[Any]]) -> str:
    try:
        return " ".join(str(value) for value in await run.join(nodes))
    except NodeFailed as error:
        return told(Failed(error.failure))
    except NodeCancelled as error:
        return str(error)


async def settle(run: Run, nodes: list[Node[Any]]) -> str:
    return " ".join(told(outcome) for outcome in await run.outcomes(nodes))


async def arrivals(run: Run, nodes: list[Node[Any]]) -> str:
    return " ".join([node.path async for node in run.arrivals(nodes)])


async def read(nodes: list[Node[Any]]) -> str:
    text = ""
    for node in nodes:
        if isinstance(node, Stream):
            try:
                async for piece in node:
                    text += piece
            except (NodeFailed, NodeCancelled) as error:
                text += type(error).__name__
    return text


def told(outcome: Outcome[Any]) -> str:
    match outcome:
        case Succeeded(value):
            return str(value)
        case Failed():  # of two inputs that fail a node inherits the first, so why depends on the timing
            return "failed"
        case Cancelled():
            return "cancelled"
