"""Whether the branches of a vote are split: no answer leads by more than chance."""

from __future__ import annotations

from orchestrator.runtime.values import Answer


def split(answer: Answer) -> str | None:
    """Why a vote is split, for people; None if one answer leads, or it is not by votes that it was chosen."""
    counts = {cluster.claim: cluster.count for cluster in answer.clusters}
    if len(counts) < 2 or answer.claim not in counts:
        return None
    most = max(counts.values())
    leading = [claim for claim, count in counts.items() if count == most]
    if len(leading) < 2 or answer.claim not in leading:
        return None
    if most == 1:
        return f"all {len(counts)} answers differ"
    return f"{len(leading)} answers have {most} votes each"
