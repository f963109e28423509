"""The table of :mod:`benchmarks.methods`: who is right on which set, at what cost, and beside the controls.

Judged is the answer that a run gives, also where it calls it undecided, as self-consistency is judged
elsewhere; *undecided* says how many those are, and how many of them are right. *Handed on* counts the runs
in which the planner refused the question and had another one answer it. *Only in the text* counts what is
right in the whole text alone, not in the short answer. Costs are means for a question:

- *completion*: all tokens that were written, also those of branches that were cancelled;
- *all tokens*: these and the tokens of all prompts, whether or not a cache had them;
- *computed*: the tokens of prompts that no cache had;
- *critical*: the tokens written on the longest chain of calls that waited for each other;
- *longest*: the tokens of the longest call, prompt and completion, which is the context that it takes;
- *seconds*.

**At equal cost**: the controls are ``direct``, plain votes of several widths and whatever else is given; by
their mean cost they are the points of a line. A contestant is compared with that line at its own mean cost:
with the mixture of the two controls beside it that costs as much on average. It stands for a control that is
drawn for each question, and is right as probably as that. Nobody can be compared where the line does not go:
whoever costs less than all controls is compared with the cheapest, which is hard on it (marked ``<``);
whoever costs more than all of them with the dearest, which flatters it (marked ``>``; give wider votes). What
the line has is measured as it is, so a control that is worse than a cheaper one bends it down: *over direct*
stands beside it.

Intervals are 95 %: Wilson's for shares, a paired bootstrap over questions for differences, of which only
questions count that all who are compared have answered; these also give the weights of a mixture.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import Interval, paired_bootstrap, wilson
from benchmarks.list_tasks import Task
from benchmarks.method_sets import SETS, Question
from benchmarks.runs import points
from orchestrator.planning.finding import installed_planners

DIRECT = "direct"
COSTS = ("completion", "all_tokens", "critical", "longest", "seconds")
"""The costs at which contestants are compared with controls."""


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
    def computed(self) -> int:
        """Tokens of prompts that no cache had."""
        return int(self.run.get("computed", 0))

    @property
    def critical(self) -> int:
        """Tokens written on the longest chain of calls that waited for each other."""
        return int(self.run.get("critical", 0))

    @property
    def longest(self) -> int:
        """Tokens of the longest call."""
        return int(self.run.get("longest", 0))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.run["seconds"])

    @property
    def handed_on(self) -> bool:
        """Whether the planner had another one answer; to choose one is what ``auto`` is for."""
        own = str(self.run["planner"]).partition(":")[0]
        if own == "auto":
            return False
        others = {f"{own} {name}" for name in installed_planners() if name != own}
        return any(each.partition(":")[0] in others for each in self.run.get("decisions", ()))

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
    """A model and a planner on a set; the columns are those of the module.

    ``equal`` compares with the controls, by the cost that is equal; ``lists`` are the shares of answers that
    have as many items as they should, and of items that are right in their place.
    """

    model: str
    set: str
    planner: str
    questions: int
    right: int
    interval: Interval
    undecided: int
    undecided_right: int
    handed_on: int
    failed: int
    only_in_text: int
    calls: float
    completion: float
    critical: float
    all_tokens: float
    computed: float
    longest: float
    seconds: float
    over_direct: tuple[float, Interval] | None
    equal: Mapping[str, Equal]
    lists: tuple[float, float] | None
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
        handed_on=sum(each.handed_on for each in runs),
        failed=sum(each.run["outcome"] == "failed" for each in runs),
        only_in_text=sum(each.only_in_text for each in runs),
        calls=statistics.fmean(each.run.get("calls", 0) for each in runs),
        completion=statistics.fmean(each.completion for each in runs),
        critical=statistics.fmean(each.critical for each in runs),
        all_tokens=statistics.fmean(each.all_tokens for each in runs),
        computed=statistics.fmean(each.computed for each in runs),
        longest=statistics.fmean(each.longest for each in runs),
        seconds=statistics.fmean(each.seconds for each in runs),
        over_direct=paired_bootstrap([own[at].right for at in both], [rival[at].right for at in both])
        if both
        else None,
        equal={cost: compared for cost in COSTS if (compared := at_equal_cost(own, known, cost)) is not None},
        lists=_lists(runs),
        kinds={
            kind: (sum(each.right for each in some), len(some))
            for kind in dict.fromkeys(each.question.kind for each in runs)
            if (some := [each for each in runs if each.question.kind == kind])
        },
    )


def _lists(runs: Sequence[Judged]) -> tuple[float, float] | None:
    """Adherence and fidelity, where the answers are lists."""
    lists = [(each.question.source, str(each.run["answer"] or "")) for each in runs]
    read = [(task.adheres(said), task.fidelity(said)) for task, said in lists if isinstance(task, Task)]
    if not read:
        return None
    return statistics.fmean(each for each, _ in read), statistics.fmean(each for _, each in read)


def at_equal_cost(own: Runs, controls: Mapping[str, Runs], cost: str) -> Equal | None:
    """How a contestant compares with the controls at its own cost; None without controls or questions.

    ``cost`` is one of :data:`COSTS`.
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
        "| model | set | planner | right % | right | undecided: right | handed on | failed "
        "| only in the text | calls | completion | critical | all tokens | computed | longest | seconds "
        "| over direct | at equal completion | all tokens | critical | longest | seconds |",
        "|---" * 22 + "|",
    ]
    for row in rows:
        low, high = row.interval
        lines.append(
            f"| {row.model} | {row.set} | {row.planner} "
            f"| {100 * row.right / row.questions:.0f} [{100 * low:.0f}, {100 * high:.0f}] "
            f"| {row.right} of {row.questions} "
            f"| {f'{row.undecided_right} of {row.undecided}' if row.undecided else ''} | {row.handed_on} "
            f"| {row.failed} | {row.only_in_text} | {row.calls:.1f} | {row.completion:.0f} "
            f"| {row.critical:.0f} | {row.all_tokens:.0f} | {row.computed:.0f} | {row.longest:.0f} "
            f"| {row.seconds:.1f} | {points(row.over_direct)} "
            + "".join(f"| {_shown(row.equal.get(cost))} " for cost in COSTS)
            + "|"
        )
    lines += ["", "Compared at equal completion, and at equal critical path, with:", ""]
    lines += [
        f"- {row.model} {row.set} {row.planner}: "
        f"{_mixed(row.equal['completion'])}; {_mixed(row.equal['critical'])}"
        for row in rows
        if row.equal
    ]
    lines += ["", "Answers with as many items as they should have, and items that are right:", ""]
    lines += [
        f"- {row.model} {row.set} {row.planner}: {100 * row.lists[0]:.0f} %, {100 * row.lists[1]:.0f} %"
        for row in rows
        if row.lists
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
