"""How often does a round of a cascade agree where the model is unsure, and what do rules between rounds gain?

    python -m benchmarks.rounds --traces aime24.json aime25.json

The entropy of a round decides whether a cascade goes on. This replays one round over recorded branches, under
several stop rules, and counts the rounds that pass: whose entropy is at most ``--nats``. A model is unsure of
a problem if fewer than four in five of all its recorded branches agree. Beside it stands what a split vote
(:mod:`orchestrator.voting.splitting`) is worth.

A second table has whole searches by the rules between rounds (planner ``rounds``), over recorded branches
that saw nothing of each other. So it shows when they stop and which round they recall, and what as many
branches are worth in one vote; what answers in view do to later rounds, no recording can show.
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
from orchestrator.consensus.stopping import DEFAULT_RULE, End, parse_round_rule, parse_rule
from orchestrator.consensus.stopping import Round as Seen
from orchestrator.runtime.values import Answer, Cluster
from orchestrator.voting.splitting import split

RULES = ("fixed", DEFAULT_RULE, "beta:0.95")
BETWEEN = ("seat:0.3", "seat_secretary")
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


@dataclass(frozen=True, slots=True)
class Search:
    """Rounds until a rule between them ended.

    ``right`` is the round that answers, ``pooled`` the majority of all branches that were held, and
    ``at_once`` that of all which the rule might have held; ``at_once_total`` are the tokens of these.
    """

    rounds: int
    collapsed: bool
    right: bool
    pooled: bool
    at_once: bool
    sequential: int
    total: int
    at_once_sequential: int
    at_once_total: int


def searches(problems: Sequence[Problem], between: str, width: int, times: int) -> list[Search]:
    """``times`` searches over each problem, in rounds of ``width`` branches."""
    rule, played = parse_round_rule(between), []
    for problem in problems:
        for order in resamples(problem, width * rule.limit, times, seed=1):
            seen: list[Seen] = []
            while not isinstance(decision := rule.decide(seen), End):
                begin = len(seen) * width
                seen.append(_seen(problem, order[begin : begin + width]))
            held = order[: len(seen) * width]
            longest = [
                max(problem.tokens[branch] for branch in held[begin : begin + width])
                for begin in range(0, len(held), width)
            ]
            played.append(
                Search(
                    len(seen),
                    decision.reason == "collapsed",
                    seen[decision.best].winner == problem.gold,
                    _majority(problem, held) == problem.gold,
                    _majority(problem, order) == problem.gold,
                    sum(longest),
                    sum(problem.tokens[branch] for branch in held),
                    max(problem.tokens[branch] for branch in order),
                    sum(problem.tokens[branch] for branch in order),
                )
            )
    return played


def _seen(problem: Problem, branches: Sequence[int]) -> Seen:
    """What a rule between rounds sees of one; of equal answers, the first to arrive wins."""
    votes = _votes(problem, branches)
    entropy = discrete(list(votes.values()), abstained=len(branches) - votes.total()).nats
    first = max(votes.values(), default=0)
    return Seen(
        entropy if votes.total() > 1 else None,
        _majority(problem, branches),
        first / max(1, votes.total()),
    )


def _majority(problem: Problem, branches: Sequence[int]) -> int | None:
    return next((answer for answer, _ in _votes(problem, branches).most_common(1)), None)


def _votes(problem: Problem, branches: Sequence[int]) -> Counter[int]:
    """The answers in order of arrival: of branches that begin together, the shortest come first."""
    arrived = sorted(branches, key=lambda branch: problem.tokens[branch])
    return Counter(answer for branch in arrived if (answer := problem.answers[branch]) is not None)


def search_line(played: Sequence[Search]) -> str:
    """The columns of a line: rounds, shares in %, tokens in thousands."""
    shares = (
        _share([each.collapsed for each in played]),
        _share([each.right for each in played]),
        _share([each.pooled for each in played]),
        _share([each.at_once for each in played]),
    )
    tokens = (
        fmean(each.sequential for each in played),
        fmean(each.total for each in played),
        fmean(each.at_once_sequential for each in played),
        fmean(each.at_once_total for each in played),
    )
    held = f"{fmean(each.rounds for each in played):.2f}"
    return "".join(f"{each:>10}" for each in (held, *shares, *(f"{each / 1000:.1f}" for each in tokens)))


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
    parser.add_argument("--between", nargs="+", default=BETWEEN, help="rules between rounds")
    parser.add_argument("--nats", type=float, default=0.3)
    parser.add_argument("--times", type=positive, default=60, help="rounds a problem")
    given = parser.parse_args(arguments)
    most = max(given.widths) * max(parse_round_rule(each).limit for each in given.between)
    problems = load_all(parser, given.traces, width=most, blank_votes=False)
    names = ("unsure %", "sure %", "of these", "all right", "split %", "of these", "seq. k", "total k")
    print(f"{'n':>3} {'rule':<32}{''.join(f'{name:>10}' for name in names)}")
    for width in given.widths:
        for rule in RULES:
            print(f"{width:>3} {rule:<32}{line(rounds(problems, rule, width, given.nats, given.times))}")
    columns = ("rounds", "collapsed", "right", "pooled", "at once", "seq. k", "total k", "at once", "at once")
    print(f"\n{'n':>3} {'rule between rounds':<32}{''.join(f'{name:>10}' for name in columns)}")
    for width in given.widths:
        for between in given.between:
            print(f"{width:>3} {between:<32}{search_line(searches(problems, between, width, given.times))}")


if __name__ == "__main__":
    main()
