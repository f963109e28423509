from __future__ import annotations

import json
import random
import time

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from orchestrator.settings import Settings
from orchestrator.webhooks.messages import checked_secret, message_of, new_secret, ping, signed_headers
from orchestrator.webhooks.schedule import (
    JITTER,
    LONGEST_RETRY_AFTER,
    asked_wait,
    patience,
    retry_in,
)
from storage.endpoints import Ended, Secret


def end(**given: object) -> Ended:
    members = {
        "task_id": "t1",
        "tenant": "mine",
        "status": "failed",
        "planner": "vote",
        "outcome": "failed",
        "error": {"code": "engine_unavailable", "message": "no engine"},
        "webhook": None,
        "created_at": 1_700_000_000.0,
        "started_at": 1_700_000_001.0,
        "finished_at": 1_700_000_002.5,
    }
    return Ended(**(members | given))  # type: ignore[arg-type]


def test_a_message_says_what_ended_and_where_the_rest_is() -> None:
    message = message_of(end())
    assert (message.type, message.task_id) == ("task.failed", "t1")
    assert json.loads(message.body) == {
        "type": "task.failed",
        "timestamp": "2023-11-14T22:13:22.500Z",
        "data": {
            "id": "t1",
            "tenant": "mine",
            "status": "failed",
            "outcome": "failed",
            "planner": "vote",
            "created_at": 1_700_000_000.0,
            "started_at": 1_700_000_001.0,
            "finished_at": 1_700_000_002.5,
            "error": {"code": "engine_unavailable", "message": "no engine"},
            "url": "/v1/tasks/t1",
        },
    }
    assert message_of(end()).id != message.id


def test_a_message_is_small_whole_and_without_keys_whatever_is_stored() -> None:
    secret = "sk-0123456789abcdef"
    message = message_of(
        end(
            tenant="mül\N{SNOWMAN}ler\0", error={"message": f"{secret} " + "\ud800" * 9_999}, finished_at=9e99
        )
    )
    assert message.body.isascii()
    assert "\0" not in message.body
    assert secret not in message.body
    assert len(message.body) < 20_000
    assert json.loads(message.body)["data"]["tenant"] == "mül\N{SNOWMAN}ler\0"


@pytest.mark.parametrize("secret", [new_secret(), "whsec_" + "QUJD" * 8], ids=["new", "given"])
def test_the_library_takes_our_signatures_and_no_others(secret: str) -> None:
    message = message_of(end(tenant="mül\N{SNOWMAN}ler"))
    headers = signed_headers(message.id, message.body, [Secret(secret)], time.time(), "1")
    assert Verifier(secret).verify(message.body.encode(), headers) == json.loads(message.body)
    for changed, body in (
        (headers, message.body.replace("failed", "succeeded")),
        (headers | {"webhook-id": "msg_other"}, message.body),
        (headers | {"webhook-timestamp": str(int(time.time()) - 1)}, message.body),
    ):
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body, changed)
    with pytest.raises(WebhookVerificationError):
        Verifier(new_secret()).verify(message.body, headers)


def test_an_old_message_is_not_taken_for_a_new_one() -> None:
    secret = new_secret()
    headers = signed_headers("msg_1", "{}", [Secret(secret)], time.time() - 3600, "1")
    with pytest.raises(WebhookVerificationError, match="too old"):
        Verifier(secret).verify("{}", headers)


def test_all_secrets_sign_until_they_expire() -> None:
    now = time.time()
    new, former, expired = new_secret(), new_secret(), new_secret()
    secrets = [Secret(new), Secret(former, now + 60), Secret(expired, now - 1)]
    headers = signed_headers("msg_1", "{}", secrets, now, "1")
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, former):
        Verifier(secret).verify("{}", headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(expired).verify("{}", headers)


def test_a_ping_tells_of_no_task() -> None:
    message = ping("wh_1", 0.0)
    assert message.task_id is None
    assert json.loads(message.body) == {
        "type": "webhook.ping",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "data": {"webhook_id": "wh_1"},
    }


@pytest.mark.parametrize(
    "wrong",
    ["", "whsec_", "whsec_QUJD", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 200, "whsec_ü" * 9],
)
def test_a_secret_that_is_none_is_not_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 random bytes") as raised:
        checked_secret(wrong)
    assert not wrong.removeprefix("whsec_") or wrong not in str(raised.value)


RETRIES = Settings.model_construct().webhook_retry_seconds


def test_waits_grow_and_vary_and_end_after_some_days() -> None:
    waits = [retry_in(attempts, RETRIES, None, random.Random(1)) for attempts in range(1, len(RETRIES) + 1)]
    for wait, planned in zip(waits, RETRIES, strict=True):
        assert wait is not None
        assert planned <= wait <= planned * (1 + JITTER)
    assert retry_in(len(RETRIES) + 1, RETRIES, None) is None
    assert len({retry_in(1, RETRIES, None) for _ in range(20)}) > 1
    assert 2 * 86_400 < sum(RETRIES) < 4 * 86_400
    assert patience(RETRIES) > sum(RETRIES) * (1 + JITTER)


def test_no_attempt_comes_sooner_than_it_was_asked_for() -> None:
    assert retry_in(1, RETRIES, 1_000.0) == 1_000.0
    assert retry_in(3, RETRIES, 1.0) >= RETRIES[2]  # type: ignore[operator]
    assert retry_in(1, RETRIES, 1e12) == LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("9" * 400, 999_999_999_999.0),
        ("١٢", None),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(header: str | None, seconds: float | None) -> None:
    assert asked_wait(header, 60.0) == seconds
