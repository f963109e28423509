"""What goes on beside the hostility: tasks whose right answers are known, and probes."""

from __future__ import annotations

import os
import re

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question

BRANCHES = 4
_SUM = re.compile(r"(\d+) \+ (\d+)")
_CAREFULLY = "Work carefully, and check each of the steps before you write down what results from it."
"""Long enough that the journal refers to the prompts instead of repeating them."""


@planner("good")
async def good(run: Run, question: Question) -> Answer:
    """A vote between two calls, each of which is asked for the same sum."""
    opening = await run.generate(f"Begin with {question.text}. {_CAREFULLY}")
    vote = await run.vote(f"{question.text} after {opening.text} {_CAREFULLY}", width=BRANCHES, rule="fixed")
    closing = await run.generate(f"End with {question.text}, {vote.claim}. {_CAREFULLY}")
    return Answer(closing.text, vote.claim)


@planner("probe")
async def probe(run: Run, question: Question) -> Answer:
    """One call; the answer says which process ran it, so it cannot be replayed."""
    await run.generate("Probe.", max_tokens=4)
    return Answer(str(os.getpid()))


def question(number: int) -> str:
    """What the good task of this number is asked; no two are asked the same."""
    return f"{1000 + number} + {7 * number % 1000}"


def right(number: int) -> str:
    """The answer to :func:`question`."""
    return str(1000 + number + 7 * number % 1000)


def completion(prompt: str) -> str:
    """What the engine says to a prompt."""
    found = _SUM.search(prompt)
    return f"The answer is {int(found[1]) + int(found[2])}." if found else "All is well."


def takes_time(prompt: str) -> bool:
    """Whether the engine takes its time for this prompt: only the calls of good tasks are slow."""
    return _SUM.search(prompt) is not None
