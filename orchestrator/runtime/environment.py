"""What a run is executed with, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import Failure
from orchestrator.runtime.change import Change
from orchestrator.runtime.values import Answer, Bounds, Budget, Spent
from storage.codec import Redact
from storage.events import Event
from storage.tasks import EXPIRED
from workers.calls import Sampling
from workers.engine import Capabilities, Engine
from workers.tools.toolbox import Toolbox

EDITION: Final = 3
"""What a run does where its options do not say it. A run records it, so that it can be changed.

From 2 on, a synthesis is asked for only where no answer has a majority, and does not stand against all
votes; a vote whose verifier is no tool of the run is refused; and ``adaptive`` makes one call in much
material. From 3 on, a vote whose verifier refused the answer is undecided, ``adaptive`` makes one call for an
expression that makes a number, ``threads`` hands on what is done to a whole list, and ``together`` goes on
where its answer may have less of the context.
"""

FIRST_EDITION: Final = 1
"""What it was before runs recorded it."""


class Recorder(Protocol):
    """Where caused and external events are appended, in order."""

    def append(self, event: Event) -> None:
        """Take the event. Cheap, and never blocks. Raises if an earlier event could not be stored."""
        ...

    async def flush(self) -> None:
        """Return when everything that was appended is durable."""
        ...

    async def room(self) -> None:
        """Wait while too much is queued."""
        ...

    async def leased(self) -> None:
        """Wait until this process is known to hold the task's lease; called before each call and tool."""
        ...


class RunOutcome(StrEnum):
    """How a run ended; ``abstained`` is what becomes of an answer that is less sure than was asked for.

    A task is ``expired`` that did not run, since its deadline passed while it waited.
    """

    ANSWERED = "answered"
    UNDECIDED = "undecided"
    ABSTAINED = "abstained"
    LIMITED = "limited"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = EXPIRED


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run is executed with.

    ``engine`` is None for a replay and a counterfactual, where nothing may go live. ``symbolic`` says that
    claims can be compared as mathematics. ``seed`` determines the seeds of all samples. ``call_seconds``
    bounds one engine call, from sending it to its last token. ``changes`` holds what a fork changes, by path.
    ``redact`` is applied to what engines and tools return, before anyone sees it. ``rule`` stops the votes
    that do not name a stop rule of their own. ``edition`` is the :data:`EDITION` that the run was begun in.
    ``traceparent`` gives the span of a node, by its path, for the calls that it makes.
    """

    engine: Engine | None
    capabilities: Capabilities
    toolbox: Toolbox
    symbolic: bool = False
    budget: Budget = field(default_factory=Budget)
    bounds: Bounds = field(default_factory=Bounds)
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    tenant: str = "default"
    task_id: str = ""
    call_seconds: float = 600.0
    changes: Mapping[str, Change] = field(default_factory=dict)
    redact: Redact | None = None
    rule: str = DEFAULT_RULE
    edition: int = EDITION
    traceparent: Callable[[str], str] | None = None

    def idempotency_key(self, path: str) -> str:
        """The key by which a tool recognises that another process invokes it again for node ``path``."""
        return f"{self.task_id}:{path}"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run. ``limit`` names the bound that ended it; ``failure`` is set if it failed."""

    outcome: RunOutcome
    answer: Answer | None
    spent: Spent
    failure: Failure | None = None
    limit: str | None = None
