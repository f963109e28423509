"""vLLM servers on this machine as engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from workers.calls import Call, Chunk
from workers.engine import Capabilities, Health
from workers.engines.openai.timeouts import Timeouts
from workers.engines.vllm.kv_events import events_supported, follow
from workers.engines.vllm.launch import Option, Recipe
from workers.engines.vllm.machine import visible_gpus
from workers.engines.vllm.supervision import Starting, Supervision
from workers.errors import EngineUnavailable
from workers.prefix.blocks import Chain
from workers.prefix.tokens import TokenBlocks


def one_each(
    model: str | Path,
    *,
    tensor_parallel_size: int = 1,
    options: Mapping[str, Option] | None = None,
    python: Path | None = None,
    on_progress: Callable[[Starting], None] | None = None,
) -> tuple[VLLMServer, ...]:
    """A server for each group of ``tensor_parallel_size`` GPUs, or one on the CPU if there are no GPUs.

    Raises:
        EngineUnavailable: there are fewer GPUs than a group needs.
    """
    gpus = visible_gpus()
    size = tensor_parallel_size
    if gpus and len(gpus) < size:
        raise EngineUnavailable(f"a group of {size} GPUs was asked for, but there are {len(gpus)}")
    groups = [gpus[start : start + size] for start in range(0, len(gpus) - size + 1, size)] or [()]
    return tuple(
        VLLMServer(
            model,
            name=f"vllm-{number}",
            gpus=group,
            options=options,
            python=python,
            on_progress=on_progress,
        )
        for number, group in enumerate(groups)
    )


class VLLMServer:
    """A vLLM server that this object starts, restarts and stops; an :class:`~workers.engine.Engine`.

    It listens on a Unix domain socket in a directory of its own, mode 0700. If a ``host`` or ``port`` is
    among the options, or vLLM has no ``--uds``, it listens on TCP and asks for a key: the one given, else a
    random one for each start. No web page may ask it (CORS).

    It starts with :meth:`capabilities`. When the process dies afterwards, calls fail with
    :class:`EngineUnavailable` until it is restarted: after 1 s at first, later after up to a minute.

    Args:
        model: a directory of safetensors, or a name on the Hugging Face hub; None: the model that
            scripts/setup-vllm-cpu made.
        gpus: devices for ``CUDA_VISIBLE_DEVICES``; several make one tensor-parallel group. Empty: the CPU;
            None: the first GPU, or the CPU if there is none.
        options: vLLM's own options with underscores for dashes, such as ``{"max_model_len": 4096,
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 4}}``. They override what
            this class sets by itself; it also uses a ``uds``, ``port`` or ``api_key`` to talk to the server.
            One of our own is ``arithmetic_sampling``: True adds the logits processor for it, which vLLM does
            not combine with speculative decoding.
        environment: further environment variables.
        python: the interpreter that has vLLM; None: see :func:`~workers.engines.vllm.launch.find_python`.
        kv_events: whether the server publishes what it caches; None: if pyzmq and msgspec are installed.
        start_seconds: how long a start may take, loading the model included.
        stop_seconds: how long :meth:`drain` waits at most, and how long the server may take to end before
            it is killed.
        restarts: how many starts may fail in a row, once the server has run, before it is given up.
        on_progress: called about once a second, at first more often, with how far the start has come.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        name: str = "vllm",
        gpus: Sequence[str] | None = None,
        options: Mapping[str, Option] | None = None,
        environment: Mapping[str, str] | None = None,
        python: Path | None = None,
        kv_events: bool | None = None,
        timeouts: Timeouts | None = None,
        start_seconds: float = 900.0,
        stop_seconds: float = 20.0,
        restarts: int = 5,
        on_progress: Callable[[Starting], None] | None = None,
    ) -> None:
        self._name = name
        recipe = Recipe(
            model=None if model is None else str(model),
            gpus=None if gpus is None else tuple(gpus),
            options={name.strip("-").replace("-", "_"): value for name, value in (options or {}).items()},
            environment=dict(environment or {}),
            python=python,
        )
        self._stop_seconds = stop_seconds
        self._supervision = Supervision(
            name,
            recipe,
            timeouts=timeouts,
            publish=events_supported() if kv_events is None else kv_events,
            start_seconds=start_seconds,
            stop_seconds=stop_seconds,
            restarts=restarts,
            on_progress=on_progress,
        )
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False

    @property
    def name(self) -> str:
        """The name given at construction."""
        return self._name

    @property
    def pid(self) -> int | None:
        """The process id of the server; None while there is none."""
        return self._supervision.pid

    @property
    def blocks(self) -> TokenBlocks | None:
        """What the server holds, as far as it has published it."""
        return self._supervision.blocks

    def last_lines(self) -> str:
        """The end of the server's log, after the first errors in it: vLLM names the cause there."""
        return self._supervision.log.last_lines()

    async def capabilities(self) -> Capabilities:
        """Start the server if it is not running, and wait until it answers.

        Raises:
            EngineUnavailable: it did not start; the message has the last lines of its log.
        """
        await self._supervision.start()
        return await self._supervision.running().capabilities()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream a completion from the server; see :class:`~workers.engines.openai.engine.OpenAIEngine`."""
        if not self._supervision.begun:
            await self.capabilities()
        if self._draining:
            raise EngineUnavailable(f"{self._name} is being stopped")
        stream = self._supervision.running().generate(call)
        self._calls += 1
        self._idle.clear()
        try:
            async for chunk in stream:
                yield chunk
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
            await stream.aclose()

    async def health(self) -> Health:
        """Whether the server answers, and if it is not running, why."""
        try:
            return await self._supervision.running().health()
        except EngineUnavailable as error:
            return Health(False, str(error))

    async def drain(self) -> None:
        """Take no more calls; returns when those in flight have ended, or after ``stop_seconds``."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_seconds):
                await self._idle.wait()

    async def close(self) -> None:
        """Abort the calls in flight, and end the server with all its processes."""
        await self._supervision.stop()

    async def load(self) -> tuple[int, int] | None:
        """Running and waiting calls; None while the server does not report them."""
        engine = self._supervision.engine
        return await engine.load() if engine is not None else None

    async def follow(self) -> None:
        """Keep ``blocks`` equal to what the server holds, until cancelled."""
        endpoints, blocks = self._supervision.endpoints(), self._supervision.blocks
        if endpoints is not None and blocks is not None:
            await follow(endpoints, blocks)

    async def chain(self, call: Call) -> Chain:
        """The token blocks of the prompt of ``call``, as ``blocks`` names them."""
        engine = self._supervision.engine
        return await engine.chain(call) if engine is not None else ()
