"""A trained router, from its file to what it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from workers.errors import ToolError
from workers.tools.router import LinearRouter, features_of, router

TRAINED = {"format": "anabranch router 1", "bits": 10, "bias": -1.0, "threshold": 0.6, "weights": {}}


def written(folder: Path, **changed: object) -> Path:
    path = folder / "router.json"
    path.write_text(json.dumps({**TRAINED, **changed}))
    return path


async def test_a_question_like_those_with_weight_is_more_probably_a_list(tmp_path: Path) -> None:
    weights = dict.fromkeys(features_of("Give tips for sleep", 10), 9.0)
    judge = await asyncio.to_thread(lambda: router(written(tmp_path, weights=weights)))
    told: Any = await judge.invoke({"question": "Give tips for sleep"})
    other: Any = await judge.invoke({"question": "What is the capital of the largest country over there?"})
    assert told["threshold"] == 0.6
    assert told["probability"] > 0.99
    assert other["probability"] < 0.9


def test_without_known_words_the_bias_decides() -> None:
    trained = LinearRouter(bits=10, bias=0.0, threshold=0.5, weights={})
    for question in ("", "?", "…", "word " * 5000, "\ud800"):
        assert trained.probability(question) == 0.5


def test_long_questions_count_by_their_beginning_and_end() -> None:
    begun, ended = " ".join(f"b{at}" for at in range(60)), " ".join(f"e{at}" for at in range(20))
    short = set(features_of(f"{begun} {'x ' * 100}{ended}", 20))
    long = set(features_of(f"{begun} {'y ' * 100}{ended}", 20))
    assert short == long


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "another"}, r"no trained router \(format"),
        ({"threshold": 1.0}, "threshold"),
        ({"weights": {"a": 1}}, "weights"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_router_is_told(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        router(written(tmp_path, **changed))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be read: No such file"):
        router(tmp_path / "missing.json")
    (tmp_path / "text.json").write_text("no json")
    with pytest.raises(ToolError, match=r"no trained router \(the file"):
        router(tmp_path / "text.json")
