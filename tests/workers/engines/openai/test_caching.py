import pytest

from workers.engines.openai.caching import event_tells, headers_tell
from workers.engines.openai.stream import CompletionStream


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cf-aig-cache-status", "HIT", True),
        ("Helicone-Cache", "HIT", True),
        ("x-portkey-cache-status", "SEMANTIC HIT", True),
        ("X-Cache", "HIT from front.example", True),
        ("x-litellm-cache-hit", "True", True),
        ("Cache-Status", "front.example; hit; ttl=30", True),
        ("cf-aig-cache-status", "MISS", False),
        ("Cache-Status", "front.example; fwd=miss", False),
        ("x-prompt-cache", "hit", False),
        ("Cache-Control", "no-store", False),
        ("x-white", "hit", False),
    ],
)
def test_headers_by_which_gateways_tell_of_their_caches(name: str, value: str, told: bool) -> None:
    assert headers_tell({"content-type": "text/event-stream", name: value}) is told


def test_events_that_tell_of_a_cache() -> None:
    assert event_tells({"gptcache": True})
    assert event_tells({"usage": {"completion_tokens": 3, "cached": True}})
    assert not event_tells({"usage": {"prompt_tokens_details": {"cached_tokens": 64}}, "cached": None})


def test_the_last_chunk_says_that_the_completion_was_kept() -> None:
    stream = CompletionStream("server")
    stream.feed(
        b'data: {"cached": true, "choices": [{"delta": {"content": "72"}, "finish_reason": "stop"}]}\n\n'
    )
    assert stream.last("stop").cached
    assert not CompletionStream("server").last("stop").cached
