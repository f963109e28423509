"""What a simulator says: answers in several forms, reduced to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from workers.calls import Call
from workers.errors import CallRejected

Answer = Callable[[Call, Random], str]
"""Computes the answer to a call; random numbers may come only from the given generator, which is seeded."""

Answers = str | Sequence[str] | Mapping[str, str | Mapping[str, float]] | Answer
"""What a simulator says.

- a string: always this one;
- a sequence: the first call gets the first, and so on in the order in which calls arrive (a refused call
  takes none); a call beyond the end is rejected;
- a mapping: the longest key that occurs in the user's last message decides; its value is the answer, or
  answers with their weights. If no key occurs, the call is rejected;
- a function.
"""


def sampled(weights: Mapping[str, float]) -> Answer:
    """Answers drawn in proportion to ``weights``; at temperature 0 always the heaviest."""
    texts = list(weights)
    masses = list(weights.values())
    if not texts or min(masses) < 0 or not sum(masses) > 0:
        raise ValueError(f"weights must not be negative and must not all be 0, not {dict(weights)}")
    mode = max(texts, key=weights.__getitem__)

    def draw(call: Call, rng: Random) -> str:
        return mode if call.sampling.temperature == 0 else rng.choices(texts, masses)[0]

    return draw


Sayer = Callable[[Call, Callable[[], Random]], str]
"""An answer that makes its random generator only if it needs one: seeding costs microseconds."""


def sayer(answers: Answers) -> Sayer:
    """Any form of answers as a function."""
    if isinstance(answers, str):
        return lambda _call, _rng: answers
    if isinstance(answers, Mapping):
        return _look_up({key: sayer(v if isinstance(v, str) else sampled(v)) for key, v in answers.items()})
    if isinstance(answers, Sequence):
        return _read_out(tuple(answers))
    return lambda call, rng: answers(call, rng())


def _look_up(answers: Mapping[str, Sayer]) -> Sayer:
    keys = sorted(answers, key=len, reverse=True)

    def say(call: Call, rng: Callable[[], Random]) -> str:
        said = (m["content"] for m in reversed(call.prompt.messages()) if m["role"] == "user")
        content = next(said, "")
        for key in keys:
            if key in content:
                return answers[key](call, rng)
        known = ", ".join(map(repr, keys))
        raise CallRejected(
            f"no answer for {content[:200]!r}: the user's last message must contain one of {known}"
        )

    return say


def _read_out(script: Sequence[str]) -> Sayer:
    lines = iter(script)

    def say(_call: Call, _rng: Callable[[], Random]) -> str:
        for line in lines:
            return line
        raise CallRejected(f"the script of {len(script)} answers is exhausted")

    return say
