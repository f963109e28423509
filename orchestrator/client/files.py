"""Traces as files: written whole, or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO

LINES = 1000
"""How many lines are written at a time."""


async def export_to(to: Path, lines: AsyncGenerator[str, None]) -> None:
    """Write the lines to a file that only this user can read, and that is there once it is complete.

    Raises:
        OSError: it cannot be written.
    """
    async with aclosing(lines) as each:
        file = await asyncio.to_thread(_begun, to)
        try:
            piece: list[str] = []
            async for line in each:
                piece.append(line)
                if len(piece) == LINES:
                    await asyncio.to_thread(file.writelines, piece)
                    piece.clear()
            await asyncio.to_thread(_end, file, piece, to)
        except BaseException:
            await asyncio.to_thread(_drop, file)
            raise


def _begun(to: Path) -> IO[str]:
    return tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", prefix=f".{to.name}-", dir=to.parent, delete=False
    )


def _end(file: IO[str], lines: list[str], to: Path) -> None:
    with file:
        file.writelines(lines)
    os.replace(file.name, to)


def _drop(file: IO[str]) -> None:
    file.close()
    with suppress(OSError):
        os.unlink(file.name)
