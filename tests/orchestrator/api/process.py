"""The API as a process of its own, with a simulator for an engine, for what only a real process shows.

Run as a program, it serves. SIGUSR1 takes all its file descriptors but two, SIGUSR2 gives them back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import logs
from orchestrator.api.server import serve
from orchestrator.settings import Settings
from orchestrator.tasks.service import Service
from planners.direct import direct
from planners.vote import vote
from storage.opening import open_store
from workers.engines.simulator.engine import CostModel, Simulator

ROOT = Path(__file__).parents[3]
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running process."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def end(self) -> int:
        """Wait for it; its exit status."""
        return self.process.wait(READY_SECONDS)


@contextmanager
def serving(directory: Path, *, descriptors: int | None = None, **settings: object) -> Iterator[Server]:
    """A server on a database in ``directory``; ``settings`` as in the environment, in lower case.

    ``slow`` is the seconds that a call takes.
    """
    log = directory / "serve.log"
    limit = f"ulimit -n {descriptors} && " if descriptors else ""
    command = f"{limit}exec {sys.executable} -m {__name__} sqlite:///{directory / 'served.db'}"
    environment = {f"ANABRANCH_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"listening on (\S+)", line)
        assert found, f"{line}{log.read_text()}"
        yield Server(process, found[1], log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _serve(url: str) -> None:
    settings = Settings.read()
    logs.configure(settings)
    seconds = float(os.environ.get("ANABRANCH_SLOW", "0"))
    engine = Simulator("Answer: 42", cost=CostModel(latency=seconds))
    taken: list[int] = []

    def take() -> None:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(2):
            os.close(taken.pop())
        print("taken", flush=True)

    def give_back() -> None:
        while taken:
            os.close(taken.pop())

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, take)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, give_back)
    async with await open_store(url) as store:
        service = Service(store, engine, planners={"direct": direct, "vote": vote}, settings=settings)
        await serve(service, "127.0.0.1", 0, on_listening=lambda at: print(f"listening on {at}", flush=True))


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
