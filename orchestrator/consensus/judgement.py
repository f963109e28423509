"""A language model as the judge of whether two answers mean the same.

Nothing here calls a model. The caller sends what :func:`judge_text` returns and reads the reply with the
other functions. Two answers mean the same if both directions say so, as with entailment (Farquhar et al.,
Nature 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

NEUTRAL_PAIR = ("a blue bicycle", "the month of March")
"""Two answers that are surely different: what a judge says of them is its bias."""

INSTRUCTION = (
    "You compare two short answers to one question. Say Yes if the second answer says the same as the first, "
    "so that whoever accepts the first must accept the second. Say No if it differs in any fact, number, "
    "unit, name or negation. Wording does not matter. Reply with one word: Yes or No."
)
EXAMPLES = (
    ("Paris", "The capital is Paris", True),
    ("Paris", "London", False),
    ("it is safe", "it is not safe", False),
    ("about 40 miles", "40 miles", True),
)


def judge_text(question: str, left: str, right: str) -> tuple[str, str]:
    """What to ask a judge about one direction: a prefix that all pairs of a question share, and the pair.

    The question and the examples come first, so that an engine computes them once.
    """
    examples = "\n\n".join(_pair(a, b) + (" Yes" if same else " No") for a, b, same in EXAMPLES)
    return f"{INSTRUCTION}\n\n{examples}\n\nQuestion: {question.strip()}\n\n", _pair(left, right)


def _pair(left: str, right: str) -> str:
    return f"First answer: {left.strip()}\nSecond answer: {right.strip()}\nSame?"


def log_odds(top: Mapping[str, float]) -> float | None:
    """ln P(Yes) - ln P(No) from the log-probabilities of the alternatives for the first token of a reply.

    All spellings of a word count together. A word that is not among the alternatives is taken to be as
    probable as the least probable one, which it cannot exceed. None where neither word is there or a
    log-probability is no number.
    """
    if not top or not all(math.isfinite(each) and each <= 0 for each in top.values()):
        return None
    yes, no = _mass(top, "yes"), _mass(top, "no")
    if yes == no == 0.0:
        return None
    least = math.exp(min(top.values()))
    return math.log(yes or least) - math.log(no or least)


def _mass(top: Mapping[str, float], word: str) -> float:
    return math.fsum(math.exp(logprob) for token, logprob in top.items() if token.strip().casefold() == word)


def affirms(odds: float | None, neutral: float | None, *, margin: float = 2.0) -> bool:
    """Whether a judge's log-odds in one direction say that the answers mean the same.

    ``neutral`` are its log-odds on :data:`NEUTRAL_PAIR`: a judge that says Yes to everything says it there
    too. ``odds`` must exceed it by ``margin`` (nats), and be likelier Yes than No once half of the bias is
    taken off. Anything unknown is no agreement.
    """
    return odds is not None and neutral is not None and odds - neutral >= margin and odds > neutral / 2
