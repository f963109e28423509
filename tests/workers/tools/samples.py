"""Two tools: one that computes, and one that waits."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from workers.tools.declaration import tool


@tool
def area(width: float, height: float = 1.0, unit: Literal["m", "cm"] = "m") -> str:
    """Compute an area.

    The unit is appended.
    """
    return f"{width * height:g} {unit}²"


@tool(name="wait", side_effects=True, timeout=0.1)
async def wait_for(seconds: Annotated[float, Field(description="how long", ge=0)]) -> float:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds
