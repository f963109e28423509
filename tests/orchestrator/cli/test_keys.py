"""``anabranch keys``, and that what it prints opens the service."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from orchestrator.access.caller import Scope, Unauthorized
from orchestrator.access.form import is_key
from orchestrator.access.gate import Access
from storage.accounts import Amount
from storage.opening import open_store
from tests.orchestrator.access.conftest import settings
from tests.orchestrator.cli.test_commands import anabranch, shell

__all__ = ["anabranch"]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def keys(anabranch: Any, database: str) -> Any:
    """``anabranch keys`` on a database without keys."""

    def call(*arguments: str) -> Any:
        return anabranch("keys", *arguments, "--database", database)

    return call


def authenticated(database: str, token: str) -> Any:
    async def ask() -> Any:
        async with await open_store(database) as store:
            return await Access(store, settings()).authenticate(token)

    return asyncio.run(ask())


def test_key_is_printed_once_and_alone(keys: Any, database: str) -> None:
    done = keys(
        "create", "for tests", "--tenant", "acme", "--scope", "read", "--rate", "2.5", "--expires", "2h"
    )
    assert done.code == 0
    secret = done.out.strip()
    assert done.out == f"{secret}\n"
    assert is_key(secret)
    assert secret not in done.err
    assert "tenant acme may read, until 20" in done.err
    assert "2.5 requests/s, 3 at once" in done.err
    caller = authenticated(database, secret)
    assert (caller.tenant, caller.scopes, caller.names_tenants) == ("acme", {Scope.READ}, False)
    listed = keys("list")
    assert secret not in listed.out
    assert f"{secret[:12]}…" in listed.out
    assert "for tests" in listed.out


def test_everything_about_a_key_is_in_the_json(keys: Any) -> None:
    limits = ("--rate", "0.5", "--burst", "7", "--concurrency", "3", "--tokens", "1000", "--cost", "12.5")
    made = keys("create", "ops", "--all-tenants", "--scope", "admin", *limits, "--period", "month", "--json")
    body = made.json
    assert is_key(body.pop("secret"))
    assert body["tenant"] is None
    assert body["names_tenants"] is True
    assert body["scopes"] == ["admin"]
    assert body["limits"] == {
        "rate": 0.5,
        "burst": 7,
        "concurrency": 3,
        "tokens": 1000,
        "cost": 12.5,
        "period": "month",
        "task_tokens": None,
    }
    [listed] = keys("list", "--json").json["keys"]
    assert listed == body
    assert listed["state"] == "valid"
    assert listed["used"] == {
        "tasks": 0,
        "tokens": 0,
        "cost": 0.0,
        "reserved_tokens": 0,
        "reserved_cost": 0.0,
    }


def test_rotated_and_revoked_key(keys: Any, database: str) -> None:
    first = keys("create", "one", "--json").json
    second = keys("rotate", first["id"], "--grace", "1h", "--json").json
    assert second["state"] == "rotating"
    assert authenticated(database, first["secret"]) == authenticated(database, second["secret"])
    third = keys("rotate", first["id"])
    assert third.code == 0
    for secret in (first["secret"], second["secret"]):
        with pytest.raises(Unauthorized):
            authenticated(database, secret)
    assert authenticated(database, third.out.strip()).key == first["id"]
    done = keys("revoke", first["id"])
    assert (done.code, done.out) == (0, "")
    with pytest.raises(Unauthorized):
        authenticated(database, third.out.strip())
    assert keys("list", "--json").json["keys"][0]["state"] == "revoked"
    done = keys("rotate", first["id"])
    assert (done.code, done.out) == (1, "")
    assert "[key_not_found]" in done.err


def test_limits_are_changed_and_their_use_stays(keys: Any, database: str) -> None:
    made = keys("create", "one", "--tokens", "500", "--json").json

    async def spend() -> None:
        from storage.access import Reservation

        async with await open_store(database) as store:
            name = f"key:{made['id']}"
            await store.access.reserve(Reservation(id="t", accounts=(name,), amount=Amount(30, 4)), 60)
            await store.access.settle("t", Amount(20, 3))
            await store.access.reserve(Reservation(id="u", accounts=(name,), amount=Amount(30, 4)), 60)

    asyncio.run(spend())
    changed = keys("limit", made["id"], "--tokens", "900", "--period", "total", "--json").json
    assert changed["limits"]["tokens"] == 900
    assert changed["used"] == {
        "tasks": 1,
        "tokens": 20,
        "cost": 3e-06,
        "reserved_tokens": 30,
        "reserved_cost": 4e-06,
    }
    assert "900 tokens (used + reserved: 1 tasks, 20 + 30 tokens)" in keys("list").out
    assert keys("limit", made["id"]).out == "no limits\n"
    keys("limit", "--tenant", "acme", "--concurrency", "4")
    [tenant] = keys("list", "--json").json["tenants"]
    assert (tenant["tenant"], tenant["limits"]["concurrency"]) == ("acme", 4)
    assert keys("list", "--tenant", "other", "--json").json == {"keys": [], "tenants": []}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "x", "--scope", "root"), "one of submit, read, admin"),
        (("create", "x", "--tenant", "a", "--all-tenants"), "one tenant or to none"),
        (("create", "x", "--tenant", ""), "tenant: ''"),
        (("create", "x\x1b[2J"), "name:"),
        (("create", "x", "--expires", "soon"), "such as 30d"),
        (("create", "x", "--expires", "0s"), "in the future"),
        (("create", "x", "--rate", "0"), "--rate: 0.0"),
        (("create", "x", "--burst", "5"), "--burst: it needs a rate"),
        (("create", "x", "--concurrency", "0"), "--concurrency: 0"),
        (("create", "x", "--task-tokens", "0"), "--task-tokens: 0"),
        (("create", "x", "--cost", "nan"), "--cost: nan"),
        (("create", "x", "--cost", "1e300"), "from 0.000001 to 9,007,199,254"),
        (("limit",), "either a key by its ID, or a tenant"),
        (("limit", "key-1", "--tenant", "a"), "either a key by its ID, or a tenant"),
        (("rotate", "key-1", "--grace", "x"), "such as 30d"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(keys: Any, arguments: tuple[str, ...], told: str) -> None:
    done = keys(*arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "\x1b" not in done.err
    assert keys("list", "--json").json["keys"] == []


def test_store_in_memory_is_refused(anabranch: Any) -> None:
    done = anabranch("keys", "create", "x", "--database", "memory")
    assert done.code == 2
    assert "gone when this command ends" in done.err


def test_key_made_by_a_process_is_in_the_database_of_another(database: str) -> None:
    create = ("keys", "create", "from a shell", "--json")
    done = shell(*create, ANABRANCH_DATABASE=database, ANABRANCH_LOG_LEVEL="error")
    [line] = done.err.splitlines()
    assert (done.code, "audit" in line) == (0, True)
    began = time.time()
    caller = authenticated(database, done.json["secret"])
    assert caller.tenant == "default"
    listed = shell("keys", "list", "--json", ANABRANCH_DATABASE=database)
    [key] = json.loads(listed.out)["keys"]
    assert began - 60 < key["last_used_at"] <= time.time()


def test_what_changes_something_leaves_a_line_and_what_lists_does_not(keys: Any) -> None:
    def audited(*arguments: str) -> list[tuple[str | None, ...]]:
        with capture_logs() as lines:
            keys(*arguments)
        written = [line for line in lines if line["event"] == "audit"]
        assert all(line["caller"].startswith("cli:") for line in written)
        return [(line["what"], line["tenant"], line["target"], line["outcome"]) for line in written]

    [(what, tenant, key, outcome)] = audited("create", "a", "--tenant", "acme")
    assert key is not None
    assert (what, tenant, outcome) == ("create_key", "acme", "done")
    assert audited("list") == []
    assert audited("limit", key, "--rate", "1") == [("limit_key", None, key, "done")]
    assert audited("limit", "--tenant", "acme", "--rate", "1") == [("limit_tenant", "acme", None, "done")]
    assert audited("rotate", key) == [("rotate_key", "acme", key, "done")]
    assert audited("revoke", key) == [("revoke_key", "acme", key, "done")]
    assert audited("revoke", "key-none") == [("revoke_key", None, "key-none", "key_not_found")]
