"""Who changed what, as log lines that no setting turns off."""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog

from orchestrator.access.caller import Caller
from orchestrator.errors import AnabranchError
from storage.errors import StorageError

_log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))


def audit(
    caller: Caller, what: str, *, outcome: str, tenant: str | None = None, target: str | None = None
) -> None:
    """Write that a caller has tried to change something.

    ``what`` is the operation, ``target`` the id of what it was about, and ``outcome`` is ``done`` or the code
    of the error; the line names the key as ``caller``, for ``key=`` would be taken for a secret and hidden.
    ``tenant`` is the one that it concerned, by default the caller's own. The line is an event
    ``audit`` on the level ``info``, and is written whatever level the log has.
    """
    _write(caller.key, what, outcome, caller.tenant if tenant is None else tenant, target)


@dataclass(slots=True)
class About:
    """What a command is about: the id of it, and its tenant; None as long as they are unknown."""

    target: str | None = None
    tenant: str | None = None


@contextmanager
def audited_command(what: str, *, target: str | None = None, tenant: str | None = None) -> Iterator[About]:
    """Write at the end of the block that the user of this process has tried to change something.

    As :func:`audit`, with ``cli:`` and the name of the user of the operating system as the caller. The block
    may add what it learns.
    """
    about, outcome = About(target, tenant), "internal"
    try:
        yield about
        outcome = "done"
    except (AnabranchError, StorageError) as error:
        outcome = error.code
        raise
    finally:
        _write(f"cli:{_user()}", what, outcome, about.tenant, about.target)


def _user() -> str:
    user = os.geteuid()
    with suppress(KeyError):  # a container may run as a user without a name
        return pwd.getpwuid(user).pw_name
    return str(user)


def _write(caller: str | None, what: str, outcome: str, tenant: str | None, target: str | None) -> None:
    _log.info("audit", caller=caller, tenant=tenant, what=what, target=target, outcome=outcome)
