"""The service of this process for the client at its pipes, opened when something is first asked of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

from orchestrator.engines import OnProgress
from orchestrator.errors import translated
from orchestrator.mcp.asking import Asked, Context, run_here
from orchestrator.tasks.service import Service
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress

Open = Callable[[OnProgress], AbstractAsyncContextManager[Service]]
"""Opens a service that tells with what progress its engine gets ready."""

LATELY_SECONDS = 15.0


class Local:
    """A door to one service, which whoever comes in may use as they like: they have started the process.

    The service is closed with ``closing``.
    """

    def __init__(self, open_service: Open, closing: AsyncExitStack) -> None:
        self._open = open_service
        self._closing = closing
        self._service: Service | None = None
        self._opening = asyncio.Lock()
        self._prepared = ""
        self._prepared_at = -math.inf

    @property
    def preparing(self) -> str:
        """What the engine was last said to do, if that was lately: nothing tells when it is ready."""
        return self._prepared if time.monotonic() < self._prepared_at + LATELY_SECONDS else ""

    async def enter(self, context: Context) -> Asked:
        """The service. The first call opens it, or one after a failure. Raises AnabranchError."""
        async with self._opening:
            if self._service is None:
                with translated():
                    self._service = await self._closing.enter_async_context(self._open(self._prepare))
        return Asked(service=self._service, run=partial(run_here, self._service))

    def _prepare(self, progress: Progress | Starting) -> None:
        self._prepared_at = time.monotonic()
        if isinstance(progress, Starting):
            self._prepared = f"starting {progress.server}: {progress.seconds:.0f} s"
        else:
            arrived = f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB"
            self._prepared = f"fetching the model from {progress.source}: {arrived}"
