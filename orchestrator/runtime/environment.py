"""What a run is executed with, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from orchestrator.errors import Failure
from orchestrator.runtime.change import Change
from orchestrator.runtime.values import Answer, Budget, Spent
from storage.codec import Redact
from storage.events import Event
from workers.calls import Sampling
from workers.engine import Capabilities, Engine
from workers.tools.toolbox import Toolbox


class Recorder(Protocol):
    """Where caused and external events are appended, in order."""

    def append(self, event: Event) -> None:
        """Take the event; cheap, never blocks. Raises if an earlier one could not be stored."""
        ...

    async def flush(self) -> None:
        """Return when everything that was appended is durable."""
        ...

    async def room(self) -> None:
        """Wait while too much is queued."""
        ...

    async def leased(self) -> None:
        """Wait while it is not known that this process may run the task; asked before each call and tool."""
        ...


class RunOutcome(StrEnum):
    """How a run ended."""

    ANSWERED = "answered"
    LIMITED = "limited"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run is executed with.

    ``engine`` is None for a strict replay, where nothing may go live. ``symbolic`` says that claims can be
    compared as mathematics. ``seed`` decides the seeds of all samples. ``call_seconds`` bounds one call to
    an engine from sending to its last token. ``changes`` say what is different at which path of a fork.
    ``redact`` is applied to what engines and tools bring, before anybody sees it.
    """

    engine: Engine | None
    capabilities: Capabilities
    toolbox: Toolbox
    symbolic: bool = False
    budget: Budget = field(default_factory=Budget)
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    tenant: str = "default"
    task_id: str = ""
    call_seconds: float = 600.0
    changes: Mapping[str, Change] = field(default_factory=dict)
    redact: Redact | None = None

    def idempotency_key(self, path: str) -> str:
        """What a tool is told, so that it knows when another process invokes it again for node ``path``."""
        return f"{self.task_id}:{path}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run. ``limit`` names the bound that ended it; ``failure`` is set when it failed."""

    outcome: RunOutcome
    answer: Answer | None
    spent: Spent
    failure: Failure | None = None
    limit: str | None = None
