"""A path that two models write: the draft model a step at a time, which the target model scores or rewrites.

Step-level speculative decoding (SSR, arXiv 2505.15340). All calls of a path continue one text, so each of the
two engines finds the steps before in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.thinking import split_thinking
from orchestrator.runtime.messages import Message, assistant, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer
from orchestrator.runtime.verbs import Verbs
from planners.strategies.scores import score_in, scoring
from workers.calls import Completion, FinishReason, Usage

DRAFT: Final = "draft"
"""The role of the small model that writes steps for the target to score."""

BREAK: Final = "\n\n"
"""What ends a step."""

JUDGE = (
    "Judge the last step of this solution so far. Reply with one digit, from 0 for wrong or leading nowhere "
    "to 9 for right and a real step towards the answer."
)


@dataclass(frozen=True, slots=True)
class Stepwise:
    """How a path is written. A step with a score below ``threshold`` is rewritten by the model ``target``.

    A path has at most ``steps`` steps of at most ``step_tokens`` tokens, and ``max_tokens`` in all. What is
    left after the last step is written by the target in one piece.
    """

    prompt: Sequence[Message]
    strategy: str
    target: str
    threshold: float
    steps: int
    step_tokens: int
    max_tokens: int
    temperature: float

    async def __call__(self, run: Verbs) -> Completion:
        """Write the path.

        Raises:
            NodeFailed: the target could not write what it had to.
        """
        return await _Path(run, self).written()


class _Path:
    """A path in progress: its text, and how it came about."""

    def __init__(self, run: Verbs, how: Stepwise) -> None:
        self._run = run
        self._how = how
        self._text = ""
        self._tokens = 0
        self._accepted = 0
        self._rewritten = 0
        self._rejected_tokens = 0

    async def written(self) -> Completion:
        """The whole path; what ends it, and what was drafted in vain, stands in the trace."""
        end = await self._end()
        self._run.decide(
            "path",
            "finished" if end == "stop" else f"ended: {end}",
            {
                "strategy": self._how.strategy,
                "accepted": self._accepted,
                "rewritten": self._rewritten,
                "tokens": self._tokens,
                "rejected tokens": self._rejected_tokens,
            },
        )
        return Completion(self._text.rstrip(), end, Usage(completion_tokens=self._tokens))

    async def _end(self) -> FinishReason:
        """Write until something ends the path, and say what."""
        for number in range(self._how.steps):
            step = await self._step(number)
            if step.finish_reason in ("refused", "abort"):
                return step.finish_reason
            if not step.text.strip():
                break
            self._take(step)
            if _has_answer(self._text):
                return "stop"
            if self._tokens >= self._how.max_tokens:
                return "length"
        return await self._rest()

    async def _step(self, number: int) -> Completion:
        """The next step: what the draft model writes, or what the target writes in its place."""
        run, how = self._run, self._how
        prompt, length = self._prompt(), min(how.step_tokens, how.max_tokens - self._tokens)
        drafted = await run.generate(
            prompt,
            label=f"step {number}, draft",
            role=DRAFT,
            temperature=how.temperature,
            max_tokens=length,
            stop=(BREAK,),
        ).settled()
        score: float | None = None
        if not isinstance(drafted, Succeeded):
            why = f"the draft failed: {drafted.why}"
        elif drafted.value.finish_reason in ("refused", "abort"):
            why = f"the draft ended: {drafted.value.finish_reason}"
        elif not drafted.value.text.strip():
            return drafted.value
        else:
            score = await self._score(number, drafted.value)
            if score is not None and score >= how.threshold:
                self._accepted += 1
                run.decide("step", "accept", {"step": number, "score": round(score, 3)})
                return drafted.value
            self._rejected_tokens += drafted.value.usage.completion_tokens
            why = "its score is too low" if score is not None else "its score cannot be read"
        self._rewritten += 1
        saw = {"step": number, "score": None if score is None else round(score, 3), "reason": why}
        run.decide("step", "rewrite", saw)
        return await run.generate(
            prompt,
            label=f"step {number}",
            role=how.target,
            temperature=how.temperature,
            max_tokens=length,
            stop=(BREAK,),
        )

    async def _score(self, number: int, drafted: Completion) -> float | None:
        asked = [*self._how.prompt, assistant(f"{self._text}{drafted.text}"), user(JUDGE)]
        outcome = await self._run.generate(
            asked, label=f"step {number}, score", role=self._how.target, **scoring(self._run)
        ).settled()
        return score_in(outcome.value) if isinstance(outcome, Succeeded) else None

    async def _rest(self) -> FinishReason:
        """What comes after the steps, by the target in one piece: nothing, if the text has come to its end.

        An empty step does not show that: the server may have cut the blank line off the text to continue.
        """
        how = self._how
        rest = await self._run.generate(
            self._prompt(),
            label="rest",
            role=how.target,
            temperature=how.temperature,
            max_tokens=how.max_tokens - self._tokens,
        )
        if rest.finish_reason != "refused":
            self._take(rest)
        return rest.finish_reason

    def _prompt(self) -> list[Message]:
        return [*self._how.prompt, assistant(self._text)] if self._text else [*self._how.prompt]

    def _take(self, step: Completion) -> None:
        """Add a step to the text; what was cut off goes on where it ended."""
        self._tokens += step.usage.completion_tokens
        self._text += step.text if step.finish_reason == "length" else f"{step.text.rstrip()}{BREAK}"
        self._run.propose(self._so_far)

    def _so_far(self) -> Answer | None:
        """What there is of the path if the run ends now, and none of the others had come to its end."""
        said = split_thinking(self._text).answer.strip()
        return Answer(said, undecided="the run ended before a path had come to its answer") if said else None


def _has_answer(text: str) -> bool:
    """Whether the answer stands in its box, outside of what the model only thinks."""
    thinking = split_thinking(text)
    claim = extract_claim(thinking.answer) if thinking.closed and "boxed" in thinking.answer else None
    return claim is not None and claim.how == "boxed"
