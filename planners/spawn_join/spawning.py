"""The planner: a parent spawns children that see only their message, and goes on from what they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field

from orchestrator.errors import AnswerRefused, InvalidRequest
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Message, user
from orchestrator.runtime.nodes import Node, NodeKind, Succeeded
from orchestrator.runtime.values import Answer, Question, Turn
from orchestrator.voting.abstaining import no_answer
from planners.acting import CONCLUDING, FROM_RESULTS, LONGEST_SHOWN, told
from planners.calls import NO_CALLING
from planners.forking import CriticalPath, affordable, waves
from planners.handing import PLAIN, instead
from planners.questions import (
    Temperature,
    Tokens,
    answer_of,
    conversation,
    guarded_question,
    set_task,
    slot,
)
from planners.spawn_join.conversations import (
    BY_CALL,
    BY_MARKERS,
    JOIN_BY_CALL,
    JOIN_BY_MARKERS,
    TAGS,
    Calling,
    Conversation,
    Move,
    Seat,
    Writing,
)
from workers.calls import Completion

BY: Final = "spawn_join"
MOST_RETURNED: Final = LONGEST_SHOWN - 100  # with words on what was cut
Form: TypeAlias = Literal["auto", "calls", "text"]

HANDING_OUT = (
    "Parts of the work that do not need each other's results may be handed to children, which work side by "
    "side. A child sees the message that you write to it and nothing else, neither the question nor the "
    "other children: say in it all that is needed. Keep what is quickly done, and what is to be done step by "
    "step. Children in all: {children}.\n"
)
CHILD = (
    "You are given one part of a larger piece of work, between <question> and </question>. Nothing else is "
    "known of it. Do that part and nothing besides, briefly.\n"
)


@planner(BY)
async def spawn_join(
    run: Run,
    question: Question,
    *,
    form: Form = "auto",
    children: Annotated[int, Field(ge=1, le=64)] = 8,
    depth: Annotated[int, Field(ge=1, le=4)] = 1,
    turns: Annotated[int, Field(ge=1, le=32)] = 6,
    max_tokens: Tokens = 1024,
    child_tokens: Tokens = 512,
    returned: Annotated[int, Field(ge=20, le=MOST_RETURNED)] = 2000,
    temperature: Temperature = 0.6,
) -> Answer:
    """Let the model spawn children for parts of the work, and go on with what they return.

    ``form`` is how it spawns: by calls of functions, by markers in its text, or (auto) by calls where the
    engine has function calling. ``children`` bounds the children in all; with a ``depth`` above 1 they may
    spawn some of what is left themselves. ``turns`` bounds the turns of each conversation, ``max_tokens``
    each turn of the parent, ``child_tokens`` each of a child, and ``returned`` the characters of what a child
    returns. If the turns come to no answer, one is made from what the children returned; if they returned
    nothing, the question is asked plainly. The trace has the reason in both cases.

    Raises:
        InvalidRequest: ``form`` is ``calls``, and the engine has no function calling.
        NodeFailed: the engine failed even then.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    by_calls = run.capabilities.function_calls if form == "auto" else form == "calls"
    if by_calls and not run.capabilities.function_calls:
        raise InvalidRequest(f"form=calls: {NO_CALLING}; choose form=text or form=auto")
    if not by_calls:
        how = "continues" if run.capabilities.assistant_prefill else "does not continue"
        run.decide(BY, "text", {"reason": f"form={form}", "engine": f"it {how} what an assistant has said"})
    depth = depth if run.budget.depth is None else min(depth, run.budget.depth)
    asked = guarded_question(question, *TAGS)
    share = Share(
        children=children if depth else 0,
        depth=depth,
        width=run.budget.width,
        turns=turns,
        child_tokens=child_tokens,
        returned=returned,
        temperature=temperature,
        by_calls=by_calls,
        history=asked.history,
    )
    path = CriticalPath()
    prompt = set_task(asked, *share.invitation(), CONCLUDING)
    parent = Member(run, share, path, share.conversation(run, prompt, joins=False), max_tokens)
    run.propose(parent.so_far)
    ended = await parent.ended()
    found = "\n".join(parent.lines())
    if ended.completion is not None and (ended.move.said or not parent.found):
        run.decide(BY, "finish", {**parent.seen(), **path.told()})
        completion = replace(ended.completion, text=ended.move.said)
    elif found:
        results = slot("results", found)
        last = run.generate(
            set_task(asked, results, FROM_RESULTS + CONCLUDING),
            label="answer",
            temperature=temperature,
            max_tokens=max_tokens,
        )
        completion = await path.add(last)
        run.decide(BY, "answer from results", {"reason": ended.why, **parent.seen(), **path.told()})
    else:
        name, ask = instead(run, question, PLAIN)
        run.decide(BY, name, {"reason": ended.why, **parent.seen(), **path.told()})
        return await ask(run, question)
    return replace(
        answer_of(completion, question),
        undecided=no_answer(completion, max_tokens),
        basis=_basis(parent.found),
        reasoning=found or None,
    )


@dataclass(frozen=True, slots=True)
class Share:
    """What a member of the tree may spend. A child's is a part of its parent's, whatever its siblings do.

    ``history`` is the conversation before the question, which all members know.
    """

    children: int
    depth: int
    width: int | None
    turns: int
    child_tokens: int
    returned: int
    temperature: float
    by_calls: bool
    history: tuple[Turn, ...]
    level: int = 0

    def of_child(self, spawned: int, left: int, beside: int) -> Share:
        """What a child has that is one of ``spawned``, with ``beside`` at a time; half of what is left."""
        depth = self.depth - 1
        return replace(
            self,
            children=left // 2 // spawned if depth else 0,
            depth=depth,
            width=None if self.width is None else max(1, self.width // beside),
            level=self.level + 1,
        )

    def invitation(self) -> tuple[str, ...]:
        """What is said of children to a member that may have some."""
        if not self.children:
            return ()
        return (HANDING_OUT.format(children=self.children), BY_CALL if self.by_calls else BY_MARKERS)

    def conversation(self, run: Run, prompt: Sequence[Message], *, joins: bool) -> Conversation:
        """The turns of a member, in the form of the run."""
        form: Callable[[Run, Seat, Sequence[Message]], Conversation] = Calling if self.by_calls else Writing
        return form(run, Seat(self.children > 0, joins), prompt)


class Ended(NamedTuple):
    """How the turns of a member ended: with its last completion, or ``why`` there is none to use.

    ``failed`` is the call that failed, if one did.
    """

    completion: Completion | None
    move: Move
    why: str = ""
    failed: Node[Completion] | None = None


class Returned(NamedTuple):
    """A child's message, and its node once that has settled."""

    message: str
    node: Node[str]


class Member:
    """A parent, or a child that may be a parent itself. ``found`` are its children that have settled."""

    def __init__(
        self, run: Run, share: Share, path: CriticalPath, conversation: Conversation, max_tokens: int
    ) -> None:
        self.found: list[Returned] = []
        self._run = run
        self._share = share
        self._path = path
        self._conversation = conversation
        self._left = share.children
        self._sampling: SamplingOptions = {"temperature": share.temperature, "max_tokens": max_tokens}
        self._turns = 0
        self._said = ""

    async def ended(self) -> Ended:
        """Take turns until one spawns nothing."""
        move = Move("")
        while self._turns < self._share.turns:
            self._turns += 1
            node = self._conversation.ask(f"turn {self._turns}", **self._sampling)
            outcome = await self._path.add(node).settled()
            if not isinstance(outcome, Succeeded):
                return Ended(None, move, f"turn {self._turns} failed: {outcome.why}", node)
            move = self._conversation.read(outcome.value)
            self._said = move.said or self._said
            if move.wrong:
                self._run.decide(BY, "refuse", {"turn": self._turns, "why": move.wrong})
            if move.ends:
                return Ended(outcome.value, move, "" if move.said else f"turn {self._turns} says nothing")
            self._conversation.tell(outcome.value, await self._returned(move.messages))
        return Ended(None, move, f"{self._turns} turns have come to no answer")

    async def _returned(self, messages: Sequence[str]) -> list[str]:
        """What came of each message: what a child returned, how it failed, or that it was not spawned."""
        run, share = self._run, self._share
        spawned = affordable(run, min(len(messages), self._left), reserve=share.level + 1)
        self._left -= spawned
        beside = min(spawned, share.width or spawned)
        each = share.of_child(spawned, self._left, beside) if spawned else share
        self._left -= spawned * each.children
        returned: list[str] = []
        for wave in waves(messages[:spawned], share.width):
            children = [
                Returned(
                    message,
                    run.scope(NodeKind.SPAWN, f"child {len(self.found) + at}", child, message, each, path),
                )
                for at, (message, path) in enumerate(zip(wave, self._path.fork(len(wave)), strict=True), 1)
            ]
            await run.outcomes([each.node for each in children])
            self.found += children
            returned += [told(each.node) for each in children]
        if refused := len(messages) - spawned:
            run.decide(BY, "spawn fewer", {"asked": len(messages), "spawned": spawned})
            returned += ["not spawned: there are no more children; do it yourself"] * refused
        return returned

    def lines(self) -> list[str]:
        """What children have returned, each after what it was told to do; failures are none."""
        return [f"{each.message}\n= {told(each.node)}" for each in self.found if _has_returned(each)]

    def so_far(self) -> Answer | None:
        """The best answer while the turns go on: what it said itself, and what its children returned."""
        said = "\n".join(filter(None, [self._said, *self.lines()]))
        return Answer(said, basis=_basis(self.found)) if said else None

    def seen(self) -> dict[str, Any]:
        """What the trace is told at the end."""
        returned = sum(map(_has_returned, self.found))
        form = "calls" if self._share.by_calls else "text"
        return {"form": form, "turns": self._turns, "children": len(self.found), "returned": returned}


async def child(run: Run, message: str, share: Share, path: CriticalPath) -> str:
    """Do what a message says, knowing no more than the conversation before the question.

    Returns what joins, or what is said in the last turn.

    Raises:
        NodeFailed: a call failed.
        AnswerRefused: the model, or a filter, refused.
    """
    joining = JOIN_BY_CALL if share.by_calls else JOIN_BY_MARKERS
    task = CHILD, *share.invitation(), joining, slot("question", message)
    prompt = [*conversation(Question(message, history=share.history)), user(*task)]
    member = Member(run, share, path, share.conversation(run, prompt, joins=True), share.child_tokens)
    ended = await member.ended()
    if ended.completion is None:
        if ended.failed is not None and not member.lines():
            await ended.failed  # raises
        return _bounded("\n".join(filter(None, [ended.move.said, *member.lines()])), share.returned)
    if ended.completion.finish_reason == "refused":
        raise AnswerRefused(f"the child refused: {ended.move.said or 'it says no more'}")
    joined = ended.move.said if ended.move.joined is None else ended.move.joined
    cut = " (cut off here)" if ended.completion.finish_reason != "stop" and joined else ""
    return _bounded(joined, share.returned) + cut


def _bounded(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else f"{text[:most]}… (cut after {most} of {len(text)} characters)"


def _has_returned(child: Returned) -> bool:
    return isinstance(child.node.outcome, Succeeded) and bool(child.node.value)


def _basis(found: Sequence[Returned]) -> str | None:
    """What an answer rests on; None if no child has returned anything, as after a plain call."""
    returned = sum(map(_has_returned, found))
    if not returned:
        return None
    return f"made from what {returned} of {len(found)} children returned, not compared with others"
