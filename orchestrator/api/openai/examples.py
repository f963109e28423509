"""Requests of OpenAI's protocol, by example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHAT: Mapping[str, Any] = {
    "model": "anabranch/engine",
    "messages": [{"role": "user", "content": "How many clips?"}],
    "max_tokens": 64,
}

COMPLETION: Mapping[str, Any] = {"model": "anabranch/engine", "prompt": "How many clips?", "max_tokens": 64}
