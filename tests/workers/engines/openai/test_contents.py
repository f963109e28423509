from __future__ import annotations

from typing import Any

import pytest

from workers.engines.openai.contents import Said, read_said
from workers.errors import EngineProtocolError


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, Said("", "", "")),
        ({"role": "assistant"}, Said("", "", "")),
        ({"content": None}, Said("", "", "")),
        ({"content": "a"}, Said("a", "", "")),
        ({"content": ["a", "b"]}, Said("ab", "", "")),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}]},
            Said("ab", "", ""),
        ),
        ({"content": [{"type": "text", "text": {"value": "a"}}]}, Said("a", "", "")),
        ({"content": {"type": "text", "text": "a"}}, Said("a", "", "")),
        ({"content": [{"type": "image_url", "image_url": {"url": "x"}}]}, Said("", "", "")),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"text": "a"}]},
            Said("a", "t", ""),
        ),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, Said("", "", "no")),
        ({"refusal": "no", "content": None}, Said("", "", "no")),
        ({"refusal": None, "content": "a"}, Said("a", "", "")),
        ({"reasoning_content": "t"}, Said("", "t", "")),
        ({"reasoning": "t", "content": ""}, Said("", "t", "")),
        ({"reasoning": "t", "reasoning_content": "t", "content": "a"}, Said("a", "t", "")),
        ({"thinking": "t"}, Said("", "t", "")),
        ({"thinking": {"content": "t"}}, Said("", "t", "")),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, Said("", "t", "")),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "t"}]}, Said("", "t", "")),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "t"}]}, Said("", "t", "")),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, Said("", "", "")),
        ({"reasoning": 7, "content": "a"}, Said("a", "", "")),
    ],
)
def test_text_thinking_and_refusal_are_told_apart(message: dict[str, Any], said: Said) -> None:
    assert read_said(message) == said


@pytest.mark.parametrize("content", [7, True, [7], [["a"]]])
def test_content_that_is_not_text_is_an_error(content: object) -> None:
    with pytest.raises(EngineProtocolError, match="not text"):
        read_said({"content": content})
