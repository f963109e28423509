"""What a pool can do: what every one of its replicas can do."""

from __future__ import annotations

from collections.abc import Sequence

from workers.engine import Capabilities


def common_capabilities(known: Sequence[Capabilities], roles: frozenset[str]) -> Capabilities:
    """What all replicas can do. Their concurrencies add up; a call must fit the smallest of them."""
    lengths = [one.max_model_len for one in known if one.max_model_len is not None]
    rooms = [one.max_concurrency for one in known]
    return Capabilities(
        model=", ".join(sorted({one.model for one in known})),
        max_model_len=min(lengths, default=None),
        max_concurrency=None if None in rooms else sum(room for room in rooms if room is not None),
        token_ids_in=all(one.token_ids_in for one in known),
        token_ids_out=all(one.token_ids_out for one in known),
        logprobs=all(one.logprobs for one in known),
        guided_json=all(one.guided_json for one in known),
        guided_grammar=all(one.guided_grammar for one in known),
        function_calls=all(one.function_calls for one in known),
        priority=all(one.priority for one in known),
        cache_salt=all(one.cache_salt for one in known),
        assistant_prefill=all(one.assistant_prefill for one in known),
        cached_token_usage=all(one.cached_token_usage for one in known),
        arithmetic_sampling=all(one.arithmetic_sampling for one in known),
        roles=roles,
    )
