"""A llama.cpp server of our own, and what it is asked: tokens, completions, and the state of its slots."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from workers.calls import Logprob
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    EngineUnavailable,
    WorkerError,
)

START_SECONDS = 300.0
SILENCE_SECONDS = 120.0
CONNECT_SECONDS = 10.0
STOP_SECONDS = 5.0
LINE_BYTES = 1 << 22
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@dataclass(frozen=True, slots=True)
class Timing:
    """What a completion took, in tokens: of the prompt found in the slot, of it computed, and drawn.

    ``reached`` is what ended it: ``eos``, ``word`` (a stop string) or ``limit``.
    """

    cached: int
    computed: int
    drawn: int
    reached: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a completion. ``prompt_done`` is how many tokens of the prompt the slot holds so far."""

    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    prompt_done: int | None = None
    timing: Timing | None = None


class Cells:
    """Places for saved slot states: on Linux, memory that goes away with the processes that use it."""

    def __init__(self, count: int) -> None:
        self._files: list[int] = []
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if sys.platform == "linux":
            self._files = [os.memfd_create(f"anabranch-prefix-{number}") for number in range(count)]
            self.directory = "/proc/self/fd/"
            self._free = [str(file) for file in self._files]
        else:
            self._scratch = tempfile.TemporaryDirectory(prefix="anabranch-prefix-")
            self.directory = self._scratch.name + os.sep
            self._free = [str(number) for number in range(count)]

    @property
    def inherited(self) -> Sequence[int]:
        """File descriptors that the server's process must be given."""
        return self._files

    def take(self) -> str | None:
        """The name of a free cell, if there is one."""
        return self._free.pop() if self._free else None

    def free(self, name: str) -> None:
        """Drop what is in a cell."""
        if self._scratch is None:
            os.ftruncate(int(name), 0)
        else:
            Path(self.directory, name).unlink(missing_ok=True)
        self._free.append(name)

    def close(self) -> None:
        """Give everything back."""
        for file in self._files:
            os.close(file)
        self._files = []
        if self._scratch is not None:
            self._scratch.cleanup()


@dataclass(slots=True)
class LlamaServer:
    """A running server. Made by :meth:`start`; one event loop."""

    context: int
    cells: Cells
    _process: asyncio.subprocess.Process
    _session: aiohttp.ClientSession
    _closed: bool = field(init=False, default=False)

    @classmethod
    async def start(
        cls,
        model: Path,
        *,
        slots: int,
        context: int,
        batch: int,
        threads: int | None,
        cells: int,
        verbosity: int,
    ) -> LlamaServer:
        """Load ``model`` in a process of its own, with ``slots`` times ``context`` tokens.

        Raises:
            EngineUnavailable: the library is missing, or the server does not start; the message says why.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineUnavailable('the embedded engine is not installed: pip install "anabranch[embedded]"')
        key = secrets.token_urlsafe(24)
        memory = Cells(cells)
        config = {
            "model": str(model),
            "slots": slots,
            "context": context,
            "batch": batch,
            "threads": threads,
            "verbosity": verbosity,
            "key": key,
            "directory": memory.directory,
        }
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(Path(__file__).with_name("llama_process.py"))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if verbosity >= 0 else asyncio.subprocess.DEVNULL,
                pass_fds=memory.inherited,
                start_new_session=True,  # Ctrl-C is for the parent, which then stops the server
            )
            address = await _address(process, config)
            session = aiohttp.ClientSession(
                address,
                headers={"Authorization": f"Bearer {key}"},
                # The server closes a connection after a stream; reusing one would race with that.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
                read_bufsize=LINE_BYTES,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        except BaseException:
            if process is not None:
                await _stop(process)
            memory.close()
            raise
        server = cls(context, memory, process, session)
        try:
            settings = (await server._ask("GET", "/props"))["default_generation_settings"]
            server.context = int(settings["n_ctx"])
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return not self._closed and self._process.returncode is None

    async def close(self) -> None:
        """Stop the process; completions in flight break off."""
        if self._closed:
            return
        self._closed = True
        await self._session.close()
        await _stop(self._process)
        self.cells.close()

    async def tokenise(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The tokens of a conversation under the model's chat template, ready for the assistant's answer."""
        templated = await self._ask("POST", "/apply-template", messages=list(messages))
        answer = await self._ask(
            "POST", "/tokenize", content=templated["prompt"], add_special=True, parse_special=True
        )
        tokens = answer["tokens"]
        if not isinstance(tokens, list):
            raise EngineProtocolError(f"/tokenize answered {str(answer)[:200]}")
        return tokens

    async def save(self, slot: int, cell: str) -> int:
        """Save the state of a slot in a cell; returns its size in bytes."""
        answer = await self._ask("POST", f"/slots/{slot}?action=save", filename=cell)
        return int(answer["n_written"])

    async def restore(self, slot: int, cell: str) -> int:
        """Overwrite the state of a slot with what a cell has; returns how many tokens it holds now."""
        answer = await self._ask("POST", f"/slots/{slot}?action=restore", filename=cell)
        return int(answer["n_restored"])

    async def complete(
        self, slot: int, tokens: Sequence[int], max_tokens: int, **options: object
    ) -> AsyncGenerator[Piece]:
        """Continue a prompt on a slot; the last piece has the timing. Closing the generator stops the server.

        With ``max_tokens`` 0 the prompt is computed and nothing else. The server looks whether anyone still
        listens after each batch of the prompt and each token, because it reports progress then.
        """
        body = {
            "prompt": tokens,
            "id_slot": slot,
            "n_predict": max_tokens,
            "cache_prompt": True,
            "stream": True,
            "return_progress": True,
            "return_tokens": True,
            "response_fields": ["content", "tokens", "timings", "stop", "stop_type", "tokens_predicted"],
            **options,
        }
        with _typed_errors(self):
            response = await self._session.post("/completion", json=body)
            try:
                await _raise_for_status(response)
                async for line in response.content:
                    if line.startswith(b"data: "):
                        piece = _piece(line[6:])
                        yield piece
                        if piece.timing is not None:
                            return
                    elif line.startswith(b"error: "):
                        raise EngineProtocolError(
                            f"the server reports {line[7:307].decode(errors='replace')}"
                        )
            finally:
                _abort(response)
            raise EngineInterrupted("the server ended a completion without its last event")

    async def _ask(self, method: str, path: str, **body: object) -> dict[str, Any]:
        with _typed_errors(self):
            async with self._session.request(method, path, json=body or None) as response:
                await _raise_for_status(response)
                answer = await response.json()
        if not isinstance(answer, dict):
            raise EngineProtocolError(f"{path} answered {str(answer)[:200]}")
        return answer


async def _address(process: asyncio.subprocess.Process, config: Mapping[str, object]) -> str:
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
    except ConnectionError as error:
        raise EngineUnavailable(f"llama.cpp did not start: {error}") from error
    answer = json.loads(line)
    if "address" not in answer:
        raise EngineUnavailable(f"llama.cpp cannot load {config['model']}: {answer.get('error')}")
    return str(answer["address"])


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process by closing its standard input, and by force if that does not do."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _abort(response: aiohttp.ClientResponse) -> None:
    """Reset the connection: the server's next write fails then; after an orderly close it succeeds."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connected = connection.transport.get_extra_info("socket")
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    response.close()


@contextlib.contextmanager
def _typed_errors(server: LlamaServer) -> Iterator[None]:
    try:
        yield
    except WorkerError:
        raise
    except TimeoutError as error:
        raise EngineTimeout(f"llama.cpp said nothing for {SILENCE_SECONDS:.0f} s") from error
    except aiohttp.ClientConnectorError as error:
        raise EngineUnavailable(f"llama.cpp cannot be reached: {error}") from error
    except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
        if not server.alive:
            raise EngineUnavailable("llama.cpp is not running any more") from error
        raise EngineInterrupted(f"llama.cpp broke off: {str(error) or type(error).__name__}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineProtocolError(f"llama.cpp answered something else than expected: {error!r}") from error


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    text = (await response.text())[:2000]
    try:
        message = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = text[:200]
    if response.status == 400:
        raise CallRejected(f"llama.cpp refused the call: {message}")
    raise EngineUnavailable(f"llama.cpp answered HTTP {response.status}: {message}")


def _piece(data: bytes) -> Piece:
    event = json.loads(data)
    if event.get("stop"):
        timings = event["timings"]
        return Piece(
            text=event["content"],
            tokens=tuple(event["tokens"]),
            timing=Timing(
                timings["cache_n"], timings["prompt_n"], event["tokens_predicted"], event["stop_type"]
            ),
        )
    if "prompt_progress" in event:
        return Piece(prompt_done=event["prompt_progress"]["processed"])
    if "error" in event:
        raise EngineProtocolError(f"llama.cpp reports {str(event['error'])[:300]}")
    return Piece(
        text=event["content"],
        tokens=tuple(event["tokens"]),
        logprobs=tuple(
            Logprob(
                each["token"],
                each["logprob"],
                {other["token"]: other["logprob"] for other in each["top_logprobs"]},
            )
            for each in event.get("completion_probabilities", ())
        ),
    )
