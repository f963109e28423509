"""The embedded engine: llama.cpp on this machine, without a server to set up.

Calls that share a prompt prefix compute it once; ``workers.slots`` chooses the slots and keeps the prefixes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from workers.calls import Call, Chunk, Logprob, Prompt, Usage
from workers.engine import Capabilities, Health
from workers.errors import CallRejected, EngineUnavailable, WorkerError
from workers.llama_server import LlamaServer
from workers.models import CATALOGUE, DEFAULT_MODEL, Progress, fetch
from workers.slots import WIDTH, Assignment, Request, Saved, SlotTable, pack

WORTHWHILE = 32  # tokens: computing them takes longer than saving and restoring
BATCH = 128  # tokens: a call is aborted, and others go on decoding, between batches of a prompt
CELLS = 64


@dataclass(slots=True, eq=False)
class _Gathering:
    """Calls that arrived in one tick of the event loop. They queue together, once all are tokenised."""

    expected: int = 0
    ready: list[Request] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Running:
    """What exists while the engine runs."""

    server: LlamaServer
    table: SlotTable
    capabilities: Capabilities
    granted: dict[Request, asyncio.Future[Assignment]] = field(default_factory=dict)
    gathering: _Gathering = field(default_factory=_Gathering)


class LlamaCppEngine:
    """An ``Engine`` that loads a GGUF model into a llama.cpp server of its own.

    ``model`` is a catalogue name or the path of a GGUF file; it is fetched when the engine starts. The
    engine works on ``slots`` calls at the same time, each with ``context`` tokens for prompt and completion
    together. ``threads`` None leaves the number of threads to llama.cpp. ``prefix_bytes`` bounds the memory
    for saved prefixes. ``debug`` lets llama.cpp write its log to standard error.

    Top-k and min-p, which ``Sampling`` does not have, stay at llama.cpp's defaults (40 and 0.05).
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
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
        if slots < 1 or context < 64:
            raise ValueError(f"slots must be at least 1 and context at least 64, not {slots} and {context}")
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
        """The name in traces; ``Chunk.worker`` has it."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """Fetch and load the model if need be (1 to 4 s, and the download), and say what it can do.

        Raises: EngineUnavailable: the extra is not installed, or llama.cpp cannot load the model.
        ModelUnavailable: the model cannot be had.
        """
        return (await self._run()).capabilities

    async def health(self) -> Health:
        """Whether the model is loaded and its process lives."""
        if self._starting is None:
            return Health(False, "not started")
        if not self._starting.done():
            return Health(False, "starting")
        if self._starting.cancelled() or self._starting.exception() is not None:
            return Health(False, f"failed to start: {self._starting.exception()}")
        return Health(True) if self._starting.result().server.alive else Health(False, "llama.cpp died")

    async def close(self) -> None:
        """Stop the server. The engine can be started again."""
        starting, self._starting = self._starting, None
        if starting is None:
            return
        with suppress(WorkerError):
            running = await starting
            for future in running.granted.values():
                if not future.done():
                    future.set_exception(EngineUnavailable(f"{self._name} was closed"))
            await running.server.close()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk]:
        """Stream the completion of ``call``; see ``Engine``.

        Raises:
            CallRejected: the prompt does not fit into a slot; the message has both numbers.
            WorkerError: the engine cannot be started, or broke off.
        """
        if call.sampling.max_tokens < 1:
            raise CallRejected(f"max_tokens must be at least 1, not {call.sampling.max_tokens}")
        running = await self._run()
        server = running.server
        tokens, request = await self._queue(running, call)
        assignment = await self._slot(running, request)
        held = None
        computed = 0
        drawn: list[int] = []
        try:
            if assignment.restore is not None:
                held = await self._restore(running, assignment.slot, assignment.restore)
            for depth in assignment.primes:
                async with aclosing(server.complete(assignment.slot, tokens[:depth], 0)) as pieces:
                    async for piece in pieces:
                        if piece.prompt_done is not None:
                            held = request.tokens[: piece.prompt_done * WIDTH]
                        if piece.timing is not None:
                            computed += piece.timing.computed
                await self._save(running, assignment.slot, request.tokens[: depth * WIDTH])
            pieces = server.complete(assignment.slot, tokens, call.sampling.max_tokens, **_options(call))
            async with aclosing(pieces):
                async for piece in pieces:
                    if piece.prompt_done is not None:
                        held = request.tokens[: piece.prompt_done * WIDTH]
                        continue
                    drawn.extend(piece.tokens)
                    held = request.tokens + pack(drawn[:-1])  # the last token is drawn, not computed
                    if piece.timing is None:
                        yield Chunk(
                            piece.text,
                            len(piece.tokens),
                            piece.tokens,
                            _trimmed(piece.logprobs, call.sampling.top_logprobs),
                            worker=self._name,
                        )
                    else:
                        computed += piece.timing.computed
                        yield Chunk(
                            piece.text,
                            finish_reason="length" if piece.timing.reached == "limit" else "stop",
                            usage=Usage(len(tokens), len(tokens) - computed, piece.timing.drawn),
                            worker=self._name,
                        )
        finally:
            running.table.release(assignment, held)
            self._dispatch(running)

    async def _run(self) -> _Running:
        """The running server; started if there is none or it died. Concurrent callers share one start."""
        task, dead = self._starting, None
        if task is not None and task.done():
            if task.cancelled() or task.exception() is not None:
                task = None
            elif not task.result().server.alive:
                dead, task = task.result().server, None
        if task is None:
            task = self._starting = asyncio.create_task(self._open(dead), name=f"start {self._name}")
        return await asyncio.shield(task)

    async def _open(self, dead: LlamaServer | None) -> _Running:
        if dead is not None:
            await dead.close()
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
            name = self._model if self._model in CATALOGUE else path.stem
            capabilities = await _probe(server, name, self._slots)
        except BaseException:
            await server.close()
            raise
        return _Running(server, SlotTable(self._slots, WORTHWHILE, self._prefix_bytes, CELLS), capabilities)

    async def _queue(self, running: _Running, call: Call) -> tuple[list[int], Request]:
        """Tokenise the prompt, then let the call wait for a slot together with those of the same tick."""
        gathering = running.gathering
        gathering.expected += 1
        try:
            await asyncio.sleep(0)
            if running.gathering is gathering:
                running.gathering = _Gathering()
            tokens = await running.server.tokenise(_messages(call.prompt))
            if len(tokens) >= running.server.context:
                raise CallRejected(
                    f"the prompt has {len(tokens)} tokens; {self._name} has room for {running.server.context}, "
                    "prompt and completion together"
                )
            request = Request(pack(tokens), call.priority, call.family)
            running.granted[request] = asyncio.get_running_loop().create_future()
            gathering.ready.append(request)
        finally:
            gathering.expected -= 1
            if gathering.expected == 0:
                running.table.add(request for request in gathering.ready if request in running.granted)
                self._dispatch(running)
        return tokens, request

    async def _slot(self, running: _Running, request: Request) -> Assignment:
        """Wait until the request is given a slot."""
        future = running.granted[request]
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                running.table.release(future.result(), None)
            raise
        finally:
            del running.granted[request]
            running.table.withdraw(request)
            self._dispatch(running)

    def _dispatch(self, running: _Running) -> None:
        for assignment in running.table.assign():
            future = running.granted.get(assignment.request)
            if future is None or future.done():  # its owner is about to withdraw it
                running.table.release(assignment, None)
            else:
                future.set_result(assignment)

    async def _restore(self, running: _Running, slot: int, saved: Saved) -> bytes:
        """Put a saved prefix into a slot; returns what the slot holds then."""
        try:
            await running.server.restore(slot, saved.place)
        except CallRejected:  # the copy is unusable: do without
            running.table.forget(saved)
            return b""
        return saved.tokens

    async def _save(self, running: _Running, slot: int, tokens: bytes) -> None:
        """Save the prefix that a slot holds and let those start that waited for it."""
        cell = running.server.cells.take()
        if cell is None:
            return
        size = await running.server.save(slot, cell)
        for dropped in running.table.keep(Saved(tokens, size, cell)):
            running.server.cells.free(dropped.place)
        self._dispatch(running)


async def _probe(server: LlamaServer, model: str, slots: int) -> Capabilities:
    """Find out with one token what the model and this version of the server can do."""
    prefilled = await server.tokenise(
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}]
    )
    plain = await server.tokenise([{"role": "user", "content": "a"}])
    options = {"n_probs": 1, "json_schema": {"type": "boolean"}, "temperature": 0}
    text, ids, logprobs, timing = "", 0, 0, None
    async with aclosing(server.complete(0, plain, 4, **options)) as pieces:
        async for piece in pieces:
            text += piece.text
            ids += len(piece.tokens)
            logprobs += len(piece.logprobs)
            timing = piece.timing
    return Capabilities(
        model=model,
        max_model_len=server.context,
        max_concurrency=slots,
        token_ids_out=ids > 0,
        logprobs=logprobs > 0,
        guided_json=text.strip() in ("true", "false"),
        priority=True,
        assistant_prefill=len(prefilled) > len(plain) and prefilled[: len(plain)] == plain,
        cached_token_usage=timing is not None and timing.cached + timing.computed == len(plain),
    )


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt's messages. An empty prefill is none: templates would close the assistant's turn for it."""
    messages = prompt.messages()
    return messages[:-1] if messages and messages[-1] == {"role": "assistant", "content": ""} else messages


def _options(call: Call) -> dict[str, object]:
    sampling = call.sampling
    options: dict[str, object] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop": sampling.stop,
        "seed": -1 if sampling.seed is None else sampling.seed,
    }
    if sampling.top_logprobs is not None:
        options["n_probs"] = max(sampling.top_logprobs, 1)  # 0 would mean none at all
    if call.schema is not None:
        options["json_schema"] = call.schema
    return options


def _trimmed(logprobs: tuple[Logprob, ...], top: int | None) -> tuple[Logprob, ...]:
    """Without the one alternative that had to be asked for to get any."""
    return tuple(replace(each, top={}) for each in logprobs) if top == 0 else logprobs
