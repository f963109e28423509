"""When a vote is over: pure rules from what the branches show to continue, expand, cancel or stop."""

from orchestrator.consensus.stopping.counting import Beta, FixedN, majority_posterior
from orchestrator.consensus.stopping.spec import RULES, RuleError, parse_rule
from orchestrator.consensus.stopping.view import (
    Branch,
    Cancel,
    Continue,
    Decision,
    Expand,
    Json,
    Signal,
    Stop,
    StopRule,
    Tally,
    View,
)

__all__ = [
    "RULES",
    "Beta",
    "Branch",
    "Cancel",
    "Continue",
    "Decision",
    "Expand",
    "FixedN",
    "Json",
    "RuleError",
    "Signal",
    "Stop",
    "StopRule",
    "Tally",
    "View",
    "majority_posterior",
    "parse_rule",
]
