"""Prompts out of texts."""

from __future__ import annotations

from workers.calls import Prompt, Segment


def prompt(*parts: str) -> Prompt:
    return Prompt(tuple(Segment("user", part) for part in parts))
