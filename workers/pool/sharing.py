"""Asks an engine whether calls share a prompt that is still being computed."""

from __future__ import annotations

import asyncio
import secrets

import structlog

from workers.calls import Call, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities, Engine
from workers.errors import WorkerError
from workers.pool.member import Sharing

log = structlog.get_logger(__name__)

PROBE_SECONDS = 120.0
"""An engine that takes longer for three short prompts is one of which nothing was found out."""


async def probe_sharing(engine: Engine, capabilities: Capabilities) -> Sharing:
    """Send three siblings at once, about 150 tokens each, and read what they say was cached.

    An engine that shares in-flight prefixes computes the common part once, so two of the three hit. Any other
    result, a failure included, means that siblings are to wait for a prime: that is right for each engine
    with a prefix cache, and an engine without one is found out by its first calls.
    """
    if not capabilities.cached_token_usage:
        return Sharing.COMPUTED
    nonce = secrets.token_hex(8)
    # Numbers in words: about as many tokens for any tokenizer, and never in a cache before.
    shared = f"Probe {nonce}. " + " ".join(f"Line {number} of the probe." for number in range(24))
    probes = [asyncio.create_task(_usage(engine, shared, number)) for number in range(3)]
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            usages = await asyncio.gather(*probes)
    except (WorkerError, TimeoutError) as error:
        reason = str(error) or f"no answer within {PROBE_SECONDS:g} s"
        log.info("sharing_not_probed", engine=engine.name, error=reason)
        return Sharing.COMPUTED
    finally:
        for probe in probes:
            probe.cancel()
        await asyncio.wait(probes)
    hits = sum(1 for usage in usages if usage.cached_tokens > usage.prompt_tokens // 2)
    return Sharing.IN_FLIGHT if hits >= 2 else Sharing.COMPUTED


async def _usage(engine: Engine, shared: str, number: int) -> Usage:
    prompt = Prompt((Segment("user", shared), Segment("user", f" Sibling {number}: say a word.")))
    call = Call(prompt, Sampling(temperature=0.0, max_tokens=1), family="probe", tenant="probe")
    usage = Usage()
    async for chunk in engine.generate(call):
        usage = chunk.usage or usage
    return usage
