"""How often does a round of a cascade agree where the model is unsure?

    python -m benchmarks.rounds --traces aime24.json aime25.json

The entropy of a round decides whether a cascade goes on. This replays one round over recorded branches, under
several stop rules, and counts the rounds that pass: whose entropy is at most ``--nats``. A model is unsure of
a problem if fewer than four in five of all its recorded branches agree. Beside it stands what a split vote
(:mod:`orchestrator.voting.splitting`) is worth.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.replay import Problem, Replay, load_all, positive, resamples
from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.stopping import DEFAULT_RULE, parse_rule
from orchestrator.runtime.values import Answer, Cluster
from orchestrator.voting.splitting import split

RULES = ("fixed", DEFAULT_RULE, "beta:0.95")
SURE = 0.8


@dataclass(frozen=True, slots=True)
class Round:
    """One replayed round; ``sequential`` and ``total`` are tokens."""

    unsure: bool
    passes: bool
    split: bool
    right: bool
    sequential: int
    total: int


def rounds(problems: Sequence[Problem], rule: str, width: int, nats: float, times: int) -> list[Round]:
    """``times`` rounds over each problem."""
    played = []
    for problem in problems:
        unsure = max(Counter(problem.answers).values()) / len(problem.answers) < SURE
        for order in resamples(problem, width, times, seed=1):
            replay = Replay(parse_rule(rule, width=width), problem, order)
            outcome = replay.run()
            given = Counter(each for each in replay.answers if each is not None)
            entropy = discrete(list(given.values()), abstained=replay.answers.count(None)).nats
            votes = tuple(Cluster(str(claim), count) for claim, count in given.items())
            played.append(
                Round(
                    unsure,
                    entropy is not None and given.total() > 1 and entropy <= nats,
                    split(Answer("", str(outcome.winner), clusters=votes)) is not None,
                    outcome.winner == problem.gold,
                    outcome.sequential,
                    outcome.total,
                )
            )
    return played


def line(played: Sequence[Round]) -> str:
    """The columns of a line: shares in %, tokens in thousands."""
    passing, apart = [each for each in played if each.passes], [each for each in played if each.split]
    shares = (
        _share([each.passes for each in played if each.unsure]),
        _share([each.passes for each in played if not each.unsure]),
        _share([each.right for each in passing]),
        _share([each.right for each in played]),
        _share([each.split for each in played]),
        _share([each.right for each in apart]),
    )
    tokens = fmean(each.sequential for each in played), fmean(each.total for each in played)
    return "".join(f"{each:>10}" for each in (*shares, *(f"{each / 1000:.1f}" for each in tokens)))


def _share(values: Sequence[bool]) -> str:
    return f"{100 * fmean(values):.1f}" if values else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--traces", nargs="+", type=Path, required=True, help="published in zhengkid/Parallel-Probe"
    )
    parser.add_argument("--widths", nargs="+", type=positive, default=[5, 8, 16])
    parser.add_argument("--nats", type=float, default=0.3)
    parser.add_argument("--times", type=positive, default=60, help="rounds a problem")
    given = parser.parse_args(arguments)
    problems = load_all(parser, given.traces, width=max(given.widths), blank_votes=False)
    names = ("unsure %", "sure %", "of these", "all right", "split %", "of these", "seq. k", "total k")
    print(f"{'n':>3} {'rule':<32}{''.join(f'{name:>10}' for name in names)}")
    for width in given.widths:
        for rule in RULES:
            print(f"{width:>3} {rule:<32}{line(rounds(problems, rule, width, given.nats, given.times))}")


if __name__ == "__main__":
    main()
