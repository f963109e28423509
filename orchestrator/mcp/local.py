"""What answers the client at the pipes of this process, opened when something is first asked of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from orchestrator.engines import OnProgress
from orchestrator.errors import translated
from orchestrator.mcp.asking import Answering, Asked, Context
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress

Open = Callable[[OnProgress], AbstractAsyncContextManager[Answering]]
"""Opens what answers, and has told with what progress its engine gets ready."""

LATELY_SECONDS = 15.0


class Local:
    """A door to one solver, which whoever comes in may use as they like: they have started the process.

    It is closed with ``closing``.
    """

    def __init__(self, open_service: Open, closing: AsyncExitStack) -> None:
        self._open = open_service
        self._closing = closing
        self._solver: Answering | None = None
        self._opening = asyncio.Lock()
        self._prepared = ""
        self._prepared_at = -math.inf

    @property
    def preparing(self) -> str:
        """What the engine was last said to do, if that was lately: nothing tells when it is ready."""
        return self._prepared if time.monotonic() < self._prepared_at + LATELY_SECONDS else ""

    async def enter(self, context: Context) -> Asked:
        """The solver. The first call opens it, or one after a failure. Raises AnabranchError."""
        async with self._opening:
            if self._solver is None:
                with translated():
                    self._solver = await self._closing.enter_async_context(self._open(self._prepare))
        return Asked(solver=self._solver)

    def _prepare(self, progress: Progress | Starting) -> None:
        self._prepared_at = time.monotonic()
        if isinstance(progress, Starting):
            self._prepared = f"starting {progress.server}: {progress.seconds:.0f} s"
        else:
            arrived = f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB"
            self._prepared = f"fetching the model from {progress.source}: {arrived}"
