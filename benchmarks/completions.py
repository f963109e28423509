"""Whether extraction and equivalence together tell which whole completions say the same.

The labelled pairs of three files in ``benchmarks/data/`` are counted. ``completions_reported.jsonl`` has
kinds that went wrong publicly in comparable projects. The other two are of our own, with the same kinds and
labels, and no text is in both: ``completions_seen.jsonl`` was at hand while extraction and equivalence were
written, and ``completions_unseen.jsonl`` was not. Two completions are joined if a vote would put them into
one cluster.

Beside it two controls: math-verify alone, which reads and compares the whole completions, and claims of ours
that are the same characters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim, extract_claim
from orchestrator.voting.symbolic import math_equal
from workers.errors import ToolError

DATA = Path(__file__).parent / "data"
FILES = {name: DATA / f"completions_{name}.jsonl" for name in ("reported", "seen", "unseen")}
LEAST_PRECISION, LEAST_RECALL = 0.99, 0.9
PAGE = Path(__file__).parents[1] / "docs" / "consensus.md"
BEGIN, END = "<!-- completions: begin -->", "<!-- completions: end -->"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions and whether they say the same."""

    kind: str
    same: bool
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What a method joined out of some pairs. ``precision`` is None if it joined nothing."""

    pairs: int
    joined: int
    false_joins: int
    missed_joins: int

    @property
    def precision(self) -> float | None:
        return 1 - self.false_joins / self.joined if self.joined else None

    @property
    def recall(self) -> float | None:
        same = self.joined - self.false_joins + self.missed_joins
        return 1 - self.missed_joins / same if same else None

    @property
    def right(self) -> int:
        return self.pairs - self.false_joins - self.missed_joins


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method said of the pairs of a file."""

    file: str
    method: str
    pairs: tuple[Pair, ...]
    joined: tuple[bool, ...]

    def tally(self, kind: str | None = None) -> Tally:
        """Of all pairs, or of one kind."""
        said = [
            (pair.same, joined)
            for pair, joined in zip(self.pairs, self.joined, strict=True)
            if kind in {None, pair.kind}
        ]
        false_joins, missed = said.count((False, True)), said.count((True, False))
        return Tally(len(said), sum(joined for _, joined in said), false_joins, missed)

    def wrong(self, *, joined: bool) -> list[Pair]:
        """The false joins, or the missed ones."""
        told = zip(self.pairs, self.joined, strict=True)
        return [pair for pair, said in told if said is joined and pair.same is not joined]


def load(path: Path) -> list[Pair]:
    """The labelled pairs of a file of JSON lines with ``a``, ``b``, ``same`` and ``kind``."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Pair(row["kind"], row["same"], row["a"], row["b"]) for row in rows]


def together(a: str, b: str) -> bool:
    """Whether a vote puts both completions into one cluster, as far as it goes without asking a model."""
    mathematics = find_spec("math_verify") is not None
    clusters = Clusters(costly=("symbolic",) if mathematics else ())
    places = []
    for branch, text in enumerate((a, b)):
        claim = extract_claim(text)
        if claim is None:
            return False
        verdicts = {pair: _judged(pair.left, pair.right) for pair in clusters.open_pairs(claim)}
        places.append(clusters.add(branch, claim, verdicts))
    return places[0] == places[1]


def _judged(left: str, right: str) -> bool:
    try:
        return math_equal(left, right)
    except ToolError:  # a vote, too, takes what cannot be compared as different
        return False


def by_math_verify(a: str, b: str) -> bool:
    """Whether math-verify alone finds one value in both completions."""
    import math_verify

    # Its time-outs are alarms of the process, which belong to whoever runs this. It warns of doing without.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    left, right = (math_verify.parse(text, parsing_timeout=None) for text in (a, b))
    return bool(math_verify.verify(left, right, timeout_seconds=None))


def by_characters(a: str, b: str) -> bool:
    """Whether both completions have a claim, and it is the same characters."""
    left, right = (extract_claim(text) for text in (a, b))
    return isinstance(left, Claim) and isinstance(right, Claim) and left.text == right.text


OURS, PEER = "extraction and equivalence", "math-verify alone"
METHODS: dict[str, Callable[[str, str], bool]] = {
    OURS: together,
    PEER: by_math_verify,
    "claims of the same characters": by_characters,
}


def measured(files: dict[str, Path] | None = None) -> list[Outcome]:
    """What each method says of each file. Math-verify is left out where it is not installed."""
    methods = dict(METHODS)
    if find_spec("math_verify") is None:
        del methods[PEER]
    outcomes = []
    for name, path in (FILES if files is None else files).items():
        pairs = tuple(load(path))
        outcomes += [
            Outcome(name, method, pairs, tuple(same(pair.a, pair.b) for pair in pairs))
            for method, same in methods.items()
        ]
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line for each file and method, as Markdown."""
    lines = [
        "| pairs | | joined | false joins | missed joins | precision | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        tally, same = outcome.tally(), sum(pair.same for pair in outcome.pairs)
        shares = f"{_share(tally.precision)} | {_share(tally.recall)}"
        lines.append(
            f"| {outcome.file}: {tally.pairs}, {same} the same | {outcome.method} | {tally.joined} "
            f"| {tally.false_joins} | {tally.missed_joins} | {shares} |"
        )
    return "\n".join(lines)


def by_kind(outcomes: Sequence[Outcome]) -> str:
    """A table for each file, as Markdown: false and missed joins of each kind under each method."""
    parts = []
    for file in dict.fromkeys(outcome.file for outcome in outcomes):
        of_file = [outcome for outcome in outcomes if outcome.file == file]
        lines = [
            f"| {file}, false + missed joins | pairs | " + " | ".join(each.method for each in of_file) + " |",
            "|---" * (2 + len(of_file)) + "|",
        ]
        for kind in sorted({pair.kind for pair in of_file[0].pairs}):
            tallies = [each.tally(kind) for each in of_file]
            cells = [f"{tally.false_joins} + {tally.missed_joins}" for tally in tallies]
            lines.append(f"| {kind} | {tallies[0].pairs} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def mistakes(outcomes: Sequence[Outcome]) -> str:
    """The pairs that we read wrongly, a line each."""
    ours = [outcome for outcome in outcomes if outcome.method == OURS]
    return "\n".join(
        f"{title}, {outcome.file}, {pair.kind}: {pair.a[-70:]!r} | {pair.b[-70:]!r}"
        for outcome in ours
        for title, joined in (("false join", True), ("missed join", False))
        for pair in outcome.wrong(joined=joined)
    )


def checks(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """What must hold of extraction and equivalence on each file."""
    found = []
    for outcome in (each for each in outcomes if each.method == OURS):
        tally = outcome.tally()
        for name, value, bound in (
            ("precision", tally.precision, LEAST_PRECISION),
            ("recall", tally.recall, LEAST_RECALL),
        ):
            kept = value is not None and value >= bound
            shown = 0.0 if value is None else value
            found.append(
                {
                    "name": f"completions, {outcome.file}: {name}",
                    "value": shown,
                    "bound": bound,
                    "passed": kept,
                }
            )
    return found


def report(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """The same as values for JSON."""
    return [
        {
            "file": outcome.file,
            "method": outcome.method,
            **_values(outcome.tally()),
            "kinds": {
                kind: _values(outcome.tally(kind)) for kind in sorted({pair.kind for pair in outcome.pairs})
            },
        }
        for outcome in outcomes
    ]


def document(outcomes: Sequence[Outcome], page: Path = PAGE) -> None:
    """Write the summary into the page, between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    text = page.read_text(encoding="utf-8")
    try:
        before, rest = text.split(f"{BEGIN}\n", 1)
        _, after = rest.split(END, 1)
    except ValueError as error:
        raise ValueError(f"{page} needs the lines {BEGIN} and {END}, in this order") from error
    page.write_text(f"{before}{BEGIN}\n{summary(outcomes)}\n{END}{after}", encoding="utf-8")


def _values(tally: Tally) -> dict[str, object]:
    return asdict(tally) | {"precision": tally.precision, "recall": tally.recall}


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
