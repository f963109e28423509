"""The page of what can be seen, and the dashboard: every name in them is one that a service really tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage.events import Event, EventType
from storage.spans import spans
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from tests.orchestrator.api.conftest import Open, empty_database, open_api
from tests.orchestrator.api.test_workers import ANSWER, metrics_of
from workers.engines.simulator.engine import Simulator
from workers.pool.member import Member
from workers.pool.pool import Pool

__all__ = ["empty_database", "open_api"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/observability.md").read_text()
DASHBOARD = json.loads((ROOT / "deploy/grafana/anabranch.json").read_text())
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def section(title: str) -> str:
    """What the page has under a heading."""
    [found] = [part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(f"{title}\n")]
    return found


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the tables' rows, without their heads."""
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|-+\|", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def code(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.fixture
async def told(open_api: Open) -> dict[str, tuple[str, set[str]]]:
    """What a service with a pool tells: kind and labels of each metric, by its name."""
    engine = Pool([Member(Simulator(ANSWER, name="a"))])
    async with open_api(engine) as api:
        assert (await api.submit(wait=60)).body["status"] == "succeeded"
        assert (await api.get("/nowhere")).status == 404  # refusals have no label before the first
        found = {}
        for family in text_string_to_metric_families(await metrics_of(api)):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = family.type, labels
        return found


async def test_the_table_of_metrics_is_what_a_service_tells(told: dict[str, tuple[str, set[str]]]) -> None:
    documented = {}
    for name, labels, _ in rows(section("Metrics")):
        if name != "metric":
            [bare] = code(name)
            documented[f"anabranch_{bare}"] = code(labels)
    assert documented == {name: labels for name, (_, labels) in told.items()}


async def test_every_metric_of_the_dashboard_exists(told: dict[str, tuple[str, set[str]]]) -> None:
    names = {
        name if kind != "histogram" else name + suffix
        for name, (kind, _) in told.items()
        for suffix in SUFFIXES[kind]
    }
    asked = json.dumps(DASHBOARD)
    assert set(re.findall(r"anabranch_\w+", asked)) - names == set()
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            for metric, labels in re.findall(r"(anabranch_\w+)\{([^}]*)\}", target["expr"]):
                base = re.sub(r"_(bucket|sum|count)$", "", metric)
                known = told.get(metric, told.get(base, ("", set())))[1] | {"job", "instance"}
                assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", labels)) <= known, target["expr"]
            for by in re.findall(r"by \(([^)]*)\)", target["expr"]):
                every = {label for _, labels in told.values() for label in labels} | {"le"}
                assert {label.strip() for label in by.split(",")} <= every, target["expr"]


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(DASHBOARD)
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval", "__all"}
    assert used == variables
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"]
            assert all(target["expr"] and target["refId"] for target in panel["targets"])
    assert not [
        (one["title"], other["title"]) for one, other in combinations(panels, 2) if _overlap(one, other)
    ]


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not (beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])


def exported(content: bool) -> list[dict[str, Any]]:
    """The spans of a run that has everything that spans can tell of."""
    request = {"key": "k", "seed": 7, "prompt": [["user", "q"]], "sampling": {"stop": ["x"], "max_tokens": 9}}
    usage = {"prompt_tokens": 3, "cached_tokens": 1, "completion_tokens": 2}
    header = {"planner": "p", "question": {"text": "q"}, "sampling": {"temperature": 0.5, "top_p": 1.0}}
    said = {"text": "a", "finish_reason": "stop"}
    failure = {"code": "tool_error", "message": "no"}
    happened: list[tuple[EventType, str, dict[str, Any]]] = [
        (EventType.RUN_STARTED, "", {**header, "capabilities": {"model": "m"}}),
        (EventType.NODE_ADDED, "0", {"kind": "generate", "label": "a", "request": request}),
        (EventType.NODE_SETTLED, "0", {"outcome": "succeeded", "usage": usage, "worker": "w", "value": said}),
        (
            EventType.NODE_ADDED,
            "1",
            {"kind": "tool", "label": "t", "request": {"tool": "t", "arguments": {}}},
        ),
        (EventType.NODE_SETTLED, "1", {"outcome": "failed", "error": failure}),
        (EventType.RUN_FINISHED, "", {"outcome": "answered", "answer": {"text": "a"}}),
    ]
    task = Task(
        id="t1",
        tenant="default",
        status=TaskStatus.SUCCEEDED,
        question={},
        planner="p",
        options={},
        seed=0,
        idempotency_key=None,
        parent_id=None,
        fork_at=None,
        created_at=99.0,
        finished_at=110.0,
        attempts=1,
    )
    events = [Event(seq, kind, path, 100.0, data) for seq, (kind, path, data) in enumerate(happened)]
    [resource] = spans(Trace.of(task, events), content=content)["resourceSpans"]
    [scope] = resource["scopeSpans"]
    return list(scope["spans"])


def test_the_tables_of_spans_are_what_is_sent() -> None:
    told = list(rows(section("Spans")))
    split = next(n for n, row in enumerate(told) if row[0] == "attribute")
    names = {name for row in told[1:split] for name in code(row[0])}
    assert {"invoke_workflow {planner}", "plan {planner}", "chat {model}", "execute_tool {tool}"} <= names
    assert {span["name"] for span in exported(False)} == {
        "invoke_workflow p",
        "plan p",
        "chat m",
        "execute_tool t",
    }
    documented: dict[bool, set[str]] = {False: set(), True: set()}
    for names_, of in told[split + 1 :]:
        documented[of.startswith("content")] |= code(names_)
    plain = {each["key"] for span in exported(False) for each in span["attributes"]}
    with_content = {each["key"] for span in exported(True) for each in span["attributes"]}
    assert documented[False] == plain
    assert documented[True] == with_content - plain
