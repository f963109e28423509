"""Planners that do what no planner should, each with how its run has to end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, model_serializer

from orchestrator.errors import Failure, NodeFailed, PlannerError
from orchestrator.planning.run import Run
from orchestrator.runtime.interruption import RunEnded
from orchestrator.runtime.messages import Message, user
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.values import Answer, Cluster, Vote

Body = Callable[[Run], Coroutine[Any, Any, Any]]

DONE = Answer("done")


class PanicException(BaseException):
    """What a panic in a Rust extension is in Python."""


class Mute(Exception):
    """An error that cannot be asked what it says."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Spiteful:
    """An object that raises whatever is done with it."""

    def __getattr__(self, name: str) -> Any:
        raise PanicException(name)

    def __str__(self) -> str:
        raise PanicException("str")

    __repr__ = __str__


class Endless(Mapping[str, Any]):
    """A mapping that never comes to its end."""

    def __getitem__(self, key: str) -> Any:
        return key

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield str(number)


class Looping:
    """An object whose text is never ready."""

    @property
    def text(self) -> str:
        while True:
            pass


class Odd(BaseModel):
    """A model that cannot be dumped."""

    @model_serializer
    def refuse(self) -> dict[str, Any]:
        raise PanicException("dump")


class Pausing:
    """Awaits something of its own."""

    def __await__(self) -> Generator[object, None, None]:
        yield "anything"


def returning(value: Any) -> Body:
    async def planner(run: Run) -> Any:
        await run.generate("hello")
        return value

    return planner


def raising(make: Callable[[], BaseException]) -> Body:
    async def planner(run: Run) -> Answer:
        await run.generate("hello")
        raise make()

    return planner


def merging(function: Callable[[], Any]) -> Body:
    """Gives the value of a merge to everything that takes one, and ends well all the same."""

    async def child(run: Run) -> Any:
        return function()

    async def planner(run: Run) -> Answer:
        for node in (run.merge(function), run.spawn(child)):
            outcome = await node.settled()
            with contextlib.suppress(Exception):
                run.note("a note", value=getattr(outcome, "value", None))
                run.decide("me", "go on", {"value": getattr(outcome, "value", None)})
                await run.generate([user(node)]).settled()
                await run.tool("nowhere", {"value": node}).settled()
        return DONE

    return planner


def verbs(use: Callable[[Run], Any]) -> Body:
    """Uses a verb wrongly, and ends well all the same."""

    async def planner(run: Run) -> Answer:
        try:
            made = use(run)
            if isinstance(made, Node):
                await made.settled()
        except Exception as error:
            return Answer(f"refused: {type(error).__name__}")
        return DONE

    return planner


def looping(step: Callable[[Run], Any]) -> Body:
    async def planner(run: Run) -> Answer:
        await run.generate("hello")
        while True:
            step(run)

    return planner


async def retrying(run: Run) -> Answer:
    while True:
        with contextlib.suppress(Exception):
            await run.generate("again")


async def retrying_whatever(run: Run) -> Answer:
    while True:
        try:  # noqa: SIM105 -- as people write it
            await run.generate("again")
        except BaseException:
            pass


async def spawning(run: Run) -> Answer:
    async def nothing(run: Run) -> None:
        pass

    while True:
        await run.spawn(nothing)


async def rechecking(run: Run) -> Answer:
    node = run.generate("hello")
    while True:
        await node


async def swallowing_its_end(run: Run) -> Answer:
    async def child(run: Run) -> None:
        while True:
            try:  # noqa: SIM105 -- as people write it
                await run.generate("hello")
            except BaseException:
                pass

    node = run.spawn(child)
    await run.generate("hello")
    node.cancel()
    return DONE


async def refusing_its_end(run: Run) -> Answer:
    async def child(run: Run) -> None:
        for _ in range(5):
            with contextlib.suppress(GeneratorExit):
                await run.generate("hello")

    node = run.spawn(child)
    await run.generate("hello")
    node.cancel()
    return DONE


async def looping_at_its_end(run: Run) -> Answer:
    async def child(run: Run) -> None:
        try:
            await run.generate("hello")
        finally:
            while True:
                pass

    run.spawn(child)
    await run.generate("hello")
    return DONE


async def noting_at_its_end(run: Run) -> Answer:
    async def child(run: Run) -> None:
        try:
            await run.generate("hello")
        finally:
            while True:
                with contextlib.suppress(Exception):
                    run.note("bye")

    run.spawn(child)
    await run.generate("hello")
    return DONE


async def going_on_without_its_scope(run: Run) -> Answer:
    shelf: list[Node[Any]] = []

    async def child(run: Run) -> None:
        await run.generate("hello")
        shelf[0].cancel()
        while True:
            with contextlib.suppress(Exception):
                await run.generate("more")

    async def parent(run: Run) -> None:
        await run.spawn(child)

    shelf.append(run.spawn(parent))
    await shelf[0].settled()
    return DONE


async def awaiting_others(run: Run) -> Answer:
    while True:
        with contextlib.suppress(Exception):
            await asyncio.sleep(0)


async def awaiting_nothing_known(run: Run) -> Answer:
    await Pausing()
    return DONE


async def awaiting_a_future(run: Run) -> Answer:
    await asyncio.get_running_loop().create_future()
    return DONE


def generating(run: Run) -> AsyncIterator[int]:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    return numbers()


async def threading_verbs(run: Run) -> Answer:
    said: list[str] = []

    def elsewhere() -> None:
        uses: list[Callable[[], object]] = [lambda: run.note("a"), lambda: run.decide("me", "go", {})]
        for use in uses:
            try:
                use()
            except Exception as error:
                said.append(type(error).__name__)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    return Answer(" ".join(said))


tasks: list[asyncio.Task[None]] = []


async def tasking_verbs(run: Run) -> Answer:
    async def elsewhere() -> None:
        with contextlib.suppress(PlannerError):
            run.note("hello")
            raise AssertionError("a task has used the run")

    tasks.append(asyncio.get_running_loop().create_task(elsewhere()))
    await run.generate("hello")
    return DONE


async def recursing(run: Run) -> Answer:
    def deeper() -> None:
        deeper()

    deeper()
    return DONE


async def exhausting_memory(run: Run) -> Answer:
    return Answer("x" * (1 << 62))


async def computing_for_ever(run: Run) -> Answer:
    run.note("before")
    while True:
        pass


async def computing_for_ever_whatever(run: Run) -> Answer:
    await run.generate("hello")
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


async def offering_nonsense(run: Run) -> Answer:
    run.propose(lambda: Answer("the better one"))

    async def child(run: Run) -> None:
        run.propose(5)  # type: ignore[arg-type]
        await run.spawn(grandchild)

    async def grandchild(run: Run) -> None:
        run.propose(lambda: Answer(None))  # type: ignore[arg-type]
        await run.spawn(deeper)

    async def deeper(run: Run) -> None:
        await run.spawn(deeper)

    await run.spawn(child)
    return DONE


async def offering_panic(run: Run) -> Answer:
    def panic() -> Answer:
        raise PanicException("no answer")

    run.propose(panic)
    while True:
        await run.generate("hello")


async def offering_for_ever(run: Run) -> Answer:
    def never() -> Answer:
        while True:
            pass

    run.propose(never)
    while True:
        await run.generate("hello")


class Deaf:
    """Raises when nobody needs it any more."""

    def __del__(self) -> None:
        raise PanicException("del")


async def ending_itself(run: Run) -> Answer:
    raise RunEnded


async def lying_about_failures(run: Run) -> Answer:
    raise NodeFailed("0", Failure(5, Spiteful(), [], "no"))  # type: ignore[arg-type]


async def voting_for_ever(run: Run) -> Answer:
    class Rule:
        spec, limit, initial, needs = "mine", 3, 1, frozenset[str]()

        def decide(self, view: Any) -> Any:
            from orchestrator.consensus.stopping import Cancel

            return Cancel((), {})

    return await run.vote("hello", rule=Rule())  # type: ignore[arg-type]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> Any:
    value: dict[str, Any] = {"a": []}
    value["a"] += [value, value]
    return value


def doubling() -> Any:
    value: list[Any] = ["x"]
    for _ in range(40):
        value = [value, value]
    return value


def answers(**fields: Any) -> Body:
    return returning(Answer(**{"text": "fine", **fields}))


@dataclass(frozen=True)
class Hostile:
    """A planner, and the code of its failure, or the text of its answer."""

    body: Body
    failure: str = ""
    answer: str = ""


def fails(body: Any, failure: str = "planner_error") -> Hostile:
    return Hostile(body, failure=failure)


def ends_well(body: Any, answer: str = "done") -> Hostile:
    return Hostile(body, answer=answer)


HOSTILE: dict[str, Hostile] = {
    # what they return
    "text is a number": fails(returning(Answer(72))),  # type: ignore[arg-type]
    "text is None": fails(returning(Answer(None))),  # type: ignore[arg-type]
    "text is a set": fails(returning(Answer({1}))),  # type: ignore[arg-type]
    "no answer": fails(returning("fine")),
    "nothing": fails(returning(None)),
    "claim is NaN": fails(answers(claim=float("nan"))),
    "claim is a list": fails(answers(claim=["a"])),
    "confidence is a word": fails(answers(confidence="high")),
    "confidence is NaN": fails(answers(confidence=float("nan"))),
    "confidence is 2": fails(answers(confidence=2)),
    "confidence is huge": fails(answers(confidence=10**5000)),
    "entropy is infinite": fails(answers(entropy=float("inf"))),
    "entropy is negative": fails(answers(entropy=-1.0)),
    "entropy is huge": fails(answers(entropy=10**5000)),
    "clusters are texts": fails(answers(clusters=("a", "b"))),
    "clusters are None": fails(answers(clusters=None)),
    "kinds are None": fails(answers(kinds=None)),
    "kinds are numbers": fails(answers(kinds=(1, 2))),
    "a cluster's claim is a number": fails(answers(clusters=(Cluster(5, 1),))),  # type: ignore[arg-type]
    "a cluster's count is a text": fails(answers(clusters=(Cluster("a", "1"),))),  # type: ignore[arg-type]
    "a cluster's weight is a text": fails(answers(clusters=(Cluster("a", 1, "1"),))),  # type: ignore[arg-type]
    "a cluster's weight is NaN": fails(answers(clusters=(Cluster("a", 1, float("nan")),))),
    "votes are None": fails(answers(votes=None)),
    "votes are texts": fails(answers(votes=("a",))),
    "a vote's number is a text": fails(answers(votes=(Vote("1", "", "a", "a"),))),  # type: ignore[arg-type]
    "answer too large": fails(answers(text="x" * 2_000), "too_large"),
    "halves of characters": ends_well(
        answers(text="a\ud83d", claim="\udc00b", clusters=(Cluster("\ud800", 1),)), "a\ufffd"
    ),
    "NUL": ends_well(answers(text="a\0b"), "a\0b"),
    "deaf objects": ends_well(merging(Deaf)),
    # what they raise
    "panic": fails(raising(lambda: PanicException("index out of bounds"))),
    "GeneratorExit": fails(raising(GeneratorExit)),
    "SystemExit": fails(raising(lambda: SystemExit(2))),
    "KeyboardInterrupt": fails(raising(KeyboardInterrupt)),
    "CancelledError": fails(raising(asyncio.CancelledError)),
    "StopIteration": fails(raising(StopIteration)),
    "StopAsyncIteration": fails(raising(StopAsyncIteration)),
    "group": fails(raising(lambda: BaseExceptionGroup("two", [SystemExit(1), PanicException("x")]))),
    "mute error": fails(raising(Mute)),
    "surrogates in an error": fails(raising(lambda: ValueError("\ud800\0"))),
    "its own end": fails(ending_itself),
    "sys.exit": fails(looping(lambda run: sys.exit(1))),
    "a failure that is none": fails(lying_about_failures),
    "recursion": fails(recursing),
    "memory": fails(exhausting_memory),
    # what they await
    "sleeps": fails(awaiting_others),
    "awaits a future": fails(awaiting_a_future),
    "awaits anything": fails(awaiting_nothing_known),
    "async generator": fails(generating),
    "awaits for ever what is there": fails(rechecking, "planner_stuck"),
    # what they never stop doing
    "retries": fails(retrying, "budget_exhausted"),
    "retries whatever happens": fails(retrying_whatever, "budget_exhausted"),
    "notes for ever": fails(looping(lambda run: run.note(1)), "budget_exhausted"),  # type: ignore[arg-type]
    "calls for ever": fails(looping(lambda run: run.generate("x")), "budget_exhausted"),
    "decides for ever": fails(looping(lambda run: run.decide("me", "x", {})), "budget_exhausted"),
    "merges for ever": fails(looping(lambda run: run.merge(len, [])), "budget_exhausted"),
    "spawns for ever": fails(spawning, "budget_exhausted"),
    "votes for ever": fails(voting_for_ever, "budget_exhausted"),
    "computes for ever": fails(computing_for_ever, "planner_stuck"),
    "computes for ever whatever happens": fails(computing_for_ever_whatever, "planner_stuck"),
    "merges never": fails(merging(lambda: Looping().text), "planner_stuck"),
    "offers never": fails(offering_for_ever, "planner_stuck"),
    "shows never": fails(merging(Looping), "planner_stuck"),
    # how they end
    "swallows its end": ends_well(swallowing_its_end),
    "refuses its end": ends_well(refusing_its_end),
    "loops at its end": fails(looping_at_its_end, "planner_stuck"),
    "notes at its end": ends_well(noting_at_its_end),
    "goes on without its scope": ends_well(going_on_without_its_scope),
    # who uses their verbs
    "thread": ends_well(threading_verbs, "PlannerError PlannerError"),
    "task": ends_well(tasking_verbs),
    # what they give to verbs and others
    "offers nonsense": ends_well(offering_nonsense, "the better one"),
    "offers panic": fails(offering_panic, "budget_exhausted"),
    "merges panic": ends_well(merging(lambda: (_ for _ in ()).throw(PanicException("merge")))),
    "merges NaN": ends_well(merging(lambda: float("nan"))),
    "merges huge numbers": ends_well(merging(lambda: {10**5000: -(10**5000)})),
    "merges odd keys": ends_well(merging(lambda: {None: 1, (1, 2): 2, Spiteful(): 3, "\ud800": 4})),
    "merges circles": ends_well(merging(circular)),
    "merges depth": ends_well(merging(lambda: nested(100_000))),
    "merges doubles": ends_well(merging(doubling)),
    "merges spite": ends_well(merging(lambda: [Spiteful(), Odd(), Mute()])),
    "merges without end": ends_well(merging(Endless)),
    "merges much": ends_well(merging(lambda: ["x" * 10_000] * 100)),
    "surrogates in a prompt": ends_well(verbs(lambda run: run.generate("\ud800", label="\udfff"))),
    "surrogates in arguments": ends_well(verbs(lambda run: run.tool("\ud800", {"\ud800": "\udc00"}))),
    "surrogates in decisions": ends_well(verbs(lambda run: run.decide("\ud800", "\ud801", {"a": "\udc00"}))),
    "label is an object": ends_well(verbs(lambda run: run.generate("x", label=Spiteful()))),  # type: ignore[arg-type]
    "label without end": ends_well(verbs(lambda run: run.note("x" * 1_000_000))),
    "decision of nothing": ends_well(verbs(lambda run: run.decide(5, None, 6))),  # type: ignore[arg-type]
    "temperature is NaN": ends_well(
        verbs(lambda run: run.generate("x", temperature=float("nan"))), "refused: PlannerError"
    ),
    "max_tokens is huge": ends_well(
        verbs(lambda run: run.generate("x", max_tokens=10**5000)), "refused: PlannerError"
    ),
    "stop is a number": ends_well(
        verbs(lambda run: run.generate("x", stop=5)),  # type: ignore[arg-type]
        "refused: PlannerError",
    ),
    "role is a list": ends_well(
        verbs(lambda run: run.generate("x", role=[])),  # type: ignore[arg-type]
        "refused: PlannerError",
    ),
    "role of a message": ends_well(
        verbs(lambda run: run.generate([Message(5, ("x",))])),  # type: ignore[arg-type]
        "refused: PlannerError",
    ),
    "schema is odd": ends_well(verbs(lambda run: run.generate("x", schema={"a": {1}, "b": float("nan")}))),
    "arguments in a circle": ends_well(verbs(lambda run: run.tool("x", circular())), "refused: PlannerError"),
    "arguments are spite": ends_well(verbs(lambda run: run.tool("x", {"a": Spiteful()}))),
    "tool has no name": ends_well(
        verbs(lambda run: run.tool(5)),  # type: ignore[arg-type]
        "refused: AttributeError",
    ),
}
