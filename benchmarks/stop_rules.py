"""Which stop rule is best? Every rule replayed over the same recorded branches.

    python -m benchmarks.stop_rules --traces aime24.json aime25.json [--json] [--plot DIR]

Beside the rules stand the controls that a critic would ask for (:mod:`benchmarks.controls`), the same rules
over the same answers with lengths that say nothing, and over made-up votes. A tie is broken as it is live: by
who came first, without a look at the right answer.

Sequential tokens are the longest dependent chain until the decision, total tokens all that was generated
until then. Both are given as ratios to plain voting over ``--width`` branches. Intervals are paired: problems
are drawn with replacement, and each draw compares a rule with plain voting on the same problems.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

from benchmarks import controls, pareto
from benchmarks.checks import Check, at_most
from benchmarks.replay import Problem, Replay, load_all, positive, resamples
from orchestrator.consensus.stopping import DEFAULT_RULE, RULES, RuleError, Signal, StopRule, parse_rule

PLAIN = "fixed"
CAUTIOUS = "elastic:0.43,quorum=1000,threshold=0.95"
PUBLISHED_RULES = {
    "asc": "adaptive consistency (2305.11860)",
    "esc:window=8": "early-stopping windows (2401.10480)",
    "parallel_probe": "Parallel-Probe (2602.03845)",
}
OUR_RULES = {
    "beta": "Beta posterior on arrivals, all started",
    "entropy": "entropy threshold on arrivals, all started",
    "elastic:0,quorum=10": "elastic width, fastest",
    "elastic": "elastic width, the default until 2026",
    DEFAULT_RULE: "elastic width, the default",
    "elastic:1,quorum=10": "elastic width, thriftiest",
    CAUTIOUS: "Beta on arrivals that starts with fewer",
}
NOT_REPLAYED = {
    "deepconf": "the recordings hold no token confidences",
    "deepconf_offline": "the recordings hold no token confidences",
    "first_verified": "the recordings hold no verdicts",
    "kinds": "the recordings hold one kind of branch",
    "tournament": "the recordings hold no copies of branches",
    "deadline": "a limit, not a judgement",
    "token_budget": "a limit, not a judgement",
}

UNRECORDED: frozenset[Signal] = frozenset({"confidence", "verdicts"})

# Accuracy in %, sequential and total tokens in thousands at width 64, as the recordings' source has them.
PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "aime24": {
        "fixed": (80.4, 30.1, 910.8),
        "asc": (80.4, 226.0, 226.0),
        "esc:window=8": (80.4, 84.7, 459.4),
        "parallel_probe": (81.5, 20.3, 730.8),
    },
    "aime25": {
        "fixed": (76.7, 30.7, 1124.4),
        "asc": (76.7, 406.2, 406.2),
        "esc:window=8": (76.7, 132.4, 793.1),
        "parallel_probe": (76.9, 21.9, 846.7),
    },
}
NAME = 42  # characters of a column
REPRODUCED = ("fixed", "asc", "esc:window=8")
ACCURACY_BOUND, TOKENS_BOUND = 0.7, 0.05
SEQUENTIAL_BOUND, TOTAL_BOUND, DECISION_BOUND = 0.43, 0.26, 0.2

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a rule did on each problem, averaged over resamples: accuracy in [0, 1], tokens."""

    accuracy: tuple[float, ...]
    sequential: tuple[float, ...]
    total: tuple[float, ...]
    started: float
    finished: float
    decision_ms: float
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. Accuracies in %, differences in points; intervals cover 95 %."""

    rule: str
    label: str
    accuracy: float
    accuracy_difference: float
    accuracy_interval: Interval
    sequential_tokens: float
    sequential_ratio: float
    sequential_interval: Interval
    total_tokens: float
    total_ratio: float
    total_interval: Interval
    started: float
    finished: float
    decision_ms: float
    slowest_decision_ms: float


def score(
    rule: StopRule | controls.Informed, problems: Sequence[Problem], *, width: int, times: int, seed: int
) -> Scores:
    """Replay ``rule``, or the one that an oracle makes for each order, ``times`` times over each problem."""
    accuracy, sequential, total = [], [], []
    started = finished = 0
    seconds: list[float] = []
    for problem in problems:
        outcomes = []
        for order in resamples(problem, width, times, seed):
            replay = Replay(rule(problem, order) if callable(rule) else rule, problem, order)
            outcomes.append(replay.run())
            seconds += replay.seconds
        accuracy.append(fmean(each.winner == problem.gold for each in outcomes))
        sequential.append(fmean(each.sequential for each in outcomes))
        total.append(fmean(each.total for each in outcomes))
        started += sum(each.started for each in outcomes)
        finished += sum(each.finished for each in outcomes)
    votes = len(problems) * times
    slow = sorted(seconds)[int(0.99 * len(seconds))]
    return Scores(
        tuple(accuracy),
        tuple(sequential),
        tuple(total),
        started / votes,
        finished / votes,
        1e3 * fmean(seconds),
        1e3 * slow,
    )


def against_controls(problems: Sequence[Problem], *, width: int, times: int, seed: int) -> list[Row]:
    """Plain voting, the simple rules and ours over the same problems."""
    draws = bootstrap(len(problems), 200, seed)
    rules = {
        **{rule: parse_rule(rule, width=width) for rule in (PLAIN, "beta", CAUTIOUS, DEFAULT_RULE)},
        **controls.simple_rules(width),
        **_thriftier(width),
    }
    scores = {
        name: score(rule, problems, width=width, times=times, seed=seed) for name, rule in rules.items()
    }
    return [compare(name, "", scores[name], scores[PLAIN], draws) for name in rules]


def _thriftier(width: int) -> Mapping[str, StopRule]:
    """The simple rules that start as few branches as our default."""
    return controls.thriftier_rules(width, parse_rule(DEFAULT_RULE, width=width).initial)


def dominating(rows: Sequence[Row], width: int) -> list[str]:
    """The rules nowhere worse than the default, but for those that start as few and are only shown."""
    ours = next(row for row in rows if row.rule == DEFAULT_RULE)
    shown = _thriftier(width)
    return [row.rule for row in rows if row is not ours and row.rule not in shown and no_worse(row, ours)]


def compare(rule: str, label: str, scores: Scores, plain: Scores, draws: Sequence[Sequence[int]]) -> Row:
    """The row of a rule, its intervals over the drawn sets of problems."""

    def difference(chosen: Sequence[int]) -> float:
        return 100 * fmean(scores.accuracy[at] - plain.accuracy[at] for at in chosen)

    def ratio(ours: Sequence[float], theirs: Sequence[float], chosen: Sequence[int]) -> float:
        return sum(ours[at] for at in chosen) / (sum(theirs[at] for at in chosen) or 1)  # or all are empty

    every = range(len(plain.accuracy))
    return Row(
        rule,
        label,
        100 * fmean(scores.accuracy),
        difference(every),
        _interval([difference(draw) for draw in draws]),
        fmean(scores.sequential),
        ratio(scores.sequential, plain.sequential, every),
        _interval([ratio(scores.sequential, plain.sequential, draw) for draw in draws]),
        fmean(scores.total),
        ratio(scores.total, plain.total, every),
        _interval([ratio(scores.total, plain.total, draw) for draw in draws]),
        scores.started,
        scores.finished,
        scores.decision_ms,
        scores.slowest_ms,
    )


def _interval(values: list[float]) -> Interval:
    ranked = sorted(values)
    return ranked[int(0.025 * len(ranked))], ranked[int(0.975 * len(ranked)) - 1]


def bootstrap(problems: int, draws: int, seed: int) -> list[list[int]]:
    """Sets of problem indices drawn with replacement."""
    rng = random.Random(seed)
    return [rng.choices(range(problems), k=problems) for _ in range(draws)]


def checks(rows: Sequence[Row], sets: Sequence[str], width: int) -> list[Check]:
    """Published lines where these recordings have them, and what the default rule must keep."""
    found = {row.rule: row for row in rows}
    kept: list[Check] = []
    if width == 64 and sets and all(each in PUBLISHED for each in sets):
        for rule in REPRODUCED:
            accuracy, sequential, total = (
                fmean(PUBLISHED[each][rule][at] for each in sets) for at in range(3)
            )
            row = found[rule]
            kept += [
                at_most(
                    f"{rule}: accuracy, points from published", abs(row.accuracy - accuracy), ACCURACY_BOUND
                ),
                at_most(
                    f"{rule}: sequential tokens, share from published",
                    abs(row.sequential_tokens / (1e3 * sequential) - 1),
                    TOKENS_BOUND,
                ),
                at_most(
                    f"{rule}: total tokens, share from published",
                    abs(row.total_tokens / (1e3 * total) - 1),
                    TOKENS_BOUND,
                ),
            ]
    ours = found[DEFAULT_RULE]
    high = ours.accuracy_interval[1]
    kept.append(Check("default: accuracy over plain voting, upper end of the interval", high, 0.0, high >= 0))
    if width == 64:
        kept += [
            at_most("default: sequential tokens over plain voting", ours.sequential_ratio, SEQUENTIAL_BOUND),
            at_most("default: total tokens over plain voting", ours.total_ratio, TOTAL_BOUND),
        ]
    others = [rule for rule in found if rule in PUBLISHED_RULES or rule in controls.simple_rules(width)]
    better = [rule for rule in others if no_worse(found[rule], ours)]
    kept.append(at_most("default: published and simple rules no worse in all three", len(better), 0))
    kept.append(at_most("default: slowest of 100 decisions, ms", ours.slowest_decision_ms, DECISION_BOUND))
    return kept


def no_worse(row: Row, than: Row) -> bool:
    """Whether a rule is nowhere worse than another: as right as often, for as few tokens of both kinds."""
    return (
        row.accuracy >= than.accuracy
        and row.sequential_tokens <= than.sequential_tokens
        and row.total_tokens <= than.total_tokens
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    head = (
        f"{'rule':<{NAME}}{'accuracy':>9}{'difference [95 %]':>23}{'sequential tokens, ratio [95 %]':>34}"
        f"{'total tokens, ratio [95 %]':>30}{'started':>9}{'decision':>11}"
    )
    return "\n".join([head, "-" * len(head), *map(_line, rows)])


def _line(row: Row) -> str:
    low, high = row.accuracy_interval
    return (
        f"{row.rule:<{NAME}}{row.accuracy:>8.1f}%{row.accuracy_difference:>+8.2f} [{low:+5.1f}, {high:+5.1f}]"
        f"{_cost(row.sequential_tokens, row.sequential_ratio, row.sequential_interval):>34}"
        f"{_cost(row.total_tokens, row.total_ratio, row.total_interval):>30}"
        f"{row.started:>9.1f}{1e3 * row.decision_ms:>8.1f} µs"
    )


def _cost(tokens: float, ratio: float, interval: Interval) -> str:
    return f"{tokens / 1e3:.1f}k {ratio:6.3f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails, 2 where files or arguments are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stop_rules",
        description="Replay stop rules over recorded branches.",
        epilog="Recordings are published at github.com/zhengkid/Parallel-Probe, folder evaluation.",
    )
    parser.add_argument(
        "--traces", type=Path, nargs="+", required=True, metavar="FILE", help="recorded branches"
    )
    parser.add_argument("--width", type=positive, default=64, help="branches of the plain vote (default 64)")
    parser.add_argument("--resamples", type=positive, default=20, help="draws a problem (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", nargs="*", default=[], metavar="RULE", help="further rules to replay")
    parser.add_argument(
        "--blank",
        choices=("vote", "abstain"),
        default="vote",
        help="whether a branch without an answer votes for 'no answer' (default, as in the published tables) "
        "or abstains (as in the product)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write pareto.png and pareto.svg there")
    given = parser.parse_args(arguments)
    if given.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs the extra 'bench': pip install 'anabranch[bench]'")
    for spec in given.rules:
        if why := _not_replayable(spec, given.width):
            parser.error(why)
    problems = load_all(parser, given.traces, width=given.width, blank_votes=given.blank == "vote")
    draws = bootstrap(len(problems), 1000, given.seed)
    labels = {PLAIN: "plain voting", **PUBLISHED_RULES, **OUR_RULES, **dict.fromkeys(given.rules, "")}
    rules: dict[str, StopRule | controls.Informed] = {
        **{rule: parse_rule(rule, width=given.width) for rule in labels},
        **controls.simple_rules(given.width),
        **_thriftier(given.width),
        **controls.ORACLES,
    }
    sizes = {"width": given.width, "times": given.resamples, "seed": given.seed}
    scores = {name: score(rule, problems, **sizes) for name, rule in rules.items()}
    rows = [compare(name, labels.get(name, ""), scores[name], scores[PLAIN], draws) for name in rules]
    kept = checks(rows, [path.stem for path in given.traces] if given.blank == "vote" else [], given.width)
    dealt = [controls.permuted(problem, given.seed) for problem in problems]
    others = {
        "the recorded answers, lengths dealt out anew": against_controls(dealt, **sizes),
        **{
            f"made-up votes of {name}, {told}": against_controls(
                controls.contests(share, tilt=tilt), **sizes | {"times": min(given.resamples, 5)}
            )
            for told, tilt in controls.TILTS.items()
            for name, share in controls.MADE_UP.items()
        },
    }
    for name, found in others.items():
        kept.append(
            at_most(f"default: simple rules no worse, {name}", len(dominating(found, given.width)), 0)
        )
    if given.plot:
        points = [
            pareto.Point(row.rule, row.sequential_tokens, row.total_tokens, row.accuracy) for row in rows
        ]
        pareto.plot(points, given.plot, curve="elastic", published=PUBLISHED_RULES)
    if given.json:
        report = {
            "width": given.width,
            "resamples": given.resamples,
            "seed": given.seed,
            "problems": len(problems),
            "default": DEFAULT_RULE,
            "default_spec": _full(DEFAULT_RULE, given.width),
            "rows": [asdict(row) for row in rows],
            "controls": {name: [asdict(row) for row in found] for name, found in others.items()},
            "not_replayed": NOT_REPLAYED,
            "checks": [asdict(check) for check in kept],
        }
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        print(f"{len(problems)} problems, width {given.width}, {given.resamples} resamples")
        print(f"default: {_full(DEFAULT_RULE, given.width)}\n")
        print(table(rows))
        print()
        for name, found in others.items():
            print(f"{name}\n{table(found)}\n")
        for check in kept:
            verdict = "ok  " if check.passed else "FAIL"
            print(f"{verdict} {check.name}: {check.value:.4g} (bound {check.bound:g})")
    return 0 if all(check.passed for check in kept) else 1


def _not_replayable(spec: str, width: int) -> str:
    """Why a rule cannot be replayed; empty if it can be."""
    try:
        lacking = UNRECORDED & parse_rule(spec, width=width).needs
    except RuleError as error:
        return str(error)
    return f"{spec} needs {', '.join(sorted(lacking))}, which the recordings do not hold" if lacking else ""


def _full(rule: str, width: int) -> dict[str, object]:
    """All settings of a rule, defaults included."""
    parsed = parse_rule(rule, width=width)
    return {"rule": rule} | {
        each.name: getattr(parsed, each.name) for each in fields(RULES[rule.partition(":")[0]])
    }


if __name__ == "__main__":
    sys.exit(main())
