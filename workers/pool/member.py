"""What a pool is made of: engines, each with its place in the pool."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workers.engine import Engine


class Sharing(StrEnum):
    """When a prompt becomes usable to other calls of the same engine.

    ``in_flight``: as soon as it is scheduled (vLLM V1); ``computed``: once its first token was seen, so
    siblings wait for a prime; ``never``: the engine was seen to have no prefix cache.
    """

    IN_FLIGHT = "in_flight"
    COMPUTED = "computed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Member:
    """An engine and its place in a pool.

    ``roles`` are the roles of calls that it answers; empty: all for which no member is named. Calls of a role
    that nobody answers go where those of the role ``branch`` go.
    ``sharing`` is probed at start where it is None. ``index_blocks`` bounds the prefix index.
    """

    engine: Engine
    roles: frozenset[str] = frozenset()
    sharing: Sharing | None = None
    index_blocks: int = 65_536
