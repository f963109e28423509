"""The logits processor; vLLM loads it as ``anabranch_sampling.processor:ArithmeticSampling``.

A request takes part with ``"vllm_xargs": {"arithmetic_code": 0.25}``; others are sampled as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from .code import Code

FIELD = "arithmetic_code"


class ArithmeticSampling(AdapterLogitsProcessor):  # type: ignore[misc] # of a library that is not there
    """Draws the tokens of requests that have a code by that code."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse a request with something that is no code, or that draws nothing.

        Raises:
            ValueError: says what would be right.
        """
        code = (sampling_params.extra_args or {}).get(FIELD)
        if code is None:
            return
        if isinstance(code, bool) or not isinstance(code, int | float):
            raise ValueError(f"{FIELD} must be a number that is at least 0 and below 1")  # noqa: TRY004
        Code(code)
        if not sampling_params.temperature:
            raise ValueError(f"{FIELD} draws tokens: it needs a temperature above 0")

    def is_argmax_invariant(self) -> bool:
        """Whether greedy requests never notice: no, as tokens are chosen here."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Callable[[Sequence[int], Any], Any] | None:
        """What draws the tokens of one request; None if it has no code."""
        code = (params.extra_args or {}).get(FIELD)
        return None if code is None else _Drawing(Code(code), params)


class _Drawing:
    """One request: leaves a single token possible at each step."""

    def __init__(self, code: Code, params: SamplingParams) -> None:
        self._code = code
        self._params = params

    def __call__(self, output: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
        shares = distribution(
            logits, self._params.temperature, self._params.top_k, self._params.top_p, self._params.min_p
        )
        ends = shares.cumsum(0)
        total = float(ends[-1])
        point = self._code.at(len(output)) * total
        token = min(int(torch.searchsorted(ends, point, right=True)), len(shares) - 1)
        while token and not float(shares[token]):  # rounding may lead past the last that is possible
            token -= 1
        width = float(shares[token])
        self._code.narrow((float(ends[token]) - width) / total, width / total)
        only = torch.full_like(logits, float("-inf"))
        only[token] = 0.0
        return only


def distribution(
    logits: torch.Tensor, temperature: float, top_k: int, top_p: float, min_p: float
) -> torch.Tensor:
    """Probabilities of the tokens, as vLLM's own sampler has them; not all add up to 1 if some are left out.

    ``logits`` has one number for each token of the vocabulary; ``top_k`` of 0 or less is all of them.
    """
    shares = (logits.double() / temperature).softmax(0)
    if min_p > 0.0:
        shares = shares.where(shares >= min_p * shares.max(), 0.0)
    if 0 < top_k < len(shares):
        shares = shares.where(shares >= shares.topk(top_k).values[-1], 0.0)
    if top_p < 1.0:
        falling, order = (shares / shares.sum()).sort(descending=True)
        left_out = order[falling.cumsum(0) - falling >= top_p]
        shares = shares.index_fill(0, left_out, 0.0)
    return shares
