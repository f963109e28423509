"""The command line that serves simulators."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from workers.engines.simulator import server
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.faults import Fault, Outage


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    given = _arguments(argv)
    answers = given.answer if given.answers is None else json.loads(given.answers.read_text())
    simulators = [
        Simulator(
            answers,
            name=f"{given.model}-{number}",
            model=given.model,
            cost=CostModel(
                latency=given.latency,
                prefill_tokens_per_s=given.prefill_rate,
                decode_tokens_per_s=given.decode_rate,
                jitter=given.jitter,
            ),
            max_concurrency=given.max_concurrency,
            max_model_len=given.max_model_len,
            cache_blocks=given.cache_blocks,
            share_in_flight=not given.no_share_in_flight,
            faults=[Fault(**fault) for fault in given.fault],
            outages=[Outage(**outage) for outage in given.outage],
            seed=given.seed + number,
        )
        for number in range(given.replicas)
    ]
    try:
        asyncio.run(_serve(simulators, given.host, given.port))
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")


async def _serve(simulators: Sequence[Simulator], host: str, port: int) -> None:
    async with AsyncExitStack() as stack:
        for number, simulator in enumerate(simulators):
            url = await stack.enter_async_context(
                server.serving(simulator, host=host, port=port + number if port else 0)
            )
            sys.stdout.write(f"{simulator.name} at {url}\n")
            sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.engines.simulator", description=server.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="of the first replica; 0: free ports")
    parser.add_argument("--replicas", type=int, default=1, help="simulators on consecutive ports")
    parser.add_argument("--model", default="simulator")
    parser.add_argument("--answer", default="ok", help="what every call gets")
    parser.add_argument("--answers", type=Path, help="JSON file: a list (script) or an object (by question)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--prefill-rate", type=float, default=math.inf, help="tokens/s")
    parser.add_argument("--decode-rate", type=float, default=math.inf, help="tokens/s of one call")
    parser.add_argument("--jitter", type=float, default=0.0, help="sigma of a lognormal factor")
    parser.add_argument("--max-concurrency", type=int)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--cache-blocks", type=int, default=16_384)
    parser.add_argument("--no-share-in-flight", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--fault", type=json.loads, action="append", default=[], help='such as \'{"kind": "reset"}\''
    )
    parser.add_argument(
        "--outage", type=json.loads, action="append", default=[], help='such as \'{"at": 5, "seconds": 2}\''
    )
    return parser.parse_args(argv)
