"""The short form of what OpenAI's protocol costs at the door, and how it judges what it sees."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from benchmarks.service.chatting import WORD, Chats, Told, WrongAnswer, piece_of
from benchmarks.service.clients import FORMS, QUICK_CLIENTS, Clients, ClientSize, Cost, clients
from benchmarks.service.clients_report import as_json, checks, lines
from benchmarks.service.doors import ENGINE, PASSED, PLANNED, Door, processor_seconds
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_door_hands_on_what_the_engine_says_and_frees_it(tmp_path: Path) -> None:
    """How long that takes is measured where nothing else runs."""
    found = asyncio.run(clients(QUICK_CLIENTS, tmp_path, {}, {}))
    assert list(found.costs) == [ENGINE, PASSED, PLANNED]
    for cost in found.costs.values():
        assert (len(cost.whole), len(cost.first)) == (QUICK_CLIENTS.turns, QUICK_CLIENTS.turns)
        assert len(cost.crowded) == QUICK_CLIENTS.crowds * QUICK_CLIENTS.crowd_requests
        assert [len(each.at) for each in cost.streams] == [QUICK_CLIENTS.words] * QUICK_CLIENTS.streams
        assert [len(cost.freed[form]) for form in FORMS] == [QUICK_CLIENTS.leaves] * len(FORMS)
    assert found.costs[ENGINE].processor == 0 < found.costs[PASSED].processor
    assert any(line.startswith(PASSED) for line in lines(found))


# -- what it judges by ------------------------------------------------------------------------------


def a_cost(ms: float = 1.0, *, first: float | None = None, freed: float = 10.0) -> Cost:
    at = (ms if first is None else first) / 1e3
    return Cost(
        whole=[ms / 1e3] * 3,
        first=[at] * 3,
        crowded=[ms / 1e3] * 3,
        crowd_seconds=1.0,
        processor=0.006,
        streams=[Told("yes yes ", [at, at + 0.03])],
        freed={form: [0.001, freed / 1e3] for form in FORMS},
    )


def found(**changed: Cost) -> Clients:
    names = {"engine": ENGINE, "passed": PASSED, "planned": PLANNED}
    costs = {"engine": a_cost(), "passed": a_cost(3.9), "planned": a_cost(30.9), **changed}
    return Clients(ClientSize(), {names[name]: cost for name, cost in costs.items()}, {"a peer": "no wheel"})


def test_what_is_well_passes() -> None:
    assert all(check.passed for check in checks(found()))
    told = as_json(found())
    assert told["doors"][PASSED]["added"]["whole"] == pytest.approx(2.9)
    assert told["doors"][PASSED]["cpu"] == pytest.approx(2.0)
    assert told["missing"] == {"a peer": "no wheel"}
    assert "not measured: a peer: no wheel" in lines(found())


def test_an_answer_in_one_piece_has_no_gaps() -> None:
    at_once = a_cost()
    at_once.streams = [Told("yes yes ", [1.0])]
    seen = Clients(ClientSize(), {**found().costs, "at once": at_once}, {})
    assert any(line.startswith("at once") and "nan" in line for line in lines(seen))
    assert as_json(seen)["doors"]["at once"]["gap"] == {"n": 0}


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({"passed": a_cost(4.1)}, "the engine's own model adds to an answer, ms"),
        ({"passed": a_cost(first=31.1)}, "the engine's own model adds to a first token, ms"),
        ({"planned": a_cost(first=31.1)}, "anabranch/direct adds to a first token, ms"),
        ({"planned": a_cost(freed=251)}, "the engine is free after its client left, ms"),
        ({"passed": a_cost(freed=251)}, "the engine is free after its client left, ms"),
    ],
    ids=["answer", "first", "planned first", "planned leaves", "passed leaves"],
)
def test_what_is_not_fails(changed: Mapping[str, Cost], failing: str) -> None:
    assert [check.name for check in checks(found(**changed)) if not check.passed] == [failing]


# -- its client -------------------------------------------------------------------------------------


async def test_it_reads_whole_and_streamed_answers_and_notices_wrong_ones() -> None:
    async with (
        serving(Simulator(" ".join([WORD] * 9), cost=CostModel(decode_tokens_per_s=100))) as url,
        aiohttp.ClientSession() as session,
    ):
        chats = Chats(Door("one", url), session, 4)
        assert await chats.whole() > 0
        told = await chats.streamed()
        assert (told.text.split(), len(told.at), len(told.gaps)) == ([WORD] * 4, 4, 3)
        assert told.first == min(told.at)
        with pytest.raises(WrongAnswer, match="instead of 20 times"):
            await Chats(Door("one", url), session, 20).whole()
        with pytest.raises(WrongAnswer, match="elsewhere: 404"):
            await Chats(Door("elsewhere", f"{url}/none"), session, 4).streamed()


@pytest.mark.parametrize(
    ("line", "piece"),
    [
        (b'data: {"choices": [{"delta": {"content": "yes "}}]}\n', "yes "),
        (b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n', ""),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n', ""),
        (b'data: {"choices": [], "usage": {}}\n', ""),
        (b"data: [DONE]\n", ""),
        (b": keep-alive\n", ""),
    ],
    ids=["content", "aside", "finish", "usage", "done", "comment"],
)
def test_pieces_of_a_stream(line: bytes, piece: str) -> None:
    assert piece_of(line) == piece


def test_no_process_uses_no_processor() -> None:
    assert processor_seconds(0) == 0
