"""A simulator behind vLLM's HTTP interface, for benchmarks, for tests over real sockets, and for scale.

``python -m workers.engines.simulator --port 8000 --replicas 4 --decode-rate 50`` serves four, one per port;
:func:`serving` serves one inside a test. It offers chat completions and completions (streamed or whole),
the list of models, health, and metrics under vLLM's names. A client that hangs up aborts its call. Injected
faults look as they do on the wire: refusals are HTTP errors, a reset closes the connection midway, garbage
is bytes outside the protocol.

Functions are part of the prompt; calls of them stay in the text, as with a vLLM that has no parser for them.
Not offered: token ids, logprobs, guided decoding, several choices per request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count

from aiohttp import web
from pydantic import ValidationError

from workers.calls import Chunk, Usage
from workers.engines.simulator.bodies import Body
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.forms import Form
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineUnavailable,
    Overloaded,
    WorkerError,
)

_GARBAGE = b"\x00\xff this is not an event \xfe\n"
_EVENTS = {"Content-Type": "text/event-stream"}


@asynccontextmanager
async def serving(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL, which ends with ``/v1``. Port 0: a free one."""
    # Without the cancellation of handlers, a call would go on after its client hung up.
    runner = web.AppRunner(
        application(simulator), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/v1"
    finally:
        await simulator.close()
        await runner.cleanup()


def application(simulator: Simulator) -> web.Application:
    """The HTTP application. Run it with ``handler_cancellation=True``, or no call is ever aborted."""
    face = _Face(simulator)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", face.chat)
    app.router.add_post("/v1/completions", face.complete)
    app.router.add_get("/v1/models", face.models)
    app.router.add_get("/health", face.health)
    app.router.add_get("/metrics", face.metrics)
    return app


class _Face:
    """The handlers."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._numbers = count()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            body = Body.model_validate_json(await request.read())
            call = body.call(chat=chat)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            return _refusal(CallRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"), request)
        except CallRejected as error:
            return _refusal(error, request)
        form = Form(next(self._numbers), body.model, chat=chat)
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        async with aclosing(self._simulator.generate(call)) as stream:
            try:
                chunk = await anext(stream)
                if not body.stream:
                    chunks = [chunk] + [chunk async for chunk in stream]
                    return _whole(form, chunks)
            except WorkerError as error:
                return _refusal(error, request)
            if chunk.finish_reason is not None:
                return web.Response(body=_written(form, chunk, with_usage), headers=_EVENTS)
            response = web.StreamResponse(headers=_EVENTS)
            await response.prepare(request)
            try:
                await response.write(_written(form, chunk, with_usage))
                async for chunk in stream:
                    await response.write(_written(form, chunk, with_usage))
            except EngineProtocolError:
                await response.write(_GARBAGE)
            except WorkerError:
                _hang_up(request)
            except ConnectionResetError:
                pass  # the client hung up before this was written; leaving the stream aborts its call
            return response

    async def models(self, request: web.Request) -> web.Response:
        try:
            can = await self._simulator.capabilities()
        except EngineUnavailable as error:
            return _refusal(error, request)
        model = {
            "id": can.model,
            "object": "model",
            "owned_by": "vllm",
            "max_model_len": can.max_model_len,
        }
        return web.json_response({"object": "list", "data": [model]})

    async def health(self, _request: web.Request) -> web.Response:
        health = await self._simulator.health()
        return web.Response(status=200 if health.ok else 503, text=health.detail)

    async def metrics(self, _request: web.Request) -> web.Response:
        now = self._simulator.counters()
        cached = now.prompt_tokens_total - now.prompt_tokens_computed
        lines = [
            f"vllm:num_requests_running {now.in_flight}",
            f"vllm:num_requests_waiting {now.waiting}",
            f"vllm:prompt_tokens_total {now.prompt_tokens_total}",
            f"vllm:generation_tokens_total {now.completion_tokens}",
            f"vllm:prefix_cache_queries_total {now.prompt_tokens_total}",
            f"vllm:prefix_cache_hits_total {cached}",
            f'vllm:request_success_total{{finished_reason="stop"}} {now.finished}',
            f'vllm:request_success_total{{finished_reason="abort"}} {now.aborted}',
        ]
        return web.Response(text="\n".join(lines) + "\n")


def _written(form: Form, chunk: Chunk, with_usage: bool) -> bytes:
    event = form.event(chunk.text, chunk.finish_reason)
    if chunk.finish_reason is not None:
        if with_usage and chunk.usage is not None:
            event += form.usage_event(chunk.usage)
        event += "data: [DONE]\n\n"
    return event.encode()


def _whole(form: Form, chunks: Sequence[Chunk]) -> web.Response:
    last = chunks[-1]
    text = "".join(chunk.text for chunk in chunks)
    answer = form.whole(text, last.finish_reason, last.usage or Usage())
    return web.Response(body=answer.encode(), content_type="application/json")


def _refusal(error: WorkerError, request: web.Request) -> web.Response:
    """The response to an error before anything was sent, as vLLM gives it."""
    if isinstance(error, EngineProtocolError):
        return web.Response(body=_GARBAGE, headers=_EVENTS)
    if isinstance(error, EngineInterrupted):
        _hang_up(request)
    headers = {"Retry-After": f"{error.retry_after:g}"} if isinstance(error, Overloaded) else None
    status = 500 if isinstance(error, EngineUnavailable) else error.http_status
    said = {"message": str(error), "type": type(error).__name__, "code": status}
    return web.json_response({"error": said}, status=status, headers=headers)


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
