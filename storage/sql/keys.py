"""Keys in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from storage.errors import StorageDamaged
from storage.keys import USED_SECONDS, Key, Secret
from storage.sql import columns
from storage.sql.rows import AnyRow, now
from storage.sql.tables import key_secrets, keys


def add(connection: Connection, key: Key) -> None:
    """See :meth:`storage.access.AccessStore.add_key`."""
    if connection.execute(select(keys.c.id).where(keys.c.id == key.id)).first() is not None:
        return  # by an earlier try, whose connection broke
    connection.execute(
        insert(keys).values(
            id=key.id,
            name=key.name,
            tenant=key.tenant,
            scopes=" ".join(sorted(key.scopes)),
            names_tenants=key.names_tenants,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
        )
    )
    for secret in key.secrets:
        _add_secret(connection, key.id, secret)


def found(connection: Connection, where: ColumnElement[bool]) -> Sequence[Key]:
    """The keys for which a condition on ``keys`` holds, the oldest first.

    Raises:
        StorageDamaged: the row of one cannot be read.
    """
    rows = connection.execute(select(keys).where(where).order_by(keys.c.created_at, keys.c.id)).all()
    secrets: dict[str, list[Secret]] = {}
    with_secret = select(keys.c.id).where(where)
    for row in connection.execute(
        select(key_secrets)
        .where(key_secrets.c.key_id.in_(with_secret))
        .order_by(key_secrets.c.created_at.desc(), key_secrets.c.hash)
    ):
        secrets.setdefault(row.key_id, []).append(_secret_of(row))
    return [_key_of(row, secrets.get(row.id, ())) for row in rows]


def with_hash(hashed: str) -> ColumnElement[bool]:
    """The condition that a key has the secret with that hash."""
    return keys.c.id.in_(select(key_secrets.c.key_id).where(key_secrets.c.hash == hashed))


def note_use(connection: Connection, key_id: str) -> None:
    """Note that a key is used, unless that was noted just now."""
    time = now(connection)
    stale = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at <= time - USED_SECONDS)
    connection.execute(update(keys).where(keys.c.id == key_id, stale).values(last_used_at=time))


def rotate(connection: Connection, key_id: str, secret: Secret, grace: float) -> Key | None:
    """See :meth:`storage.access.AccessStore.rotate_key`."""
    current = connection.execute(select(keys).where(keys.c.id == key_id).with_for_update()).first()
    if current is None or current.revoked_at is not None:
        return None
    if (
        connection.execute(select(key_secrets.c.hash).where(key_secrets.c.hash == secret.hash)).first()
        is None
    ):
        time = now(connection)
        end = time + grace
        ended = key_secrets.c.expires_at <= time
        connection.execute(delete(key_secrets).where(key_secrets.c.key_id == key_id, ended))
        going = or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > end)
        connection.execute(
            update(key_secrets).where(key_secrets.c.key_id == key_id, going).values(expires_at=end)
        )
        _add_secret(connection, key_id, secret)
    return found(connection, keys.c.id == key_id)[0]


def revoke(connection: Connection, key_id: str) -> Key | None:
    """See :meth:`storage.access.AccessStore.revoke_key`."""
    connection.execute(
        update(keys)
        .where(keys.c.id == key_id)
        .values(revoked_at=func.coalesce(keys.c.revoked_at, now(connection)))
    )
    return next(iter(found(connection, keys.c.id == key_id)), None)


def _add_secret(connection: Connection, key_id: str, secret: Secret) -> None:
    connection.execute(
        insert(key_secrets).values(
            hash=secret.hash,
            key_id=key_id,
            hint=secret.hint,
            created_at=secret.created_at,
            expires_at=secret.expires_at,
        )
    )


_maybe_time = columns.optional(columns.time)


def _key_of(row: AnyRow, secrets: Sequence[Secret]) -> Key:
    try:
        return Key(
            id=columns.text(row.id),
            name=columns.text(row.name),
            tenant=columns.optional(columns.text)(row.tenant),
            scopes=frozenset(columns.text(row.scopes).split()),
            names_tenants=columns.flag(row.names_tenants),
            created_at=columns.time(row.created_at),
            expires_at=_maybe_time(row.expires_at),
            revoked_at=_maybe_time(row.revoked_at),
            last_used_at=_maybe_time(row.last_used_at),
            secrets=tuple(secrets),
        )
    except (TypeError, ValueError) as error:
        raise StorageDamaged(f"key {columns.printable(row.id)} cannot be read: a column {error}") from None


def _secret_of(row: AnyRow) -> Secret:
    try:
        return Secret(
            hash=columns.text(row.hash),
            hint=columns.text(row.hint),
            created_at=columns.time(row.created_at),
            expires_at=_maybe_time(row.expires_at),
        )
    except (TypeError, ValueError) as error:
        raise StorageDamaged(
            f"a secret of key {columns.printable(row.key_id)} cannot be read: a column {error}"
        ) from None
