from __future__ import annotations

import json
from typing import Any

import pytest

from workers.tools.mcp.declared import Declared, mcp_servers


def test_servers_are_declared_as_for_other_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "k")
    servers: dict[str, Any] = {
        "files": {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}, "alwaysAllow": ["read"]},
        "far": {
            "type": "http",
            "url": "https://x.org/mcp",
            "headers": {"Authorization": "Bearer ${THEIR_KEY}"},
        },
        "off": {"command": "x", "disabled": True},
        "few": {"type": "stdio", "command": "x", "timeout": 5, "includeTools": ["a"]},
    }
    found = mcp_servers(json.dumps({"mcpServers": servers}))
    assert list(found) == ["files", "far", "few"]
    assert (found["files"].command, found["files"].args) == ("npx", ("-y", "x"))
    assert found["far"].headers == {"Authorization": "Bearer k"}
    assert (found["few"].timeout, found["few"].include_tools) == (5.0, frozenset({"a"}))


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ({"a": {}}, r"give command \(for a process\) or url"),
        ({"a": {"command": "x", "url": "https://x.org"}}, r"give command \(for a process\) or url"),
        ({"a": {"url": "https://x.org/sse", "type": "sse"}}, "type 'sse' is not supported here"),
        ({"a": {"url": "file:///etc"}}, "url"),
        ({"a": {"command": "x", "timeout": 0}}, "timeout"),
        ([], "mcpServers"),
        (None, "mcpServers"),
    ],
)
def test_what_is_wrong_with_a_server_is_named(servers: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        mcp_servers(json.dumps({} if servers is None else {"mcpServers": servers}))


def test_what_is_told_of_a_server_does_not_tell_its_secrets() -> None:
    far = Declared(url="https://x.org/mcp?key=abc-1234", headers={"Authorization": "Bearer s3cret-token"})
    near = Declared(command="x", env={"TOKEN": "s3cret-token"})
    told = "moved to https://x.org/mcp/?key=abc-1234 for s3cret-token"
    assert far.discreet(told) == "moved to https://x.org/mcp/?key=*** for ***"
    assert near.discreet("bad s3cret-token") == "bad ***"
