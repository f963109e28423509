from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.tools.files import http_tools, read_declarations

LOOK = {"name": "look", "url": "https://example.org/{at}", "description": "Look."}
AT = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


def test_declarations_are_a_text_or_a_file_with_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", "k")
    monkeypatch.delenv("NOT_SET", raising=False)
    text = '{"a": ["Bearer ${THEIR_KEY}", 1, null, {"b": "${NOT_SET:-else}"}], "c": "$THEIR_KEY ${x y}"}'
    wanted = {"a": ["Bearer k", 1, None, {"b": "else"}], "c": "$THEIR_KEY ${x y}"}
    (tmp_path / "given.json").write_text(text)
    assert read_declarations(text) == read_declarations(str(tmp_path / "given.json")) == wanted
    with pytest.raises(ValueError, match=r"the environment has no NOT_SET, which \$\{NOT_SET\} stands for"):
        read_declarations('["${NOT_SET}"]')
    with pytest.raises(ValueError, match="it is not JSON: Expecting"):
        read_declarations("[1, ")
    with pytest.raises(ValueError, match=r"gone\.json cannot be read: "):
        read_declarations(str(tmp_path / "gone.json"))


def test_http_tools_are_declared_in_a_list() -> None:
    full: dict[str, Any] = {
        **LOOK,
        "arguments": AT,
        "method": "POST",
        "headers": {"X-Api-Key": "k"},
        "private_hosts": ["10.0.0.0/8"],
        "key_header": "Idempotency-Key",
        "timeout": 5,
        "concurrency": 2,
        "rate": "5/second",
        "retries": 1,
        "examples": ['look("here")'],
    }
    (tool,) = http_tools(json.dumps([full]))
    assert (tool.name, tool.parameters, tool.timeout, tool.retries) == ("look", ("at",), 5.0, 1)
    assert (tool.side_effects, tool.takes_key, tool.examples) == (True, True, ('look("here")',))
    assert (tool.limits.concurrency, tool.limits.rate) == (2, "5/second")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({**LOOK, "arguments": AT, "metod": "GET"}, "metod"),
        ({"name": "look"}, "url"),
        ({**LOOK, "name": "look at"}, "name"),
        (LOOK, "the tool look: url .* has a place for 'at', which is no argument"),
        ({**LOOK, "arguments": AT, "method": "POST", "retries": 1}, "must take an idempotency_key"),
        ({**LOOK, "arguments": AT, "rate": "x"}, "write a number and a time"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        http_tools(json.dumps([given]))
