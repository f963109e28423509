"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama-server, hosted services."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import aiohttp
from yarl import URL

from workers.calls import Call, Chunk, Prompt
from workers.engine import Capabilities, Health
from workers.engines.openai.addresses import read_address
from workers.engines.openai.answers import garbage
from workers.engines.openai.caching import headers_tell
from workers.engines.openai.dialect import Dialect
from workers.engines.openai.events import LINE_LIMIT
from workers.engines.openai.http import Transport
from workers.engines.openai.parameters import ParametersRefused, tell_refused
from workers.engines.openai.probing import find
from workers.engines.openai.rest import framed, read_rest
from workers.engines.openai.stops import StopStrings
from workers.engines.openai.stream import CompletionStream
from workers.engines.openai.timeouts import Patience, Timeouts
from workers.engines.openai.tokenizer import ServerTokenizer
from workers.engines.prompt_tokens import PromptTokens
from workers.errors import (
    AccessRefused,
    CapabilityMissing,
    EngineUnavailable,
    ProcessExhausted,
    QuotaExhausted,
    WorkerError,
)
from workers.functions import Function

_HEALTH = 5.0  # seconds
_TOKEN_BYTES = 1 << 14  # of a stream for each token, with all its alternatives; beyond that, it is a flood


class OpenAIEngine:
    """One OpenAI-compatible server as an engine.

    Prompts go to ``/chat/completions`` and are streamed. One that ends with an assistant's text whose tokens
    are known goes to ``/completions`` as tokens, if the server can take them. What the server can do beyond
    the common protocol is probed once, with ten to twenty tiny requests, when it is first needed.

    Args:
        base_url: such as ``http://host:8000/v1``. Where nothing is found at the path, it is tried with
            ``/v1`` at its end, or without. A query is sent with every request.
        model: as the server names it, or the last part of that name; None: the first that it lists.
        name: for logs and traces; None: host and port.
        api_key: None: from the environment variable ``api_key_env``; sent only if there is one.
        api_key_env: the variable that holds the key, also named in errors about it.
        headers: further ones for every request.
        socket: a Unix domain socket on which the server listens; the host in ``base_url`` is then only a
            name.
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
        headers: Mapping[str, str] | None = None,
        socket: Path | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        address = read_address(base_url)
        key = api_key if api_key is not None else os.environ.get(api_key_env)
        if key and address.base.user is not None:
            raise ValueError("base_url contains a user, and there is a key too: only one of them can be sent")
        self._name = name or f"{address.base.host}:{address.base.port}"
        self._model = model
        self._http = Transport(
            self._name,
            address,
            key=key,
            key_env=api_key_env,
            headers=headers,
            socket=socket,
            timeouts=timeouts or Timeouts(),
        )
        self._dialect: Dialect | None = None
        self._tokens: PromptTokens | None = None
        self._probing: asyncio.Task[Dialect] | None = None

    @property
    def name(self) -> str:
        """The name given at construction, or host and port."""
        return self._name

    @property
    def root(self) -> URL:
        """The address without ``/v1``."""
        return self._http.address.root

    async def capabilities(self) -> Capabilities:
        """Probe the server on first use. Concurrent callers share one probe; a failure is not remembered."""
        return (await self._understand()).remaining

    async def kind(self) -> str:
        """What the server calls itself, such as ``vllm``; empty if it does not say. Probed on first use."""
        return (await self._understand()).owner

    async def tokens(self, prompt: Prompt, functions: tuple[Function, ...] = ()) -> Sequence[int]:
        """The tokens that the server computes for ``prompt``, with the functions that the call offers.

        Servers other than vLLM may not report them.

        Raises:
            WorkerError: they cannot be obtained.
        """
        return await self._tokens_of(await self._understand()).of(prompt, functions)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream a completion. Text that arrived at once comes as one chunk.

        Raises:
            EngineUnavailable: the server refuses connections, or cannot be found.
            EngineFailed: it answered with an error of its own (5xx), or not at all.
            EngineTimeout: a phase took too long; the message names the phase and the seconds.
            EngineInterrupted: the connection broke, or nothing came.
            EngineProtocolError: the server sent something outside the protocol.
            CallRejected: the server refused the call.
            AccessRefused: it refused the key, or asks for one.
            QuotaExhausted: the account has nothing left.
            ModelUnavailable: it does not have the model, or offers no completions at this address (404).
            Overloaded: the server has no room (429, 503).
            CapabilityMissing: the prompt ends with an assistant's text, and the server cannot continue that;
                or the server refuses a parameter on which the completion depends.
        """
        with self._http.discreet():
            http, dialect = self._http, await self._understand()
            while True:
                response, patience, dialect, body = await self._accepted(call, dialect)
                stops = StopStrings(call.sampling.stop if "stop" in dialect.refused else ())
                stream = CompletionStream(self._name, call.sampling.top_logprobs or 0, body)
                stream.cached = headers_tell(response.headers)
                events, room = 0, LINE_LIMIT + call.sampling.max_tokens * _TOKEN_BYTES
                try:
                    while not stream.ended and not stops.found:
                        data = b"" if stream.done else await http.read(response, patience)
                        if not data:
                            stream.end(whole=stream.done or framed(response))
                            break
                        room -= len(data)
                        if room < 0:
                            raise garbage(f"far too much for {call.sampling.max_tokens} tokens", data)
                        stream.feed(data)
                        if stream.events > events:
                            events = stream.events
                            patience.progress()
                            self._learn(dialect.refused)
                        if (chunk := stream.take()) is not None:
                            yield stops.cut(chunk)
                            patience.progress()
                    if not stops.found:
                        await read_rest(response, stream, room)
                    yield stops.end(stream.last("stop" if stops.found else None))
                except ParametersRefused as error:  # by a server that begins to answer all the same
                    if stream.total:
                        raise
                    refusal = error
                else:
                    self._learn(dialect.refused)
                    return
                finally:
                    # Closes the connection, which aborts the call at the server, unless the response was read
                    # to its end: then the connection has already gone back to the pool.
                    response.close()
                dialect = await self._without(refusal, call, dialect)

    async def health(self) -> Health:
        """Ask ``/health``, or for the list of models if there is no such path.

        A server that this process has no means to ask counts as healthy, and so does one that refuses our
        account; the detail says that.
        """
        try:
            with self._http.discreet():
                await self._check()
        except ProcessExhausted as error:
            return Health(ok=True, detail=f"not asked: {error}")
        except WorkerError as error:
            return Health(ok=isinstance(error, AccessRefused | QuotaExhausted), detail=str(error))
        return Health(ok=True)

    async def text(self, path: str) -> str:
        """What the server has at ``path``, which begins with a slash if it is not below ``/v1``.

        Raises:
            WorkerError: it cannot be had, or is longer than any answer should be.
        """
        return await self._http.text(path)

    async def close(self) -> None:
        """Abort the calls in flight and close all connections; later calls are refused."""
        self._http.abandon()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        await self._http.close()

    async def _check(self) -> None:
        """Return if the server is healthy; raises a WorkerError if not."""
        patience = self._http.begin(Timeouts(total=_HEALTH))
        for path in ("/health", "models"):
            response = await self._http.send("GET", self._http.address.at(path), None, patience)
            try:
                if response.status < (300 if self._dialect is None else 500):
                    return  # one that has answered before may have nothing there, or show it to nobody
                refusal = await self._http.refusal(response, patience)
            finally:
                response.close()
            if response.status not in (404, 405):
                break
        raise refusal

    async def _understand(self) -> Dialect:
        """Learn the dialect once. The probe outlives callers that leave, as others may be waiting for it."""
        if self._dialect is None:
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(find(self._http, self._model, self._name))
                self._probing.add_done_callback(_mark_retrieved)
            probing = self._probing
            await asyncio.wait([probing])
            if probing.cancelled():
                raise EngineUnavailable(f"{self._name} was closed")
            self._dialect = probing.result()
        return self._dialect

    async def _accepted(
        self, call: Call, dialect: Dialect
    ) -> tuple[aiohttp.ClientResponse, Patience, Dialect, Mapping[str, object]]:
        """Send a call, once more after each refusal of a parameter that it can do without.

        Returns the response, and the dialect and the body that were accepted.
        """
        http = self._http
        while True:
            path, body = await self._request(dialect, call)
            await call.permitted()
            patience = http.begin(http.timeouts)
            data = json.dumps(body).encode()
            traced = None if call.traceparent is None else {"traceparent": call.traceparent}
            response = await http.send("POST", http.address.at(path), data, patience, call.permit, traced)
            if response.status == 200:
                return response, patience, dialect, body
            try:
                error = await http.refusal(response, patience, body)
            finally:
                response.close()
            if not isinstance(error, ParametersRefused):
                raise error
            dialect = await self._without(error, call, dialect)

    async def _without(self, error: ParametersRefused, call: Call, dialect: Dialect) -> Dialect:
        """The dialect in which to send ``call`` again; raises ``error`` if it would be the same request."""
        changed = dialect.refusing(error.names)
        try:
            if await self._request(changed, call) == await self._request(dialect, call):
                raise error
        except CapabilityMissing:
            self._learn(error.names)
            raise
        return changed

    def _learn(self, refused: frozenset[str]) -> None:
        """Remember what was refused, once the server has answered a call without it."""
        assert self._dialect is not None
        if new := refused - self._dialect.refused:
            tell_refused(self._name, new)
            self._dialect = self._dialect.refusing(new)

    async def _request(self, dialect: Dialect, call: Call) -> tuple[str, dict[str, object]]:
        """Where to send ``call``, and what."""
        if dialect.capabilities.token_ids_in and (
            tokens := await self._tokens_of(dialect).continued(call.prompt, call.functions)
        ):
            return "completions", dialect.plain_request(call, tokens)
        return "chat/completions", dialect.request(call)

    def _tokens_of(self, dialect: Dialect) -> PromptTokens:
        if self._tokens is None:
            self._tokens = PromptTokens(ServerTokenizer(self._http.ask, dialect.capabilities.model))
        return self._tokens


def _mark_retrieved(probing: asyncio.Task[Dialect]) -> None:
    """Keep the loop from reporting the failure of a probe whose callers have all left."""
    if not probing.cancelled():
        probing.exception()
