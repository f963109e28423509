"""Why there is no answer, in words: most branches of a vote gave none, or the only completion did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.consensus.thinking import split_thinking
from workers.calls import Completion, FinishReason

_ENDED: Mapping[FinishReason, str] = {
    "length": "cut off at max_tokens={max_tokens}",
    "refused": "refused by a content filter",
    "abort": "broken off by the server",
    "stop": "without an answer that can be used",
}
"""What is said of a branch without an answer, by the reason why it finished."""


def all_cut_off(ended: Sequence[tuple[FinishReason, int]], max_tokens: int) -> str | None:
    """What to say if all branches were cut off, with the tokens that they used; None if one was not.

    ``ended`` has for each branch why it finished, and its tokens.
    """
    if not ended or any(reason != "length" for reason, _ in ended):
        return None
    used = sorted(tokens for _, tokens in ended)
    tokens = f"{used[0]:,}" if used[0] == used[-1] else f"{used[0]:,} to {used[-1]:,}"
    told = "the answer was cut off" if len(used) == 1 else f"all {len(used)} branches were cut off"
    return f"{told}: max_tokens={max_tokens} is too small (used: {tokens} tokens{' each' * (len(used) > 1)})"


def no_answer(completion: Completion, max_tokens: int) -> str | None:
    """What to say if a completion that is not refused ends before its answer does; None if it is whole."""
    tokens = completion.usage.completion_tokens
    if completion.finish_reason == "abort":
        return f"the answer was {_ENDED['abort']} ({tokens:,} tokens came)"
    if completion.finish_reason == "stop" and not split_thinking(completion.text).answer.strip():
        return f"the completion has no answer ({tokens:,} tokens came)"
    return all_cut_off([(completion.finish_reason, tokens)], max_tokens)


def most_abstained(
    silent: Sequence[FinishReason], branches: int, max_tokens: int, *, what: str = "branches"
) -> str | None:
    """What to say if more than half of the branches gave no answer; None if fewer did.

    ``silent`` are the reasons why those without an answer finished; ``what`` is what they are called.
    """
    if 2 * len(silent) <= branches:
        return None
    ways = Counter(_ENDED[reason].format(max_tokens=max_tokens) for reason in silent)
    how = ", ".join(f"{count} {way}" for way, count in ways.items())
    return f"{len(silent)} of {branches} {what} gave no answer: {how}"
