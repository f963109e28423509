"""Requests to a llama.cpp server over HTTP: tokens, completions, and the states of its slots."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from workers.calls import Logprob
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    EngineUnavailable,
    WorkerError,
)

SILENCE_SECONDS = 120.0
CONNECT_SECONDS = 10.0
HEALTH_SECONDS = 5.0
LINE_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Timing:
    """What a completion took: prompt tokens found in the slot, prompt tokens computed, and tokens drawn.

    ``reached`` is what ended it: ``eos``, ``word`` (a stop string) or ``limit``.
    """

    cached: int
    computed: int
    drawn: int
    reached: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a completion. ``prompt_done`` is how many tokens of the prompt the slot holds so far."""

    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    prompt_done: int | None = None
    timing: Timing | None = None


class LlamaClient:
    """Talks to the server at ``address`` with its ``key``, from one event loop.

    All methods raise a ``WorkerError`` and nothing else: CallRejected if the server refuses something,
    EngineUnavailable, EngineInterrupted, EngineTimeout or EngineProtocolError if something goes wrong.
    """

    def __init__(self, address: str, key: str) -> None:
        self._session = aiohttp.ClientSession(
            address,
            headers={"Authorization": f"Bearer {key}"},
            # The server closes a connection after a stream; reusing one would race with that.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
            ),
            read_bufsize=LINE_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections; completions in flight are interrupted."""
        await self._session.close()

    async def slot_context(self) -> int:
        """How many tokens a slot has room for."""
        settings = (await self._ask("GET", "/props"))["default_generation_settings"]
        return int(settings["n_ctx"])

    async def check(self) -> None:
        """Return if the server answers, raise if it does not."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._ask("GET", "/health")
        except TimeoutError:
            raise EngineTimeout(f"llama.cpp did not answer within {HEALTH_SECONDS:.0f} s") from None

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[int]:
        """The tokens of a conversation under the model's chat template, ready for the assistant's answer.

        ``tools`` are what it may call; where a template does not provide for them, llama.cpp words them.
        """
        offered = {"tools": list(tools)} if tools else {}
        templated = await self._ask("POST", "/apply-template", messages=list(messages), **offered)
        return await self._tokens(content=templated["prompt"], add_special=True, parse_special=True)

    async def text(self, text: str) -> list[int]:
        """The tokens of a text within a prompt, without special tokens at its start."""
        return await self._tokens(content=text, add_special=False, parse_special=False)

    async def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell."""
        return str((await self._ask("POST", "/detokenize", tokens=list(tokens)))["content"])

    async def _tokens(self, **body: object) -> list[int]:
        tokens = (await self._ask("POST", "/tokenize", **body))["tokens"]
        if not isinstance(tokens, list):
            raise EngineProtocolError(f"/tokenize answered {str(tokens)[:200]}")
        return tokens

    async def save(self, slot: int, place: str) -> int:
        """Save the state of a slot; returns its size in bytes."""
        return int((await self._ask("POST", f"/slots/{slot}?action=save", filename=place))["n_written"])

    async def restore(self, slot: int, place: str) -> None:
        """Overwrite the state of a slot with a saved one."""
        await self._ask("POST", f"/slots/{slot}?action=restore", filename=place)

    async def complete(
        self, slot: int, tokens: Sequence[int], max_tokens: int, options: Mapping[str, object]
    ) -> AsyncGenerator[Piece]:
        """Continue a prompt on a slot; the last piece has the timing. Closing the generator aborts the work.

        With ``max_tokens`` 0, only the prompt is computed. The server notices that nobody is listening when
        it writes: after each token and, because it has to report progress, after each batch of the prompt.
        """
        body = {
            **options,
            "prompt": tokens,
            "id_slot": slot,
            "n_predict": max_tokens,
            "cache_prompt": True,
            "stream": True,
            "return_progress": True,
            "return_tokens": True,
            # Otherwise the last event repeats the whole prompt.
            "response_fields": ["content", "tokens", "timings", "stop", "stop_type", "tokens_predicted"],
        }
        with _typed_errors():
            response = await self._session.post("/completion", json=body)
            try:
                await _raise_for_status(response)
                async for line in response.content:
                    if line.startswith(b"data: "):
                        piece = _piece(line[6:])
                        yield piece
                        if piece.timing is not None:
                            return
                    elif line.strip():
                        raise EngineProtocolError(f"llama.cpp reports {line[:300].decode(errors='replace')}")
            finally:
                response.close()
            raise EngineInterrupted("llama.cpp ended a completion without its last event")

    async def _ask(self, method: str, path: str, **body: object) -> dict[str, Any]:
        with _typed_errors():
            async with self._session.request(method, path, json=body or None) as response:
                await _raise_for_status(response)
                answer = await response.json()
        if not isinstance(answer, dict):
            raise EngineProtocolError(f"{path} answered {str(answer)[:200]}")
        return answer


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except WorkerError:
        raise
    except TimeoutError as error:
        raise EngineTimeout(f"llama.cpp sent nothing for {SILENCE_SECONDS:.0f} s") from error
    except aiohttp.ClientConnectorError as error:
        raise EngineUnavailable(f"llama.cpp cannot be reached: {error}") from error
    except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: the session is closed
        raise EngineInterrupted(f"llama.cpp broke off: {str(error) or type(error).__name__}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineProtocolError(f"llama.cpp gave an unexpected answer: {error!r}") from error


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    text = await response.text(errors="replace")
    try:
        message = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = text
    if response.status == 400:
        raise CallRejected(f"llama.cpp refused the call: {message[:500]}")
    if response.status == 503:
        raise EngineUnavailable(f"llama.cpp is not ready: {message[:500]}")
    raise EngineProtocolError(f"llama.cpp answered HTTP {response.status}: {message[:500]}")


def _piece(data: bytes) -> Piece:
    event = json.loads(data)
    if "error" in event:
        raise EngineProtocolError(f"llama.cpp reports {str(event['error'])[:300]}")
    if "prompt_progress" in event:
        return Piece(prompt_done=event["prompt_progress"]["processed"])
    if not event["stop"]:
        logprobs = tuple(_logprob(each) for each in event.get("completion_probabilities", ()))
        return Piece(event["content"], tuple(event["tokens"]), logprobs)
    timings = event["timings"]
    timing = Timing(timings["cache_n"], timings["prompt_n"], event["tokens_predicted"], event["stop_type"])
    return Piece(event["content"], tuple(event["tokens"]), timing=timing)


def _logprob(entry: Mapping[str, Any]) -> Logprob:
    top = {other["token"]: _number(other["logprob"]) for other in entry["top_logprobs"]}
    return Logprob(entry["token"], _number(entry["logprob"]), top)


def _number(logprob: float | None) -> float:
    return -math.inf if logprob is None else logprob  # JSON has no infinity
