"""The tables of :mod:`benchmarks.answers`: what runs on everyday questions came to, and how two sets differ.

``right %`` is that of the questions that have an answer; *told* are those of the others of which a planner
says that they have none. *Only in the text* counts what is right in the whole text alone, not in the short
answer; in brackets after *abstained* is how many of those show a right answer all the same, as undecided runs
do. *Sure* are the answers with a calibrated probability of at least 0.9, and how many of them are right.
*Echoes* are calls that give back an example of their prompt. Tokens, calls and seconds are means for a
question.

Intervals are 95 %: Wilson's for shares, a paired bootstrap over questions for differences, of which only
questions count that both have answered.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.everyday import KINDS, Question
from benchmarks.grading import Verdict, grade
from benchmarks.intervals import Interval, paired_bootstrap, wilson
from benchmarks.runs import points

RIVAL = "direct"
"""The planner that the others are compared with, question by question."""

SURE = 0.9
"""The calibrated probability from which an answer is stated as sure."""

ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Judged:
    """A stored run, and what became of the question."""

    run: Mapping[str, Any]
    question: Question
    verdict: Verdict

    @property
    def right(self) -> bool:
        return self.verdict is Verdict.RIGHT

    @property
    def answerable(self) -> bool:
        return self.question.kind != "unanswerable"

    @property
    def right_if_asked(self) -> bool:
        """Whether the answer that is shown is right, also where the run calls itself undecided."""
        return grade(self.question, self.run["answer"], ANSWERED) is Verdict.RIGHT

    @property
    def only_in_text(self) -> bool:
        """Whether the whole text is right, and the short answer is not."""
        return self.verdict is Verdict.WRONG and grade(self.question, self.run.get("said")) is Verdict.RIGHT


By = Mapping[tuple[str, str], Mapping[str, Judged]]
"""What was judged, by model and planner, then by the id of the question; the last run of each counts."""


def judged(runs: Sequence[Mapping[str, Any]], questions: Sequence[Question]) -> By:
    """The runs on these questions, if they are still worded as they were."""
    asked = {(each.id, each.question): each for each in questions}
    by: dict[tuple[str, str], dict[str, Judged]] = {}
    for each in runs:
        question = asked.get((each["question"], each["text"]))
        if question is not None:
            verdict = grade(question, each["answer"], each["outcome"])
            contender = each["model"] or each["engine"], each["planner"]
            by.setdefault(contender, {})[question.id] = Judged(each, question, verdict)
    return by


@dataclass(frozen=True, slots=True)
class Row:
    """A model and a planner over the questions that it was asked.

    ``right``, ``wrong`` and ``abstained`` count those that have an answer, ``unsure_right`` those of the
    abstained that show a right one all the same, ``told`` those of the
    ``unanswerable`` ones that the planner says have none. Tokens, calls and seconds are means for a question.
    ``kinds`` has how many are right, of how many.
    """

    model: str
    planner: str
    answerable: int
    right: int
    interval: Interval
    wrong: int
    abstained: int
    unsure_right: int
    failed: int
    unanswerable: int
    told: int
    only_in_text: int
    sure: int
    sure_right: int
    echoes: int
    calls: float
    prompt: float
    completion: float
    seconds: float
    median: float
    over_direct: tuple[float, Interval] | None
    kinds: Mapping[str, tuple[int, int]]


def rows_of(by: By) -> list[Row]:
    """A row for each model and planner."""
    return [_row(model, planner, by) for model, planner in by]


def _row(model: str, planner: str, by: By) -> Row:
    own = by[model, planner]
    rest = [each for each in own.values() if each.answerable]
    others = [each for each in own.values() if not each.answerable]
    sure = [each for each in own.values() if (each.run.get("probability") or 0) >= SURE]
    sure = [each for each in sure if each.run["outcome"] == ANSWERED]
    right = sum(each.right for each in rest)
    seconds = [each.run["seconds"] for each in own.values()]

    def mean(what: str) -> float:
        return statistics.fmean(each.run.get(what, 0) for each in own.values())

    rival = by.get((model, RIVAL), {}) if planner != RIVAL else {}
    both = [each.question.id for each in rest if each.question.id in rival]
    return Row(
        model=model,
        planner=planner,
        answerable=len(rest),
        right=right,
        interval=wilson(right, len(rest)),
        wrong=sum(each.verdict is Verdict.WRONG and each.run["outcome"] == ANSWERED for each in rest),
        abstained=sum(each.verdict is Verdict.ABSTAINED for each in rest),
        unsure_right=sum(each.verdict is Verdict.ABSTAINED and each.right_if_asked for each in rest),
        failed=sum(each.run["outcome"] not in (ANSWERED, "undecided", "abstained") for each in own.values()),
        unanswerable=len(others),
        told=sum(each.right for each in others),
        only_in_text=sum(each.only_in_text for each in rest),
        sure=len(sure),
        sure_right=sum(each.right for each in sure),
        echoes=sum(each.run.get("echoes", 0) for each in own.values()),
        calls=mean("calls"),
        prompt=mean("prompt"),
        completion=mean("completion"),
        seconds=statistics.fmean(seconds),
        median=statistics.median(seconds),
        over_direct=paired_bootstrap([own[at].right for at in both], [rival[at].right for at in both])
        if both
        else None,
        kinds={
            kind: (sum(each.right for each in some), len(some))
            for kind in KINDS
            if (some := [each for each in own.values() if each.question.kind == kind])
        },
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, and below them how many were right of each kind."""
    lines = [
        "| model | planner | right % | right | wrong | abstained | failed | told | only in the text "
        "| sure: right | echoes | calls | prompt | completion | seconds | median s | over direct |",
        "|---" * 17 + "|",
    ]
    for row in rows:
        low, high = row.interval
        share = 100 * row.right / max(1, row.answerable)
        lines.append(
            f"| {row.model} | {row.planner} | {share:.0f} [{100 * low:.0f}, {100 * high:.0f}] "
            f"| {row.right} of {row.answerable} | {row.wrong} | {row.abstained} ({row.unsure_right}) "
            f"| {row.failed} "
            f"| {row.told} of {row.unanswerable} | {row.only_in_text} "
            f"| {f'{row.sure_right} of {row.sure}' if row.sure else ''} | {row.echoes} | {row.calls:.1f} "
            f"| {row.prompt:.0f} | {row.completion:.0f} | {row.seconds:.1f} | {row.median:.1f} "
            f"| {points(row.over_direct)} |"
        )
    kinds = [kind for kind in KINDS if any(kind in row.kinds for row in rows)]
    lines += ["", f"| right, by kind | {' | '.join(f'{row.model} {row.planner}' for row in rows)} |"]
    lines.append("|---" * (len(rows) + 1) + "|")
    for kind in kinds:
        counts = (row.kinds.get(kind, (0, 0)) for row in rows)
        lines.append(f"| {kind} | {' | '.join(f'{right} of {of}' for right, of in counts)} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Change:
    """A model and a planner before and after, on the questions that both files have."""

    model: str
    planner: str
    questions: int
    before: int
    after: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    difference: tuple[float, Interval]
    seconds: tuple[float, float]
    completion: tuple[float, float]


def changes(before: By, after: By) -> list[Change]:
    """The paired comparison of two files of runs."""
    made = []
    for contender in (each for each in before if each in after):
        old, new = before[contender], after[contender]
        both = [at for at in old if at in new]
        if not both:
            continue
        rights = [[runs[at].right for at in both] for runs in (new, old)]
        means = [
            [statistics.fmean(runs[at].run.get(what, 0) for at in both) for runs in (old, new)]
            for what in ("seconds", "completion")
        ]
        made.append(
            Change(
                *contender,
                questions=len(both),
                before=sum(rights[1]),
                after=sum(rights[0]),
                gained=tuple(at for at in both if new[at].right and not old[at].right),
                lost=tuple(at for at in both if old[at].right and not new[at].right),
                difference=paired_bootstrap(*rights),
                seconds=(means[0][0], means[0][1]),
                completion=(means[1][0], means[1][1]),
            )
        )
    return made


def comparison(made: Sequence[Change]) -> str:
    """The changes as Markdown, and below them which questions were gained and lost."""
    lines = [
        "| model | planner | questions | right before | after | gained | lost | points "
        "| seconds before | after | completion before | after |",
        "|---" * 12 + "|",
    ]
    lines += [
        (
            f"| {each.model} | {each.planner} | {each.questions} | {each.before} | {each.after} "
            f"| {len(each.gained)} | {len(each.lost)} | {points(each.difference)} "
            f"| {each.seconds[0]:.1f} | {each.seconds[1]:.1f} "
            f"| {each.completion[0]:.0f} | {each.completion[1]:.0f} |"
        )
        for each in made
    ]
    for each in made:
        for what, ids in (("gained", each.gained), ("lost", each.lost)):
            if ids:
                lines += ["", f"{each.model} {each.planner} {what}: {', '.join(ids)}"]
    return "\n".join(lines)
