"""What a second question over the same documents computes, and how often planted facts are found.

    python -m benchmarks.documents [--embedded NAME] [--cases N] [--characters C] [--kinds KIND ...] [--json]

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
from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment, Result
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Answer, Budget, Question
from planners.direct import direct
from planners.documents.planner import documents
from planners.documents.prompts import QUOTE
from storage.events import Event
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Engine, Health
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.simulator.cache import BLOCK
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

BOUND: Final = 1.1
CONTEXT: Final = 8192
"""Tokens of the embedded engine's context: ``direct`` is to have the whole text."""

WAYS: Final[Mapping[str, tuple[Planner, Mapping[str, Any]]]] = {
    "documents": (documents, {"chunk": 700}),
    "documents, 1 hop": (documents, {"chunk": 700, "hops": 1}),
    "ensemble": (documents, {"chunk": 700, "combine": "ensemble"}),
    "direct": (direct, {}),
}
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


class Metered:
    """An engine that notes which pieces of prompts it is sent, and what it computed of them.

    With the ``known`` pieces of a run before, the others are a prompt's own.
    """

    def __init__(self, engine: Engine, known: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._engine = engine
        self._known = known
        self.pieces: set[tuple[str, str]] = set()
        self.calls = self.prompt = self.computed = self.own = 0

    @property
    def name(self) -> str:
        """That of the engine."""
        return self._engine.name

    async def capabilities(self) -> Capabilities:
        """Those of the engine."""
        return await self._engine.capabilities()

    async def health(self) -> Health:
        """That of the engine."""
        return await self._engine.health()

    async def close(self) -> None:
        """Leave the engine as it is: the next run needs it, too."""

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Pass the call on. Tokens of pieces are taken to be as long as those of its prompt on average."""
        pieces = [(each.role, each.text) for each in call.prompt.segments]
        self.pieces.update(pieces)
        self.calls += 1
        new = [at for at, piece in enumerate(pieces) if piece not in self._known]
        if not any(text == QUOTE for _, text in pieces):
            new = list(range(min(new, default=len(pieces)), len(pieces)))
        share = sum(len(pieces[at][1]) for at in new) / max(1, sum(len(text) for _, text in pieces))
        async for chunk in self._engine.generate(call):
            if chunk.usage is not None:
                self.prompt += chunk.usage.prompt_tokens
                self.computed += chunk.usage.prompt_tokens - chunk.usage.cached_tokens
                self.own += round(chunk.usage.prompt_tokens * share)
            yield chunk


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
    before = Metered(engine)
    await solved(documents, Question(first, material), before, options)
    then = Metered(engine, frozenset(before.pieces))
    await solved(documents, Question(second, material), then, options)
    return Second(then.calls, then.prompt, then.computed, then.own, (block - 1) * then.calls)


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


async def embedded(model: str, given: Sequence[Case], ways: Sequence[str]) -> tuple[list[Asked], Second]:
    """All ways over all cases, and a second question, on an embedded model."""
    engine = LlamaCppEngine(model, slots=4, context=CONTEXT, prefix_bytes=1 << 30)
    rows = []
    try:
        await engine.capabilities()
        for case in given:
            for way in ways:
                planner, options = WAYS[way]
                began = time.monotonic()
                result = await solved(planner, Question(case.text, case.material), engine, options)
                rows.append(judged(way, case, result, time.monotonic() - began))
                print(rows[-1], file=sys.stderr, flush=True)
        last = given[-1]
        second = "Which rivers does the text name?"
        options = WAYS["documents, 1 hop"][1]
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
        rows, second = await embedded(given.embedded, asked, given.ways)
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
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=[], help="by default all")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="by default all")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
