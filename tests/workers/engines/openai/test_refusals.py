from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from tests.workers.engines.openai.harness import (
    failure,
    scripted,
    sending,
)
from tests.workers.engines.raw_server import (
    respond,
)
from workers.errors import (
    AccessRefused,
    Overloaded,
)


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
