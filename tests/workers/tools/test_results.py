"""Texts that tools return are cut to size where the tool says so."""

from __future__ import annotations

import json

import pytest

from workers.errors import ToolResultTooLarge
from workers.tools.declaration import tool
from workers.tools.results import MARK, as_json


@pytest.mark.parametrize("text", ["plain " * 100, '"quoted"\n' * 100, "\ud800é" * 400, "x" * 10_000_000])
@pytest.mark.parametrize("most", [20, 100, 500])
def test_a_text_is_cut_to_its_size_as_json(text: str, most: int) -> None:
    kept = as_json(text, "tool", most, cuts=True)
    assert isinstance(kept, str)
    assert kept.endswith(MARK)
    assert text.replace("\ud800", "\ufffd").startswith(kept.removesuffix(MARK))
    assert most // 3 < len(json.dumps(kept, ensure_ascii=False)) <= most


def test_a_text_that_fits_is_whole() -> None:
    assert as_json('"fits"', "tool", 12, cuts=True) == '"fits"'
    assert as_json("x" * 98, "tool", 100, cuts=True) == "x" * 98


def test_there_may_be_no_room_for_anything() -> None:
    assert as_json("a long text", "tool", 3, cuts=True) == ""


async def test_only_texts_of_tools_that_say_so_are_cut() -> None:
    @tool(cuts=True)
    def page(words: bool) -> object:
        """A page, as text or as a list."""
        return "word " * 100 if words else ["word"] * 100

    @tool
    def other() -> str:
        """A page."""
        return "word " * 100

    assert str(await page.invoke([True], most=100)).endswith(MARK)
    with pytest.raises(ToolResultTooLarge):
        await page.invoke([False], most=100)
    with pytest.raises(ToolResultTooLarge):
        await other.invoke([], most=100)
