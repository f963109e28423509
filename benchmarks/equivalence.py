"""How well, and how fast, each method tells whether two answers are the same.

    python -m benchmarks.equivalence [--judge MODEL …] [--nli SOURCE …] [--completions FILE …] [--json]

The labelled pairs in ``benchmarks/data/equivalence_pairs.tsv`` are our own. Those without a question are
short answers: formats, numbers in words, units, mathematics, near misses. Those with a question are
sentences: paraphrases, negations, other names and orders, numbers and units, more and less detail. A method
that cannot tell leaves a pair open, which counts as different: precision is what may not suffer, since a
wrong join makes a false majority. Each method adds to the one before.

Sentences are left to a judge: a model of the embedded engine, or an entailment model. A judge is measured on
every other pair of a kind; its prompt was chosen on the rest, which ``--tuning`` shows.

Pairs of whole completions show extraction and equivalence together, beside math-verify alone
(:mod:`benchmarks.completions`); ``--document`` writes that table into docs/consensus.md.
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

from benchmarks import completions
from orchestrator.consensus.equivalence import Clusters, Form, compare, read_form
from orchestrator.consensus.extraction import Claim
from orchestrator.voting.symbolic import math_equal

PAIRS = Path(__file__).parent / "data" / "equivalence_pairs.tsv"
WRONG_BOUND, CORE_RECALL_BOUND, CORE_MS_BOUND = 0, 0.8, 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers and whether they are the same."""

    kind: str
    same: bool
    left: str
    right: str
    question: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a method did. ``precision`` is None if it joined nothing."""

    method: str
    pairs: int
    joined: int
    precision: float | None
    recall: float
    ms_a_pair: float
    recall_by_kind: dict[str, float]
    wrong: list[str]


def load() -> list[Pair]:
    """The labelled pairs."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Pair(row["kind"], row["same"] == "1", row["left"], row["right"], row["question"]) for row in rows
        ]


def halves(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Every other pair of each kind and label, and the rest."""
    groups: dict[tuple[str, bool], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.kind, pair.same), []).append(pair)
    return [[pair for group in groups.values() for pair in group[start::2]] for start in (0, 1)]


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


def compared(method: Callable[[Form, Form], bool], pairs: Sequence[Pair]) -> Row:
    """Run a method over all pairs, reading included in the time."""
    method(read_form("x^2"), read_form("2x"))  # imports are not part of the speed
    began = thread_time()
    said = [method(read_form(pair.left), read_form(pair.right)) for pair in pairs]
    return count(method.__name__, pairs, said, thread_time() - began)


def count(method: str, pairs: Sequence[Pair], said: Sequence[bool], seconds: float) -> Row:
    """Hold what was said of the pairs against their labels."""
    joined = [pair for pair, same in zip(pairs, said, strict=True) if same]
    positives = [pair for pair in pairs if pair.same]
    kinds = {pair.kind: [p for p in positives if p.kind == pair.kind] for pair in positives}
    return Row(
        method,
        len(pairs),
        len(joined),
        sum(pair.same for pair in joined) / len(joined) if joined else None,
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


def checks(short: Sequence[Row], cheap: Sequence[Row]) -> list[dict[str, object]]:
    """What must hold of the methods that cost no call."""
    found = {row.method: row for row in short}
    asked = [
        *(
            (f"{row.method}: wrongly joined of {row.pairs}", len(row.wrong), WRONG_BOUND, True)
            for row in cheap
        ),
        ("core: recall of short answers", found["core"].recall, CORE_RECALL_BOUND, False),
        ("core: ms a pair", found["core"].ms_a_pair, CORE_MS_BOUND, True),
        ("clusters: ms to place one of 64 different answers", placing(), CORE_MS_BOUND, True),
    ]
    return [
        {"name": name, "value": value, "bound": bound, "passed": value <= bound if most else value >= bound}
        for name, value, bound, most in asked
    ]


def judged(pairs: Sequence[Pair], models: Sequence[str], sources: Sequence[str]) -> list[Row]:
    """What judges say of sentences."""
    from benchmarks.judges import Sentences, by_entailment, by_model

    sentences = [Sentences(pair.question, pair.left, pair.right) for pair in pairs]
    heard = [each for model in models for each in by_model(model, sentences)]
    heard += [each for source in sources for each in by_entailment(source, sentences)]
    return [count(each.judge, pairs, each.same, each.seconds) for each in heard]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table."""
    width = max(len(row.method) for row in rows)
    print(
        f"{title}\n\n{'method':<{width}}{'joined':>8}{'precision':>11}{'recall':>8}{'ms a pair':>11}  by kind"
    )
    for row in rows:
        precision = "" if row.precision is None else f"{row.precision:.3f}"
        numbers = f"{row.joined:>8}{precision:>11}{row.recall:>8.3f}{row.ms_a_pair:>11.3f}"
        kinds = "  ".join(f"{kind} {recall:.2f}" for kind, recall in row.recall_by_kind.items())
        print(f"{row.method:<{width}}{numbers}  {kinds}")
        for wrong in row.wrong:
            print(f"{'':<{width}}  wrongly joined: {wrong}")
    print()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equivalence", description="Precision, recall and speed of equivalence."
    )
    parser.add_argument(
        "--judge", action="append", default=[], metavar="MODEL", help="of the embedded engine"
    )
    parser.add_argument("--nli", action="append", default=[], metavar="SOURCE", help="directory or hub id")
    parser.add_argument("--tuning", action="store_true", help="the pairs on which the prompt was chosen")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--completions", action="append", type=Path, metavar="FILE", help="labelled pairs in place of ours"
    )
    parser.add_argument("--document", action="store_true", help="write the completions into the page")
    given = parser.parse_args(arguments)
    if given.document and given.completions:
        parser.error("--document writes what holds of our own files: leave --completions out")
    pairs = load()
    short, sentences = ([pair for pair in pairs if bool(pair.question) is asked] for asked in (False, True))
    mathematics = find_spec("math_verify") is not None
    methods = [exact, normalised, core, *([symbolic] if mathematics else [])]
    on_short = [compared(method, short) for method in methods]
    on_sentences = [compared(method, sentences) for method in methods]
    tuning, reported = halves(sentences)
    by_judges = judged(tuning if given.tuning else reported, given.judge, given.nli)
    results = checks(on_short, [*on_short, *on_sentences])
    files = {path.stem: path for path in given.completions} if given.completions else completions.FILES
    outcomes = completions.measured(files)
    results += completions.checks(outcomes)
    if given.document:
        completions.document(outcomes)
    if given.json:
        rows = {"short": on_short, "sentences": on_sentences, "judges": by_judges}
        shown = {name: [asdict(row) for row in group] for name, group in rows.items()}
        report = {
            "pairs": len(pairs),
            "rows": shown,
            "completions": completions.report(outcomes),
            "checks": results,
        }
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        show(f"{len(short)} pairs of short answers, {sum(pair.same for pair in short)} the same", on_short)
        if by_judges:
            half = tuning if given.tuning else reported
            show(f"{len(half)} pairs of sentences, {sum(pair.same for pair in half)} the same", by_judges)
        print(f"pairs of whole completions\n\n{completions.summary(outcomes)}\n")
        print(f"{completions.by_kind(outcomes)}\n\n{completions.mistakes(outcomes)}\n")
        if not mathematics:
            print("symbolic equivalence needs the extra 'math': pip install 'anabranch[math]'")
        for check in results:
            verdict = "ok  " if check["passed"] else "FAIL"
            print(f"{verdict} {check['name']}: {check['value']:.4g} (bound {check['bound']:g})")
    return 0 if all(check["passed"] for check in results) else 1


if __name__ == "__main__":
    sys.exit(main())
