"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama-server, hosted services."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence

from yarl import URL

from workers.calls import Call, Chunk, Prompt
from workers.engine import Capabilities, Health
from workers.engines.openai.answers import garbage
from workers.engines.openai.caching import headers_tell
from workers.engines.openai.dialect import Dialect
from workers.engines.openai.http import Transport, drain
from workers.engines.openai.probing import probe
from workers.engines.openai.stream import LINE_LIMIT, CompletionStream
from workers.engines.openai.timeouts import Timeouts
from workers.engines.openai.tokenizer import ServerTokenizer
from workers.engines.prompt_tokens import PromptTokens
from workers.errors import EngineInterrupted, EngineUnavailable, ProcessExhausted, WorkerError
from workers.redaction import redacted

_HEALTH = 5.0  # seconds
_TOKEN_BYTES = 1 << 14  # of a stream for each token, with all its alternatives; beyond that, it is a flood


class OpenAIEngine:
    """One OpenAI-compatible server as an engine.

    Prompts go to ``/chat/completions`` and are streamed. One that ends with an assistant's text whose tokens
    are known goes to ``/completions`` as tokens, if the server can take them. What the server can do beyond
    the common protocol is probed once, with about fifteen tiny requests, when it is first needed.

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
            raise ValueError(
                f"base_url is {redacted(base_url)!r}: give something like http://127.0.0.1:8000/v1"
            )
        path = url.path.rstrip("/") or "/v1"
        key = api_key if api_key is not None else os.environ.get(api_key_env)
        if key and url.user is not None:
            raise ValueError("base_url contains a user, and there is a key too: only one of them can be sent")
        self.root = url.with_path(path.removesuffix("/v1"))
        """The address without ``/v1``."""
        self._name = name or f"{url.host}:{url.port}"
        self._model = model
        self._http = Transport(
            self._name,
            url.with_path(path),
            self.root,
            key=key,
            key_env=api_key_env,
            timeouts=timeouts or Timeouts(),
        )
        self._dialect: Dialect | None = None
        self._tokens: PromptTokens | None = None
        self._probing: asyncio.Task[Dialect] | None = None

    @property
    def name(self) -> str:
        """The name given at construction, or host and port."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """Probe the server on first use. Concurrent callers share one probe; a failure is not remembered."""
        return (await self._understand()).capabilities

    async def kind(self) -> str:
        """What the server calls itself, such as ``vllm``; empty if it does not say. Probed on first use."""
        return (await self._understand()).owner

    async def tokens(self, prompt: Prompt) -> Sequence[int]:
        """The tokens that the server computes for ``prompt``. Servers other than vLLM may not report them.

        Raises:
            WorkerError: they cannot be obtained.
        """
        return await self._tokens_of(await self._understand()).of(prompt)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream a completion. Text that arrived at once comes as one chunk.

        Raises:
            EngineUnavailable: the server refuses connections, cannot be found, or fails (5xx).
            EngineTimeout: a phase took too long; the message names the phase and the seconds.
            EngineInterrupted: the stream ended before the completion did.
            EngineProtocolError: the server sent something outside the protocol.
            CallRejected: the server refused the call.
            AccessRefused: it refused the key, or asks for one.
            ModelUnavailable: it does not have the model, or offers no completions at this address (404).
            Overloaded: the server has no room (429, 503).
            CapabilityMissing: the prompt ends with an assistant's text, and the server cannot continue that.
        """
        with self._http.discreet():
            dialect = self._dialect or await self._understand()
            path, body = await self._request(dialect, call)
            http = self._http
            await call.permitted()
            patience = http.begin(http.timeouts)
            response = await http.send(
                "POST", http.base.joinpath(path), json.dumps(body).encode(), patience, call.permit
            )
            try:
                if response.status != 200:
                    raise await http.refusal(response, patience)
                stream = CompletionStream(self._name, call.sampling.top_logprobs or 0)
                stream.cached = headers_tell(response.headers)
                events, room = 0, LINE_LIMIT + call.sampling.max_tokens * _TOKEN_BYTES
                while not stream.done:
                    data = await http.read(response, patience)
                    if not data:
                        stream.end()
                        break
                    room -= len(data)
                    if room < 0:
                        raise garbage(f"far too much for {call.sampling.max_tokens} tokens", data)
                    stream.feed(data)
                    if stream.events > events:
                        events = stream.events
                        patience.progress()
                    if stream.finish_reason is None and (chunk := stream.take()) is not None:
                        yield chunk
                        patience.progress()
                if stream.finish_reason is None:
                    raise EngineInterrupted(
                        f"{self._name} ended the stream before the completion was finished"
                    )
                await drain(response)
                yield stream.last(stream.finish_reason)
            finally:
                # Closes the connection, which aborts the call at the server, unless the response was read to
                # its end: then the connection has already gone back to the pool.
                response.close()

    async def health(self) -> Health:
        """Ask ``/health``, or for the list of models if there is no such path.

        A server that this process has no means to ask counts as healthy; the detail says that.
        """
        try:
            with self._http.discreet():
                await self._check()
        except ProcessExhausted as error:
            return Health(ok=True, detail=f"not asked: {error}")
        except WorkerError as error:
            return Health(ok=False, detail=str(error))
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
        for url in (self.root / "health", self._http.base / "models"):
            response = await self._http.send("GET", url, None, patience)
            try:
                if response.status < 300:
                    return
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
                self._probing = asyncio.create_task(probe(self._http.ask, self._model, self._name))
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
            self._tokens = PromptTokens(ServerTokenizer(self._http.ask, dialect.capabilities.model))
        return self._tokens


def _mark_retrieved(probing: asyncio.Task[Dialect]) -> None:
    """Keep the loop from reporting the failure of a probe whose callers have all left."""
    if not probing.cancelled():
        probing.exception()
