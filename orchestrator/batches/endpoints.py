"""What can be asked in a batch of a service, and the lines of its files: those of OpenAI's protocol."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.batches.records import BOM
from orchestrator.errors import AnabranchError, InvalidRequest
from orchestrator.validation import strict_json
from storage.batches import LineResult
from storage.tasks import Task, new_task_id

LONGEST_ID = 255
MEMBERS = frozenset({"custom_id", "method", "url", "body"})

LONGEST_WINDOW = 30 * 86_400
_WINDOW = re.compile(r"([1-9]\d{0,5})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class Endpoint(Protocol):
    """A path at which a line can be asked."""

    def fields(self, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The fields of a request for the body of a line; ``key`` is a name that only this line has.

        Raises:
            AnabranchError: it cannot be asked.
        """
        ...

    async def answer(self, task: Task, body: Mapping[str, Any]) -> str:
        """What a client would be answered with, as JSON, once the task of the body has ended.

        Raises:
            AnabranchError: it has no answer.
        """
        ...

    def refusal(self, error: AnabranchError) -> str:
        """What a client would be told of the error, as JSON."""
        ...


class WrongLine(InvalidRequest):
    """A line is none that could be asked, whatever its body says. ``param`` is the member that is wrong."""

    def __init__(self, message: str, line: int, param: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.param = param


@dataclass(frozen=True, slots=True)
class Item:
    """A line that can be asked: what its client calls it, and the body of its request."""

    line: int
    custom_id: str
    body: Mapping[str, Any]


async def lines_in(parts: AsyncIterator[bytes], longest: int) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of a file that comes in parts, each with its number; empty ones are left out.

    Raises:
        WrongLine: one has more bytes than it may.
    """
    number, rest = 0, b""
    async for part in parts:
        lines = (rest + part).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if len(line) > longest:
                break
            if text := _stripped(line, number):
                yield number, text
        else:
            if len(rest) <= longest:
                continue
            number += 1
        raise WrongLine(f"the line has more than {longest:,} bytes (ANABRANCH_MAX_BODY_BYTES)", number)
    if text := _stripped(rest, number + 1):
        yield number + 1, text


def _stripped(line: bytes, number: int) -> bytes:
    return (line.removeprefix(BOM) if number == 1 else line).strip()


def item_of(line: int, text: bytes, endpoint: str) -> Item:
    """What a line asks.

    Raises:
        WrongLine: it is no JSON object with ``custom_id``, ``method``, ``url`` and ``body``, or it is for
            another endpoint than its batch.
    """
    try:
        members = strict_json(text.decode())
    except UnicodeDecodeError as error:
        raise WrongLine(f"it is not UTF-8: {error}", line) from None
    except ValueError as error:
        raise WrongLine(f"it is not JSON: {error}", line) from None
    if not isinstance(members, dict):
        raise WrongLine(f"it is a JSON {type(members).__name__}; it must be an object", line)
    custom_id, body = members.get("custom_id"), members.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        raise WrongLine(f"custom_id must be a text of 1 to {LONGEST_ID} characters", line, "custom_id")
    if members.get("method") != "POST":
        raise WrongLine("method must be 'POST'", line, "method")
    if members.get("url") != endpoint:
        raise WrongLine(f"url must be {endpoint!r}, the endpoint of the batch", line, "url")
    if not isinstance(body, dict):
        raise WrongLine("body must be an object", line, "body")
    if other := next((name for name in members if name not in MEMBERS), None):
        raise WrongLine(f"{other[:40]!r} is no member of a line", line, other[:40])
    return Item(line, custom_id, body)


def answered(item: Item, status: int, request_id: str, body: str, *, tokens: tuple[int, int]) -> LineResult:
    """The result of a line that was answered, with a status and a body, be it that of a refusal."""
    response = f'{{"status_code": {status}, "request_id": {json.dumps(request_id)}, "body": {body}}}'
    prompt, completion = tokens
    return LineResult(
        line=item.line,
        failed=status >= 400,
        body=_line(item, response=response),
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def unanswered(item: Item, code: str, message: str) -> LineResult:
    """The result of a line that was not answered before its batch ended."""
    error = json.dumps({"code": code, "message": message})
    return LineResult(line=item.line, failed=True, body=_line(item, error=error))


def _line(item: Item, *, response: str = "null", error: str = "null") -> str:
    custom_id = json.dumps(item.custom_id)
    name = f'"batch_req_{new_task_id()}"'
    return f'{{"id": {name}, "custom_id": {custom_id}, "response": {response}, "error": {error}}}'


def window_seconds(text: str) -> float:
    """The seconds of a completion window, such as ``24h``.

    Raises:
        InvalidRequest: it is none.
    """
    found = _WINDOW.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_WINDOW:
        raise InvalidRequest(
            f"completion_window: {text[:40]!r} is none; write minutes, hours or days, such as 24h, up to 30d"
        )
    return float(seconds)
