"""A server as an engine: the OpenAI protocol, and what vLLM reports beyond it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from workers.calls import Call, Chunk
from workers.engine import Capabilities, Health
from workers.engines.openai.dialect import salt_of
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.timeouts import Timeouts
from workers.engines.vllm.kv_events import KVEndpoints, follow
from workers.errors import WorkerError
from workers.prefix.blocks import Chain
from workers.prefix.tokens import TokenBlocks, token_chain, token_root

TOKENIZE_SECONDS = 2.0
LOAD_SECONDS = 2.0


class VLLMEngine:
    """A server that somebody else runs, used for more than completions if it says that it is vLLM.

    The engine then also reports the server's load to a pool and, if it publishes KV events, which prompts it
    holds.

    Args:
        base_url: such as ``http://host:8000/v1``.
        kv_events: where the server publishes KV events; None: it does not.
        blocks: where to keep what the events say; None: an index of its own.
        model, name, api_key, headers, socket, timeouts: as for
            :class:`~workers.engines.openai.engine.OpenAIEngine`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        name: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        socket: Path | None = None,
        timeouts: Timeouts | None = None,
        kv_events: KVEndpoints | None = None,
        blocks: TokenBlocks | None = None,
    ) -> None:
        self._openai = OpenAIEngine(
            base_url,
            model=model,
            name=name,
            api_key=api_key,
            headers=headers,
            socket=socket,
            timeouts=timeouts,
        )
        self._kv_events = kv_events
        self.blocks = (TokenBlocks() if blocks is None else blocks) if kv_events is not None else None

    @property
    def name(self) -> str:
        """The name given at construction, or host and port."""
        return self._openai.name

    async def capabilities(self) -> Capabilities:
        """See :meth:`~workers.engines.openai.engine.OpenAIEngine.capabilities`."""
        return await self._openai.capabilities()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """See :meth:`~workers.engines.openai.engine.OpenAIEngine.generate`."""
        stream = self._openai.generate(call)
        try:
            async for chunk in stream:
                yield chunk
        finally:
            await stream.aclose()

    async def health(self) -> Health:
        """See :meth:`~workers.engines.openai.engine.OpenAIEngine.health`."""
        return await self._openai.health()

    async def close(self) -> None:
        """Abort the calls in flight and close all connections; the server keeps running."""
        await self._openai.close()

    async def load(self) -> tuple[int, int] | None:
        """Running and waiting calls, from the server's gauges; None if it does not report them."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                if await self._openai.kind() != "vllm":
                    return None
                text = await self._openai.text("/metrics")
        except (WorkerError, TimeoutError):
            return None
        running, waiting = gauge(text, "vllm:num_requests_running"), gauge(text, "vllm:num_requests_waiting")
        return None if running is None or waiting is None else (int(running), int(waiting))

    async def follow(self) -> None:
        """Keep ``blocks`` equal to what the server holds, until cancelled; returns if it does not publish."""
        if self._kv_events is not None and self.blocks is not None:
            await follow(self._kv_events, self.blocks)

    async def chain(self, call: Call) -> Chain:
        """The token blocks of the prompt of ``call``, as ``blocks`` names them.

        Empty if they cannot be obtained: no events yet, or a server that does not tokenise quickly.
        """
        if self.blocks is None or self.blocks.block_size is None:
            return ()
        try:
            async with asyncio.timeout(TOKENIZE_SECONDS):
                salted = (await self._openai.capabilities()).cache_salt
                tokens = await self._openai.tokens(call.prompt, call.functions)
        except (WorkerError, TimeoutError):
            return ()
        root = token_root(salt_of(call.tenant)) if salted else token_root()
        return token_chain(tokens, self.blocks.block_size, root)


def gauge(text: str, name: str) -> float | None:
    """The sum of a metric's samples over all labels in Prometheus text; None if not finite and at least 0."""
    values = []
    for line in text.splitlines():
        if line.startswith(name) and line[len(name) : len(name) + 1] in ("{", " "):
            try:
                values.append(float(line.rsplit(None, 1)[1]))
            except (ValueError, IndexError):
                return None
    # Prometheus also writes NaN and infinities.
    return sum(values) if values and 0 <= sum(values) < math.inf else None
