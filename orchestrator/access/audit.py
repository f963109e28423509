"""Who changed what, as log lines that no setting turns off."""

from __future__ import annotations

import logging

import structlog

from orchestrator.access.caller import Caller

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
    _log.info(
        "audit",
        caller=caller.key,
        tenant=caller.tenant if tenant is None else tenant,
        what=what,
        target=target,
        outcome=outcome,
    )
