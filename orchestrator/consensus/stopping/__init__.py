"""When a vote is over: pure rules that turn what the branches show into continue, expand, cancel or stop.

May import :mod:`orchestrator.consensus.entropy`. Code that uses rules imports them from here.
"""

from orchestrator.consensus.stopping.combinators import AllOf, AnyOf, AtLeast
from orchestrator.consensus.stopping.confidence import DeepConfOffline, DeepConfOnline
from orchestrator.consensus.stopping.counting import (
    AdaptiveConsistency,
    Beta,
    EarlyStopping,
    EntropyThreshold,
    FirstAgreement,
    FixedN,
    majority_posterior,
)
from orchestrator.consensus.stopping.elastic import Elastic
from orchestrator.consensus.stopping.kinds import AcrossKinds
from orchestrator.consensus.stopping.limits import Deadline, FirstVerified, TokenBudget
from orchestrator.consensus.stopping.probing import ParallelProbe
from orchestrator.consensus.stopping.rounds import (
    Another,
    End,
    Round,
    RoundRule,
    SeatSecretary,
    SeatThreshold,
    most_certain,
)
from orchestrator.consensus.stopping.spec import (
    DEFAULT_RULE,
    FIRST_DEFAULT_RULE,
    ROUND_RULES,
    RULES,
    RuleError,
    parse_round_rule,
    parse_rule,
)
from orchestrator.consensus.stopping.tournament import Tournament
from orchestrator.consensus.stopping.view import (
    Branch,
    Cancel,
    Continue,
    Copy,
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
    "DEFAULT_RULE",
    "FIRST_DEFAULT_RULE",
    "ROUND_RULES",
    "RULES",
    "AcrossKinds",
    "AdaptiveConsistency",
    "AllOf",
    "Another",
    "AnyOf",
    "AtLeast",
    "Beta",
    "Branch",
    "Cancel",
    "Continue",
    "Copy",
    "Deadline",
    "Decision",
    "DeepConfOffline",
    "DeepConfOnline",
    "EarlyStopping",
    "Elastic",
    "End",
    "EntropyThreshold",
    "Expand",
    "FirstAgreement",
    "FirstVerified",
    "FixedN",
    "Json",
    "ParallelProbe",
    "Round",
    "RoundRule",
    "RuleError",
    "SeatSecretary",
    "SeatThreshold",
    "Signal",
    "Stop",
    "StopRule",
    "Tally",
    "TokenBudget",
    "Tournament",
    "View",
    "majority_posterior",
    "most_certain",
    "parse_round_rule",
    "parse_rule",
]
