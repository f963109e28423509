"""Batches of services in processes of their own, one of which is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types import Batch

from tests.orchestrator.api.programs import process

LINES = 10


def until(to: OpenAI, batch_id: str, completed: int) -> Batch:
    for _ in range(1200):
        batch = to.batches.retrieve(batch_id)
        assert batch.request_counts is not None
        if batch.request_counts.completed >= completed and (completed < LINES or batch.output_file_id):
            return batch
        time.sleep(0.05)
    pytest.fail(f"it did not come to that: {batch}")


@pytest.mark.slow
def test_a_batch_survives_the_process_that_drives_it(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"slow": "word " * 60, "": "Answer: 42"}))
    simulator = ("workers.engines.simulator", "--port", "0", "--answers", str(answers))
    serve = ("orchestrator.cli", "serve", "--port", "0", "--database", f"sqlite:///{tmp_path / 'a.db'}")
    lines = [
        {
            "custom_id": f"line {number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "anabranch/direct",
                "messages": [{"role": "user", "content": "What?" if number < 2 else "slow"}],
            },
        }
        for number in range(LINES)
    ]
    data = "".join(f"{json.dumps(each)}\n" for each in lines).encode()
    with process(*simulator, "--decode-rate", "20") as engine:
        settings = {
            "ANABRANCH_ENGINE": engine,
            "ANABRANCH_LEASE_SECONDS": "2",
            "ANABRANCH_BATCH_WIDTH": "2",
        }
        with process(*serve, **settings) as url, OpenAI(base_url=f"{url}/v1", api_key="none") as to:
            file = to.files.create(file=("q.jsonl", data), purpose="batch")
            made = to.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            assert until(to, made.id, 2).status == "in_progress"
        with process(*serve, **settings) as url, OpenAI(base_url=f"{url}/v1", api_key="none") as to:
            batch = until(to, made.id, LINES)
            assert batch.status == "completed"
            assert batch.output_file_id is not None
            found = [json.loads(each) for each in to.files.content(batch.output_file_id).text.splitlines()]
            assert [each["custom_id"] for each in found] == [each["custom_id"] for each in lines]
            tasks = to.get("/tasks?limit=200", cast_to=object)
            assert isinstance(tasks, dict)
            ids = {task["id"] for task in tasks["tasks"]}
            assert ids == {each["response"]["request_id"] for each in found}  # none was asked twice
