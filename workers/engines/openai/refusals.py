"""What a server means by an error, and whose fault it is: the request's, the account's, its own, or nobody's.

Statuses do not tell enough: a used-up quota comes as 429 like a rate limit, a prompt that is too long as 500.
So what the server says counts first, by its code or type where it has one, else by its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from workers.engines.openai.answers import QUOTE, garbage, server_message
from workers.engines.openai.parameters import ParametersRefused, refused_parameters
from workers.engines.openai.waits import asked_wait, fields_of, seconds_in_words
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineFailed,
    EngineProtocolError,
    ModelUnavailable,
    Overloaded,
    QuotaExhausted,
    WorkerError,
)
from workers.redaction import redacted
from workers.showing import SAID, cut

_RETRY_AFTER = 1.0  # seconds, where an overloaded server does not say
_MARKS = frozenset({"code", "type", "status", "reason", "error_type", "status_code"})
_PIECE = 4  # characters of a key that an error may not show

_BUSY = frozenset({409, 425, 429, 498, 503, 529})
"""No room now: too many calls, a model that is being loaded, a lock. Waiting helps."""

_NOT_NOW = re.compile(
    r"temporar|overload|busy|\bload|not ready|starting|warm|capacity|later|\bagain\b|retry|wait|queue"
    r"|too many|\bfull\b|slow down|maintenance|resource|limit|\brate\b",
    re.IGNORECASE,
)
"""What a 503 says that is about room. Proxies also send one when the server behind them is gone."""

_FAILED = frozenset({408, 424})
"""The server tried and failed, as with the 5xx. Text-generation-inference says 424."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One meaning of an error: the codes and types, or else the words, by which servers tell it."""

    error: type[WorkerError]
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] = re.compile(r"(?!)")


def _kind(error: type[WorkerError], codes: str, words: str) -> _Kind:
    return _Kind(error, frozenset(codes.split()), re.compile(words, re.IGNORECASE | re.VERBOSE))


_TOO_LONG = _kind(
    CallRejected,
    """context_length_exceeded exceed_context_size_error context_exceeded context_window_exceeded
    contextwindowexceedederror string_above_max_length request_too_large max_tokens_exceeded""",
    r"""request\ too\ large | (?:prompt|input|request|message)s?\ (?:is|are)\ too\ (?:long|large)
    | (?:maximum|max|available|model'?s?)\ context\ (?:length|size|window)
    | exceeds?\ (?:the\ )?context\ (?:length|size|window) | reduce\ the\ length\ of""",
)
_FILTERED = _kind(
    CallRejected,
    """content_filter content_policy_violation contentpolicyviolationerror responsibleaipolicyviolation
    data_inspection_failed datainspectionfailed moderation_blocked content_blocked input_moderation""",
    r"""content\ (?:management\ )?(?:policy|filter) | (?:input|prompt|request)\ was\ (?:flagged|blocked)
    | requires\ moderation""",
)
_UNKNOWN_MODEL = _kind(
    ModelUnavailable,
    "model_not_found model_not_available invalid_model model_not_exist deploymentnotfound",
    r"""\bmodel\b[^.]{0,99}\b(?:does\ not|doesn't|not)\ (?:exist|found\b|available\ on)
    | invalid\ model\ name""",
)
_USED_UP = _kind(
    QuotaExhausted,
    """insufficient_quota insufficient_user_quota exceeded_current_quota_error billing_hard_limit_reached
    billing_not_active billing_error insufficient_balance insufficient_credits insufficient_funds
    credit_limit_reached credits_exhausted quota_exhausted usage_limit_reached budget_exceeded
    budget_limit_exceeded spending_limit_reached payment_required arrearage 1113 30001""",
    r"(?!)",
)
_USED_UP_IN_WORDS = _kind(
    QuotaExhausted,
    "quota_exceeded",
    r"""exceeded\ your\ (?:current\ quota | monthly) | insufficient\ (?:balance|credits?|funds|quota)
    | balance\ is\ (?:too\ low|not\ enough|insufficient) | (?:out\ of|used\ all)\b[^.]{0,20}\bcredits
    | credits?\ (?:\w+\ )?(?:exhausted|depleted|used\ up) | (?:spend(?:ing)?|hard|monthly\ usage)\ limit
    | budget\ (?:has\ been\ |was\ )?exceeded | (?:exceeded|over)\s?budget | payment\ required
    | (?:add|purchase|buy|top\ up)\b[^.]{0,20}\bcredits | billing\ (?:is\ )?not\ active | in\ arrears
    | quota\ (?:\w+\ ){0,2}(?:exhausted|used\ up|exceeded) | 余额不足 | 欠费""",
)
_NO_ROOM = _kind(
    Overloaded,
    """rate_limit_exceeded rate_limit_error rate_limited too_many_requests resource_exhausted throttled
    throttling overloaded overloaded_error model_overloaded server_overloaded slow_down engine_overloaded
    capacity_exceeded""",
    r"(?!)",
)
_WRONG = _kind(
    CallRejected,
    """invalid_request_error badrequesterror bad_request invalid_parameter unsupported_parameter
    unsupported_value invalid_value validation""",
    r"(?!)",
)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Reads the refusals of one server.

    ``key_env`` is the variable that holds the key; ``has_key`` says whether one was sent. Of the ``secrets``
    that were sent, no error about them shows a piece.
    """

    server: str
    key_env: str
    has_key: bool
    secrets: Sequence[str | None] = ()

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> WorkerError:
        """The error that a response stands for."""
        said = f"{self.server} answered HTTP {status}"
        try:
            told = json.loads(body.decode())
        except (ValueError, RecursionError):
            told = None
        if 300 <= status < 400:
            where = headers.get("Location", "nowhere")
            return EngineProtocolError(f"{said} and leads to {where}: give the address of the server itself")
        if status < 400:
            return garbage(f"{said}, which is not the protocol", body)
        words = server_message(told)
        if words is None:
            words = told if isinstance(told, str) else repr(body.decode(errors="replace")[:QUOTE])
        return _error(_Said(said, status, words, told, headers), self._access)

    def _access(self, said: _Said) -> str:
        """Why access is refused: in our own words, and in the server's unless they may quote the key."""
        wrong = "was refused, or may not use this model" if self.has_key else "is missing"
        ours = f"the key {wrong}; set {self.key_env}"
        words = cut(said.words, QUOTE)
        sent = [secret for secret in self.secrets if secret]
        pieces = (
            secret[at : at + _PIECE] for secret in sent for at in range(max(1, len(secret) - _PIECE + 1))
        )
        quoted = "*" in words or redacted(words) != words or any(piece in words for piece in pieces)
        return ours if quoted or server_message(said.told) is None else f"{ours} (it says: {words})"


def error_told(server: str, told: object, sent: Collection[str] = ()) -> WorkerError:
    """The error that an object with ``error`` in it stands for, in a stream or with the status 200.

    Its own ``code`` or ``status`` counts as the HTTP status; without any, the server is taken to have failed.
    ``sent`` are the parameters of the request.
    """
    words = server_message(told)
    if words is None:
        words = str(told.get("error", told) if isinstance(told, dict) else told)[:QUOTE]
    status = next((int(mark) for mark in _marks(told) if re.fullmatch("[45][0-9]{2}", mark)), 500)
    said = _Said(f"{server} reported an error", status, words, told, {})
    error = _error(said, lambda said: redacted(said.words))
    if sent and (names := refused_parameters(status, json.dumps(told).encode(), sent)):
        return ParametersRefused(str(error), names)
    return error


@dataclass(frozen=True, slots=True)
class _Said:
    """What a server said: where it stood, its status, its words, its object, and its headers."""

    where: str
    status: int
    words: str
    told: object
    headers: Mapping[str, str]


def _error(said: _Said, access: Callable[[_Said], str]) -> WorkerError:
    wait = asked_wait(said.headers, said.told, said.words)
    kind = _meaning(said, wait)
    words = access(said) if kind is AccessRefused else cut(said.words, SAID)
    text = f"{said.where}: {words}"
    if kind is not Overloaded:
        return kind(text)
    if wait is None:
        return Overloaded(text, retry_after=_RETRY_AFTER, told=False)
    return Overloaded(f"{text} (it asks to wait {seconds_in_words(wait)})", retry_after=wait)


def _meaning(said: _Said, wait: float | None) -> type[WorkerError]:
    """The kind of error, by the first line of this table that fits."""
    status, marks = said.status, {*_marks(said.told)}

    def fits(kind: _Kind, length: int = SAID) -> bool:
        return not kind.codes.isdisjoint(marks) or kind.words.search(said.words[:length]) is not None

    flagged = status == 403 and any(name == "reasons" for name, _ in fields_of(said.told))
    # What refuses with a page (403) is in front of the server, knows no accounts, and may dislike one prompt.
    # Words about a quota also stand in rate limits, which name a time after which to come back, and may be
    # quoted from the request, but hardly where a message begins.
    empty = status in (400, 403, 429) and wait is None and fits(_USED_UP_IN_WORDS, QUOTE)
    gone = status == 503 and wait is None and _NOT_NOW.search(said.words) is None
    lines: tuple[tuple[bool, type[WorkerError]], ...] = (
        (status == 402 or fits(_USED_UP), QuotaExhausted),
        (flagged or fits(_FILTERED) or (status != 401 and fits(_TOO_LONG)), CallRejected),
        (empty, QuotaExhausted),
        (status in (400, 403, 500) and fits(_UNKNOWN_MODEL), ModelUnavailable),
        (status == 401 or (status == 403 and server_message(said.told) is not None), AccessRefused),
        (fits(_NO_ROOM) or (status in _BUSY and not gone), Overloaded),
        (status == 404, ModelUnavailable),
        (status in _FAILED or (status >= 500 and status != 501 and not fits(_WRONG)), EngineFailed),
    )
    return next((error for holds, error in lines if holds), CallRejected)


def _marks(told: object) -> Iterator[str]:
    """The codes and types in an error's object, in small letters."""
    for name, value in fields_of(told):
        if name in _MARKS and isinstance(value, str | int):
            yield str(value).lower()
