"""Who is measured in ``benchmarks.early_stop_live``: our stop rules, and the algorithms of its_hub."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anabranch import Client
from benchmarks.peers import environment
from orchestrator.consensus.stopping import DEFAULT_RULE

ITS_HUB = "its_hub[lm]==1.2.0"
PEER = Path(__file__).with_name("early_stop_peer.py")
CAUTIOUS = "elastic:quorum=1000,threshold=0.95"  # Beta on arrivals that starts with fewer
OURS = (DEFAULT_RULE, CAUTIOUS, "beta", "asc", "fixed")
THEIRS: tuple[tuple[str, dict[str, float], bool], ...] = (
    ("plain", {}, True),
    ("beta", {}, False),
    ("beta", {}, True),
    ("beta", {"confidence_threshold": 0.9}, True),
    ("adaptive", {}, False),
    ("adaptive", {}, True),
)
DEFAULT = f"anabranch {DEFAULT_RULE}"
RIVAL = "its_hub beta, projected"
LAST_NUMBER = r"(\d+)\D*$"
CALLS = 64  # in flight at one time, over all questions
PATIENCE = 600.0  # seconds for a block of questions


def side_by_side(width: int) -> int:
    """How many questions are answered at the same time."""
    return max(1, CALLS // width)


class Contender(Protocol):
    """Something that answers questions by a vote, on a server of its own."""

    @property
    def url(self) -> str: ...

    @property
    def name(self) -> str: ...

    async def answer(self, questions: Sequence[str], width: int) -> list[tuple[str, float]]:
        """The text of each answer, and the seconds that it took."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """A stop rule of ours."""

    client: Client
    url: str
    rule: str

    @property
    def name(self) -> str:
        return f"anabranch {self.rule}"

    async def answer(self, questions: Sequence[str], width: int) -> list[tuple[str, float]]:
        room = asyncio.Semaphore(CALLS if self.rule == "asc" else side_by_side(width))
        options = {"n": width, "rule": self.rule}

        async def one(question: str) -> tuple[str, float]:
            async with room:
                began = time.perf_counter()
                solution = await self.client.asolve(question, planner="vote", options=options)
                return solution.text, time.perf_counter() - began

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(question)) for question in questions]
        return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True)
class Theirs:
    """An algorithm of its_hub."""

    process: Process
    url: str
    algorithm: str
    settings: dict[str, float]
    projected: bool

    @property
    def name(self) -> str:
        settings = "".join(f" {value:g}" for value in self.settings.values())
        return f"its_hub {self.algorithm}{settings}{', projected' if self.projected else ''}"

    async def answer(self, questions: Sequence[str], width: int) -> list[tuple[str, float]]:
        answered = await self.process.ask(
            url=self.url,
            algorithm=self.algorithm,
            settings=self.settings,
            projection=LAST_NUMBER if self.projected else None,
            width=width,
            lanes=side_by_side(width),
            questions=questions,
        )
        return list(zip(answered["texts"], answered["seconds"], strict=True))


class Process:
    """A Python program that answers on standard output, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    async def line(self) -> str:
        """The next line.

        Raises:
            EOFError: the program has ended.
            TimeoutError: it said nothing for so long that it must hang.
        """
        async with asyncio.timeout(PATIENCE):
            line = await self._stdout.readline()
        if not line:
            raise EOFError(f"it ended with code {await self._process.wait()}")
        return line.decode().strip()

    async def ask(self, **question: object) -> dict[str, Any]:
        """Send an object, and wait for the one that comes back."""
        self._stdin.write(json.dumps(question).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self.line())
        return answer


@asynccontextmanager
async def running(python: Path, *arguments: str) -> AsyncIterator[Process]:
    """A program, until the block ends. What ends a whole group of processes does not end it before."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        python, *arguments, stdin=pipe, stdout=pipe, limit=1 << 24, start_new_session=True
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def contending(peer: Path | None, seed: int) -> AsyncIterator[tuple[str, list[Contender]]]:
    """All contenders, and the version of its_hub; without ``peer`` ours only, and no version."""
    async with AsyncExitStack() as stack:
        clients = str(len(OURS) + len(THEIRS))
        server = await stack.enter_async_context(
            running(
                Path(sys.executable),
                *("-m", "benchmarks.early_stop_server", "--clients", clients, "--seed", str(seed)),
            )
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        contenders: list[Contender] = []
        for number, rule in enumerate(OURS):
            url = await server.line()
            database = f"sqlite:///{folder}/{number}.db"
            client = await asyncio.to_thread(Client, engine=url, database=database)  # it reads settings
            await stack.enter_async_context(client)
            contenders.append(Ours(client, url, rule))
        if peer is None:
            yield "", contenders
            return
        process = await stack.enter_async_context(running(peer, str(PEER)))
        peer_version = json.loads(await process.line())["version"]
        for algorithm, settings, projected in THEIRS:
            contenders.append(Theirs(process, await server.line(), algorithm, settings, projected))
        yield peer_version, contenders


def find_peer(given: Path | None) -> Path | None:
    """A Python that can import its_hub; None, with the reason printed, where there is none."""
    try:
        python = given or environment("its_hub", ITS_HUB) / "python"
        subprocess.run([python, "-c", "import its_hub"], check=True)  # noqa: S603 the user's own choice
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"its_hub is left out: {error}", file=sys.stderr)
        return None
    return python
