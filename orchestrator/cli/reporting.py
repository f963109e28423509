"""A calibration with its evidence, as a terminal shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from orchestrator.cli.printing import table
from orchestrator.cli.terminal import cell
from orchestrator.consensus.agreement import Agreements, Alike
from orchestrator.consensus.calibration import Calibration, Risk
from orchestrator.consensus.reliability import Reliability
from orchestrator.consensus.shares import Checked, share_interval
from orchestrator.tasks.evidence import Evidence


def print_evidence(console: Console, evidence: Evidence) -> None:
    """A calibration: how well the signal tells right from wrong, what it promises, and what that risks."""
    fitted = evidence.calibration
    left_out = ", ".join(f"{number} {reason}" for reason, number in evidence.left_out.items()) or "none"
    console.print(cell(f"{evidence.purpose.planner} on {evidence.purpose.model}"), style="bold")
    console.print(f"{fitted.examples} questions, {fitted.accuracy:.1%} right; left out: {cell(left_out)}")
    if isinstance(fitted, Agreements):
        _print_agreements(console, fitted)
    else:
        _print_scores(console, evidence, fitted)
    if evidence.voters:
        console.print()
        _print_voters(console, evidence.voters)
    if evidence.checked:
        console.print()
        _print_checked(console, evidence.checked)


def _print_agreements(console: Console, fitted: Agreements) -> None:
    console.print()
    rows = (_row(each) for each in fitted.rows)
    console.print(table(("agreement", "stated", "were right", "95 % interval"), rows))


def _print_voters(console: Console, voters: Mapping[str, Reliability]) -> None:
    """What each model of a vote was worth, and the option that weighs them so."""
    rows = (
        (cell(role), f"{each.right} of {each.count}", "none" if each.weight is None else f"{each.weight:g}")
        for role, each in voters.items()
    )
    console.print(table(("voter", "were right", "weight"), rows))
    weights = {role: each.weight for role, each in voters.items() if each.weight is not None}
    if weights:
        console.print(cell(f"-o 'voters={json.dumps(weights)}'"), soft_wrap=True)


def _row(row: Alike) -> tuple[str, ...]:
    low, high = share_interval(row.right, row.count)
    named = cell(", ".join(row.agreements))
    stated = f"{row.probability:.1%}" if row.tells else "too few"
    return named, stated, f"{row.right} of {row.count}", f"{low:.1%} to {high:.1%}"


def _print_scores(console: Console, evidence: Evidence, fitted: Calibration) -> None:
    signal = evidence.signal
    low, high = fitted.auroc_interval
    console.print(
        f"AUROC of {signal} {fitted.auroc:.3f} ({low:.3f} to {high:.3f}), Brier score {fitted.brier:.3f}, "
        f"calibration error {fitted.calibration_error:.3f}"
    )
    beside = ", ".join(f"{other} {area:.3f}" for other, area in evidence.beside.items() if other != signal)
    console.print(f"AUROC of the other signals on the same questions: {beside or 'none'}\n")
    curve = ((f"{bin.predicted:.1%}", f"{bin.observed:.1%}", f"{bin.count}") for bin in fitted.reliability)
    console.print(table(("predicted right", "were right", "questions"), curve))
    console.print()
    risks = (
        (f"{risk.score:.3f}", f"{risk.coverage:.1%}", f"{risk.risk:.1%}", f"{risk.upper:.1%}")
        for risk in _apart(fitted.risks)
    )
    console.print(table((f"from {signal}", "accepted", "wrong", "at most"), risks))
    if evidence.threshold is None:
        told = f"no {signal} is known to keep wrong answers below {evidence.risk:.1%}"
    else:
        bound = "at least" if fitted.rising else "at most"
        told = f"for at most {evidence.risk:.1%} wrong, {signal} must be {bound} {evidence.threshold:.3f}"
    console.print(f"\n{told}: {_borne_out(evidence)}", soft_wrap=True)


def _borne_out(evidence: Evidence) -> str:
    """What held-out questions say of the threshold."""
    if (held := evidence.held_out) is None:
        return (
            f"on half of the {evidence.calibration.examples} questions, no threshold did well enough to be "
            "tried on the other half; more questions, or a larger risk, would be needed"
        )
    return (
        f"of {held.examples} held-out questions it accepts {held.accepted}, of which {held.wrong} are wrong, "
        f"so at most {held.upper:.1%} with 95 % confidence"
    )


def _apart(risks: Sequence[Risk]) -> Iterator[Risk]:
    """Those that accept at least 5 % more than the one shown before, and the last."""
    shown = 0.0
    for risk in risks:
        if risk.coverage >= shown + 0.05 or risk is risks[-1]:
            shown = risk.coverage
            yield risk


def _print_checked(console: Console, checked: Sequence[Checked]) -> None:
    """What was stated beside what came of it on the questions that were held out."""
    rows = (
        (
            f"{each.stated:.1%}",
            f"{each.right} of {each.count}",
            f"{each.low:.1%} to {each.high:.1%}",
            "within" if each.within else "outside",
        )
        for each in checked
    )
    console.print(table(("stated", "held out: were right", "95 % interval", ""), rows))
    within, count = sum(each.within for each in checked), sum(each.count for each in checked)
    mean = sum(each.stated * each.count for each in checked) / count
    console.print(
        f"{within} of {len(checked)} probabilities are within their interval on {count} held-out questions; "
        f"on average {mean:.1%} stated, {sum(each.right for each in checked) / count:.1%} right",
        soft_wrap=True,
    )
