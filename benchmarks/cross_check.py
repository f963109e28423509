"""Our entropies beside those of semantic-entropy-gate and lm-polygraph, on random inputs.

    python -m benchmarks.cross_check [--json] [--cases N] [--peer-python PATH]

Both come from PyPI and run in a virtual environment of their own. Checked: no number differs by more than
1e-9. The eigenvalues in the kernel entropy come from Jacobi's rotations here and from LAPACK there.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.checks import Check
from benchmarks.peers import environment
from orchestrator.consensus.analysis import (
    chao1,
    kernel_entropy,
    miller_madow,
    monte_carlo,
    predictive,
    rao_blackwell,
)
from orchestrator.consensus.entropy import Sample, discrete

# Without dependencies: those of lm-polygraph run language models, and its estimators need none of them.
PEERS = ("--no-deps", "semantic-entropy-gate==0.8.0", "lm-polygraph==0.7.0", "numpy>=2", "scipy>=1.14")
PEER = Path(__file__).with_name("cross_check_peer.py")
BOUND = 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """Samples by their clusters and mean log-probabilities, and their similarities in both directions."""

    clusters: list[int]
    logprobs: list[float]
    similarity: list[list[float]]


def case(rng: random.Random) -> Case:
    """From 2 to 16 samples; from all the same to all different."""
    count = rng.randint(2, 16)
    clusters = [rng.randrange(rng.randint(1, count)) for _ in range(count)]
    logprobs = [-rng.expovariate(1.0) for _ in range(count)]
    similarity = [[rng.random() for _ in range(count)] for _ in range(count)]
    return Case(clusters, logprobs, similarity)


def ours(case: Case) -> dict[str, float | None]:
    """What we say of a case. lm-polygraph adds up the two directions; we take their mean."""
    samples = [
        Sample(cluster, "", (logprob,)) for cluster, logprob in zip(case.clusters, case.logprobs, strict=True)
    ]
    counts = [case.clusters.count(cluster) for cluster in sorted(set(case.clusters))]
    plain = discrete(counts).nats
    return {
        "discrete": plain,
        "discrete (lm-polygraph)": plain,
        "rao_blackwell": rao_blackwell(samples).nats,
        "monte_carlo": monte_carlo(samples).nats,
        "predictive": predictive(samples),
        "miller_madow": miller_madow(counts),
        "chao1": chao1(counts),
        "kernel": kernel_entropy([[2 * weight for weight in row] for row in case.similarity]),
    }


def theirs(python: Path, cases: Sequence[Case]) -> list[dict[str, float]]:
    """What the peers say of each case.

    Raises:
        subprocess.CalledProcessError: the Python cannot run them.
    """
    given = json.dumps([asdict(each) for each in cases])
    done = subprocess.run([python, str(PEER)], input=given, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    said: list[dict[str, float]] = json.loads(done.stdout)
    return said


def compare(mine: Sequence[dict[str, float | None]], others: Sequence[dict[str, float]]) -> list[Check]:
    """The largest difference for each estimator; one that is undefined on our side differs by infinity."""
    kept = []
    for name in mine[0]:
        largest = 0.0
        for one, other in zip(mine, others, strict=True):
            value = one[name]
            largest = max(largest, float("inf") if value is None else abs(value - other[name]))
        kept.append(Check(name, largest, BOUND, largest <= BOUND))
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a number differs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cross_check", description="Our entropies beside those of others."
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer-python", type=Path, help="a Python with the peers; by default one is made")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    rng = random.Random(given.seed)
    cases = [case(rng) for _ in range(given.cases)]
    python = given.peer_python or environment("entropy", *PEERS) / "python"
    kept = compare([ours(each) for each in cases], theirs(python, cases))
    about = {"peers": PEERS[1:], "seed": given.seed, "cases": given.cases}
    if given.json:
        print(json.dumps({**about, "checks": [asdict(check) for check in kept]}))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()) + "\n")
        for check in kept:
            verdict = "ok  " if check.passed else "FAIL"
            print(f"{verdict} {check.name}: {check.value:.1e} (at most {check.bound:g})")
    return 0 if all(check.passed for check in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
