"""What a fork changes at a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.consensus.stopping import RuleError, parse_rule
from orchestrator.errors import InvalidRequest
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.work import Generation, ToolUse
from orchestrator.validation import Text, explain, worded

Prompt = Annotated[
    tuple[tuple[Literal["system", "user", "assistant"], Text], ...],
    Field(min_length=1),
    worded('must be pairs of a role (system, user or assistant) and a text, such as [["user", "Why?"]]'),
]


class Change(BaseModel):
    """What a fork changes at one node; what is not given stays as it was.

    A generation may get another prompt, other sampling or another model role; a tool may get other
    arguments; either may be given the result itself (``value``). A vote may get another stop rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt | None = Field(None, description="Pairs of role and text.")
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0, lt=2**53)
    role: Text | None = Field(None, description="Which model of the pool answers.")
    arguments: dict[str, Any] | None = Field(None, description="Named arguments of a tool.")
    value: Any = Field(None, description="The result: the text of a completion, or what a tool returned.")
    rule: Text | None = Field(None, description="The stop rule of a vote, such as `beta:0.99`.")

    def check(self, path: str, kind: NodeKind) -> None:
        """Refuse a change that a node of that kind cannot take.

        Raises:
            InvalidRequest: names what was given and what the node can be given.
        """
        possible = {
            NodeKind.GENERATE: {"prompt", "temperature", "top_p", "max_tokens", "seed", "role", "value"},
            NodeKind.TOOL: {"arguments", "value"},
            NodeKind.VOTE: {"rule"},
        }.get(kind, set())
        given = {name for name, value in self if value is not None} | (self.model_fields_set & {"value"})
        if not possible:
            raise InvalidRequest(
                f"node {path} is a {kind} node; only generate, tool and vote nodes can be changed"
            )
        if not given or given - possible:
            raise InvalidRequest(
                f"node {path} is a {kind} node; a fork can change its {', '.join(sorted(possible))}, "
                f"but was given {', '.join(sorted(given)) or 'nothing'}"
            )
        if kind is NodeKind.GENERATE and "value" in given and not isinstance(self.value, str):
            raise InvalidRequest(f"node {path} is a generate node; its value must be text")
        if self.rule is not None:
            try:
                parse_rule(self.rule)
            except RuleError as error:
                raise InvalidRequest(str(error)) from None

    def then(self, later: Change) -> Change:
        """This change, with what a fork of the fork changes at the same node on top of it.

        A result that this change gives is dropped: the later one asks for something else, or gives its own.
        """
        kept = self.model_dump(exclude_unset=True)
        kept.pop("value", None)
        return Change.model_validate(kept | later.model_dump(exclude_unset=True))

    def generation(self, work: Generation) -> Generation:
        """The generation with this change applied."""
        sampling = self.model_dump(include={"temperature", "top_p", "max_tokens", "seed"}, exclude_none=True)
        messages = work.messages if self.prompt is None else tuple(Message(r, (t,)) for r, t in self.prompt)
        return replace(
            work, messages=messages, sampling=replace(work.sampling, **sampling), role=self.role or work.role
        )

    def tool_use(self, work: ToolUse) -> ToolUse:
        """The tool call with this change applied."""
        return work if self.arguments is None else replace(work, arguments=self.arguments)

    @property
    def gives_value(self) -> bool:
        """Whether the result itself is given."""
        return "value" in self.model_fields_set


def parse_change(given: Change | Mapping[str, Any]) -> Change:
    """The change that the given fields describe.

    Raises:
        InvalidRequest: a field has a wrong value, or there is no such field.
    """
    if isinstance(given, Change):
        return given
    try:
        return Change.model_validate(given)
    except ValidationError as error:
        known = ", ".join(Change.model_fields)
        raise InvalidRequest(f"change: {explain(error)} (the fields of a change: {known})") from None
