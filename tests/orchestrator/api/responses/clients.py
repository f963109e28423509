"""OpenAI's own client, for the tests of the Responses API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.orchestrator.api.conftest import Api


@asynccontextmanager
async def client(api: Api, key: str = "none", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """A client of OpenAI's for this API, which tries nothing again."""
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{api.port}/v1", api_key=key, max_retries=0, **options
    ) as made:
        yield made
