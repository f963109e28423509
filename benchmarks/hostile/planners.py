"""Planners that do what a planner must not: return nonsense, raise anything, never yield, fill the memory."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from benchmarks.hostile.tools import Panic
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question

HUNDRED_MEGABYTES = 100_000_000
MANY = 200_000


# -- what they return ---------------------------------------------------------------------------------


@planner("returns_number")
async def returns_number(run: Run, question: Question) -> Any:
    """An answer whose text is a number."""
    return Answer(72)  # type: ignore[arg-type]


@planner("returns_none")
async def returns_none(run: Run, question: Question) -> Any:
    """Nothing."""


@planner("returns_nan")
async def returns_nan(run: Run, question: Question) -> Any:
    """An answer whose claim and confidence are not numbers."""
    return Answer("x", claim=float("nan"), confidence=float("nan"))  # type: ignore[arg-type]


@planner("returns_set")
async def returns_set(run: Run, question: Question) -> Any:
    """A set, in an answer."""
    return Answer("x", clusters={1, 2})  # type: ignore[arg-type]


@planner("returns_coroutine")
async def returns_coroutine(run: Run, question: Question) -> Any:
    """A coroutine that was never awaited."""
    return asyncio.sleep(1)


async def _generator(run: Run, question: Question) -> AsyncIterator[Answer]:
    yield Answer("x")


is_generator = Planner("is_generator", _generator)  # type: ignore[arg-type]


@planner("returns_cycle")
async def returns_cycle(run: Run, question: Question) -> Any:
    """Values that contain themselves: a note's, a merge's, and the answer's."""
    cycle: list[Any] = []
    cycle.append(cycle)
    run.note("cycle", cycle=cycle)
    await run.merge(lambda: cycle)
    return Answer("x", clusters=cycle)  # type: ignore[arg-type]


@planner("returns_surrogates")
async def returns_surrogates(run: Run, question: Question) -> Any:
    """Text that is no UTF-8, and a NUL, everywhere."""
    run.note("half \ud800 and \0", half="\udfff", nul="\0")
    await run.generate("half \ud800 and \0", label="\ud800\0")
    return Answer("half \ud800 and \0", claim="\udc00")


@planner("huge_note")
async def huge_note(run: Run, question: Question) -> Any:
    """Notes of a hundred megabytes: first the label, then the details."""
    run.note("x" * HUNDRED_MEGABYTES)
    run.note("details", blob="x" * HUNDRED_MEGABYTES)
    return Answer("x")


@planner("huge_answer")
async def huge_answer(run: Run, question: Question) -> Any:
    """An answer of a hundred megabytes."""
    return Answer("x" * HUNDRED_MEGABYTES, claim="x" * HUNDRED_MEGABYTES)


@planner("huge_prompt")
async def huge_prompt(run: Run, question: Question) -> Any:
    """A prompt of fifty megabytes."""
    return Answer((await run.generate("x" * (HUNDRED_MEGABYTES // 2))).text)


# -- what they raise ----------------------------------------------------------------------------------


class Unprintable(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("this cannot be shown")

    __repr__ = __str__


@planner("raises_base")
async def raises_base(run: Run, question: Question) -> Any:
    """An exception that is not an Exception, as the panics of extension modules are."""
    raise Panic("the extension module panicked")


@planner("raises_system_exit")
async def raises_system_exit(run: Run, question: Question) -> Any:
    """What sys.exit raises."""
    raise SystemExit(3)


@planner("raises_keyboard_interrupt")
async def raises_keyboard_interrupt(run: Run, question: Question) -> Any:
    """What Ctrl-C raises."""
    raise KeyboardInterrupt


@planner("raises_generator_exit")
async def raises_generator_exit(run: Run, question: Question) -> Any:
    """What the end of a coroutine raises."""
    raise GeneratorExit


@planner("raises_cancelled")
async def raises_cancelled(run: Run, question: Question) -> Any:
    """What the cancellation of a task raises."""
    raise asyncio.CancelledError


@planner("raises_recursion")
async def raises_recursion(run: Run, question: Question) -> Any:
    """A recursion without an end."""

    def again(depth: int) -> int:
        return again(depth + 1) + 1

    return Answer(str(again(0)))


@planner("raises_memory")
async def raises_memory(run: Run, question: Question) -> Any:
    """More memory than there is."""
    return Answer(str(bytearray(1 << 60)))


@planner("raises_unprintable")
async def raises_unprintable(run: Run, question: Question) -> Any:
    """An error whose text raises another one."""
    raise Unprintable


# -- what they never do -------------------------------------------------------------------------------


@planner("swallows_errors")
async def swallows_errors(run: Run, question: Question) -> Any:
    """Tries again for ever, whatever is raised."""
    while True:
        try:
            await run.generate("<<error_500>>", role="error_500")
        except Exception:  # noqa: S112 -- that is the point
            continue


@planner("swallows_everything")
async def swallows_everything(run: Run, question: Question) -> Any:
    """The same, and goes on when it is told to end."""
    while True:
        try:
            await run.generate("<<error_500>>", role="error_500")
        except BaseException:  # noqa: S112 -- that is the point
            continue


@planner("ignores_its_end")
async def ignores_its_end(run: Run, question: Question) -> Any:
    """Awaits once more when it is closed, and spawns scopes that do too."""

    async def child(run: Run) -> None:
        while True:
            try:
                await run.generate("<<never_ends>>")
            except BaseException:  # noqa: BLE001, RUF100 -- that is the point
                await run.generate("once more")

    spawned = [run.spawn(child) for _ in range(3)]
    try:
        await run.join(spawned)
    finally:
        await run.generate("once more")


@planner("loops")
async def loops(run: Run, question: Question) -> Any:
    """Computes for ever."""
    while True:
        pass


@planner("loops_stubbornly")
async def loops_stubbornly(run: Run, question: Question) -> Any:
    """Computes for ever, whatever is raised in it."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: S112 -- that is the point
            continue


@planner("sleeps")
async def sleeps(run: Run, question: Question) -> Any:
    """Blocks its thread for half a minute."""
    time.sleep(30)  # noqa: ASYNC251 -- that is the point
    return Answer("awake")


@planner("awaits_sleep")
async def awaits_sleep(run: Run, question: Question) -> Any:
    """Awaits something that is not of its run."""
    await asyncio.sleep(0.1)
    return Answer("awake")


@planner("diverges")
async def diverges(run: Run, question: Question) -> Any:
    """Asks something else in each process, and takes the first one down."""
    first = await run.generate(f"Process {os.getpid()} asks for 1 + 2.")
    await run.generate(f"Process {os.getpid()} asks for 1 + 2 after {first.text}")
    os._exit(9)


# -- what they have too much of -----------------------------------------------------------------------


@planner("notes")
async def notes(run: Run, question: Question) -> Any:
    """Two hundred thousand notes."""
    for number in range(MANY):
        run.note("note", number=number)
    return Answer("noted")


@planner("spawns")
async def spawns(run: Run, question: Question) -> Any:
    """Scopes without an end."""

    async def child(run: Run) -> None:
        run.spawn(child)
        await run.generate("deeper")

    while True:
        run.spawn(child)


@planner("nests")
async def nests(run: Run, question: Question) -> Any:
    """Scopes within scopes, ten thousand deep."""

    async def child(run: Run, depth: int) -> int:
        return 0 if depth == 0 else 1 + await run.spawn(child, depth - 1)

    return Answer(str(await run.spawn(child, 10_000)))


@planner("threads")
async def threads(run: Run, question: Question) -> Any:
    """Uses its run from another thread, also after it has ended."""

    def use() -> None:
        for number in range(200):
            try:
                run.note("from a thread", number=number)
                run.generate("from a thread")
            except Exception:  # noqa: S110 -- it goes on
                pass
            time.sleep(0.01)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    first = await run.generate("begin")
    return Answer(first.text)


# -- how they take the process down -------------------------------------------------------------------


@planner("exits")
async def exits(run: Run, question: Question) -> Any:
    """Ends the process."""
    os._exit(1)


@planner("segfaults")
async def segfaults(run: Run, question: Question) -> Any:
    """Reads from where nothing is."""
    return Answer(str(ctypes.string_at(0)))


# -- what brings in the other hostilities -------------------------------------------------------------


@planner("uses")
async def uses(run: Run, question: Question, *, tool: str) -> Answer:
    """One tool, and what came of it."""
    return Answer(f"{await run.tool(tool)}"[:1000])


@planner("asks")
async def asks(run: Run, question: Question, *, marker: str, role: str = "branch") -> Answer:
    """One call to an engine that misbehaves as the marker says."""
    return Answer((await run.generate(f"<<{marker}>> Say something.", role=role, max_tokens=64)).text)


DEADLY = frozenset({"exits", "segfaults"})
"""Those that take their process down until they are dead, which nothing within it can prevent."""

CARRIERS = (uses, asks)
HOSTILE = tuple(
    value for value in list(globals().values()) if isinstance(value, Planner) and value not in CARRIERS
)
"""The hostile planners, in the order of this module."""
