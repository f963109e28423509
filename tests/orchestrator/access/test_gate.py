"""Who is let in, by which key, and how soon a change of a key counts."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.access import gate
from orchestrator.access.caller import LOCAL, Caller, Scope, Unauthorized
from orchestrator.access.drawing import AHEAD_SHARE
from orchestrator.access.form import hash_of, new_key
from orchestrator.access.gate import FRESH_SECONDS, Access
from orchestrator.access.keyring import Issued, KeyNotFound, Keyring
from orchestrator.access.refusals import RateLimited
from orchestrator.errors import InvalidRequest
from storage.accounts import Limits, Rate
from storage.errors import StorageUnavailable
from storage.keys import Key, Secret
from storage.opening import open_store
from storage.store import Store
from tests.orchestrator.access.conftest import Clock, settings

BOTH = (Scope.SUBMIT, Scope.READ)


async def made(keyring: Keyring, limits: Limits | None = None, tenant: str | None = "acme") -> Issued:
    return await keyring.create("a test", tenant=tenant, scopes=BOTH, limits=limits)


async def refused(access: Access, token: str | None) -> str:
    with pytest.raises(Unauthorized) as error:
        await access.authenticate(token)
    return str(error.value)


async def test_without_any_key_everybody_here_is_let_in(access: Access) -> None:
    assert not await access.keyed()
    assert await access.authenticate(None) is LOCAL
    assert await access.authenticate("sk-what-clients-send-anyway") is LOCAL
    assert await access.admit(LOCAL) is None


async def test_key_of_another_database_is_refused_even_where_none_is_needed(access: Access) -> None:
    await refused(access, new_key())


async def test_key_says_who_calls(access: Access, keyring: Keyring) -> None:
    issued = await made(keyring)
    assert await access.authenticate(issued.secret) == Caller(
        tenant="acme", scopes=frozenset(BOTH), key=issued.key.id, names_tenants=False
    )
    admin = await keyring.create("ops", tenant=None, scopes=tuple(Scope))
    caller = await access.authenticate(admin.secret)
    assert (caller.tenant, caller.names_tenants, caller.scopes) == (None, True, frozenset(Scope))


async def test_every_refusal_says_the_same(
    store: Store, access: Access, keyring: Keyring, clock: Clock
) -> None:
    issued, revoked = await made(keyring), await made(keyring)
    await keyring.revoke(revoked.key.id)
    expired = new_key()
    secret = Secret(hash=hash_of(expired), hint="x", created_at=0.0)
    await store.access.add_key(
        replace(issued.key, id="expired", expires_at=time.time() - 0.001, secrets=(secret,))
    )
    tokens = (
        *(None, "", "Bearer", "sk-123", new_key(), revoked.secret, expired),
        *(issued.secret[:-1], issued.secret[:-1] + "_", issued.secret + "a", issued.secret.lower()),
        *(hash_of(issued.secret), issued.key.id, issued.key.secrets[0].hint, "anb_\0", "anb_" + "é" * 49),
    )
    clock.go(FRESH_SECONDS)
    said = {await refused(access, token) for token in tokens}
    assert len(said) == 1
    await access.authenticate(issued.secret)


async def test_forged_checksum_asks_no_database(
    access: Access, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await made(keyring)
    wrong = issued.secret[:-1] + ("a" if issued.secret[-1] != "a" else "b")

    async def never(hashed: str) -> Key | None:
        raise AssertionError("looked up")

    monkeypatch.setattr(access._keys, "_read", never)
    await refused(access, wrong)
    with pytest.raises(AssertionError, match="looked up"):
        await access.authenticate(issued.secret)


async def test_database_has_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    async with await open_store(f"sqlite:///{path}") as store:
        issued = await made(Keyring(store))
        rotated = await Keyring(store).rotate(issued.key.id, grace=60)
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240
    for secret in (issued.secret, rotated.secret):
        assert secret[:12].encode() in content, "the hint"
        assert secret[12:].encode() not in content
    with closing(sqlite3.connect(path)) as database:
        hashes = {found for (found,) in database.execute("SELECT hash FROM key_secrets")}
    assert hashes == {hash_of(issued.secret), hash_of(rotated.secret)}


async def test_key_is_looked_up_once_while_it_is_fresh(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await made(Keyring(store))
    looked_up = 0
    find = store.access.find_key

    async def counted(hashed: str) -> Key | None:
        nonlocal looked_up
        looked_up += 1
        await asyncio.sleep(0)
        return await find(hashed)

    monkeypatch.setattr(store.access, "find_key", counted)
    access = Access(store, settings(), clock=clock)
    await asyncio.gather(*(access.authenticate(issued.secret) for _ in range(500)))
    assert looked_up == 1
    clock.go(FRESH_SECONDS * 0.99)
    await access.authenticate(issued.secret)
    assert looked_up == 1
    clock.go(FRESH_SECONDS * 0.02)
    await access.authenticate(issued.secret)
    assert looked_up == 2


async def test_change_of_a_key_counts_elsewhere_when_it_is_no_longer_fresh(
    store: Store, access: Access, keyring: Keyring, clock: Clock
) -> None:
    issued = await made(keyring)
    await access.authenticate(issued.secret)
    await keyring.revoke(issued.key.id)
    await access.authenticate(issued.secret)  # nobody has told this process
    clock.go(FRESH_SECONDS)
    await refused(access, issued.secret)
    other = await made(keyring)
    await access.authenticate(other.secret)
    await keyring.revoke(other.key.id)
    access.forget()
    await refused(access, other.secret)


async def test_expiry_counts_at_once(
    access: Access, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the key is still fresh."""
    end = time.time() + 1_000
    issued = await keyring.create("x", tenant="t", scopes=BOTH, expires_at=end)
    await access.authenticate(issued.secret)
    monkeypatch.setattr(time, "time", lambda: end)
    await refused(access, issued.secret)


async def test_rotated_key_is_the_same_caller(access: Access, keyring: Keyring, clock: Clock) -> None:
    first = await made(keyring)
    second = await keyring.rotate(first.key.id, grace=1_000)
    callers = [await access.authenticate(each.secret) for each in (first, second)]
    assert callers[0] == callers[1]
    third = await keyring.rotate(first.key.id)
    clock.go(FRESH_SECONDS)
    await refused(access, first.secret)
    await refused(access, second.secret)
    assert await access.authenticate(third.secret) == callers[0]


async def test_keys_are_needed_for_ever_once_there_was_one(
    access: Access, keyring: Keyring, clock: Clock
) -> None:
    assert not await access.keyed()
    issued = await made(keyring)
    await keyring.revoke(issued.key.id)
    clock.go(FRESH_SECONDS)
    await refused(access, None)
    assert await access.keyed()


async def test_many_unknown_keys_push_no_known_one_out(access: Access, keyring: Keyring) -> None:
    issued = await made(keyring)
    await access.authenticate(issued.secret)
    for _ in range(50):
        await refused(access, new_key())
    assert list(access._keys._entries) == [hash_of(issued.secret)]


async def test_database_that_is_away_lets_nobody_in(
    access: Access, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await made(keyring)

    async def away(hashed: str) -> Key | None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(access._keys, "_read", away)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await access.authenticate(issued.secret)
    monkeypatch.undo()


async def test_scope_that_a_newer_version_knows_is_left_out(access: Access, store: Store) -> None:
    issued = await made(Keyring(store))
    await store.access.rotate_key(issued.key.id, issued.key.secrets[0], grace=0)
    caller = gate._caller(
        Key(
            id="k",
            name="n",
            tenant="t",
            scopes=frozenset({"read", "launch"}),
            names_tenants=False,
            created_at=0.0,
        )
    )
    assert caller.scopes == {Scope.READ}


# -- rates ----------------------------------------------------------------------------------------


async def test_rate_of_key_and_tenant_both_count(access: Access, keyring: Keyring) -> None:
    issued = await made(keyring, Limits(rate=0.001, burst=3))
    other = await made(keyring)
    await keyring.limit_tenant("acme", Limits(rate=0.001, burst=4))
    caller, second = await access.authenticate(issued.secret), await access.authenticate(other.secret)
    left = [await access.admit(caller) for _ in range(3)]
    assert [rate.remaining for rate in left if rate] == [2, 1, 0]
    with pytest.raises(RateLimited, match=issued.key.id) as error:
        await access.admit(caller)
    assert error.value.rate == Rate(3, 0, error.value.retry_after or 0.0)
    assert 0 < (error.value.retry_after or 0) <= 1_000
    assert (await access.admit(second)) is not None
    with pytest.raises(RateLimited, match="tenant 'acme'"):
        await access.admit(second)
    assert await access.admit(second, "another tenant") is None


async def test_requests_at_the_same_time_are_admitted_exactly(access: Access, keyring: Keyring) -> None:
    burst = AHEAD_SHARE - 1  # of a larger one, some are admitted ahead, and lost if the machine stalls
    issued = await made(keyring, Limits(rate=0.001, burst=burst))
    caller = await access.authenticate(issued.secret)
    found = await asyncio.gather(*(access.admit(caller) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(each, Rate) for each in found) == burst
    assert sum(isinstance(each, RateLimited) for each in found) == 100 - burst


async def test_request_that_goes_away_holds_up_no_other(access: Access, keyring: Keyring) -> None:
    issued = await made(keyring, Limits(rate=0.001, burst=100))
    caller = await access.authenticate(issued.secret)
    asked = [asyncio.create_task(access.admit(caller)) for _ in range(20)]
    await asyncio.sleep(0)
    for each in asked[::2]:
        each.cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, Rate) for each in found[1::2])


async def test_error_of_the_database_reaches_all_who_ask(
    access: Access, store: Store, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await made(keyring, Limits(rate=0.001, burst=100))
    caller = await access.authenticate(issued.secret)

    async def away(requests: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store.access, "draw", away)
        found = await asyncio.gather(*(access.admit(caller) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in found] == [StorageUnavailable] * 5
    assert isinstance(await access.admit(caller), Rate)


async def test_who_was_refused_does_not_ask_the_database_again(
    access: Access, store: Store, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await made(keyring, Limits(rate=0.001, burst=1))
    caller = await access.authenticate(issued.secret)
    await access.admit(caller)
    with pytest.raises(RateLimited):
        await access.admit(caller)
    monkeypatch.setattr(store.access, "draw", None)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await access.admit(caller)


# -- making keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"tenant": " acme"}, "tenant"),
        ({"tenant": "x" * 256}, "tenant"),
        ({"scopes": ()}, "submit, read, admin"),
        ({"expires_at": 1.0}, "in the future"),
        ({"expires_at": 1e12}, "hundred years"),
    ],
)
async def test_key_that_makes_no_sense_is_told(keyring: Keyring, given: dict[str, object], told: str) -> None:
    options = {"name": "a test", "tenant": "t", "scopes": BOTH, **given}
    with pytest.raises(InvalidRequest, match=told):
        await keyring.create(options.pop("name"), **options)  # type: ignore[arg-type]
    assert await keyring.keys() == []


async def test_key_that_is_not_there_is_told(keyring: Keyring) -> None:
    for act in (keyring.revoke, keyring.rotate, lambda key_id: keyring.limit_key(key_id, Limits())):
        with pytest.raises(KeyNotFound, match="key-none"):
            await act("key-none")
    issued = await made(keyring)
    await keyring.revoke(issued.key.id)
    with pytest.raises(KeyNotFound):
        await keyring.rotate(issued.key.id)
