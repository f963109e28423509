"""A simulated engine server that misbehaves when a prompt says so, as a process.

A prompt with ``<<marker>>`` gets the misbehaviour of that name; all others, and what a pool asks to find out
what the server can do, get a proper answer. It listens on many ports: good calls go to the first, as do those
misbehaviours that are no failure of the server; each of the others has one of its own, like another server.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from benchmarks.hostile import good
from workers.calls import Call
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import application

SECONDS = 0.6
"""How long a call of a good task takes, or so."""

MODEL_LENGTH = 32_768
_MARKER = re.compile(r"<<(\w+)>>")


class Wire:
    """The response to one request, to be written as a misbehaviour likes."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

    async def write(self, data: bytes) -> None:
        """These bytes, after the head of the response."""
        if not self.response.prepared:
            await self.response.prepare(self.request)
        await self.response.write(data)

    async def event(self, content: object, **more: object) -> None:
        """An event with a piece of text, or with what is in its place."""
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": None, **more}
        await self.data({"choices": [choice]})

    async def data(self, value: object) -> None:
        """An event with this JSON."""
        await self.write(f"data: {json.dumps(value)}\n\n".encode())

    async def usage(self, prompt: object, completion: object) -> None:
        """The event that has the usage."""
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": completion}
        await self.data({"choices": [], "usage": counts})

    async def done(self) -> None:
        """The end of a proper stream."""
        await self.event("", finish_reason="stop")
        await self.write(b"data: [DONE]\n\n")

    def hang_up(self) -> None:
        """Reset the connection."""
        if self.request.transport is not None:
            self.request.transport.abort()


Misbehaviour = Callable[[Wire], Awaitable[web.StreamResponse | None]]
BY_NAME: dict[str, Misbehaviour] = {}
FAILURES: list[str] = []
"""Those that look like a failing server, which a pool rightly leaves alone for a while. Each is the role of a
server of its own, so that they do not hide each other."""


def misbehaviour(*, failure: bool) -> Callable[[Misbehaviour], Misbehaviour]:
    """Collect one."""

    def declare(function: Misbehaviour) -> Misbehaviour:
        name: str = getattr(function, "__name__", "")
        BY_NAME[name] = function
        if failure:
            FAILURES.append(name)
        return function

    return declare


@misbehaviour(failure=False)
async def beyond_max_tokens(wire: Wire) -> None:
    """Says far more than it was allowed to."""
    for _ in range(100_000):
        await wire.event("more ")
    await wire.done()


@misbehaviour(failure=False)
async def never_ends(wire: Wire) -> None:
    """Says a word now and then, for ever."""
    while True:
        await wire.event("word ")
        await asyncio.sleep(0.05)


@misbehaviour(failure=False)
async def slow(wire: Wire) -> None:
    """Takes its time, and ends well."""
    for _ in range(8):
        await wire.event("slow ")
        await asyncio.sleep(0.5)
    await wire.done()


@misbehaviour(failure=False)
async def finishes_twice(wire: Wire) -> None:
    """Ends, goes on, and ends again."""
    await wire.event("once", finish_reason="stop")
    await wire.event("twice", finish_reason="length")
    await wire.event("thrice")
    await wire.done()


@misbehaviour(failure=False)
async def negative_usage(wire: Wire) -> None:
    """Reports fewer tokens than none."""
    await wire.event("text")
    await wire.event("", finish_reason="stop")
    await wire.usage(-1000, -7)
    await wire.done()


@misbehaviour(failure=False)
async def huge_usage(wire: Wire) -> None:
    """Reports more tokens than a column holds."""
    await wire.event("text")
    await wire.event("", finish_reason="stop")
    await wire.usage(10**30, 10**400)
    await wire.done()


@misbehaviour(failure=False)
async def half_characters(wire: Wire) -> None:
    """Text that is no UTF-8 once it is decoded, and a NUL."""
    await wire.event("half \ud800 and \0")
    await wire.done()


@misbehaviour(failure=False)
async def comments(wire: Wire) -> None:
    """Sends comments for ever, and no event."""
    while True:
        await wire.write(b": still here\n\n")
        await asyncio.sleep(0.02)


@misbehaviour(failure=True)
async def garbage(wire: Wire) -> None:
    """Bytes outside the protocol, in the middle."""
    await wire.event("text")
    await wire.write(b"\x00\xff this is not an event \xfe\n")


@misbehaviour(failure=True)
async def wrong_json(wire: Wire) -> None:
    """JSON that breaks off, and JSON that is nested without an end."""
    await wire.write(b"data: " + b'{"choices": [' * 50_000 + b"\n\n")


@misbehaviour(failure=True)
async def wrong_types(wire: Wire) -> None:
    """Events of the right form with the wrong types."""
    await wire.event(42, finish_reason=["stop"], logprobs="none")
    await wire.data({"choices": {"delta": "text"}, "usage": [1, 2]})
    await wire.done()


@misbehaviour(failure=True)
async def huge_line(wire: Wire) -> None:
    """A line without an end."""
    while True:
        await wire.write(b"data: " + b"x" * 1_000_000)


@misbehaviour(failure=True)
async def bomb(wire: Wire) -> None:
    """A hundred kilobytes that unpack to a hundred megabytes."""
    wire.response.headers["Content-Encoding"] = "gzip"
    packing = zlib.compressobj(9, wbits=31)
    await wire.write(packing.compress(b": " + b"x" * 100_000_000) + packing.flush())


@misbehaviour(failure=True)
async def error_500(wire: Wire) -> web.StreamResponse:
    """An internal error."""
    return web.json_response({"error": {"message": "it broke", "code": 500}}, status=500)


@misbehaviour(failure=True)
async def unauthorized(wire: Wire) -> web.StreamResponse:
    """Refuses the key, and quotes it."""
    key = wire.request.headers.get("Authorization", "none")
    message = f"Incorrect API key provided: {key}"
    return web.json_response({"error": {"message": message, "code": "invalid_api_key"}}, status=401)


@misbehaviour(failure=True)
async def resets(wire: Wire) -> None:
    """Resets the connection in the middle."""
    await wire.event("text")
    wire.hang_up()


@misbehaviour(failure=True)
async def no_finish(wire: Wire) -> None:
    """Ends the stream before the completion."""
    await wire.event("text")


@misbehaviour(failure=True)
async def hangs(wire: Wire) -> None:
    """Sends nothing."""
    await asyncio.sleep(3600)


@misbehaviour(failure=True)
async def hangs_midway(wire: Wire) -> None:
    """Sends one word, and then nothing."""
    await wire.event("text")
    await asyncio.sleep(3600)


REFUSED = "refused"
"""The role of an engine at whose address nobody listens; not a misbehaviour of the server."""


# -- the server ---------------------------------------------------------------------------------------


def _prompt(body: object) -> str:
    """The last message of a request, if it is a chat."""
    match body:
        case {"messages": [*_, {"content": str(content)}]}:
            return content
    return ""


@web.middleware
async def marked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the calls of good tasks take their time, and misbehave where the prompt says so."""
    if request.method != "POST":
        return await handler(request)
    body: Any = json.loads(await request.read())
    prompt = _prompt(body)
    if (found := _MARKER.search(prompt[:200])) is not None:
        wire = Wire(request)
        try:
            answer = await BY_NAME[found[1]](wire)
        except ConnectionError:  # it was left, as it should be
            answer = None
        return answer or wire.response
    if good.takes_time(prompt[:1000]):
        await asyncio.sleep(SECONDS * random.lognormvariate(0.0, 0.3))
    return await handler(request)


def _answer(call: Call, rng: random.Random) -> str:
    return good.completion(call.prompt.messages()[-1]["content"][:1000])


def unheard() -> socket.socket:
    """A socket with a port of its own that refuses connections."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


async def main() -> None:
    """Serve until killed; prints the ports: for good calls, for each failure, and one that refuses."""
    runners = []
    for _ in ("good", *FAILURES):
        served = application(Simulator(_answer, max_model_len=MODEL_LENGTH))
        served.middlewares.append(marked)
        runner = web.AppRunner(served, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
    with unheard() as nobody:
        print(*(runner.addresses[0][1] for runner in runners), nobody.getsockname()[1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
