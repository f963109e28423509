"""What prefix placement saves, beside vllm-router in front of the same servers.

    python -m benchmarks.prefix [--simulated] [--json] [--quick] [--router PATH]

Families of 8 branches over a shared prefix arrive at random times (Poisson, seeded) at three fifths of what
the replicas can decode; the branches of a family at the same moment, but for one scenario. In another one
the families have 2 to 24 branches. Each replica is a simulator behind vLLM's HTTP interface, a process of
its own; in one scenario one of them is killed half way. The same calls are sent to such servers through the
pool, and through vllm-router (from PyPI, in an environment of its own) with four of its policies.
cache_aware, round_robin and power_of_two know no families; for sticky_least_loaded, a header names the
family as the session. Each row of ours is held against the policy that is best in it: the fewest tokens and
the lowest p95 may be those of two policies. Without ``--simulated`` the pool also works in front of one real
vLLM server on the CPU.

*Computed over ideal* is prompt tokens that the servers computed over those that one cache which never
forgets would compute: each shared prefix once, and every branch's own tokens. The servers count them; a
replica that is killed is asked just before.

Further: the pool's own CPU time a call with 1,000 calls in flight, and the memory of its index under
10 million distinct prefixes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

from benchmarks.checks import Check
from benchmarks.prefix_router import POLICIES, find_router, the_router, until_healthy
from workers.calls import Call, Chunk, Prompt, Sampling, Segment, Usage
from workers.engine import Engine
from workers.engines.simulator.cache import BLOCK, CHARACTERS, BlockCache, block_hashes, render
from workers.engines.simulator.engine import CostModel, Simulator
from workers.engines.vllm.engine import VLLMEngine, gauge
from workers.engines.vllm.launch import default_model
from workers.engines.vllm.machine import free_port
from workers.engines.vllm.server import VLLMServer
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool
from workers.prefix.holdings import Holdings

BRANCHES = 8
MIXED = (2, 4, 8, 16, 24)  # branches of a family where they differ
SHARED_CHARACTERS = 6_000  # 1,500 of the simulator's tokens
OWN_CHARACTERS = 160  # 40
ANSWER_TOKENS = 16
PREFILL_RATE = 8_000.0  # tokens/s
DECODE_RATE = 20.0  # tokens/s of one call
PLACES = 16  # calls that a replica decodes at once
UTILISATION = 0.6
NOISE = 1.03  # with one replica there is nothing to place, and two equal runs differ by this much


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario under one policy. Times are in seconds, tokens are of prompts."""

    scenario: str
    policy: str
    calls: int
    failed: int
    computed: int
    ideal: int
    ratio: float
    p50: float
    p95: float
    first_token_p50: float


def family_calls(
    families: int, seed: int, *, shared: int = SHARED_CHARACTERS, widths: Sequence[int] = (BRANCHES,)
) -> list[list[Call]]:
    """The calls of each family. Texts differ from their first words on, so families share nothing."""
    rng = random.Random(seed)
    result = []
    for number in range(families):
        stem = f"{number}/{rng.getrandbits(64):x} " + "".join(rng.choices("abcdefgh ", k=shared))
        result.append(
            [
                Call(
                    Prompt(
                        (
                            Segment("system", stem),
                            Segment("user", f"{branch} {rng.getrandbits(64):x} ".ljust(OWN_CHARACTERS, "x")),
                        )
                    ),
                    Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS),
                    family=f"{seed}/{number}",
                )
                for branch in range(rng.choice(widths))
            ]
        )
    return result


def ideal_tokens(families: Sequence[Sequence[Call]]) -> int:
    """Prompt tokens that one simulator whose cache never forgets would compute."""
    cache, computed = BlockCache(10**9), 0
    for call in (call for family in families for call in family):
        rendered = render(call.prompt)
        tokens = len(rendered) // CHARACTERS
        hashes = block_hashes(rendered, call.tenant)
        computed += tokens - BLOCK * cache.match(hashes, tokens)
        cache.pin(hashes)
    return computed


class Servers:
    """Simulators behind HTTP, one process each."""

    def __init__(self, count: int) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._processes: list[asyncio.subprocess.Process] = []
        self._before: dict[int, float] = {}
        self._last: dict[int, float] = {}  # of those that were killed

    async def start(self) -> None:
        for port in self.ports:
            command = ["-m", "workers.engines.simulator", "--port", str(port)]
            command += ["--answer", "word" * ANSWER_TOKENS, "--max-concurrency", str(PLACES)]
            command += ["--prefill-rate", str(PREFILL_RATE), "--decode-rate", str(DECODE_RATE)]
            command += ["--latency", "0.002", "--cache-blocks", "65536"]
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, *command, stdout=asyncio.subprocess.DEVNULL
                )
            )
        await asyncio.gather(*(until_healthy(f"http://127.0.0.1:{port}/health") for port in self.ports))

    async def computed(self, port: int) -> float:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            text = await answer.text()
        total, hits = gauge(text, "vllm:prompt_tokens_total"), gauge(text, "vllm:prefix_cache_hits_total")
        assert total is not None
        assert hits is not None
        return total - hits

    async def begin(self) -> None:
        """Count from now on."""
        self._before = {port: await self.computed(port) for port in self.ports}

    async def kill(self, number: int) -> None:
        port = self.ports[number]
        self._last[port] = await self.computed(port)
        self._processes[number].kill()

    async def total(self) -> int:
        """Prompt tokens computed since :meth:`begin`."""
        now = {port: self._last.get(port) or await self.computed(port) for port in self.ports}
        return int(sum(now[port] - self._before[port] for port in self.ports))

    async def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def the_pool(ports: Sequence[int]) -> AsyncGenerator[Engine, None]:
    pool = Pool([VLLMEngine(f"http://127.0.0.1:{port}/v1") for port in ports])
    try:
        await pool.capabilities()
        yield pool
        pool.check_integrity()
    finally:
        await pool.close()


class Answering(Protocol):
    """What sends a call to the servers."""

    def generate(self, call: Call) -> AsyncIterator[Chunk]: ...


async def send(
    engine: Answering, families: Sequence[Sequence[Call]], gap: float, spread: float, seed: int
) -> tuple[list[float], list[float], int]:
    """Latencies to the end and to the first token in seconds, and how many calls failed."""
    clock = asyncio.get_running_loop().time
    rng = random.Random(seed)
    latencies: list[float] = []
    firsts: list[float] = []
    failed = 0

    async def one(call: Call, delay: float) -> None:
        nonlocal failed
        await asyncio.sleep(delay)
        began, first = clock(), 0.0
        try:
            async for _ in engine.generate(call):
                first = first or clock() - began
        except Exception as error:
            failed += 1
            print(f"    failed: {error}", file=sys.stderr)
        else:
            latencies.append(clock() - began)
            firsts.append(first)

    async with asyncio.TaskGroup() as group:
        for family in families:
            for call in family:
                group.create_task(one(call, rng.uniform(0, spread)))
            await asyncio.sleep(rng.expovariate(1 / gap))
    return latencies, firsts, failed


@dataclass(frozen=True, slots=True)
class Scenario:
    """How many replicas; whether one is killed half way; over how many seconds a family arrives; widths."""

    replicas: int
    dies: bool = False
    spread: float = 0.0
    widths: tuple[int, ...] = (BRANCHES,)

    def __str__(self) -> str:
        parts = [f"{self.replicas} replica{'s' if self.replicas > 1 else ''}"]
        parts += ["one dies"] if self.dies else []
        parts += [f"families over {self.spread:g} s"] if self.spread else []
        parts += [f"{min(self.widths)} to {max(self.widths)} branches"] if len(self.widths) > 1 else []
        return ", ".join(parts)


async def simulated(scenario: Scenario, *, policy: str, router: Path, seed: int) -> Row:
    """Run one scenario under one policy, on fresh servers."""
    replicas = scenario.replicas
    families = max(24, 12 * replicas)
    calls = family_calls(families, seed, widths=scenario.widths)
    service = ANSWER_TOKENS / DECODE_RATE
    gap = statistics.fmean(scenario.widths) * service / (PLACES * replicas * UTILISATION)
    servers = Servers(replicas)
    client = the_pool(servers.ports) if policy == "anabranch" else the_router(router, policy, servers.ports)
    try:
        await servers.start()
        async with client as engine:
            await servers.begin()
            async with asyncio.TaskGroup() as group:
                if scenario.dies:
                    group.create_task(_kill_later(servers, families * gap / 2))
                sending = group.create_task(send(engine, calls, gap, scenario.spread, seed))
            latencies, firsts, failed = sending.result()
            computed = await servers.total()
    finally:
        await servers.stop()
    return _row(str(scenario), policy, latencies, firsts, failed, computed, ideal_tokens(calls))


async def real(seed: int) -> Row:
    """Three families in front of one vLLM server on the CPU; tokens and blocks are the server's own."""
    server = VLLMServer(
        default_model(),
        options={"max_model_len": 1024, "max_num_seqs": 32, "block_size": 32},
        on_progress=lambda now: print(f"\r  vLLM starts, {now.seconds:.0f} s", end="", file=sys.stderr),
    )
    pool = Pool([server])
    try:
        await pool.capabilities()
        print(file=sys.stderr)
        stems = [
            f"Family {n}, {seed}. " + "A branch leaves the river and joins it again. " * 35 for n in range(3)
        ]
        families = [
            [
                Call(
                    Prompt((Segment("system", stem), Segment("user", f"What is {number} times {number}?"))),
                    Sampling(temperature=0.0, max_tokens=4),
                    family=stem,
                )
                for number in range(BRANCHES)
            ]
            for stem in stems
        ]
        usages: list[Usage] = []
        latencies: list[float] = []
        firsts: list[float] = []
        clock = asyncio.get_running_loop().time

        async def one(call: Call) -> None:
            began = clock()
            chunks = [(clock() - began, chunk) async for chunk in pool.generate(call)]
            usages.append(chunks[-1][1].usage or Usage())
            firsts.append(chunks[0][0])
            latencies.append(chunks[-1][0])

        async with asyncio.TaskGroup() as group:
            for family in families:
                for call in family:
                    group.create_task(one(call))
        computed = sum(usage.prompt_tokens - usage.cached_tokens for usage in usages)
        seen: set[int] = set()
        ideal = sum(usage.prompt_tokens for usage in usages)
        for call in (call for family in families for call in family):
            chain = await server.chain(call)
            ideal -= 32 * sum(1 for block in chain if block in seen)
            seen.update(chain)
    finally:
        await pool.close()
    return _row("one vLLM server, CPU", "anabranch", latencies, firsts, 0, computed, ideal)


async def overhead(calls: int = 6_000) -> float:
    """CPU seconds a call that the pool adds, with 1,000 calls in flight over 8 replicas."""

    def some() -> list[Call]:
        return [call for family in family_calls(calls // BRANCHES, 7, shared=2_000) for call in family]

    def simulators() -> list[Simulator]:
        cost = CostModel(latency=0.05)
        return [Simulator("x", name=f"s{number}", cost=cost, max_concurrency=1024) for number in range(8)]

    pool = Pool([Member(engine, sharing=Sharing.IN_FLIGHT) for engine in simulators()])
    await pool.capabilities()
    direct = simulators()[0]
    await _cpu(direct, some()[:800])
    without = await _cpu(direct, some())
    with_pool = await _cpu(pool, some())
    await pool.close()
    return with_pool - without


async def _cpu(engine: Engine, calls: Sequence[Call]) -> float:
    room = asyncio.Semaphore(1_000)

    async def one(call: Call) -> None:
        async with room:
            async for _ in engine.generate(call):
                pass

    gc.collect()
    began = time.process_time()
    await asyncio.gather(*(one(call) for call in calls))
    return (time.process_time() - began) / len(calls)


def index_growth(prefixes: int) -> float:
    """Megabytes that the index grows by after its capacity is reached, under so many distinct prefixes."""
    holdings = Holdings(65_536)
    number = 0

    def fill(until: int) -> None:
        nonlocal number
        while number < until:
            holdings.add((hash((number, 0)), hash((number, 1))))
            number += 1

    fill(200_000)
    before = _resident()
    fill(prefixes)
    return (_resident() - before) / 2**20


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _kill_later(servers: Servers, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await servers.kill(0)


def _row(
    scenario: str,
    policy: str,
    latencies: Sequence[float],
    firsts: Sequence[float],
    failed: int,
    computed: int,
    ideal: int,
) -> Row:
    cuts = statistics.quantiles(latencies, n=20)
    return Row(
        scenario, policy, len(latencies) + failed, failed, computed, ideal, computed / ideal,
        statistics.median(latencies), cuts[-1], statistics.median(firsts),
    )  # fmt: skip


def checks_of(rows: Sequence[Row]) -> list[Check]:
    """Ratio and p95 of the pool, against the bounds and against the peer's best policy."""
    checks = []
    for row in (row for row in rows if row.policy == "anabranch"):
        bound = 1.10 if "vLLM" in row.scenario else 1.05
        checks.append(Check(f"computed/ideal, {row.scenario}", row.ratio, bound, row.ratio <= bound))
        checks.append(Check(f"failed calls, {row.scenario}", row.failed, 0, row.failed == 0))
        peers = [peer.p95 for peer in rows if peer.scenario == row.scenario and peer.policy != "anabranch"]
        if peers:
            bound = min(peers) * NOISE
            checks.append(Check(f"p95 against the peer, {row.scenario}", row.p95, bound, row.p95 <= bound))
    return checks


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| servers | policy | calls | failed | computed / ideal | p50 s | p95 s | first token p50 s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.scenario} | {row.policy} | {row.calls} | {row.failed} | {row.ratio:.3f} "
        f"| {row.p50:.3f} | {row.p95:.3f} | {row.first_token_p50:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def best(rows: Sequence[Row]) -> str:
    """Ours beside the peer's best policy in each scenario, measure by measure, as Markdown."""
    lines = [
        "| servers | computed | fewest of the peer | p95 s | lowest of the peer |",
        "|---|---|---|---|---|",
    ]
    for row in (row for row in rows if row.policy == "anabranch"):
        peers = [peer for peer in rows if peer.scenario == row.scenario and peer.policy != "anabranch"]
        if not peers:
            continue
        fewest = min(peers, key=lambda peer: (peer.failed > 0, peer.computed))
        fastest = min(peers, key=lambda peer: (peer.failed > 0, peer.p95))
        lines.append(
            f"| {row.scenario} | {row.computed:,} | {fewest.computed:,} `{fewest.policy}` "
            f"| {row.p95:.3f} | {fastest.p95:.3f} `{fastest.policy}` |"
        )
    return "\n".join(lines)


async def run(arguments: argparse.Namespace) -> AsyncIterator[Row]:
    """All scenarios, one row after the other."""
    router = await asyncio.to_thread(find_router, arguments.router)
    scenarios = [Scenario(replicas) for replicas in (1, 2, 4, 8)]
    scenarios += [Scenario(4, spread=1.0), Scenario(4, widths=MIXED), Scenario(8, dies=True)]
    for scenario in [Scenario(2)] if arguments.quick else scenarios:
        for policy in ("anabranch", *POLICIES):
            if policy == "power_of_two" and scenario.replicas < 2:
                continue  # the router refuses it
            yield await simulated(scenario, policy=policy, router=router, seed=arguments.seed)
    if not arguments.simulated:
        yield await real(arguments.seed)


async def _main(arguments: argparse.Namespace) -> int:
    rows = []
    async for row in run(arguments):
        print(f"  {row.scenario}, {row.policy}: {row.ratio:.3f}, p95 {row.p95:.3f} s", file=sys.stderr)
        rows.append(row)
    seconds = await overhead()
    prefixes = 1_000_000 if arguments.quick else 10_000_000
    growth = index_growth(prefixes)
    checks = checks_of(rows)
    checks.append(
        Check("pool overhead, ms a call at 1,000 in flight", seconds * 1e3, 0.5, seconds * 1e3 <= 0.5)
    )
    checks.append(Check(f"index growth under {prefixes:,} prefixes, MB", growth, 16.0, growth <= 16.0))
    if arguments.json:
        print(
            json.dumps({"rows": [asdict(row) for row in rows], "checks": [asdict(check) for check in checks]})
        )
    else:
        print(f"{table(rows)}\n\n{best(rows)}\n")
        for check in checks:
            verdict = "ok  " if check.passed else "FAIL"
            print(f"{verdict} {check.name}: {check.value:.3f} (at most {check.bound:.3f})")
    return 0 if all(check.passed for check in checks) else 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefix", description="Prefix placement.")
    parser.add_argument("--simulated", action="store_true", help="leave the real vLLM server out")
    parser.add_argument("--quick", action="store_true", help="two replicas only, for a first look")
    parser.add_argument("--json", action="store_true", help="rows and checks as JSON")
    parser.add_argument("--router", type=Path, help="the executable vllm-router; by default it is installed")
    parser.add_argument("--seed", type=int, default=1)
    structlog.configure(  # standard output is for the results
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Ended by a signal, it still has to end the servers that it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
