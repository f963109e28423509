"""Long inputs over parallel branches: chunks are quoted from side by side, and the quotes answer.

The shape, parallel contexts before one that reads them all, is that of CEPE (arXiv 2402.16617) and APE (arXiv
2502.05431), which change the model's attention; here it is prompts, so that any engine can do it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.errors import NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.standing import ALONE as UNCOMPARED
from planners.direct import direct
from planners.documents.choosing import Select, Selection, selection, words_of
from planners.documents.ensemble import answers_alone
from planners.documents.evidence import Evidence, condensed
from planners.documents.following import follow
from planners.documents.lengths import FEWEST, Room, room_for
from planners.documents.matter import Matter
from planners.documents.prompts import ALONE, COMPLETE, FOLLOW, QUOTE, RELEVANT
from planners.documents.reading import Read, Reader
from planners.handing import PLAIN, instead
from planners.questions import Temperature, Tokens
from planners.vote import WIDEST, vote

_MADE_UP: Final = re.compile(r"^[ \t]*\[\d+\] (?:\([^\n]*\) )?\d+-\d+: [^\n]*\n?", re.MULTILINE)
"""Lines of an answer in the form of the citations that follow it, which models are not shown."""

UNSUPPORTED: Final = "no quote of the material supports the answer"


@planner("documents")
async def documents(
    run: Run,
    question: Question,
    *,
    combine: Literal["evidence", "ensemble"] = "evidence",
    select: Select = "all",
    most: Annotated[int, Field(ge=1, le=1024)] = 64,
    chunk: Annotated[int, Field(ge=FEWEST, le=131_072)] = 1024,
    hops: Annotated[int, Field(ge=1, le=4)] = 2,
    n: Annotated[int, Field(ge=1, le=WIDEST)] = 1,
    quote_tokens: Tokens = 256,
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Read the material in chunks side by side, quote what helps, and answer from the quotes.

    The material is that of the question, cut into chunks of at most ``chunk`` tokens, or what the engine's
    context leaves. ``select`` says which are read, ``most`` how many at most. With ``combine`` "evidence",
    each is quoted from, in at most ``quote_tokens`` tokens; what quotes name is looked up in further rounds,
    ``hops`` in all; and one call answers from the quotes, or a vote of ``n``. With "ensemble", each chunk
    answers by itself, and their answers vote with weights. Completions get at most a quarter of the context.

    Raises:
        NodeFailed: no call that answers succeeded, and nothing was quoted.
        AnswerRefused: the model, or a filter, refused to answer.
        InvalidRequest: the engine's context is too small for the question and a piece of the material.
    """
    if not question.context.strip():
        name, ask = instead(run, question, PLAIN)
        run.decide("documents", name, {"reason": "no material is given"})
        return await ask(run, question)
    told = (QUOTE + FOLLOW, RELEVANT, COMPLETE, ALONE)
    room = room_for(run, question, told, chunk=chunk, quotes=quote_tokens, answer=max_tokens)
    matter = Matter(question.context, room.material)
    saw = {"documents": len(matter.sources), "chunks": len(matter.chunks), "tokens of one": room.material}
    run.decide("documents", combine, saw)
    calls = run.budget.calls
    keep = n if calls is None else min(n, max(1, calls // 2))
    if calls is not None and combine == "evidence":
        calls -= keep
    if calls is not None and calls < 1:
        return await _unsupported(run, question, matter, room, "the budget has no calls for reading")
    chosen = await selection(run, question, matter, select, most, calls)
    if combine == "ensemble":
        answer, failed = await answers_alone(run, question, matter, chosen.read, room, temperature)
        unread = [Read(each, trouble="its call failed") for each in failed]
        return _told(answer, question, matter, chosen, unread, found=answer.claim is not None)

    reader = Reader(run, question, matter, room, temperature=temperature, keep=keep)
    run.propose(lambda: _listed(matter, reader.quotes, "the run ended before the quotes were read"))
    await reader.read([(each, "") for each in chosen.read])
    await follow(run, question, matter, reader, room, hops=hops, keep=keep)
    read_later = {read.chunk for read in reader.reads}
    chosen = replace(chosen, left_out=[each for each in chosen.left_out if each not in read_later])
    unread = [read for read in reader.reads if read.trouble]
    if not reader.quotes:
        dropped = sum(len(read.dropped) for read in reader.reads)
        why = f"nothing was quoted; {dropped} lines do not stand in the material"
        answer = await _unsupported(run, question, matter, room, why)
        return _told(answer, question, matter, chosen, unread, found=False)
    evidence = await condensed(run, question, matter, reader.quotes, room, keep=keep)
    answer = await _answered(run, question, matter, evidence, room, n=keep, temperature=temperature)
    answer = _cited(answer, matter, reader.reads, evidence)
    return _told(answer, question, matter, chosen, unread, found=True)


async def _answered(
    run: Run,
    question: Question,
    matter: Matter,
    evidence: Evidence,
    room: Room,
    *,
    n: int,
    temperature: float,
) -> Answer:
    """The answer from the evidence alone; if no call for it succeeds, the evidence itself, undecided."""
    material = matter.listed(evidence.passages)
    run.decide("evidence", f"{len(evidence.quotes)} quotes", {"tokens": matter.tokens(evidence.passages)})
    asked = replace(question, context=material)
    try:
        if n > 1:
            return await vote(run, asked, n=n, max_tokens=room.answer)
        return await direct(run, asked, temperature=temperature, max_tokens=room.answer)
    except NodeFailed as error:
        run.decide("documents", "the quotes stay", {"reason": error.failure.message})
        listed = _listed(
            matter, evidence.quotes, f"no answer was made of the quotes: {error.failure.message}"
        )
        if listed is None:
            raise
        return listed


async def _unsupported(run: Run, question: Question, matter: Matter, room: Room, why: str) -> Answer:
    """An answer from the chunk that shares most words with the question; nothing in it is vouched for."""
    (_, best), *_ = matter.ranked(matter.chunks, words_of(question))
    run.decide("documents", "no evidence", {"reason": why, "answered from": f"{best.start}-{best.end}"})
    asked = replace(question, context=matter.shown(best))
    answer = await direct(run, asked, max_tokens=room.answer)
    return replace(answer, undecided=answer.undecided or UNSUPPORTED)


def _listed(matter: Matter, quotes: Sequence[tuple[int, int]], why: str) -> Answer | None:
    """The quotes as they are, for where nobody has read them."""
    return Answer(matter.cited(quotes), undecided=why) if quotes else None


def _cited(answer: Answer, matter: Matter, reads: Sequence[Read], evidence: Evidence) -> Answer:
    """The answer with the quotes that it is made from, and where they stand, which only the runtime says."""
    sources = matter.cited(evidence.quotes)
    text = answer.text if answer.text == sources else f"{_unforged(answer.text)}\n\n{sources}"
    reasoning = f"{_unforged(answer.reasoning)}\n\n{sources}" if answer.reasoning else text
    quotes, left = len(evidence.quotes), evidence.left_out
    gave = sum(any(each.holds(at) for at, _ in evidence.quotes) for each in matter.chunks)
    cut = len({read.chunk for read in reads if read.cut})
    basis = f"from {quotes} quote{'s' * (quotes > 1)} of {gave} of {len(matter.chunks)} chunks"
    basis += f", {left} more did not fit" if left else ""
    basis += f", and {_counted(cut)} quoted only in part" if cut else ""
    return replace(answer, text=text, reasoning=reasoning, basis=f"{basis}; {answer.basis or UNCOMPARED}")


def _unforged(text: str) -> str:
    """What a model says, without citations of its own making."""
    return _MADE_UP.sub("", text).rstrip()


def _told(
    answer: Answer,
    question: Question,
    matter: Matter,
    chosen: Selection,
    unread: Sequence[Read],
    *,
    found: bool,
) -> Answer:
    """The answer with what was not read in its basis; undecided if that may have what is asked for."""
    basis = answer.basis or UNCOMPARED
    if chosen.left_out:
        basis += f"; {_counted(len(chosen.left_out))} left out ({chosen.why})"
    if not unread:
        return replace(answer, basis=basis)
    lost = _counted(len({read.chunk for read in unread}))
    basis += f"; {lost} not read to the end"
    wanted = matter.rarity.telling(words_of(question))
    followed = [read.chunk for read in unread if read.hop > 1]
    telling = [each for score, each in matter.ranked([read.chunk for read in unread], wanted) if score > 0]
    if answer.undecided or (found and not followed and not telling):
        return replace(answer, basis=basis)
    shown = dict.fromkeys([*followed, *telling] or [read.chunk for read in unread])
    where = ", ".join(f"{each.start}-{each.end}" for each in list(shown)[:3])
    why = f"{lost} not read to the end, and may have what is asked for (characters {where})"
    return replace(answer, basis=basis, undecided=why)


def _counted(chunks: int) -> str:
    return "1 chunk was" if chunks == 1 else f"{chunks} chunks were"
