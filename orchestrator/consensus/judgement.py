"""A language model as the judge of whether two answers mean the same.

Nothing here calls a model. The caller sends what :func:`judge_prompt` returns and reads the reply with the
other functions. Two answers mean the same if both directions say so, as with entailment (Farquhar et al.,
Nature 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from workers.calls import Prompt, Segment

NEUTRAL_PAIR = ("a blue bicycle", "the month of March")
"""Two answers that are certainly different: what a judge says about them is its bias."""

MARGIN = 3.5
"""Nats by which a judge's log-odds must exceed both evens and its bias."""

INSTRUCTION = (
    "Two people answer the same question. Do they give the same answer? Say Yes if both say the same in "
    "other words. Say No if a fact, name, number, unit, order or negation differs, or if one says more than "
    "the other. Reply Yes or No."
)
EXAMPLES = (
    ("What is the capital of Italy?", "Rome", "the city of Rome", "Yes"),
    ("What is the capital of Italy?", "Rome", "Milan", "No"),
    ("Is the ice safe?", "you can walk on it", "it does not carry you", "No"),
    ("Why was she late?", "her bus broke down", "the bus that she took had a defect", "Yes"),
    ("How long is the rope?", "the rope is 3 m long", "it measures three metres", "Yes"),
    ("How long is the rope?", "the rope is 3 m long", "it measures thirty metres", "No"),
    ("Who wrote the letter?", "the father of Tom", "Tom's father", "Yes"),
    ("Who wrote the letter?", "Tom wrote to Ann", "Ann wrote to Tom", "No"),
)


def judge_prompt(question: str, left: str, right: str) -> Prompt:
    """What to ask a judge about one direction.

    The instruction and the examples come first, then the question, so that an engine computes the former once
    for all votes, and the latter once for all pairs of a vote.
    """
    segments = [Segment("system", INSTRUCTION)]
    for asked, first, second, reply in EXAMPLES:
        segments += [*_pair(asked, first, second), Segment("assistant", reply)]
    return Prompt((*segments, *_pair(question, left, right)))


def _pair(question: str, left: str, right: str) -> tuple[Segment, Segment]:
    return (
        Segment("user", f"Question: {question.strip()}\n"),
        Segment("user", f"First answer: {left.strip()}\nSecond answer: {right.strip()}\nSame?"),
    )


def log_odds(top: Mapping[str, float]) -> float | None:
    """ln P(Yes) - ln P(No) from the log-probabilities of the alternatives for the first token of a reply.

    All spellings of a word count together. A word that is not among the alternatives is taken to be as
    probable as the least probable one, which it cannot exceed. None if neither word is there or a
    log-probability is not a number.
    """
    if not top or not all(math.isfinite(each) and each <= 0 for each in top.values()):
        return None
    yes, no = _mass(top, "yes"), _mass(top, "no")
    if yes == no == 0.0:
        return None
    least = min(top.values())  # servers write -9999 for what is impossible, and e^-9999 underflows to 0
    return (math.log(yes) if yes else least) - (math.log(no) if no else least)


def _mass(top: Mapping[str, float], word: str) -> float:
    return math.fsum(math.exp(logprob) for token, logprob in top.items() if token.strip().casefold() == word)


def affirms(odds: float | None, neutral: float | None, *, margin: float = MARGIN) -> bool:
    """Whether a judge's log-odds in one direction say that the answers mean the same.

    ``neutral`` is its log-odds on :data:`NEUTRAL_PAIR`: a judge that says Yes to everything says it there
    too. Anything unknown is not agreement.
    """
    return odds is not None and neutral is not None and odds >= max(neutral, 0.0) + margin
