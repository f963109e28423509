"""What the tasks of a process come to, counted for Prometheus: in a registry of each service's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from orchestrator.errors import UnknownPlanner
from orchestrator.tasks.ending import Ending
from storage.tasks import Task
from workers.calls import Usage

WAIT_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
RUN_BOUNDS = (0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

UNKNOWN = "unknown"
"""The label of planners that are not there."""


class Meters:
    """Counts the tasks that a service has run. Planners are those that it knows, so they are few.

    An imported task may name any other; all of those count as :data:`UNKNOWN`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._outcomes = Counter(
            "anabranch_task_outcomes_total",
            "Tasks that this process has run to their end, by planner and outcome.",
            ("planner", "outcome"),
            registry=self.registry,
        )
        self._tokens = Counter(
            "anabranch_tokens_total",
            "Tokens of the tasks that have ended here: of prompts, computed or cached, and of completions.",
            ("planner", "kind"),
            registry=self.registry,
        )
        self._waits = Histogram(
            "anabranch_queue_wait_seconds",
            "From the submission of a task to the start of its first run.",
            buckets=WAIT_BOUNDS,
            registry=self.registry,
        )
        self._runs = Histogram(
            "anabranch_task_run_seconds",
            "From the start of a task's run in this process to its end.",
            ("planner",),
            buckets=RUN_BOUNDS,
            registry=self.registry,
        )

    def began(self, task: Task, now: float) -> None:
        """Count a run that begins; its waiting time counts once, however often it begins again."""
        if task.lease_fence <= 1:
            self._waits.observe(max(0.0, now - task.created_at))

    def ended(self, task: Task, ending: Ending, usage: Usage, seconds: float) -> None:
        """Count a task that has ended, with what it used in all and the time that it ran here."""
        unknown = ending.error is not None and ending.error.get("code") == UnknownPlanner.code
        planner = UNKNOWN if unknown else task.planner
        self._outcomes.labels(planner, ending.outcome.value).inc()
        self._runs.labels(planner).observe(seconds)
        tokens = {
            "computed": usage.prompt_tokens - usage.cached_tokens,
            "cached": usage.cached_tokens,
            "completion": usage.completion_tokens,
        }
        for kind, count in tokens.items():
            self._tokens.labels(planner, kind).inc(max(0, count))
