"""What is logged, and what is not."""

from __future__ import annotations

import errno
import io
import json
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


FORGED = "gone\n2026-01-01 [info     ] all is well\x1b[2J\u202e"


def logged(form: str, capsys: pytest.CaptureFixture[str]) -> str:
    before = structlog.get_config()
    try:
        logs.configure(Settings.read(log_format=form))
        log = structlog.get_logger()
        log.warning(FORGED, task=FORGED, **{FORGED: [FORGED], "error": ValueError(FORGED), "number": 3})
        try:
            raise LookupError(FORGED)
        except LookupError:
            log.exception("request failed")
    finally:
        structlog.configure(**before)
    return capsys.readouterr().err


def test_no_text_looks_like_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    told = logged("console", capsys)
    assert all(character not in told for character in "\x1b\u202e")
    lines = told.splitlines()
    assert [line for line in lines if "all is well" in line] == [
        line for line in lines if line.startswith(("    ", lines[0][:4])) and "all is well" in line
    ]
    assert sum(not line.startswith("    ") for line in lines) == 2
    assert r"gone\n2026-01-01" in lines[0]
    assert "number=3" in lines[0]


def test_json_logs_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(json.loads, logged("json", capsys).splitlines())
    assert (first["event"], first["task"], first[FORGED]) == (FORGED, FORGED, [FORGED])
    assert FORGED in second["exception"]


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
