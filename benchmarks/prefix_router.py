"""The peer of ``benchmarks.prefix``: vllm-router in front of servers, called by a plain client.

The client sends what the pool's engines send, and names a call's family as the session in ``X-Session-ID``,
which the policies that know sessions read; the others do not look at it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from benchmarks.peers import environment
from workers.calls import Call, Chunk
from workers.engines.vllm.machine import free_port
from workers.errors import EngineInterrupted, EngineUnavailable

ROUTER = "vllm-router==0.1.17"
POLICIES = ("cache_aware", "round_robin", "power_of_two", "sticky_least_loaded")
SESSION = "X-Session-ID"
MODEL = "simulator"


class Caller:
    """Streams chat completions from an address, each with its family as the session."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = f"{url}/chat/completions", session

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The pieces of text as they arrive.

        Raises:
            EngineUnavailable: there was no answer, or a refusal.
            EngineInterrupted: the stream ended before the completion did.
        """
        body = {
            "model": MODEL,
            "messages": call.prompt.messages(),
            "temperature": call.sampling.temperature,
            "max_tokens": call.sampling.max_tokens,
            "stream": True,
        }
        finished = False
        try:
            async with self._session.post(
                self._url, json=body, headers={SESSION: call.family or ""}
            ) as answer:
                if answer.status != 200:
                    raise EngineUnavailable(f"HTTP {answer.status}: {(await answer.text())[:200]}")
                async for line in answer.content:
                    if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
                        continue
                    for choice in json.loads(line[5:]).get("choices") or ():
                        finished = finished or choice.get("finish_reason") is not None
                        if text := (choice.get("delta") or {}).get("content"):
                            yield Chunk(text)
        except aiohttp.ClientError as error:
            raise EngineUnavailable(f"no whole answer: {error}") from error
        if not finished:
            raise EngineInterrupted("the stream ended before the completion was finished")


@asynccontextmanager
async def calling(url: str) -> AsyncGenerator[Caller, None]:
    """A caller of an address that ends with ``/v1``."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        yield Caller(url, session)


@asynccontextmanager
async def the_router(executable: Path, policy: str, ports: Sequence[int]) -> AsyncGenerator[Caller, None]:
    """vllm-router with one of its policies, in front of servers on these ports."""
    port, metrics = free_port(), free_port()
    command = ["--host", "127.0.0.1", "--port", str(port), "--policy", policy]
    command += ["--prometheus-port", str(metrics), "--log-level", "error", "--worker-urls"]
    command += [f"http://127.0.0.1:{worker}" for worker in ports]
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(str(executable), *command, stdout=nothing, stderr=nothing)
    try:
        await until_healthy(f"http://127.0.0.1:{port}/health")
        async with calling(f"http://127.0.0.1:{port}/v1") as caller:
            yield caller
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def find_router(given: Path | None) -> Path:
    """vllm-router in an environment of its own, which is made at the first use."""
    if given is not None:
        return given
    return environment("vllm-router", ROUTER) / "vllm-router"


async def until_healthy(url: str) -> None:
    """Wait until the address answers 200; TimeoutError after a minute."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
