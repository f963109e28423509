"""What a planner may ask for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar, Unpack

from orchestrator.consensus.stopping import StopRule, parse_rule
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Draft
from orchestrator.runtime.nodes import Node, NodeKind
from orchestrator.runtime.tentative import TentativeVerbs
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ahead import USUAL, Firm, Successor, run_ahead
from orchestrator.voting.ballot import SEGMENT, Ballot, Draws, Merge, Turn
from orchestrator.voting.judging import Judge, check_judges
from orchestrator.voting.vote import hold_vote
from workers.tools.tool import Tool

T = TypeVar("T")


class Run(TentativeVerbs):
    """One scope of a run, handed to planner code, with all its verbs.

    What is said of :class:`~orchestrator.runtime.verbs.Verbs` holds here too.
    """

    def vote(
        self,
        prompt: Draft | Turn,
        *,
        rule: StopRule | str | None = None,
        width: int | None = None,
        choices: Sequence[str] = (),
        question: Question | str = "",
        judge: Judge = "none",
        outputs: str | Tool | None = None,
        merge: Merge = "majority",
        verifier: str | Tool | None = None,
        segment: int = SEGMENT,
        role: str = "branch",
        turns: Sequence[Draft | Turn] = (),
        draws: Draws = "independent",
        **sampling: Unpack[SamplingOptions],
    ) -> Node[Answer]:
        """Sample branches of one prompt, judge them as they arrive, stop when they agree, cancel the rest.

        ``rule`` is a stop rule or its spec (``"beta:0.99"``), by default the one that the run was begun with;
        ``width`` is the most branches to start; ``choices`` are the labels of a multiple-choice question.
        ``judge`` says who compares claims in free text, and ``question`` is what is asked, which
        the judge is told; as a :class:`Question`, after the last words of each side before it. ``outputs`` is
        a tool that runs the programs that the branches write: programs are equal if their outputs are.
        ``merge`` says how one answer is made from all of them. ``verifier`` is a tool that takes ``question``
        and ``answer`` and returns whether the answer is right. If the rule looks at branches as they run,
        they are generated in segments of ``segment`` tokens. ``turns`` are further
        prompts for the same question, which the branches take in turns with the first; as
        :class:`~orchestrator.voting.ballot.Turn`, one has a kind, sampling and a reading of its own, the role
        of another model, and a weight. ``draws`` "arithmetic" spreads the branches evenly over what the model
        may say (arXiv 2210.15458), where the engine has our logits processor.

        Raises:
            RuleError: the spec names no rule.
            InvalidRequest: something that the vote needs is not given, or is more than the engine can do.
        """
        environment = self._executor.environment
        change = environment.changes.get(self._scope.child_path())
        if change is not None and change.rule is not None:
            rule = change.rule
        if rule is None:
            rule = environment.rule
        parsed = parse_rule(rule, width=width) if isinstance(rule, str) else rule
        usual = environment.sampling
        ballot = Ballot(
            prompt,
            parsed,
            {"temperature": usual.temperature, "max_tokens": usual.max_tokens, **sampling},
            choices=tuple(choices),
            question=question.text if isinstance(question, Question) else question,
            told=question.told if isinstance(question, Question) else question,
            judge=judge,
            outputs=outputs,
            merge=merge,
            verifier=verifier,
            segment=segment,
            role=role,
            turns=tuple(turns),
            draws=draws,
        )
        ballot.check(self.capabilities)
        check_judges(self, judge, outputs, verifier)
        return self.scope(NodeKind.VOTE, parsed.spec, hold_vote, ballot)

    def ahead(
        self,
        vote: Node[Answer],
        function: Callable[[Self, Answer], Coroutine[Any, Any, T]],
        *,
        firm: Firm = USUAL,
        restarts: int = 1,
    ) -> Node[T]:
        """Spawn what comes after a vote before the vote has ended, on the answer that leads.

        The value is that of ``function(run, answer)`` for the answer that the vote ends with, as if it were
        spawned then. It begins once an answer is ``firm``, is cancelled if another one overtakes that, and
        may then begin anew ``restarts`` times before the vote ends. If the vote ends with the answer that it
        has begun on, nothing is redone; otherwise, or if it has failed in the meantime, it is run with what
        the vote ends with. The trace says which it was, and how many tokens were for nothing.

        ``answer`` has no more than ``text``, ``claim`` and ``undecided``: what else an answer has changes
        with each branch. Until the vote has ended with it, tools with side effects wait, what ``function``
        proposes does not count, and it is given up where it would use more than half of what the budget
        bounds. Votes that are merged by ``medoid`` or ``synthesis`` have no leader.

        Raises:
            PlannerError: ``restarts`` is less than 0.
        """
        successor = Successor(vote, function, firm, restarts)
        return self.scope(NodeKind.SPAWN, f"ahead of {vote.path}", run_ahead, successor)
