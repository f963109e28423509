"""The processes: ``anabranch serve``, started again whenever it ends, and the simulated engine server."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.hostile import engines, planners, tools
from benchmarks.hostile.good import good, probe

ROOT = Path(__file__).parents[2]
SECRET = "sk-hostile-0123456789abcdef"  # noqa: S105 -- of a server that asks for none
LEASE_SECONDS = 5.0
CALL_SECONDS = 20.0
STUCK_SECONDS = LEASE_SECONDS / 3  # as by default
MAX_ATTEMPTS = 10  # processes are killed far more often here than where five deaths make a task suspect
MOST_MEMORY = 4 << 30
"""Bytes of address space of one process, so that one without bounds does not take the machine down."""

_libc = ctypes.CDLL(None)
_ON_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass
class Life:
    """One process from its start to its end, by ``time.time``; ``name`` is that of its log file."""

    name: str
    pid: int
    started: float
    answered: float | None = None
    ended: float | None = None
    killed: bool = False
    memory: list[tuple[float, int]] = field(default_factory=list)


class Slot:
    """A place for one process at a time, with an address of its own."""

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.lives: list[Life] = []
        self.process: asyncio.subprocess.Process | None = None

    @property
    def life(self) -> Life | None:
        """The life of the process that answers now; None if there is none."""
        last = self.lives[-1] if self.lives else None
        return last if last is not None and last.answered is not None and last.ended is None else None

    def name_at(self, at: float) -> str:
        """The name of the process that ran here at that time."""
        return next((life.name for life in reversed(self.lives) if life.started <= at), self.url)

    def was_up(self, start: float, end: float) -> bool:
        """Whether one process answered requests during all of that time."""
        return any(
            life.answered is not None
            and life.answered <= start
            and (life.ended is None or life.ended > end + 0.5)
            for life in self.lives
        )


class Crew:
    """Processes that serve, each started again as soon as it ends.

    Args:
        database, engine: what they work on, as settings have it.
        count: how many.
        logs: a directory for what they write, and for the entry points of planners and tools.
    """

    def __init__(self, database: str, engine: str, count: int, logs: Path) -> None:
        self._database = database
        self._engine = engine
        self._logs = logs
        self._entry_points = installed(logs / "entry-points")
        self.slots = [Slot(number, port) for number, port in enumerate(free_ports(count))]
        self.kills = 0
        self.exits: Counter[int] = Counter()
        """How often processes ended by themselves, by exit code; negative: by a signal."""
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep them running while the block runs; then drain them."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(slot)) for slot in self.slots]
            sampling = group.create_task(self._sample_memory())
            try:
                yield
            finally:
                self._stopping = True
                sampling.cancel()
                await self._stop(keepers)

    async def ready(self) -> None:
        """Return when all of them say that they can take tasks."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(120):
            for slot in self.slots:
                while await _status(session, f"{slot.url}/healthz") != 200:  # noqa: ASYNC110 -- another process
                    await asyncio.sleep(0.1)

    async def kill(self, number: int) -> None:
        """SIGKILL for the process of a slot, as soon as it has one that answers."""
        slot = self.slots[number]
        while slot.life is None or slot.process is None:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.05)
        self.kills += 1
        slot.life.killed = True
        with suppress(ProcessLookupError):
            slot.process.kill()

    async def _keep(self, slot: Slot) -> None:
        while True:
            name = f"serve-{slot.number}-{len(slot.lives)}"
            process = slot.process = await self._start(slot, self._logs / f"{name}.log")
            life = Life(name, process.pid, time.time())
            slot.lives.append(life)
            listening = asyncio.create_task(self._listening(slot, life))
            code = await process.wait()
            life.ended = time.time()
            listening.cancel()
            if self._stopping:
                return
            if not life.killed:
                self.exits[code] += 1
            await asyncio.sleep(0.1)

    async def _start(self, slot: Slot, path: Path) -> asyncio.subprocess.Process:
        arguments = ("serve", "--port", str(slot.port), "--database", self._database)
        with path.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "orchestrator.cli", *arguments),
                cwd=self._logs,
                env=self._environment(),
                stdout=log,
                stderr=log,
                preexec_fn=_bound,
            )

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("ANABRANCH_")}
        settings = {
            "ENGINE": self._engine,
            "API_KEY": SECRET,
            "LEASE_SECONDS": LEASE_SECONDS,
            "CALL_SECONDS": CALL_SECONDS,
            "STUCK_SECONDS": STUCK_SECONDS,
            "MAX_ATTEMPTS": MAX_ATTEMPTS,
            "GRACE_SECONDS": 2.0,
            "LOG_LEVEL": "info",
        }
        return {
            **others,
            **{f"ANABRANCH_{name}": str(value) for name, value in settings.items()},
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, self._entry_points))),
            "PYTHONUNBUFFERED": "1",
        }

    async def _listening(self, slot: Slot, life: Life) -> None:
        async with aiohttp.ClientSession() as session:
            while await _status(session, f"{slot.url}/healthz") is None:  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.05)
        life.answered = time.time()

    async def _sample_memory(self) -> None:
        while True:
            for slot in self.slots:
                if (life := slot.life) is not None and (size := memory_of(life.pid)):
                    life.memory.append((time.time(), size))
            await asyncio.sleep(0.25)

    async def _stop(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        for patience, number in ((15.0, signal.SIGTERM), (None, signal.SIGKILL)):
            for slot in self.slots:
                if slot.process is not None and slot.process.returncode is None:
                    with suppress(ProcessLookupError):
                        slot.process.send_signal(number)
            _, open_ = await asyncio.wait(keepers, timeout=patience)
            if not open_:
                return


@asynccontextmanager
async def engine_server(logs: Path) -> AsyncIterator[str]:
    """The simulated engine server, in a process of its own; yields the setting ``engine`` for it."""
    with (logs / "engines.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.hostile.engines"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            preexec_fn=_bound,
        )
    try:
        assert process.stdout is not None
        ports = (await process.stdout.readline()).decode().split()
        roles = ("", *(f"{role}=" for role in (*engines.FAILURES, engines.REFUSED)))
        yield ",".join(f"{role}http://127.0.0.1:{port}/v1" for role, port in zip(roles, ports, strict=True))
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def installed(directory: Path) -> Path:
    """A directory that, on the path of a process, offers it the planners and tools as a package would."""
    package = directory / "hostile-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    lines = ["[anabranch.planners]"]
    for module, offered in (("good", (good, probe)), ("planners", (*planners.HOSTILE, *planners.CARRIERS))):
        lines += [f"{each.name} = benchmarks.hostile.{module}:{each.name}" for each in offered]
    lines += ["[anabranch.tools]"]
    lines += [f"{each.name} = benchmarks.hostile.tools:{each.name}" for each in tools.HOSTILE]
    (package / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return directory


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now."""
    sockets = [engines.unheard() for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _bound() -> None:
    """Bound the memory of a new process, and let it end with this one, however that ends."""
    _libc.prctl(_ON_DEATH_OF_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def memory_of(pid: int) -> int:
    """The bytes that a process has in memory; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


async def _status(session: aiohttp.ClientSession, url: str) -> int | None:
    """The status of the response to a GET; None if there is none."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=5.0)) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
