"""Advancing planner code from one thing that it waits for to the next, and ending it."""

from __future__ import annotations

from typing import NamedTuple

from structlog.contextvars import bind_contextvars, reset_contextvars

from orchestrator.errors import Failure, PlannerError
from orchestrator.runtime.answers import answer_of
from orchestrator.runtime.border import Border
from orchestrator.runtime.interruption import RunEnded
from orchestrator.runtime.nodes import Cancelled, Failed, Owner, Succeeded, Waitable
from orchestrator.runtime.outcomes import Settled, failure_of_code, settled
from orchestrator.runtime.scopes import Scope, Scopes
from orchestrator.runtime.settling import Settling
from orchestrator.runtime.values import Bounds


class _Waits(NamedTuple):
    """The code waits for something."""

    waitable: Waitable


class Stepping:
    """Advances the code of scopes, one at a time. What the code awaits must belong to ``owner``."""

    def __init__(
        self, scopes: Scopes, settling: Settling, border: Border, bounds: Bounds, owner: Owner
    ) -> None:
        self._scopes = scopes
        self._settling = settling
        self._border = border
        self._bounds = bounds
        self._owner = owner

    def step(self, scope: Scope) -> None:
        """Advance planner code until it waits for something or ends, or the run is over."""
        if scope.closed:
            return
        told = bind_contextvars(node=scope.name)
        try:
            reached = self._scopes.send(scope, self._advance)
        except RunEnded:
            return
        except Exception as error:
            reached = Settled(Failed(failure_of_code(error, scope.node.path, self._bounds.value)))
        finally:
            reset_contextvars(**told)
        self._take(scope, reached)

    def _take(self, scope: Scope, reached: Settled | _Waits) -> None:
        if scope.closed:  # it cancelled itself, through an ancestor
            self._scopes.shut(scope)
        elif isinstance(reached, Settled):
            self._end(scope, reached)
        else:
            reached.waitable.waiters.append(scope)

    def break_circle(self) -> None:
        """Fail the newest scope when all scopes wait and nothing is in flight that could wake one."""
        scope = self._scopes.newest_open()
        self._end(scope, _broke(scope, f"scope {scope.name} waits, directly or through others, for itself"))

    def _advance(self, scope: Scope) -> Settled | _Waits:
        """Send the code on, and make what it does into something to rely on. This is planner code."""
        try:
            if scope.coroutine is None:
                scope.coroutine = self._scopes.begin(scope)
            try:
                waited = scope.coroutine.send(None)
            except StopIteration as end:
                scope.coroutine = None
                return self._returned(scope, end.value)
            return self._suspended(scope, waited)
        except RunEnded:
            raise
        except BaseException as error:
            return Settled(Failed(failure_of_code(error, scope.node.path, self._bounds.value)))

    def _returned(self, scope: Scope, value: object) -> Settled:
        """The outcome of a scope whose code has returned ``value``; a root must return an answer."""
        if scope.node.path:
            return settled(value, self._bounds.value)
        return Settled(Succeeded(answer_of(value, self._border.planner, self._bounds.answer)))

    def _suspended(self, scope: Scope, waited: object) -> Settled | _Waits:
        if isinstance(waited, Waitable) and waited.owner is self._owner:
            return _Waits(waited)
        awaited = "another run" if isinstance(waited, Waitable) else type(waited).__name__
        return _broke(
            scope,
            f"planner code awaited something of {awaited}, not of its own run; "
            "use a tool for I/O, run.spawn for concurrency and the run's own verbs for the rest",
        )

    def _end(self, scope: Scope, end: Settled) -> None:
        """End a scope; what it left open is cancelled first."""
        if scope.closed:
            return
        for child in self._scopes.shut(scope):
            self._settling.caused(child, Cancelled("its scope has ended"))
        if scope.node.path:
            self._settling.caused(scope.node, end.outcome, end.data)
        else:
            scope.node.outcome = end.outcome


def _broke(scope: Scope, message: str) -> Settled:
    return Settled(Failed(Failure(PlannerError.code, message, scope.node.path)))
