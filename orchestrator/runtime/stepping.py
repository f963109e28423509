"""Advancing planner code from one thing that it waits for to the next, and ending it."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.errors import Divergence, Failure, PlannerError
from orchestrator.runtime.nodes import Cancelled, Failed, Outcome, Owner, Succeeded, Waitable
from orchestrator.runtime.outcomes import failure_of_code
from orchestrator.runtime.scopes import Scope, Scopes
from orchestrator.runtime.settling import Settling
from orchestrator.runtime.values import Answer
from storage.errors import StorageError


class Stepping:
    """Advances the code of scopes, one at a time. What the code awaits must belong to ``owner``."""

    def __init__(self, scopes: Scopes, settling: Settling, owner: Owner) -> None:
        self._scopes = scopes
        self._settling = settling
        self._owner = owner

    def step(self, scope: Scope) -> None:
        """Advance planner code until it waits for something or ends.

        Raises:
            Divergence, StorageError: the run cannot go on.
        """
        if scope.closed:
            return
        try:
            waited = self._scopes.send(scope)
        except StopIteration as end:
            self._end(scope, _returned(scope, end.value))
        except (Divergence, StorageError):
            raise
        except (Exception, asyncio.CancelledError) as failure:  # only its own code cancels a planner
            self._end(scope, Failed(failure_of_code(failure, scope.node.path)))
        else:
            self._suspend(scope, waited)

    def break_circle(self) -> None:
        """Fail the newest scope when all scopes wait and nothing is in flight that could wake one."""
        scope = self._scopes.newest_open()
        self._fail(scope, f"scope {scope.name} waits, directly or through others, for itself")

    def _suspend(self, scope: Scope, waited: object) -> None:
        """Let a scope wait for what its code awaited."""
        if scope.closed:  # it cancelled itself, through an ancestor
            self._scopes.shut(scope)
        elif isinstance(waited, Waitable) and waited.owner is self._owner:
            waited.waiters.append(scope)
        else:
            awaited = "another run" if isinstance(waited, Waitable) else type(waited).__name__
            self._fail(
                scope,
                f"planner code awaited something of {awaited}, not of its own run; "
                "use a tool for I/O, run.spawn for concurrency and the run's own verbs for the rest",
            )

    def _fail(self, scope: Scope, message: str) -> None:
        self._end(scope, Failed(Failure(PlannerError.code, message, scope.node.path)))

    def _end(self, scope: Scope, outcome: Outcome[Any]) -> None:
        """End a scope; what it left open is cancelled first."""
        if scope.closed:
            return
        for child in self._scopes.shut(scope):
            self._settling.caused(child, Cancelled("its scope has ended"))
        if scope.node.path:
            self._settling.caused(scope.node, outcome)
        else:
            scope.node.outcome = outcome


def _returned(scope: Scope, value: object) -> Outcome[Any]:
    """The outcome of a scope whose code has returned ``value``; a root must return an answer."""
    if scope.node.path or isinstance(value, Answer):
        return Succeeded(value)
    message = f"the planner returned {type(value).__name__}; it must return an Answer"
    return Failed(Failure(PlannerError.code, message))
