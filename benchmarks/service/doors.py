"""The ways to a chat completion: the engine itself, ours, optillm's proxy and vllm-router."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import environment
from benchmarks.prefix_router import ROUTER, find_router, until_healthy
from benchmarks.service.processes import program, service
from workers.engines.vllm.machine import free_port

MODEL = "simulator"
DIRECT = "anabranch/direct"

OPTILLM = "optillm==0.4.0"
OPTILLM_NEEDS = (
    "aiohttp",
    "cerebras_cloud_sdk",
    "flask",
    "math-verify",
    "networkx",
    "numpy",
    "openai",
    "PyYAML",
    "requests",
    "sympy",
    "z3-solver==4.15.4.0",
)
"""What the proxy imports. The rest of what it declares, such as torch, its plugins need."""

ENGINE = "engine"
PASSED = "Anabranch, the engine's model"
PLANNED = f"Anabranch, {DIRECT}"


@dataclass(frozen=True, slots=True)
class Door:
    """One way to a completion. ``url`` ends with ``/v1``; ``pid`` is the process that is in between, or 0."""

    name: str
    url: str
    model: str = MODEL
    pid: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another project's proxy: its name and version, and where its executable is."""

    name: str
    executable: Path
    start: Callable[[Path, str, Path], AbstractAsyncContextManager[Door]]


@asynccontextmanager
async def opened(
    engine: str, folder: Path, name: str, peers: Mapping[str, Peer]
) -> AsyncIterator[list[Door]]:
    """All doors to an engine, that of the engine first; each proxy is a process of its own."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(service(engine, folder, name, keyed=True))
        doors = [
            Door(ENGINE, engine),
            Door(PASSED, f"{ours.url}/v1", MODEL, ours.pid, ours.headers),
            Door(PLANNED, f"{ours.url}/v1", DIRECT, ours.pid, ours.headers),
        ]
        for peer in peers.values():
            door = await stack.enter_async_context(peer.start(peer.executable, engine, folder))
            doors.append(door)
        yield doors


def found_peers() -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that can be installed here, in environments of their own, and why others cannot."""
    peers, missing = {}, {}
    for name, find, start in (
        (OPTILLM, _find_optillm, _optillm),
        (ROUTER, lambda: find_router(None), _router),
    ):
        try:
            peers[name] = Peer(name, find(), start)
        except (subprocess.CalledProcessError, OSError) as error:
            missing[name] = str(error)
    return peers, missing


def processor_seconds(pid: int) -> float:
    """The seconds of a processor that a process has used so far, with its children; 0 for none."""
    if not pid:
        return 0.0
    used, waiting = 0.0, [pid]
    while waiting:
        each = waiting.pop()
        try:
            told = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            waiting += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        except OSError:
            continue  # it has ended
        used += sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")
    return used


def _find_optillm() -> Path:
    return environment("optillm", *OPTILLM_NEEDS, bare=(OPTILLM,)) / "optillm"


@asynccontextmanager
async def _optillm(executable: Path, engine: str, folder: Path) -> AsyncIterator[Door]:
    """optillm's proxy, which hands requests on as they are with the approach ``none``."""
    port = free_port()
    command = ("--approach", "none", "--base-url", engine, "--model", MODEL, "--log", "error")
    async with program(
        executable, *command, "--port", str(port), log=folder / "optillm.log", OPENAI_API_KEY="none"
    ) as pid:
        await until_healthy(f"http://127.0.0.1:{port}/health")
        yield Door(OPTILLM, f"http://127.0.0.1:{port}/v1", MODEL, pid)


@asynccontextmanager
async def _router(executable: Path, engine: str, folder: Path) -> AsyncIterator[Door]:
    """vllm-router in front of one server, with a policy that reads no prompts."""
    port, metrics = free_port(), free_port()
    command = ["--host", "127.0.0.1", "--policy", "round_robin", "--prometheus-port", str(metrics)]
    command += ["--port", str(port), "--log-level", "error", "--worker-urls", engine.removesuffix("/v1")]
    async with program(executable, *command, log=folder / "router.log") as pid:
        await until_healthy(f"http://127.0.0.1:{port}/health")
        yield Door(ROUTER, f"http://127.0.0.1:{port}/v1", MODEL, pid)
