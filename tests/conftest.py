"""What holds for all tests: a blocking call of ours inside an event loop fails the test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog
from blockbuster import blockbuster_ctx
from coverage import Coverage
from hypothesis import HealthCheck, settings

# The same examples for the same tests; `pytest --hypothesis-profile=search` looks for new counterexamples.
# A machine that stops for a moment makes no example fail.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False, print_blob=True
)
settings.register_profile("same", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("same")

# A shell that starts the tests in the background has them, and so all their processes, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OURS = ["orchestrator", "planners", "storage", "workers"]


def lock_of_coverage() -> object:
    """What its tracer may wait for, without a frame that tells so; None if coverage is not measured."""
    return getattr(getattr(Coverage.current(), "_collector", None), "data_lock", None)


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks() -> Iterator[None]:
    """Raise where our code makes a blocking call while an event loop runs in its thread."""
    with blockbuster_ctx(OURS) as blockbuster:
        for harmless in ("os.path.abspath", "os.getcwd"):  # they ask for no more than the working directory
            blockbuster.functions[harmless].deactivate()
        locks = blockbuster.functions["threading.Lock.acquire"].deactivate()
        usual, of_coverage = locks.can_block_predicate, lock_of_coverage()
        locks.can_block_predicate = lambda lock, *given, **named: (
            lock is of_coverage or usual(lock, *given, **named)
        )
        locks.activate()
        # The PostgreSQL driver looks for password and key files before it connects.
        for function in blockbuster.functions.values():
            function.can_block_in("asyncpg/connect_utils.py", "_parse_connect_arguments")
            # Once in the life of a database, before any work.
            function.can_block_in("storage/sql/migrations/__init__.py", "migrate")
            function.can_block_in("orchestrator/voting/symbolic.py", "math_equal")
        yield


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Write tracebacks as Python does: drawing them with all variables takes a tenth of a second each."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback, force_colors=False
    )
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture(scope="session", autouse=True)
def loggers_that_are_not_cached() -> Iterator[None]:
    """A logger that is cached keeps the set-up of whoever used it first, and hides from `capture_logs`."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        uncached = {"cache_logger_on_first_use": False}
        patch.setattr(structlog, "configure", lambda **given: configure(**given | uncached))
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Whoever sets up logging in the process of the tests does so for one test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
