"""Keys and accounts, as the commands about them print them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from orchestrator.access.caller import Scope
from storage.accounts import Account, Limits, Period
from storage.keys import Key

MICRO = 1_000_000
"""Millionths in a unit of the currency."""


def tenant_of(account: Account) -> str:
    """The tenant that an account belongs to."""
    return account.name.partition(":")[2]


def scopes_of(key: Key) -> str:
    """The scopes of a key, in the order in which they are declared."""
    return " ".join(each for each in Scope if each in key.scopes)


def state_of(key: Key) -> str:
    """Whether a key counts, in a word."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= time.time():
        return "expired"
    return "rotating" if sum(key.counts(each.hash, time.time()) for each in key.secrets) > 1 else "valid"


def when(seconds: float | None) -> str:
    """A time for people; None is never."""
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def limits_told(limits: Limits) -> str:
    """Limits in words; empty if there are none."""
    each = "" if limits.period is Period.TOTAL else f" a {limits.period}"
    parts = (
        limits.rate is not None and f"{limits.rate:g} requests/s, {limits.burst} at once",
        limits.concurrency is not None and f"{limits.concurrency} tasks",
        limits.tokens is not None and f"{limits.tokens:,} tokens{each}",
        limits.cost is not None and f"cost {limits.cost / MICRO:,.6g}{each}",
        limits.task_tokens is not None and f"{limits.task_tokens:,} tokens a task",
    )
    return "; ".join(part for part in parts if part)


def told(account: Account) -> str:
    """The limits of an account, and how much of them is used."""
    limits = account.limits
    used = (
        limits.holding and f"{account.held} tasks",
        limits.tokens is not None and f"{account.spent.tokens:,} + {account.reserved.tokens:,} tokens",
        limits.cost is not None
        and f"cost {account.spent.cost / MICRO:,.6g} + {account.reserved.cost / MICRO:,.6g}",
    )
    told = ", ".join(part for part in used if part)
    return f"{limits_told(limits)}{f' (used + reserved: {told})' if told else ''}"


def key_json(key: Key, account: Account | None) -> dict[str, Any]:
    """A key as JSON, with its account where that is known; without what is secret."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "names_tenants": key.names_tenants,
        "scopes": scopes_of(key).split(),
        "state": state_of(key),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "secrets": [
            {"hint": each.hint, "created_at": each.created_at, "expires_at": each.expires_at}
            for each in key.secrets
        ],
        **({} if account is None else account_json(account)),
    }


def account_json(account: Account) -> dict[str, Any]:
    """The limits of an account and what is used of them, as JSON."""
    limits = account.limits
    return {
        "limits": {
            "rate": limits.rate,
            "burst": limits.burst,
            "concurrency": limits.concurrency,
            "tokens": limits.tokens,
            "cost": None if limits.cost is None else limits.cost / MICRO,
            "period": limits.period.value,
            "task_tokens": limits.task_tokens,
        },
        "used": {
            "tasks": account.held,
            "tokens": account.spent.tokens,
            "cost": account.spent.cost / MICRO,
            "reserved_tokens": account.reserved.tokens,
            "reserved_cost": account.reserved.cost / MICRO,
        },
    }
