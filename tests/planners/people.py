"""Two tools over people, for the planners that use tools."""

from __future__ import annotations

from workers.tools.declaration import tool


@tool
async def age(name: str) -> int:
    """How old a person is."""
    return {"Ann": 30, "Bob": 45}[name]


@tool
async def add(first: int, second: int) -> int:
    """The sum of two numbers."""
    return first + second
