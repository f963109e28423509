"""What OpenAI's client does where it is refused: it tries again what may succeed soon, and nothing else."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from orchestrator.access.refusals import QuotaExhausted
from orchestrator.api.openai.refusals import retry_headers
from storage.accounts import Limits
from storage.keys import account_of_key
from tests.orchestrator.api.conftest import Open
from tests.orchestrator.api.openai.conftest import QUESTION, Connect
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.faults import Fault

TRIES = "x-stainless-retry-count"
"""The header by which the client tells how often it has tried again."""


async def test_an_engine_that_has_no_room_is_asked_again_when_it_says(
    open_api: Open, connect: Connect
) -> None:
    engine = Simulator("42", faults=[Fault(kind="overload", seconds=0.05, calls={0, 1})])
    async with open_api(engine) as api:
        completions = connect(api).chat.completions
        with pytest.raises(openai.APIStatusError) as raised:
            await completions.create(model="anabranch/engine", messages=QUESTION)
        asked = connect(api, max_retries=2).chat.completions.with_raw_response
        raw = await asked.create(model="anabranch/engine", messages=QUESTION)
    assert raised.value.status_code in (429, 503)
    assert raised.value.response.headers["x-should-retry"] == "true"
    assert raised.value.response.headers["retry-after-ms"] == "50"
    assert raw.retries_taken == 1
    assert raw.parse().choices[0].message.content == "42"


async def test_no_client_waits_for_a_budget_that_is_used_up(open_api: Open, connect: Connect) -> None:
    whole: dict[str, Any] = {
        "model": "anabranch/direct",
        "extra_body": {"anabranch": {"budget": {"tokens": 500}}},
    }
    async with open_api() as api:
        key = await api.key("a", id="one")
        await api.service.store.access.set_limits(account_of_key("one"), Limits(tokens=500))
        api.service.access.forget()
        completions = connect(api, key, max_retries=3).chat.completions
        await completions.create(messages=QUESTION, **whole)
        with pytest.raises(openai.RateLimitError) as raised:
            await completions.create(messages=QUESTION, **whole)
    response = raised.value.response
    assert raised.value.code == "quota_exhausted"
    assert response.headers["x-should-retry"] == "false"
    assert response.request.headers[TRIES] == "0"


@pytest.mark.parametrize(
    ("seconds", "should"), [(0.0, "true"), (60.0, "true"), (61.0, "false"), (1e7, "false")]
)
def test_clients_are_not_told_to_wait_longer_than_somebody_would(seconds: float, should: str) -> None:
    told = retry_headers(QuotaExhausted("nothing is left", retry_after=seconds))
    assert told == {"X-Should-Retry": should, "Retry-After-Ms": str(int(1000 * seconds))}


async def test_what_cannot_succeed_is_asked_once(open_api: Open, connect: Connect) -> None:
    once: dict[str, Any] = {"extra_headers": {"Idempotency-Key": "one"}, "model": "anabranch/direct"}
    async with open_api() as api:
        completions = connect(api, max_retries=3).chat.completions
        await completions.create(messages=QUESTION, **once)
        with pytest.raises(openai.ConflictError) as raised:  # which clients try again by themselves
            await completions.create(messages=[{"role": "user", "content": "Another?"}], **once)
    assert raised.value.code == "idempotency_conflict"
    assert raised.value.response.request.headers[TRIES] == "0"
