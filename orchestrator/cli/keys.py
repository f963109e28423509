"""Declares the commands about keys: ``keys create``, ``list``, ``limit``, ``rotate`` and ``revoke``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli.given import settings_here
from orchestrator.cli.parameters import AsJson, Database

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from storage.accounts import Limits

commands = typer.Typer(help="Make keys for the HTTP API, and say what they and their tenants may use.")


def _settings(database: str | None) -> Settings:
    """The settings of a command about the keys in a database; a service elsewhere makes none for others."""
    return settings_here("keys are made and ended in the database of a service, not by it", database=database)


KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id of the key, as keys list shows it.")]
Rate = Annotated[float | None, typer.Option(help="Requests per second.")]
Burst = Annotated[int | None, typer.Option(help="Requests at once; by default those of a second.")]
Concurrency = Annotated[int | None, typer.Option(help="Tasks that wait or run at the same time.")]
Tokens = Annotated[int | None, typer.Option(help="Prompt and completion tokens in each period.")]
Cost = Annotated[
    float | None, typer.Option(help="What they may cost in each period, by the service's prices.")
]
EachPeriod = Annotated[
    Literal["day", "month", "total"],
    typer.Option("--period", help="How long tokens and cost have to last; days and months are of UTC."),
]
TaskTokens = Annotated[
    int | None, typer.Option(help="Tokens of one task: a bound, and what a request gets that names none.")
]


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, in your words.")],
    tenant: Annotated[
        str | None, typer.Option(help="The tenant that it belongs to; default by default.")
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="It belongs to no tenant, and may see and name all of them.")
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: submit, read or admin; repeat it for each. By default submit and read."
        ),
    ] = None,
    names_tenants: Annotated[
        bool, typer.Option("--names-tenants", help="It may speak for another tenant, which X-Tenant names.")
    ] = False,
    expires: Annotated[str | None, typer.Option(help="When it ends by itself, such as 12h or 90d.")] = None,
    rate: Rate = None,
    burst: Burst = None,
    concurrency: Concurrency = None,
    tokens: Tokens = None,
    cost: Cost = None,
    period: EachPeriod = "total",
    task_tokens: TaskTokens = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, and kept nowhere."""
    from orchestrator.cli.keyring import create_key

    create_key(
        _settings(database),
        name,
        tenant=tenant,
        all_tenants=all_tenants,
        scopes=scope or ["submit", "read"],
        names_tenants=names_tenants,
        expires=expires,
        limits=_limits(rate, burst, concurrency, tokens, cost, period, task_tokens),
        as_json=as_json,
    )


@commands.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only the keys of this tenant.")] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """List the keys and the tenants with limits, with what they have used."""
    from orchestrator.cli.keyring import list_keys

    list_keys(_settings(database), tenant=tenant, as_json=as_json)


@commands.command()
def limit(
    key_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The key, unless --tenant is given.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant, for all of its keys together.")] = None,
    rate: Rate = None,
    burst: Burst = None,
    concurrency: Concurrency = None,
    tokens: Tokens = None,
    cost: Cost = None,
    period: EachPeriod = "total",
    task_tokens: TaskTokens = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Let a key or a tenant have these limits, and no others; what it has used stays."""
    from orchestrator.cli.keyring import set_limits

    set_limits(
        _settings(database),
        key_id,
        tenant=tenant,
        limits=_limits(rate, burst, concurrency, tokens, cost, period, task_tokens),
        as_json=as_json,
    )


@commands.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[str, typer.Option(help="How long the secret before still counts, such as 24h.")] = "0s",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret, which is printed once; its id, its limits and its use stay."""
    from orchestrator.cli.keyring import rotate_key

    rotate_key(_settings(database), key_id, grace=grace, as_json=as_json)


@commands.command()
def revoke(key_id: KeyId, database: Database = None, as_json: AsJson = False) -> None:
    """End a key for ever, in all processes within seconds; its tasks go on."""
    from orchestrator.cli.keyring import revoke_key

    revoke_key(_settings(database), key_id, as_json=as_json)


def _limits(
    rate: float | None,
    burst: int | None,
    concurrency: int | None,
    tokens: int | None,
    cost: float | None,
    period: Literal["day", "month", "total"],
    task_tokens: int | None,
) -> Limits:
    from orchestrator.cli.keyring import limits_of

    return limits_of(
        rate=rate,
        burst=burst,
        concurrency=concurrency,
        tokens=tokens,
        cost=cost,
        period=period,
        task_tokens=task_tokens,
    )
