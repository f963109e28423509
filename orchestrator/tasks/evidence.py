"""Stored calibrations: what each was fitted for, on what evidence, and what it says about an answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.consensus.calibration import Calibration, HeldOut
from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import Planner
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.plain import plain
from orchestrator.runtime.values import Answer
from orchestrator.tasks.setup import Setup
from orchestrator.tasks.solution import Calibrated, Solution
from orchestrator.validation import explain

log = structlog.get_logger()

Signal = Literal["confidence", "entropy", "length"]
RISING: Mapping[Signal, bool] = {"confidence": True, "entropy": False, "length": False}
"""The signals that a calibration may use, and whether a higher value means surer. The length is that of all
branches, in tokens: hard questions make models talk. It is the baseline that the others must beat."""


class Purpose(BaseModel):
    """What a calibration applies to: the answers of one model, asked by one planner in one way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    planner: str
    options: dict[str, Any] = Field(description="All options of the planner, defaults included.")
    sampling: dict[str, Any] = Field(description="Sampling parameters that the planner leaves open.")
    model: str

    @classmethod
    def of(
        cls, planner: Planner, options: Mapping[str, Any], sampling: Mapping[str, Any], model: str, rule: str
    ) -> Self:
        """The purpose of a run, from ``options`` and ``sampling`` as its journal has them.

        ``rule`` is the stop rule of its votes where the options name none.

        Raises:
            InvalidRequest: the planner no longer has these options.
            PlannerError: they cannot be checked.
        """
        filled = planner.filled(options)
        if "rule" in filled and filled["rule"] is None:
            filled["rule"] = rule
        left_open = ("temperature", "top_p", "max_tokens")
        return cls(
            planner=planner.name,
            options=filled,
            sampling={name: sampling[name] for name in left_open if name not in filled},
            model=model,
        )

    def distance(self, run: Purpose) -> tuple[bool, int]:
        """How far a run is from this purpose; the planner counts most."""
        return self.planner != run.planner, len(self.differences(run))

    def differences(self, run: Purpose) -> list[str]:
        """How a run differs from this purpose; empty if it does not."""
        ours: dict[str, Any] = {"planner": self.planner, "model": self.model}
        theirs: dict[str, Any] = {"planner": run.planner, "model": run.model}
        if self.planner == run.planner:  # otherwise their options are unrelated
            ours |= self.options | self.sampling
            theirs |= run.options | run.sampling
        return [
            f"{name} {json.dumps(ours.get(name))}, not {json.dumps(theirs.get(name))}"
            for name in {**ours, **theirs}
            if ours.get(name) != theirs.get(name)
        ]


class Evidence(BaseModel):
    """A calibration and its evidence; the contents of a file that ``anabranch calibrate`` writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["anabranch calibration 1"] = "anabranch calibration 1"
    name: str = Field(description="The name of the file with the labels.")
    purpose: Purpose
    signal: Signal = Field(description="What the probability is derived from.")
    calibration: Calibration
    beside: dict[Signal, float] = Field(description="AUROC of each signal that all these answers have.")
    risk: float = Field(gt=0, lt=1, description="The share of accepted answers that may be wrong.")
    threshold: float | None = Field(
        description="The least sure signal that is known to keep within `risk`; null if none is."
    )
    held_out: HeldOut | None = Field(
        None, description="What the threshold did on the questions that it was not chosen on."
    )
    questions: int = Field(description="Labelled questions, including those left out.")
    left_out: dict[str, int] = Field(description="How many could not be used, by reason.")
    fitted_at: AwareDatetime
    versions: dict[str, str | int]

    def apply(self, answer: Answer, tokens: int) -> Calibrated | None:
        """How likely an answer that took ``tokens`` tokens is to be right; None if it lacks the signal."""
        score = signal_of(answer, tokens, self.signal)
        if score is None:
            return None
        # Files from before thresholds were held out have one that nothing bears out.
        known = self.threshold is not None and self.held_out is not None
        accepted = known and self.calibration.accepts(score, self.threshold or 0.0)
        return Calibrated(
            probability=self.calibration.probability(score),
            risk=self.risk,
            within_risk=accepted,
            questions=self.calibration.examples,
            evidence=self.name,
        )

    @property
    def file_name(self) -> str:
        """A file name that is the same for the same purpose, so that a new fit replaces the old one."""
        purpose = self.purpose
        digest = hashlib.sha256(json.dumps(purpose.model_dump(), sort_keys=True).encode()).hexdigest()[:8]
        return re.sub(r"[^\w.-]+", "-", f"{purpose.planner}-{purpose.model}-{digest}.json")

    def save(self, path: Path) -> None:
        """Write the file, all of it or nothing.

        Raises:
            InvalidRequest: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_text(f"{self.model_dump_json(indent=1)}\n", encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` has written.

        Raises:
            InvalidRequest: it cannot be read, or is not a calibration.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InvalidRequest(f"the calibration {path} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise InvalidRequest(f"{path} is not a calibration: {explain(error)[:500]}") from None


@dataclass(frozen=True, slots=True)
class Calibrations:
    """The calibrations that a process knows, the newest fit first."""

    kept: tuple[Evidence, ...] = ()

    @classmethod
    async def read(cls, path: Path | None) -> Self:
        """The calibrations in a file or a directory; None means this user's directory, which need not exist.

        In this user's directory a file that cannot be used, such as one of another version, is skipped.

        Raises:
            InvalidRequest: the named file, or one in the named directory, is not a readable calibration.
        """
        kept = await asyncio.to_thread(_load_user if path is None else _load_named, path or user_directory())
        return cls(tuple(sorted(kept, key=lambda each: each.fitted_at, reverse=True)))

    def apply(self, setup: Setup, result: Result) -> Calibrated | str:
        """How likely the answer of a run is to be right, or in words why that is not known."""
        if not self.kept:
            return "no calibration is available"
        if result.outcome is RunOutcome.UNDECIDED:
            return "the run is undecided"
        if result.answer is None or result.outcome is not RunOutcome.ANSWERED:
            return "the run was cut short"
        if setup.environment.changes:
            return "the run is a fork with a change"
        world = setup.environment
        model = world.capabilities.model
        run = Purpose.of(setup.planner, setup.options, plain(world.sampling), model, world.rule)
        closest = min(self.kept, key=lambda each: each.purpose.distance(run))
        if differences := closest.purpose.differences(run):
            return f"{closest.name} was fitted for {', '.join(differences)}"
        tokens = result.spent.usage.completion_tokens
        return closest.apply(result.answer, tokens) or f"the answer has no {closest.signal} to go by"


def _load_named(path: Path) -> list[Evidence]:
    return [Evidence.load(file) for file in (path.glob("*.json") if path.is_dir() else [path])]


def _load_user(directory: Path) -> list[Evidence]:
    kept = []
    for file in directory.glob("*.json"):
        try:
            kept.append(Evidence.load(file))
        except InvalidRequest as error:
            log.warning("a calibration cannot be used", error=str(error))
    return kept


def signal_of(answer: Answer | Solution, tokens: int, signal: Signal) -> float | None:
    """The signal of an answer that took ``tokens`` completion tokens; None if no branches were compared.

    Otherwise one vote, or a few while most branches gave no answer, would look like full agreement.
    """
    if signal == "length":
        return float(tokens)
    if answer.clusters and (answer.entropy is None or sum(each.count for each in answer.clusters) < 2):
        return None
    return answer.confidence if signal == "confidence" else answer.entropy


def place(evidence: Evidence, configured: Path | None) -> Path:
    """Where a new calibration is written so that processes with the setting ``calibration`` find it.

    A path that does not exist yet is a file if its name ends in ``.json``, otherwise a directory.
    """
    where = configured or user_directory()
    is_file = where.is_file() or (where.suffix == ".json" and not where.is_dir())
    return where if is_file else where / evidence.file_name


def user_directory() -> Path:
    """Where this user's calibrations are kept, next to the database."""
    return Path(platformdirs.user_data_dir("anabranch"), "calibrations")
