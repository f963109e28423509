"""The workspace of :mod:`planners.distil`: what a next round gets to know of drafts, in bounded length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Question
from orchestrator.voting.fitting import shortened
from planners.population import Chain, Population
from planners.questions import letter_in, said, set_task, slot
from workers.calls import Completion
from workers.showing import cut

By = Literal["summary", "agreement", "assessment", "random"]
"""How drafts are distilled: into a summary that the model writes of all, or to some of them as they are:
those whose answer most drafts share, those that the model itself thinks right, or any."""

SUMMARISE = (
    "\nSome drafts of a solution are below. Take notes for somebody who will solve the problem anew and sees "
    "nothing else of them: what they agree on, where they contradict each other and what speaks for which, "
    "partial results, and mistakes to avoid. Be brief, and do not solve the problem yourself.\n"
)
ASSESS = (
    "\nA draft of a solution is below. Check its steps. Reply with one letter:\n"
    "A: it is right.\nB: it may be right.\nC: it is wrong.\n"
)

LETTERS: Final = "ABC"

ANSWERS: Final = 8
"""Answers that are told, the most frequent ones."""

LONGEST_ANSWER: Final = 300
"""Characters of an answer that are told."""

LEAST: Final = 40
"""Characters of a draft that must fit for it to be worth showing."""


class Workspace:
    """What is kept of the drafts of a round: their answers with counts, and notes of at most ``tokens``."""

    def __init__(
        self, run: Run, question: Question, population: Population, *, by: By, k: int, tokens: int
    ) -> None:
        self._run = run
        self._question = question
        self._population = population
        self._by = by
        self._k = k
        self._tokens = tokens

    def calls(self, drafts: Sequence[Chain]) -> int:
        """How many calls it takes to distil these drafts."""
        if self._fits(drafts):
            return 0
        return {"summary": 1, "assessment": len(_telling(drafts))}.get(self._by, 0)

    async def distilled(self, drafts: Sequence[Chain]) -> Node[str]:
        """The workspace as a part of a prompt. A summary that cannot be had gives way to the best drafts."""
        run, telling = self._run, _telling(drafts)
        room = self._room()
        answers = self._answers(drafts)
        how: str = "the draft" if self._fits(drafts) else self._by
        if how == "summary":
            summary = await self._summarised(telling)
            if summary is not None:
                run.decide("workspace", how, {"drafts": [draft.index for draft in telling]})
                return run.merge(_noted, answers, summary, room, label="workspace")
            how = "agreement, as there is no summary"
        kept = (await self._ranked(telling))[: self._k]
        each = max(LEAST, room // len(kept))
        run.decide("workspace", how, {"drafts": [draft.index for draft in kept]})
        return run.merge(_quoted, answers, [draft.node for draft in kept], each, label="workspace")

    def _fits(self, drafts: Sequence[Chain]) -> bool:
        """Whether there is one draft, which fits as it is."""
        telling = _telling(drafts)
        return len(telling) == 1 and len(telling[0].said) <= self._room()

    def _room(self) -> int:
        """Characters of the notes, beside the answers."""
        return min(self._population.characters(self._tokens), self._population.room(1))

    def _answers(self, drafts: Sequence[Chain]) -> str:
        counts = list(self._population.counts(drafts).items())
        lines = [f"- {cut(claim, LONGEST_ANSWER)} ({count} of {len(drafts)})" for claim, count in counts]
        more = [f"- and {len(counts) - ANSWERS} other answers"] if len(counts) > ANSWERS else []
        return "\n".join([*lines[:ANSWERS], *more]) or "- no draft came to an answer"

    async def _summarised(self, drafts: Sequence[Chain]) -> Node[Completion] | None:
        room = self._population.room(len(drafts), reply=self._tokens)
        if room < LEAST:
            return None
        node = self._run.generate(
            set_task(self._question, SUMMARISE, *self._population.shown("draft", drafts, room)),
            label="notes",
            temperature=0.0,
            max_tokens=self._tokens,
        )
        outcome = await node.settled()
        return node if isinstance(outcome, Succeeded) and said(outcome.value) else None

    async def _ranked(self, drafts: Sequence[Chain]) -> list[Chain]:
        if self._by == "random":
            return self._run.random.sample(drafts, len(drafts))
        agreeing = _by_agreement(drafts)
        if self._by != "assessment" or len(drafts) == 1:
            return agreeing
        grades = await self._grades(drafts)
        return sorted(agreeing, key=lambda draft: grades[draft.index])

    async def _grades(self, drafts: Sequence[Chain]) -> Mapping[int, int]:
        """What the model thinks of each draft, from 0 for right to 3 where it does not say."""
        room = self._population.room(1)
        nodes = {
            draft.index: self._run.generate(
                set_task(self._question, ASSESS, *self._population.shown("draft", [draft], room)),
                label=f"assess draft {draft.index}",
                role="judge",
                temperature=0.0,
                max_tokens=4,
            )
            for draft in drafts
        }
        await self._run.outcomes(nodes.values())
        letters = {
            index: letter_in(said(node.value), LETTERS) if isinstance(node.outcome, Succeeded) else None
            for index, node in nodes.items()
        }
        self._run.decide("assessment", "graded", {"letters": {str(at): each for at, each in letters.items()}})
        return {
            index: len(LETTERS) if letter is None else LETTERS.index(letter)
            for index, letter in letters.items()
        }


def _telling(drafts: Sequence[Chain]) -> list[Chain]:
    return [draft for draft in drafts if draft.said]


def _by_agreement(drafts: Sequence[Chain]) -> list[Chain]:
    """Of each answer one draft, the most frequent answer first, then a second of each, and so on.

    So a next round sees that there are several answers, where there are.
    """
    claimed = [draft.cluster for draft in drafts]
    place = {
        draft.index: (
            draft.cluster is None,
            claimed[:at].count(draft.cluster),
            -claimed.count(draft.cluster),
            draft.index,
        )
        for at, draft in enumerate(drafts)
    }
    return sorted(drafts, key=lambda draft: place[draft.index])


def _noted(answers: str, summary: Completion, room: int) -> str:
    return slot("notes", f"{answers}\n\n{cut(said(summary), room)}")


def _quoted(answers: str, drafts: Sequence[Completion], room: int) -> str:
    said_in = [f"One draft:\n{shortened(said(draft), room)}" for draft in drafts]
    return slot("notes", "\n\n".join([answers, *said_in]))
