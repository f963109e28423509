"""Probes whether an engine's calls share a prompt that is still being computed."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing

import structlog

from workers.calls import Call, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities, Engine
from workers.errors import WorkerError
from workers.pool.listening import Listening
from workers.pool.member import Sharing

log = structlog.get_logger(__name__)

PROBE_SECONDS = 120.0
"""If an engine takes longer for three short prompts, nothing is concluded about it."""


async def probe_sharing(engine: Engine, capabilities: Capabilities) -> Sharing:
    """Send three siblings at once, about 150 tokens each, and read what they say was cached.

    An engine that shares in-flight prefixes computes the common part once, so two of the three hit. Any other
    result, including a failure, means that siblings must wait for a prime: that is right for every engine
    with a prefix cache, and the first calls reveal an engine without one.
    """
    if not capabilities.cached_token_usage:
        return Sharing.COMPUTED
    nonce = secrets.token_hex(8)
    # Numbers among words: about as many tokens with any tokenizer; the nonce has never been in a cache.
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
    async with aclosing(Listening(engine, call)) as chunks:
        async for chunk in chunks:
            usage = chunk.usage or usage
    return usage
