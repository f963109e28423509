"""Stored calibrations: what each was fitted for, on what evidence, and what it says about an answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.consensus.agreement import Agreements, alone, counted
from orchestrator.consensus.calibration import Calibration, HeldOut
from orchestrator.consensus.reliability import Reliability
from orchestrator.consensus.shares import Checked, share_at_most, share_interval
from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import Planner
from orchestrator.runtime.values import Answer
from orchestrator.tasks.solution import Calibrated
from orchestrator.validation import explain
from storage.private import make_directory, opener

Score = Literal["confidence", "entropy", "length"]
RISING: Mapping[Score, bool] = {"confidence": True, "entropy": False, "length": False}
"""The signals that are numbers, and whether a higher value means surer. The length is that of all branches,
in tokens: hard questions make models talk. It is the baseline that the others must beat."""

Signal = Literal["agreement", Score]
"""What a calibration may go by: how the branches agreed, by name, or one of the scores."""


class Purpose(BaseModel):
    """What a calibration applies to: the answers of one model, asked by one planner in one way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    planner: str
    options: dict[str, Any] = Field(description="All options of the planner, defaults included.")
    sampling: dict[str, Any] = Field(description="Sampling parameters that the planner leaves open.")
    model: str
    tools: tuple[str, ...] = Field((), description="Those at hand, if the planner cannot do without some.")

    @classmethod
    def of(
        cls,
        planner: Planner,
        options: Mapping[str, Any],
        sampling: Mapping[str, Any],
        model: str,
        rule: str,
        tools: Iterable[str] = (),
    ) -> Self:
        """The purpose of a run, from ``options`` and ``sampling`` as its journal has them.

        ``rule`` is the stop rule of its votes where the options name none; ``tools`` are those at hand.

        Raises:
            InvalidRequest: the planner no longer has these options.
            PlannerError: they cannot be checked.
        """
        filled = planner.filled(options)
        if "rule" in filled and filled["rule"] is None:
            filled["rule"] = rule
        left_open = [name for name in ("temperature", "top_p", "max_tokens") if filled.get(name) is None]
        return cls(
            planner=planner.name,
            options={name: value for name, value in filled.items() if name not in left_open},
            sampling={name: sampling[name] for name in left_open},
            model=model,
            tools=tuple(sorted(tools)) if planner.suits is not None and planner.suits.needs_means else (),
        )

    def distance(self, run: Purpose) -> tuple[bool, int]:
        """How far a run is from this purpose; the planner counts most."""
        return self.planner != run.planner, len(self.differences(run))

    def differences(self, run: Purpose) -> list[str]:
        """How a run differs from this purpose; empty if it does not."""
        ours: dict[str, Any] = {"planner": self.planner, "model": self.model}
        theirs: dict[str, Any] = {"planner": run.planner, "model": run.model}
        if self.planner == run.planner:  # otherwise their options are unrelated
            ours |= self.options | self.sampling | {"tools": self.tools}
            theirs |= run.options | run.sampling | {"tools": run.tools}
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
    calibration: Calibration | Agreements
    beside: dict[Score, float] = Field(description="AUROC of each score that all these answers have.")
    risk: float = Field(gt=0, lt=1, description="The share of accepted answers that may be wrong.")
    threshold: float | None = Field(
        None, description="The least sure score that is known to keep within `risk`; null if none is."
    )
    held_out: HeldOut | None = Field(
        None, description="What the threshold did on the questions that it was not chosen on."
    )
    checked: tuple[Checked, ...] = Field(
        (), description="What each probability came to on the half of the questions that was held out."
    )
    voters: dict[str, Reliability] = Field(
        {}, description="Of a vote over several models, what the answers of each should weigh, by role."
    )
    questions: int = Field(description="Labelled questions, including those left out and held out.")
    left_out: dict[str, int] = Field(description="How many could not be used, by reason.")
    fitted_at: AwareDatetime
    versions: dict[str, str | int]

    def apply(self, answer: Answer, tokens: int) -> Calibrated | str:
        """How likely an answer that took ``tokens`` tokens is to be right, or why that is not known."""
        fitted = self.calibration
        if isinstance(fitted, Agreements):
            agreement = agreement_of(answer)
            if agreement is None:
                return "that its branches agree says nothing"
            return self._by_agreement(fitted, agreement)
        assert self.signal != "agreement"
        score = score_of(answer, tokens, self.signal)
        if score is None:
            return f"the answer has no {self.signal} to go by"
        # Files from before thresholds were held out have one that nothing bears out.
        known = self.threshold is not None and self.held_out is not None
        accepted = known and fitted.accepts(score, self.threshold or 0.0)
        return Calibrated(
            probability=fitted.probability(score),
            risk=self.risk,
            within_risk=accepted,
            questions=fitted.examples,
            evidence=self.name,
        )

    def _by_agreement(self, fitted: Agreements, agreement: str) -> Calibrated | str:
        alike = fitted.alike(agreement)
        if alike is None:
            return f"no labelled answer was like this one ({agreement})"
        if not alike.tells:
            return f"too few labelled answers were like this one ({agreement}): {alike.count}"
        low, high = share_interval(alike.right, alike.count)
        return Calibrated(
            probability=alike.probability,
            risk=self.risk,
            within_risk=share_at_most(alike.count - alike.right, alike.count) <= self.risk,
            questions=fitted.examples,
            evidence=self.name,
            agreement=agreement,
            right=alike.right,
            alike=alike.count,
            interval=(low, high),
        )

    def differences(self, run: Purpose, versions: Mapping[str, str | int]) -> list[str]:
        """How a run with these ``versions`` of the program and its planner differs; empty if it does not.

        Prompts, and how answers are read, may change from one version to the next.
        """
        others = (
            f"{name} {self.versions[name]}, not {now}"
            for name, now in versions.items()
            if name not in ("journal", "python") and self.versions.get(name, now) != now
        )
        return [*self.purpose.differences(run), *others]

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
            make_directory(path.parent)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            with open(draft, "x", encoding="utf-8", opener=opener) as file:
                file.write(f"{self.model_dump_json(indent=1)}\n")
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


def agreement_of(answer: Answer) -> str | None:
    """How the branches agreed, by name: so many of so many, or how sure a lone answer is of itself.

    Where branches of several kinds gave the answer, it is these, whatever their number: a program and steps
    that agree say more than two short answers. Where one planner chose another, its name is added: agreement
    within one method says nothing of that within another. None where agreement says nothing, as of copies of
    one completion. Branches that gave no answer count as well where the winner's share shows them.
    """
    agreed = _agreed(answer)
    return f"{agreed}, {answer.method}" if agreed and answer.method else agreed


def _agreed(answer: Answer) -> str | None:
    among = sum(each.count for each in answer.clusters)
    if len(answer.kinds) > 1:
        return " and ".join(answer.kinds)
    if answer.entropy is None:
        return alone(answer.confidence) if among < 2 else None
    agree = next((each.count for each in answer.clusters if each.claim == answer.claim), 0)
    if answer.confidence:
        all_branches = agree / answer.confidence  # no whole number if the branches had weights
        if all_branches > among and abs(all_branches - round(all_branches)) < 1e-6:
            among = round(all_branches)
    return counted(agree, among)


def score_of(answer: Answer, tokens: int, signal: Score) -> float | None:
    """The score of an answer that took ``tokens`` completion tokens; None if no branches were compared.

    Otherwise one vote, or a few while most branches gave no answer, would look like full agreement.
    """
    if signal == "length":
        return float(tokens)
    if answer.clusters and (answer.entropy is None or sum(each.count for each in answer.clusters) < 2):
        return None
    return answer.confidence if signal == "confidence" else answer.entropy
