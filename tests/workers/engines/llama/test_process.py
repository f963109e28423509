"""The process of the embedded engine, with a library in place of llama.cpp that does as it likes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from workers.engines.llama import process, server
from workers.errors import EngineUnavailable

LIBRARY = """
import os, sys, types
flood = os.environ["STUB"] == "flood"

class CommonParams:
    def __init__(self):
        self.model = types.SimpleNamespace()
        self.cpuparams = self.cpuparams_batch = types.SimpleNamespace()

class Server:
    def __init__(self, params):
        if flood:
            os.write(1, b"x" * (1 << 20))
            print("y" * (1 << 20), flush=True)
        else:
            os._exit(3)
        self.listening_address = "http://127.0.0.1:1"
"""
CONFIG = {
    "slots": 1,
    "context": 256,
    "batch": 64,
    "threads": None,
    "verbosity": 3,
    "directory": "",
    "key": "k",
}


async def start(directory: Path, stub: str) -> asyncio.subprocess.Process:
    """The process, with the library that it finds in ``directory``."""
    (directory / "xllamacpp.py").write_text(LIBRARY)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", process.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(directory), "STUB": stub},
    )


async def test_what_the_library_writes_does_not_fill_the_pipe(tmp_path: Path) -> None:
    child = await start(tmp_path, "flood")
    async with asyncio.timeout(60):
        assert await server._address(child, CONFIG | {"model": "m"}) == "http://127.0.0.1:1"
        await server._stop(child)
    assert child.returncode == 0


async def test_a_process_that_dies_as_it_starts_is_told(tmp_path: Path) -> None:
    child = await start(tmp_path, "exit")
    async with asyncio.timeout(60):
        with pytest.raises(EngineUnavailable, match=r"died while loading m \(exit code 3\)"):
            await server._address(child, CONFIG | {"model": "m"})
        await server._stop(child)


@pytest.mark.parametrize("line", ["no JSON", "x" * 1_000_000, json.dumps({"error": "no model"})])
async def test_an_answer_that_is_none_is_told(line: str, tmp_path: Path) -> None:
    program = tmp_path / "says.py"
    program.write_text(f"print({line!r})")
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        with pytest.raises(EngineUnavailable):
            await server._address(child, CONFIG | {"model": "m"})
        child.kill()
        await child.communicate()
