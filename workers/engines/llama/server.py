"""A llama.cpp server of our own: its process, and how it is reached."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workers.engines.llama.cells import Cells
from workers.engines.llama.client import LlamaClient
from workers.errors import EngineUnavailable

START_SECONDS = 300.0
STOP_SECONDS = 5.0

# llama.cpp's threads meet hundreds of times a token, and spin until the last one is there. When other
# processes want the cores too, that makes decoding ten to forty times slower. So they spin for microseconds,
# which is as fast on an idle machine, and then sleep; with more threads than cores, libgomp does the same.
ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}


@dataclass(slots=True)
class LlamaServer:
    """A running server. ``context`` is the room in a slot, in tokens."""

    client: LlamaClient
    context: int
    cells: Cells
    _process: asyncio.subprocess.Process
    _closed: bool = field(init=False, default=False)

    @classmethod
    async def start(
        cls,
        model: Path,
        *,
        slots: int,
        context: int,
        batch: int,
        threads: int | None = None,
        cells: int = 0,
        verbosity: int = -1,
    ) -> LlamaServer:
        """Load ``model`` in a process of its own, with ``slots`` slots of ``context`` tokens.

        The server computes prompts ``batch`` tokens at a time, and has ``cells`` places for slot states.
        ``verbosity`` is llama.cpp's; at 0 or above, its log goes to standard error.

        Raises:
            EngineUnavailable: the library is missing, or the server does not start; the message says why.
        """
        if await asyncio.to_thread(importlib.util.find_spec, "xllamacpp") is None:
            raise EngineUnavailable('the embedded engine is not installed: pip install "anabranch[embedded]"')
        memory = await asyncio.to_thread(Cells, cells)
        key = secrets.token_urlsafe(24)
        config = {
            "model": str(model),
            "slots": slots,
            "context": context,
            "batch": batch,
            "threads": threads,
            "verbosity": verbosity,
            "directory": memory.directory,
            "key": key,
        }
        process = client = None
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(Path(__file__).with_name("process.py"))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if verbosity >= 0 else asyncio.subprocess.DEVNULL,
                env=ENVIRONMENT | os.environ,
                pass_fds=memory.inherited,
                start_new_session=True,  # Ctrl-C is for the parent, which then stops the server
            )
            client = LlamaClient(await _address(process, config), key)
            return cls(client, await client.slot_context(), memory, process)
        except BaseException:
            if client is not None:
                await client.close()
            if process is not None:
                await _stop(process)
            await asyncio.to_thread(memory.close)
            raise

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return not self._closed and self._process.returncode is None

    async def close(self) -> None:
        """Stop the process; completions in flight are interrupted."""
        if not self._closed:
            self._closed = True
            await _stop(self._process)
            # Readers learn of it when their connection ends, which a closed session would hide from them.
            # The connection ended with the process; the loop takes a turn to read that and one to pass it on.
            for _ in range(3):
                await asyncio.sleep(0)
            await self.client.close()
            await asyncio.to_thread(self.cells.close)


async def _address(process: asyncio.subprocess.Process, config: Mapping[str, object]) -> str:
    """Tell the process what to serve, and wait until it does."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            process.stdin.write(json.dumps(config).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
            if not line:
                code = await process.wait()
                raise EngineUnavailable(f"llama.cpp died while loading {config['model']} (exit code {code})")
    except TimeoutError:
        raise EngineUnavailable(
            f"llama.cpp did not load {config['model']} within {START_SECONDS:.0f} s"
        ) from None
    except (OSError, ValueError) as error:  # a ValueError for a line without an end
        raise EngineUnavailable(f"llama.cpp did not start: {error}") from error
    try:
        answer = json.loads(line)
    except ValueError:
        answer = {"error": f"it says {line[:200]!r}"}
    if "address" not in answer:
        raise EngineUnavailable(f"llama.cpp cannot load {config['model']}: {answer.get('error')}")
    return str(answer["address"])


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process by closing its standard input, or kill it if that is not enough."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:  # even if the caller is cancelled meanwhile
        if process.returncode is None:
            process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
