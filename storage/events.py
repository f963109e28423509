"""The journal's vocabulary: what can happen to a task, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1
"""Version of the vocabulary; increased when a reader of the previous one would misunderstand a journal."""


class EventType(StrEnum):
    """The comment on each value says where the event comes from.

    *Caused* events follow from the planner's code and from earlier events, so running the same planner
    over the journal produces them again. *External* events come from outside (an engine, a tool, a clock,
    a user) and are the only ones that a replay has to be given.
    """

    RUN_STARTED = "run_started"  # caused: planner, question, options, seed, versions
    NODE_ADDED = "node_added"  # caused: kind, label, inputs
    NODE_STARTED = "node_started"  # caused: content key and what was asked
    NODE_CHUNK = "node_chunk"  # external: text of a streamed completion that the planner reads
    NODE_SETTLED = "node_settled"  # external for generate and tool, caused for all other kinds and cancels
    DECISION = "decision"  # caused: a stop rule or a planner chose; what it saw and what it said
    LIMIT_REACHED = "limit_reached"  # external: the deadline passed or a user cancelled
    RUN_RESUMED = "run_resumed"  # marks that another process continues from here
    RUN_FINISHED = "run_finished"  # caused: outcome and answer; the last event


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal.

    ``seq`` counts from 0 without gaps inside a task. ``path`` names the node (empty: the run itself).
    ``at`` is in seconds since the epoch. ``data`` is JSON.
    """

    seq: int
    type: EventType
    path: str
    at: float
    data: Mapping[str, Any] = field(default_factory=dict)
