"""Whether the branches of a vote are split: its leader owes the lead to chance."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.runtime.values import Answer


def split(answer: Answer) -> str | None:
    """Why a vote is split, for people; None if it is not, or if it is not by votes that it was decided.

    It is split if the leader has no majority of the answers, and at most one vote more than the next: the
    next answer to arrive may change who leads. Of recorded votes like that, one in five is right
    (``python -m benchmarks.rounds``). Where branches of several kinds gave the answer, any lead is enough.
    """
    given = {cluster.claim: cluster.votes for cluster in answer.clusters}
    if len(given) < 2 or answer.claim not in given:
        return None
    first, second, *_ = sorted(given.values(), reverse=True)
    if 2 * first > sum(given.values()) or first - second > 1 or (len(answer.kinds) > 1 and first > second):
        return None
    answers = sum(cluster.count for cluster in answer.clusters)
    if answers == len(given):
        return f"all {answers} answers differ"
    if first == second:
        return f"of {answers} answers, the first two have {first:.4g} votes each"
    return f"of {answers} answers, the first has {first:.4g} votes and the second {second:.4g}"


def unless_split(answer: Answer) -> Answer:
    """The answer; undecided, with the reason, if its vote is split."""
    why = None if answer.undecided else split(answer)
    return answer if why is None else replace(answer, undecided=why)
