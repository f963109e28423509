"""Traces as files: written whole, or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

LINES = 1000
"""How many lines are written at a time."""


async def export_to(to: Path, lines: AsyncGenerator[str, None]) -> None:
    """Write the lines to a file that only this user can read, and that is there once it is complete.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = await asyncio.to_thread(tempfile.mkstemp, prefix=f".{to.name}-", dir=to.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            async with aclosing(lines) as each:
                piece: list[str] = []
                async for line in each:
                    piece.append(line)
                    if len(piece) == LINES:
                        await asyncio.to_thread(file.writelines, piece)
                        piece.clear()
            await asyncio.to_thread(file.writelines, piece)
        await asyncio.to_thread(os.replace, name, to)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
