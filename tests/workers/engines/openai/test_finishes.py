from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from workers.engines.openai.finishes import End, read_finish

SPELLINGS: list[tuple[End, str]] = [
    *(("stop", each) for each in ("stop", "STOP", "Stop", "eos", "eos_token", "stop_sequence", "end_turn")),
    *(
        ("stop", each)
        for each in ("eosFound", "stopStringFound", "COMPLETE", "FINISH_REASON_STOP", "stop-word")
    ),
    *(
        ("stop", each)
        for each in ("tool_calls", "function_call", "tool_use", "toolCalls", "normal", "end of turn")
    ),
    *(
        ("length", each)
        for each in ("length", "LENGTH", "max_tokens", "MAX_TOKENS", "maxTokens", "model_length")
    ),
    *(("length", each) for each in ("max_output_tokens", "token_limit", "FINISH_REASON_MAX_TOKENS", "limit")),
    *(("length", each) for each in ("model_context_window_exceeded", "contextLengthReached", "incomplete")),
    *(("length", each) for each in ("maxPredictedTokensReached", "max_new_tokens", "max-tokens")),
    *(
        ("refused", each)
        for each in ("content_filter", "content-filter", "contentFilter", "CONTENT_FILTERED")
    ),
    *(("refused", each) for each in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
    *(("refused", each) for each in ("refusal", "sensitive", "guardrail_intervened", "ERROR_TOXIC")),
    *(
        ("abort", each)
        for each in ("abort", "aborted", "cancelled", "canceled", "USER_CANCEL", "userStopped")
    ),
    *(
        ("abort", each)
        for each in ("timeout", "time_limit", "repetition", "OTHER", "pause_turn", "modelUnloaded")
    ),
    *(("failed", each) for each in ("error", "ERROR", "failed", "insufficient_system_resource")),
    *(("failed", each) for each in ("network_error", "MALFORMED_FUNCTION_CALL", "ERROR_LIMIT")),
    *(("none", each) for each in ("", "  ", "null", "None", "not_finished", "FINISH_REASON_UNSPECIFIED")),
]


@pytest.mark.parametrize(("end", "spelling"), SPELLINGS)
def test_every_spelling_has_its_meaning(end: End, spelling: str) -> None:
    with capture_logs() as logged:
        assert read_finish(spelling, "server", said_something=True) == end
        assert read_finish(spelling, "server", said_something=False) == end
    assert logged == []


def test_an_unknown_reason_ends_what_has_text_and_is_told_once() -> None:
    with capture_logs() as logged:
        for _ in range(3):
            assert read_finish("enlightened", "one", said_something=True) == "stop"
        assert read_finish("enlightened", "two", said_something=True) == "stop"
        assert read_finish("x" * 10_000, "one", said_something=False) == "abort"
    assert [(each["server"], each["taken_for"]) for each in logged] == [
        ("one", "stop"),
        ("two", "stop"),
        ("one", "abort"),
    ]
    assert len(str(logged)) < 1_000
