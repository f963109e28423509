"""Having a plan written while its steps start, repaired once where it is not valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import NodeFailed
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, assistant, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Question
from planners.asking import question_in
from planners.computing import calculate
from planners.fetching import Fetcher
from planners.findings import CHOOSING, is_computing
from planners.offers import Offers
from planners.parts import compared, has_parts, restates, tells_by_another, uncovered
from planners.plan_examples import Example, of_example
from planners.plan_prompt import REPAIR, REPLAN, Form, form_of, plan_prompt
from planners.plans import Plan, Step
from planners.questions import SAMPLED, guarded
from planners.references import amounts_in

LONGEST_AFTERMATH: Final = 64
"""Characters that may follow the join of a plan before its generation is cancelled."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no plan to work with; ``one_part``: because the question needs none."""

    reason: str
    one_part: bool = False


@dataclass(frozen=True, slots=True)
class Drafter:
    """Has plans written for a question; ``by`` is the method in whose name it decides."""

    run: Run
    question: Question
    by: str
    offers: Offers
    fetcher: Fetcher
    examples: list[Example]
    max_tasks: int
    temperature: float
    max_tokens: int

    async def plan(self, missing: str) -> Trouble | None:
        """Have a plan written while its steps start; returns why there is none to work with.

        A plan that only leaves a part of the question out is sent back like a wrong one, and taken if there
        is no valid one instead.
        """
        taken = self.fetcher.steps
        form = form_of(
            self.run.capabilities,
            self.offers,
            self.max_tasks,
            first=max(taken, default=0) + 1,
            thinks=bool(taken),
        )
        prompt = await self._prompt(missing, form)
        errors: list[str] = []
        spare: tuple[Plan, list[str]] | None = None
        for label, temperature in (("plan", self.temperature), ("repaired plan", self._sampled)):
            plan = self._begun()
            try:
                text, errors = await self._write(plan, prompt, label, temperature, form)
            except NodeFailed as error:
                self.fetcher.refuse(plan)
                errors = [f"it could not be written: {error.failure.message}"]
                if not error.failure.retryable:
                    break
                continue  # as after a stream that a process has left behind when it died
            gaps = [] if errors else self._gaps(plan)
            if not errors and (not gaps or label != "plan"):
                return self._accepted(plan, gaps)
            self.fetcher.refuse(plan)
            if not errors and plan.steps:
                spare = plan, gaps
            errors = [*(errors or gaps), *self._advice(plan)]
            self.run.decide(self.by, "refuse", {"plan": label, "errors": errors})
            listed = "\n".join(f"- {error}" for error in errors)
            prompt = [
                *prompt,
                assistant(split_thinking(text).answer or "(nothing)"),
                user(REPAIR.format(errors=guarded(listed))),
            ]
        if spare is None:
            return Trouble(f"there is no valid plan: {'; '.join(errors)}")
        plan, gaps = spare
        for step in plan.steps.values():
            self.fetcher.fetch(step, plan)
        return self._accepted(plan, gaps)

    @property
    def _sampled(self) -> float:
        """The temperature of a repair, which at 0 would often be the same plan again."""
        return max(self.temperature, SAMPLED)

    def _begun(self) -> Plan:
        text = self.question.text
        return Plan(
            self.offers,
            self.fetcher.steps,
            self.max_tasks,
            amounts=amounts_in(text),
            expressions=(calculate.name,),
            refuse=self._refusal,
            is_needless=lambda step: (
                self.offers[step.tool].gives_answer and restates(text, question_in(step.arguments))
            ),
        )

    def _refusal(self, step: Step) -> str:
        if self.offers[step.tool].gives_answer and not question_in(step.arguments):
            return f"step {step.id} asks nothing"
        return of_example(self.question, step)

    def _accepted(self, plan: Plan, gaps: list[str]) -> Trouble | None:
        if not self.fetcher.steps and (why := self._one_part(plan)):
            self.fetcher.refuse(plan)
            return Trouble(why, one_part=True)
        for verdict, steps in (("left out", list(plan.left_out.values())), ("cut", plan.cut)):
            if steps:
                self.run.decide(self.by, verdict, {"steps": self.fetcher.written(steps)})
        if gaps:
            self.run.decide(self.by, "gaps", {"gaps": gaps})
        self.fetcher.accept(plan)
        return None if plan.steps else Trouble("the plan has no steps")

    def _gaps(self, plan: Plan) -> list[str]:
        """What the question speaks of and no step; a further plan need not speak of all again."""
        if self.fetcher.steps or plan.cut:
            return []
        if self._one_part(plan):
            return ["the question has several parts"] if has_parts(self.question.text) else []
        names = uncovered(self.question.text, [dict(step.arguments) for step in plan.steps.values()])
        gaps = [f"no step is about {name}" for name in names]
        gaps += [
            f"step {step.id} has one value only; it must be given all that it chooses from"
            for step in plan.steps.values()
            if step.tool in CHOOSING and _has_one_value(step)
        ]
        if tells_by_another(self.question.text) and not self._is_chained(plan):
            gaps.append("no step uses what another finds out; where a step needs what step 1 finds, write $1")
        return gaps

    def _is_chained(self, plan: Plan) -> bool:
        """Whether a step that finds something out needs the result of another, or there is only one."""
        finding = [step for step in plan.steps.values() if not is_computing(step.tool)]
        return len(finding) < 2 or any(plan.needs(step) for step in finding)

    def _advice(self, plan: Plan) -> list[str]:
        """What to write instead of steps that only ask the question again."""
        asked = ", ".join(f"step {number}" for number in plan.left_out)
        if not asked and not self._one_part(plan):
            return []
        names = compared(self.question.text)
        apart = f": about {', about '.join(names)}" if names else ", and use the result in the next"
        return [f"{asked or 'step 1'} asks for all at once; ask for one thing in each step{apart}"]

    async def _prompt(self, missing: str, form: Form) -> list[Message]:
        if not self.fetcher.steps:
            return plan_prompt(self.question, self.offers, form, self.examples)
        before, after = REPLAN
        first = max(self.fetcher.steps) + 1
        replan = (
            before,
            *await self.fetcher.observations(),
            after.format(missing=guarded(missing, "notes"), first=first),
        )
        return plan_prompt(self.question, self.offers, form, self.examples, *replan)

    async def _write(
        self, plan: Plan, prompt: list[Message], label: str, temperature: float, form: Form
    ) -> tuple[str, list[str]]:
        """The text of a plan and what is wrong with it; its steps start as they are read."""
        reader = form.reader(plan.first)
        stream = self.run.stream(
            prompt,
            label=label,
            role="planner",
            breaks="]}\n",
            temperature=temperature,
            max_tokens=self.max_tokens,
            **form.constraints,
        )
        text, aftermath = "", 0
        async for piece in stream:
            text += piece
            aftermath += len(piece) if plan.joined else 0
            if aftermath > LONGEST_AFTERMATH or plan.runs_on:
                stream.cancel("the plan has ended")
                break
            self._fetch(plan, reader.feed(piece))
        self._fetch(plan, reader.finish())
        outcome = await stream.settled()
        cut_off = isinstance(outcome, Succeeded) and outcome.value.finish_reason != "stop"
        return text, plan.close(cut_off=cut_off)

    def _fetch(self, plan: Plan, steps: list[Step]) -> None:
        for step in map(plan.renumbered, map(self._referring, steps)):
            if plan.admit(step):
                self.fetcher.fetch(step, plan)

    def _referring(self, step: Step) -> Step:
        """A question whose context has the numbers of earlier steps alone, as references to them."""
        context, offer = step.arguments.get("context"), self.offers.get(step.tool)
        if offer is None or not offer.gives_answer or not isinstance(context, list):
            return step
        meant = [f"${{{each}}}" if type(each) is int and 0 < each < step.id else each for each in context]
        return Step(step.id, step.tool, {**step.arguments, "context": meant})

    def _one_part(self, plan: Plan) -> str:
        """Why the question needs no plan, going by the one that was written; empty if it does."""
        if plan.left_out and not plan.steps:
            return "the question has one part: its plan only asks it again"
        if len(plan.steps) == 1 and all(self.offers[step.tool].gives_answer for step in plan.steps.values()):
            return "the question has one part: its plan asks one question"
        return ""


def _has_one_value(step: Step) -> bool:
    """Whether a step that chooses is given one thing to choose from; a reference may have several in it."""
    return any(isinstance(value, list | dict) and len(value) == 1 for value in step.arguments.values())
