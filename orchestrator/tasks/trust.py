"""Why an answer may be trusted, or not, in one line of plain words."""

from __future__ import annotations

import re

from orchestrator.runtime.environment import Result
from orchestrator.runtime.values import Answer
from orchestrator.voting.splitting import split
from orchestrator.voting.standing import ALONE, agreement

UNSURE = "unsure: "
"""How the line begins for an answer that should not be relied on."""

DOUBTED = frozenset({"undecided", "abstained"})
"""The outcomes of runs whose answer should not be relied on."""


_OF_ONE = re.compile(r"\A1 of 1 \w+ gave no answer: 1 ")
"""How a reason begins that counts one; journals have it, so it is put into better words only here."""


def is_unsure(result: Result, probability: float | None) -> bool:
    """Whether the answer of a run should not be relied on; ``probability``, if known, is that it is right.

    What is known of answers like it counts more than whether its branches have a majority.
    """
    if result.outcome.value in DOUBTED or result.answer is None:
        return True
    return result.answer.doubtful if probability is None else probability <= 0.5


def trust_in(result: Result, probability: float | None, frequency: str = "") -> str:
    """The line; ``frequency`` says in words how often answers like this were right, if that is known."""
    answer = result.answer
    told = ["no answer" if answer is None else _told(answer)]
    if frequency and result.outcome.value != "abstained":  # whose reason has it already
        told.append(frequency)
    if result.limit is not None:
        told.append(f"the run was ended early ({result.limit})")
    line = "; ".join(filter(None, told))
    return " ".join(f"{UNSURE if is_unsure(result, probability) else ''}{line}".split())


def _told(answer: Answer) -> str:
    """What an answer rests on, or why it is undecided, but for a split vote: who agrees says that already."""
    if answer.undecided and answer.undecided != split(answer):
        return _OF_ONE.sub("no answer was given: ", answer.undecided)
    return answer.basis or _of_clusters(answer)


def _of_clusters(answer: Answer) -> str:
    """What an answer rests on whose planner does not say it."""
    if answer.claim is None and not answer.clusters:
        return ""  # a text, such as a poem, is no answer that others could agree with
    votes = {cluster.claim: cluster.count for cluster in answer.clusters}
    if answer.claim is None or answer.claim not in votes:
        return ALONE
    return agreement(votes[answer.claim], sum(votes.values()))
