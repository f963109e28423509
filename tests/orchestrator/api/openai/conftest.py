"""OpenAI's own client, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.orchestrator.api.conftest import Api
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

QUESTION: list[Any] = [{"role": "user", "content": "What is 6 * 7?"}]

ABLE = Capabilities(
    model="acme/tiny-1",
    logprobs=True,
    guided_json=True,
    function_calls=True,
    priority=True,
    assistant_prefill=True,
    cached_token_usage=True,
)
"""What an engine can do that can do everything."""


class Asked(Simulator):
    """A simulator that keeps the calls that it was sent."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.calls: list[Call] = []
        super().__init__(*args, **options)

    async def generate(self, call: Call) -> AsyncIterator[Any]:  # type: ignore[override]
        self.calls.append(call)
        async for chunk in super().generate(call):
            yield chunk


Connect = Callable[..., openai.AsyncOpenAI]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients of an API, which try nothing twice unless told to."""
    clients: list[openai.AsyncOpenAI] = []

    def connected(api: Api, key: str = "none", **options: Any) -> openai.AsyncOpenAI:
        options.setdefault("max_retries", 0)
        client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key=key, **options)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        await client.close()
