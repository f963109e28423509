"""What a real vLLM server does with our logits processor, and with drafts from n-grams."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Question
from planners.vote import vote
from tests.planners.conftest import Recorder
from tests.real_vllm import MODEL, require_vllm
from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engines.vllm.engine import gauge
from workers.engines.vllm.server import VLLMServer
from workers.errors import CallRejected, CapabilityMissing
from workers.tools.toolbox import Toolbox

pytestmark = [pytest.mark.vllm, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

BEGUN = (Segment("user", "Name a colour."), Segment("assistant", "My favourite colour is"))


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[VLLMServer, None]:
    await asyncio.to_thread(require_vllm)
    server = VLLMServer(
        MODEL, options={"max_model_len": 1024, "max_num_seqs": 16, **options}, start_seconds=500
    )
    try:
        await server.capabilities()
        yield server
    finally:
        await server.close()


async def said(server: VLLMServer, sampling: Sampling) -> list[Chunk]:
    async with aclosing(server.generate(Call(Prompt(BEGUN), sampling))) as chunks:
        return [chunk async for chunk in chunks]


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_codes_that_are_spread_evenly_draw_tokens_as_often_as_they_are_probable() -> None:
    async with serving(arithmetic_sampling=True) as server:
        assert (await server.capabilities()).arithmetic_sampling
        count = 48
        drawn = await asyncio.gather(
            *(
                said(server, Sampling(1.0, max_tokens=1, top_logprobs=0, code=(at + 0.5) / count))
                for at in range(count)
            )
        )
        tokens = Counter(text(chunks) for chunks in drawn)
        probable = {
            each.token: each.logprob for chunks in drawn for chunk in chunks for each in chunk.logprobs
        }
        assert len(probable) > 3
        for token, logprob in probable.items():
            # Independent draws would stray by sqrt(48 p (1 - p)), up to 3.5; codes by less than one.
            assert abs(tokens[token] - count * math.exp(logprob)) < 1.5, (token, tokens)

        async def sample(code: float | None, seed: int) -> str:
            return text(await said(server, Sampling(1.0, max_tokens=40, seed=seed, code=code)))

        one, again, other, free, freer = await asyncio.gather(
            sample(0.4, 1), sample(0.4, 2), sample(0.9, 1), sample(None, 1), sample(None, 2)
        )
        assert one[:12] == again[:12]  # the code decides; late tokens may differ where the last digits do
        assert len({one, other, free, freer}) == 4
        with pytest.raises(CallRejected, match="at least 0 and below 1"):
            await said(server, Sampling(1.0, max_tokens=1, code=1.5))
        with pytest.raises(CallRejected, match="temperature above 0"):
            await said(server, Sampling(0.0, max_tokens=1, code=0.5))

        question = Question("Which is the capital of France?")
        environment = Environment(server, await server.capabilities(), Toolbox([]))
        journal = Recorder()
        arguments = vote.validate(
            {"draws": "arithmetic", "rule": "fixed", "n": 4, "max_tokens": 24, "temperature": 1.0}
        )
        result = await Executor(Run, environment, journal).execute(
            lambda run: vote(run, question, **arguments), {}
        )
        assert result.outcome in (RunOutcome.ANSWERED, RunOutcome.UNDECIDED)  # a small model
        codes = [e.data["request"]["sampling"]["code"] for e in journal.events if "request" in e.data]
        assert len(set(codes)) == 4


async def test_drafts_from_ngrams_are_accepted_and_a_code_is_refused() -> None:
    drafts = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
    async with serving(speculative_config=drafts) as server:
        can = await server.capabilities()
        assert can.assistant_prefill
        assert can.guided_json
        assert not can.arithmetic_sampling
        repeated = "The river leaves its bed and joins it again. " * 6
        prompt = Prompt((Segment("user", "Repeat: " + repeated), Segment("assistant", repeated)))
        async with aclosing(server.generate(Call(prompt, Sampling(0.0, max_tokens=48)))) as chunks:
            assert "river" in text([chunk async for chunk in chunks])
        metrics = await server._supervision.running()._openai.text("/metrics")
        drafted = gauge(metrics, "vllm:spec_decode_num_draft_tokens_total")
        accepted = gauge(metrics, "vllm:spec_decode_num_accepted_tokens_total")
        assert drafted is not None
        assert accepted is not None
        assert drafted >= accepted > 8
        with pytest.raises(CapabilityMissing, match="no arithmetic sampling here"):
            await said(server, Sampling(1.0, max_tokens=1, code=0.5))
