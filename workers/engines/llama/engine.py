"""The embedded engine: llama.cpp on this machine, without a server to set up.

Calls that share a prompt prefix compute it once; :mod:`workers.engines.llama.slots` chooses the slots and
keeps the prefixes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Health
from workers.engines.llama.client import Piece
from workers.engines.llama.queue import SlotQueue, Turn
from workers.engines.llama.server import LlamaServer
from workers.engines.llama.slots import SlotTable
from workers.errors import CallRejected, EngineUnavailable, WorkerError
from workers.functions import Function
from workers.models.catalogue import CATALOGUE, DEFAULT_MODEL
from workers.models.files import Progress, fetch

log = structlog.get_logger(__name__)

WORTHWHILE = 32
"""Tokens from which a shared prefix is computed separately: that takes longer than saving and restoring."""

BATCH = 64
"""Prompt tokens computed in one go. Between batches, other calls decode and an abort is noticed."""

CELLS = 64
"""The number of prefixes that can be kept."""


class LlamaCppEngine:
    """An ``Engine`` that loads a GGUF model into a llama.cpp server of its own.

    ``model`` is a catalogue name or the path of a GGUF file; it is fetched, into ``directory`` if given, when
    the engine starts, and ``on_progress`` is called with how much has arrived. The engine works on ``slots``
    calls at the same time, each with ``context`` tokens for prompt and completion together. With ``threads``
    None, llama.cpp chooses the number of threads. ``prefix_bytes`` bounds the memory for saved prefixes.
    ``debug`` lets llama.cpp write its log to standard error.

    Top-k and min-p, which ``Sampling`` does not have, stay at llama.cpp's defaults (40 and 0.05).
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        slots: int = 8,
        context: int = 2048,
        threads: int | None = None,
        prefix_bytes: int = 256 << 20,
        directory: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        name: str = "llama_cpp",
        debug: bool = False,
    ) -> None:
        if slots < 1 or context < 256:
            raise ValueError(f"slots must be at least 1 and context at least 256, not {slots} and {context}")
        self._model = model
        self._slots = slots
        self._context = context
        self._threads = threads
        self._prefix_bytes = prefix_bytes
        self._directory = directory
        self._on_progress = on_progress
        self._name = name
        self._verbosity = 3 if debug else -1
        self._starting: asyncio.Task[_Running] | None = None

    @property
    def name(self) -> str:
        """The name in traces and in ``Chunk.worker``."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """Fetch and load the model if need be (1 to 4 s, plus the download), and say what it can do.

        Raises:
            EngineUnavailable: the extra is not installed, or llama.cpp cannot load the model.
            ModelUnavailable: the model cannot be obtained.
        """
        return (await self._run()).capabilities

    async def health(self) -> Health:
        """Whether the model is loaded and its server answers."""
        task = self._starting
        if task is None or not task.done():
            return Health(False, "starting" if task else "not started")
        try:
            server = task.result().server
            if not server.alive:
                return Health(False, "llama.cpp died")
            await server.client.check()
        except WorkerError as error:
            return Health(False, str(error))
        return Health(True)

    async def close(self) -> None:
        """Stop the server. The engine can be started again."""
        task, self._starting = self._starting, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                await _close(task.result())

    async def generate(self, call: Call) -> AsyncGenerator[Chunk]:
        """Stream the completion of ``call``, as ``Engine`` describes.

        Raises:
            CallRejected: the prompt does not fit into a slot; the message gives both sizes.
            ModelUnavailable: the model cannot be obtained.
            EngineUnavailable: the engine cannot be started, or was closed.
            WorkerError: the engine failed midway.
        """
        sampling = call.sampling
        if sampling.max_tokens < 1:
            raise CallRejected(f"max_tokens must be at least 1, not {sampling.max_tokens}")
        running = await self._run()
        async with (
            running.queue.turn(call) as turn,
            aclosing(turn.complete(sampling.max_tokens, _options(call))) as pieces,
        ):
            await call.permitted()  # it may have waited long for its slot
            async for piece in pieces:
                yield self._chunk(piece, turn, call)

    def _chunk(self, piece: Piece, turn: Turn, call: Call) -> Chunk:
        if piece.timing is None:
            logprobs = piece.logprobs
            # Drop the one alternative that had to be requested to get any log-probabilities.
            if call.sampling.top_logprobs == 0:
                logprobs = tuple(replace(each, top={}) for each in logprobs)
            return Chunk(piece.text, len(piece.tokens), logprobs=logprobs, worker=self._name)
        prompt = len(turn.tokens)
        return Chunk(
            piece.text,
            token_ids=turn.written(piece.timing.reached) if call.return_token_ids else (),
            finish_reason="length" if piece.timing.reached == "limit" else "stop",
            usage=Usage(prompt, prompt - turn.computed, piece.timing.drawn),
            worker=self._name,
        )

    async def _run(self) -> _Running:
        """The running server, started if there is none or it has died. Concurrent callers share one start."""
        task, dead = self._starting, None
        if task is not None and task.done():
            if task.cancelled() or task.exception() is not None:
                task = None
            elif not task.result().server.alive:
                dead, task = task.result(), None
        if task is None:
            task = self._starting = asyncio.create_task(self._open(dead), name=f"start {self._name}")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise EngineUnavailable(f"{self._name} was closed while it started") from None

    async def _open(self, dead: _Running | None) -> _Running:
        if dead is not None:
            log.warning("llama_cpp_died", engine=self._name)
            await _close(dead)
        path = await fetch(self._model, directory=self._directory, on_progress=self._on_progress)
        server = await LlamaServer.start(
            path,
            slots=self._slots,
            context=self._context,
            batch=BATCH,
            threads=self._threads,
            cells=CELLS,
            verbosity=self._verbosity,
        )
        try:
            name = str(self._model) if self._model in CATALOGUE else path.stem
            capabilities = await _probe(server, name, self._slots)
        except BaseException:
            await server.close()
            raise
        table = SlotTable(self._slots, worthwhile=WORTHWHILE, budget=self._prefix_bytes, places=CELLS)
        return _Running(server, SlotQueue(server, table), capabilities)


@dataclass(frozen=True, slots=True)
class _Running:
    """A server, the calls on it, and its capabilities."""

    server: LlamaServer
    queue: SlotQueue
    capabilities: Capabilities


async def _close(running: _Running) -> None:
    running.queue.close()
    await running.server.close()


async def _probe(server: LlamaServer, model: str, slots: int) -> Capabilities:
    """Find out with a few tokens what the model and this version of llama.cpp can do."""
    user = {"role": "user", "content": "a"}
    prefilled = await server.client.chat([user, {"role": "assistant", "content": "b c"}])
    plain = await server.client.chat([user])
    told = Function("b", "c", {"type": "object", "properties": {}})
    offered = await server.client.chat([user], [told.as_tool()])

    async def said(**options: object) -> list[Piece]:
        async with aclosing(server.client.complete(0, plain, 4, {"temperature": 0, **options})) as stream:
            return [piece async for piece in stream]

    pieces = await said(n_probs=1, json_schema={"type": "boolean"})
    timing = pieces[-1].timing
    return Capabilities(
        model=model,
        max_model_len=server.context,
        max_concurrency=slots,
        token_ids_in=await server.client.spell(await server.client.text("a b")) == "a b",
        token_ids_out=any(piece.tokens for piece in pieces),
        logprobs=any(piece.logprobs for piece in pieces),
        guided_json=_text(pieces).strip() in ("true", "false"),
        function_calls=len(offered) > len(plain),
        guided_grammar=_text(await said(grammar='root ::= "kiwi"')) == "kiwi",
        priority=True,
        assistant_prefill=len(prefilled) > len(plain) and prefilled[: len(plain)] == plain,
        cached_token_usage=timing is not None and timing.cached + timing.computed == len(plain),
    )


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _options(call: Call) -> dict[str, object]:
    sampling = call.sampling
    options: dict[str, object] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop": sampling.stop,
        "seed": -1 if sampling.seed is None else sampling.seed,
    }
    if sampling.top_logprobs is not None:
        options["n_probs"] = max(sampling.top_logprobs, 1)  # 0 would give none at all
    if call.schema is not None:
        options["json_schema"] = call.schema
    if call.grammar is not None:
        options["grammar"] = call.grammar
    return options
