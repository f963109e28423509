"""The outcome of a node, as a value and as its event in the journal records it."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import format_exception
from typing import Any, NamedTuple

import structlog

from orchestrator.errors import AnabranchError, Failure, NodeFailed, PlannerError
from orchestrator.runtime.interruption import RunEnded, paused
from orchestrator.runtime.nodes import Cancelled, Failed, Node, NodeKind, Outcome, Succeeded
from orchestrator.runtime.plain import label, plain, said, text
from storage import codec
from storage.codec import Redact
from workers.calls import Completion, Logprob, Usage
from workers.functions import FunctionCall

log = structlog.get_logger()


def decode(kind: NodeKind, data: Mapping[str, Any]) -> Outcome[Any]:
    """The outcome that the event of a settled node records."""
    match data["outcome"]:
        case "succeeded" if kind is NodeKind.GENERATE:
            value = data["value"]
            return Succeeded(
                Completion(
                    text=value["text"],
                    finish_reason=value["finish_reason"],
                    usage=Usage(**data.get("usage", {})),
                    token_ids=tuple(value.get("token_ids", ())),
                    logprobs=tuple(map(_logprob, value.get("logprobs", ()))),
                    worker=data.get("worker", ""),
                    confidences=tuple(value.get("confidences", ())),
                    entropies=tuple(value.get("entropies", ())),
                    reasoning=value.get("reasoning", ""),
                    cached=value.get("cached", False),
                    calls=tuple(FunctionCall(**each) for each in value.get("calls", ())),
                )
            )
        case "succeeded":
            return Succeeded(data["value"])
        case "failed":
            return Failed(Failure(**data["error"]))
        case _:
            return Cancelled(str(data.get("reason", "")))


def _logprob(data: Mapping[str, Any]) -> Logprob:
    """JSON has no infinite numbers, so the journal holds their names."""
    top = {token: float(logprob) for token, logprob in data["top"].items()}
    return Logprob(data["token"], float(data["logprob"]), top)


class Settled(NamedTuple):
    """The outcome of a node that ran planner code, and what its event records of a value."""

    outcome: Outcome[Any]
    data: Mapping[str, Any] | None = None


def settled(value: object, most: int | None) -> Settled:
    """The outcome of planner code that returned ``value``; looking into it is planner code, too."""
    outcome: Outcome[Any] = Succeeded(value)
    return Settled(outcome, encode(outcome, most))


def encode(outcome: Outcome[Any], most: int | None = None) -> dict[str, Any]:
    """The event data of a node that has settled because of what the run itself did.

    Of a large value, ``most`` characters are kept.
    """
    match outcome:
        case Succeeded(value):
            return {"outcome": "succeeded", "value": plain(value, most)}
        case Failed(failure):
            return failed(failure)
        case Cancelled(reason):
            return {"outcome": "cancelled", "reason": reason}


def redacted(kind: NodeKind, data: Mapping[str, Any], redact: Redact) -> Mapping[str, Any]:
    """External event data of a node as it will be stored, so that a repeated run is given the same."""
    kept: dict[str, Any] = codec.redacted(data, redact, codec.EVENT_IDENTIFIERS)
    if kind is NodeKind.GENERATE and "value" in data:
        value = kept["value"]
        if value["text"] != data["value"]["text"]:  # its tokens still spell the unredacted text
            kept["value"] = {name: value[name] for name in value if name not in ("token_ids", "logprobs")}
    return kept


def inherited(source: Node[Any]) -> Outcome[Any]:
    """The outcome of a node whose input has no value."""
    if isinstance(source.outcome, Failed):
        return source.outcome
    return Cancelled(f"its input {source.path} was cancelled")


def failed(failure: Failure) -> dict[str, Any]:
    """The event data of a node that has failed."""
    return {"outcome": "failed", "error": plain(failure)}


def failure_of_code(error: BaseException, path: str, most: int | None = None) -> Failure:
    """Why planner code failed, as a value; of what the error says, ``most`` characters are kept.

    Looking at the error is planner code, too.

    Raises:
        RunEnded: it did not yield.
    """
    try:
        return _failure_of_code(error, path, most)
    except RunEnded:
        raise
    except BaseException:
        return Failure(PlannerError.code, f"planner code raised {type(error).__name__}", path)


def _failure_of_code(error: BaseException, path: str, most: int | None) -> Failure:
    told = said(error, most)
    match error:
        case NodeFailed(failure=Failure() as failure) if _sound(failure):
            return failure
        case AnabranchError():
            return Failure(label(error.code, most), told, path, bool(error.retryable))
    stack = _stack(error)
    with paused():
        log.error("planner code raised", node=path, stack=stack)
    return Failure(PlannerError.code, text(f"planner code raised {type(error).__name__}: {told}"), path)


def _stack(error: BaseException) -> str:
    """Where an error was raised, as text, since showing an error may run code of its class."""
    try:
        return text("".join(format_exception(error)))
    except RunEnded:
        raise
    except BaseException:
        return f"(the traceback of {type(error).__name__} cannot be read)"


def _sound(failure: Failure) -> bool:
    """Whether a failure that planner code raises is one that a run may have had."""
    fields: tuple[Any, ...] = (failure.code, failure.message, failure.path, failure.retryable)
    return list(map(type, fields)) == [str, str, str, bool] and all(text(each) == each for each in fields[:3])
