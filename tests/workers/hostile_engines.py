"""Engines that do what engines must not do, each with what comes of a call to it.

A call to them has a ``max_tokens`` of 16. It fails with an error of the given code, or succeeds with the
given finish reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from workers.calls import Call, Chunk, Logprob, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities, Health
from workers.errors import EngineUnavailable, Overloaded, WorkerError
from workers.functions import FunctionCall

MAX_TOKENS = 16

PROTOCOL = "engine_protocol_error"
LAST = Chunk("", finish_reason="stop", usage=Usage(1, 0, 1))


class PanicException(BaseException):
    """What a Rust library raises when it panics; it is no Exception."""


class Mute(WorkerError):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


@dataclass
class Hostile:
    """An engine that works, except for what it is given. ``free`` lets go what hangs in it."""

    speak: Callable[[Hostile, Call], Any]
    name: str = "hostile"
    free: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def capabilities(self) -> Capabilities:
        return Capabilities("m", assistant_prefill=True)

    def generate(self, call: Call) -> AsyncIterator[Chunk]:
        self.asked += 1
        stream: AsyncIterator[Chunk] = self.speak(self, call)
        return stream

    async def health(self) -> Health:
        return Health(True)

    async def close(self) -> None:
        pass


def call(text: str = "hello") -> Call:
    return Call(Prompt((Segment("user", text),)), Sampling(max_tokens=MAX_TOKENS))


Speak = Callable[[Hostile, Call], Any]
ENGINES: dict[str, tuple[str, Speak]] = {}


def comes_to(code: str) -> Callable[[Speak], Speak]:
    def add(speak: Speak) -> Speak:
        ENGINES[speak.__name__] = code, speak
        return speak

    return add


def sends(name: str, *chunks: Any) -> None:
    """An engine that sends these chunks, of which one is wrong."""

    async def speak(engine: Hostile, call: Call) -> AsyncGenerator[Any, None]:
        yield Chunk("he", 1)
        for chunk in chunks:
            yield chunk
        yield LAST

    ENGINES[name] = PROTOCOL, speak


def raises(name: str, error: BaseException, code: str = PROTOCOL) -> None:
    """An engine that raises this in the middle of its stream."""

    async def speak(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("he", 1)
        await asyncio.sleep(0)
        raise error

    ENGINES[name] = code, speak


sends("sends_text", "hello")
sends("sends_nothing", None)
sends("sends_a_dict", {"text": "hello"})
sends("sends_bytes", Chunk(b"hello"))  # type: ignore[arg-type]
sends("sends_no_text", Chunk(None))  # type: ignore[arg-type]
sends("sends_negative_tokens", Chunk("a", -5))
sends("sends_half_a_token", Chunk("a", 0.5))  # type: ignore[arg-type]
sends("sends_no_count", Chunk("a", None))  # type: ignore[arg-type]
sends("sends_countless_tokens", Chunk("a", 1 << 80))
sends("sends_another_reason", Chunk("a", finish_reason="because"))  # type: ignore[arg-type]
sends("sends_a_list_as_reason", Chunk("a", finish_reason=[]))  # type: ignore[arg-type]
sends("sends_usage_that_is_none", Chunk("a", usage={"prompt_tokens": 1}))  # type: ignore[arg-type]
sends("sends_negative_usage", Chunk("a", finish_reason="stop", usage=Usage(-1, 0, 2)))
sends("sends_wrong_token_ids", Chunk("a", token_ids=(-1,)))
sends("sends_no_token_ids", Chunk("a", token_ids=None))  # type: ignore[arg-type]
sends("sends_wrong_logprobs", Chunk("a", 1, logprobs=("a",)))  # type: ignore[arg-type]
sends("sends_logprobs_without_numbers", Chunk("a", 1, logprobs=(Logprob("a", "b"),)))  # type: ignore[arg-type]
sends("sends_no_calls", Chunk("a", finish_reason="stop", calls=None))  # type: ignore[arg-type]
sends("sends_calls_that_are_none", Chunk("a", 1, calls=({"name": "f"},)))  # type: ignore[arg-type]
sends("sends_arguments_that_are_read", Chunk("a", 1, calls=(FunctionCall("1", "f", {"x": 1}),)))  # type: ignore[arg-type]
sends("sends_everything_at_once", Chunk("x" * 100_000_000, 1))
sends("sends_a_number_as_worker", Chunk("a", worker=5))  # type: ignore[arg-type]

raises("raises_key_error", KeyError("oops"))
raises("raises_panic", PanicException("index out of bounds"))
raises("raises_keyboard_interrupt", KeyboardInterrupt())
raises("raises_system_exit", SystemExit(3))
raises("raises_generator_exit", GeneratorExit())
raises("raises_cancelled", asyncio.CancelledError())
raises("raises_timeout", TimeoutError("later"))
raises("raises_group", BaseExceptionGroup("many", [KeyboardInterrupt(), ValueError()]))
raises("raises_long", ValueError("x" * 100_000_000))
raises("raises_mute", Mute())
raises("raises_unavailable_at_length", EngineUnavailable("x" * 100_000_000), "engine_unavailable")
raises("raises_full_for_ever", Overloaded("full", retry_after=1e300), "overloaded")
raises("raises_full_for_no_time", Overloaded("full", retry_after=float("inf") - float("inf")), "overloaded")


@comes_to("length")
async def goes_on(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        await asyncio.sleep(0.001)
        yield Chunk("on ", 1)


@comes_to("length")
async def goes_on_without_a_break(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        yield Chunk("on ", 1)


@comes_to("length")
async def goes_on_without_counting(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        yield Chunk("on ")


@comes_to("engine_timeout")
async def says_nothing_for_ever(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        yield Chunk()


@comes_to("engine_timeout")
async def says_nothing_now_and_then(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        await asyncio.sleep(0.5)
        yield Chunk()


@comes_to(PROTOCOL)
async def restarts_for_ever(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        yield Chunk("again", 1, restarted=True)


@comes_to("engine_timeout")
async def hangs(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("he", 1)
    await engine.free.wait()


@comes_to("engine_timeout")
async def hangs_and_does_not_listen(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("he", 1)
    while not engine.free.is_set():
        try:
            await engine.free.wait()
        except asyncio.CancelledError:
            continue


@comes_to("engine_timeout")
async def goes_on_after_it_was_cancelled(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("he", 1)
    try:
        await engine.free.wait()
    except asyncio.CancelledError:
        yield Chunk("llo", 1)
        yield LAST


@comes_to("stop")
async def never_closes(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    try:
        yield Chunk("hello", 1)
        yield LAST
    finally:
        while not engine.free.is_set():
            try:
                await engine.free.wait()
            except asyncio.CancelledError:
                continue


@comes_to("stop")
async def closes_with_an_error(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    try:
        yield Chunk("hello", 1)
        yield LAST
    finally:
        raise KeyboardInterrupt


@comes_to("stop")
async def does_not_end_after_its_end(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("hello", 1, finish_reason="stop", usage=Usage(1, 0, 1))
    while True:
        await asyncio.sleep(0)
        yield Chunk("more", 1)


@comes_to("stop")
async def sends_half_characters(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("a\ud800b\x00", 1, worker="w\udfff", reasoning="\udc00")
    yield LAST


@comes_to(PROTOCOL)
async def thinks_in_bytes(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk(reasoning=b"hm", tokens=1)  # type: ignore[arg-type]


@comes_to(PROTOCOL)
async def thinks_without_end(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    while True:
        yield Chunk(reasoning="hm " * 1_000, tokens=1)


@comes_to("engine_interrupted")
async def ends_without_a_reason(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("he", 1)


@comes_to(PROTOCOL)
async def returns_a_chunk(engine: Hostile, call: Call) -> Chunk:
    return LAST


@comes_to(PROTOCOL)
def returns_a_list(engine: Hostile, call: Call) -> list[Chunk]:
    return [LAST]


@comes_to(PROTOCOL)
def returns_none(engine: Hostile, call: Call) -> None:
    return None


@comes_to(PROTOCOL)
def raises_at_once(engine: Hostile, call: Call) -> AsyncIterator[Chunk]:
    raise SystemExit(3)


class Iterating:
    """An iterator that is no generator, and cannot be closed."""

    def __aiter__(self) -> Iterating:
        return self

    async def __anext__(self) -> Chunk:
        raise StopIteration


@comes_to(PROTOCOL)
def is_no_generator(engine: Hostile, call: Call) -> AsyncIterator[Chunk]:
    return Iterating()
