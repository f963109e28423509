from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.api.exchange import json_object
from orchestrator.api.limits import MAX_VALUES as MOST_VALUES
from orchestrator.errors import InvalidRequest
from tests.orchestrator.api.conftest import Open

ODD: dict[str, tuple[str, str]] = {
    "a member twice": ('{"query": "a", "query": "b"}', "'query' is given twice"),
    "a member of a member twice": ('{"options": {"n": 1, "n": 2}}', "'n' is given twice"),
    "NaN": ('{"query": "a", "options": {"n": NaN}}', "NaN is not a JSON number"),
    "infinity": ('{"query": "a", "options": {"n": 1e999}}', "1e999 is too large"),
    "thousands of digits": ('{"seed": ' + "9" * 5_000 + "}", "digits"),
    "nesting": ('{"options": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested more than 64 deep"),
    "closing what was not opened": ("]" * 1_000_000, "not JSON"),
    "an array": ("[]", "must be an object"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_json_is_refused(what: str) -> None:
    text, says = ODD[what]
    with pytest.raises(InvalidRequest, match=says):
        json_object(text)


@pytest.mark.parametrize("item", ["[],", "{},", "1,", '"",', '{"a":1},', "null,"])
def test_a_body_with_a_million_values_is_refused_before_it_is_parsed(item: str) -> None:
    text = '{"options": [' + item * (4_000_000 // len(item)) + "1]}"
    began = time.thread_time()
    with pytest.raises(InvalidRequest, match="more than 10,000 values"):
        json_object(text)
    assert time.thread_time() - began < 0.2  # parsing some of them takes more than a second here


def test_marks_within_texts_are_not_values() -> None:
    text = '[{,\\"]\\\\ ' * MOST_VALUES
    assert json_object(f'{{"query": "{text}"}}') == {"query": '[{,"]\\ ' * MOST_VALUES}


NAMES: list[Any] = ["", " ", "x" * 256, "a\x00b", "a\nb", "\ud83d"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["tenant", "idempotency_key"])
async def test_what_is_no_name_is_refused(open_api: Open, field: str, name: str) -> None:
    async with open_api(work=False) as api:
        reply = await api.call("POST", "/v1/tasks", json={"query": "x", "planner": "direct", field: name})
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert field in reply.message


async def test_names_may_be_in_any_script(open_api: Open) -> None:
    async with open_api(work=False) as api:
        given = {"X-Tenant": "Zoë 日本", "Idempotency-Key": "é" * 255}
        task = (await api.submit(headers=given)).body
        assert task["tenant"] == "Zoë 日本"
        assert (await api.submit(headers=given)).body["id"] == task["id"]
        assert (await api.get(f"/v1/tasks/{task['id']}", headers=given)).status == 200


@pytest.mark.parametrize("query", ["limit=1&limit=2", "status=queued&status=queued", "&&=&"])
async def test_query_parameters_are_given_once(open_api: Open, query: str) -> None:
    async with open_api(work=False) as api:
        reply = await api.get(f"/v1/tasks?{query}")
    assert (reply.status, reply.error) == (400, "invalid_request")


async def test_a_message_is_no_longer_than_people_read(open_api: Open) -> None:
    async with open_api(work=False) as api:
        body = {f"unknown_{number}": 1 for number in range(4_000)}
        reply = await api.call("POST", "/v1/tasks", json=body)
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert len(reply.message) <= 4_000
