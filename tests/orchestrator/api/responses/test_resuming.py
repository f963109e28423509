"""A response that is followed in one process, and further in another one after the first was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.orchestrator.api.programs import process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_another_process_goes_on_exactly_where_a_killed_one_stopped(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'api.db'}"
    answer = ("--answer", "Let me see. " * 20 + "Answer: 42", "--decode-rate", "40")
    lease = {"ANABRANCH_LEASE_SECONDS": "3"}
    with process("workers.engines.simulator", "--port", "0", *answer) as engine:
        options = ("serve", "--port", "0", "--engine", engine, "--database", database)
        with process("orchestrator.cli", *options, **lease) as url:  # which is killed when the block ends
            response, before = _followed_for_a_while(url)
        with process("orchestrator.cli", *options, **lease) as other:
            ai = OpenAI(base_url=f"{other}/v1", api_key="none", max_retries=0)
            number = before[-1]["sequence_number"]
            rest = [
                event.model_dump()
                for event in ai.responses.retrieve(response, stream=True, starting_after=number)
            ]
            whole = [event.model_dump() for event in ai.responses.retrieve(response, stream=True)]
    assert before + rest == whole
    assert [event["sequence_number"] for event in whole] == [*range(len(whole))]
    assert whole[-1]["type"] == "response.completed"
    thoughts = next(event["text"] for event in whole if event["type"].endswith("summary_text.done"))
    assert "Another process goes on with the run." in thoughts


def _followed_for_a_while(url: str) -> tuple[str, list[dict[str, Any]]]:
    """A new response, and its events until two branches have answered."""
    ai = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    own = {"anabranch": {"options": {"n": 4, "rule": "fixed"}}}
    before: list[dict[str, Any]] = []
    with ai.responses.create(
        model="anabranch/vote", input="x", background=True, stream=True, extra_body=own
    ) as stream:
        for event in stream:
            before.append(event.model_dump())
            if event.type == "response.reasoning_summary_text.delta" and "begin" in event.delta:
                break
    return str(before[0]["response"]["id"]), before
