"""Two real vLLM servers on the CPU, started, watched and stopped by us, behind one pool.

scripts/setup-vllm-cpu makes the environment and the model that they need.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.real_vllm import MODEL, require_vllm
from workers.calls import Call, Chunk, Prompt, Sampling, Segment, Usage
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.server import VLLMServer
from workers.pool.member import Sharing
from workers.pool.pace import Pace
from workers.pool.pool import Pool
from workers.prefix.blocks import Chain

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.asyncio(loop_scope="module"),
]

BLOCK = 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncGenerator[Pool, None]:
    await asyncio.to_thread(require_vllm)
    cores = sorted(os.sched_getaffinity(0))
    servers = [
        VLLMServer(
            MODEL,
            name=f"vllm-{number}",
            options={"max_model_len": 1024, "max_num_seqs": 16, "block_size": BLOCK},
            environment={"VLLM_CPU_OMP_THREADS_BIND": str(cores[number % len(cores)])},
            start_seconds=500,
        )
        for number in range(2)
    ]
    pool = Pool(servers, stall_seconds=300.0)
    try:
        await pool.capabilities()
        async with asyncio.timeout(600):  # the pool starts with the first of them
            while True:
                if all(replica.state == "up" for replica in pool.snapshot().replicas):
                    break
                await asyncio.sleep(0.5)
        yield pool
        pool.check_integrity()
    finally:
        await pool.close()
        assert [server.pid for server in servers] == [None, None]


def servers_of(pool: Pool) -> list[VLLMServer]:
    engines = [replica.engine for replica in pool._replicas]
    assert all(isinstance(engine, VLLMServer) for engine in engines)
    return [engine for engine in engines if isinstance(engine, VLLMServer)]


def sibling(family: str, number: int, *, tokens: int = 8) -> Call:
    shared = f"This is family {family}. " + "The river leaves its bed and joins it again downstream. " * 20
    segments = (Segment("system", shared), Segment("user", f"Branch {number}: what is {number} + {number}?"))
    return Call(Prompt(segments), Sampling(temperature=0.0, max_tokens=tokens), family=family)


def talkative(family: str, number: int, *, tokens: int) -> Call:
    """A sibling whose answer is long: the model goes on with a text that repeats itself."""
    short = sibling(family, number, tokens=tokens)
    begun = Segment("assistant", f"Branch {number}. " + "The river leaves its bed and joins it again. " * 4)
    return replace(short, prompt=Prompt((*short.prompt.segments, begun)))


async def read(pool: Pool, call: Call) -> tuple[str, Chunk]:
    text, last = "", Chunk()
    async for chunk in pool.generate(call):
        text = chunk.text if chunk.restarted else text + chunk.text
        last = chunk
    return text, last


def as_new(pool: Pool) -> None:
    """Forget how fast the servers seemed, beside whatever else ran: placement is now the same everywhere."""
    for replica in pool._replicas:
        replica.pace = Pace()


async def chain_of(server: VLLMServer, call: Call) -> Chain:
    """The blocks of a call. A busy server may take longer to tokenise than a pool would wait."""
    async with asyncio.timeout(300):
        while True:
            if chain := await server.chain(call):
                return chain
            await asyncio.sleep(0.1)


async def until_load(server: VLLMServer | VLLMEngine, expected: tuple[int, int]) -> None:
    """Wait for the server's own gauges; None while it is too busy to tell."""
    told: Counter[tuple[int, int] | None] = Counter()
    began = time.monotonic()
    while (load := await server.load()) != expected:
        told[load] += 1
        assert time.monotonic() - began < 300, f"{server.name} told {told} in place of {expected}"


def usage_of(chunk: Chunk) -> Usage:
    assert chunk.usage is not None
    return chunk.usage


async def test_what_vllm_can_do_was_found_out(pool: Pool) -> None:
    capabilities = await pool.capabilities()
    assert capabilities.model == "smollm2-135m"
    assert capabilities.max_model_len == 1024
    assert capabilities.priority
    assert capabilities.cache_salt
    assert capabilities.cached_token_usage
    assert capabilities.guided_json
    assert capabilities.guided_grammar
    assert capabilities.token_ids_in
    assert capabilities.token_ids_out
    assert {replica.sharing for replica in pool.snapshot().replicas} == {str(Sharing.IN_FLIGHT)}


async def test_only_this_user_can_reach_the_servers(pool: Pool) -> None:
    for server in servers_of(pool):
        place = server._supervision._place
        assert place is not None
        assert place.socket is not None
        assert stat.S_ISSOCK(place.socket.stat().st_mode)
        assert stat.S_IMODE(place.socket.parent.stat().st_mode) == 0o700


async def test_a_fan_out_computes_the_shared_blocks_once(pool: Pool) -> None:
    as_new(pool)
    calls = [sibling("fan-out", number) for number in range(8)]
    results = await asyncio.gather(*(read(pool, call) for call in calls))
    home = {last.worker for _, last in results}
    assert len(home) == 1
    server = next(server for server in servers_of(pool) if server.name in home)
    chains = [await chain_of(server, call) for call in calls]
    common = 0
    while all(len(chain) > common and chain[common] == chains[0][common] for chain in chains):
        common += 1
    assert common * BLOCK > 200
    cached = sorted(usage_of(last).cached_tokens for _, last in results)
    assert cached == [0] + [common * BLOCK] * 7


async def test_the_index_says_what_the_server_says(pool: Pool) -> None:
    call = sibling("events", 0)
    _, last = await read(pool, call)
    server = next(server for server in servers_of(pool) if server.name == last.worker)
    other = next(server for server in servers_of(pool) if server.name != last.worker)
    chain = await chain_of(server, call)
    assert len(chain) == usage_of(last).prompt_tokens // BLOCK
    assert server.blocks is not None
    assert other.blocks is not None
    async with asyncio.timeout(300):
        while True:
            if server.blocks.covered(chain) == len(chain):
                break
            await asyncio.sleep(0.05)
    assert other.blocks.covered(chain) == 0
    stranger = await chain_of(server, replace(call, tenant="somebody else"))
    assert server.blocks.covered(stranger) == 0


async def test_a_prompt_that_was_warmed_is_found(pool: Pool) -> None:
    call = sibling("warmed", 0)
    assert await pool.warm(Prompt(call.prompt.segments[:1]))
    _, last = await read(pool, call)
    usage = usage_of(last)
    assert usage.cached_tokens >= 6 * BLOCK > usage.prompt_tokens - usage.cached_tokens


async def test_families_stay_together_on_two_servers(pool: Pool) -> None:
    as_new(pool)
    calls = [sibling(f"together {family}", number) for number in range(4) for family in range(4)]
    results = await asyncio.gather(*(read(pool, call) for call in calls))
    homes: defaultdict[str | None, set[str]] = defaultdict(set)
    for call, (_, last) in zip(calls, results, strict=True):
        homes[call.family].add(last.worker)
    assert [len(workers) for workers in homes.values()] == [1, 1, 1, 1]
    assert len(set.union(*homes.values())) == 2
    usages = [usage_of(last) for _, last in results]
    computed = sum(usage.prompt_tokens - usage.cached_tokens for usage in usages)
    server = servers_of(pool)[0]
    seen: set[int] = set()
    ideal = 0
    for call, usage in zip(calls, usages, strict=True):
        chain = await chain_of(server, call)
        ideal += usage.prompt_tokens - BLOCK * sum(1 for block in chain if block in seen)
        seen.update(chain)
    assert computed <= 1.10 * ideal


STORY = (Segment("system", "You are a storyteller."), Segment("user", "Tell me a long story about rivers."))


async def beginning(server: VLLMServer, *, temperature: float, seed: int) -> tuple[Segment, Usage]:
    """A hundred tokens of a story, as the segment with which another call continues it."""
    sampling = Sampling(temperature, max_tokens=100, seed=seed)
    text, last = "", Chunk()
    async for chunk in server.generate(Call(Prompt(STORY), sampling, return_token_ids=True)):
        text, last = text + chunk.text, chunk
    return Segment("assistant", text, last.token_ids), usage_of(last)


async def going_on(server: VLLMServer, *end: Segment) -> Usage:
    last = Chunk()
    async for chunk in server.generate(Call(Prompt((*STORY, *end)), Sampling(0.0, max_tokens=2))):
        last = chunk
    return usage_of(last)


async def test_a_branch_goes_on_where_it_was_computed(pool: Pool) -> None:
    """All full blocks of prompt and completion are found; the last token was drawn, but not computed."""
    server = servers_of(pool)[0]
    for seed in range(5):
        told, first = await beginning(server, temperature=0.7, seed=seed)
        if first.completion_tokens == 100:  # else its story was short
            break
    assert len(told.token_ids) == first.completion_tokens == 100
    more = await going_on(server, told)
    assert more.prompt_tokens == first.prompt_tokens + 100
    assert more.cached_tokens == (more.prompt_tokens - 1) // BLOCK * BLOCK
    probe = await going_on(server, told, Segment("assistant", "\n\nThe moral is:"))
    assert probe.cached_tokens >= more.cached_tokens
    assert len(await chain_of(server, Call(Prompt((*STORY, told))))) == more.prompt_tokens // BLOCK


async def test_a_text_is_not_always_cut_into_the_tokens_that_wrote_it(pool: Pool) -> None:
    """Unlikely tokens are drawn which no tokenizer makes of their text: from there on nothing is found."""
    server = servers_of(pool)[0]
    drifted = 0
    for seed in range(20):
        told, first = await beginning(server, temperature=1.5, seed=seed)
        if len(told.token_ids) < 100:
            continue
        as_tokens = await going_on(server, told)
        assert as_tokens.prompt_tokens == first.prompt_tokens + 100
        assert as_tokens.cached_tokens == (as_tokens.prompt_tokens - 1) // BLOCK * BLOCK
        as_text = await going_on(server, Segment("assistant", told.text))
        drifted += as_text.cached_tokens < as_tokens.cached_tokens
        if drifted:
            assert as_text.prompt_tokens - as_text.cached_tokens > BLOCK
            break
    assert drifted


async def test_an_attached_server_tells_its_kind_and_its_load(pool: Pool) -> None:
    server = servers_of(pool)[0]
    engine = server._supervision.engine
    assert engine is not None
    attached = VLLMEngine(str(engine._openai.root / "v1"), socket=engine._openai._http._socket)
    try:
        assert (await attached.capabilities()).priority
        assert await attached._openai.kind() == "vllm"
        await until_load(attached, (0, 0))
    finally:
        await attached.close()


async def seen_running(server: VLLMServer, stream: AsyncGenerator[Chunk, None]) -> list[float] | None:
    """When chunks came, until the server's gauge showed the call; None if it ended before.

    Where a process gets no time for seconds, all of a completion may pass in the meantime.
    """
    times: list[float] = []
    while len(times) < 6 or await server.load() != (1, 0):
        if (await anext(stream)).finish_reason is not None:
            return None
        times.append(time.monotonic())
    return times


async def test_a_cancelled_call_leaves_the_server(pool: Pool) -> None:
    """The server ends the step that it computes, then drops the call: its gauge falls after a step or two.

    By itself the call would take hundreds. A machine that stands still spoils some of the measurements.
    """
    steps, ours = [], []
    for number in range(20):
        stream = pool.generate(talkative(f"cancel {number}", 0, tokens=500))
        assert isinstance(stream, AsyncGenerator)
        async with aclosing(stream):
            first = await anext(stream)
            server = next(server for server in servers_of(pool) if server.name == first.worker)
            times = await seen_running(server, stream)
            asked = time.monotonic()
            await server.load()
            asking = time.monotonic() - asked
            began = time.monotonic()
        if times is None:
            continue
        ours.append(time.monotonic() - began)
        await until_load(server, (0, 0))
        steps.append((time.monotonic() - began - asking) / (times[-1] - times[0]) * (len(times) - 1))
        if len(steps) == 10:
            break
    print(f"the running gauge fell {statistics.median(steps):.1f} steps after the call was closed (median)")
    assert len(steps) >= 5
    assert statistics.quantiles(steps)[0] < 8
    assert min(ours) < 0.05


async def killed(pool: Pool, servers: Mapping[str, VLLMServer], attempt: int) -> tuple[str, int, bool]:
    """Kill a server under some of eight calls; its name, its process, and whether a call was restarted.

    No name, if all calls came at once to their ends.
    """
    families = (f"kill {attempt} {family}" for family in range(2))
    calls = [talkative(family, number, tokens=80) for family in families for number in range(4)]
    where: dict[int, str] = {}
    victim: list[tuple[str, int]] = []

    async def branch(call: Call, number: int) -> tuple[str, Chunk, bool]:
        text, last, restarted = "", Chunk(), False
        async for chunk in pool.generate(call):
            text = chunk.text if chunk.restarted else text + chunk.text
            restarted, last = restarted or chunk.restarted, chunk
            where[number] = "" if chunk.finish_reason else chunk.worker
            # All have begun to stream, this one among them, and it is not at its end.
            if not victim and where[number] and len(where) == len(calls):
                pid = servers[chunk.worker].pid
                assert pid is not None
                victim.append((chunk.worker, pid))
                os.kill(pid, signal.SIGKILL)
        return text, last, restarted

    results = await asyncio.gather(*(branch(call, number) for number, call in enumerate(calls)))
    for text, last, _ in results:
        assert text.strip()
        assert last.finish_reason is not None
    name, pid = victim[0] if victim else ("", 0)
    return name, pid, any(restarted for _, _, restarted in results)


async def test_killing_a_server_loses_no_branch(pool: Pool) -> None:
    servers = {server.name: server for server in servers_of(pool)}
    for attempt in range(3):
        name, pid, restarted = await killed(pool, servers, attempt)
        if not name:
            continue
        # The rest of its processes went with it, and it comes back.
        async with asyncio.timeout(600):
            while True:
                if servers[name].pid not in (None, pid) and (await servers[name].health()).ok:
                    break
                await asyncio.sleep(0.5)
        assert not await asyncio.to_thread(_alive_in_group, pid)
        async with asyncio.timeout(300):
            while True:
                if next(r for r in pool.snapshot().replicas if r.name == name).state != "down":
                    break
                await asyncio.sleep(0.5)
        if restarted:  # else all that it had to say was on its way to us
            break
    assert restarted
    assert sum(replica.wasted_tokens for replica in pool.snapshot().replicas) > 0
    results_after = await asyncio.gather(*(read(pool, sibling(f"after {n}", 0)) for n in range(4)))
    assert all(last.finish_reason is not None for _, last in results_after)


def _alive_in_group(group: int) -> bool:
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
