"""Votes over several models: whom a branch asks, and how much its answer counts.

Experts that are weighed by how close their domain is to the text are from Branch-Train-Merge (arXiv
2208.03306) and c-BTM (arXiv 2303.14177), which mix probabilities of the next token; here, answers vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from orchestrator.consensus.closeness import closeness
from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Draft
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import Turn

BRANCH = "branch"
"""The role of the model that branches ask where no other is named."""

Role: TypeAlias = Annotated[str, Field(pattern=r"^\w{1,64}$")]
Weight: TypeAlias = Annotated[float, Field(ge=0.001, le=1000)]
Voters: TypeAlias = Annotated[dict[Role, Weight], Field(min_length=1, max_length=64)]
"""The models of a vote, by role, each with how much an answer of it counts beside the others'."""

Domain: TypeAlias = Annotated[str, Field(min_length=1, max_length=20_000)]
Domains: TypeAlias = Annotated[dict[Role, Domain], Field(min_length=1, max_length=64)]
"""What each model is good at: a description, or a sample of the texts that it was trained on."""

LEAST = 0.001
"""The least that a voter counts in proportion to the others, however far its domain."""


def weighed(
    run: Run, question: Question, voters: Voters | None, domains: Domains | None = None, *, n: int
) -> Voters | None:
    """The voters with what their answers count on this question, None if there are none; the trace is told.

    With ``domains``, the weight of each is multiplied by how close its domain is to the question. There may
    be ``n`` branches.

    Raises:
        InvalidRequest: a voter has no model, or would never be asked, or only some have a domain, or there
            are domains and no voters; says what would be right.
    """
    if voters is None:
        if domains is not None:
            raise InvalidRequest("domains say how much voters count: give voters, too")
        return None
    missing = sorted(role for role in voters if role != BRANCH and role not in run.capabilities.roles)
    if missing:
        known = ", ".join(sorted({BRANCH, *run.capabilities.roles}))
        raise InvalidRequest(
            f"no model has the role {', '.join(missing)}; there are {known}: name the model in the engine, "
            f"as in {missing[0]}=model@http://host:8000/v1"
        )
    if n < len(voters):
        raise InvalidRequest(
            f"{len(voters)} voters take turns, but there are {n} branches: give n={len(voters)}"
        )
    if domains is None:
        return voters
    if domains.keys() != voters.keys():
        raise InvalidRequest(
            f"domains are given for {', '.join(sorted(domains))}, voters are "
            f"{', '.join(sorted(voters))}: give each voter one, or none"
        )
    near = closeness(f"{question.text}\n{question.context}", domains)
    given = {role: weight * max(near[role], LEAST) for role, weight in voters.items()}
    run.decide("voters", "weighed by domain", {role: round(weight, 6) for role, weight in given.items()})
    return given


def turns_over(prompts: Sequence[Draft], voters: Voters) -> list[Turn]:
    """A turn for each prompt and voter; every voter has had the first prompt before any has the second.

    Voters come by name, since a store may keep them in any order.
    """
    return [
        Turn(prompt, role, role=role, weight=voters[role]) for prompt in prompts for role in sorted(voters)
    ]
