"""What engines have refused a run, so that it is not asked again; and how long a run may wait for room."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import replace

from workers.calls import Call
from workers.errors import Fault, Overloaded, WorkerError

REFUSED_SECONDS = 30.0
"""For how long an account that was refused, or that has to wait, is taken to be so still."""


class Refused:
    """The refusals of one run.

    What was rejected is not sent again, nor are its siblings, which differ from it only in their seed. Where
    an engine refuses the account, or asks for more time than there is, no call of that role is sent.
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, WorkerError] = {}
        self._roles: dict[str, tuple[WorkerError, float]] = {}  # with the time until which it holds

    def check(self, call: Call) -> None:
        """Raise what such a call was refused with."""
        if (known := self._roles.get(call.role)) is not None:
            error, until = known
            if _now() < until:
                raise error
            del self._roles[call.role]
        if self._calls and (refusal := self._calls.get(_alike(call))) is not None:
            raise refusal

    def note(self, call: Call, error: WorkerError) -> None:
        """A call has failed for good."""
        if error.fault is Fault.ACCOUNT:
            self._roles[call.role] = error, _now() + REFUSED_SECONDS
        elif error.fault is Fault.REQUEST:
            self._calls[_alike(call)] = error

    def pause(self, call: Call, error: Overloaded, times: int, until: float) -> float:
        """Seconds to wait before a call is sent again that has had no room ``times`` times.

        Raises:
            Overloaded: the wait goes beyond ``until``, the end of the call's time on the event loop's clock.
        """
        left = max(0.0, until - _now())
        asked = error.retry_after
        if asked >= left:
            told = f"{error}: a wait of {asked:.0f} s is longer than the {left:.0f} s that are left"
            longer = Overloaded(told, retry_after=asked)
            if times == 1:  # a call that has waited before has less time than others
                self._roles[call.role] = longer, _now() + min(asked, REFUSED_SECONDS)
            raise longer from error
        return min(error.pause(times), max(asked, left / 2))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _alike(call: Call) -> Hashable:
    schema = None if call.schema is None else str(call.schema)
    functions = tuple(each.name for each in call.functions)
    return call.role, call.prompt, replace(call.sampling, seed=None), schema, call.grammar, functions
