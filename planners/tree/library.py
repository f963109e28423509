"""AB-MCTS-A of the library treequest, with the random numbers of the run.

Importing this imports the library (extra ``tree``), which takes a second or more.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from random import Random
from typing import Any, TypeVar

from treequest import ABMCTSA
from treequest.algos.ab_mcts_a.algo import ABMCTSAAlgoState, ABMCTSAStateManager
from treequest.algos.ab_mcts_a.prob_state import NodeProbState, PriorConfig, ProbabilisticDist
from treequest.algos.tree import Node
from treequest.trial import Trial

from planners.tree.choosing import Tried

Name = TypeVar("Name")

ANSWER = "answer"
"""The one action: write an answer, afresh or from an earlier one."""


class Search:
    """Where to branch next: another answer from the question, or from one of those that were tried.

    The library draws from the state that all code with NumPy shares. A run would not repeat itself if
    somebody else drew between, and would disturb those who do; so the draws are made here, from the same
    posteriors.
    """

    def __init__(self, random: Random) -> None:
        self._algorithm = ABMCTSA[Tried]()
        self._state: ABMCTSAAlgoState[Tried] = self._algorithm.init_tree()
        self._state.thompson_states = _Posteriors(random)

    def ask(self, count: int) -> list[Trial[Tried]]:
        """The next ones to try; ``parent_state`` of each is what it is to improve, None for the question."""
        _, trials = self._algorithm.ask_batch(self._state, count, [ANSWER])
        return trials

    def tell(self, trial: Trial[Tried], tried: Tried) -> None:
        """What came of one."""
        self._algorithm.tell(self._state, trial.trial_id, (tried, tried.score))


class _Posteriors(ABMCTSAStateManager[Tried]):
    """What is known at each node of the tree, by the order of the nodes."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def create(
        self,
        node: Node[Tried],
        actions: list[str],
        prior_config: PriorConfig | None = None,
        reward_average_priors: float | dict[str, float] | None = None,
        model_selection_strategy: str | None = None,
    ) -> NodeProbState:
        strategy = model_selection_strategy or self.default_model_selection_strategy
        made = _Posterior(self._random, actions, prior_config, reward_average_priors, strategy)
        self.states[node.expand_idx] = made
        return made


class _Posterior(NodeProbState):
    def __init__(self, random: Random, *args: Any) -> None:
        super().__init__(*args)
        self._random = random

    def thompson_sampling(self, probas: Mapping[Name, ProbabilisticDist]) -> Name:
        """The name whose sample is the largest."""
        samples = {name: sample(each.params, self._random) for name, each in probas.items()}
        return max(samples, key=lambda name: samples[name])


def sample(params: Mapping[str, float], random: Random) -> float:
    """A mean, drawn from a normal-inverse-gamma posterior as the library parametrizes it."""
    half = params["nu"] / 2
    variance = half * params["tau_square"] / max(random.gammavariate(half, 1.0), sys.float_info.min)
    return random.normalvariate(params["m"], (variance / params["kappa"]) ** 0.5)
