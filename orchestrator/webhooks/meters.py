"""What comes of attempts, counted for Prometheus: in a registry of each service's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from storage.endpoints import Attempt

RESULTS = ("delivered", "refused", "gone", "unanswered")


class WebhookMeters:
    """Counts the attempts that a process makes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Counter(
            "anabranch_webhook_attempts_total",
            "Attempts of this process to deliver a message, by what came of them.",
            ("result",),
            registry=self.registry,
        )
        for result in RESULTS:
            self._attempts.labels(result)

    def attempted(self, attempt: Attempt) -> None:
        """Count an attempt."""
        self._attempts.labels(result_of(attempt)).inc()


def result_of(attempt: Attempt) -> str:
    """What came of an attempt, as a label."""
    if not attempt.error:
        return "delivered"
    if attempt.gone:
        return "gone"
    return "unanswered" if attempt.http_status is None else "refused"
