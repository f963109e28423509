"""The embedded engine on a small model, started once for all tests that ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from workers.engines.llama.engine import LlamaCppEngine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama() -> AsyncIterator[LlamaCppEngine]:
    """SmolLM2 on four slots; tests that use it run in the session's event loop."""
    engine = LlamaCppEngine("smollm2-135m", slots=4, context=1024)
    await engine.capabilities()
    yield engine
    await engine.close()
