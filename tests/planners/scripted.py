"""An engine that answers each kind of branch as a test says, with how sure it is of its tokens."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from planners.kinds import TASKS, Kind
from workers.calls import Call, Chunk, FinishReason, Logprob, Usage
from workers.engine import Capabilities, Health
from workers.errors import EngineUnavailable


@dataclass(frozen=True)
class Says:
    """What a branch says: its text, the probability of its one token, and how it ends."""

    text: str
    probability: float = 0.5
    finish_reason: FinishReason = "stop"
    fails: bool = False


@dataclass
class Scripted:
    """Says for each kind what it was given, one after the other and then the last again."""

    script: Mapping[Kind, Sequence[Says | str] | Says | str]
    logprobs: bool = True
    name: str = "scripted"
    calls: list[tuple[Kind, Call]] = field(default_factory=list)

    async def capabilities(self) -> Capabilities:
        return Capabilities("scripted", logprobs=self.logprobs)

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, _ in self.calls]

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        kind = kind_of(call)
        given = self.script[kind]
        said = [given] if isinstance(given, str | Says) else given
        one = said[min(self.kinds.count(kind), len(said) - 1)]
        self.calls.append((kind, call))
        if isinstance(one, str):
            one = Says(one)
        if one.fails:
            raise EngineUnavailable("it is away")
        asked = call.sampling.top_logprobs is not None and self.logprobs
        logprobs = (Logprob(one.text, math.log(one.probability)),) if asked else ()
        tokens = call.sampling.max_tokens if one.finish_reason == "length" else 1
        yield Chunk(
            one.text, tokens, logprobs=logprobs, finish_reason=one.finish_reason, usage=Usage(1, 0, tokens)
        )

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        pass


def kind_of(call: Call) -> Kind:
    """How a branch was asked, by its prompt."""
    task = call.prompt.segments[-1].text
    for kind, text in TASKS.items():
        if task.startswith(text.partition("{form}")[0]):
            return kind
    raise AssertionError(task)
