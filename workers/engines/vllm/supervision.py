"""Starts a server on this machine, watches over it, and starts it again when it dies."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from workers.engines.openai.timeouts import Timeouts
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints
from workers.engines.vllm.launch import Place, Recipe
from workers.engines.vllm.log import ServerLog
from workers.engines.vllm.machine import free_port, is_free
from workers.engines.vllm.process import end, spawn
from workers.errors import EngineUnavailable, WorkerError
from workers.prefix.tokens import TokenBlocks
from workers.showing import raised

log = structlog.get_logger(__name__)

HEALTHY_SECONDS = 60.0
"""A server that ran this long before it died is restarted as if it had never failed before."""

_SOCKET_BYTES = 100
"""The longest path of a socket; 104 bytes on macOS, 108 on Linux, an end mark included."""


@dataclass(frozen=True, slots=True)
class Starting:
    """How far a start has come: seconds since the process began, and the last line that it logged."""

    server: str
    seconds: float
    line: str


class Supervision:
    """Keeps one server running from :meth:`start` to :meth:`stop`.

    Args:
        name: of the server.
        recipe: what it is started with.
        timeouts: for the phases of calls to it.
        publish: whether it publishes what it caches.
        start_seconds, stop_seconds, restarts, on_progress: as for ``VLLMServer``.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        *,
        timeouts: Timeouts | None,
        publish: bool,
        start_seconds: float,
        stop_seconds: float,
        restarts: int,
        on_progress: Callable[[Starting], None] | None,
    ) -> None:
        self.log = ServerLog(recipe.api_key)
        self.blocks = TokenBlocks() if publish else None
        self.engine: VLLMEngine | None = None
        self.recipe = recipe
        self._name = name
        self._timeouts = timeouts
        self._publish = publish
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._restarts = restarts
        self._on_progress = on_progress
        self._place: Place | None = None
        self._sockets: Path | None = None
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None  # done when the first start has worked or failed
        self._state = "it was not started"
        self._stopped = False

    @property
    def begun(self) -> bool:
        """Whether it was ever started."""
        return self._ready is not None

    @property
    def pid(self) -> int | None:
        """The process id of the server; None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the server if it is not running, and wait until it answers.

        Raises:
            EngineUnavailable: it did not start; the message has the last lines of its log.
        """
        if self._stopped:
            raise EngineUnavailable(f"{self._name} was closed")
        if self._ready is None or (self._task is not None and self._task.done()):
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._supervise(self._ready), name=f"{self._name} supervision")
        # A caller that gives up must not stop the start for the others.
        await asyncio.wait([self._ready])
        self._ready.result()

    async def stop(self) -> None:
        """Abort the calls in flight, and end the server with all its processes."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self.engine is not None:
            await self.engine.close()
            self.engine = None
        if self._sockets is not None:
            await asyncio.to_thread(shutil.rmtree, self._sockets, ignore_errors=True)
            self._sockets = None

    def running(self) -> VLLMEngine:
        """The server as an engine.

        Raises:
            EngineUnavailable: it is not running; the message says why.
        """
        if self.engine is None or self._state:
            raise EngineUnavailable(f"{self._name} does not run: {self._state or 'it was closed'}")
        return self.engine

    def endpoints(self) -> KVEndpoints | None:
        """Where the server publishes what it caches; None while it does not."""
        if self._sockets is None or not self._publish:
            return None
        return KVEndpoints(f"ipc://{self._sockets}/events", f"ipc://{self._sockets}/replay")

    async def _supervise(self, ready: asyncio.Future[None]) -> None:
        """Keep a server running until cancelled, or until it can no longer be started."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                self._state = "it is starting"
                began = loop.time()
                try:
                    process, output = await self._spawn()
                    async with asyncio.TaskGroup() as group:
                        reader = group.create_task(self.log.read(output), name=f"{self._name} log")
                        try:
                            await self._until_healthy(process, began)
                            self._state = ""
                            if not ready.done():
                                ready.set_result(None)
                            log.info("vllm_started", server=self._name, seconds=round(loop.time() - began, 1))
                            began = loop.time()
                            status = await process.wait()
                            self._state = (
                                f"it ended with status {status}; last lines:\n{self.log.last_lines()}"
                            )
                        finally:
                            await end(process, self._name, self._stop_seconds)
                            reader.cancel()
                except* WorkerError as errors:
                    self._state = "; ".join(str(error) for error in errors.exceptions)
                    if not ready.done():
                        ready.set_exception(errors.exceptions[0])
                except* Exception as errors:  # what comes of a bug, or of who wants to know how it is going
                    log.exception("vllm_supervision_failed", server=self._name)
                    self._state = f"its supervision failed: {raised(errors.exceptions[0])}"
                    if not ready.done():
                        ready.set_exception(EngineUnavailable(f"{self._name} was not started: {self._state}"))
                if ready.exception() is not None:
                    return
                failures = 0 if loop.time() - began > HEALTHY_SECONDS else failures + 1
                log.warning("vllm_died", server=self._name, state=self._state[:500], failures=failures)
                if failures > self._restarts:
                    return
                await asyncio.sleep(min(60.0, 2.0 ** (failures - 1)))
        finally:
            if not ready.done():
                ready.set_exception(EngineUnavailable(f"{self._name} was closed while it started"))
                ready.exception()  # counts as retrieved: a caller that left will not ask

    async def _spawn(self) -> tuple[Process, int]:
        """Start a process; returns it and the read end of a pipe that it writes its log to."""
        try:
            place, command, variables = await asyncio.to_thread(self._prepare)
        except OSError as error:
            raise EngineUnavailable(f"{self._name} cannot be started: {error}") from error
        if self.engine is None or place != self._place:
            if self.engine is not None:
                await self.engine.close()
            self._place = place
            self.engine = VLLMEngine(
                f"http://127.0.0.1:{place.port}/v1" if place.socket is None else "http://localhost/v1",
                name=self._name,
                api_key=place.key,
                socket=place.socket,
                timeouts=self._timeouts,
                kv_events=self.endpoints(),
                blocks=self.blocks,
            )
        if self.blocks is not None:
            self.blocks.clear()
        self.log.clear()
        self.log.key = place.key
        try:
            self._process, output = await spawn(command, variables)
        except OSError as error:
            raise EngineUnavailable(f"{self._name}: {command[0]} cannot be started: {error}") from error
        return self._process, output

    def _prepare(self) -> tuple[Place, list[str], dict[str, str]]:
        """Place, command and environment of the next start. Looks at files, so it runs in a thread."""
        if self._sockets is None:
            self._sockets = _private_directory()
        place = self._next_place()
        return place, *self.recipe.command(place, self.endpoints())

    def _next_place(self) -> Place:
        """A socket that only this user can reach, else a port with a key: never a port for everybody."""
        recipe, key = self.recipe, self.recipe.api_key
        socket = recipe.socket
        if socket is None and self._sockets is not None and recipe.takes_sockets():
            socket = self._sockets / "http"
        if socket is not None:
            socket.unlink(missing_ok=True)  # a server that was killed leaves it behind
            return Place(socket, 0, key)
        port = recipe.port
        if port is None:
            last = self._place.port if self._place is not None else 0
            port = last if last and is_free(last) else free_port()
        return Place(None, port, key or secrets.token_urlsafe(32))

    async def _until_healthy(self, process: Process, began: float) -> None:
        """Wait until the server answers.

        Raises:
            EngineUnavailable: it ended, or took longer than ``start_seconds``.
        """
        loop = asyncio.get_running_loop()
        assert self.engine is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while not await _answers(self.engine):
                seconds = loop.time() - began
                if self._on_progress is not None:
                    self._on_progress(Starting(self._name, seconds, self.log.latest))
                if seconds > self._start_seconds:
                    raise EngineUnavailable(
                        f"{self._name} did not start within {self._start_seconds:g} s; last lines:\n"
                        f"{self.log.last_lines()}"
                    )
                # The server says nowhere that it is ready: asking is the only way to find out.
                await asyncio.wait([ended], timeout=0.1 if seconds < 2 else 1.0)
                if ended.done():
                    await asyncio.sleep(0.1)  # for the rest of its log
                    raise EngineUnavailable(
                        f"{self._name} ended with status {ended.result()} while it started; last lines:\n"
                        f"{self.log.last_lines()}"
                    )
        finally:
            ended.cancel()


def _private_directory() -> Path | None:
    """A new directory for sockets that nobody else may enter; None if all paths are too long for sockets."""
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - it gets a name that nobody can foresee
        if len(os.fsencode(parent)) + len("/anabranch-vllm-12345678/replay") <= _SOCKET_BYTES:
            return Path(tempfile.mkdtemp(prefix="anabranch-vllm-", dir=parent))
    return None


async def _answers(engine: VLLMEngine) -> bool:
    """Whether the server was asked for its health, and is well."""
    health = await engine.health()
    return health.ok and not health.detail
