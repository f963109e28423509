"""The page of workers who see each other's paragraphs: the rounds in which it grows, and what is dropped."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.consensus.thinking import split_thinking
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from planners.drift import repeats
from planners.forking import waves
from planners.questions import answer_of, guarded, said, set_task
from workers.calls import Completion, Usage

RULES = (
    "Several workers solve the question together on one page, which all of them see and go on with at the "
    "same time, a paragraph each. They share the work: each takes a part that nobody has taken, or another "
    "way to the same end, says in few words what it takes, builds on what stands there, puts right what is "
    "wrong, and leaves its own way when another one is further.\n"
)
TURN = (
    "You are worker {name}. Write your next paragraph of the page: one short paragraph that brings the "
    "solution forward, and nothing else. The others write theirs at the same time, so take what they will "
    "not take. If all that you would write stands there already, or the question is solved, reply only: "
    "nothing to add.\n"
)
NAMES: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight")
"""What the workers are called; in words, as a number might be taken for an answer."""

LEAST_ANSWER: Final = 256
"""Tokens that are kept for the answer at least, if it may have more."""

_TASK: Final = 64
"""Tokens by which the task of the answer may be longer than that of a paragraph."""

_OPEN, _CLOSE = "<page>\n", "</page>\n"
_ENDS: Final = ("\n\n", "\nWorker ")
"""Where a worker's paragraph ends; many models would go on with those of the others."""

_NAMED: Final = rf"\W*(?:worker|you are worker) (?:{'|'.join(NAMES)})\b\W*[:.,*]"
_TAG = re.compile(rf"(?:{_NAMED}\W*)+", re.IGNORECASE)
_ANOTHER = re.compile(rf"[\n\r\v\f\x85\u2028\u2029]{_NAMED}", re.IGNORECASE)
"""Where another worker speaks, however its name is written, for models that stop strings do not stop."""
_SHORT: Final = 80
"""Characters up to which a reply that begins with words for nothing adds nothing."""
_NOTHING = re.compile(
    r"\W*(?:(?:i have|there is|there's) )?(?:nothing (?:to add|more|else|new|further)\b"
    r"|no (?:additions?|more to)\b|nothing\W*\Z)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a worker has written in a round, with its tokens; ``dropped`` says why it is not on the page."""

    worker: str
    text: str
    tokens: int
    dropped: str = ""

    @property
    def shown(self) -> str:
        """How it stands on the page: it can neither close the page nor speak for another worker."""
        text = guarded(self.text, "page")
        return f"Worker {self.worker}: {text}\n\n"


class Page:
    """The page with what has been dropped from it, and the rounds in which it grows."""

    def __init__(
        self, run: Run, question: Question, names: Sequence[str], temperature: float, max_tokens: int
    ) -> None:
        self.paragraphs: list[Paragraph] = []
        self._run = run
        self._question = question
        self._names = names
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._rounds = 0
        self._dropped: list[Paragraph] = []
        self._silent = 0
        self._answered = 0
        """How many workers of the last round gave a completion."""
        self._failed = 0
        self._thinks = False
        """Whether a model thought in paragraphs, so that none may be ended at a blank line."""
        self._last = Usage()
        """What the last round has used."""
        self._longest = 0
        """The tokens of its longest prompt."""
        self._usage = Usage()
        self._run.propose(self._so_far)

    @property
    def text(self) -> str:
        """The page as people are shown it."""
        return "".join(each.shown for each in self.paragraphs).strip()

    @property
    def told(self) -> str:
        """The page in a few words."""
        by = len({each.worker for each in self.paragraphs})
        count, rounds = len(self.paragraphs), self._rounds
        return (
            f"a page of {count} paragraph{'s' * (count > 1)} by {by} worker{'s' * (by > 1)} "
            f"in {rounds} round{'s' * (rounds > 1)}"
        )

    @property
    def seen(self) -> dict[str, int]:
        """What the rounds have shown: tokens that are on the page, and those that were written in vain."""
        return {
            "rounds": self._rounds,
            "paragraphs": len(self.paragraphs),
            "shared tokens": sum(each.tokens for each in self.paragraphs),
            "dropped": len(self._dropped),
            "dropped tokens": sum(each.tokens for each in self._dropped),
            "nothing to add": self._silent,
            "failed": self._failed,
            "prompt tokens": self._usage.prompt_tokens,
            "cached tokens": self._usage.cached_tokens,
        }

    @property
    def all_failed(self) -> bool:
        """Whether no worker of the last round gave a completion."""
        return not self._answered

    def prompt(self, task: str) -> list[Message]:
        """The page as it is, and what is to be done with it: all up to its last paragraph stays as it is."""
        paragraphs = (each.shown for each in self.paragraphs)
        return set_task(self._question, RULES, _OPEN, *paragraphs, f"{_CLOSE}{task}")

    def is_full(self, max_tokens: int) -> str:
        """Why there is no room for another round and an answer of so many tokens; empty if there is.

        The answer may have less of the context, but no less than :data:`LEAST_ANSWER`.
        """
        budget, workers = self._run.budget, len(self._names)
        if budget.calls is not None and budget.calls <= workers:
            return "the calls that are left are for the answer"
        spent = self._last.prompt_tokens + self._last.completion_tokens
        grows = workers * (workers + 1) * self._max_tokens
        if budget.tokens is not None and spent and budget.tokens < spent + grows + self._longest + max_tokens:
            return "the tokens that are left are for the answer"
        least = min(max_tokens, LEAST_ANSWER) + _TASK if self._run.edition >= 3 else max_tokens
        if self._left(2 * workers) < least:
            return "the page fills the context of the model"
        return ""

    def room(self, max_tokens: int) -> int:
        """The tokens that the answer may have: as many as it should, if the page leaves them."""
        return min(max_tokens, max(LEAST_ANSWER, self._left(len(self._names)) - _TASK))

    def _left(self, paragraphs: int) -> int:
        """The tokens of the context that the page leaves if so many paragraphs come to its last prompt."""
        context = self._run.capabilities.max_model_len
        return sys.maxsize if context is None else context - self._longest - paragraphs * self._max_tokens

    async def round(self, number: int) -> bool:
        """Let each worker write a paragraph; whether any of them is new."""
        self._rounds = number
        nodes = await self._all_asked(self._names, number)
        thought = [] if self._thinks else [name for name, node in nodes.items() if _ended_in_thought(node)]
        if thought:
            self._thinks = True
            tokens = sum(nodes[name].value.usage.completion_tokens for name in thought)
            self._run.decide("together", "paragraphs are thought", {"round": number, "wasted tokens": tokens})
            nodes |= await self._all_asked(thought, number, ", whole")
        before = len(self.paragraphs)
        self._answered = sum(isinstance(node.outcome, Succeeded) for node in nodes.values())
        self._last, self._longest = Usage(), 0
        dropped: dict[str, str] = {}
        for name, node in nodes.items():
            if isinstance(node.outcome, Succeeded):
                self._take(name, node.value, dropped)
            else:
                self._failed += 1
        if dropped:
            self._run.decide("together", "dropped", {"round": number, **dropped})
        return len(self.paragraphs) > before

    async def _all_asked(
        self, names: Sequence[str], number: int, again: str = ""
    ) -> dict[str, Node[Completion]]:
        """What workers write who see the same page: at once, or as many as the budget lets be in flight."""
        nodes: dict[str, Node[Completion]] = {}
        for wave in waves(names, self._run.budget.width):
            nodes |= {name: self._asked(name, number, again) for name in wave}
            await self._run.outcomes(nodes.values())
        return nodes

    def _asked(self, name: str, number: int, again: str) -> Node[Completion]:
        return self._run.generate(
            self.prompt(TURN.format(name=name)),
            label=f"worker {name}, round {number}{again}",
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            stop=() if self._thinks else _ENDS,
        )

    def _take(self, name: str, completion: Completion, dropped: dict[str, str]) -> None:
        """Put a worker's paragraph on the page, unless it says nothing new."""
        usage = completion.usage
        self._last += usage
        self._usage += usage
        self._longest = max(self._longest, usage.prompt_tokens)
        text = paragraph_of(said(completion))
        if not text or (len(text) <= _SHORT and _NOTHING.match(text)):
            self._silent += 1
            return
        each = Paragraph(name, text, usage.completion_tokens)
        why = repeats(text, [other.text for other in self.paragraphs], self._question.text)
        if why:
            self._dropped.append(replace(each, dropped=why))
            dropped[f"worker {name}"] = why
        else:
            self.paragraphs.append(each)

    def _so_far(self) -> Answer | None:
        """The last paragraph, which is as far as the workers have come; None while there is none."""
        if not self.paragraphs:
            return None
        last = answer_of(Completion(self.paragraphs[-1].text, "length"), self._question)
        return replace(last, basis=f"the last of {self.told}", reasoning=self.text)


def paragraph_of(text: str) -> str:
    """The first paragraph of what a worker says, without its name; it ends where another worker speaks."""
    text = text.strip()
    if own := _TAG.match(text):
        text = text[own.end() :]
    ends = [text.find(end) for end in _ENDS if end in text]
    if another := _ANOTHER.search(text):
        ends.append(another.start())
    return text[: min(ends)].strip() if ends else text


def _ended_in_thought(node: Node[Completion]) -> bool:
    """Whether a paragraph was ended inside the model's thinking, be that in its text or apart from it."""
    if not isinstance(node.outcome, Succeeded) or node.value.finish_reason != "stop":
        return False
    said_nothing = not split_thinking(node.value.text).answer.strip()
    return said_nothing and bool(node.value.text.strip() or node.value.reasoning.strip())
