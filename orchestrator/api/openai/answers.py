"""Solutions as OpenAI's clients read them: their content, why they end, and what they took."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Literal

from orchestrator.api.openai.schemas import CompletionDetails, PromptDetails, RunBody, UsageBody
from orchestrator.errors import AnabranchError, AnswerRefused, TaskFailed, Unavailable
from orchestrator.runtime.nodes import NodeKind
from orchestrator.tasks.solution import Solution
from storage.events import Event, EventType
from workers.calls import Usage
from workers.errors import WorkerError

Finish = Literal["stop", "length", "content_filter"]

_BOXED_LINE = re.compile(r"\n?[^\n\w\\]*\\boxed\s*\{[^\n]*\}[^\n\w]*\Z")
_NUMBER = re.compile(r"-?\d[\d.,]*")


@dataclass(slots=True)
class Seen:
    """What is noted of a run while it is followed, which its solution does not tell."""

    ends: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    used: Usage = field(default_factory=Usage)

    def take(self, event: Event) -> None:
        """Note an event."""
        if event.type is EventType.NODE_ADDED:
            self.kinds[event.path] = str(event.data.get("kind"))
        elif event.type is EventType.NODE_SETTLED and self.kinds.get(event.path) == NodeKind.GENERATE:
            usage, value = event.data.get("usage"), event.data.get("value")
            if isinstance(usage, dict):
                known = {each.name: usage.get(each.name) for each in fields(Usage)}
                self.used += Usage(**{name: n for name, n in known.items() if isinstance(n, int)})
            if isinstance(value, dict):
                self.ends.append(str(value.get("finish_reason")))

    @property
    def usage(self) -> UsageBody:
        """What its calls took, where there is no solution that tells."""
        used = self.used
        return usage_body(
            used.prompt_tokens, used.completion_tokens, used.cached_tokens, reasoning=used.reasoning_tokens
        )

    def finish(self, solution: Solution) -> Finish:
        """Why the answer ends: a bound ended the run, or every call of it was cut off; else it is whole."""
        cut = bool(self.ends) and all(end == "length" for end in self.ends)
        return "length" if cut or solution.limit is not None else "stop"


def content_of(
    solution: Solution,
    *,
    form: Literal["text", "answer"] = "text",
    stop: tuple[str, ...] = (),
    json: bool = False,
) -> str:
    """What a client reads as the answer; it ends before the first of ``stop``.

    It is the whole text. Where that does not end with the short answer, such as a program that a branch
    wrote, or where it ends with a box, which few programs draw, the answer stands in a last line of its own:
    people find it there, and so does who takes the last number. One text that stops early has no such line:
    its answer may be in what is cut off.
    """
    text = solution.answer if form == "answer" else solution.text
    if form == "text" and not json and (solution.clusters or not stop):
        text = _with_answer(solution)
    found = [place for each in stop if (place := text.find(each)) >= 0]
    return text[: min(found)].rstrip() if found else text


def _with_answer(solution: Solution) -> str:
    text, answer = solution.text, solution.answer.strip()
    if not answer or answer == text.strip() or "\n" in answer:
        return text
    if solution.clusters and (boxed := _BOXED_LINE.search(text)):
        text = text[: boxed.start()].rstrip()
    elif _ends_with(text, answer):
        return text
    return f"{text.rstrip()}\n\nAnswer: {answer}".strip()


def _ends_with(text: str, answer: str) -> bool:
    """Whether the last line of a text has the answer, and no number follows that is another one."""
    last = text.rstrip().rpartition("\n")[2]
    if answer.casefold() not in last.casefold():
        return False
    numbers = _NUMBER.findall(answer)
    return not numbers or _plain(_NUMBER.findall(last)[-1]) == _plain(numbers[-1])


def _plain(number: str) -> str:
    return number.replace(",", "").rstrip(".")


def usage_of(solution: Solution, seen: Seen) -> UsageBody:
    """What a run took, so that it adds up."""
    used = solution.usage
    return usage_body(
        used.prompt,
        used.completion,
        used.cached,
        reasoning=seen.used.reasoning_tokens,
        cancelled=used.cancelled,
    )


def usage_body(
    prompt: int, completion: int, cached: int = 0, *, reasoning: int = 0, cancelled: int = 0
) -> UsageBody:
    """Counts of tokens in the form of the protocol."""
    return UsageBody(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptDetails(cached_tokens=cached),
        completion_tokens_details=CompletionDetails(reasoning_tokens=reasoning, cancelled_tokens=cancelled),
    )


def run_of(solution: Solution, *, revised: bool = False) -> RunBody:
    """What only we tell of a run."""
    return RunBody(
        task=solution.trace_id,
        planner=solution.planner,
        outcome=solution.outcome.value,
        answer=solution.answer,
        trust=solution.trust,
        unsure=solution.unsure,
        confidence=solution.confidence,
        entropy=solution.entropy,
        probability=None if solution.calibrated is None else solution.calibrated.probability,
        calls=solution.usage.calls,
        revised=revised,
    )


def failure_of(failed: TaskFailed) -> AnabranchError:
    """Why a task has no answer, with the status that its code has elsewhere."""
    known = _by_code().get(failed.code)
    if known is None:
        return failed
    return Unavailable(
        str(failed), code=failed.code, http_status=known.http_status, retryable=known.retryable
    )


def is_refusal(failed: TaskFailed) -> bool:
    """Whether the model, or a filter before it, did not want to answer."""
    return failed.code == AnswerRefused.code


def _by_code() -> dict[str, type[WorkerError]]:
    found: dict[str, type[WorkerError]] = {}
    classes = [WorkerError]
    while classes:
        each = classes.pop()
        found.setdefault(each.code, each)
        classes += each.__subclasses__()
    return found
