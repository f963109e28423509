"""What a pool is made of: engines, each with its place in the pool."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workers.engine import Engine


class Sharing(StrEnum):
    """When a prompt becomes usable to other calls of the same engine.

    ``in_flight``: as soon as it is scheduled (vLLM V1); ``computed``: once its first token has been seen, so
    siblings wait for a prime; ``never``: the engine turned out to have no prefix cache.
    """

    IN_FLIGHT = "in_flight"
    COMPUTED = "computed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Member:
    """An engine and its place in a pool.

    ``roles`` are the roles of calls that it answers; empty: all roles for which no member is named. Calls of
    a role that no member answers go where those of the role ``branch`` go. If ``sharing`` is None, it is
    probed at the start. ``index_blocks`` bounds the prefix index.
    """

    engine: Engine
    roles: frozenset[str] = frozenset()
    sharing: Sharing | None = None
    index_blocks: int = 65_536
