"""Branches that others have recorded, as traces, so that stop rules can be tried on them.

The format is that of Parallel-Probe (github.com/zhengkid/Parallel-Probe): a JSON list of problems, each with
``question`` and ``each_branch``, a list of ``[probe answers, tokens, final answer]``. Importing runs the
planner ``vote`` over the recorded answers, which arrive in order of length, as if all branches ran at the
same speed. The result is an ordinary trace: it can be replayed, and asked for counterfactuals.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import InvalidRequest
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from orchestrator.validation import Text, explain
from storage.store import Store
from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Health
from workers.tools.toolbox import Toolbox

NO_ANSWER = frozenset({"", "ERR", "None"})
RecordedBranch = tuple[list[Any], Annotated[int, Field(ge=0)], str | None]


class RecordedProblem(BaseModel):
    """One question and the branches that were sampled for it; other fields are ignored."""

    model_config = ConfigDict(frozen=True)

    question: Text
    each_branch: Annotated[tuple[RecordedBranch, ...], Field(min_length=1, max_length=1024)]


def read_recordings(path: Path) -> list[RecordedProblem]:
    """The problems in a file.

    Raises:
        InvalidRequest: it cannot be read, or is in another format; says where.
    """
    try:
        return TypeAdapter(list[RecordedProblem]).validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise InvalidRequest(f"{path} is not a list of recorded problems: {explain(error)[:500]}") from None


class RecordedEngine:
    """An engine that repeats what branches once said, in the order in which they would have ended."""

    name = "recording"

    def __init__(self, branches: Sequence[RecordedBranch]) -> None:
        self._branches = branches
        order = sorted(range(len(branches)), key=lambda index: branches[index][1])
        self._after = dict(pairwise(order))
        self._turns = [asyncio.Event() for _ in branches]
        self._turns[order[0]].set()
        self._started = 0

    async def capabilities(self) -> Capabilities:
        """It has no model of its own."""
        return Capabilities(self.name)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The next branch, when its turn has come."""
        index, self._started = self._started, self._started + 1
        _, tokens, answer = self._branches[index]
        await self._turns[index].wait()
        given = answer is not None and answer not in NO_ANSWER
        yield Chunk(
            f"\\boxed{{{answer}}}" if given else "",
            tokens,
            finish_reason="stop" if given else "length",
            usage=Usage(completion_tokens=tokens),
            worker=self.name,
        )
        if (then := self._after.get(index)) is not None:
            self._turns[then].set()

    async def health(self) -> Health:
        """It always works."""
        return Health(ok=True)

    async def close(self) -> None:
        """There is nothing to release."""


async def import_recordings(
    store: Store, problems: Sequence[RecordedProblem], *, tenant: str | None = None
) -> list[Solution]:
    """Store a trace for each problem; a problem that the tenant has imported before is not imported again."""
    solutions = []
    for problem in problems:
        content = json.dumps(problem.model_dump(), sort_keys=True).encode()
        service = Service(store, RecordedEngine(problem.each_branch), toolbox=Toolbox())
        width = len(problem.each_branch)
        request = {
            "query": problem.question,
            "planner": "vote",
            "options": {"n": width, "rule": "fixed"},
            "budget": {"width": width + 1, "seconds": None},
            **({} if tenant is None else {"tenant": tenant}),
            "idempotency_key": f"recording {hashlib.sha256(content).hexdigest()[:32]}",
        }
        solutions.append(await service.solve(parse(request)))
    return solutions
