"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama-server, hosted services."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from email.utils import parsedate_to_datetime
from weakref import WeakSet

import aiohttp
from yarl import URL

from workers.calls import Call, Chunk, Prompt
from workers.engine import Capabilities, Health
from workers.engines.openai.dialect import Dialect, ServerTokenizer, probe
from workers.engines.openai.stream import QUOTE, CompletionStream, garbage, server_message
from workers.engines.prompt_tokens import PromptTokens
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    EngineUnavailable,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)

_BODY_LIMIT = 4 << 20  # bytes of an answer that is not a stream
_ERROR_LIMIT = 1 << 16  # bytes of an error page
_KEEP_ALIVE = 4.0  # seconds; uvicorn, under most of these servers, closes idle connections after 5
_DRAIN = 0.5  # seconds to wait for the end of a response whose content is complete
_HEALTH = 5.0  # seconds
_LISTING = 10.0  # seconds for the list of models
_RETRY_AFTER = 1.0  # seconds, where an overloaded server does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each phase of a call may take, in seconds.

    ``first_token`` runs from sending the call, so it covers the server's queue and the prefill.
    ``between_tokens`` runs from one event of the stream to the next; comments and parts of an event do not
    count as progress. The time in which a slow reader does not ask for more counts for ``total`` alone.
    """

    connect: float = 5.0
    first_token: float = 300.0
    between_tokens: float = 60.0
    total: float = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not (0 < seconds < math.inf):
                raise ValueError(f"the timeout {field.name} is {seconds}: give a finite number above 0")


class OpenAIEngine:
    """One OpenAI-compatible server as an engine.

    Prompts go to ``/chat/completions`` as streams. One that ends with an assistant's text whose tokens are
    known goes to ``/completions`` as tokens, where the server can. What the server can do beyond the common
    protocol is probed once, with about fifteen tiny requests, when it is first needed.

    Args:
        base_url: such as ``http://host:8000/v1``; without a path, ``/v1`` is assumed.
        model: as the server names it; None: the first that it lists.
        name: for logs and traces; None: host and port.
        api_key: None: from the environment variable ``api_key_env``; sent only if there is one.
        api_key_env: the variable that holds the key, also named in errors about it.
        timeouts: for each phase of a call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        name: str | None = None,
        api_key: str | None = None,
        api_key_env: str = "ANABRANCH_API_KEY",
        timeouts: Timeouts | None = None,
    ) -> None:
        url = URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"base_url is {base_url!r}: give something like http://127.0.0.1:8000/v1")
        path = url.path.rstrip("/") or "/v1"
        self._base = url.with_path(path)
        self.root = url.with_path(path.removesuffix("/v1"))
        """The address beside ``/v1``."""
        self._name = name or f"{url.host}:{url.port}"
        self._model = model
        self._key = api_key if api_key is not None else os.environ.get(api_key_env)
        self._key_env = api_key_env
        if self._key and url.user is not None:
            raise ValueError("base_url has a user in it, and there is a key: only one of them can be sent")
        self._timeouts = timeouts or Timeouts()
        self._session: aiohttp.ClientSession | None = None
        self._dialect: Dialect | None = None
        self._tokens: PromptTokens | None = None
        self._probing: asyncio.Task[Dialect] | None = None
        self._in_flight: WeakSet[_Patience] = WeakSet()
        self._closed = False

    @property
    def name(self) -> str:
        """The name given at construction, or host and port."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """Probe the server at the first use. Concurrent callers share one probe; a failure is not kept."""
        return (await self._understand()).capabilities

    async def kind(self) -> str:
        """What the server calls itself, as ``vllm``; empty if it does not say. Probes it as above."""
        return (await self._understand()).owner

    async def tokens(self, prompt: Prompt) -> Sequence[int]:
        """The tokens that the server computes for ``prompt``. Servers other than vLLM may not tell.

        Raises:
            WorkerError: they cannot be had.
        """
        return await self._tokens_of(await self._understand()).of(prompt)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream a completion. All text that arrived at once comes as one chunk.

        Raises:
            EngineUnavailable: the server refuses connections, cannot be found, or fails (5xx).
            EngineTimeout: a phase took too long; the message names the phase and the seconds.
            EngineInterrupted: the stream ended before the completion did.
            EngineProtocolError: the server sent something else than the protocol.
            CallRejected: the server refused the call.
            AccessRefused: it refused the key, or asks for one.
            ModelUnavailable: it does not have the model, or no completions at this address (404).
            Overloaded: the server has no room (429, 503).
            CapabilityMissing: the prompt ends with an assistant's text, and the server cannot continue that.
        """
        dialect = self._dialect or await self._understand()
        path, body = await self._request(dialect, call)
        patience = self._begin(self._timeouts)
        response = await self._send("POST", self._base.joinpath(path), json.dumps(body).encode(), patience)
        try:
            if response.status != 200:
                raise await self._refusal(response, patience)
            stream = CompletionStream(self._name, call.sampling.top_logprobs or 0)
            events = 0
            while not stream.done:
                data = await self._read(response, patience)
                if not data:
                    stream.end()
                    break
                stream.feed(data)
                if stream.events > events:
                    events = stream.events
                    patience.progress()
                if stream.finish_reason is None and (chunk := stream.take()) is not None:
                    yield chunk
                    patience.progress()
            if stream.finish_reason is None:
                raise EngineInterrupted(f"{self._name} ended the stream before the completion was finished")
            await _drain(response)
            yield stream.last(stream.finish_reason)
        finally:
            # Closes the connection, which aborts the call at the server, unless the response was read to
            # its end: then the connection went back to the pool already.
            response.close()

    async def health(self) -> Health:
        """Ask ``/health``, or for the list of models where there is no such path."""
        try:
            patience = self._begin(Timeouts(total=_HEALTH))
            for url in (self.root / "health", self._base / "models"):
                response = await self._send("GET", url, None, patience)
                try:
                    if response.status < 300:
                        break
                    refusal = await self._refusal(response, patience)
                finally:
                    response.close()
                if response.status not in (404, 405):
                    raise refusal
            else:
                raise refusal
        except WorkerError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True)

    async def close(self) -> None:
        """Abort the calls in flight and close all connections; later calls are refused."""
        self._closed = True
        # Closing the session does not wake those who read from its connections.
        for patience in self._in_flight:
            patience.abandon()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if self._session is not None:
            await self._session.close()

    async def _understand(self) -> Dialect:
        """Learn the dialect once. The probe outlives callers that leave, as others may wait for it."""
        if self._dialect is None:
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(probe(self._ask, self._model, self._name))
                self._probing.add_done_callback(_mark_retrieved)
            probing = self._probing
            await asyncio.wait([probing])
            if probing.cancelled():
                raise EngineUnavailable(f"{self._name} was closed")
            self._dialect = probing.result()
        return self._dialect

    async def _request(self, dialect: Dialect, call: Call) -> tuple[str, dict[str, object]]:
        """Where to send ``call``, and what."""
        if dialect.capabilities.token_ids_in and (
            tokens := await self._tokens_of(dialect).continued(call.prompt)
        ):
            return "completions", dialect.plain_request(call, tokens)
        return "chat/completions", dialect.request(call)

    def _tokens_of(self, dialect: Dialect) -> PromptTokens:
        if self._tokens is None:
            self._tokens = PromptTokens(ServerTokenizer(self._ask, dialect.capabilities.model))
        return self._tokens

    async def _ask(self, path: str, body: Mapping[str, object] | None) -> object:
        """One request that is not streamed; see :data:`workers.engines.openai.dialect.Ask`."""
        timeouts = self._timeouts
        if body is None:  # a list of models is not computed: a server that takes long for it hangs
            timeouts = replace(timeouts, first_token=min(_LISTING, timeouts.first_token))
        patience = self._begin(timeouts)
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        above = self.root if path.startswith("/") else self._base
        response = await self._send(method, above.joinpath(path.removeprefix("/")), data, patience)
        try:
            if response.status != 200:
                raise await self._refusal(response, patience)
            answer = await self._body(response, _BODY_LIMIT, patience)
        finally:
            response.close()
        if len(answer) > _BODY_LIMIT:
            raise garbage(f"an answer of more than {_BODY_LIMIT} bytes", answer[:_ERROR_LIMIT])
        try:
            return json.loads(answer.decode())
        except (ValueError, RecursionError) as error:
            raise garbage("an answer that is not JSON in UTF-8", answer[:_ERROR_LIMIT]) from error

    def _begin(self, timeouts: Timeouts) -> _Patience:
        if self._closed:
            raise EngineUnavailable(f"{self._name} was closed")
        patience = _Patience(self._name, timeouts)
        self._in_flight.add(patience)
        return patience

    async def _send(
        self, method: str, url: URL, data: bytes | None, patience: _Patience
    ) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of the response.

        Servers close idle connections without a word, so a request can meet one that is gone. If a
        connection breaks before anything came back, the request is sent once more.
        """
        if self._session is None:
            self._session = self._open()
        repeated = False
        while True:
            try:
                async with patience.wait():
                    return await self._session.request(method, url, data=data, allow_redirects=False)
            except aiohttp.ConnectionTimeoutError as error:
                raise EngineTimeout(
                    f"{self._name} did not accept a connection within {self._timeouts.connect:g} s (connect)"
                ) from error
            except TimeoutError:
                raise patience.expired() from None
            except aiohttp.ClientConnectionError as error:
                if repeated or self._closed or isinstance(error, aiohttp.ClientConnectorError):
                    raise EngineUnavailable(f"{self._name} cannot be reached: {error}") from error
                repeated = True
            except aiohttp.ClientError as error:
                raise garbage(f"{self._name} does not answer in HTTP", str(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
        )

    async def _read(self, response: aiohttp.ClientResponse, patience: _Patience) -> bytes:
        """The next bytes of a body; none at its end."""
        try:
            async with patience.wait():
                return await response.content.readany()
        except TimeoutError:
            raise patience.expired() from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineInterrupted(f"{self._name} broke off its answer: {error}") from error

    async def _body(self, response: aiohttp.ClientResponse, limit: int, patience: _Patience) -> bytes:
        """The body, or its beginning if it is longer than ``limit`` bytes."""
        body = bytearray()
        while len(body) <= limit and (data := await self._read(response, patience)):
            body += data
        return bytes(body)

    async def _refusal(self, response: aiohttp.ClientResponse, patience: _Patience) -> WorkerError:
        """The error that a response stands for."""
        status = response.status
        body = await self._body(response, _ERROR_LIMIT, patience)
        try:
            message = server_message(json.loads(body.decode()))
        except (ValueError, RecursionError):
            message = None
        said = f"{self._name} answered HTTP {status}"
        reason = message if message is not None else repr(body.decode(errors="replace")[:QUOTE])
        if status in (401, 403):
            wrong = "was refused" if self._key else "is missing"
            return AccessRefused(f"{said}: the key {wrong}; set {self._key_env}. The server says: {reason}")
        if status in (429, 503):
            return Overloaded(f"{said}: {reason}", retry_after=_retry_after(response))
        if status >= 500 or status in (408, 425):
            return EngineUnavailable(f"{said}: {reason}")
        if status == 404 and message is not None:
            return ModelUnavailable(f"{said}: {reason}")
        if status >= 400 and message is not None:
            return CallRejected(f"{said}: {reason}")
        if 300 <= status < 400:
            where = response.headers.get("Location", "nowhere")
            return EngineProtocolError(f"{said} and leads to {where}: give the address of the server itself")
        return garbage(f"{said}, which is not the protocol", body)


class _Patience:
    """How long to wait in the phase that a call is in."""

    def __init__(self, name: str, timeouts: Timeouts) -> None:
        self._clock = asyncio.get_running_loop().time
        self._name = name
        self._timeouts = timeouts
        self._phase, self._seconds = "first token", timeouts.first_token
        now = self._clock()
        self._until = now + timeouts.first_token
        self._end = now + timeouts.total
        self._wait: asyncio.Timeout | None = None
        self._abandoned = False

    def wait(self) -> asyncio.Timeout:
        """A context in which to wait as long as the phase allows. It raises TimeoutError."""
        self._wait = asyncio.timeout_at(min(self._until, self._end))
        return self._wait

    def progress(self) -> None:
        """An event came, or the reader came back for more: the time between tokens begins."""
        self._phase, self._seconds = "between tokens", self._timeouts.between_tokens
        self._until = self._clock() + self._seconds

    def abandon(self) -> None:
        """End the wait that goes on, and all later ones, because the engine is closed."""
        self._abandoned = True
        self._end = 0.0
        if self._wait is not None:
            with suppress(RuntimeError):  # that wait is over
                self._wait.reschedule(0.0)

    def expired(self) -> EngineTimeout | EngineUnavailable | EngineInterrupted:
        """The error that says why a wait ended."""
        if self._abandoned:
            kind = EngineUnavailable if self._phase == "first token" else EngineInterrupted
            return kind(f"{self._name} was closed")
        if self._end < self._until:
            self._phase, self._seconds = "total", self._timeouts.total
        return EngineTimeout(f"{self._name} took more than {self._seconds:g} s ({self._phase})")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what is left of a response that has said all, so that its connection can be used again."""
    if response.content.is_eof():
        return
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN):
            while await response.content.readany():
                pass


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds from the header ``Retry-After``, which is a number or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return _RETRY_AFTER
    return max(0.0, seconds) if math.isfinite(seconds) else _RETRY_AFTER


def _mark_retrieved(probing: asyncio.Task[Dialect]) -> None:
    """Keep the loop from reporting the failure of a probe whose callers all left."""
    if not probing.cancelled():
        probing.exception()
