"""How well the words of a question show that it asks for a list of independent points.

    python -m benchmarks.list_signs lima.csv wizardlm.csv

The files are the labels on which the router of Skeleton-of-Thought was trained (arXiv 2307.15337; repository
imagination-research/sot, ``label;request``, 1 where the method suits). Printed are precision and recall of
:func:`planners.listing.list_sign`, which asks no model.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.runtime.values import Question
from planners.listing import list_sign


@dataclass(frozen=True, slots=True)
class Counts:
    """How many questions there are, how many of them are lists, are found to be, and are both."""

    questions: int
    lists: int
    found: int
    both: int

    @property
    def precision(self) -> float:
        """The share of lists among those found."""
        return self.both / max(1, self.found)

    @property
    def recall(self) -> float:
        """The share of those found among the lists."""
        return self.both / max(1, self.lists)


def counted(path: Path) -> Counts:
    """The counts of a file. Raises ValueError where a label is neither 0 nor 1."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["label"], row["request"]) for row in csv.DictReader(file, delimiter=";")]
    if odd := {label for label, _ in rows} - {"0", "1"}:
        raise ValueError(f"{path} has the labels {', '.join(sorted(map(repr, odd)))}: write 0 or 1")
    is_list = [label == "1" for label, _ in rows]
    is_found = [bool(list_sign(Question(request))) for _, request in rows]
    both = sum(map(all, zip(is_list, is_found, strict=True)))
    return Counts(len(rows), sum(is_list), sum(is_found), both)


def main(argv: Sequence[str] | None = None) -> int:
    """Count the files, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.list_signs", description=__doc__)
    parser.add_argument("labels", nargs="+", type=Path)
    given = parser.parse_args(argv)
    print("| labels | questions | lists | precision | recall |\n|---|---|---|---|---|")
    for path in given.labels:
        counts = counted(path)
        print(
            f"| {path.stem} | {counts.questions} | {counts.lists} | {counts.precision:.2f} "
            f"| {counts.recall:.2f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
