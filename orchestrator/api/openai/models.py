"""The models that clients may name: planners with what they are given by default, and those of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.api.openai.refusals import ModelNotFound
from orchestrator.errors import UnknownPlanner
from orchestrator.planning.finding import FindPlanner
from workers.pool.report import PoolSnapshot

PREFIX = "anabranch/"

ENGINE = f"{PREFIX}engine"
"""The engine's model, whatever its name is."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]

SAMPLED = 0.7
"""The least temperature for a planner that samples several by default: at 0 they would all say the same."""


@dataclass(frozen=True, slots=True)
class PlannerModel:
    """A planner as a model.

    Attributes:
        told: what it is for, for people.
        effort: its options for each ``reasoning_effort``; those that are missing are as ``medium``, which is
            as the planner is by default.
        planners: another planner for an effort.
    """

    planner: str
    told: str
    effort: Mapping[Effort, Mapping[str, Any]] = field(default_factory=dict)
    planners: Mapping[Effort, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name by which clients ask for it."""
        return PREFIX + self.planner

    def at(self, effort: Effort | None) -> tuple[str, dict[str, Any]]:
        """The planner and its options for an effort."""
        if effort is None:
            return self.planner, {}
        return self.planners.get(effort, self.planner), dict(self.effort.get(effort, {}))


def _branches(**efforts: int) -> dict[Effort, Mapping[str, Any]]:
    """So many branches for each effort; no effort at all is the least there is."""
    widths = {"none": efforts["minimal"], **efforts}
    return {effort: {"n": n} for effort, n in widths.items()}  # type: ignore[misc]


PLANNERS: Mapping[str, PlannerModel] = {
    each.planner: each
    for each in (
        PlannerModel(
            "auto",
            "the method that suits the question",
            {"low": {"n": 4}, "high": {"n": 12}, "xhigh": {"n": 24}},
            {"none": "direct", "minimal": "direct"},
        ),
        PlannerModel("direct", "one call"),
        PlannerModel(
            "adaptive",
            "a cheap look first, and a vote of several kinds where it is not sure",
            _branches(minimal=2, low=4, high=12, xhigh=24),
        ),
        PlannerModel(
            "vote",
            "chains of thought vote, until they agree",
            _branches(minimal=3, low=4, high=16, xhigh=32),
        ),
        PlannerModel(
            "cascade",
            "a vote, then one that sees the answers, then the large model if there is one",
            _branches(minimal=2, low=3, high=8, xhigh=12),
        ),
        PlannerModel(
            "rounds",
            "votes in rounds that see the answers before them",
            _branches(minimal=2, low=3, high=6, xhigh=8),
        ),
        PlannerModel(
            "aggregate",
            "chains are written again from several others",
            {
                "none": {"n": 3, "t": 1},
                "minimal": {"n": 3, "t": 1},
                "low": {"n": 3, "t": 2},
                "high": {"n": 6, "t": 4},
                "xhigh": {"n": 8, "t": 6},
            },
        ),
        PlannerModel(
            "skeleton",
            "an outline, whose points are written side by side",
            {"high": {"depth": 2}, "xhigh": {"depth": 3}},
        ),
        PlannerModel(
            "decompose",
            "parts of the question, asked side by side",
            {"none": {"max_replans": 0}, "minimal": {"max_replans": 0}, "high": {"n": 3}, "xhigh": {"n": 5}},
        ),
        PlannerModel(
            "react",
            "thinks and uses the tools of this service, in turns",
            {
                "none": {"max_steps": 2},
                "minimal": {"max_steps": 2},
                "low": {"max_steps": 4},
                "high": {"max_steps": 16},
                "xhigh": {"max_steps": 32},
            },
        ),
    )
}
"""The planners that make sense for a chat, and that are listed as models. Others can be named as well."""


@dataclass(frozen=True, slots=True)
class EngineModel:
    """A model of the engine, and the role of the calls that it answers; ``name`` is its whole name."""

    id: str
    name: str
    role: str


def planner_model(name: str, find: FindPlanner) -> PlannerModel:
    """The planner that a model's name, or the own options of a request, ask for.

    Raises:
        ModelNotFound: none of that name is installed.
    """
    planner = name.removeprefix(PREFIX)
    if (known := PLANNERS.get(planner)) is not None:
        return known
    try:
        found = find(planner)
    except UnknownPlanner as error:
        raise ModelNotFound(f"there is no model {name[:80]!r}: {error}") from None
    return PlannerModel(found.name, found.summary)


def engine_models(pool: PoolSnapshot) -> list[EngineModel]:
    """The engine's own models by their names, each with the role whose calls it answers.

    A model that has no role of its own answers as ``branch``.
    """
    found: dict[str, EngineModel] = {}
    for replica in pool.replicas:
        if replica.model:
            roles = [role for role in ("branch", *sorted(replica.roles)) if role in replica.roles]
            found.setdefault(
                replica.model, EngineModel(replica.model, replica.model, (roles or ["branch"])[0])
            )
    return list(found.values())


def engine_model(name: str, pool: PoolSnapshot) -> EngineModel:
    """The engine's model of that name, or of that short form: its last part, in any case.

    Raises:
        ModelNotFound: there is none, or several.
    """
    models = engine_models(pool)
    if name == ENGINE:
        usual = [each for each in models if each.role == "branch"] or models
        return EngineModel(ENGINE, usual[0].name if usual else "", usual[0].role if usual else "branch")
    exact = [each for each in models if each.name == name]
    found = exact or [each for each in models if name.casefold() in short_forms(each.name)]
    if len(found) == 1:
        return EngineModel(name, found[0].name, found[0].role)
    known = [*(each.id for each in PLANNERS.values()), ENGINE, *(each.name for each in models)]
    what = "several models go by" if found else "there is no model"
    meant = f"{PREFIX}{name}"
    hint = f"; did you mean {meant}?" if meant in known else ";"
    raise ModelNotFound(f"{what} {name[:80]!r}{hint} known here: {', '.join(known)}")


def short_forms(name: str) -> Iterator[str]:
    """The short forms of a model's name: without its owner, and without the ending of a file."""
    last = name.replace("\\", "/").rpartition("/")[2].casefold()
    yield last
    yield last.removesuffix(".gguf")


def names(models: Sequence[EngineModel]) -> list[str]:
    """All names of the list of models: planners first, then the engine's."""
    return [*(each.id for each in PLANNERS.values()), ENGINE, *(each.name for each in models)]
