"""What of a completion can be shown while it still arrives: nothing that the rest of it could take back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from orchestrator.consensus.echoes import may_be_echo, unechoed
from orchestrator.consensus.thinking import split_thinking

_PARTIAL_MARK: Final = re.compile(
    r"[<◁][|/]{0,2}[\w:|=\" /-]{0,40}\Z|\[/?[a-z ]{0,22}\Z"
    r"|<\|(?:channel|start)\|>[^<\n]{0,40}(?:<\|constrain\|>\s*\w*)?(?:<[|\w]*)?\Z",
    re.IGNORECASE,
)
"""The end of a text that may become a mark around thinking, or the tag of a slot."""

TAIL: Final = 120
"""The most characters of such an end."""

_BEGINNINGS: Final = (
    "thinking...\n",
    "here's my thought process:",
    "here is my thought process:",
    "here are my reasoning steps:",
    "analysis",
)
"""The words with which thinking begins where there are no marks."""


class Shown(NamedTuple):
    """What a model thought, and what it said, as far as that is certain."""

    thought: str
    said: str


def shown_so_far(text: str, *, reasoning: str = "", stop: Sequence[str] = ()) -> Shown:
    """What can be shown of a completion's text so far, which ends before the first of ``stop``.

    What a planner makes of the whole text by leaving out thinking and echoes begins with what is said here;
    but for a mark that ends thinking without one that has begun it: then all before it was thought.
    ``reasoning`` is thinking that the engine keeps apart.
    """
    held = _PARTIAL_MARK.search(text[-TAIL:])
    certain = text if held is None else text[: len(text) - len(held.group())]
    bare = certain.lstrip().casefold()
    if any(each.startswith(bare) for each in _BEGINNINGS):
        return Shown(reasoning, "")
    split = split_thinking(certain)
    said = "" if may_be_echo(split.answer) else unechoed(split.answer)
    thought = "\n\n".join(filter(None, (reasoning, split.reasoning)))
    return Shown(thought, _before(said, stop))


def _before(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of ``stop``, or up to what may be the beginning of one."""
    if found := [place for each in stop if (place := text.find(each)) >= 0]:
        return text[: min(found)].rstrip()
    kept = len(text)
    for each in stop:
        for length in range(min(len(each) - 1, len(text)), 0, -1):
            if text.endswith(each[:length]):
                kept = min(kept, len(text) - length)
                break
    return text[:kept].rstrip()
