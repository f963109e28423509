"""What is settled about a call before any time passes: its refusal, or its text and its fault."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random

from workers.engines.simulator.answers import Answers, sayer
from workers.engines.simulator.cache import CHARACTERS, count_tokens, render
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.faults import Fault
from workers.engines.simulator.flight import Flight
from workers.errors import CallRejected, EngineUnavailable, Overloaded


class Script:
    """Decides at the start of each call to a simulator what the answer is, and what goes wrong.

    Args:
        name, answers, cost, faults, max_model_len, seed: as for the simulator.
    """

    def __init__(
        self,
        name: str,
        answers: Answers,
        cost: CostModel,
        faults: Sequence[Fault],
        max_model_len: int | None,
        seed: int,
    ) -> None:
        self._name = name
        self._say = sayer(answers)
        self._cost = cost
        self._faults = tuple(faults)
        self._max_model_len = max_model_len
        self._seed = seed

    def prepare(self, flight: Flight, dead: str) -> None:
        """Refuse the call, or settle its answer.

        Args:
            flight: the call.
            dead: why the engine is not running; empty while it is.

        Raises:
            WorkerError: the call is refused.
        """
        call, sampling = flight.call, flight.call.sampling
        fault: Fault | None
        for number, fault in enumerate(self._faults):
            if fault.strikes(flight.index, call, Random(f"{self._seed}/{flight.index}/{number}")):
                break
        else:
            fault = None
        match fault:
            case Fault(kind="reject"):
                raise CallRejected(f"{self._name} rejects call {flight.index} (injected)")
            case Fault(kind="overload", seconds=seconds):
                raise Overloaded(
                    f"{self._name} has no room for call {flight.index} (injected)", retry_after=seconds
                )
            case Fault(kind="refuse"):
                raise EngineUnavailable(f"{self._name} refuses call {flight.index} (injected)")
        if dead:
            raise EngineUnavailable(f"{self._name} is not running: {dead}")

        flight.rendered = render(call.prompt, call.functions)
        flight.prompt_tokens = len(flight.rendered) // CHARACTERS
        room = self._max_model_len
        if room is not None and flight.prompt_tokens + sampling.max_tokens > room:
            raise CallRejected(
                f"the prompt has {flight.prompt_tokens} tokens and max_tokens is {sampling.max_tokens}: "
                f"together they must not exceed {room}"
            )
        text = self._say(call, lambda: self._random(flight, "answer"))
        cut = min((at for at in map(text.find, sampling.stop) if at >= 0), default=len(text))
        text = text[:cut]
        if count_tokens(text) > sampling.max_tokens:
            text = text[: sampling.max_tokens * CHARACTERS]
            flight.finish_reason = "length"
        flight.total = flight.limit = count_tokens(text)
        if self._cost.jitter:
            flight.slowness = self._random(flight, "jitter").lognormvariate(0.0, self._cost.jitter)
        match fault:
            case Fault(kind="mangle"):
                text = "".join(c if i % 2 == 0 else "\ufffd" for i, c in enumerate(text))
            case Fault(kind="slow", factor=factor):
                flight.slowness *= factor
            case Fault(kind="reset" | "hang" | "garbage", after_tokens=after):
                flight.broken = fault
                flight.limit = min(flight.total, after)
        flight.text = text

    def _random(self, flight: Flight, purpose: str) -> Random:
        """Random numbers that depend on the prompt and the call's seed, or on its index if it has none."""
        sampling = flight.call.sampling
        if sampling.temperature == 0 and purpose == "answer":
            source = "greedy"
        elif sampling.seed is None:
            source = f"{self._seed}/{flight.index}"
        else:
            source = f"seed {sampling.seed}"
        key = f"{purpose}/{source}/{flight.rendered}".encode(errors="surrogatepass")
        return Random(int.from_bytes(blake2b(key, digest_size=8).digest()))
