"""Why a completion ended, in every spelling that servers use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

import structlog

from workers.calls import FinishReason
from workers.showing import SHOWN, cut

log = structlog.get_logger(__name__)

End = FinishReason | Literal["failed", "none"]
"""A finish reason; or that the server failed; or that the completion has not ended, as far as this says."""

_SPELLINGS: Final[Mapping[End, str]] = {
    "stop": """
        stop stopped stop_sequence stop_sequence_found stop_string stop_string_found stop_str stop_token
        stop_token_id stop_word stop_words stop_criteria eos eos_token eos_token_id eos_found end_turn
        end_of_turn end_of_text end_of_sequence end_of_message endoftext complete completed completion
        done end ended finish finished normal natural success succeeded tool_call tool_calls tool_use
        function_call function_calls
    """,
    "length": """
        length length_limit limit max_length max_len max_token max_tokens max_tokens_reached max_output
        max_output_tokens max_output_reached max_completion_tokens max_new_tokens max_predicted_tokens_reached
        exceed_max_tokens exceeded_max_tokens token_limit token_limit_reached out_of_tokens model_length
        model_context_window_exceeded context_window_exceeded context_length context_length_exceeded
        context_length_reached max_context_length context_limit truncated truncation incomplete
    """,
    "abort": """
        abort aborted abandoned cancel canceled cancelled user_cancel user_cancelled user_stopped
        disconnected interrupted preempted evicted model_unloaded load unload shutdown timeout timed_out
        time_limit deadline_exceeded repetition repetition_detected repetition_truncation other pause_turn
    """,
    "refused": """
        content_filter content_filtered content_filtering filter filtered content_policy
        content_policy_violation policy policy_violation safety image_safety moderation moderated
        flagged sensitive blocked blocklist block_list prohibited prohibited_content spii recitation
        image_recitation language refusal refused guardrail guardrails guardrail_intervened jailbreak toxic
        error_toxic model_armor
    """,
    "failed": """
        error errored fail failed failure internal_error internal_server_error server_error engine_error
        model_error generation_error network_error exception insufficient_system_resource
        insufficient_system_resources resource_exhausted rate_limit_exceeded overloaded out_of_memory oom
        error_limit malformed_function_call malformed_model_output malformed_tool_use malformed_response
        unexpected_tool_call too_many_tool_calls
    """,
    "none": "null none nil undefined unspecified unknown not_finished unfinished in_progress running",
}
"""vLLM, SGLang, llama.cpp, Ollama, LM Studio, TGI, OpenAI and Azure, OpenRouter, Together, DeepSeek, Mistral,
Cohere, Zhipu, watsonx, Bedrock, and the names of Anthropic and Gemini, which gateways pass on."""

_ENDS: Final[Mapping[str, End]] = {
    spelling: end for end, spellings in _SPELLINGS.items() for spelling in spellings.split()
}
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GAP: Final = re.compile(r"[^a-z0-9]+")


def read_finish(reason: str, server: str, *, said_something: bool) -> End:
    """What a server means by a finish reason, whatever the case and the signs between its words.

    A reason that is not known ends a completion whose text is there, and breaks off one without text; the log
    names it once.
    """
    words = _GAP.sub("_", _HUMP.sub("_", reason).lower()).strip("_").removeprefix("finish_reason_")
    if not words:
        return "none"
    if (end := _ENDS.get(words)) is not None:
        return end
    end = "stop" if said_something else "abort"
    tell_once("unknown_finish_reason", server, reason=cut(reason, SHOWN), taken_for=end)
    return end


@lru_cache(maxsize=256)
def tell_once(event: str, server: str, **what: str) -> None:
    """Warn of what every answer of a server may show; a second time, the cache answers."""
    log.warning(event, server=server, **what)
