"""What is logged, and what is not."""

from __future__ import annotations

import errno
import io
import sys

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


@pytest.mark.parametrize("failing", ["write", "flush"])
def test_a_log_that_cannot_be_written_harms_nobody(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        """Standard error on a full disk."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    setattr(Full, failing, full)
    monkeypatch.setattr(sys, "stderr", Full())
    before = structlog.get_config()
    try:
        logs.configure(Settings.read())
        structlog.get_logger().error("request failed")
    finally:
        structlog.configure(**before)
