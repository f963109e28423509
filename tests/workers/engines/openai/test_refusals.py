from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from tests.workers.engines.openai.harness import (
    failure,
    scripted,
    sending,
)
from tests.workers.engines.raw_server import (
    respond,
)
from workers.engines.openai.refusals import Refusals, error_told
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineFailed,
    EngineProtocolError,
    Fault,
    ModelUnavailable,
    Overloaded,
    QuotaExhausted,
    WorkerError,
)


def read(status: int, body: object, **headers: str) -> WorkerError:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusals("server", "ACME_KEY", True, ["zq7-w9x8-v5u4"]).read(status, named, sent)


def error(message: str, kind: str | None = None, code: object = None, **more: Any) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "code": code} | more}


OUT_OF_CREDITS = (
    "Your team has either used all available credits or reached its monthly spending limit. "
    "To continue making API requests, please purchase more credits or raise your spending limit."
)
PLAN = "You exceeded your current quota, please check your plan and billing details."

THE_REQUESTS: list[tuple[int, object]] = [
    (400, error("bad")),
    (400, b"<html>Bad Request</html>"),
    (400, error("Unsupported parameter: 'max_tokens'", "invalid_request_error", "unsupported_parameter")),
    (400, error("too long", "invalid_request_error", "context_length_exceeded")),
    (400, error("This model's maximum context length is 8192 tokens. However, you requested 9000.")),
    (400, error("filtered", None, "content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})),
    (400, {"code": "data_inspection_failed", "message": "Output data may contain inappropriate content."}),
    (403, error("Your input was flagged", code=403, metadata={"reasons": ["violence"]})),
    (403, b"<html>Sorry, you have been blocked</html>"),
    (405, b"Method Not Allowed"),
    (413, b"<html>Request Entity Too Large</html>"),
    (413, error("Request too large for model `m`: Limit 6000, Requested 8000", "tokens")),
    (414, b""),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted", "type": "extra"}]}),
    (422, {"detail": [{"loc": ["body"], "msg": "no", "input": {"code": "insufficient_quota"}}]}),
    (400, error("the schema is wrong: " + "x" * 200 + "insufficient balance")),
    (422, {"error": "Input validation error: `inputs` must have less than 4096 tokens", "error_type": "v"}),
    (429, error("Request too large for m on tokens per min (TPM): Limit 30000, Requested 36055.", "tokens")),
    (500, error("the request exceeds the available context size", "exceed_context_size_error", 500)),
    (500, error("bad value", "invalid_request_error")),
    (501, error("not implemented")),
]
THE_ACCOUNTS: list[tuple[int, object, type[WorkerError]]] = [
    (401, error("no"), AccessRefused),
    (401, b"", AccessRefused),
    (403, error("Country, region, or territory not supported", "request_forbidden"), AccessRefused),
    (402, b"", QuotaExhausted),
    (402, error("Insufficient Balance", "unknown_error", "invalid_request_error"), QuotaExhausted),
    (402, error("Insufficient credits", code=402), QuotaExhausted),
    (429, error(PLAN, "insufficient_quota", "insufficient_quota"), QuotaExhausted),
    (429, error("limit", "insufficient_quota", "billing_hard_limit_reached"), QuotaExhausted),
    (429, error(PLAN, code=429, status="RESOURCE_EXHAUSTED"), QuotaExhausted),
    (429, error("suspended", "exceeded_current_quota_error"), QuotaExhausted),
    (429, error("LiteLLM User: exceeded budget for model=m", "budget_exceeded", "429"), QuotaExhausted),
    (400, error("Budget has been exceeded! Current cost: 76.16, Max budget: 10.0"), QuotaExhausted),
    (
        400,
        error("Your credit balance is too low to access the API.", "invalid_request_error"),
        QuotaExhausted,
    ),
    (400, {"code": "Arrearage", "message": "Access denied."}, QuotaExhausted),
    (403, {"code": "The caller has no permission", "error": OUT_OF_CREDITS}, QuotaExhausted),
    (429, OUT_OF_CREDITS, QuotaExhausted),
    (429, error("您的账户余额不足", code="1113"), QuotaExhausted),
]
THE_MODELS: list[tuple[int, object]] = [
    (404, error("The model `m` does not exist.")),
    (404, b"404 page not found"),
    (400, error("Model Not Exist", "invalid_request_error")),
    (400, error("no", "invalid_request_error", "model_not_found")),
]
NOBODYS: list[tuple[int, object]] = [
    (429, error("Rate limit reached", "requests", "rate_limit_exceeded")),
    (429, b""),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}),
    (429, error("slow", details=[{"retryDelay": "26s"}]) | {"error": {"message": f"{PLAN} retry in 26s"}}),
    (503, error("Loading model", "unavailable_error", 503)),
    (503, b"<html>Service Temporarily Unavailable</html>"),
    (503, {"object": "error", "message": "The request queue is full."}),
    (503, error("The model is overloaded. Please try again later.", status="UNAVAILABLE")),
    (529, error("Overloaded", "overloaded_error")),
    (500, error("Overloaded", "overloaded_error")),
    (409, error("lock timeout")),
]
ITS_OWN: list[tuple[int, object]] = [
    (500, b"Internal Server Error"),
    (500, error("CUDA error: an illegal memory access", "server_error")),
    (502, b"<html>Bad Gateway</html>"),
    (503, b""),
    (503, b"Service Unavailable"),
    (503, b"no healthy upstream"),
    (503, error("could not generate: guard against empty replies")),
    (503, b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"),
    (504, b""),
    (520, b"<html>Web server is returning an unknown error</html>"),
    (424, {"error": "Request failed during generation", "error_type": "generation"}),
    (408, error("Your request timed out")),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "fault"),
    [
        *[(status, body, CallRejected, Fault.REQUEST) for status, body in THE_REQUESTS],
        *[(status, body, kind, Fault.ACCOUNT) for status, body, kind in THE_ACCOUNTS],
        *[(status, body, ModelUnavailable, Fault.REQUEST) for status, body in THE_MODELS],
        *[(status, body, Overloaded, Fault.NOBODY) for status, body in NOBODYS],
        *[(status, body, EngineFailed, Fault.ENGINE) for status, body in ITS_OWN],
        (302, b"", EngineProtocolError, Fault.ENGINE),
        (204, b"", EngineProtocolError, Fault.ENGINE),
    ],
)
def test_a_refusal_is_the_requests_the_accounts_nobodys_or_the_servers_own(
    status: int, body: object, kind: type[WorkerError], fault: Fault
) -> None:
    refusal = read(status, body)
    assert type(refusal) is kind
    assert refusal.fault is fault
    assert f"HTTP {status}" in str(refusal)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"error": {"message": "overloaded engine", "type": "server_error", "code": 500}}, EngineFailed),
        ({"error": {"message": "it broke"}}, EngineFailed),
        ({"error": "it broke"}, EngineFailed),
        ({"error": {"message": "schema", "code": 400}}, CallRejected),
        ({"error": {"message": "schema", "code": "400"}}, CallRejected),
        ({"error": {"message": "no credits", "code": 402}}, QuotaExhausted),
        ({"error": {"message": "slow", "code": 429}}, Overloaded),
        ({"error": {"message": "slow", "type": "rate_limit_exceeded"}}, Overloaded),
        ({"error": {"message": "no", "type": "insufficient_quota"}}, QuotaExhausted),
        ({"error": {"message": "too long", "code": "context_length_exceeded"}}, CallRejected),
        ({"error": {"message": "key sk-abcdef0123456789 is wrong", "code": 401}}, AccessRefused),
    ],
)
def test_an_error_in_a_stream_means_what_its_status_would(told: object, kind: type[WorkerError]) -> None:
    caught = error_told("server", told)
    assert type(caught) is kind
    assert "server reported an error" in str(caught)
    assert "abcdef" not in str(caught)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry_After": "7"}, b"", 7.0),
        ({"retry_after_ms": "250", "retry_after": "1"}, b"", 0.25),
        ({"x_ratelimit_reset_requests": "6m0s", "x_ratelimit_remaining_requests": "0"}, b"", 360.0),
        (
            {
                "x_ratelimit_reset_requests": "12ms",
                "x_ratelimit_remaining_requests": "59",
                "x_ratelimit_reset_tokens": "20s",
                "x_ratelimit_remaining_tokens": "0",
            },
            b"",
            20.0,
        ),
        ({"x_ratelimit_reset_tokens": "20s", "x_ratelimit_remaining_tokens": "5"}, b"", None),
        ({"ratelimit_reset": "30"}, b"", 30.0),
        ({"ratelimit": '"default";r=0;t=45'}, b"", 45.0),
        ({"ratelimit": '"default";r=3;t=45'}, b"", None),
        ({}, error("Limit 10000, Used 8554. Please try again in 9.816s. Visit https://x/y"), 9.816),
        ({}, error("Please try again in 1h2m3.5s."), 3_723.5),
        ({}, error("Please try again in 120ms."), 0.12),
        ({}, error("Please retry after 6 seconds."), 6.0),
        ({}, error("Try again in 2 minutes and 30 seconds"), 150.0),
        ({}, error("try again later"), None),
        ({}, error("limit", details=[{"retryDelay": "26s"}]), 26.0),
        ({}, {"error": "Model m is currently loading", "estimated_time": 20.5}, 20.5),
    ],
)
def test_a_wait_is_read_wherever_servers_tell_it(
    headers: dict[str, str], body: object, seconds: float | None
) -> None:
    refusal = read(429, body, **headers)
    assert isinstance(refusal, Overloaded)
    assert refusal.told == (seconds is not None)
    if seconds is not None:
        assert refusal.retry_after == pytest.approx(seconds)
        assert "it asks to wait" in str(refusal)


@pytest.mark.parametrize("unit", [1, 1_000])
def test_a_reset_may_be_a_time_since_1970(unit: int) -> None:
    at = str(int((time.time() + 90) * unit))
    shown = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": at}
    in_header = read(429, b"", **{name.replace("-", "_"): value for name, value in shown.items()})
    in_body = read(429, error("free-models-per-day", code=429, metadata={"headers": shown}))
    for refusal in (in_header, in_body):
        assert refusal.retry_after is not None
        assert 60 < refusal.retry_after <= 90


async def test_a_refused_key_names_its_variable_and_never_shows_the_key() -> None:
    refusal = sending(respond("401 Unauthorized", {"error": {"message": "Incorrect key: s3cr**"}}))
    for options, hint in [
        ({"api_key": "s3cret"}, "was refused, or may not use this model"),
        ({}, "is missing"),
    ]:
        async with scripted(refusal, api_key_env="ACME_KEY", **options) as (engine, _):
            error = await failure(engine)
            assert isinstance(error, AccessRefused)
            assert f"the key {hint}; set ACME_KEY" in str(error)
            assert "s3cr" not in str(error)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Country, region, or territory not supported", True),
        ("Incorrect API key provided: zq7-w9x8-v5u4", False),
        ("the key that ends in v5u4 is revoked", False),
        ("bearer 0123456789abcdef is not known", False),
    ],
)
def test_why_access_is_refused_is_told_unless_it_quotes_the_key(message: str, shown: bool) -> None:
    told = str(read(403, error(message)))
    assert (message in told) == shown
    assert "set ACME_KEY" in told


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("in half a minute", 30.0), ("-3", 0.0), ("soon", 1.0)],
)
async def test_retry_after_is_a_number_or_a_date(header: str, seconds: float) -> None:
    began = time.time()
    if header == "in half a minute":
        header = formatdate(began + 30, usegmt=True)
    busy = sending(respond("429 Slow", {"error": {"message": "later"}}, Retry_After=header))
    async with scripted(busy) as (engine, _):
        error = await failure(engine)
        assert isinstance(error, Overloaded)
        late = time.time() - began + 1 if seconds > 20 else 0  # a date tells no fractions
        assert seconds - late <= error.retry_after <= seconds
