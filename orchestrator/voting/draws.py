"""How a completion came about, as far as its calls show it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.consensus.copies import Draw
from orchestrator.runtime.nodes import Node
from workers.calls import Completion


def draw_of(
    calls: Sequence[Node[Completion]], tokens: int, *, ended: bool = True, alone: bool = True
) -> Draw:
    """The draw of a text that was generated in one call, or in several that continue each other.

    ``tokens`` is how long the text is; ``ended`` says that all of its calls have a value, ``alone`` that it
    goes on from no other.
    """
    first, *others = calls
    # Of one in segments the time tells nothing: it may have waited.
    timing = first.timing if alone and not others else {}
    total, begun = timing.get("total"), timing.get("first_token")
    return Draw(
        seed=first.seed,
        cached=ended and all(node.value.cached for node in calls),
        tokens=tokens,
        seconds=total,
        writing=None if total is None or begun is None else total - begun,
    )
