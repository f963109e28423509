"""The contract between the orchestrator and whatever computes completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from workers.calls import Call, Chunk


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, as found by probing it, never assumed.

    ``max_model_len`` is in tokens (prompt and completion together), ``max_concurrency`` the number of
    calls that it advances at the same time; None if the engine does not report it. ``roles`` are the roles
    that have a model of their own; all other calls go to the same model.
    """

    model: str
    max_model_len: int | None = None
    max_concurrency: int | None = None
    token_ids_in: bool = False
    token_ids_out: bool = False
    logprobs: bool = False
    guided_json: bool = False
    guided_grammar: bool = False
    function_calls: bool = False
    priority: bool = False
    cache_salt: bool = False
    assistant_prefill: bool = False
    cached_token_usage: bool = False
    arithmetic_sampling: bool = False
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Health:
    """Whether calls can be expected to succeed now, and if not, why."""

    ok: bool
    detail: str = ""


class Engine(Protocol):
    """An inference server or library.

    An implementation must be safe for concurrent calls from one event loop. :meth:`capabilities` starts it
    if it is not running yet, and it may be closed more than once.
    """

    @property
    def name(self) -> str:
        """A short name for logs and traces, unique among the engines of a pool."""
        ...

    async def capabilities(self) -> Capabilities:
        """Start the engine if it is not running, probe it once, and say what it can do.

        Raises:
            EngineUnavailable: it cannot be started or reached.
            ModelUnavailable: its model cannot be obtained.
        """
        ...

    def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Stream the completion of ``call``; the last chunk has the finish reason and the usage.

        Implemented as an async generator. Closing it (``aclose``, or cancelling the task that iterates)
        aborts the call at the engine; a call that nobody reads must not keep computing.

        Raises:
            WorkerError: a subclass that names the phase that failed. Nothing else is raised.
        """
        ...

    async def health(self) -> Health:
        """Ask the engine whether it can work. Never raises."""
        ...

    async def close(self) -> None:
        """Stop what this object started, and release what it holds. Calls in flight are aborted."""
        ...
