"""The commands about keys, which work on the database itself and need no service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from orchestrator.access.audit import audited_command
from orchestrator.access.caller import Scope
from orchestrator.access.keyring import Issued, Keyring
from orchestrator.cli.accounts import (
    MICRO,
    account_json,
    key_json,
    limits_told,
    scopes_of,
    state_of,
    tenant_of,
    told,
    when,
)
from orchestrator.cli.keeping import read_span
from orchestrator.cli.printing import output, table
from orchestrator.cli.saying import dump, say, tell
from orchestrator.errors import InvalidRequest
from orchestrator.opening import opened_store
from orchestrator.settings import Settings
from storage.accounts import MOST, Account, Limits, Period
from storage.keys import Key

T = TypeVar("T")


def limits_of(*, cost: float | None, period: str, **given: Any) -> Limits:
    """Limits as the command line gives them, with the cost in units of the currency.

    Raises:
        InvalidRequest: one of them is out of range.
    """
    try:
        if cost is not None and not 1 / MICRO <= cost <= MOST / MICRO:  # also if it is no number
            raise ValueError(f"cost: {cost} is not from {1 / MICRO:f} to {MOST // MICRO:,}")
        micros = None if cost is None else round(cost * MICRO)
        return Limits(cost=micros, period=Period(period), **given)
    except ValueError as error:
        raise InvalidRequest(f"--{str(error).replace('_', '-', 1)}") from None


def create_key(
    settings: Settings,
    name: str,
    *,
    tenant: str | None,
    all_tenants: bool,
    scopes: Sequence[str],
    names_tenants: bool,
    expires: str | None,
    limits: Limits,
    as_json: bool,
) -> None:
    """Make a key and print it, this once.

    Raises:
        InvalidRequest: an option is wrong, or two contradict each other.
        Unavailable: the database cannot be used.
    """
    if unknown := sorted(set(scopes) - set(Scope)):
        raise InvalidRequest(f"--scope {unknown[0]!r}: it must be one of {', '.join(Scope)}")
    if all_tenants and tenant is not None:
        raise InvalidRequest("--all-tenants and --tenant: a key belongs to one tenant or to none")
    whose = None if all_tenants else "default" if tenant is None else tenant
    with audited_command("create_key", tenant=whose) as about:
        issued = _with_keyring(
            settings,
            lambda keyring: keyring.create(
                name,
                tenant=whose,
                scopes={Scope(each) for each in scopes},
                names_tenants=names_tenants,
                expires_at=None if expires is None else time.time() + read_span(expires),
                limits=limits,
            ),
        )
        about.target = issued.key.id
    if as_json:
        dump({"secret": issued.secret, **key_json(issued.key, Account(issued.key.id, limits))})
        return
    say(issued.secret)
    theirs = "all tenants" if issued.key.tenant is None else f"tenant {issued.key.tenant}"
    may = " and name other tenants" if issued.key.names_tenants and issued.key.tenant is not None else ""
    until = f", until {when(issued.key.expires_at)}" if issued.key.expires_at is not None else ""
    tell(f"{issued.key.id} of {theirs} may {scopes_of(issued.key)}{may}{until}")
    if limits.any:
        tell(limits_told(limits))
    tell("This is the only time that the key is shown.")


def list_keys(settings: Settings, *, tenant: str | None, as_json: bool) -> None:
    """Print the keys, and the tenants that have limits.

    Raises:
        Unavailable: the database cannot be used.
    """

    async def read(keyring: Keyring) -> tuple[list[tuple[Key, Account]], list[Account]]:
        keys = await keyring.keys(tenant=tenant)
        accounts, now = await keyring.accounts_of(keys), time.time()
        return (
            [(key, accounts.get(key.id, Account(key.id)).at(now)) for key in keys],
            [each.at(now) for each in await keyring.tenants() if tenant in (None, tenant_of(each))],
        )

    keys, tenants = _with_keyring(settings, read)
    if as_json:
        dump(
            {
                "keys": [key_json(key, account) for key, account in keys],
                "tenants": [{"tenant": tenant_of(each), **account_json(each)} for each in tenants],
            }
        )
        return
    rows = (
        (
            key.id,
            key.secrets[0].hint + "…" if key.secrets else "",
            state_of(key),
            "(all)" if key.tenant is None else key.tenant,
            scopes_of(key),
            when(key.last_used_at),
            key.name,
            told(account),
        )
        for key, account in keys
    )
    columns = (
        "id",
        "key",
        "state",
        "tenant",
        "scopes",
        "last used",
        "name",
        "limits and what is used of them",
    )
    output().print(table(columns, rows))
    if tenants:
        output().print()
        output().print(
            table(
                ("tenant", "limits and what is used of them"),
                ((tenant_of(each), told(each)) for each in tenants),
            )
        )


def set_limits(
    settings: Settings, key_id: str | None, *, tenant: str | None, limits: Limits, as_json: bool
) -> None:
    """Let a key or a tenant have limits, and print them with what is used.

    Raises:
        InvalidRequest: neither is named, or both.
        KeyNotFound: there is no such key.
        Unavailable: the database cannot be used.
    """
    if (key_id is None) == (tenant is None):
        raise InvalidRequest("name either a key by its ID, or a tenant by --tenant")

    async def change(keyring: Keyring) -> Account:
        if tenant is not None:
            return await keyring.limit_tenant(tenant, limits)
        return await keyring.limit_key(str(key_id), limits)

    with audited_command("limit_tenant" if key_id is None else "limit_key", target=key_id, tenant=tenant):
        account = _with_keyring(settings, change).at(time.time())
    if as_json:
        whose = {"tenant": tenant} if tenant is not None else {"id": key_id}
        dump({**whose, **account_json(account)})
    else:
        say(told(account) or "no limits")


def rotate_key(settings: Settings, key_id: str, *, grace: str, as_json: bool) -> None:
    """Give a key a new secret, and print that, this once.

    Raises:
        InvalidRequest: the grace period is not a span of time.
        KeyNotFound: there is no such key, or it is revoked.
        Unavailable: the database cannot be used.
    """
    seconds = read_span(grace)
    with audited_command("rotate_key", target=key_id) as about:
        issued: Issued = _with_keyring(settings, lambda keyring: keyring.rotate(key_id, grace=seconds))
        about.tenant = issued.key.tenant
    if as_json:
        dump({"secret": issued.secret, **key_json(issued.key, None)})
        return
    say(issued.secret)
    tell(f"the secret of {key_id} before counts for another {grace}" if seconds else "the one before is void")
    tell("This is the only time that the key is shown.")


def revoke_key(settings: Settings, key_id: str, *, as_json: bool) -> None:
    """End a key.

    Raises:
        KeyNotFound: there is no such key.
        Unavailable: the database cannot be used.
    """
    with audited_command("revoke_key", target=key_id) as about:
        key = _with_keyring(settings, lambda keyring: keyring.revoke(key_id))
        about.tenant = key.tenant
    if as_json:
        dump(key_json(key, None))
    else:
        tell(f"{key_id} was revoked on {when(key.revoked_at)}")


def _with_keyring(settings: Settings, act: Callable[[Keyring], Awaitable[T]]) -> T:
    if settings.database == "memory":
        raise InvalidRequest("--database memory: its keys would be gone when this command ends")

    async def run() -> T:
        async with opened_store(settings) as store:
            return await act(Keyring(store))

    return asyncio.run(run())
