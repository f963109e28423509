"""Holds an engine to the contract of :mod:`workers.engine`, whoever wrote it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import fields, replace
from types import AsyncGeneratorType
from typing import TypeVar, get_args

import structlog

from workers.calls import Call, Chunk, FinishReason, Logprob, Usage
from workers.contained import Escaped, Overdue, contained
from workers.engine import Capabilities, Engine, Health
from workers.errors import EngineProtocolError, EngineTimeout, WorkerError
from workers.functions import FunctionCall
from workers.redaction import redacted
from workers.showing import SAID, SHOWN, cut, raised, said, show, told, whole_characters

log = structlog.get_logger(__name__)

HEALTH_SECONDS = 3.0
"""How long an engine may take to say how it is."""

CLOSE_SECONDS = 30.0
"""How long an engine may take to close: a server that it started may need time to stop."""

TURN = 64
"""Chunks after which the event loop gets its turn, if the engine does not give it one."""

MOST_EMPTY = 10_000
"""Chunks in a row that say nothing. An engine may send them to keep a connection open."""

MOST_RESTARTS = 100
"""How often one stream may start anew."""

TOKEN_CHARACTERS = 256
"""Longer than any token: runs of blanks are the longest."""

LETTERS = 5
"""How many single characters count as a token."""

_REASONS = frozenset(get_args(FinishReason))
_SEQUENCES = (tuple, list)
_USAGE = tuple(each.name for each in fields(Usage))
_COUNT = 1 << 53  # whole numbers that JSON readers keep exact
_RETRY_SECONDS = 1.0  # where an engine names no time after which to try again

T = TypeVar("T")


class EngineGaveUp(EngineProtocolError):
    """The engine cancelled the call by itself."""

    retryable = True


def name_of(engine: Engine | None) -> str:
    """The name of an engine, for logs and errors, even if it cannot say it."""
    return cut(told(engine, lambda named: str(getattr(named, "name", "no engine"))), SHOWN)


def most_tokens(call: Call) -> int:
    """How many tokens a completion may have before it is cut off: engines do not all count alike."""
    return 2 * call.sampling.max_tokens + TURN


async def stream(engine: Engine, call: Call) -> AsyncGenerator[Chunk, None]:
    """The stream of ``call``, ended by the first chunk with a finish reason.

    A completion that goes on beyond :func:`most_tokens` is cut off there and ends with ``length``. Halves of
    surrogate pairs in texts are replaced.

    Raises:
        EngineProtocolError: the engine raised or sent something outside the contract.
        WorkerError: what the engine raised.
    """
    keeper = _Keeper(engine, call)
    chunks = keeper.begun()
    try:
        while (chunk := await keeper.next(chunks)) is not None:
            yield chunk
            if chunk.finish_reason is not None:
                if not keeper.cut:
                    await keeper.finish(chunks)
                return
    finally:
        if type(chunks) is AsyncGeneratorType or isinstance(chunks, AsyncGenerator):
            await keeper.close(chunks)


class _Keeper:
    """What is known of one stream, and what is wrong with it."""

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._call = call
        self.cut = False
        self._most = most_tokens(call)
        self._tokens = 0.0
        self._room = self._most * TOKEN_CHARACTERS
        self._empty = 0
        self._restarts = 0
        self._chunks = 0
        self._task = asyncio.current_task()
        self._cancelling = 0 if self._task is None else self._task.cancelling()

    @property
    def _name(self) -> str:
        return name_of(self._engine)

    def begun(self) -> AsyncIterator[Chunk]:
        try:
            chunks: object = self._engine.generate(self._call)
        except BaseException as error:
            raise typed(error, self._name) from error
        if type(chunks) is AsyncGeneratorType or isinstance(chunks, AsyncIterator):
            return chunks
        if isinstance(chunks, Coroutine):
            chunks.close()
        raise EngineProtocolError(
            f"{self._name} gave {show(chunks)} for a call: generate() must be an async generator"
        )

    async def next(self, chunks: AsyncIterator[Chunk]) -> Chunk | None:
        """The next chunk, as the contract has it; None at the end."""
        try:
            chunk: object = await anext(chunks)
        except StopAsyncIteration:
            return None
        except asyncio.CancelledError as error:
            if self._cancelled():
                raise
            raise EngineGaveUp(f"{self._name} gave up by itself") from error
        except BaseException as error:
            raise typed(error, self._name) from error
        if self._cancelled():
            raise asyncio.CancelledError  # the engine ignored it
        self._chunks += 1
        if self._chunks % TURN == 0:
            await asyncio.sleep(0)
        try:
            return self._measured(self._checked(chunk))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise EngineProtocolError(f"{self._name} sent {show(chunk)}: {said(error)}") from error

    async def finish(self, chunks: AsyncIterator[Chunk]) -> None:
        """Let an engine do what it does after its last chunk; whether it can no longer matters."""
        with suppress(WorkerError):  # it was logged
            if await self.next(chunks) is not None:
                log.warning("contract broken", by=self._name, error="it goes on after its last chunk")

    async def close(self, chunks: AsyncGenerator[Chunk, None]) -> None:
        """Close the stream, which aborts the call; nothing depends on how that goes."""
        try:
            await chunks.aclose()
        except asyncio.CancelledError:
            if self._cancelled():
                raise
        except BaseException as error:
            log.warning("contract broken", by=f"closing a stream of {self._name}", error=raised(error))

    def _checked(self, chunk: object) -> Chunk:
        """The chunk, if all in it is what it should be; raises ValueError or TypeError if not."""
        if not isinstance(chunk, Chunk):
            raise TypeError("a stream consists of chunks")
        if not type(chunk.text) is type(chunk.reasoning) is type(chunk.worker) is str:
            raise TypeError("text, reasoning and worker must be str")
        if not _is_count(chunk.tokens):
            raise ValueError("tokens must be a count")
        if chunk.finish_reason is not None and chunk.finish_reason not in _REASONS:
            raise ValueError(f"the finish reason must be one of {', '.join(sorted(_REASONS))}")
        if chunk.usage is not None:
            _check_usage(chunk.usage)
        if not isinstance(chunk.token_ids, _SEQUENCES):
            raise TypeError("token_ids must be a tuple")
        if chunk.token_ids and not all(map(_is_token, chunk.token_ids)):
            raise ValueError("token_ids must be unsigned 32-bit integers")
        for logprob in chunk.logprobs:
            _check_logprob(logprob)
        if chunk.calls != ():
            chunk = replace(chunk, calls=tuple(map(_checked_call, chunk.calls)))
        texts = (chunk.text, chunk.reasoning, chunk.worker)
        if not all(map(str.isascii, texts)):
            text, reasoning, worker = map(whole_characters, texts)
            if (text, reasoning, worker) != texts:
                return replace(chunk, text=text, reasoning=reasoning, worker=worker)
        return chunk

    def _measured(self, chunk: Chunk) -> Chunk:
        """The chunk, or one that ends the stream if the engine goes on beyond what was asked for."""
        if chunk.restarted:
            self._restarts += 1
            if self._restarts > MOST_RESTARTS:
                raise EngineProtocolError(f"{self._name} restarted a completion {MOST_RESTARTS} times")
            self._tokens, self._room = 0, self._most * TOKEN_CHARACTERS
        called = sum(len(each.id) + len(each.name) + len(each.arguments) for each in chunk.calls)
        characters = len(chunk.text) + len(chunk.reasoning) + called
        said_something = characters > 0 or chunk.tokens > 0
        self._empty = 0 if said_something or chunk.finish_reason else self._empty + 1
        if self._empty > MOST_EMPTY:
            raise EngineTimeout(f"{self._name} sent {MOST_EMPTY} chunks in a row with nothing in them")
        # Servers that do not count may send a token as single characters.
        self._tokens += max(chunk.tokens, characters > 0) / (LETTERS if characters == 1 else 1)
        self._room -= characters
        if self._room < 0:
            raise EngineProtocolError(
                f"{self._name} sent more than {self._most * TOKEN_CHARACTERS} characters, "
                f"for at most {self._call.sampling.max_tokens} tokens"
            )
        if self._tokens <= self._most or chunk.finish_reason is not None:
            return chunk
        log.warning(
            "contract broken", by=self._name, error=f"it does not stop at max_tokens ({self._most} came)"
        )
        self.cut = True
        usage = chunk.usage or Usage(completion_tokens=round(self._tokens))
        return replace(chunk, finish_reason="length", usage=usage)

    def _cancelled(self) -> bool:
        """Whether somebody has cancelled the task since the stream began."""
        return self._task is not None and self._task.cancelling() > self._cancelling


def typed(error: BaseException, who: str, breach: type[WorkerError] = EngineProtocolError) -> WorkerError:
    """An error as others may get it: of the tree of workers, or else a ``breach`` by ``who``, and short."""
    if isinstance(error, WorkerError) and type(error).__str__ is Exception.__str__:
        shown = redacted(said(error))
        if error.args != (shown,):
            error.args = (shown,)
        if error.retry_after is not None and not _is_time(error.retry_after):
            error.retry_after = _RETRY_SECONDS
        return error
    told_in_full = len(told(error, str)) <= SAID
    log.warning("contract broken", by=who, error=raised(error), exc_info=error if told_in_full else None)
    return breach(redacted(f"{who} raised {raised(error)}"))


async def capabilities(engine: Engine) -> Capabilities:
    """What the engine can do, once it has started. It may take as long as it needs, but not refuse to stop.

    Raises:
        WorkerError: it did not start, or its answer is no :class:`~workers.engine.Capabilities`.
    """
    name = name_of(engine)
    try:
        can = await contained(engine.capabilities, f"the start of {name}")
        _check_capabilities(can)
    except Escaped as escaped:
        raise typed(escaped.error, name) from escaped
    except Exception as error:
        raise typed(error, name) from error
    return can


async def health(engine: Engine) -> Health:
    """How the engine is. One that raises, hangs or answers anything else is not well."""
    name = name_of(engine)
    try:
        told: object = await contained(engine.health, f"the health check of {name}", seconds=HEALTH_SECONDS)
    except Overdue as overdue:
        return Health(False, str(overdue))
    except Escaped as escaped:
        return Health(False, f"its health check raised {raised(escaped.error)}")
    except Exception as error:
        return Health(False, f"its health check raised {raised(error)}")
    if not isinstance(told, Health):
        return Health(False, f"its health check gave {show(told)}")
    return Health(bool(told.ok), redacted(cut(str(told.detail), SAID)))


async def close(engine: Engine) -> None:
    """Close the engine, as far as it lets itself be closed."""
    await optional(engine.close, f"closing {name_of(engine)}", seconds=CLOSE_SECONDS, otherwise=None)


async def optional(work: Callable[[], Awaitable[T]], who: str, *, seconds: float, otherwise: T) -> T:
    """The result of something that can be done without; ``otherwise`` if it fails or takes too long."""
    try:
        return await contained(work, who, seconds=seconds)
    except (Overdue, Escaped, Exception) as error:
        log.warning("contract broken", by=who, error=raised(error))
        return otherwise


def _check_capabilities(can: object) -> None:
    if not isinstance(can, Capabilities):
        raise TypeError(f"its capabilities are {show(can)}")
    if type(can.model) is not str or len(can.model) > SAID:
        raise TypeError(f"its model is called {show(can.model)}")
    for name in ("max_model_len", "max_concurrency"):
        value = getattr(can, name)
        if value is not None and not (_is_count(value) and value > 0):
            raise ValueError(f"its {name} is {show(value)}: a number above 0, or None")


def _check_usage(usage: object) -> None:
    if not isinstance(usage, Usage):
        raise TypeError("usage must be a Usage")
    if not all(_is_count(getattr(usage, each)) for each in _USAGE):
        raise ValueError("usage must be counts")


def _check_logprob(logprob: object) -> None:
    if not isinstance(logprob, Logprob) or type(logprob.token) is not str:
        raise TypeError("logprobs must be Logprobs")
    if not isinstance(logprob.logprob, int | float):
        raise TypeError("a logprob must be a number")
    for token, number in logprob.top.items():
        if type(token) is not str or not isinstance(number, int | float):
            raise TypeError("the alternatives of a logprob must be numbers by token")


def _checked_call(call: object) -> FunctionCall:
    if not isinstance(call, FunctionCall):
        raise TypeError("calls must be FunctionCalls")
    told = (call.id, call.name, call.arguments)
    if any(type(each) is not str for each in told):
        raise TypeError("the id, the name and the arguments of a call must be str")
    return FunctionCall(*map(whole_characters, told))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _COUNT


def _is_token(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 32


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
