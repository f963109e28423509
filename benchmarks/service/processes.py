"""The processes: a simulated engine server, ``anabranch serve``, and the one that times single requests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from orchestrator.cli.app import app

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
END_SECONDS = 90.0
_MOST_DESCRIPTORS = 65_536


@dataclass(frozen=True, slots=True)
class Server:
    """A service that runs, and the key for it; the key is empty where none is needed."""

    url: str
    pid: int
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def memory(self) -> int:
        """The bytes that the process has in memory; 0 if it has ended."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * resource.getpagesize()


def has_keys() -> bool:
    """Whether this version of the service knows keys."""
    return "keys" in getattr(get_command(app), "commands", {})


@asynccontextmanager
async def simulator(*, decode_rate: float, answer: str) -> AsyncIterator[str]:
    """An engine server that computes nothing; yields its base URL."""
    options = ("--port", "0", "--answer", answer, "--decode-rate", str(decode_rate))
    async with _running("-m", "workers.engines.simulator", *options, reading="stdout") as process:
        yield await _told(process.stdout, r"(http://\S+)")


@asynccontextmanager
async def service(
    engine: str, folder: Path, name: str, *, keyed: bool | None = None, rate: float | None = None
) -> AsyncIterator[Server]:
    """``anabranch serve`` on an empty SQLite file of its own.

    Args:
        folder: where the file and the log of the process are.
        keyed: whether requests need a key, which is made first; None: if there are keys at all.
        rate: a limit of the key, in requests per second.

    Raises:
        RuntimeError: it did not start, or did not end with exit code 0.
    """
    settings = {
        "DATABASE": f"sqlite:///{folder / name}.db",
        "ENGINE": engine,
        "LOG_LEVEL": "warning",
        "STREAMS": "5000",
        "TENANT_STREAMS": "5000",
        "GRACE_SECONDS": "1",
    }
    key = ""
    if has_keys() if keyed is None else keyed:
        limit = () if rate is None else ("--rate", str(rate))
        scopes = [word for scope in ("submit", "read", "admin") for word in ("--scope", scope)]
        key = (await _made("keys", "create", name, *scopes, *limit, "--json", settings=settings))["secret"]
    async with _running(
        *("-m", "orchestrator.cli", "serve", "--port", "0"), settings=settings, reading="stderr"
    ) as process:
        url = await _told(process.stderr, r"listening on (http://\S+)")
        copying = asyncio.create_task(_copied(process.stderr, folder / f"{name}.log"))
        yield Server(url, process.pid, key)
        process.terminate()
        async with asyncio.timeout(END_SECONDS):
            code = await process.wait()
            await copying
        if code != 0:
            raise RuntimeError(f"the service ended with {code}; its log is {folder / name}.log")


@asynccontextmanager
async def probe(server: Server, paths: Sequence[str], *, pause: float) -> AsyncIterator[list[Any]]:
    """A process that asks for these paths in turns while the block runs; the results are there after it."""
    given = json.dumps({"url": server.url, "headers": server.headers, "paths": list(paths), "pause": pause})
    found: list[Any] = []
    async with _running("-m", "benchmarks.service.probing", given, reading="stdout", writing=True) as process:
        assert process.stdin is not None
        await _told(process.stdout, "(ready)")
        yield found
        process.stdin.close()
        assert process.stdout is not None
        async with asyncio.timeout(END_SECONDS):
            found += json.loads(await process.stdout.read())
            await process.wait()


def raise_descriptors() -> None:
    """Let this process open as many connections as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANABRANCH_")}
    named = {f"ANABRANCH_{name}": value for name, value in settings.items()}
    return {**kept, **named, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def _running(
    *arguments: str, settings: Mapping[str, str] | None = None, reading: str, writing: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process of ours that ends with the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=ROOT,
        env=_environment(settings or {}),
        stdin=pipe if writing else asyncio.subprocess.DEVNULL,
        stdout=pipe if reading == "stdout" else None,
        stderr=pipe if reading == "stderr" else None,
        limit=1 << 26,
    )
    async with _ending(process):
        yield process


@asynccontextmanager
async def program(executable: Path, *arguments: str, log: Path, **settings: str) -> AsyncIterator[int]:
    """Another project's program with these variables of the environment; yields the id of its process."""
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(str(executable), *arguments),
            cwd=log.parent,
            env={**os.environ, **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    async with _ending(process):
        yield process.pid


@asynccontextmanager
async def _ending(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _told(stream: asyncio.StreamReader | None, pattern: str) -> str:
    """What a process says of itself when it has started."""
    assert stream is not None
    lines = []
    async with asyncio.timeout(START_SECONDS):
        while line := (await stream.readline()).decode(errors="replace"):
            lines.append(line)
            if found := re.search(pattern, line):
                return found[1]
    raise RuntimeError(f"a process did not start: {''.join(lines)[-2000:]}")


async def _copied(stream: asyncio.StreamReader | None, to: Path) -> None:
    assert stream is not None
    with to.open("wb") as file:
        while block := await stream.read(1 << 16):
            file.write(block)


async def _made(*arguments: str, settings: Mapping[str, str]) -> Any:
    """What a command prints as JSON."""
    async with _running("-m", "orchestrator.cli", *arguments, settings=settings, reading="stdout") as process:
        told, _errors = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"anabranch {' '.join(arguments)} ended with {process.returncode}")
    return json.loads(told)
