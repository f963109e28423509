"""Accounts and reservations in the database: lock the rows, decide by the rules, write what has changed.

The locks make every decision exact, however many processes ask at the same moment. They are always taken in
the same order, a reservation first and then accounts by name, so that two processes never deadlock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    Connection,
    Dialect,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from storage.access import KEPT_SECONDS, Reservation
from storage.accounts import (
    SECOND,
    Account,
    Amount,
    Limits,
    Period,
    Rate,
    Shortage,
    draw_all,
    hold_all,
)
from storage.errors import StorageDamaged
from storage.sql.rows import AnyRow, among, array, insert_new, is_open
from storage.sql.tables import accounts, reservations, tasks

Clock = Callable[[], int]
"""Gives nanoseconds since the epoch."""


def stored(connection: Connection, names: Collection[str]) -> dict[str, Account]:
    """Those of the accounts that there are."""
    query = select(accounts).where(among(connection.dialect, accounts.c.name, bindparam("names")))
    rows = connection.execute(query, {"names": array(connection.dialect, sorted(names))})
    return {row.name: _account_of(row) for row in rows}


def of_tenants(connection: Connection) -> Sequence[Account]:
    """See :meth:`storage.access.AccessStore.tenant_accounts`."""
    query = select(accounts).where(accounts.c.name.like("tenant:%")).order_by(accounts.c.name)
    return [_account_of(row) for row in connection.execute(query)]


def set_limits(connection: Connection, name: str, limits: Limits, clock: Clock | None) -> None:
    """See :meth:`storage.access.AccessStore.set_limits`."""
    connection.execute(insert_new(connection.dialect, accounts).values(_values(Account(name))))
    found, now = _locked(connection, [name], clock)
    changed = found[name].limited(limits, now / SECOND)
    connection.execute(update(accounts).where(accounts.c.name == name).values(_values(changed)))


def draw(
    connection: Connection, requests: Sequence[tuple[str, ...]], clock: Clock | None
) -> Sequence[Rate | Shortage | None]:
    """See :meth:`storage.access.AccessStore.draw`."""
    found, now = _locked(connection, {name for names in requests for name in names}, clock)
    changed = dict(found)
    drawn = [draw_all(changed, names, now) for names in requests]
    _write(connection, found, changed)
    return drawn


def reserve(
    connection: Connection,
    wanted: Reservation,
    lease_seconds: float,
    clock: Clock | None,
    *,
    again: bool = False,
) -> Shortage | None:
    """See :meth:`storage.access.AccessStore.reserve`."""
    row = _reservation(connection, wanted.id)
    if row is not None and (row.held or not again):
        return None
    charged = Amount() if row is None else Amount(row.charged_tokens, row.charged_cost)
    wanted = wanted.beyond(charged)
    found, now = _locked(connection, wanted.accounts, clock)
    changed = dict(found)
    held = hold_all(changed, wanted.accounts, wanted.amount, now / SECOND)
    if isinstance(held, Shortage):
        return held
    if held:
        if row is not None:
            connection.execute(delete(reservations).where(reservations.c.id == wanted.id))
        values = (
            *(wanted.id, json.dumps(held), wanted.amount.tokens, wanted.amount.cost),
            *(True, charged.tokens, charged.cost, now / SECOND + lease_seconds),
        )
        connection.exec_driver_sql(_statements(connection.dialect).reserve, values)
        _write(connection, found, changed)
    return None


def reserved(connection: Connection, task_id: str) -> Reservation | None:
    """See :meth:`storage.access.AccessStore.reserved`."""
    held = select(reservations).where(reservations.c.id == task_id, reservations.c.held == true())
    row = connection.execute(held).first()
    return None if row is None else _reservation_of(row)


def settle(
    connection: Connection, task_id: str, spent: Amount, clock: Clock | None, *, first: bool = False
) -> bool:
    """See :meth:`storage.access.AccessStore.settle`."""
    row = _reservation(connection, task_id)
    if row is None:
        return False
    reservation = _reservation_of(row)
    charge = spent - Amount(row.charged_tokens, row.charged_cost)
    if not row.held and (first or charge == Amount()):
        return True
    found, now = _locked(connection, reservation.accounts, clock)
    changed = {}
    for name, account in found.items():
        released = account.release(reservation.amount) if row.held else account
        changed[name] = released.charge(charge, now / SECOND)
    _write(connection, found, changed)
    settled = (False, spent.tokens, spent.cost, now / SECOND + KEPT_SECONDS, task_id)
    connection.exec_driver_sql(_statements(connection.dialect).settle, settled)
    return True


def lapsed(connection: Connection, limit: int, clock: Clock | None) -> Sequence[Reservation]:
    """See :meth:`storage.access.AccessStore.lapsed`."""
    ended = reservations.c.expires_at < _now(connection, clock) / SECOND
    connection.execute(delete(reservations).where(reservations.c.held == false(), ended))
    its_task = select(tasks.c.key).where(tasks.c.id == reservations.c.id)
    free = or_(its_task.where(~is_open()).exists(), and_(ended, ~its_task.exists()))
    query = select(reservations).where(reservations.c.held == true(), free).limit(limit)
    return [_reservation_of(row) for row in connection.execute(query)]


def forget(connection: Connection, task_id: str) -> None:
    """See :meth:`storage.access.AccessStore.forget`."""
    settled = and_(reservations.c.id == task_id, reservations.c.held == false())
    connection.execute(delete(reservations).where(settled))


def is_submitted(connection: Connection, tenant: str, idempotency_key: str) -> bool:
    """See :meth:`storage.access.AccessStore.is_submitted`."""
    query = select(tasks.c.key).where(
        and_(tasks.c.tenant == tenant, tasks.c.idempotency_key == idempotency_key)
    )
    return connection.execute(query).first() is not None


def _locked(
    connection: Connection, names: Collection[str], clock: Clock | None
) -> tuple[dict[str, Account], int]:
    """Those of the accounts that there are, locked until the commit, and a time at which they were."""
    dialect = connection.dialect
    rows = connection.exec_driver_sql(_statements(dialect).lock, (array(dialect, sorted(names)),)).all()
    return {row.name: _account_of(row) for row in rows}, _now(connection, clock)


def _now(connection: Connection, clock: Clock | None) -> int:
    """Nanoseconds since the epoch, by a clock that all processes share, as :func:`storage.sql.rows.now`."""
    if clock is not None:
        return clock()
    if connection.dialect.name != "postgresql":
        return time.time_ns()
    micros = cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
    return 1000 * int(connection.execute(select(micros)).scalar_one())


def _write(connection: Connection, before: Mapping[str, Account], after: Mapping[str, Account]) -> None:
    changed = [
        (
            *(account.arrival, account.held, account.reserved.tokens, account.reserved.cost),
            *(account.spent.tokens, account.spent.cost, account.period, name),
        )
        for name, account in sorted(after.items())
        if account != before[name]
    ]
    if changed:
        connection.exec_driver_sql(_statements(connection.dialect).write, changed)


def _reservation(connection: Connection, task_id: str) -> AnyRow | None:
    return connection.exec_driver_sql(_statements(connection.dialect).reservation, (task_id,)).first()


def _reservation_of(row: AnyRow) -> Reservation:
    return Reservation(
        id=row.id, accounts=tuple(json.loads(row.accounts)), amount=Amount(row.tokens, row.cost)
    )


def _account_of(row: AnyRow) -> Account:
    try:
        limits = Limits(
            rate=row.rate,
            burst=row.burst,
            concurrency=row.concurrency,
            tokens=row.tokens,
            cost=row.cost,
            period=Period(row.budget_period),
            task_tokens=row.task_tokens,
        )
    except (TypeError, ValueError) as error:
        raise StorageDamaged(f"the limits of account {row.name} cannot be read: {error}") from None
    return Account(
        name=row.name,
        limits=limits,
        arrival=row.arrival,
        held=row.held,
        reserved=Amount(row.reserved_tokens, row.reserved_cost),
        spent=Amount(row.spent_tokens, row.spent_cost),
        period=row.period,
    )


def _values(account: Account) -> dict[str, Any]:
    limits = account.limits
    return {
        "name": account.name,
        "rate": limits.rate,
        "burst": limits.burst,
        "concurrency": limits.concurrency,
        "tokens": limits.tokens,
        "cost": limits.cost,
        "budget_period": limits.period.value,
        "task_tokens": limits.task_tokens,
        "arrival": account.arrival,
        "held": account.held,
        "reserved_tokens": account.reserved.tokens,
        "reserved_cost": account.reserved.cost,
        "spent_tokens": account.spent.tokens,
        "spent_cost": account.spent.cost,
        "period": account.period,
    }


@dataclass(frozen=True, slots=True)
class _Statements:
    lock: str
    write: str
    reservation: str
    reserve: str
    settle: str


@lru_cache(maxsize=8)
def _statements(dialect: Dialect) -> _Statements:
    """Compiled once, because composing them for each request would cost more than running them.

    Their parameters are in the order of the columns of the tables.
    """

    def compiled(statement: ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    def bound(table: Table, *names: str) -> dict[str, BindParameter[Any]]:
        return {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}

    state = ("arrival", "held", "reserved_tokens", "reserved_cost", "spent_tokens", "spent_cost", "period")
    charge = ("held", "charged_tokens", "charged_cost", "expires_at")
    return _Statements(
        lock=compiled(
            select(accounts)
            .where(among(dialect, accounts.c.name, bindparam("names")))
            .order_by(accounts.c.name)
            .with_for_update()
        ),
        write=compiled(
            update(accounts).values(bound(accounts, *state)).where(accounts.c.name == bindparam("account"))
        ),
        reservation=compiled(
            select(reservations).where(reservations.c.id == bindparam("task_id")).with_for_update()
        ),
        reserve=compiled(insert(reservations)),
        settle=compiled(
            update(reservations)
            .values(bound(reservations, *charge))
            .where(reservations.c.id == bindparam("task_id"))
        ),
    )
