"""Rules made of rules. The first rule leads: it alone starts and cancels branches; the others only stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.consensus.stopping.view import (
    Continue,
    Decision,
    Expand,
    Json,
    Signal,
    Stop,
    StopRule,
    View,
)


@dataclass(frozen=True, slots=True)
class _Combined:
    rules: tuple[StopRule, ...]

    def __post_init__(self) -> None:
        if not self.rules:
            raise ValueError("a combination needs at least one rule")

    @property
    def initial(self) -> int:
        """What the first rule starts with."""
        return self.rules[0].initial

    @property
    def limit(self) -> int:
        """What the first rule allows."""
        return self.rules[0].limit

    @property
    def needs(self) -> frozenset[Signal]:
        """The signals of all rules."""
        return frozenset().union(*(rule.needs for rule in self.rules))

    def _inside(self) -> str:
        return "; ".join(rule.spec for rule in self.rules)

    def _seen(self, decisions: Sequence[Decision]) -> dict[str, Json]:
        return {rule.spec: decision.seen for rule, decision in zip(self.rules, decisions, strict=True)}


@dataclass(frozen=True, slots=True)
class AnyOf(_Combined):
    """Stop as soon as one rule stops.

    One that has merely nothing more to wait for (``exhausted``, ``decided``) does not count, unless it leads.
    """

    @property
    def spec(self) -> str:
        """``any(first; second)``."""
        return f"any({self._inside()})"

    def decide(self, view: View) -> Decision:
        """The first rule's decision, unless another one stops."""
        decisions = [rule.decide(view) for rule in self.rules]
        seen = self._seen(decisions)
        for decision in decisions:
            idle = isinstance(decision, Stop) and decision.reason in ("exhausted", "decided")
            if isinstance(decision, Stop) and (not idle or decision is decisions[0]):
                return Stop(decision.reason, decision.winner, seen)
        if not isinstance(decisions[0], Continue):
            return decisions[0]
        wakes = [each.wake for each in decisions if isinstance(each, Continue) and each.wake is not None]
        return Continue(seen, wake=min(wakes, default=None))


@dataclass(frozen=True, slots=True)
class AllOf(_Combined):
    """Stop when every rule stops, with the first rule's winner."""

    @property
    def spec(self) -> str:
        """``all(first; second)``."""
        return f"all({self._inside()})"

    def decide(self, view: View) -> Decision:
        """The first rule's decision, held back until all agree that it is over."""
        decisions = [rule.decide(view) for rule in self.rules]
        first = decisions[0]
        seen = self._seen(decisions)
        if not isinstance(first, Stop):
            return first
        held = [each for each in decisions if not isinstance(each, Stop)]
        if not held or not (view.running or view.room):
            return Stop(first.reason, first.winner, seen)
        if view.running:
            wakes = [each.wake for each in held if isinstance(each, Continue) and each.wake is not None]
            return Continue(seen, wake=min(wakes, default=None))
        return Expand(1, seen)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Let ``rule`` stop only once ``finished`` branches have finished."""

    finished: int
    rule: StopRule

    def __post_init__(self) -> None:
        if self.finished < 1:
            raise ValueError(f"at least one branch must finish, got {self.finished}")

    @property
    def initial(self) -> int:
        """What the rule starts with."""
        return self.rule.initial

    @property
    def limit(self) -> int:
        """What the rule allows."""
        return self.rule.limit

    @property
    def needs(self) -> frozenset[Signal]:
        """The rule's signals."""
        return self.rule.needs

    @property
    def spec(self) -> str:
        """``at_least(3; rule)``."""
        return f"at_least({self.finished}; {self.rule.spec})"

    def decide(self, view: View) -> Decision:
        """The rule's decision, or to wait for the branches that are missing."""
        decision = self.rule.decide(view)
        missing = self.finished - len(view.finished)
        if not isinstance(decision, Stop) or missing <= 0:
            return decision
        if view.running:
            return Continue(decision.seen)
        return Expand(min(missing, view.room), decision.seen) if view.room else decision
