"""Does agreement tell whether the majority is right? Entropy against correctness on recorded branches.

    python -m benchmarks.entropy_signal --traces aime24.json aime25.json [--json]

For each number of finished branches the score is an entropy of their answers, and the label whether their
majority is right. Beside it stands the length baseline, the mean number of tokens: a signal that does not
beat it says nothing that length does not. AUROC 0.5 is chance; its interval is by bootstrap over problems,
since the draws of one problem are not independent.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.replay import Problem, load, resamples
from orchestrator.consensus.calibration import auroc
from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.stopping import Branch, Tally

SIZES = (2, 4, 8, 16, 32)
Scores = tuple[list[float], list[float], list[bool]]


@dataclass(frozen=True, slots=True)
class Row:
    """AUROC of entropy and of length at a number of branches, and what holds where all agree."""

    branches: int
    auroc: float
    interval: tuple[float, float]
    length_auroc: float
    unanimous: float
    unanimous_accuracy: float


def observe(problem: Problem, size: int, times: int, seed: int) -> Scores:
    """Normalised entropy, mean tokens, and whether the majority is right, for each draw."""
    entropies, lengths, right = [], [], []
    for order in resamples(problem, size, times, seed):
        branches = [Branch(at, problem.answers[index]) for at, index in enumerate(order)]
        tally = Tally.of(branches)
        counts = [int(tally.weights[cluster]) for cluster in tally.leaders]
        normalised = discrete(counts, abstained=tally.abstained).normalised
        entropies.append(1.0 if normalised is None else normalised)  # undefined is no agreement
        lengths.append(fmean(problem.tokens[index] for index in order))
        right.append(tally.winner == problem.gold)
    return entropies, lengths, right


def measure(problems: Sequence[Problem], size: int, times: int, seed: int) -> Row:
    """One line of the table."""
    observed = [observe(problem, size, times, seed) for problem in problems]
    rng = random.Random(seed)
    draws = [rng.choices(observed, k=len(observed)) for _ in range(200)]
    values = sorted(value for draw in draws if (value := _auroc(draw, 0)) is not None)
    everything = [pair for entropies, _, right in observed for pair in zip(entropies, right, strict=True)]
    agreed = [right for entropy, right in everything if entropy == 0]
    return Row(
        size,
        _auroc(observed, 0) or 0.5,
        (values[int(0.025 * len(values))], values[int(0.975 * len(values)) - 1]) if values else (0.0, 1.0),
        _auroc(observed, 1) or 0.5,
        len(agreed) / len(everything),
        fmean(agreed) if agreed else 0.0,
    )


def _auroc(observed: Sequence[Scores], signal: int) -> float | None:
    sure = [-score for each in observed for score in (each[0], each[1])[signal]]
    return auroc(sure, [label for each in observed for label in each[2]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.entropy_signal", description="Entropy against correctness."
    )
    parser.add_argument("--traces", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--resamples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    problems = [problem for path in given.traces for problem in load(path, blank_votes=False)]
    rows = [measure(problems, size, given.resamples, given.seed) for size in SIZES]
    checks = [
        {
            "name": f"AUROC of entropy over that of length, {row.branches} branches",
            "value": row.auroc - row.length_auroc,
            "bound": 0.0,
            "passed": row.auroc >= row.length_auroc,
        }
        for row in rows
        if row.branches >= 8
    ]
    if given.json:
        json.dump({"rows": [asdict(row) for row in rows], "checks": checks}, sys.stdout, indent=1)
        print()
    else:
        heads = f"{'branches':>8}{'AUROC of entropy [95 %]':>27}{'of length':>11}"
        print(f"{heads}{'all agree':>11}{'right then':>12}")
        for row in rows:
            low, high = row.interval
            print(
                f"{row.branches:>8}{row.auroc:>12.3f} [{low:.3f}, {high:.3f}]{row.length_auroc:>11.3f}"
                f"{row.unanimous:>11.2f}{row.unanimous_accuracy:>12.3f}"
            )
        print()
        for check in checks:
            print(f"{'ok  ' if check['passed'] else 'FAIL'} {check['name']}: {check['value']:+.3f}")
    return 0 if all(check["passed"] for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
