"""Which planner code each thread is running, and how another thread ends it if it never yields.

Python can raise an exception in another thread, between any two steps of its interpreter. Here that happens
only while the thread is in planner code: whoever runs such code says when it begins and ends, and the verbs
of a run say when they take over. An error that has not arrived when the code ends is taken in there.

A call that waits outside of Python, such as ``time.sleep``, takes no notice of that, but of signals: it lets
the main thread run their handlers, and in a handler the exception arrives.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

PATIENCE = 100
"""How often code may go on after it was refused something, before it is made to end."""

WAKING = signal.SIGURG
"""The signal that ends waiting; it is ignored where nobody handles it."""


OFTEN = 100
"""How often code may catch an error that comes back, before more is done about it."""

_OURS = str(Path(__file__).parents[1])
_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object, ctypes.py_object)  # it has two, and ignores more
_lock = threading.RLock()
_threads: dict[int, Code] = {}
_reachable: set[int] = set()


class RunEnded(BaseException):
    """Raised in planner code that has to end.

    Not an Exception: code that tries again after every failure must not take the end of its run for one.
    """


class _Insisting(RunEnded):
    """Comes back when a handler has caught it and lets go of it, until no handler is left."""

    def __init__(self) -> None:
        super().__init__()
        here().follow(self)


class Code:
    """The planner code that one thread runs, if it runs any.

    ``inside`` says that the thread is in that code at this moment, not in a verb that the code has called.
    ``interrupted`` says that somebody has called :func:`interrupt` since it began.
    """

    def __init__(self, thread: int) -> None:
        self.inside = False
        self.interrupted = False
        self.thread = thread
        self._place: tuple[str, str | None] | None = None
        self._began = 0.0
        self._refusals = 0
        self._sent = False
        self._asked = False
        self._times = 0
        self._traced = False
        self._tracer: Any = None
        self._followed: weakref.ref[RunEnded] | None = None

    @property
    def seconds(self) -> float:
        """How long ago the code began."""
        return monotonic() - self._began

    @property
    def ended(self) -> bool:
        """Whether the code was told to end, which it may have ignored."""
        return self.interrupted or self._refusals > PATIENCE

    @property
    def begun(self) -> bool:
        """Whether such code has begun and not ended, though a verb that it called may have taken over."""
        return self._place is not None

    def run(self, whose: str, path: str | None, function: Callable[[], T]) -> T:
        """Call a function that is planner code, of the node at ``path``, if it belongs to one.

        It may be called by other planner code, or by a verb that such code has called.

        Raises:
            RunEnded: the code was told to end, whatever it did then.
            BaseException: whatever the function raises.
        """
        outer, inside, refusals = self._place, self.inside, self._refusals
        if outer is None:
            self.interrupted = self._asked = False
            self._began = monotonic()
            self._times = 0
        self._refusals = 0
        try:
            try:
                self.inside = True
                self._place = whose, path
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
            ended, self._refusals = self.ended, refusals
            if ended:
                raise RunEnded from None
            raise
        ended, self._refusals = self.ended, refusals
        if ended:
            raise RunEnded
        return value

    def pause(self) -> None:
        """A verb takes over: nothing is raised here until :meth:`resume`."""
        self._leave(self._place, inside=False)

    def resume(self) -> None:
        """The verb has ended. Raises RunEnded if somebody has asked for that in the meantime."""
        self.inside = True
        if self._asked:
            self._answer()

    def interrupt(self) -> bool:
        """Raise RunEnded in the code; returns whether there is any."""
        with _lock:
            if self._place is None:
                return False
            self.interrupted = True
            if self.inside:
                self._sent = True
                _set_async_exc(self.thread, _Insisting, None)
            else:
                self._asked = True
            return True

    def refuse(self, error: Exception | None = None) -> NoReturn:
        """Refuse what the code asks of a verb, with ``error`` or by RunEnded. Called in its own thread.

        Code that takes neither for an answer is made to end.
        """
        self._refusals += 1
        if self._refusals > PATIENCE:
            raise _Insisting
        raise error or RunEnded

    def follow(self, error: RunEnded) -> None:
        """Raise the error again when it is gone, as then a handler has caught it, and the code has left that.

        What is called then must not be written in Python, or the new error would be raised in it.
        """
        self._sent = True
        self._followed = weakref.ref(error, partial(_set_async_exc, self.thread, _Insisting))
        self._times += 1
        if self._times % OFTEN == 0:
            self._trace()

    def _trace(self) -> None:
        """Raise the error at the next line as well, which is in the handler that has caught it.

        Python 3.12 takes what is raised when a loop begins again for raised at the loop's end. If that is in
        the handler's ``try``, the error comes back to the same handler for ever.
        """
        frame = sys._getframe(3)
        while frame.f_back is not None and frame.f_code is not Code.run.__code__:
            frame.f_trace = self._at_line
            frame = frame.f_back
        if not self._traced:
            self._traced, self._tracer = True, sys.gettrace()
        sys.settrace(self._at_line)

    def _at_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and not _is_ours(frame):
            raise _Insisting
        return self._at_line

    def where(self) -> str | None:
        """The code and the line that it has come to, for people."""
        place, frame = self._place, sys._current_frames().get(self.thread)
        if place is None or frame is None:
            return None
        whose, path = place
        while frame.f_back is not None and _is_ours(frame):
            frame = frame.f_back
        node = "" if path is None else f", node {path or 'root'}"
        return f"{whose}{node}, at {frame.f_code.co_filename}:{frame.f_lineno}"

    def _answer(self) -> NoReturn:
        self._asked = False
        raise _Insisting

    def _leave(self, place: tuple[str, str | None] | None, inside: bool) -> None:
        try:  # an error may arrive right behind the lock, where `with` would leave it locked (3.14)
            _lock.acquire()
            if self._sent and not inside:
                self._followed = None
                if self._traced:
                    self._traced = False
                    sys.settrace(self._tracer)
                self._receive()
            self._place = place
            self.inside = inside
        finally:
            while _lock._is_owned():  # type: ignore[attr-defined]
                _lock.release()

    def _receive(self) -> None:
        """Take in an error that was sent but may not have arrived.

        It could be withdrawn, too, but that would leave the interpreter (3.11) looking for it for ever.
        """
        with suppress(RunEnded):
            _set_async_exc(self.thread, RunEnded, None)  # in its place
            while True:
                pass
        self._sent = False


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)


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


@contextmanager
def reachable() -> Iterator[None]:
    """During the block, let :func:`interrupt` end waiting calls, too, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(WAKING, lambda number, frame: None)
    _reachable.add(threading.get_ident())
    try:
        yield
    finally:
        _reachable.clear()
        signal.signal(WAKING, before)


def running(thread_id: int) -> str | None:
    """The planner code that the thread runs at this moment, for people; None if it runs none."""
    code = _threads.get(thread_id)
    return None if code is None else code.where()


def interrupt(thread_id: int) -> bool:
    """Raise an error in the planner code that the thread runs; returns whether it was running any.

    The run of that code ends, even if the code catches the error. Code that goes on all the same may be
    interrupted again. A call that waits outside of Python has to return first, unless the thread is
    :func:`reachable`.
    """
    code = _threads.get(thread_id)
    if code is None or not code.interrupt():
        return False
    if thread_id in _reachable:
        signal.pthread_kill(thread_id, WAKING)
    return True
