from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from orchestrator.errors import NodeFailed
from orchestrator.planning.run import Run
from orchestrator.runtime.refused import Refused
from orchestrator.runtime.values import Answer, Budget
from tests.orchestrator.runtime.harness import Speaker, play, said, whole
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Prompt
from workers.errors import AccessRefused, CallRejected, Overloaded, QuotaExhausted, WorkerError
from workers.tools.declaration import tool


class Refusing(Speaker):
    """Raises an error at every call that mentions ``at``."""

    def __init__(self, error: WorkerError, at: str = "") -> None:
        super().__init__(self._say)
        self.error = error
        self.at = at
        self.asked: list[str] = []

    async def _say(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.asked.append(said(call))
        if self.at in said(call):
            raise self.error
        yield whole("fine")


async def failed(run: Run, prompt: str, **options: object) -> str:
    try:
        return (await run.generate(prompt, **options)).text  # type: ignore[arg-type]
    except NodeFailed as error:
        return error.failure.code


@pytest.mark.parametrize("error", [QuotaExhausted("nothing left"), AccessRefused("the key was refused")])
async def test_a_run_asks_no_account_twice_that_refused(error: WorkerError) -> None:
    engine = Refusing(error)

    async def body(run: Run) -> Answer:
        return Answer(" ".join([await failed(run, f"question {number}") for number in range(9)]))

    played = await play(body, engine)
    assert played.answer == " ".join([error.code] * 9)
    assert len(engine.asked) == 1


async def test_another_role_may_have_another_account() -> None:
    engine = Refusing(QuotaExhausted("nothing left"), at="branch")

    async def body(run: Run) -> Answer:
        return Answer(f"{await failed(run, 'branch')} {await failed(run, 'to the judge', role='judge')}")

    assert (await play(body, engine)).answer == "quota_exhausted fine"


@tool(timeout=100)
async def sleeping() -> None:
    """Sleep."""
    await asyncio.sleep(60)


@virtual_time
async def test_an_account_is_asked_again_after_a_while() -> None:
    engine = Refusing(QuotaExhausted("nothing left"), at="early")

    async def body(run: Run) -> Answer:
        early = await failed(run, "early")
        await run.tool(sleeping, {})
        return Answer(f"{early} {await failed(run, 'late')}")

    assert (await play(body, engine)).answer == "quota_exhausted fine"


async def test_a_run_does_not_send_again_what_was_rejected() -> None:
    engine = Refusing(CallRejected("too long"), at="long")

    async def body(run: Run) -> Answer:
        prompts = ["long", "long", "short", "long"]
        codes = [await failed(run, prompt) for prompt in prompts]
        return Answer(" ".join([*codes, await failed(run, "long", max_tokens=1)]))

    played = await play(body, engine)
    assert played.answer == "call_rejected call_rejected fine call_rejected call_rejected"
    assert engine.asked == ["long", "short", "long"]  # fewer tokens may be accepted


@virtual_time
async def test_a_wait_that_is_longer_than_the_task_has_time_ends_at_once() -> None:
    engine = Refusing(Overloaded("HTTP 429: Rate limit reached", retry_after=3_600.0))

    async def body(run: Run) -> Answer:
        return Answer(await failed(run, "hello"))

    for settings, left in (({"call_seconds": 600.0}, 600), ({"budget": Budget(seconds=120.0)}, 120)):
        began = asyncio.get_running_loop().time()
        played = await play(body, engine, **settings)
        assert played.answer == "overloaded"
        error = played.settled("0")["error"]
        assert f"a wait of 3600 s is longer than the {left} s that are left" in error["message"]
        assert asyncio.get_running_loop().time() - began < 1


async def test_calls_for_which_there_is_no_time_are_not_sent() -> None:
    engine = Refusing(Overloaded("HTTP 429", retry_after=3_600.0))

    async def body(run: Run) -> Answer:
        return Answer(" ".join([await failed(run, f"question {number}") for number in range(5)]))

    assert (await play(body, engine)).answer == " ".join(["overloaded"] * 5)
    assert len(engine.asked) == 1


@virtual_time
async def test_a_call_that_has_little_time_left_does_not_speak_for_others() -> None:
    refused, call = Refused(), Call(Prompt(()))
    with pytest.raises(Overloaded):
        refused.pause(call, Overloaded("full", retry_after=20.0), 9, 10.0)
    refused.check(call)


@virtual_time
async def test_a_guess_grows_and_a_wait_that_was_told_does_not() -> None:
    told, guess = Overloaded("full", retry_after=1.0), Overloaded("full", retry_after=1.0, told=False)
    call, refused, end = Call(Prompt(())), Refused(), 1_000.0
    assert [refused.pause(call, told, times, end) for times in (1, 2, 3, 9)] == [1.0, 1.0, 1.0, 1.0]
    assert [refused.pause(call, guess, times, end) for times in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 32.0]
    assert refused.pause(call, guess, 9, 10.0) == 5.0
