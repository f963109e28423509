"""The table of :mod:`benchmarks.harder`: who is right on which set, for how many tokens, and beside votes.

Judged is the answer that a run gives, also where it calls it undecided, as self-consistency is judged
elsewhere; *undecided* says how many those are, and how many of them are right. *Only in the text* counts what
is right in the whole text alone, not in the short answer. *Completion* are all tokens that were written, also
those of branches that were cancelled; *all tokens* are these and the tokens of all prompts, whether or not a
cache had them. Tokens, calls and seconds are means for a question.

**At equal tokens**: the controls are ``direct`` and plain votes of several widths, by their mean tokens the
points of a line. A contestant is compared with that line at its own mean tokens: with the mixture of the
two controls beside it that costs as much on average. It stands for a vote whose width is drawn for each
question, and is right as probably as that. Nobody can be compared where the line does not go: whoever costs
less than all controls is compared with the cheapest, which is hard on it (marked ``<``); whoever costs more
than all of them with the dearest, which flatters it (marked ``>``; give wider votes). What the line has is
measured as it is, so a control that is worse than a cheaper one bends it down: *over direct* stands beside
it. Both are told, with completion tokens and with all tokens as the cost.

Intervals are 95 %: Wilson's for shares, a paired bootstrap over questions for differences, of which only
questions count that all who are compared have answered; these also give the weights of a mixture.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harder_sets import SETS, Question
from benchmarks.intervals import Interval, paired_bootstrap, wilson
from benchmarks.runs import points

DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Judged:
    """A stored run, its question, and whether its answer is right."""

    run: Mapping[str, Any]
    question: Question
    right: bool

    @property
    def completion(self) -> int:
        """Tokens that were written."""
        return int(self.run.get("completion", 0))

    @property
    def all_tokens(self) -> int:
        """Tokens that were written or read."""
        return self.completion + int(self.run.get("prompt", 0)) + int(self.run.get("unknown_prompt", 0))

    @property
    def only_in_text(self) -> bool:
        """Whether the whole text is right, and the short answer is not."""
        return not self.right and self.question.is_right(self.run.get("said"))


Runs = Mapping[str, Judged]
"""What a planner came to, by the id of the question."""

By = Mapping[tuple[str, str], Mapping[str, Runs]]
"""What was judged, by model and set, then by planner; the last run on each question counts."""


def judged(runs: Sequence[Mapping[str, Any]], questions: Sequence[Question]) -> By:
    """The runs on these questions, if they are still worded as they were."""
    asked = {(each.id, each.question): each for each in questions}
    by: dict[tuple[str, str], dict[str, dict[str, Judged]]] = {}
    for each in runs:
        question = asked.get((each["question"], each["text"]))
        if question is not None:
            own = by.setdefault((each["model"] or each["engine"], question.set), {})
            right = question.is_right(each["answer"])
            own.setdefault(each["planner"], {})[question.id] = Judged(each, question, right)
    return by


@dataclass(frozen=True, slots=True)
class Equal:
    """The difference to the controls at equal tokens, the weights of those, and whether they cost as much.

    ``beyond`` is ``<`` for a contestant that costs less than all controls, ``>`` for one that costs more.
    """

    difference: tuple[float, Interval]
    weights: Mapping[str, float]
    beyond: str


@dataclass(frozen=True, slots=True)
class Row:
    """A model and a planner on a set; the columns are those of the module."""

    model: str
    set: str
    planner: str
    questions: int
    right: int
    interval: Interval
    undecided: int
    undecided_right: int
    failed: int
    only_in_text: int
    calls: float
    completion: float
    all_tokens: float
    seconds: float
    over_direct: tuple[float, Interval] | None
    at_completion: Equal | None
    at_all_tokens: Equal | None
    kinds: Mapping[str, tuple[int, int]]


def rows_of(by: By, planners: Sequence[str], controls: Sequence[str]) -> list[Row]:
    """A row for each model, set and planner, in the order in which the planners are given."""
    order = sorted(by, key=lambda each: SETS.index(each[1]))
    models = dict.fromkeys(model for model, _ in by)
    return [
        _row(model, name, planner, by[model, name], controls)
        for model in models
        for name in (each for at, each in order if at == model)
        for planner in planners
        if planner in by[model, name]
    ]


def _row(model: str, name: str, planner: str, by: Mapping[str, Runs], controls: Sequence[str]) -> Row:
    own = by[planner]
    runs = list(own.values())
    right = sum(each.right for each in runs)
    undecided = [each for each in runs if each.run["outcome"] == "undecided"]
    rival = by.get(DIRECT, {}) if planner != DIRECT else {}
    both = [at for at in own if at in rival]
    known = {each: by[each] for each in controls if each in by} if planner not in controls else {}
    return Row(
        model=model,
        set=name,
        planner=planner,
        questions=len(runs),
        right=right,
        interval=wilson(right, len(runs)),
        undecided=len(undecided),
        undecided_right=sum(each.right for each in undecided),
        failed=sum(each.run["outcome"] == "failed" for each in runs),
        only_in_text=sum(each.only_in_text for each in runs),
        calls=statistics.fmean(each.run.get("calls", 0) for each in runs),
        completion=statistics.fmean(each.completion for each in runs),
        all_tokens=statistics.fmean(each.all_tokens for each in runs),
        seconds=statistics.fmean(each.run["seconds"] for each in runs),
        over_direct=paired_bootstrap([own[at].right for at in both], [rival[at].right for at in both])
        if both
        else None,
        at_completion=at_equal_tokens(own, known, "completion"),
        at_all_tokens=at_equal_tokens(own, known, "all_tokens"),
        kinds={
            kind: (sum(each.right for each in some), len(some))
            for kind in dict.fromkeys(each.question.kind for each in runs)
            if (some := [each for each in runs if each.question.kind == kind])
        },
    )


def at_equal_tokens(own: Runs, controls: Mapping[str, Runs], cost: str) -> Equal | None:
    """How a contestant compares with the controls at its own tokens; None without controls or questions.

    ``cost`` names the tokens: ``completion`` or ``all_tokens``.
    """
    both = [at for at in own if all(at in runs for runs in controls.values())]
    if not both or not controls:
        return None

    def mean(runs: Runs) -> float:
        return statistics.fmean(getattr(runs[at], cost) for at in both)

    costs = {name: mean(runs) for name, runs in controls.items()}
    weights = mixture(mean(own), costs)
    theirs = [sum(share * controls[name][at].right for name, share in weights.items()) for at in both]
    difference = paired_bootstrap([own[at].right for at in both], theirs)
    beyond = "<" if mean(own) < min(costs.values()) else ">" if mean(own) > max(costs.values()) else ""
    return Equal(difference, weights, beyond)


def mixture(tokens: float, costs: Mapping[str, float]) -> dict[str, float]:
    """Weights of the two controls beside so many tokens, which cost as much together; at an end of one."""
    line = sorted(costs, key=lambda name: costs[name])
    under = [name for name in line if costs[name] <= tokens]
    over = [name for name in line if costs[name] > tokens]
    if not under or not over:
        return {line[0] if over else line[-1]: 1.0}
    low, high = under[-1], over[0]
    share = (tokens - costs[low]) / (costs[high] - costs[low])
    return {low: 1 - share, high: share} if share else {low: 1.0}


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; below them what they were compared with, and how many were right of each kind."""
    lines = [
        "| model | set | planner | right % | right | undecided: right | failed | only in the text | calls "
        "| completion | all tokens | seconds | over direct | at equal completion "
        "| at equal all tokens |",
        "|---" * 15 + "|",
    ]
    for row in rows:
        low, high = row.interval
        lines.append(
            f"| {row.model} | {row.set} | {row.planner} "
            f"| {100 * row.right / row.questions:.0f} [{100 * low:.0f}, {100 * high:.0f}] "
            f"| {row.right} of {row.questions} "
            f"| {f'{row.undecided_right} of {row.undecided}' if row.undecided else ''} | {row.failed} "
            f"| {row.only_in_text} | {row.calls:.1f} | {row.completion:.0f} | {row.all_tokens:.0f} "
            f"| {row.seconds:.1f} | {points(row.over_direct)} | {_shown(row.at_completion)} "
            f"| {_shown(row.at_all_tokens)} |"
        )
    lines += ["", "Compared at equal completion, and at equal all tokens, with:", ""]
    lines += [
        f"- {row.model} {row.set} {row.planner}: {_mixed(row.at_completion)}; {_mixed(row.at_all_tokens)}"
        for row in rows
        if row.at_completion and row.at_all_tokens
    ]
    lines += ["", "Right, by kind:", ""]
    lines += [
        f"- {row.model} {row.set} {row.planner}: "
        + ", ".join(f"{kind} {right} of {of}" for kind, (right, of) in row.kinds.items())
        for row in rows
        if len(row.kinds) > 1
    ]
    return "\n".join(lines)


def _shown(equal: Equal | None) -> str:
    return f"{equal.beyond} {points(equal.difference)}".strip() if equal else ""


def _mixed(equal: Equal) -> str:
    return " and ".join(f"{100 * share:.0f} % {name}" for name, share in equal.weights.items())
