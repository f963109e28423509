"""The stored recording of answers to GSM8K: what is in it, and how it is made of raw lines.

    python -m benchmarks.gsm8k --raw raw.jsonl

The raw lines are those of :mod:`benchmarks.record_gsm8k`. Kept are, for each branch, the claim that the
product reads off its text, its tokens, the mean of their log-probabilities and why it ended; of the question
only its number in the test set and the right answer. The first line says where all this comes from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.record_gsm8k import COUNT, MAX_TOKENS, MODEL, SEED, TEMPERATURE, drawn
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim, extract_claim
from workers.models.catalogue import CATALOGUE

STORED = Path(__file__).parent / "data" / "gsm8k.jsonl"


@dataclass(frozen=True, slots=True)
class Branch:
    """One chain of thought. ``logprob`` is the mean over its tokens; ``claim`` None where it made none."""

    claim: str | None
    tokens: int
    logprob: float
    finish: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question by its number in the test set, the right answer, and the branches in order of seed."""

    number: int
    gold: str
    branches: tuple[Branch, ...]

    def clusters(self) -> tuple[int, tuple[int | None, ...]]:
        """The cluster of the right answer, and that of each branch; None where it claims nothing."""
        clusters = Clusters()
        gold = clusters.add(-1, Claim(self.gold, "whole"))
        return gold, tuple(
            None if branch.claim is None else clusters.add(at, Claim(branch.claim, "whole"))
            for at, branch in enumerate(self.branches)
        )


def load(path: Path = STORED) -> tuple[dict[str, Any], list[Asked]]:
    """The provenance of a stored recording, and its questions."""
    provenance, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return provenance, [
        Asked(number, gold, tuple(Branch(*branch) for branch in branches)) for number, gold, branches in lines
    ]


def compact(raw: Sequence[dict[str, Any]], order: Sequence[int]) -> list[Asked]:
    """The questions of the raw lines in the order in which they were asked, up to the first one missing.

    What comes after that one was finished because it was short, and would flatter.
    """
    recorded = {line["question"]: line for line in raw}
    asked = []
    for number in order:
        if number not in recorded:
            break
        branches = tuple(_branch(each) for each in recorded[number]["branches"])
        asked.append(Asked(number, recorded[number]["gold"], branches))
    return asked


def _branch(raw: dict[str, Any]) -> Branch:
    claim = extract_claim(raw["text"], truncated=raw["finish"] != "stop")
    text = None if claim is None else claim.text
    return Branch(text, raw["tokens"], round(fmean(raw["logprobs"]), 6), raw["finish"])


def store(asked: Sequence[Asked], provenance: dict[str, Any], path: Path) -> None:
    """Write the file that :func:`load` reads."""
    lines: list[object] = [provenance]
    for each in asked:
        branches = [[b.claim, b.tokens, b.logprob, b.finish] for b in each.branches]
        lines.append([each.number, each.gold, branches])
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gsm8k", description="Store a recording.")
    parser.add_argument("--raw", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, default=STORED, metavar="FILE")
    parser.add_argument("--date", required=True, help="when it was recorded, as 2026-11-22")
    given = parser.parse_args(arguments)
    raw = [json.loads(line) for line in given.raw.read_text(encoding="utf-8").splitlines()]
    asked = compact(raw, drawn(COUNT, SEED))
    model = CATALOGUE[MODEL]
    provenance = {
        "recording": "answers of a language model to questions of the test set of GSM8K (MIT)",
        "columns": ["question in the test set", "right answer", "branches: claim, tokens, logprob, finish"],
        "recorded": given.date,
        "model": model.name,
        "file": model.file,
        "sha256": model.sha256,
        "engine": f"llama.cpp by xllamacpp {version('xllamacpp')}",
        "prompt": "INSTRUCTIONS and EXAMPLES of benchmarks/record_gsm8k.py",
        "sampling": {"temperature": TEMPERATURE, "max_tokens": MAX_TOKENS, "seed": SEED},
        "questions": len(asked),
    }
    store(asked, provenance, given.out)
    print(f"{len(asked)} questions of {len(raw)} in {given.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
