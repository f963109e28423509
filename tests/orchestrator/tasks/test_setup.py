"""What determines a run is in the first event of its journal, whatever the settings are later."""

from __future__ import annotations

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import EDITION, FIRST_EDITION
from orchestrator.runtime.values import Answer, Bounds, Budget, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import recorded_setup
from storage.opening import open_store
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox


@planner("talkative")
async def talkative(run: Run, question: Question) -> Answer:
    """Says a lot."""
    for _ in range(5):
        run.note("a note " * 100)
    return Answer((await run.generate(question.text)).text)


async def test_capabilities_that_an_engine_lacks_are_not_told_where_old_journals_did_not() -> None:
    request = TaskRequest.model_validate({"query": "?", "planner": "talkative"})
    written = []
    for can in (Capabilities("m"), Capabilities("m", guided_grammar=True)):
        async with await open_store("memory") as store:
            service = Service(store, Simulator("ok", claims=can), planners={"talkative": talkative})
            solution = await service.solve(request)
            header = (await anext(aiter(store.read(solution.trace_id)))).data
            setup = recorded_setup(header, talkative, "1", engine=None, toolbox=Toolbox(), call_seconds=1.0)
            assert setup.environment.capabilities == can
            written.append(header["capabilities"])
    assert not {"guided_grammar", "roles"} & written[0].keys()
    assert written[1] == {**written[0], "guided_grammar": True}


async def test_bounds_are_those_under_which_a_run_began() -> None:
    request = TaskRequest.model_validate({"query": "?", "planner": "talkative", "budget": {"nodes": 6}})
    async with await open_store("memory") as store:
        planners = {"talkative": talkative}
        service = Service(store, Simulator("ok"), planners=planners, settings=Settings(max_label_chars=10))
        solution = await service.solve(request)
        events = [event async for event in store.read(solution.trace_id)]
        other = Service(store, Simulator("ok"), planners=planners, settings=Settings(max_label_chars=500))
        assert (await other.replay(solution.trace_id)).result.answer == Answer("ok")
    header = events[0].data
    assert events[1].data["label"] == "a note a …"
    assert header["bounds"]["label"] == 10
    assert header["budget"]["nodes"] == 6

    def recorded(data: object) -> tuple[Budget, Bounds]:
        assert isinstance(data, dict)
        setup = recorded_setup(data, talkative, "1", engine=None, toolbox=Toolbox(), call_seconds=1.0)
        assert setup.header()["budget"]["nodes"] == data["budget"].get("nodes")
        return setup.environment.budget, setup.environment.bounds

    assert recorded(header) == (Budget(nodes=6), Bounds(1_000_000, 1_000_000, 1_000_000, 10, 4_000_000))
    old = {key: value for key, value in header.items() if key != "bounds"}
    old["budget"] = {key: value for key, value in header["budget"].items() if key != "nodes"}
    assert recorded(old) == (Budget(nodes=None), Bounds())


async def test_a_run_keeps_to_the_edition_in_which_it_began() -> None:
    async with await open_store("memory") as store:
        service = Service(store, Simulator("ok"), planners={"talkative": talkative})
        solution = await service.solve(TaskRequest.model_validate({"query": "?", "planner": "talkative"}))
        header = dict((await anext(aiter(store.read(solution.trace_id)))).data)

    def edition() -> int:
        setup = recorded_setup(header, talkative, "1", engine=None, toolbox=Toolbox(), call_seconds=1.0)
        assert setup.header().get("edition") == header.get("edition")
        return setup.environment.edition

    assert header["edition"] == edition() == EDITION
    del header["edition"]
    assert edition() == FIRST_EDITION
