"""A simulator behind vLLM's HTTP interface, for benchmarks, for tests over real sockets, and for scale.

``python -m workers.engines.simulator --port 8000 --replicas 4 --decode-rate 50`` serves four, one a port;
:func:`serving` serves one inside a test. There are chat completions and completions (streamed or whole),
the list of models, health, and metrics under vLLM's names. A client that hangs up aborts its call. Injected
faults take the form that they have on the wire: refusals are HTTP errors, a reset closes the connection
in the middle, garbage is bytes that are not the protocol.

Not there: token ids, logprobs, guided decoding, several choices a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from workers.calls import Call, Chunk, Prompt, Role, Sampling, Segment, Usage
from workers.engines.simulator.engine import CostModel, Fault, Outage, Simulator
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
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "assistant": "assistant",
}


@asynccontextmanager
async def serving(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; gives the base URL, which ends with ``/v1``. Port 0: a free one."""
    # Without the cancellation of handlers a call would go on after its client hung up.
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
    """The HTTP application. Run it with ``handler_cancellation=True``, else no call is ever aborted."""
    face = _Face(simulator)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", face.chat)
    app.router.add_post("/v1/completions", face.complete)
    app.router.add_get("/v1/models", face.models)
    app.router.add_get("/health", face.health)
    app.router.add_get("/metrics", face.metrics)
    return app


class _Part(BaseModel):
    text: str


class _Message(BaseModel):
    role: str
    content: str | list[_Part]

    def segment(self) -> Segment:
        if self.role not in _ROLES:
            raise CallRejected(f"unknown role {self.role!r}: give one of {', '.join(_ROLES)}")
        text = self.content if isinstance(self.content, str) else "".join(p.text for p in self.content)
        return Segment(_ROLES[self.role], text)


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Body(BaseModel):
    """A request, in the fields that mean something here; others are ignored."""

    model: str = ""
    messages: list[_Message] = []
    prompt: str = ""
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    priority: int = 0
    cache_salt: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    continue_final_message: bool = False

    def call(self, *, chat: bool) -> Call:
        if chat:
            segments = [message.segment() for message in self.messages]
            if segments and segments[-1].role == "assistant" and not self.continue_final_message:
                segments.append(Segment("user", ""))  # the message is finished, so another one begins
        else:
            segments = [Segment("user", self.prompt)]
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Call(
            Prompt(tuple(segments)),
            Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_tokens or 1024,
                stop=tuple(stop),
                seed=self.seed,
            ),
            priority=-self.priority,  # vLLM runs small numbers first
            tenant=self.cache_salt or "",
        )


class _Form:
    """How the answers to one request are written."""

    def __init__(self, number: int, model: str, *, chat: bool) -> None:
        self._chat = chat
        kind = "chat.completion" if chat else "text_completion"
        rest = f'"created":{int(time.time())},"model":{json.dumps(model)}'
        self._whole = f'{{"id":"{kind}-{number}","object":"{kind}",{rest}'
        self._piece = self._whole.replace(f'"{kind}",', f'"{kind}.chunk",') if chat else self._whole

    def event(self, text: str, reason: str | None) -> str:
        return f"data: {self._piece},{self._choices('delta', text, reason)}}}\n\n"

    def usage_event(self, usage: Usage) -> str:
        return f'data: {self._piece},"choices":[],{_usage_field(usage)}}}\n\n'

    def whole(self, text: str, reason: str | None, usage: Usage) -> str:
        return f"{self._whole},{self._choices('message', text, reason)},{_usage_field(usage)}}}"

    def _choices(self, field: str, text: str, reason: str | None) -> str:
        said = json.dumps(text)
        content = f'"{field}":{{"role":"assistant","content":{said}}}' if self._chat else f'"text":{said}'
        return f'"choices":[{{"index":0,{content},"logprobs":null,"finish_reason":{json.dumps(reason)}}}]'


def _usage_field(usage: Usage) -> str:
    return (
        f'"usage":{{"prompt_tokens":{usage.prompt_tokens},"completion_tokens":{usage.completion_tokens},'
        f'"total_tokens":{usage.prompt_tokens + usage.completion_tokens},'
        f'"prompt_tokens_details":{{"cached_tokens":{usage.cached_tokens}}}}}'
    )


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
            body = _Body.model_validate_json(await request.read())
            call = body.call(chat=chat)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            return _refusal(CallRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"), request)
        except CallRejected as error:
            return _refusal(error, request)
        form = _Form(next(self._numbers), body.model, chat=chat)
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


def _written(form: _Form, chunk: Chunk, with_usage: bool) -> bytes:
    event = form.event(chunk.text, chunk.finish_reason)
    if chunk.finish_reason is not None:
        if with_usage and chunk.usage is not None:
            event += form.usage_event(chunk.usage)
        event += "data: [DONE]\n\n"
    return event.encode()


def _whole(form: _Form, chunks: Sequence[Chunk]) -> web.Response:
    last = chunks[-1]
    text = "".join(chunk.text for chunk in chunks)
    answer = form.whole(text, last.finish_reason, last.usage or Usage())
    return web.Response(body=answer.encode(), content_type="application/json")


def _refusal(error: WorkerError, request: web.Request) -> web.Response:
    """An error before anything was sent, as vLLM answers it."""
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


async def _serve(simulators: Sequence[Simulator], host: str, port: int) -> None:
    async with AsyncExitStack() as stack:
        for number, simulator in enumerate(simulators):
            url = await stack.enter_async_context(
                serving(simulator, host=host, port=port + number if port else 0)
            )
            sys.stdout.write(f"{simulator.name} at {url}\n")
            sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.engines.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="of the first replica; 0: free ports")
    parser.add_argument("--replicas", type=int, default=1, help="simulators on consecutive ports")
    parser.add_argument("--model", default="simulator")
    parser.add_argument("--answer", default="ok", help="what every call gets")
    parser.add_argument("--answers", type=Path, help="JSON file: a list (script) or an object (by question)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--prefill-rate", type=float, default=math.inf, help="tokens/s")
    parser.add_argument("--decode-rate", type=float, default=math.inf, help="tokens/s of one call")
    parser.add_argument("--jitter", type=float, default=0.0, help="sigma of a lognormal factor")
    parser.add_argument("--max-concurrency", type=int)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--cache-blocks", type=int, default=16_384)
    parser.add_argument("--no-share-in-flight", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--fault", type=json.loads, action="append", default=[], help='such as \'{"kind": "reset"}\''
    )
    parser.add_argument(
        "--outage", type=json.loads, action="append", default=[], help='such as \'{"at": 5, "seconds": 2}\''
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    given = _arguments(argv)
    answers = given.answer if given.answers is None else json.loads(given.answers.read_text())
    simulators = [
        Simulator(
            answers,
            name=f"{given.model}-{number}",
            model=given.model,
            cost=CostModel(
                latency=given.latency,
                prefill_tokens_per_s=given.prefill_rate,
                decode_tokens_per_s=given.decode_rate,
                jitter=given.jitter,
            ),
            max_concurrency=given.max_concurrency,
            max_model_len=given.max_model_len,
            cache_blocks=given.cache_blocks,
            share_in_flight=not given.no_share_in_flight,
            faults=[Fault(**fault) for fault in given.fault],
            outages=[Outage(**outage) for outage in given.outage],
            seed=given.seed + number,
        )
        for number in range(given.replicas)
    ]
    try:
        asyncio.run(_serve(simulators, given.host, given.port))
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")
