"""The estimators of other projects for ``benchmarks.cross_check``; a program for the Python that has them.

Reads a JSON list of cases (``clusters``, ``logprobs``, ``similarity``) and writes a list of objects: each
estimator by its name, and what it says.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from semantic_entropy_gate.entropy import (
    chao1_alphabet_size,
    miller_madow_correction,
    predictive_entropy,
    semantic_entropy,
)
from semantic_entropy_gate.types import Estimator, Sample, SemanticCluster


def _without_models() -> None:
    """Let modules of lm-polygraph be imported without those that load language models."""
    found = find_spec("lm_polygraph")
    assert found is not None
    assert found.origin is not None
    for package in ("lm_polygraph", "lm_polygraph.estimators"):
        module = ModuleType(package)
        module.__path__ = [str(Path(found.origin).parent.joinpath(*package.split(".")[1:]))]
        sys.modules[package] = module
    common = ModuleType("lm_polygraph.utils.common")
    vars(common)["polygraph_module_init"] = lambda function: function  # a decorator that logs
    sys.modules["lm_polygraph.utils.common"] = common


_without_models()
from lm_polygraph.estimators.kernel_language_entropy import KernelLanguageEntropy  # noqa: E402
from lm_polygraph.estimators.semantic_entropy import SemanticEntropy  # noqa: E402


def gate(clusters: list[int], logprobs: list[float]) -> dict[str, float | None]:
    """semantic-entropy-gate."""
    samples = [Sample(str(at), logprob) for at, logprob in enumerate(logprobs)]
    groups = [
        SemanticCluster(number, [at for at, cluster in enumerate(clusters) if cluster == number], [])
        for number in sorted(set(clusters))
    ]
    plain = semantic_entropy(groups, samples, estimator=Estimator.DISCRETE)[0]
    return {
        "discrete": plain,
        "rao_blackwell": semantic_entropy(groups, samples, estimator=Estimator.RAO_BLACKWELL)[0],
        "predictive": predictive_entropy(samples),
        "miller_madow": miller_madow_correction(plain, len(groups), len(samples)),
        "chao1": chao1_alphabet_size(groups),
    }


def polygraph(clusters: list[int], logprobs: list[float], similarity: list[list[float]]) -> dict[str, float]:
    """lm-polygraph. Its Monte-Carlo form is a mean over samples; weights make it Kuhn's, over clusters."""
    numbers = sorted(set(clusters))
    classes = {
        "class_to_sample": [[[at for at, c in enumerate(clusters) if c == number] for number in numbers]],
        "sample_to_class": [[numbers.index(cluster) for cluster in clusters]],
    }
    texts = [[str(at) for at in range(len(clusters))]]
    stats = {"sample_texts": texts, "semantic_classes_entail": classes}
    shares = np.array(logprobs) - np.logaddexp.reduce(logprobs)
    sizes = [len(clusters) / (len(numbers) * clusters.count(cluster)) for cluster in clusters]
    kuhn = SemanticEntropy()
    kuhn({**stats, "sample_log_probs": [shares]})  # it keeps the classes
    entail = np.array(similarity)
    # An entailment of w and a contradiction of 1 - w weigh w: nothing is left that would be neutral.
    graph = {"semantic_matrix_entail": [entail], "semantic_matrix_contra": [1 - entail]}
    return {
        "discrete (lm-polygraph)": float(SemanticEntropy(class_probability_estimation="frequency")(stats)[0]),
        "monte_carlo": float(kuhn.batched_call(texts, [shares], [np.log(sizes)])[0]),
        "kernel": float(KernelLanguageEntropy(scale=False)(graph)[0]),
    }


def check(case: dict[str, Any]) -> dict[str, float | None]:
    """What both say of a case."""
    clusters, logprobs = case["clusters"], case["logprobs"]
    return {**gate(clusters, logprobs), **polygraph(clusters, logprobs, case["similarity"])}


if __name__ == "__main__":
    json.dump([check(case) for case in json.load(sys.stdin)], sys.stdout)
