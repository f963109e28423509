"""Trains a router of ``skeleton`` (``route=trained``), and says how well it does on other labels.

    python -m benchmarks.train_router lima.csv --test wizardlm.csv --out router.json

The labels are those on which the router of Skeleton-of-Thought was trained (arXiv 2307.15337, section 4;
repository imagination-research/sot, ``label;request``, 1 where the method suits), or others in that form.
That router is a RoBERTa; this one is a logistic regression over words and pairs of words, which needs no
library and answers in less than a millisecond. As there, a false yes counts more than a false no: the
threshold is the lowest that reaches ``--precision`` on parts of the labels on which it was not fitted.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.intervals import wilson
from workers.tools.router import LinearRouter, features_of, logistic

Labelled = tuple[str, bool]
"""A question, and whether a skeleton suits it."""

BITS, EPOCHS, RATE, DECAY, PARTS = 14, 30, 0.5, 0.02, 5


def read(path: Path) -> list[Labelled]:
    """The labelled questions of a file.

    Raises:
        ValueError: a line has no label; the message says which.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=";") if row]
    if rows and rows[0][0] == "label":
        rows = rows[1:]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or row[0] not in ("0", "1"):
            raise ValueError(f"{path.name}, question {number}: not label;request with a label of 0 or 1")
    return [(text, label == "1") for label, text in rows]


def fit(labelled: Sequence[Labelled], *, seed: int = 1, threshold: float = 0.5) -> LinearRouter:
    """Fit the weights by stochastic gradient descent with a decay."""
    weights: defaultdict[int, float] = defaultdict(float)
    bias, rng = 0.0, random.Random(seed)
    order = [(sorted(features_of(text, BITS)), label) for text, label in labelled]
    for epoch in range(EPOCHS):
        rng.shuffle(order)
        rate = RATE / (1 + epoch)
        for features, label in order:
            scale = max(1, len(features)) ** -0.5
            error = label - logistic(bias + scale * sum(weights[each] for each in features))
            bias += rate * error
            for each in features:
                weights[each] += rate * (error * scale - DECAY * scale * weights[each])
    kept = {each: round(weight, 4) for each, weight in sorted(weights.items()) if abs(weight) >= 0.005}
    return LinearRouter(bits=BITS, bias=round(bias, 4), threshold=threshold, weights=kept)


def trained(labelled: Sequence[Labelled], *, precision: float, seed: int = 1) -> LinearRouter:
    """A router with the lowest threshold that has the precision, judged on parts that it was not fitted on.

    Raises:
        ValueError: no threshold has it.
    """
    order = list(labelled)
    random.Random(seed).shuffle(order)
    judged: list[tuple[float, bool]] = []
    for part in range(PARTS):
        rest = [each for at, each in enumerate(order) if at % PARTS != part]
        router = fit(rest, seed=seed)
        judged += [(router.probability(text), label) for text, label in order[part::PARTS]]
    for threshold in sorted({round(probability, 3) for probability, _ in judged}):
        yes = [label for probability, label in judged if probability >= threshold]
        if 0 < threshold < 1 and len(yes) >= 10 and sum(yes) / len(yes) >= precision:
            return fit(order, seed=seed, threshold=threshold)
    raise ValueError(f"no threshold has a precision of {precision} on these labels: ask for less")


def report(router: LinearRouter, labelled: Sequence[Labelled]) -> str:
    """Precision and recall of a router on labels, with 95 % intervals."""
    yes = [label for text, label in labelled if router.probability(text) >= router.threshold]
    suited = sum(label for _, label in labelled)

    def share(right: int, of: int) -> str:
        low, high = wilson(right, of) if of else (0.0, 1.0)
        return f"{right} of {of}, {100 * right / max(1, of):.0f} % [{100 * low:.0f}, {100 * high:.0f}]"

    return f"precision {share(sum(yes), len(yes))}; recall {share(sum(yes), suited)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_router")
    parser.add_argument("labels", type=Path, help="label;request, a line each")
    parser.add_argument("--test", type=Path, metavar="FILE", help="labels on which it is judged")
    parser.add_argument("--precision", type=float, default=0.75, help="wanted (default %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the router is written")
    given = parser.parse_args(arguments)
    try:
        labelled = read(given.labels)
        router = trained(labelled, precision=given.precision)
        test = read(given.test) if given.test else []
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f"{given.labels.name}, fitted on it: {report(router, labelled)}")
    if test:
        print(f"{given.test.name}: {report(router, test)}")
    print(f"threshold {router.threshold}, {len(router.weights)} weights")
    if given.out:
        given.out.write_text(router.model_dump_json() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
