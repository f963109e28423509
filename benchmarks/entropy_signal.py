"""Does agreement tell whether the majority is right? Signals against correctness on recorded branches.

    python -m benchmarks.entropy_signal [--json]
    python -m benchmarks.entropy_signal --traces aime24.json aime25.json [--json]

Without traces it reads our own recording (:mod:`benchmarks.gsm8k`), which has log-probabilities as well. For
each number of finished branches a signal is computed of them, and the label is whether their majority is
right. AUROC 0.5 is chance; its interval is by bootstrap over questions, since the draws of one question are
not independent. Beside the entropies stand baselines that know nothing of meaning: the mean log-probability
and the mean number of tokens. An entropy that does not beat them says nothing that they do not.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from benchmarks import gsm8k
from benchmarks.replay import Problem, load_all, positive, resamples
from orchestrator.consensus.analysis import monte_carlo, predictive, rao_blackwell
from orchestrator.consensus.calibration import Calibration, auroc, calibrate
from orchestrator.consensus.entropy import Entropy, Sample, discrete
from orchestrator.consensus.stopping import Branch, Tally

TRACE_SIZES = (2, 4, 8, 16, 32)
GSM8K_SIZES = (2, 3, 4, 5)
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Draw:
    """Finished branches of a question in order of arrival, and which cluster is the right one.

    ``logprobs`` are means over the tokens of a branch; empty where none were recorded.
    """

    gold: int
    clusters: tuple[int | None, ...]
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] = ()

    @property
    def tally(self) -> Tally:
        return Tally.of([Branch(at, cluster) for at, cluster in enumerate(self.clusters)])

    @property
    def entropy(self) -> Entropy:
        tally = self.tally
        return discrete([int(weight) for weight in tally.weights.values()], abstained=tally.abstained)

    @property
    def right(self) -> bool:
        """Whether the majority is."""
        return self.tally.winner == self.gold

    @property
    def samples(self) -> list[Sample]:
        return [
            Sample(cluster, logprobs=(logprob,))
            for cluster, logprob in zip(self.clusters, self.logprobs, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Area:
    """The AUROC of a signal with its interval."""

    auroc: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """What the signals tell at a number of finished branches; ``unanimous`` is the share of such draws."""

    branches: int
    accuracy: float
    signals: Mapping[str, Area]
    unanimous: float
    unanimous_accuracy: float


@dataclass(frozen=True, slots=True)
class Check:
    """Passed unless the value is negative."""

    name: str
    value: float

    @property
    def passed(self) -> bool:
        return self.value >= 0


def compared(measure: Callable[[Draw], float | None]) -> Callable[[Draw], float]:
    """A signal that is least sure where fewer than two branches, or less than half, came to an answer."""

    def sureness(draw: Draw) -> float:
        entropy = draw.entropy
        value = None if entropy.nats is None or sum(entropy.counts) < 2 else measure(draw)
        return -math.inf if value is None else value

    return sureness


def _discrete(draw: Draw) -> float | None:
    entropy = draw.entropy.normalised
    return None if entropy is None else -entropy


def _share(draw: Draw) -> float:
    return draw.tally.share


def _rao_blackwell(draw: Draw) -> float | None:
    nats = rao_blackwell(draw.samples).nats
    return None if nats is None else -nats


def _monte_carlo(draw: Draw) -> float | None:
    nats = monte_carlo(draw.samples).nats
    return None if nats is None else -nats


def _logprob(draw: Draw) -> float:
    nats = predictive(draw.samples)
    return -math.inf if nats is None else -nats


SIGNALS: Mapping[str, Callable[[Draw], float]] = {
    "discrete entropy": compared(_discrete),
    "Rao-Blackwellised entropy": compared(_rao_blackwell),
    "Kuhn's entropy": compared(_monte_carlo),
    "share of the majority": compared(_share),
    "mean log-probability": _logprob,
    "length": lambda draw: -fmean(draw.tokens),
}
"""Larger is surer. The entropies are of the branches that came to an answer."""

OF_TRACES = ("discrete entropy", "share of the majority", "length")


def drawn_from_traces(problem: Problem, size: int, times: int, seed: int) -> list[Draw]:
    """Draws of recorded branches without log-probabilities."""
    return [
        Draw(
            problem.gold,
            tuple(problem.answers[at] for at in order),
            tuple(problem.tokens[at] for at in order),
        )
        for order in resamples(problem, size, times, seed)
    ]


def drawn_from_gsm8k(asked: gsm8k.Asked, size: int) -> list[Draw]:
    """Every choice of ``size`` of the recorded branches."""
    gold, clusters = asked.clusters()
    return [
        Draw(
            gold,
            tuple(clusters[at] for at in chosen),
            tuple(asked.branches[at].tokens for at in chosen),
            tuple(asked.branches[at].logprob for at in chosen),
        )
        for chosen in combinations(range(len(asked.branches)), size)
    ]


def measure(questions: Sequence[Sequence[Draw]], names: Sequence[str], seed: int) -> Row:
    """One line of the table, from the draws of each question."""
    rng = random.Random(seed)
    choices = [rng.choices(range(len(questions)), k=len(questions)) for _ in range(DRAWS)]
    right = [[draw.right for draw in draws] for draws in questions]

    def area(name: str) -> Area:
        sure = [[SIGNALS[name](draw) for draw in draws] for draws in questions]
        every = _auroc(sure, right, range(len(questions)))
        values = sorted(value for chosen in choices if (value := _auroc(sure, right, chosen)) is not None)
        if every is None or not values:
            return Area(0.5, (0.0, 1.0))
        return Area(every, (values[int(0.025 * len(values))], values[int(0.975 * len(values)) - 1]))

    everything = [draw for draws in questions for draw in draws]
    agreed = [draw.right for draw in everything if SIGNALS["share of the majority"](draw) == 1]
    return Row(
        len(everything[0].clusters),
        fmean(draw.right for draw in everything),
        {name: area(name) for name in names},
        len(agreed) / len(everything),
        fmean(agreed) if agreed else 0.0,
    )


def _auroc(
    sure: Sequence[Sequence[float]], right: Sequence[Sequence[bool]], chosen: Sequence[int]
) -> float | None:
    return auroc([s for at in chosen for s in sure[at]], [r for at in chosen for r in right[at]])


def checks_of_traces(rows: Sequence[Row]) -> list[Check]:
    """With 8 branches and more, agreement tells more than length does."""
    checks = []
    for row in rows:
        if row.branches >= 8:
            over = row.signals["discrete entropy"].auroc - row.signals["length"].auroc
            checks.append(Check(f"AUROC of entropy over that of length, {row.branches} branches", over))
    return checks


def calibrated(asked: Sequence[gsm8k.Asked]) -> Calibration:
    """The share of the majority of all branches of a question, where they can be compared."""
    draws = [drawn_from_gsm8k(each, len(each.branches))[0] for each in asked]
    scores = [SIGNALS["share of the majority"](draw) for draw in draws]
    return calibrate(scores, [draw.right for draw in draws], rising=True)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a table in Markdown, a column for each number of branches."""
    yield f"| AUROC [95 %] | {' | '.join(str(row.branches) for row in rows)} |"
    yield f"|---|{'---|' * len(rows)}"
    for name in rows[0].signals:
        areas = [row.signals[name] for row in rows]
        cells = (f"{area.auroc:.3f} [{area.interval[0]:.2f}, {area.interval[1]:.2f}]" for area in areas)
        yield f"| {name} | {' | '.join(cells)} |"
    yield f"| *the majority is right* | {' | '.join(f'{row.accuracy:.1%}' for row in rows)} |"
    yield f"| *all agree* | {' | '.join(f'{row.unanimous:.1%}' for row in rows)} |"
    yield f"| *right then* | {' | '.join(f'{row.unanimous_accuracy:.1%}' for row in rows)} |"


def reliability_table(fitted: Calibration) -> Iterator[str]:
    """Likewise, of what a calibration says of examples that it has not seen."""
    yield "| said to be right | were right | questions |"
    yield "|---|---|---|"
    for each in fitted.reliability:
        yield f"| {each.predicted:.1%} | {each.observed:.1%} | {each.count} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.entropy_signal", description="Entropy against correctness."
    )
    parser.add_argument("--traces", type=Path, nargs="+", metavar="FILE", help="instead of our own recording")
    parser.add_argument("--resamples", type=positive, default=20, help="of traces")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    if given.traces:
        return _traces(parser, given)
    return _gsm8k(given)


def _traces(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    problems = load_all(parser, given.traces, width=max(TRACE_SIZES), blank_votes=False)
    rows = []
    for size in TRACE_SIZES:
        draws = [drawn_from_traces(problem, size, given.resamples, given.seed) for problem in problems]
        rows.append(measure(draws, OF_TRACES, given.seed))
    return _report({"rows": [asdict(row) for row in rows]}, table(rows), checks_of_traces(rows), given.json)


def _gsm8k(given: argparse.Namespace) -> int:
    provenance, asked = gsm8k.load()
    rows = [
        measure([drawn_from_gsm8k(each, size) for each in asked], list(SIGNALS), given.seed)
        for size in GSM8K_SIZES
    ]
    branches = [draw for each in asked for draw in drawn_from_gsm8k(each, 1)]
    right = fmean(draw.right for draw in branches)
    silent = fmean(draw.clusters == (None,) for draw in branches)
    fitted = calibrated(asked)
    low, high = fitted.auroc_interval
    lines = [
        f"{len(asked)} questions, {len(branches)} branches of {provenance['model']}: {right:.1%} right, "
        f"{silent:.1%} without an answer",
        "",
        *table(rows),
        "",
        f"share of the majority of {GSM8K_SIZES[-1]}, calibrated on {fitted.examples} questions where it is "
        f"defined, {fitted.accuracy:.1%} of them right: AUROC {fitted.auroc:.3f} [{low:.2f}, {high:.2f}], "
        f"Brier score {fitted.brier:.3f} (saying {fitted.accuracy:.1%} of each: "
        f"{fitted.accuracy * (1 - fitted.accuracy):.3f}), calibration error {fitted.calibration_error:.3f}",
        "",
        *reliability_table(fitted),
    ]
    body = {
        "provenance": provenance,
        "questions": len(asked),
        "one_branch_accuracy": right,
        "one_branch_silent": silent,
        "rows": [asdict(row) for row in rows],
        "calibration": asdict(fitted),
    }
    return _report(body, lines, (), given.json)


def _report(body: dict[str, object], lines: Iterable[str], checks: Sequence[Check], as_json: bool) -> int:
    if as_json:
        checked = [{**asdict(check), "bound": 0.0, "passed": check.passed} for check in checks]
        json.dump({**body, "checks": checked}, sys.stdout, indent=1)
        print()
    else:
        print(*lines, "", sep="\n")
        for check in checks:
            print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.value:+.3f}")
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
