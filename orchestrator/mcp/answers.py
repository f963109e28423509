"""What the tools give: values with a schema for programs, and a text of them for people and models."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.runtime.environment import RunOutcome
from orchestrator.tasks.solution import Dissent, Solution, TokenUsage
from orchestrator.tasks.trust import UNSURE

LONGEST_TEXT = 50_000
"""How many characters of a text are given; the whole is in the trace."""

LONGEST_REASONING = 4_000
"""How many of them the text for people quotes of what leads to an answer."""

CUT = " … (cut)"


class Given(BaseModel):
    """What a tool gives."""

    model_config = ConfigDict(frozen=True)

    def told(self) -> str:
        """It as a text."""
        raise NotImplementedError


class Solved(Given):
    """An answer, and what it rests on."""

    answer: str = Field(description="The short answer if there is one, otherwise the whole text.")
    text: str = Field(description=f"The whole text, at most {LONGEST_TEXT:,} characters.")
    trust: str = Field(description="In one line, why the answer may be trusted, or why not.")
    unsure: bool = Field(description="Whether the answer should not be relied on; `trust` says why.")
    outcome: RunOutcome = Field(
        description="`answered`; `undecided` when there is no answer to rely on; `abstained` when "
        "`abstain_below` asks for more than is known; or `limited` when the budget ended the run first."
    )
    confidence: float | None = Field(description="The answer's share of all branches; null without a vote.")
    entropy: float | None = Field(description="Semantic entropy of the votes, in nats; null without them.")
    probability: float | None = Field(
        description="How likely the answer is right, from a calibration; null without one."
    )
    dissent: tuple[Dissent, ...] = Field(description="The other answers, the most frequent first.")
    reasoning: str = Field(description="What leads to the answer, from one branch that gave it.")
    planner: str = Field(description="The reasoning method that was asked for.")
    trace_id: str = Field(description="The id of the stored run, for the tools `trace` and `replay`.")
    tokens: TokenUsage
    seconds: float = Field(description="How long the run took.")

    @classmethod
    def of(cls, solution: Solution) -> Solved:
        """A solution as the tool gives it."""
        return cls(
            answer=cut(solution.answer),
            text=cut(solution.text),
            trust=solution.trust,
            unsure=solution.unsure,
            outcome=solution.outcome,
            confidence=solution.confidence,
            entropy=solution.entropy,
            probability=None if solution.calibrated is None else solution.calibrated.probability,
            dissent=solution.dissent,
            reasoning=cut(solution.reasoning),
            planner=solution.planner,
            trace_id=solution.trace_id,
            tokens=solution.usage,
            seconds=solution.timings.run,
        )

    def told(self) -> str:
        """The answer, why it may be trusted, who says otherwise, what leads to it, and the cost."""
        return "\n\n".join(self._paragraphs())

    def _paragraphs(self) -> Iterator[str]:
        trust = self.trust.removeprefix(UNSURE)
        if self.unsure:
            yield f"UNSURE, do not rely on this: {trust}" if trust else "UNSURE, do not rely on this."
            yield self.answer or "There is no answer."
        else:
            yield self.answer
            if trust:
                yield f"Trust: {trust}"
        if self.dissent:
            others = (f"- {other.claim} ({other.count})" for other in self.dissent)
            yield "\n".join(("Other answers, with how many branches gave them:", *others))
        if self.reasoning and self.reasoning.strip() != self.answer.strip():
            yield f"Reasoning of one branch:\n{cut(self.reasoning, LONGEST_REASONING)}"
        yield f"trace {self.trace_id} · {' · '.join(self._cost())}"

    def _cost(self) -> Iterator[str]:
        yield f"planner {self.planner}"
        yield f"{self.tokens.calls:,} call{'s' * (self.tokens.calls != 1)}"
        yield f"{self.tokens.prompt + self.tokens.completion:,} tokens"
        yield f"{self.seconds:.1f} s"


class Traced(Given):
    """A stored run as a tree of its steps."""

    trace_id: str
    status: str = Field(description="How the task stands.")
    outcome: str | None = Field(description="How its run ended; null while it has not.")
    nodes: int = Field(description="How many steps the run has.")
    left_out: int = Field(description="How many lines of the tree did not fit.")
    tree: str = Field(description="The steps in the order in which they came, indented below their scopes.")

    def told(self) -> str:
        """The tree."""
        return self.tree


class Repeated(Given):
    """What became of repeating a stored run over its journal."""

    trace_id: str
    identical: bool = Field(description="Whether every event was the same as in the stored run.")
    difference: str | None = Field(description="Where it differs and how; null if it is identical.")
    events: int | None = Field(description="How many events were compared; null if they differ.")
    answer: str | None = Field(description="The answer, which is the same; null if it has none.")
    seconds: float | None = Field(description="How long repeating it took.")

    def told(self) -> str:
        """Whether it is identical, or where it differs."""
        if not self.identical:
            return f"Different: {self.difference}"
        answer = "" if self.answer is None else f" The answer: {self.answer}"
        return f"Identical: {self.events:,} events, no call to a model, {self.seconds:.2f} s.{answer}"


class PlannerOption(BaseModel):
    """An option of a planner."""

    model_config = ConfigDict(frozen=True)

    name: str
    default: str | None = Field(description="Its default as JSON; null if there is none.")
    description: str


class KnownPlanner(BaseModel):
    """A reasoning method."""

    model_config = ConfigDict(frozen=True)

    name: str
    summary: str
    options: tuple[PlannerOption, ...]


class Known(Given):
    """The reasoning methods that there are."""

    planners: tuple[KnownPlanner, ...]

    def told(self) -> str:
        """A line for each of them, with the names of its options."""
        return "\n".join(
            f"- {each.name}: {each.summary}"
            + (f" Options: {', '.join(option.name for option in each.options)}." if each.options else "")
            for each in self.planners
        )


def cut(text: str, most: int = LONGEST_TEXT) -> str:
    """The text; one that is too long without its end."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT
