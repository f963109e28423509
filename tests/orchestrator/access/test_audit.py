"""Who changed what is written, whatever else is."""

from __future__ import annotations

import json
import os
import pwd

import pytest
import structlog
from structlog.testing import capture_logs

from orchestrator import logs
from orchestrator.access.audit import audit, audited_command
from orchestrator.access.caller import Caller, Scope
from orchestrator.access.form import new_key
from orchestrator.access.keyring import KeyNotFound
from tests.orchestrator.access.conftest import settings

CALLER = Caller(tenant="acme", scopes=frozenset({Scope.SUBMIT}), key="key-1", names_tenants=True)


def test_line_says_who_did_what_to_what_and_how_it_ended() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with capture_logs() as lines:
        audit(CALLER, "cancel", target="0a1b", outcome="done")
        audit(CALLER, "submit", tenant="another", outcome="too_many_tasks")
    common = {"event": "audit", "log_level": "info", "caller": "key-1"}
    assert lines == [
        {**common, "tenant": "acme", "what": "cancel", "target": "0a1b", "outcome": "done"},
        {**common, "tenant": "another", "what": "submit", "target": None, "outcome": "too_many_tasks"},
    ]


def test_line_is_written_where_only_errors_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings().model_copy(update={"log_level": "error", "log_format": "json"}))
    structlog.get_logger().warning("not written")
    audit(CALLER, "cancel", target="a\nb\x1b[2J", outcome="done")
    [line] = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    assert (written["event"], written["target"], written["level"]) == ("audit", "a\nb\x1b[2J", "info")
    assert "\x1b" not in line


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_is_written_names_the_key_and_hides_secrets(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    logs.configure(settings().model_copy(update={"log_format": form}))
    caller = Caller(tenant="acme", scopes=frozenset({Scope.SUBMIT}), key="key-e314e463750e")
    audit(caller, "submit", target=f"{new_key()} whsec_{'QUJ1' * 8}", outcome="done")
    line = capsys.readouterr().err
    assert "key-e314e463750e" in line
    assert "anb_***" in line
    assert "whsec_***" in line


def test_a_command_says_who_ran_it_what_it_was_about_and_how_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with capture_logs() as lines:
        with audited_command("create_key", tenant="acme") as about:
            about.target = "key-1"
        with pytest.raises(KeyNotFound), audited_command("revoke_key", target="key-2"):
            raise KeyNotFound("there is no such key")
        monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)
        with audited_command("limit_tenant", tenant="acme"):
            pass
    created, refused, limited = lines
    user = pwd.getpwuid(os.getuid()).pw_name
    common = {"event": "audit", "log_level": "info", "caller": f"cli:{user}"}
    assert created == {**common, "what": "create_key", "tenant": "acme", "target": "key-1", "outcome": "done"}
    assert (refused["target"], refused["outcome"]) == ("key-2", "key_not_found")
    assert (limited["caller"], limited["tenant"]) == ("cli:4000000001", "acme")
