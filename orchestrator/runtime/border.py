"""The border between a run and its planner code: how code is let run, and what it meets when its run is over.

Whatever planner code does stays on its side. It runs where it can be interrupted, and its verbs raise what
``except Exception`` does not catch once the run is over, so that code which tries again after every failure
ends with its run. A run whose code had to be interrupted has failed. Its record says where, so that a
repeated run ends at the same place without waiting for the code again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import NoReturn, ParamSpec, TypeVar

from orchestrator.errors import AnabranchError, Divergence, Failure, PlannerError, PlannerStuck
from orchestrator.runtime import detached, interruption
from orchestrator.runtime.account import Account
from orchestrator.runtime.interruption import RunEnded
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.plain import plain, said
from storage.errors import StorageError
from storage.events import EventType

P = ParamSpec("P")
T = TypeVar("T")


class Border:
    """Lets planner code run, and its verbs in (``with border: …``).

    ``planner`` names the planner of the run, for people.
    """

    def __init__(self, journal: Journaling, account: Account, task_id: str) -> None:
        self.planner = ""
        self._journal = journal
        self._account = account
        self._task_id = task_id
        self._code = interruption.Code(0)
        self._whose = ""
        self._closing = False

    def open(self, planner: str) -> None:
        """Let the code of that planner run in this thread from now on."""
        self.planner = planner
        self._whose = f"planner {planner!r} of task {self._task_id}"
        self._code = interruption.here()

    @property
    def over(self) -> bool:
        """Whether the run can do nothing more but end."""
        return self._account.limit is not None or self._journal.broken

    # -- into planner code ------------------------------------------------------------------------

    def call(self, path: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run planner code of the node at ``path``.

        Raises:
            RunEnded: the run is over.
            PlannerError: the code was told to end, though the run goes on.
            BaseException: whatever the function raises.
        """
        if self._overtaken():
            raise RunEnded
        return self._call(path, partial(function, *args, **kwargs) if args or kwargs else function)

    def close(self, path: str, function: Callable[[], None]) -> None:
        """Run code at its end, even if the run is over; its verbs are refused."""
        self._overtaken()
        closing, self._closing = self._closing, True
        try:
            with suppress(RunEnded, PlannerError):
                self._call(path, function)
        finally:
            self._closing = closing

    def _call(self, path: str, function: Callable[[], T]) -> T:
        code = self._code
        try:
            if code.begun:
                value = code.run(self._whose, path, function)
            else:
                value = detached.call(partial(code.run, self._whose, path, function))
        except RunEnded:
            if code.interrupted:
                self._stuck(path, code.seconds)
            if self.over:
                raise
            raise PlannerError("planner code went on after it had been told to end") from None
        if self._account.failure is not None:
            raise RunEnded  # the record says that the code was interrupted here, whatever it did now
        return value

    def _overtaken(self) -> bool:
        """Whether the record says that the code was interrupted where the run is now."""
        if not self._journal.repeating:
            return False
        event = self._journal.cut_short()
        if event is not None:
            self._account.end(event.data)
        return event is not None

    def _stuck(self, path: str, seconds: float) -> None:
        """The run fails, because its code had to be interrupted."""
        if self._journal.broken or self._account.failure is not None:
            return
        message = f"planner code did not yield for {seconds:.0f} s"
        if not self._journal.appending:  # the record says that it did yield, so this is not the run's failure
            self._journal.fail(PlannerStuck(message))
            return
        failure = Failure(PlannerStuck.code, message, path)
        with suppress(StorageError, Divergence):
            event = self._journal.emit(
                EventType.LIMIT_REACHED, "", {"limit": failure.code, "error": plain(failure)}
            )
            self._account.end(event.data)

    # -- out of planner code ----------------------------------------------------------------------

    def __enter__(self) -> None:
        code = self._code
        if not code.inside or code.thread != get_ident():
            raise PlannerError("a run was used outside of its code, in another thread or task")
        if self._closing or self._journal.broken or code.ended:
            self.refuse()
        code.pause()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        over = self._overtaken() if error is None else self._broken_by(error)
        self._code.resume()
        if over:
            raise RunEnded from None

    def _broken_by(self, error: BaseException) -> bool:
        if not isinstance(error, AnabranchError | RunEnded):  # a stack that was too deep, for example
            told = f"{type(error).__name__}: {said(error)}"
            self._journal.fail(PlannerError(f"a verb of the run broke: {told}"))
        return self._journal.broken

    def admit(self, kind: EventType, path: str) -> None:
        """Let code do what an event of that kind will record. Raises RunEnded if the run is over."""
        self._account.grow()
        if self._account.limit is not None and not self._journal.expects(kind, path):
            self.refuse()  # earlier versions went on until the code waited, which their records show

    def refuse(self, error: PlannerError | None = None) -> NoReturn:
        """Refuse what code asks for.

        Raises:
            PlannerError: the ``error``, if one is given.
            RunEnded: none is given, or the code has not taken it for an answer.
        """
        self._code.refuse(error)

    def waits(self) -> None:
        """Planner code is about to wait. Raises RunEnded if it must not, since nothing will wake it."""
        if self._closing or self._journal.broken:
            self.refuse()
