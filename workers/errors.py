"""What can go wrong while computing. Every error says whose fault it is, and whether to try again."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

LONGEST_GROWTH = 32.0
"""How many times its first guess a wait may become."""

LEAST_PAUSE = 0.05
"""Seconds of the first wait where an engine asks for less; they double up to ``SOON``."""

SOON = 1.0
"""Seconds; a wait that an engine asks for is kept to as it is if it is at least that."""


class Fault(StrEnum):
    """Whose fault it is that a call failed. Only an engine's own faults say anything about its health.

    ``REQUEST``: the same call fails wherever it is sent. ``ACCOUNT``: what the engine knows of whoever sends
    (key, quota, model) lets no call succeed there for now. ``NOBODY``: there was no room; the call may wait.
    """

    REQUEST = "request"
    ACCOUNT = "account"
    ENGINE = "engine"
    NOBODY = "nobody"


class WorkerError(Exception):
    """Root of everything that engines, pools and tools raise.

    ``retry_after`` is the time in seconds after which trying again makes sense, where that is known.
    """

    code: ClassVar[str] = "worker_error"
    http_status: ClassVar[int] = 502
    retryable: ClassVar[bool] = False
    fault: ClassVar[Fault] = Fault.ENGINE
    retry_after: float | None = None


class EngineUnavailable(WorkerError):
    """The engine cannot be reached, or is not (or no longer) running."""

    code = "engine_unavailable"
    http_status = 503
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineTimeout(WorkerError):
    """The engine took longer than a phase of a call may take; the message names the phase."""

    code = "engine_timeout"
    http_status = 504
    retryable = True


class EngineInterrupted(WorkerError):
    """The engine broke off in the middle of a completion."""

    code = "engine_interrupted"
    retryable = True


class EngineFailed(WorkerError):
    """The engine answered this call with an error of its own (HTTP 5xx), or closed the connection.

    The fault may be the call's all the same: many servers fail at what they should refuse. A pool finds out.
    """

    code = "engine_failed"
    retryable = True


class EngineProtocolError(WorkerError):
    """The engine answered with something outside the protocol."""

    code = "engine_protocol_error"


class CallRejected(WorkerError):
    """The engine refused this call, or fails at it alone: too long, bad parameter, content filter."""

    code = "call_rejected"
    http_status = 400
    fault = Fault.REQUEST


class Overloaded(WorkerError):
    """No room for another call now, or too many calls lately.

    ``told`` says whether ``retry_after`` is what the engine asks for, or only a first guess. Engines that ask
    for no wait at all, or for one that is over, are not asked again and again without one.
    """

    code = "overloaded"
    http_status = 429
    retryable = True
    fault = Fault.NOBODY
    retry_after: float

    def __init__(self, message: str, *, retry_after: float, told: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.told = told

    def pause(self, times: int) -> float:
        """Seconds to wait before a call is sent again that has had no room ``times`` times; a guess grows."""
        growth = min(LONGEST_GROWTH, 2.0 ** (times - 1))
        return (
            max(self.retry_after, min(SOON, LEAST_PAUSE * growth)) if self.told else self.retry_after * growth
        )


class AccessRefused(WorkerError):
    """The server refuses our key, or asks for one: no call can succeed there."""

    code = "access_refused"
    fault = Fault.ACCOUNT


class QuotaExhausted(WorkerError):
    """The account has no credit or quota left: no call can succeed there until somebody adds some."""

    code = "quota_exhausted"
    http_status = 402
    fault = Fault.ACCOUNT


class CapabilityMissing(WorkerError):
    """The call needs something that this engine cannot do."""

    code = "capability_missing"
    http_status = 400
    fault = Fault.REQUEST


class ModelUnavailable(WorkerError):
    """The model is unknown, cannot be fetched, or does not match its checksum."""

    code = "model_unavailable"
    http_status = 400
    fault = Fault.REQUEST


class ToolError(WorkerError):
    """A tool is unknown, was given arguments that it does not take, or raised."""

    code = "tool_error"
    http_status = 422


class ToolResultTooLarge(ToolError):
    """A tool returned more than a run keeps; the message says how much, and how much is kept."""

    code = "tool_result_too_large"


class ToolUnavailable(ToolError):
    """What a tool uses is not there for now, or has no room; the same call may succeed later."""

    code = "tool_unavailable"
    http_status = 503
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProcessExhausted(WorkerError):
    """This process has no file descriptor or memory left with which to send a call. No engine is at fault."""

    code = "process_exhausted"
    http_status = 503
    retryable = True
    fault = Fault.NOBODY
    retry_after: float = 1.0
