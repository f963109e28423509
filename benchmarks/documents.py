"""What a second question over the same documents computes, and how often planted facts are found.

    python -m benchmarks.documents [--embedded NAME] [--cases N] [--characters C] [--chunk T]
        [--kinds KIND ...] [--ways WAY ...] [--seed S] [--json]

Without a model, ``documents`` answers one question about a material of many chunks on the simulator, and then
another one, whose prompts should compute only their own tokens: *own* counts, call by call, what a prompt of
the second run has that none of the first had (of the call that answers, all that follows it), and the rest of
a block, which a cache of blocks computes anew. It may compute at most 1.1 times that.

With ``--embedded``, the model of that name answers the cases of :mod:`benchmarks.long_documents`, by
``documents``, by its baseline of chunks that answer alone, and by ``direct`` over the whole text, and then a
second question about the last material. *Found* are the planted facts that a quote overlaps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final

from benchmarks.long_documents import KINDS, Case, cases
from benchmarks.prefix_planners import Metered
from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment, Result
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Answer, Budget, Question
from planners.direct import direct
from planners.documents.planner import documents
from planners.documents.prompts import QUOTE
from planners.questions import SYSTEM
from storage.events import Event
from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engine import Engine
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.simulator.cache import BLOCK
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

BOUND: Final = 1.1
CONTEXT: Final = 8192
"""Tokens of the embedded engine's context: ``direct`` is to have the whole text."""

WAYS: Final[Mapping[str, tuple[Planner, Mapping[str, Any]]]] = {
    "documents": (documents, {}),
    "documents, 1 hop": (documents, {"hops": 1}),
    "ensemble": (documents, {"combine": "ensemble"}),
    "direct": (direct, {}),
}
"""The planners; a chunk is as long as the command line says."""

_CITED: Final = re.compile(r"^\[\d+\] (?:\(.*?\) )?(\d+)-(\d+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One run: what it answered, and what it cost. ``found`` of the planted facts were quoted."""

    way: str
    kind: str
    answer: str
    gold: str
    right: bool
    undecided: bool
    found: int
    planted: int
    calls: int
    prompt: int
    computed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Second:
    """Prompt tokens of a second question: of all prompts, computed, and its own, with ``rests`` of blocks."""

    calls: int
    prompt: int
    computed: int
    own: int
    rests: int

    @property
    def ratio(self) -> float:
        """Computed over what has to be."""
        return self.computed / (self.own + self.rests)


class Counted(Metered):
    """An engine that notes the pieces of prompts that it is sent, and what it computed of them.

    With the ``known`` pieces of a run before, the others are a prompt's own: ``own`` has them, call by call.
    """

    def __init__(self, engine: Engine, known: frozenset[tuple[str, str]] = frozenset()) -> None:
        super().__init__(engine)
        self._known = known
        self.pieces: set[tuple[str, str]] = set()
        self.own: list[str] = []
        self.prompt = self.computed = 0

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Pass the call on."""
        pieces = [(each.role, each.text) for each in call.prompt.segments]
        self.pieces.update(pieces)
        new = [at for at, piece in enumerate(pieces) if piece not in self._known]
        if not any(text == QUOTE for _, text in pieces):  # it answers: whatever follows is its own as well
            new = list(range(min(new, default=len(pieces)), len(pieces)))
        self.own.append("".join(pieces[at][1] for at in new))
        async for chunk in self._engine.generate(call):
            if chunk.usage is not None:
                self.prompt += chunk.usage.prompt_tokens
                self.computed += chunk.usage.prompt_tokens - chunk.usage.cached_tokens
            yield chunk


async def tokens_of(engine: Engine, text: str) -> int:
    """The tokens that a user's message of that text adds to a prompt, as the engine counts them."""

    async def counted(*segments: Segment) -> int:
        call = Call(Prompt((Segment("system", SYSTEM), *segments)), Sampling(temperature=0.0, max_tokens=1))
        usages = [chunk.usage async for chunk in engine.generate(call) if chunk.usage is not None]
        return usages[-1].prompt_tokens

    return await counted(Segment("user", text)) - await counted() if text else 0


class _Journal:
    """Forgets everything."""

    def append(self, event: Event) -> None: ...
    async def flush(self) -> None: ...
    async def room(self) -> None: ...
    async def leased(self) -> None: ...


async def solved(planner: Planner, question: Question, engine: Engine, options: Mapping[str, Any]) -> Result:
    """One run of a planner."""
    given = planner.validate(dict(options))
    environment = Environment(engine, await engine.capabilities(), Toolbox([]), budget=Budget())
    return await Executor(Run, environment, _Journal()).execute(
        lambda run: planner(run, question, **given), {}
    )


async def second_question(
    engine: Engine, material: str, first: str, second: str, options: Mapping[str, Any], block: int = BLOCK
) -> Second:
    """What the run of a second question has computed; ``block`` is that of the engine's cache, in tokens."""
    before = Counted(engine)
    await solved(documents, Question(first, material), before, options)
    then = Counted(engine, frozenset(before.pieces))
    await solved(documents, Question(second, material), then, options)
    lengths = {text: await tokens_of(engine, text) for text in dict.fromkeys(then.own)}
    own, calls = sum(lengths[text] for text in then.own), len(then.own)
    return Second(calls, then.prompt, then.computed, own, (block - 1) * calls)


def reader(call: Call, _: Random) -> str:
    """What the simulator says: of a chunk, the last sentence with a number; else an answer."""
    told = "".join(message["content"] for message in call.prompt.messages())
    material = told.partition("<material>\n")[2].rpartition("\n</material>")[0]
    if QUOTE not in told:
        return "Answer: 7"
    quoted = [each for each in re.findall(r"[^.\n]+\.", material) if re.search(r"\d", each)]
    return quoted[-1].strip() if quoted else "nothing"


async def simulated() -> Second:
    """A second question on the simulator."""
    case, other = cases(2, characters=30_000, kinds=["planted"])
    return await second_question(Simulator(reader), case.material, case.text, other.text, {"hops": 1})


def judged(way: str, case: Case, result: Result, seconds: float) -> Asked:
    """A run as a row."""
    answer = result.answer or Answer("")
    quoted = [(int(start), int(end)) for start, end in _CITED.findall(answer.text)]
    found = sum(any(a < end and start < b for start, end in quoted) for a, b in case.planted)
    usage = result.spent.usage
    return Asked(
        way=way,
        kind=case.kind,
        answer=answer.claim or answer.text[:80],
        gold=case.answer,
        right=case.is_right(answer.claim or answer.text),
        undecided=answer.undecided is not None,
        found=found,
        planted=len(case.planted),
        calls=result.spent.calls,
        prompt=usage.prompt_tokens,
        computed=usage.prompt_tokens - usage.cached_tokens,
        seconds=round(seconds, 1),
    )


async def embedded(
    model: str, given: Sequence[Case], ways: Sequence[str], chunk: int
) -> tuple[list[Asked], Second]:
    """All ways over all cases, and a second question, on an embedded model."""
    engine = LlamaCppEngine(model, slots=4, context=CONTEXT, prefix_bytes=1 << 30)
    rows = []
    try:
        await engine.capabilities()
        for case in given:
            for way in ways:
                planner, options = WAYS[way]
                options = {**options, "chunk": chunk} if planner is documents else options
                began = time.monotonic()
                result = await solved(planner, Question(case.text, case.material), engine, options)
                rows.append(judged(way, case, result, time.monotonic() - began))
                print(rows[-1], file=sys.stderr, flush=True)
        last = given[-1]
        second = "Which rivers does the text name?"
        options = {"hops": 1, "chunk": chunk}
        return rows, await second_question(engine, last.material, last.text, second, options, block=1)
    finally:
        await engine.close()


def table(rows: Sequence[Asked]) -> str:
    """The rows by way, as Markdown."""
    lines = [
        "| way | right | undecided | planted facts quoted | calls | prompt tokens | computed | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in dict.fromkeys(row.way for row in rows):
        own = [row for row in rows if row.way == way]
        quoted = f"{sum(row.found for row in own)} of {sum(row.planted for row in own)}"
        lines.append(
            f"| {way} | {sum(row.right for row in own)} of {len(own)} | {sum(row.undecided for row in own)} "
            f"| {quoted} | {sum(row.calls for row in own)} | {sum(row.prompt for row in own):,} "
            f"| {sum(row.computed for row in own):,} | {sum(row.seconds for row in own):,.0f} |"
        )
    return "\n".join(lines)


async def _main(given: argparse.Namespace) -> int:
    rows: list[Asked] = []
    if given.embedded:
        asked = cases(given.cases, characters=given.characters, seed=given.seed, kinds=given.kinds)
        rows, second = await embedded(given.embedded, asked, given.ways, given.chunk)
    else:
        second = await simulated()
    if given.json:
        told = {"rows": [asdict(row) for row in rows], "second": asdict(second) | {"ratio": second.ratio}}
        print(json.dumps(told))
    else:
        print(table(rows) if rows else "")
        print(
            f"second question: {second.calls} calls, {second.prompt:,} prompt tokens, "
            f"{second.computed:,} computed, {second.own:,} own, up to {second.rests:,} in rests of blocks, "
            f"ratio {second.ratio:.3f}"
        )
    return 0 if second.ratio <= BOUND else 1


def main() -> None:
    """Measure, print, and exit with 1 if a second question computes too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents", description=__doc__)
    parser.add_argument("--embedded", metavar="NAME", help="an embedded model, not the simulator")
    parser.add_argument("--cases", type=int, default=5, help="default %(default)s")
    parser.add_argument("--characters", type=int, default=12_000, help="of each text, default %(default)s")
    parser.add_argument("--chunk", type=int, default=700, help="tokens of a chunk, default %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=[], help="by default all")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="by default all")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
