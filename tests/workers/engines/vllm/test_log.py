from __future__ import annotations

import asyncio
import os
import tracemalloc

from workers.engines.vllm.log import ServerLog


def test_a_warning_is_not_taken_for_the_cause() -> None:
    log = ServerLog()
    log.extend(
        [
            "(APIServer pid=1) WARNING 11-22 12:10:19 [x.py:1] This can cause `OSError: [Errno 24] y`",
            "(EngineCore pid=2) ERROR 11-22 12:10:20 [x.py:2] ValueError: the weights are missing",
            *["more"] * 20,
        ]
    )
    assert "OSError" not in log.last_lines()
    assert "ValueError: the weights are missing" in log.last_lines()


async def test_a_flood_of_log_is_not_kept() -> None:
    log = ServerLog("a-key-of-the-server")
    output, inlet = os.pipe()

    def flood() -> None:
        with os.fdopen(inlet, "wb") as pipe:
            for _ in range(20):
                pipe.write(b"x" * (1 << 20))
            pipe.write(b"\n" + b"further line\n" * 100_000)
            pipe.write(b"args: {'api_key': ['a-key-of-the-server']}\nlast line\n")

    tracemalloc.start()
    try:
        writing = asyncio.create_task(asyncio.to_thread(flood))
        await log.read(output)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await writing
    assert log.latest == "last line"
    assert "a-key" not in log.last_lines()
    assert peak < 10 << 20
