"""The planner: one text, in which a model has parts of it written side by side, as in ThreadWeaver.

The client of the paper over a stock engine (its state machine, arXiv 2512.07843): the text is generated up to
the end of the outlines of a block, each outline becomes a call that continues it, and the threads are put
back in the order of their outlines before the text goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.acting import CONCLUDING
from planners.dependence import whole_list_at_sight
from planners.forking import affordable
from planners.handing import PLAIN, instead
from planners.questions import Temperature, Tokens, answer_of, guarded_question, set_task
from planners.signs import Kind, shown
from planners.threads.dialects import BLOCK, DIALECTS, Block, Name
from planners.threads.text import Text
from workers.calls import Completion, Usage

BY: Final = "threads"
NO_PREFILL: Final = "the engine does not continue what an assistant has said"

TASK = (
    "Work the question out in one text. Where two or more parts of the work do not need each other's "
    "results, have them written side by side: write a block in the form below, with an outline for each part "
    "that says in a sentence or two what is to be done there, and no result. After the outlines of a block, "
    "all of its parts are written; then go on from what they say. What needs what comes before it belongs in "
    "no block.\n"
)
LEAST: Final = 16
"""Tokens without which a thread is not begun."""


@planner(BY)
async def threads(
    run: Run,
    question: Question,
    *,
    dialect: Name = "threadweaver",
    lead: Literal["offer", "begin"] = "offer",
    max_blocks: Annotated[int, Field(ge=1, le=32)] = 8,
    max_threads: Annotated[int, Field(ge=2, le=32)] = 8,
    thread_tokens: Tokens = 512,
    max_tokens: Tokens = 2048,
    total_tokens: Tokens = 16_384,
    temperature: Temperature = 0.6,
) -> Answer:
    """Let the model write one text, and have the parts that it outlines in blocks written side by side.

    ``dialect`` are the tags of ThreadWeaver or of Multiverse. ``lead`` "begin" has the text begin with a
    block, "offer" leaves it to the model, unless the words of the question show that its parts need each
    other; such a question is answered by what suits it (:func:`~planners.handing.instead`). A block that is
    not in the form, or is more than the bounds allow, is taken back, and the text goes on in one sequence.
    ``max_tokens`` bounds the longest chain of tokens, ``total_tokens`` all of them, ``thread_tokens`` each
    thread, ``max_blocks`` the blocks, and ``max_threads`` the threads of each. If the engine does not
    continue answers, or the text comes to nothing, the question is asked plainly. The trace has the reasons,
    and how often the form was kept to.

    Raises:
        NodeFailed: the engine failed even then.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    if why := _unfit(run, question, offers=lead == "offer"):
        name, ask = instead(run, question, PLAIN)
        run.decide(BY, name, {"reason": why})
        return await ask(run, question)
    tags = DIALECTS[dialect]
    asked = guarded_question(question, *tags.tags)
    text = Text(run, tags, set_task(asked, TASK, tags.form, CONCLUDING), temperature)
    run.propose(text.so_far)
    bounds = Bounds(max_blocks, max_threads, thread_tokens, max_tokens, total_tokens)
    completion, why = await _woven(text, bounds, begins=lead == "begin")
    if completion is None or not (completion.finish_reason == "refused" or text.last):
        name, ask = instead(run, question, PLAIN)
        run.decide(BY, name, {"reason": why or "the text comes to nothing", **text.seen()})
        return await ask(run, question)
    run.decide(BY, "finish", text.seen())
    used = replace(completion, usage=Usage(completion_tokens=text.path.sequential))
    undecided = no_answer(used, max_tokens)
    if completion.finish_reason == "length" and text.path.total >= total_tokens:
        undecided = f"the answer was cut off: total_tokens={total_tokens} is too small"
    undecided = undecided or text.counts.lost
    whole = answer_of(replace(completion, text=text.whole), question)
    last = answer_of(replace(completion, text=text.last), question)
    basis = f"written in one text, {text.counts.told()} side by side" if text.counts.threads else None
    return replace(whole, claim=last.claim or whole.claim, undecided=undecided, basis=basis)


def _unfit(run: Run, question: Question, *, offers: bool) -> str:
    """Why nothing should be written side by side; empty if something may be.

    What is made of a whole list, as when it is sorted, breaks where its parts are written by themselves. A
    question with one short answer has other parts, so it is left to the model.
    """
    if not run.capabilities.assistant_prefill:
        return NO_PREFILL
    sign = shown(question)
    if not offers or run.edition < 3 or (sign is not None and sign.kind is Kind.SHORT):
        return ""
    words = whole_list_at_sight(question.text)
    return f"its parts need each other: {words!r}" if words else ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The options of that name."""

    max_blocks: int
    max_threads: int
    thread_tokens: int
    max_tokens: int
    total_tokens: int

    def left(self, text: Text) -> int:
        """The tokens of what is written in sequence next: one at least, as an engine would refuse fewer."""
        longest = self.max_tokens - text.path.sequential
        return max(1, min(longest, self.total_tokens - text.path.total))


async def _woven(text: Text, bounds: Bounds, *, begins: bool) -> tuple[Completion | None, str]:
    """Write the text to its end; returns its last completion, or why there is none."""
    if begins:
        text.begin()
    while True:
        completion, failed = await text.go_on(bounds.left(text), stop=(text.dialect.closes,))
        if completion is None:
            return None, failed
        start = text.dialect.begun(text.piece)
        if completion.finish_reason != "stop" or (start is None and text.last):
            return completion, ""
        block = text.dialect.read(text.piece) if start is not None else "nothing follows the block"
        why = block if isinstance(block, str) else _beyond(text, block, bounds)
        if isinstance(block, str):
            text.counts.broken += start is not None
        if not why and isinstance(block, Block):
            await text.fork(block, _room(text, len(block.outlines), bounds))
            continue
        text.run.decide(BY, "one sequence", {"reason": why})
        text.take_back(start)
        completion, failed = await text.go_on(bounds.left(text), stop=(f"<{BLOCK}>",))
        if completion is not None and not completion.text.strip():
            return None, f"{why}, and one sequence comes to nothing"
        return completion, failed


def _room(text: Text, count: int, bounds: Bounds) -> int:
    """The tokens that each of so many threads may have, so that the text can still be ended after them."""
    sequential = (bounds.max_tokens - text.path.sequential) // 2
    total = (bounds.total_tokens - text.path.total) // (count + 1)
    return min(bounds.thread_tokens, sequential, total)


def _beyond(text: Text, block: Block, bounds: Bounds) -> str:
    """Why the threads of a block cannot be written within the bounds; empty if they can."""
    count = len(block.outlines)
    if text.counts.blocks == bounds.max_blocks:
        return f"there have been {bounds.max_blocks} blocks"
    if count > bounds.max_threads:
        return f"{count} outlines are more than {bounds.max_threads}"
    if affordable(text.run, count) < count:
        return f"the budget has no calls for {count} threads"
    return "" if _room(text, count, bounds) >= LEAST else "too few tokens are left for threads"
