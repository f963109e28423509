"""The result of a line: what its task came to, or its error, as JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrator.batches.lines import Id, Line
from orchestrator.errors import AnabranchError, TaskFailed
from orchestrator.tasks.solution import Solution, solution_of_task
from orchestrator.visible import json_spelled
from storage.tasks import Task

CANNOT_BE_ENCODED = "replace"
"""Half of a surrogate pair has no form in UTF-8."""


class LineError(BaseModel):
    """Why a line has no answer."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class LineTokens(BaseModel):
    """Tokens of all calls for a line."""

    model_config = ConfigDict(frozen=True)

    prompt: int
    completion: int


class Result(BaseModel):
    """What became of a line: a solution, or an error. ``seconds`` are those of its run."""

    model_config = ConfigDict(frozen=True)

    line: int
    id: Id
    answer: str | None = None
    text: str | None = None
    outcome: str | None = None
    confidence: float | None = None
    probability: float | None = None
    tokens: LineTokens | None = None
    seconds: float | None = None
    trace_id: str | None = None
    error: LineError | None = None
    carried: dict[str, Any] = {}

    def as_json(self) -> str:
        """The result as a line of JSON."""
        return json_spelled(json.dumps(self.model_dump(), ensure_ascii=False)) + "\n"

    def as_csv(self, carry: tuple[str, ...] = ()) -> str:
        """The result as a row of CSV, with the columns of :func:`csv_header`."""
        flat = {**self.model_dump(exclude={"tokens", "error", "carried"}), **self._nested()}
        carried = {f"carried.{name}": _cell(self.carried.get(name)) for name in carry}
        return _row([{**flat, **carried}.get(name) for name in _columns(carry)])

    def _nested(self) -> dict[str, Any]:
        parts = {"tokens": self.tokens, "error": self.error}
        return {
            f"{name}.{member}": value
            for name, part in parts.items()
            if part is not None
            for member, value in part.model_dump().items()
        }


def result_of(line: Line, came_of: Task | AnabranchError) -> Result:
    """The result of a line whose task has ended, or that has none."""
    named = {"line": line.number, "id": line.id, "carried": dict(line.carried)}
    if isinstance(came_of, AnabranchError):
        return Result(**named, error=LineError(code=came_of.code, message=str(came_of)))
    try:
        return Result(**named, **_told(solution_of_task(came_of)))
    except AnabranchError as error:
        failure = LineError(code=error.code, message=str(error))
        outcome = came_of.outcome if isinstance(error, TaskFailed) else None
        return Result(**named, outcome=outcome, trace_id=came_of.id, error=failure)


def _told(solution: Solution) -> Mapping[str, Any]:
    calibrated = solution.calibrated
    return {
        "answer": solution.answer,
        "text": solution.text,
        "outcome": solution.outcome.value,
        "confidence": solution.confidence,
        "probability": None if calibrated is None else calibrated.probability,
        "tokens": LineTokens(prompt=solution.usage.prompt, completion=solution.usage.completion),
        "seconds": solution.timings.run,
        "trace_id": solution.trace_id,
    }


def csv_header(carry: tuple[str, ...] = ()) -> str:
    """The header of a CSV file of results; ``carry`` names what lines had besides."""
    return _row(_columns(carry))


def _columns(carry: tuple[str, ...]) -> list[str]:
    plain = [name for name in Result.model_fields if name not in ("tokens", "error", "carried")]
    nested = ["tokens.prompt", "tokens.completion", "error.code", "error.message"]
    return [*plain, *nested, *(f"carried.{name}" for name in carry)]


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
