"""Reads a file of questions into records, without understanding them: JSON Lines, or CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.errors import InvalidRequest
from orchestrator.validation import strict_json

BOM = b"\xef\xbb\xbf"
OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")

LONGEST_CELL = 2**31 - 1
"""The most characters of a cell; the service itself limits those of a question."""

_IDS = ("id", "custom_id")

TEXTS = frozenset({"query", "context", "planner", "id", "custom_id"})
"""The columns of a CSV file that are texts as they stand; those of other fields of a request are JSON."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a file: its members, or why it has none. ``number`` is that of its first line, from 1."""

    number: int
    members: Mapping[str, Any]
    problem: str | None = None


def read_records(path: Path, *, fields: frozenset[str], limit: int | None = None) -> list[Record]:
    """The records of a file, at most ``limit``; CSV by its suffix, otherwise JSON Lines.

    ``fields`` are the columns of a CSV file that are JSON, unless they are among :data:`TEXTS`; all others
    are texts.

    Raises:
        InvalidRequest: it cannot be read, has no records, or is no such file at all.
    """
    try:
        with path.open("rb") as file:
            records = parsed_csv(file.read(), fields) if is_csv(path) else parsed_lines(file)
            found = list(islice(records, limit))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}") from None
    if not found:
        raise InvalidRequest(
            f'{path} has no lines; each must be a JSON object such as {{"query": "What is 17 * 23?"}}'
        )
    return found


def is_csv(path: Path) -> bool:
    """Whether a file is CSV, by its name."""
    return path.suffix.lower() == ".csv"


def parsed_lines(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of JSON Lines, each ending with a newline; empty lines are skipped.

    Raises:
        ValueError: it is not UTF-8 but UTF-16.
    """
    for number, raw in enumerate(lines, 1):
        if number == 1:
            if raw.startswith(OTHER_BOMS):
                raise ValueError("it is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(BOM)
        if not raw.strip():
            continue
        try:
            members = strict_json(raw.decode())
        except UnicodeDecodeError as error:
            yield Record(number, {}, f"it is not UTF-8: {error}")
        except ValueError as error:
            yield Record(number, {}, f"it is not JSON: {error}")
        else:
            if isinstance(members, dict):
                yield Record(number, members)
            else:
                yield Record(number, {}, f"it is a JSON {type(members).__name__}; it must be an object")


def parsed_csv(data: bytes, fields: frozenset[str]) -> Iterator[Record]:
    """The records of a CSV file, whose header names the fields; an empty cell gives nothing.

    Raises:
        ValueError: it is not UTF-8, has no column ``query``, or a quote is never closed.
    """
    if data.startswith(OTHER_BOMS):
        raise ValueError("it is UTF-16; save it as UTF-8")
    text = data.removeprefix(BOM).decode()
    rows = _rows(text)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if not header:
        return
    if "query" not in header:
        raise ValueError(
            f"its header must have a column 'query', separated by commas; it is {','.join(header)[:200]!r}"
        )
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise ValueError(f"its header has the column {twice[:40]!r} twice")
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            why = f"it has {len(cells)} cells, but the header {len(header)}; quote cells with commas"
            yield Record(number, {}, why)
            continue
        given = {name: cell for name, cell in zip(header, cells, strict=False) if name and cell}
        try:
            yield Record(number, {name: _value(name, cell, fields) for name, cell in given.items()})
        except ValueError as error:
            named: dict[str, Any] = {name: given[name] for name in _IDS if name in given}
            yield Record(number, named, str(error))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV text, each with the number of its first line."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        first = 1
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {first}: it is not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _value(name: str, cell: str, fields: frozenset[str]) -> Any:
    if name in TEXTS or name not in fields:
        return cell
    try:
        return strict_json(cell)
    except ValueError as error:
        raise ValueError(f'{name}: {cell[:40]!r} is not JSON ({error}); write a text as "…"') from None
