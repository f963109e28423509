"""What is logged, and what is not."""

from __future__ import annotations

import json

import pytest
import structlog

from orchestrator import logs
from orchestrator.settings import Settings


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_does_not_tell_the_values_of_variables(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = structlog.get_config()
    try:
        logs.configure(Settings.read(log_format=form))
        question = "private" + " matters"
        try:
            raise LookupError(len(question))
        except LookupError:
            structlog.get_logger().exception("request failed")
    finally:
        structlog.configure(**before)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "LookupError" in told
    assert "private matters" not in told


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_line_shows_the_key(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    key = "the-key-of-this-service"
    try:
        logs.configure(Settings.read(log_format=form, api_key=key))
        try:
            raise LookupError(f"Authorization: Bearer {key}")
        except LookupError:
            structlog.get_logger().exception("request failed", url="http://me:secret@host", key=key)
    finally:
        structlog.configure(**before)
    told = capsys.readouterr().err
    assert "LookupError" in told
    assert key not in told
    assert "secret" not in told
    if form == "json":
        assert json.loads(told)["url"] == "http://***@host"
