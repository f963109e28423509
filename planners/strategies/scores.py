"""Scores from 0 to 9 that a model gives as one digit: the mean of all digits over their probabilities."""

from __future__ import annotations

import math
import re
from typing import Final

from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.verbs import Verbs
from planners.questions import said
from workers.calls import Completion

HIGHEST: Final = 9

ALTERNATIVES: Final = 20
"""How many alternatives of a token are asked for: all digits are among those of a model that means one."""

LENGTH: Final = 3
"""Tokens of a reply; some models begin with one that is only a space."""

_DIGITS: Final = "0123456789"
_DIGIT = re.compile(r"\W*([0-9])(?![0-9]|[.,][0-9])")


def scoring(run: Verbs) -> SamplingOptions:
    """How a model is asked for a score: with the alternatives of its digit, where the engine gives them."""
    sampling = SamplingOptions(temperature=0.0, max_tokens=LENGTH)
    return {**sampling, "top_logprobs": ALTERNATIVES} if run.capabilities.logprobs else sampling


def score_in(reply: Completion) -> float | None:
    """The score that a reply gives, in [0, 9]; None if it gives none.

    It is the mean of the digits over the probabilities of the first token that is no space. Without
    log-probabilities, or without a digit among the alternatives, it is the digit that the reply begins with.
    """
    first = next((each for each in reply.logprobs if each.token.strip()), None)
    alternatives = {} if first is None else {first.token: first.logprob, **first.top}
    weights = {
        token: math.exp(logprob)
        for token, logprob in alternatives.items()
        if len(token.strip()) == 1 and token.strip() in _DIGITS and logprob <= 0
    }
    total = math.fsum(weights.values())
    if total:
        return math.fsum(int(token) * weight for token, weight in weights.items()) / total
    digit = _DIGIT.match(said(reply))
    return None if digit is None else float(digit[1])
