"""Files that clients send as forms: received on disk, a piece in memory at a time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import structlog
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from orchestrator.api.problems import Overloaded, RequestTimeout, TooLarge
from orchestrator.errors import InvalidRequest
from storage.batches import PART, Purpose

log = structlog.get_logger()

T = TypeVar("T")

FORM = "multipart/form-data"

LONGEST_FIELD = 255
"""The most bytes of a field of a form, and the most characters of the name of a file."""

LEAST_SECONDS, MOST_SECONDS = 3_600, 30 * 86_400
"""How long a file may last that is not to stay."""

_LASTS = ("expires_after[anchor]", "expires_after[seconds]")


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form said about its file. ``lasts`` is in seconds, None if the file is to stay."""

    name: str
    lasts: float | None


async def received(request: web.Request, file: IO[bytes], *, most: int, seconds: float) -> Upload:
    """Write the file of a form to ``file``; the client has some ``seconds`` for each piece of it.

    Raises:
        TooLarge, RequestTimeout, InvalidRequest: it cannot be had, or is not for a batch.
    """
    fields: dict[str, str] = {}
    name: str | None = None
    try:
        reader = await request.multipart()
        while (part := await _in_time(reader.next(), seconds)) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise InvalidRequest("the form has a part without a name")
            if part.name == "file":
                if name is not None:
                    raise InvalidRequest("file: it is given twice; upload one at a time")
                name = _name_of(part)
                await _spool(part, file, most, seconds)
            elif part.name in fields:
                raise InvalidRequest(f"{part.name[:40]}: it is given twice")
            elif part.name not in ("purpose", *_LASTS):
                raise InvalidRequest(f"{part.name[:40]}: the form has no such field")
            else:
                fields[part.name] = await _field(part, seconds)
    except web.RequestPayloadError:
        raise InvalidRequest("the form is cut short") from None
    except HttpProcessingError:
        raise InvalidRequest("the body is no form: the headers of a part cannot be read") from None
    except (ValueError, AssertionError, RuntimeError) as error:  # as aiohttp says it
        raise InvalidRequest(f"the body is no form: {error}") from None
    return _upload(name, fields)


def _upload(name: str | None, fields: dict[str, str]) -> Upload:
    purpose = fields.get("purpose")
    if purpose != Purpose.BATCH:
        raise InvalidRequest(
            f"purpose: it must be batch, not {purpose[:40]!r}" if purpose else "purpose: it must be batch"
        )
    if name is None:
        raise InvalidRequest("file: it is missing")
    anchor, seconds = (fields.get(each) for each in _LASTS)
    if anchor is None and seconds is None:
        return Upload(name, None)
    if anchor != "created_at":
        raise InvalidRequest("expires_after[anchor]: it must be created_at")
    try:
        lasts = float(seconds or "")
    except ValueError:
        lasts = math.nan
    if not LEAST_SECONDS <= lasts <= MOST_SECONDS:
        raise InvalidRequest(f"expires_after[seconds]: it must be {LEAST_SECONDS} to {MOST_SECONDS}")
    return Upload(name, lasts)


def _name_of(part: BodyPartReader) -> str:
    name = (part.filename or "upload.jsonl")[:LONGEST_FIELD]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)


async def _field(part: BodyPartReader, seconds: float) -> str:
    text = bytearray()
    while chunk := await _in_time(part.read_chunk(LONGEST_FIELD + 1), seconds):
        text += chunk
        if len(text) > LONGEST_FIELD:
            raise InvalidRequest(f"{part.name}: it has more than {LONGEST_FIELD} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{part.name}: it is not UTF-8") from None


async def _spool(part: BodyPartReader, file: IO[bytes], most: int, seconds: float) -> None:
    size = 0
    while chunk := await _in_time(part.read_chunk(PART), seconds):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"the file has more than {most:,} bytes (ANABRANCH_MAX_FILE_BYTES)")
        try:
            await asyncio.to_thread(file.write, chunk)
        except OSError as error:
            log.warning("a file cannot be received", error=str(error))
            raise Overloaded("there is no room for the file now; try again") from None


async def _in_time(reading: Coroutine[Any, Any, T], seconds: float) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await reading
    except TimeoutError:
        raise RequestTimeout(f"nothing more of the form arrived within {seconds:g} s") from None


async def pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    """What was received, a part at a time."""
    await asyncio.to_thread(file.seek, 0)
    while part := await asyncio.to_thread(file.read, PART):
        yield part
