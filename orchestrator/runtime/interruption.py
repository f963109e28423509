"""Which planner code each thread is running, and how another thread ends it if it never yields.

Python can raise an exception in another thread, between any two steps of its interpreter. Here that happens
only while the thread is in planner code: whoever runs such code says when it begins and ends, and the verbs
of a run say when they take over. An error that has not arrived when the code ends is withdrawn.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn, TypeVar

T = TypeVar("T")

INSISTENCE = 0.005
"""Seconds between two errors raised in code that catches all of them."""

_OURS = str(Path(__file__).parents[1])
_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_withdraw = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
_lock = threading.Lock()
_threads: dict[int, Code] = {}


class RunEnded(BaseException):
    """Raised in planner code that has to end.

    Not an Exception: code that tries again after every failure must not take the end of its run for one.
    """


class Code:
    """The planner code that one thread runs, if it runs any.

    ``inside`` says that the thread is in that code at this moment, not in a verb that the code has called.
    ``interrupted`` says that somebody has called :func:`interrupt` since it began.
    """

    def __init__(self, thread: int) -> None:
        self.inside = False
        self.interrupted = False
        self.thread = thread
        self._whose: str | None = None
        self._path = ""
        self._began = 0.0
        self._stint = 0
        self._cut = False
        self._sent = False
        self._asked = False

    @property
    def seconds(self) -> float:
        """How long ago the code began."""
        return monotonic() - self._began

    @property
    def ended(self) -> bool:
        """Whether the code was told to end, which it may have ignored."""
        return self.interrupted or self._cut

    @property
    def begun(self) -> bool:
        """Whether such code has begun and not ended, though a verb that it called may have taken over."""
        return self._whose is not None

    def run(self, whose: str, path: str, function: Callable[[], T]) -> T:
        """Call a function that is planner code, of the node at ``path``. May be called from a verb, too.

        Raises:
            RunEnded: the code was told to end, whatever it did then.
            BaseException: whatever the function raises.
        """
        outer, inside = self._whose, self.inside
        if outer is None:
            self.interrupted = self._cut = self._asked = False
            self._began = monotonic()
            self._stint += 1
        try:
            try:
                self.inside = True
                self._path = path
                self._whose = whose
                if self._asked:
                    self._answer()
                value = function()
            finally:
                self._leave(outer, inside)
        except BaseException:
            try:
                self._leave(outer, inside)  # the error may have come on the way out, and another one on this
            finally:
                self._leave(outer, inside)
            if self.ended:
                raise RunEnded from None
            raise
        if self.interrupted or self._cut:
            raise RunEnded
        return value

    def pause(self) -> None:
        """A verb takes over: nothing is raised here until :meth:`resume`."""
        self._leave(self._whose, inside=False)

    def resume(self) -> None:
        """The verb has ended. Raises RunEnded if somebody has asked for that in the meantime."""
        self.inside = True
        if self._asked:
            self._answer()

    def interrupt(self) -> bool:
        """Raise RunEnded in the code; returns whether there is any."""
        with _lock:
            if self._whose is None:
                return False
            self.interrupted = True
            self._strike()
            return True

    def cut_off(self) -> None:
        """End code that catches RunEnded and goes on: raise it again and again, wherever the code may be.

        Sooner or later that is at a place where nothing catches it. Called from the code's own thread.
        """
        if not self._cut:
            self._cut = True
            with paused(), suppress(RuntimeError):  # no more threads: then it is for others to interrupt it
                threading.Thread(target=self._insist, args=(self._stint,), daemon=True).start()

    def where(self) -> str | None:
        """The code and the line that it has come to, for people."""
        whose, frame = self._whose, sys._current_frames().get(self.thread)
        if whose is None or frame is None:
            return None
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
            frame = frame.f_back
        return f"{whose}, node {self._path or 'root'}, at {frame.f_code.co_filename}:{frame.f_lineno}"

    def _answer(self) -> NoReturn:
        self._asked = False
        raise RunEnded

    def _leave(self, whose: str | None, inside: bool) -> None:
        with _lock:
            self._whose = whose
            self.inside = inside
            if self._sent and not inside:
                _withdraw(self.thread, None)
                self._sent = False

    def _strike(self) -> None:
        if self.inside:
            self._sent = True
            _set_async_exc(self.thread, RunEnded)
        else:
            self._asked = True

    def _insist(self, stint: int) -> None:
        while True:
            sleep(INSISTENCE)
            with _lock:
                if self._whose is None or self._stint != stint:
                    return
                self._strike()


def here() -> Code:
    """The planner code of this thread."""
    thread = threading.get_ident()
    return _threads.get(thread) or _threads.setdefault(thread, Code(thread))


@contextmanager
def paused() -> Iterator[None]:
    """Let nothing be raised in the planner code of this thread, if it runs any, while the block runs."""
    code = here()
    inside = code.inside
    if inside:
        code.pause()
    try:
        yield
    finally:
        if inside:
            code.resume()


def running(thread_id: int) -> str | None:
    """The planner code that the thread runs at this moment, for people; None if it runs none."""
    code = _threads.get(thread_id)
    return None if code is None else code.where()


def interrupt(thread_id: int) -> bool:
    """Raise an error in the planner code that the thread runs; returns whether it was running any.

    The run of that code ends, even if the code catches the error. Code that goes on all the same may be
    interrupted again. A blocking call outside of Python has to return first.
    """
    code = _threads.get(thread_id)
    return code is not None and code.interrupt()
