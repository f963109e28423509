"""One call on its way through a simulator."""

from __future__ import annotations

from workers.calls import Call, FinishReason
from workers.engines.simulator.batch import Batch
from workers.engines.simulator.faults import Fault


class Flight:
    """What a simulator knows about one call between its start and its end."""

    __slots__ = (
        "batch",
        "broken",
        "cached_tokens",
        "call",
        "decoding",
        "due",
        "ended",
        "finish_reason",
        "hashes",
        "held",
        "index",
        "limit",
        "prompt_tokens",
        "rendered",
        "running",
        "sent",
        "slowness",
        "text",
        "total",
    )

    def __init__(self, call: Call, index: int, batch: Batch) -> None:
        self.call = call
        self.index = index
        self.batch = batch
        self.rendered = ""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.hashes: list[int] = []  # the full blocks of the prompt
        self.held: list[int] = []  # blocks pinned in the cache
        self.text = ""
        self.total = 0  # tokens of the text
        self.limit = 0  # tokens that are sent before the fault in the stream, if there is one
        self.broken: Fault | None = None  # the fault in the stream
        self.finish_reason: FinishReason = "stop"
        self.slowness = 1.0
        self.due = 0.0  # when the last token sent was due, on the loop's clock
        self.sent = 0
        self.running = False  # holds a place in the batch
        self.decoding = False
        self.ended = False
