"""A pool over servers that we start ourselves; simulators stand in for vLLM, which test_vllm_real runs."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from tests.workers.pool.harness import ANSWER, sibling, text_of
from workers.calls import Call, Chunk
from workers.engines.vllm.server import VLLMServer
from workers.pool.pool import Pool

STAND_IN = f"""
import sys
from workers.engines.simulator.command import main
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
main(["--host", given["--host"], "--port", given["--port"], "--model", given["--served-model-name"],
      "--answer", "{ANSWER}", "--prefill-rate", "5000", "--decode-rate", "8"])
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that runs a simulator whatever it is told to run."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    python = tmp_path / "python"
    root = Path(__file__).parents[3]
    python.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        shift 2
        [ $# -gt 0 ] || exit 1  # the simulator does not listen on sockets
        PYTHONPATH={root} exec {sys.executable} {tmp_path / "stand_in.py"} "$@"
        """)
    )
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    return python


@pytest.mark.timeout(300)
async def test_killing_one_of_two_servers_loses_no_branch(python: Path) -> None:
    pairs = {"enable_prompt_tokens_details": None, "enforce_eager": None}  # the stand-in reads pairs
    servers = [
        VLLMServer("model", name=name, python=python, options=pairs, kv_events=False) for name in ("a", "b")
    ]
    pool = Pool(servers)
    try:
        await pool.capabilities()
        async with asyncio.timeout(60):  # the pool starts with the first of them
            while any(replica.state != "up" for replica in pool.snapshot().replicas):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        victim, pid = servers[0], servers[0].pid
        assert pid is not None

        killed = asyncio.Event()

        async def branch(call: Call) -> list[Chunk]:
            chunks = []
            async for chunk in pool.generate(call):
                chunks.append(chunk)
                if chunk.worker == "a" and not chunk.finish_reason and not killed.is_set():
                    killed.set()
                    os.kill(pid, signal.SIGKILL)
            return chunks

        calls = [sibling(f"{family}", number) for family in range(4) for number in range(4)]
        results = await asyncio.gather(*(branch(call) for call in calls))
        assert [text_of(chunks) for chunks in results] == [ANSWER] * 16
        restarted = [chunks for chunks in results if any(chunk.restarted for chunk in chunks)]
        assert restarted
        assert {chunks[-1].worker for chunks in restarted} == {"b"}
        assert pool.snapshot().replicas[0].wasted_tokens >= 1
        pool.check_integrity()

        async with asyncio.timeout(200):  # it is started again, and gets calls again
            while True:
                more = [branch(sibling(f"more {number}", 0, shared=0)) for number in range(4)]
                if "a" in {chunks[-1].worker for chunks in await asyncio.gather(*more)}:
                    break
                await asyncio.sleep(0.2)
        assert victim.pid not in (None, pid)
    finally:
        await pool.close()
