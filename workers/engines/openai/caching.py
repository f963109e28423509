"""Whether a server answered with a completion that it, or a gateway before it, had kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

_HEADER = re.compile(r"cache(-status|-hit)?$", re.IGNORECASE)
_PROMPT = re.compile(r"prompt|prefix|kv", re.IGNORECASE)
_FLAGS = frozenset({"cached", "cache_hit", "gptcache"})
_HIT = re.compile(r"(^|[\s;,])(hit|true)\b", re.IGNORECASE)


def headers_tell(headers: Mapping[str, str]) -> bool:
    """Whether the headers of a response say that a cache answered.

    Gateways say so in headers of their own, such as ``cf-aig-cache-status: HIT``, ``helicone-cache: HIT``,
    ``x-portkey-cache-status: HIT`` or ``x-cache: HIT from …``, and others in ``Cache-Status: name; hit``
    (RFC 9211). A cache of prompts is another thing: its completions are new.
    """
    return any(
        _HEADER.search(name) and not _PROMPT.search(name) and _HIT.search(value)
        for name, value in headers.items()
    )


def event_tells(event: Mapping[str, object]) -> bool:
    """Whether an event of a completion says so: ``cached``, ``cache_hit`` or ``gptcache``, true."""
    usage = event.get("usage")
    return _flagged(event) or (usage is not None and _flagged(usage))


def _flagged(place: object) -> bool:
    return (
        isinstance(place, dict) and not _FLAGS.isdisjoint(place) and any(place.get(f) is True for f in _FLAGS)
    )
