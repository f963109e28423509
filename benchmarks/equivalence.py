"""How well, and how fast, each method tells whether two answers are the same.

    python -m benchmarks.equivalence [--json]

The labelled pairs in ``benchmarks/data/equivalence_pairs.tsv`` are our own: formats, numbers in words, units,
mathematics, paraphrases, negations and near misses. A method that cannot tell leaves a pair open, which
counts as different: precision is what may not suffer, since a wrong join makes a false majority. Each method
adds to the one before. Paraphrases are left to entailment or to a judge, which need a model.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import thread_time

from orchestrator.consensus.equivalence import Clusters, Form, compare, read_form
from orchestrator.consensus.extraction import Claim
from orchestrator.symbolic import math_equal

PAIRS = Path(__file__).parent / "data" / "equivalence_pairs.tsv"
PRECISION_BOUND, CORE_RECALL_BOUND, CORE_MS_BOUND = 1.0, 0.7, 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers and whether they are the same."""

    kind: str
    same: bool
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a method did on all pairs. ``recall_by_kind`` is over the pairs of a kind that are the same."""

    method: str
    precision: float
    recall: float
    ms_a_pair: float
    recall_by_kind: dict[str, float]
    wrong: list[str]


def load() -> list[Pair]:
    """The labelled pairs."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Pair(row["kind"], row["same"] == "1", row["left"], row["right"]) for row in rows]


def exact(left: Form, right: Form) -> bool:
    """The same characters."""
    return left.text == right.text


def normalised(left: Form, right: Form) -> bool:
    """The same after case, space, articles and markup."""
    return left.normal == right.normal


def core(left: Form, right: Form) -> bool:
    """Everything that runs without an extra: the cheap methods together."""
    outcome = compare(left, right)
    return outcome is not None and outcome[1]


def symbolic(left: Form, right: Form) -> bool:
    """The core, and math-verify where both look like mathematics and the core cannot tell."""
    outcome = compare(left, right)
    if outcome is not None:
        return outcome[1]
    formulas = all(form.mathematical or form.quantity for form in (left, right))
    return formulas and (left.mathematical or right.mathematical) and math_equal(left.text, right.text)


def judge(method: Callable[[Form, Form], bool], pairs: Sequence[Pair]) -> Row:
    """Run a method over all pairs, reading included in the time."""
    method(read_form("x^2"), read_form("2x"))  # imports are not part of the speed
    began = thread_time()
    said = [method(read_form(pair.left), read_form(pair.right)) for pair in pairs]
    seconds = thread_time() - began
    joined = [pair for pair, same in zip(pairs, said, strict=True) if same]
    positives = [pair for pair in pairs if pair.same]
    kinds = {pair.kind: [p for p in positives if p.kind == pair.kind] for pair in positives}
    return Row(
        method.__name__,
        sum(pair.same for pair in joined) / len(joined) if joined else 1.0,
        sum(pair.same for pair in joined) / len(positives),
        1e3 * seconds / len(pairs),
        {kind: sum(pair in joined for pair in group) / len(group) for kind, group in kinds.items()},
        [f"{pair.left} | {pair.right}" for pair in joined if not pair.same],
    )


def placing() -> float:
    """The median CPU time in ms to place one of 64 answers that all differ: each meets all before it."""
    texts = [f"{at} km" for at in range(32)] + [rf"\frac{{{at}}}{{7}}" for at in range(1, 33)]
    clusters = Clusters(costly=("symbolic",))
    taken = []
    for at, text in enumerate(texts):
        claim = Claim(text, "boxed")
        began = thread_time()
        clusters.open_pairs(claim)
        clusters.add(at, claim)
        taken.append(thread_time() - began)
    return 1e3 * median(taken)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equivalence", description="Precision, recall and speed of equivalence."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    pairs = load()
    mathematics = find_spec("math_verify") is not None
    methods = [exact, normalised, core, *([symbolic] if mathematics else [])]
    rows = [judge(method, pairs) for method in methods]
    found = {row.method: row for row in rows}
    checks = [
        {
            "name": f"{name}: {what}",
            "value": value,
            "bound": bound,
            "passed": value <= bound if what.startswith("ms") else value >= bound,
        }
        for name, what, value, bound in [
            *((row.method, "precision", row.precision, PRECISION_BOUND) for row in rows),
            ("core", "recall", found["core"].recall, CORE_RECALL_BOUND),
            ("core", "ms a pair", found["core"].ms_a_pair, CORE_MS_BOUND),
            ("clusters", "ms to place one of 64 different answers", placing(), CORE_MS_BOUND),
        ]
    ]
    if given.json:
        json.dump(
            {"pairs": len(pairs), "rows": [asdict(row) for row in rows], "checks": checks},
            sys.stdout,
            indent=1,
        )
        print()
    else:
        print(f"{len(pairs)} pairs, {sum(pair.same for pair in pairs)} of them the same\n")
        print(f"{'method':<12}{'precision':>10}{'recall':>8}{'ms a pair':>11}  recall by kind")
        for row in rows:
            kinds = "  ".join(f"{kind} {recall:.2f}" for kind, recall in row.recall_by_kind.items())
            print(f"{row.method:<12}{row.precision:>10.3f}{row.recall:>8.3f}{row.ms_a_pair:>11.3f}  {kinds}")
            for wrong in row.wrong:
                print(f"{'':<12}wrongly joined: {wrong}")
        if not mathematics:
            print("symbolic equivalence needs the extra 'math': pip install 'anabranch[math]'")
        print()
        for check in checks:
            verdict = "ok  " if check["passed"] else "FAIL"
            print(f"{verdict} {check['name']}: {check['value']:.4g} (bound {check['bound']:g})")
    return 0 if all(check["passed"] for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
