"""How the settings of elastic width were chosen, and what choosing costs on problems that were not seen.

    python -m benchmarks.tune_elastic --traces aime24.json aime25.json

The problems are dealt into folds. For each fold the settings are chosen on the other problems alone and
scored on the fold, so the last line estimates what the choice is worth elsewhere. A setting is better the
smaller the larger of two ratios is: sequential tokens over the bound for them, and total tokens over theirs.
Settings whose accuracy on the choosing problems falls short of plain voting by more than the tolerance are
out.

Only ``patience`` is chosen in this way. ``threshold`` and ``quorum`` are set by reasoning that holds without
these recordings (docs/consensus.md): three equal votes, and a quorum that costs few points where answers
say nothing about their length. ``--independent`` shows that cost, on made-up votes and without any
recordings; ``--all`` shows what choosing them too would give.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

from benchmarks.replay import load_all, positive
from benchmarks.stop_rules import SEQUENTIAL_BOUND, TOTAL_BOUND, Scores, score
from orchestrator.consensus.stopping import (
    DEFAULT_RULE,
    Beta,
    Branch,
    Elastic,
    FixedN,
    Stop,
    StopRule,
    View,
    parse_rule,
)

PATIENCE = (0.0, 0.2, 0.36, 0.43, 0.5, 0.56, 0.62, 0.7, 0.85, 1.0)
QUORUM = (8, 10, 14, 20)
THRESHOLD = (0.87, 0.93, 0.96)
QUORUM_SET, THRESHOLD_SET = 10, 0.93
assert parse_rule(DEFAULT_RULE) == Elastic(0.56, QUORUM_SET, THRESHOLD_SET)


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy difference in points, ratios of sequential and total tokens, all against plain voting."""

    difference: float
    sequential: float
    total: float

    @property
    def strain(self) -> float:
        """The larger share of its bound that either cost uses up."""
        return max(self.sequential / SEQUENTIAL_BOUND, self.total / TOTAL_BOUND)


def against(scores: Scores, plain: Scores, chosen: Sequence[int]) -> Score:
    """Compare over some of the problems."""
    return Score(
        100 * fmean(scores.accuracy[at] - plain.accuracy[at] for at in chosen),
        sum(scores.sequential[at] for at in chosen) / sum(plain.sequential[at] for at in chosen),
        sum(scores.total[at] for at in chosen) / sum(plain.total[at] for at in chosen),
    )


def choose(grid: dict[Elastic, Scores], plain: Scores, chosen: Sequence[int], tolerance: float) -> Elastic:
    """The settings with the least strain among the accurate ones; the most accurate if none is."""
    compared = {rule: against(scores, plain, chosen) for rule, scores in grid.items()}
    accurate = [rule for rule, found in compared.items() if found.difference >= -tolerance]
    if not accurate:
        return max(compared, key=lambda rule: compared[rule].difference)
    return min(accurate, key=lambda rule: compared[rule].strain)


INDEPENDENT = {
    "90 %": (0.9, *[0.02] * 5),
    "60 % against 40 %": (0.6, 0.4),
    "60 % against four of 10 %": (0.6, *[0.1] * 4),
    "40 % against four of 15 %": (0.4, *[0.15] * 4),
}


def independent(rule: StopRule, shares: Sequence[float], votes: int, seed: int) -> tuple[float, float]:
    """How often the most frequent answer wins, and how many finish, when answers come in random order."""
    rng = random.Random(seed)
    right = finished = 0
    for _ in range(votes):
        answers = rng.choices(range(len(shares)), shares, k=rule.limit)
        branches = [Branch(at, answer, tokens=at + 1) for at, answer in enumerate(answers)]
        for at in range(1, rule.limit + 1):
            decision = rule.decide(View(tuple(branches[:at]), tuple(map(Branch, range(at, rule.limit)))))
            if isinstance(decision, Stop):
                right += decision.winner == 0
                finished += at
                break
    return right / votes, finished / votes


def show_independent(seed: int) -> None:
    """A table of rules that start 16 branches at once."""
    rules: list[Beta | Elastic] = [
        Beta(width=16),
        *(Elastic(0, quorum, 0.93, 16) for quorum in (8, 10, 14, 16)),
    ]
    print("majority right (branches finished), 16 branches, answers independent of their order of arrival\n")
    print(f"{'':<28}" + "".join(f"{_name(rule):>26}" for rule in rules))
    for label, shares in INDEPENDENT.items():
        found = [independent(rule, shares, 4000, seed) for rule in rules]
        print(f"{label:<28}" + "".join(f"{right:>19.3f} ({finished:4.1f})" for right, finished in found))


def _name(rule: Beta | Elastic) -> str:
    return f"{rule.name}, quorum {rule.quorum}" if isinstance(rule, Elastic) else rule.name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tune_elastic", description="Cross-validate elastic width over problems."
    )
    parser.add_argument("--traces", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--width", type=positive, default=64)
    parser.add_argument("--resamples", type=positive, default=20)
    parser.add_argument("--folds", type=positive, default=10)
    parser.add_argument("--tolerance", type=float, default=0.5, help="points of accuracy (default 0.5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="choose threshold and quorum too")
    parser.add_argument("--independent", action="store_true", help="made-up votes instead of recorded ones")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.independent:
        show_independent(given.seed)
        return 0
    if not given.traces:
        parser.error("--traces or --independent is needed")
    problems = load_all(parser, given.traces, width=given.width)
    if not 2 <= given.folds <= len(problems):
        parser.error(f"{len(problems)} problems cannot be dealt into {given.folds} folds")
    sizes = {"width": given.width, "times": given.resamples, "seed": given.seed}
    plain = score(FixedN(given.width), problems, **sizes)
    grid = {
        rule: score(rule, problems, **sizes)
        for patience, quorum, threshold in (
            product(PATIENCE, QUORUM, THRESHOLD)
            if given.all
            else product(PATIENCE, [QUORUM_SET], [THRESHOLD_SET])
        )
        for rule in [Elastic(patience, quorum, threshold, given.width)]
    }
    every = range(len(problems))
    dealt = random.Random(given.seed).sample(every, len(every))
    held_out: list[tuple[str, int, Score]] = []
    for fold in range(given.folds):
        left = dealt[fold :: given.folds]
        rule = choose(grid, plain, [at for at in every if at not in left], given.tolerance)
        held_out.append((rule.spec, len(left), against(grid[rule], plain, left)))
    best = choose(grid, plain, every, given.tolerance)
    weight = sum(size for _, size, _ in held_out)
    mean = Score(
        *(
            sum(size * getattr(found, name) for _, size, found in held_out) / weight
            for name in ("difference", "sequential", "total")
        )
    )
    if given.json:
        print(
            json.dumps(
                {
                    "chosen": best.spec,
                    "folds": [spec for spec, _, _ in held_out],
                    "held_out": {
                        "accuracy_difference": mean.difference,
                        "sequential_ratio": mean.sequential,
                        "total_ratio": mean.total,
                    },
                }
            )
        )
        return 0
    for rule, scores in sorted(grid.items(), key=lambda item: against(item[1], plain, every).strain)[:15]:
        found = against(scores, plain, every)
        print(f"{rule.spec:<48} {_line(found)}")
    print()
    for at, (spec, _, found) in enumerate(held_out):
        print(f"fold {at}: chose {spec:<40} held out {_line(found)}")
    print(f"\nchosen on all: {best.spec}\nheld out, mean: {_line(mean)}")
    return 0


def _line(found: Score) -> str:
    return (
        f"accuracy {found.difference:+.2f} points, sequential {found.sequential:.3f}, total {found.total:.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
