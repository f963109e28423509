"""What every store promises about keys, accounts and reservations."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from storage.access import AccessStore, Reservation
from storage.accounts import SECOND, Account, Amount, Limits, Period, Rate, Resource, Shortage
from storage.errors import StorageFull
from storage.keys import USED_SECONDS, Key, Secret
from storage.memory import MemoryStore
from storage.memory_access import MemoryAccess
from storage.sql.access import SqlAccess
from storage.sql.store import SqlStore
from storage.store import Store
from storage.tasks import NewTask, TaskStatus

KEY = Key(
    id="key-1",
    name="für Ana",
    tenant="acme",
    scopes=frozenset({"read", "submit"}),
    names_tenants=False,
    created_at=1_000.0,
    secrets=(Secret(hash="h1", hint="anb_12345678", created_at=1_000.0),),
)
NEW = NewTask(question={"query": "q"}, planner="vote", tenant="acme")


class Clock:
    """Nanoseconds that stand still until they are set."""

    def __init__(self) -> None:
        self.now = time.time_ns()

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(store: Store, clock: Clock) -> AccessStore:
    """The access of each store, by a clock that stands still."""
    if isinstance(store, MemoryStore):
        store.access = MemoryAccess(store._tasks, store._keys, clock=clock)
    else:
        assert isinstance(store, SqlStore)
        store.access = SqlAccess(store._database, clock=clock)
    return store.access


# -- keys -----------------------------------------------------------------------------------------


async def test_key_comes_back_as_it_was_made(access: AccessStore) -> None:
    assert not await access.any_key()
    await access.add_key(KEY)
    await access.add_key(
        replace(KEY, id="key-2", tenant=None, names_tenants=True, created_at=2.0, secrets=())
    )
    assert await access.any_key()
    assert await access.key("key-1") == KEY
    assert await access.key("key-3") is None
    assert [key.id for key in await access.keys()] == ["key-1", "key-2"] or [
        key.id for key in await access.keys()
    ] == ["key-2", "key-1"]
    assert [key.id for key in await access.keys(tenant="acme")] == ["key-1"]
    assert await access.keys(tenant="other") == []


async def test_key_is_found_by_its_whole_hash_alone(access: AccessStore) -> None:
    await access.add_key(KEY)
    found = await access.find_key("h1")
    assert found is not None
    assert found.id == KEY.id
    for other in ("h", "h%", "H1", "anb_12345678", "key-1", ""):
        assert await access.find_key(other) is None


async def test_use_is_noted_once_a_minute(access: AccessStore) -> None:
    recently, long_ago = time.time() - USED_SECONDS / 2, time.time() - 2 * USED_SECONDS
    for key_id, last in (("new", None), ("recent", recently), ("old", long_ago)):
        secret = replace(KEY.secrets[0], hash=key_id)
        await access.add_key(replace(KEY, id=key_id, last_used_at=last, secrets=(secret,)))
        await access.find_key(key_id)
    used = {key.id: key.last_used_at for key in await access.keys()}
    assert used["recent"] == recently
    assert all((used[name] or 0.0) > recently for name in ("new", "old"))


@pytest.mark.parametrize("hangs", [False, True])
async def test_key_is_found_while_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    store = await SqlStore.connect(f"sqlite:///{tmp_path / 'full.db'}")
    await store.access.add_key(KEY)
    monkeypatch.setattr("storage.sql.access.NOTING_SECONDS", 0.05)

    async def write(body: object) -> None:
        if hangs:
            await asyncio.Event().wait()
        raise StorageFull("no room")

    with monkeypatch.context() as full:
        full.setattr(store._database, "write", write)
        for _ in range(2):
            found = await store.access.find_key("h1")
            assert found is not None
            assert found.last_used_at is None
    await store.close()


async def test_use_of_a_key_that_does_not_count_is_not_noted(access: AccessStore) -> None:
    await access.add_key(replace(KEY, expires_at=time.time() - 1))
    await access.find_key("h1")
    key = await access.key("key-1")
    assert key is not None
    assert key.last_used_at is None


async def test_rotated_key_has_both_secrets_until_the_grace_period_ends(access: AccessStore) -> None:
    await access.add_key(KEY)
    now = time.time()
    key = await access.rotate_key("key-1", Secret(hash="h2", hint="b", created_at=2_000.0), grace=100)
    assert key is not None
    assert [each.hash for each in key.secrets] == ["h2", "h1"]
    assert await access.key("key-1") == key
    assert key.counts("h2", now + 1e9)
    assert key.counts("h1", now + 99)
    assert not key.counts("h1", now + 200)
    again = await access.rotate_key("key-1", Secret(hash="h3", hint="c", created_at=3_000.0), grace=10_000)
    assert again is not None
    assert not again.counts("h1", now + 200), "a later rotation gives no secret a longer life"
    assert again.counts("h2", now + 9_000)
    assert await access.rotate_key("key-9", Secret(hash="h9", hint="d", created_at=1.0), grace=0) is None
    assert await access.find_key("h9") is None


async def test_secret_that_has_ended_goes_with_the_next_rotation(access: AccessStore) -> None:
    await access.add_key(KEY)
    for name in ("h2", "h3"):
        key = await access.rotate_key("key-1", Secret(hash=name, hint=name, created_at=time.time()), grace=0)
    assert key is not None
    assert [each.hash for each in key.secrets] == ["h3", "h2"]
    assert await access.find_key("h1") is None


async def test_revoked_key_counts_no_more_and_cannot_be_rotated(access: AccessStore) -> None:
    await access.add_key(KEY)
    key = await access.revoke_key("key-1")
    assert key is not None
    assert key.revoked_at is not None
    assert not key.counts("h1", time.time() - 1_000)
    assert await access.revoke_key("key-1") == key, "the time of the first stays"
    assert await access.rotate_key("key-1", Secret(hash="h2", hint="b", created_at=1.0), grace=0) is None
    assert await access.revoke_key("key-9") is None


# -- accounts -------------------------------------------------------------------------------------

EVERYTHING = Limits(
    rate=0.5, burst=2, concurrency=3, tokens=1_000, cost=5_000, period=Period.DAY, task_tokens=100
)


async def test_limits_come_back_as_they_were_set(access: AccessStore) -> None:
    await access.set_limits("key:a", EVERYTHING)
    await access.set_limits("tenant:t%_", Limits())
    found = await access.accounts(["key:a", "tenant:t%_", "key:b"])
    assert {name: account.limits for name, account in found.items()} == {
        "key:a": EVERYTHING,
        "tenant:t%_": Limits(),
    }
    assert [account.name for account in await access.tenant_accounts()] == ["tenant:t%_"]
    await access.set_limits("key:a", Limits(tokens=5))
    assert (await access.accounts(["key:a"]))["key:a"].limits == Limits(tokens=5)


async def test_requests_are_admitted_in_their_order(access: AccessStore, clock: Clock) -> None:
    await access.set_limits("key:a", Limits(rate=1.0, burst=2))
    await access.set_limits("tenant:t", Limits(rate=1.0, burst=3))
    one, both = ("key:a",), ("key:a", "tenant:t")
    found = await access.draw([both, one, both, ("tenant:t",), ("key:none",)])
    assert [type(each) for each in found] == [Rate, Rate, Shortage, Rate, type(None)]
    assert found[3] == Rate(3, 1, 2.0), "who was refused took nothing"
    clock.go(1)
    assert [type(each) for each in await access.draw([one, one])] == [Rate, Shortage]


async def test_clock_that_jumps_back_is_written_down(access: AccessStore, clock: Clock) -> None:
    await access.set_limits("key:a", Limits(rate=1.0, burst=1))
    await access.draw([("key:a",)])
    clock.go(-3_600)
    [refused] = await access.draw([("key:a",)])
    assert isinstance(refused, Shortage)
    assert refused.retry_after == 1.0
    clock.go(1)
    assert [type(each) for each in await access.draw([("key:a",), ("key:a",)])] == [Rate, Shortage]


# -- reservations ---------------------------------------------------------------------------------


def wanted(task_id: str, tokens: int, *accounts: str) -> Reservation:
    return Reservation(id=task_id, accounts=accounts or ("key:a",), amount=Amount(tokens, 2 * tokens))


async def account(access: AccessStore, name: str = "key:a") -> Account:
    return (await access.accounts([name]))[name]


async def test_reservation_is_charged_what_was_used(access: AccessStore) -> None:
    await access.set_limits("key:a", Limits(tokens=100))
    await access.set_limits("tenant:t", Limits(concurrency=1))
    assert await access.reserve(wanted("task", 70, "key:a", "tenant:t", "key:none"), 60) is None
    assert await access.reserve(wanted("other", 31), 60) == Shortage(
        "key:a", Resource.TOKENS, limit=100, used=70, wanted=31
    )
    assert await access.reserve(wanted("other", 5, "key:a", "tenant:t"), 60) == Shortage(
        "tenant:t", Resource.CONCURRENCY, limit=1, used=1
    )
    assert (await account(access)).reserved == Amount(70, 140), "who was refused has reserved nothing"
    for _ in range(2):  # the second time changes nothing
        assert await access.settle("task", Amount(12, 3))
        found = await account(access)
        assert (found.held, found.reserved, found.spent) == (0, Amount(), Amount(12, 3))
    assert await access.settle("task", Amount(13, 4)), "what is charged can be corrected"
    assert (await account(access)).spent == Amount(13, 4)
    assert (await account(access, "tenant:t")).spent == Amount(13, 4)
    assert not await access.settle("other", Amount(1))


async def test_task_reserves_once(access: AccessStore) -> None:
    await access.set_limits("key:a", Limits(concurrency=1))
    assert await access.reserve(wanted("task", 5), 60) is None
    assert await access.reserve(wanted("task", 5), 60) is None
    assert (await account(access)).held == 1


async def test_account_without_such_limits_holds_nothing(access: AccessStore) -> None:
    await access.set_limits("key:a", Limits(rate=1.0))
    assert await access.reserve(wanted("task", 5), 60) is None
    assert (await account(access)).held == 0
    assert not await access.settle("task", Amount(5))


async def test_limits_that_were_lifted_meanwhile_leave_nothing_behind(access: AccessStore) -> None:
    await access.set_limits("key:a", Limits(concurrency=1))
    await access.reserve(wanted("task", 5), 60)
    await access.set_limits("key:a", Limits())
    await access.settle("task", Amount(5))
    assert (await account(access)).held == 0


async def test_reservation_lapses_unless_its_task_waits_or_runs(
    store: Store, access: AccessStore, clock: Clock
) -> None:
    await access.set_limits("key:a", Limits(concurrency=10))
    for task_id in ("queued", "running", "ended", "never-stored"):
        await access.reserve(wanted(task_id, 1), 60)
        if task_id != "never-stored":
            await store.submit(replace(NEW, id=task_id))
    await store.claim_task("running", "me", 0.0)
    claim = await store.claim_task("ended", "me", 30)
    await store.finish(claim, TaskStatus.FAILED)
    assert [each.id for each in await access.lapsed()] == ["ended"], "the lease has not ended"
    clock.go(61)
    assert {each.id for each in await access.lapsed()} == {"ended", "never-stored"}
    assert len(await access.lapsed(limit=1)) == 1
    await access.settle("ended", Amount(3))
    assert [each.id for each in await access.lapsed()] == ["never-stored"]
    found = await account(access)
    assert (found.held, found.spent) == (3, Amount(3))
    assert await access.settle("ended", Amount(2), first=True), "whoever comes later knows less"
    assert (await account(access)).spent == Amount(3)
    assert await access.settle("never-stored", Amount(1), first=True)
    found = await account(access)
    assert (found.held, found.spent) == (2, Amount(4))


async def test_account_takes_whatever_an_engine_reports(access: AccessStore) -> None:
    await access.set_limits("key:a", Limits(tokens=10))
    for number in range(3):
        await access.reserve(wanted(f"task-{number}", 0), 60)
    for number in range(3):
        await access.settle(f"task-{number}", Amount(2**62, 2**62))
    assert (await account(access)).spent == Amount(2**62, 2**62)


async def test_charges_are_forgotten_in_the_end(access: AccessStore, clock: Clock) -> None:
    await access.set_limits("key:a", Limits(tokens=10))
    await access.reserve(wanted("task", 5), 60)
    await access.settle("task", Amount(5))
    clock.go(29 * 86_400)
    await access.lapsed()
    assert await access.settle("task", Amount(5))
    clock.go(31 * 86_400)
    await access.lapsed()
    assert not await access.settle("task", Amount(5))
    assert (await account(access)).spent == Amount(5)


async def test_task_says_which_key_asked_for_it(store: Store) -> None:
    task = await store.submit(replace(NEW, submitted_by="key-1", id="own-id"))
    assert (task.id, task.submitted_by) == ("own-id", "key-1")
    assert await store.get("own-id") == task
    claim = await store.start(replace(NEW, submitted_by="key-2", id="started"), "me", 30)
    assert (claim.task.id, claim.task.submitted_by) == ("started", "key-2")


async def test_idempotency_key_of_a_stored_task_is_known(store: Store) -> None:
    await store.submit(replace(NEW, idempotency_key="k"))
    assert await store.access.is_submitted("acme", "k")
    assert not await store.access.is_submitted("other", "k")
    assert not await store.access.is_submitted("acme", "k2")
