"""What engines have refused a run, so that it is not asked again; and how long a run may wait for room."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import replace

from workers.calls import Call
from workers.errors import Fault, Overloaded, WorkerError

ACCOUNT_SECONDS = 30.0
"""For how long an account that was refused is taken to be so still."""


class Refused:
    """The refusals of one run.

    Siblings of a call that is at fault itself, which differ from it only in their seed, are not sent; nor is
    any call of a role whose engine refuses the account.
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, WorkerError] = {}
        self._accounts: dict[str, tuple[WorkerError, float]] = {}  # by role, with the time

    def check(self, call: Call) -> None:
        """Raise what such a call was refused with."""
        if (known := self._accounts.get(call.role)) is not None:
            error, at = known
            if asyncio.get_running_loop().time() - at < ACCOUNT_SECONDS:
                raise error
            del self._accounts[call.role]
        if self._calls and (refusal := self._calls.get(_alike(call))) is not None:
            raise refusal

    def note(self, call: Call, error: WorkerError) -> None:
        """A call has failed for good."""
        if error.fault is Fault.ACCOUNT:
            self._accounts[call.role] = error, asyncio.get_running_loop().time()
        elif error.fault is Fault.REQUEST:
            self._calls[_alike(call)] = error


def pause_before(error: Overloaded, times: int, left: float) -> float:
    """Seconds to wait before a call is sent again that had no room ``times`` times.

    Raises:
        Overloaded: what the engine asks for is longer than the ``left`` seconds, and the message says so.
    """
    asked = error.retry_after
    if asked >= left:
        told = f"{error}: a wait of {asked:.0f} s is longer than the {max(0.0, left):.0f} s that are left"
        raise Overloaded(told, retry_after=asked) from error
    return min(error.pause(times), max(asked, left / 2))


def _alike(call: Call) -> Hashable:
    schema = None if call.schema is None else str(call.schema)
    return call.role, call.prompt, replace(call.sampling, seed=None), schema
