"""Starts vLLM servers on this machine, watches over them, and is an engine while they run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from workers.calls import Call, Chunk
from workers.engine import Capabilities, Health
from workers.engines.openai.engine import Timeouts
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints, TokenBlocks, events_supported, follow
from workers.engines.vllm.launch import Option, Recipe, free_port, is_free, visible_gpus
from workers.errors import EngineUnavailable, WorkerError
from workers.prefix.blocks import Chain

log = structlog.get_logger(__name__)

LOG_LINES = 400  # kept
LAST_LINES = 20  # of them in an error
_CAUSE = re.compile(r"^(?!.* WARNING ).*\w(Error|Exception): \S")  # warnings tell what might happen some day
_OURS = re.compile(r'"GET /(metrics|health) HTTP/')  # what we ask all the time would push the rest out
HEALTHY_SECONDS = 60.0
"""A server that ran this long before it died is restarted at once, as if for the first time."""


@dataclass(frozen=True, slots=True)
class Starting:
    """How far a start has come: seconds since the process began, and the last line that it logged."""

    server: str
    seconds: float
    line: str


def one_each(
    model: str | Path,
    *,
    tensor_parallel_size: int = 1,
    options: Mapping[str, Option] | None = None,
    python: Path | None = None,
    on_progress: Callable[[Starting], None] | None = None,
) -> tuple[VLLMServer, ...]:
    """A server for each GPU, or for each group of ``tensor_parallel_size`` GPUs; one on the CPU without GPUs.

    Raises:
        EngineUnavailable: there are fewer GPUs than a group needs.
    """
    gpus = visible_gpus()
    size = tensor_parallel_size
    if gpus and len(gpus) < size:
        raise EngineUnavailable(f"a group of {size} GPUs was asked for; there are {len(gpus)}")
    groups = [gpus[start : start + size] for start in range(0, len(gpus) - size + 1, size)] or [()]
    return tuple(
        VLLMServer(
            model,
            name=f"vllm-{number}",
            gpus=group,
            options=options,
            python=python,
            on_progress=on_progress,
        )
        for number, group in enumerate(groups)
    )


class VLLMServer:
    """A vLLM server that this object starts, restarts and stops; an :class:`~workers.engine.Engine`.

    It starts with :meth:`capabilities`. When the process dies afterwards, calls fail with
    :class:`EngineUnavailable` until it was restarted, after 1 s at first and later after up to a minute.

    Args:
        model: a directory of safetensors, or a name on the Hugging Face hub; None: the model that
            scripts/setup-vllm-cpu made.
        gpus: devices for ``CUDA_VISIBLE_DEVICES``; several make one tensor-parallel group. Empty: the CPU;
            None: the first GPU, or the CPU where there is none.
        options: vLLM's own options with underscores for dashes, such as ``{"max_model_len": 4096,
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 4}}``. They go before
            what this class sets by itself; a ``port`` or an ``api_key`` is what it talks to the server with.
        environment: further environment variables.
        python: the interpreter that has vLLM; None: see :func:`~workers.engines.vllm.launch.find_python`.
        kv_events: whether the server publishes what it caches; None: if pyzmq and msgspec are here.
        start_seconds: how long a start may take, loading the model included.
        stop_seconds: how long :meth:`drain` waits at most, and how long the server may take to end before
            it is killed.
        restarts: starts that may fail in a row after the server ran once, before it is given up.
        on_progress: told once a second how the start goes.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        name: str = "vllm",
        gpus: Sequence[str] | None = None,
        options: Mapping[str, Option] | None = None,
        environment: Mapping[str, str] | None = None,
        python: Path | None = None,
        kv_events: bool | None = None,
        timeouts: Timeouts | None = None,
        start_seconds: float = 900.0,
        stop_seconds: float = 20.0,
        restarts: int = 5,
        on_progress: Callable[[Starting], None] | None = None,
    ) -> None:
        self._name = name
        self._recipe = Recipe(
            model=None if model is None else str(model),
            gpus=None if gpus is None else tuple(gpus),
            options=dict(options or {}),
            environment=dict(environment or {}),
            python=python,
        )
        self._fixed_port = self._recipe.port
        self._timeouts = timeouts
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._restarts = restarts
        self._on_progress = on_progress
        self._publish = events_supported() if kv_events is None else kv_events
        self._blocks = TokenBlocks() if self._publish else None
        self._port = 0
        self._sockets: Path | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._engine: VLLMEngine | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None  # ends when the first start has worked or failed
        self._state = "it was not started"
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = self._closed = False

    @property
    def name(self) -> str:
        """The name given at construction."""
        return self._name

    @property
    def pid(self) -> int | None:
        """The process of the server; None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def blocks(self) -> TokenBlocks | None:
        """What the server holds, as far as it published it."""
        return self._blocks

    def last_lines(self) -> str:
        """The end of the server's log, after the first errors in it: vLLM names the cause there."""
        lines = list(self._lines)
        errors = [line for line in lines[:-LAST_LINES] if _CAUSE.search(line)]
        return "\n".join([*dict.fromkeys(errors[:3]), *lines[-LAST_LINES:]])

    async def capabilities(self) -> Capabilities:
        """Start the server if it does not run, and wait until it answers.

        Raises:
            EngineUnavailable: it did not start; the message has the last lines of its log.
        """
        if self._closed:
            raise EngineUnavailable(f"{self._name} was closed")
        if self._ready is None or (self._supervision is not None and self._supervision.done()):
            self._ready = asyncio.get_running_loop().create_future()
            self._supervision = asyncio.create_task(
                self._supervise(self._ready), name=f"{self._name} supervision"
            )
        # A caller that gives up must not stop the start for the others.
        await asyncio.wait([self._ready])
        self._ready.result()
        return await self._running().capabilities()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream a completion from the server; see :class:`~workers.engines.openai.engine.OpenAIEngine`."""
        if self._ready is None:
            await self.capabilities()
        if self._draining:
            raise EngineUnavailable(f"{self._name} is being stopped")
        stream = self._running().generate(call)
        self._calls += 1
        self._idle.clear()
        try:
            async for chunk in stream:
                yield chunk
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
            await stream.aclose()

    async def health(self) -> Health:
        """Whether the server answers; while it does not run, why."""
        try:
            return await self._running().health()
        except EngineUnavailable as error:
            return Health(False, str(error))

    async def drain(self) -> None:
        """Take no more calls; returns when those in flight have ended, or after ``stop_seconds``."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_seconds):
                await self._idle.wait()

    async def close(self) -> None:
        """Abort the calls in flight, and end the server with all its processes."""
        self._closed = True
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.wait([self._supervision])
            self._supervision = None
        if self._engine is not None:
            await self._engine.close()
            self._engine = None
        if self._sockets is not None:
            await asyncio.to_thread(shutil.rmtree, self._sockets, ignore_errors=True)
            self._sockets = None

    async def load(self) -> tuple[int, int] | None:
        """Running and waiting calls; None while the server does not tell."""
        return await self._engine.load() if self._engine is not None else None

    async def follow(self) -> None:
        """Keep ``blocks`` equal to what the server holds, until cancelled."""
        endpoints = self._endpoints()
        if endpoints is not None and self._blocks is not None:
            await follow(endpoints, self._blocks)

    async def chain(self, call: Call) -> Chain:
        """The token blocks of the prompt of ``call``, as ``blocks`` names them."""
        return await self._engine.chain(call) if self._engine is not None else ()

    def _running(self) -> VLLMEngine:
        if self._engine is None or self._state:
            raise EngineUnavailable(f"{self._name} does not run: {self._state or 'it was closed'}")
        return self._engine

    # The process

    async def _supervise(self, ready: asyncio.Future[None]) -> None:
        """Keep a server running until cancelled, or until it cannot be started any more."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                self._state = "it is starting"
                began = loop.time()
                try:
                    process, output = await self._spawn()
                    async with asyncio.TaskGroup() as group:
                        reader = group.create_task(self._read(output), name=f"{self._name} log")
                        try:
                            await self._until_healthy(process, began)
                            self._state = ""
                            if not ready.done():
                                ready.set_result(None)
                            log.info("vllm_started", server=self._name, seconds=round(loop.time() - began, 1))
                            began = loop.time()
                            status = await process.wait()
                            self._state = f"it ended with status {status}; last lines:\n{self.last_lines()}"
                        finally:
                            await self._end(process)
                            reader.cancel()
                except* WorkerError as errors:
                    self._state = "; ".join(str(error) for error in errors.exceptions)
                    if not ready.done():
                        ready.set_exception(errors.exceptions[0])
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
                ready.exception()  # a caller that left does not ask for it

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int]:
        """Start a process; returns it and the end of a pipe that it writes its log to."""
        try:
            port, command, variables = await asyncio.to_thread(self._prepare)
        except OSError as error:
            raise EngineUnavailable(f"{self._name} cannot be started: {error}") from error
        if self._engine is None or port != self._port:
            if self._engine is not None:
                await self._engine.close()
            self._port = port
            self._engine = VLLMEngine(
                f"http://127.0.0.1:{self._port}/v1",
                name=self._name,
                api_key=self._recipe.api_key,
                timeouts=self._timeouts,
                kv_events=self._endpoints(),
                blocks=self._blocks,
            )
        if self._blocks is not None:
            self._blocks.clear()
        self._lines.clear()
        try:
            # A pipe of our own: asyncio's wait() for a process with a pipe of its own waits for the pipe too,
            # and the children of a server that was killed keep that open.
            output, inlet = os.pipe()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=inlet,
                    stderr=asyncio.subprocess.STDOUT,
                    env=variables,
                    start_new_session=True,
                )
            except BaseException:
                os.close(output)
                raise
            finally:
                os.close(inlet)
        except OSError as error:
            raise EngineUnavailable(f"{self._name}: {command[0]} cannot be started: {error}") from error
        return self._process, output

    def _prepare(self) -> tuple[int, list[str], dict[str, str]]:
        """Port, command and environment of the next start. Looks at files, so it runs in a thread."""
        port = self._fixed_port or (self._port if self._port and is_free(self._port) else free_port())
        if self._publish and self._sockets is None:
            self._sockets = Path(tempfile.mkdtemp(prefix="anabranch-vllm-"))
        return port, *self._recipe.command(port, self._endpoints())

    def _endpoints(self) -> KVEndpoints | None:
        if self._sockets is None:
            return None
        return KVEndpoints(f"ipc://{self._sockets}/events", f"ipc://{self._sockets}/replay")

    async def _read(self, output: int) -> None:
        """Keep the last lines of the log, until the pipe is closed by all who write to it."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb")
        )
        rest = ""
        try:
            while data := await reader.read(65_536):
                # A progress bar rewrites its line with carriage returns; each state counts as a line.
                *lines, rest = (rest + data.decode(errors="replace")).replace("\r", "\n").split("\n")
                self._lines.extend(line.rstrip() for line in lines if line.strip() and not _OURS.search(line))
        finally:
            transport.close()

    async def _until_healthy(self, process: asyncio.subprocess.Process, began: float) -> None:
        """Wait until the server answers.

        Raises:
            EngineUnavailable: it ended, or took longer than ``start_seconds``.
        """
        loop = asyncio.get_running_loop()
        assert self._engine is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while not (await self._engine.health()).ok:
                seconds = loop.time() - began
                if self._on_progress is not None:
                    line = self._lines[-1] if self._lines else ""
                    self._on_progress(Starting(self._name, seconds, line))
                if seconds > self._start_seconds:
                    raise EngineUnavailable(
                        f"{self._name} did not start within {self._start_seconds:g} s; last lines:\n"
                        f"{self.last_lines()}"
                    )
                # The server says nowhere that it is ready: asking is the only way to find out.
                await asyncio.wait([ended], timeout=0.1 if seconds < 2 else 1.0)
                if ended.done():
                    await asyncio.sleep(0.1)  # for the rest of its log
                    raise EngineUnavailable(
                        f"{self._name} ended with status {ended.result()} while it started; last lines:\n"
                        f"{self.last_lines()}"
                    )
        finally:
            ended.cancel()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Ask the server to stop, and kill what is left of its process group."""
        try:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(self._stop_seconds):
                    await process.wait()
        except TimeoutError:
            log.warning("vllm_killed", server=self._name, seconds=self._stop_seconds)
        finally:  # also when it is closed once more meanwhile
            # The group outlives its leader when the leader was killed: the engine core is a child of it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
