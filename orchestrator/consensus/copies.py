"""Whether completions that were meant as samples of their own are copies of one: a cache, or one seed twice.

Equal texts alone are no evidence: short answers of a good model are often equal to the last byte. A text is a
copy of another if the two are equal **and** something that is known of the calls says that only one of them
was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FASTER = 10.0
"""So many times faster than another call with the same text was answered from a store. Calls that were
computed differ by less, since what they wait in queues is not compared."""

LEAST_SECONDS = 0.05
"""Texts that were written in less cannot be told from stored ones by their time."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What is known of how a completion came about.

    ``seed`` is the one that was sent, None if it is not known; ``cached`` says that the server called its
    answer a stored one. ``seconds`` is how long the call took and ``writing`` how much of that came after its
    first token; None if they were not measured. ``tokens`` is how long the text is.
    """

    seed: int | None = None
    cached: bool = False
    tokens: int = 0
    seconds: float | None = None
    writing: float | None = None


TELLING_LENGTH = 80
"""Characters from which equal texts were taken for copies before the calls were asked."""

UNKNOWN = Draw()
"""Nothing is known."""


def copied(texts: Sequence[str], draws: Sequence[Draw], *, by_text: bool = False) -> str | None:
    """Why some of the texts are copies of others, for people; None if nothing says so.

    ``by_text`` asks as runs did that began before the calls were asked, so that they replay as they went.
    """
    if by_text:
        equal = len(set(texts)) == 1 and len(texts[0]) >= TELLING_LENGTH
        return "all completions are byte-identical, as from a cache" if equal else None
    alike: dict[str, list[Draw]] = {}
    for text, draw in zip(texts, draws, strict=True):
        alike.setdefault(text, []).append(draw)
    stored = {text for text, same in alike.items() if any(draw.cached for draw in same)}
    for text, same in alike.items():
        seeds = [draw.seed for draw in same if draw.seed is not None]
        if len(set(seeds)) < len(seeds):
            return "branches were sampled with the same seed, and say the same"
        if len(same) > 1 and stored == {text}:  # a cache that knows seeds would have given several texts
            return "a response cache answered: the server says so"
        if _no_time(same):
            return "a response cache answered: equal completions took no time"
    return None


def _no_time(same: Sequence[Draw]) -> bool:
    """Whether one of the calls was so much faster than another that it cannot have computed its tokens.

    Both the whole call and its writing are compared: the first depends on queues, the second tells nothing
    where a server sends its text in one piece.
    """
    timed = [
        (draw.seconds, draw.writing)
        for draw in same
        if draw.seconds is not None and draw.writing is not None and draw.tokens > 1
    ]
    return any(
        slow > FASTER * fast and wrote > FASTER * writes and wrote >= LEAST_SECONDS
        for slow, wrote in timed
        for fast, writes in timed
    )
