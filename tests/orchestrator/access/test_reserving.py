"""What tasks hold of limits and budgets, from before they are stored until after they have ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from orchestrator.access import reserving
from orchestrator.access.caller import LOCAL, Caller
from orchestrator.access.keyring import Keyring
from orchestrator.access.refusals import QuotaExhausted, TooManyTasks
from orchestrator.access.spending import TASK_TOKENS, NoPrices, Prices, Tokens, bound_of, tokens_of
from orchestrator.errors import Conflict, InvalidRequest, Unavailable
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.tasks.requests import BudgetRequest, TaskRequest
from orchestrator.tasks.service import Service
from storage.accounts import MOST, Account, Amount, Limits
from storage.archive import export, restore
from storage.errors import NotStorable, StorageUnavailable
from storage.events import Event, EventType
from storage.keys import account_of_key, account_of_tenant
from storage.store import Store
from storage.tasks import EXPIRED, NewTask, Task, TaskStatus
from tests.orchestrator.access.conftest import settings
from tests.orchestrator.access.test_gate import made
from workers.engines.simulator.engine import CostModel, Simulator

REQUEST = TaskRequest(query="Anything.", planner="asking", tenant="acme")
SLOW = CostModel(decode_tokens_per_s=5)


@planner("asking")
async def asking(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


@planner("breaking")
async def breaking(run: Run, question: Question) -> Answer:
    """Ask once, and fail."""
    await run.generate(question.text)
    raise RuntimeError("broken")


def service_of(store: Store, engine: Simulator | None = None, **given: float) -> Service:
    return Service(
        store,
        engine or Simulator("72"),
        planners={"asking": asking, "breaking": breaking},
        settings=settings(grace_seconds=0.2, **given),
    )


@pytest.fixture
def service(store: Store) -> Service:
    return service_of(store)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever nobody holds is found at once."""
    monkeypatch.setattr(reserving, "SWEEP_SECONDS", 0.0)


@pytest.fixture
async def caller(service: Service, keyring: Keyring) -> Caller:
    """A caller whose key has no limits yet."""
    issued = await made(keyring)
    return await service.access.authenticate(issued.secret)


async def limit(service: Service, caller: Caller, limits: Limits) -> None:
    assert caller.key is not None
    await Keyring(service.store).limit_key(caller.key, limits)
    service.access.forget()


async def account_of(store: Store, caller: Caller) -> Account:
    name = account_of_key(caller.key or "")
    return (await store.access.accounts([name]))[name]


async def ended(service: Service, task: Task) -> Task:
    """The task, once this service has run it."""
    async with service.working():
        async for _ in service.events(task.id):
            pass
        await service.idle()
    return await service.task(task.id)


async def test_task_reserves_its_worst_case_and_is_charged_what_it_took(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(tokens=10_000))
    task = await service.submit(REQUEST, caller)
    assert task.submitted_by == caller.key
    assert task.options["budget"]["tokens"] == 10_000
    held = await account_of(store, caller)
    assert (held.held, held.reserved, held.spent) == (1, Amount(10_000), Amount())
    with pytest.raises(QuotaExhausted, match="10,000 of 10,000") as error:
        await service.submit(REQUEST, caller)
    assert not error.value.retryable
    task = await ended(service, task)
    assert task.status is TaskStatus.SUCCEEDED
    used = await tokens_of(store, task.id)
    assert used.prompt > 0
    assert used.completion > 0
    left = await account_of(store, caller)
    assert (left.held, left.reserved) == (0, Amount())
    assert left.spent == Amount(used.prompt + used.completion)
    usage = task.solution["usage"]
    assert left.spent.tokens == usage["prompt"] + usage["completion"]


async def test_request_that_bounds_itself_reserves_no_more(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(tokens=10_000, task_tokens=6_000))
    for _ in range(2):
        bound = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=4_000)})
        await service.submit(bound, caller)
    assert (await account_of(store, caller)).reserved == Amount(8_000)
    with pytest.raises(InvalidRequest, match=r"budget\.tokens: it is 6,001.*at most 6,000"):
        await service.submit(REQUEST.model_copy(update={"budget": BudgetRequest(tokens=6_001)}), caller)


async def test_second_request_with_its_key_gets_the_first_task_and_holds_nothing(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(tokens=25_000, task_tokens=10_000))
    request = REQUEST.model_copy(update={"idempotency_key": "k"})
    first = await service.submit(request, caller)
    assert (await service.submit(request, caller)).id == first.id
    assert (await account_of(store, caller)).reserved == Amount(10_000)
    with pytest.raises(Unavailable, match="asked for something else"):
        await service.submit(request.model_copy(update={"seed": 5}), caller)
    assert (await account_of(store, caller)).reserved == Amount(10_000)
    await service.submit(REQUEST, caller)
    assert (await service.submit(request, caller)).id == first.id, "although nothing is left"
    with pytest.raises(QuotaExhausted):
        await service.submit(request.model_copy(update={"idempotency_key": "k2"}), caller)


async def test_tasks_that_wait_and_run_are_counted_until_they_end(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=2))
    tasks = [await service.submit(REQUEST, caller) for _ in range(2)]
    with pytest.raises(TooManyTasks, match="2 tasks of the key"):
        await service.submit(REQUEST, caller)
    assert tasks[0].options["budget"]["tokens"] is None, "nothing bounds its tokens"
    await service.cancel(tasks[0].id)
    third = await service.submit(REQUEST, caller)
    with pytest.raises(TooManyTasks):
        await service.submit(REQUEST, caller)
    await ended(service, third)
    assert (await account_of(store, caller)).held <= 1


async def test_submissions_at_the_same_time_hold_exactly_what_is_there(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=7))
    found = await asyncio.gather(
        *(service.submit(REQUEST, caller) for _ in range(30)), return_exceptions=True
    )
    assert sum(isinstance(each, Task) for each in found) == 7
    assert sum(isinstance(each, TooManyTasks) for each in found) == 23
    assert len(await store.list()) == 7


async def test_tenant_has_limits_for_all_its_keys_together(
    store: Store, service: Service, keyring: Keyring, caller: Caller
) -> None:
    other = await service.access.authenticate((await made(keyring)).secret)
    await keyring.limit_tenant("acme", Limits(concurrency=1))
    service.access.forget()
    await service.submit(REQUEST, caller)
    with pytest.raises(TooManyTasks, match="tenant 'acme'"):
        await service.submit(REQUEST, other)
    await service.submit(REQUEST.model_copy(update={"tenant": "another"}), other)


async def test_failed_run_is_charged_by_its_journal(store: Store, service: Service, caller: Caller) -> None:
    await limit(service, caller, Limits(tokens=10_000))
    task = await service.submit(REQUEST.model_copy(update={"planner": "breaking"}), caller)
    assert (await ended(service, task)).status is TaskStatus.FAILED
    used = await tokens_of(store, task.id)
    assert (await account_of(store, caller)).spent == Amount(used.prompt + used.completion)
    assert used.completion > 0


async def test_task_that_expires_gives_back_what_it_has_reserved(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=1, tokens=10_000))
    late = await service.submit(REQUEST.model_copy(update={"deadline": 0.05}), caller)
    await asyncio.sleep(0.1)
    late = await ended(service, late)
    assert late.outcome == EXPIRED
    found = await account_of(store, caller)
    assert (found.held, found.reserved, found.spent) == (0, Amount(), Amount())
    await service.submit(REQUEST, caller)


async def test_end_that_nobody_has_settled_is_found_when_the_room_is_needed(
    store: Store, service: Service, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the end of a task and its settlement."""
    monkeypatch.setattr(reserving, "LEASE_SECONDS", -1.0)
    await limit(service, caller, Limits(tokens=10_000))
    task = await service.submit(REQUEST, caller)
    with pytest.raises(QuotaExhausted):  # although its lease has ended: the task waits
        await service.submit(REQUEST, caller)
    with monkeypatch.context() as crash:
        crash.setattr(store.access, "settle", None)
        await ended(service, task)
    assert (await account_of(store, caller)).held == 1
    small = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=5_000)})
    await service_of(store).submit(small, caller)
    used = await tokens_of(store, task.id)
    found = await account_of(store, caller)
    assert (found.held, found.reserved) == (1, Amount(5_000))
    assert found.spent == Amount(used.prompt + used.completion) != Amount()


async def test_task_that_expires_in_the_queue_makes_room_at_once(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=1))
    task = await service.submit(REQUEST.model_copy(update={"deadline": 0.05}), caller)
    await asyncio.sleep(0.1)
    assert await store.expire() == [task.id]
    await service.submit(REQUEST, caller)
    assert (await account_of(store, caller)).held == 1


async def test_deleted_task_is_charged_although_nobody_has_settled_it(
    store: Store, service: Service, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(service, caller, Limits(tokens=10_000))
    task = await service.submit(REQUEST, caller)
    with monkeypatch.context() as crash:
        crash.setattr(store.access, "settle", None)
        await ended(service, task)
    used = await tokens_of(store, task.id)
    await service.delete(task.id)
    found = await account_of(store, caller)
    assert (found.held, found.reserved) == (0, Amount())
    assert found.spent == Amount(used.prompt + used.completion) != Amount()


async def test_reservation_of_a_task_that_was_never_stored_costs_nothing(
    store: Store, service: Service, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies, or a caller that leaves, before the task is stored."""
    await limit(service, caller, Limits(concurrency=1))
    monkeypatch.setattr(reserving, "LEASE_SECONDS", -1.0)
    with suppress(asyncio.CancelledError):
        async with service.access.reserved(NewTask(question="q", planner="asking", tenant="acme"), caller):
            raise asyncio.CancelledError
    assert (await account_of(store, caller)).held == 1
    await service.submit(REQUEST, caller)
    found = await account_of(store, caller)
    assert (found.held, found.spent) == (1, Amount())


@pytest.mark.parametrize(
    ("error", "held"),
    [(Conflict("no"), 0), (NotStorable("no"), 0), (StorageUnavailable("perhaps"), 1), (KeyError("?"), 1)],
)
async def test_task_that_is_refused_holds_nothing(
    store: Store, service: Service, caller: Caller, error: Exception, held: int
) -> None:
    """But one of which nobody knows does, until its lease ends."""
    await limit(service, caller, Limits(concurrency=1))
    with pytest.raises(type(error)):
        async with service.access.reserved(NewTask(question="q", planner="asking", tenant="acme"), caller):
            raise error
    assert (await account_of(store, caller)).held == held


async def test_process_that_takes_a_task_over_charges_its_key(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(tokens=10_000))
    task = await service.submit(REQUEST, caller)
    await ended(service_of(store), task)
    assert (await account_of(store, caller)).held == 0


async def test_caller_that_leaves_a_running_task_frees_its_place(
    store: Store, service: Service, caller: Caller
) -> None:
    service = service_of(store, Simulator("one two three " * 100, cost=SLOW))
    await limit(service, caller, Limits(tokens=10_000))
    new = service.check(REQUEST)
    running = asyncio.create_task(service.run_new(new, caller=caller))
    while not service.running:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await account_of(store, caller)).held == 1
    running.cancel()
    await asyncio.wait([running])
    assert (await account_of(store, caller)).held == 0


async def test_task_that_is_started_here_belongs_to_its_key(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=1))
    claim = await service.start(REQUEST, caller)
    assert claim.task.submitted_by == caller.key
    with pytest.raises(TooManyTasks):
        await service.start(REQUEST, caller)
    await service.run(claim)
    await service.start(REQUEST, caller)


async def test_cost_is_what_the_prices_say(store: Store, service: Service, caller: Caller) -> None:
    await limit(service, caller, Limits(cost=2_000_000))
    with pytest.raises(NoPrices, match="ANABRANCH_PROMPT_PRICE"):
        await service.submit(REQUEST, caller)
    priced = service_of(store, prompt_price=2.0, completion_price=10.5)
    task = await priced.submit(REQUEST, caller)
    assert task.options["budget"]["tokens"] == TASK_TOKENS
    assert (await account_of(store, caller)).reserved == Amount(TASK_TOKENS, 1_050_000)
    with pytest.raises(QuotaExhausted, match=r"1\.05 of its cost budget.*1\.05 of 2;"):
        await priced.submit(REQUEST, caller)
    await ended(priced, task)
    used = await tokens_of(store, task.id)
    spent = (await account_of(store, caller)).spent
    assert spent == Prices(2.0, 10.5).of(used)
    assert 2 * used.prompt + 10 * used.completion < spent.cost <= 2 * used.prompt + 11 * used.completion


async def test_request_for_any_number_of_tokens_can_be_counted(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=2))
    endless = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=10**400)})
    await service.submit(endless, caller)
    assert (await account_of(store, caller)).reserved == Amount()
    await limit(service, caller, Limits(cost=10**6))
    with pytest.raises(QuotaExhausted):
        await service_of(store, prompt_price=1.5).submit(endless, caller)


async def test_fork_is_bounded_as_its_parent(store: Store, service: Service, caller: Caller) -> None:
    bound = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=4_000)})
    parent, _ = await service.run_new(service.check(bound))
    free, _ = await service.run_new(service.check(REQUEST))
    await limit(service, caller, Limits(tokens=10_000))
    fork = NewTask(
        question=parent.question,
        planner=parent.planner,
        options={"change": {}},
        tenant="acme",
        parent_id=parent.id,
        fork_at="0",
    )
    async with service.access.reserved(fork, caller) as reserved:
        assert (await account_of(store, caller)).reserved == Amount(4_000)
        assert reserved.task.options == {"change": {}}
    with pytest.raises(InvalidRequest, match=f"task {free.id} has no `budget.tokens`"):
        async with service.access.reserved(replace(fork, parent_id=free.id), caller):
            pass


async def test_fork_of_an_imported_trace_reserves_what_it_may_take(
    store: Store, service: Service, caller: Caller
) -> None:
    """What the file says of the request is not what the fork would run under."""
    bound = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=4_000)})
    parent, _ = await service.run_new(service.check(bound))
    lines = [line async for line in export(store, parent.id)]
    await service.delete(parent.id)
    assert '"tokens":4000' in lines[0]
    for told, begun in (("1", "4000"), ("-9000", "4000"), ("4000", "null"), ("4000", "-9000")):
        header = (
            lines[0]
            .replace('"tokens":4000', f'"tokens":{told}')
            .replace(parent.id, f"trace{len(told)}{begun}")
        )
        first = lines[1].replace('"tokens":4000', f'"tokens":{begun}')
        imported = await restore(store, [header, first, *lines[2:]])
        await limit(service, caller, Limits(tokens=10_000))
        fork = NewTask(
            question=imported.question,
            planner=imported.planner,
            options={"change": {}},
            tenant="acme",
            parent_id=imported.id,
            fork_at="0",
        )
        if begun == "4000":
            async with service.access.reserved(fork, caller) as reserved:
                assert (await account_of(store, caller)).reserved == Amount(4_000)
                reserved.keep(replace(imported, id="another"))
        else:
            with pytest.raises(InvalidRequest, match=r"has no `budget\.tokens`"):
                async with service.access.reserved(fork, caller):
                    pass
        assert (await account_of(store, caller)).reserved == Amount()


async def died(store: Store, task: Task) -> Task:
    """A task that was given up, after its run took tokens that nobody has charged."""
    claim = await store.claim_task(task.id, "crashing", 0.001)
    writer = store.writer(task.id, claim.fence)
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    settled = {"outcome": "succeeded", "value": None, "usage": usage}
    budget = {"budget": task.options["budget"]}
    writer.append(Event(0, EventType.RUN_STARTED, "", 1.0, budget))
    writer.append(Event(1, EventType.NODE_ADDED, "a", 1.0, {"kind": "generate"}))
    writer.append(Event(2, EventType.NODE_SETTLED, "a", 1.0, settled))
    await writer.flush()
    await asyncio.sleep(0.01)
    assert await store.claim("another", 30, max_attempts=1) is None
    return await store.get(task.id)


async def test_task_that_is_put_back_holds_again_what_it_may_still_take(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(concurrency=1, tokens=10_000))
    bound = REQUEST.model_copy(update={"budget": BudgetRequest(tokens=4_000)})
    dead = await died(store, await service.submit(bound, caller))
    await service.access.ended(dead)
    found = await account_of(store, caller)
    assert (found.held, found.spent) == (0, Amount(10))
    other = await service.submit(bound, caller)
    with pytest.raises(TooManyTasks):
        await service.requeue(dead.id, caller)
    assert (await service.task(dead.id)).status is TaskStatus.DEAD
    await service.cancel(other.id)
    for _ in range(2):
        await service.requeue(dead.id, caller)
        found = await account_of(store, caller)
        assert (found.held, found.reserved, found.spent) == (1, Amount(3_990), Amount(10))
    await service.access.ended(await service.cancel(dead.id))
    found = await account_of(store, caller)
    assert (found.held, found.reserved, found.spent) == (0, Amount(), Amount(10))


async def test_dead_task_from_elsewhere_is_put_back_at_the_cost_of_its_caller(
    store: Store, service: Service, caller: Caller
) -> None:
    foreign = service.check(REQUEST.model_copy(update={"budget": BudgetRequest(tokens=4_000)}))
    made_up = Task(
        id="0123456789abcdef",
        status=TaskStatus.DEAD,
        question=foreign.question,
        planner="asking",
        options=foreign.options,
        seed=0,
        tenant="acme",
        idempotency_key=None,
        parent_id=None,
        fork_at=None,
        created_at=1.0,
        finished_at=2.0,
    )
    dead = await store.restore(made_up, [])
    endless = [Event(0, EventType.RUN_STARTED, "", 1.0, {"budget": {"tokens": None}})]
    unbounded = await store.restore(replace(made_up, id="0123456789abcdeg"), endless)
    await limit(service, caller, Limits(tokens=5_000))
    with pytest.raises(InvalidRequest, match=r"has no `budget\.tokens`, so it could take any number"):
        await service.requeue(unbounded.id, caller)
    task = await service.requeue(dead.id, caller)
    assert task.submitted_by == caller.key
    with pytest.raises(QuotaExhausted):
        await service.submit(REQUEST, caller)
    task = await ended(service, task)
    assert task.status is TaskStatus.SUCCEEDED
    used = await tokens_of(store, task.id)
    found = await account_of(store, caller)
    assert (found.held, found.spent) == (0, Amount(used.prompt + used.completion))


async def test_journal_from_elsewhere_is_continued_although_its_task_was_never_claimed(
    store: Store, service: Service, caller: Caller
) -> None:
    done = await ended(service, await service.submit(REQUEST, caller))
    events = [event async for event in store.read(done.id)][:-2]
    forged = replace(
        done,
        id="0123456789abcdef",
        status=TaskStatus.DEAD,
        solution=None,
        attempts=0,
        lease_fence=0,
        created_at=1.0,
    )
    await store.restore(forged, events)
    fresh = service_of(store)
    again = await ended(fresh, await fresh.requeue("0123456789abcdef", caller))
    assert again.status is TaskStatus.SUCCEEDED
    waits = fresh.meters.registry.get_sample_value("anabranch_queue_wait_seconds_count")
    assert waits == 0, "nobody knows since when it waited"


async def test_task_that_comes_back_by_an_import_brings_nothing_back_that_was_charged(
    store: Store, service: Service, caller: Caller
) -> None:
    await limit(service, caller, Limits(tokens=10_000, task_tokens=1_000))
    done = await ended(service, await service.submit(REQUEST, caller))
    spent = (await account_of(store, caller)).spent
    assert spent.tokens
    await service.delete(done.id)
    forged = replace(done, status=TaskStatus.DEAD, solution=None, outcome=None, submitted_by=None)
    await store.restore(forged, [])
    await service.requeue(done.id, caller)
    assert (await account_of(store, caller)).reserved == Amount(1_000)
    await service.cancel(done.id)
    assert (await account_of(store, caller)).spent == spent


async def test_task_that_is_deleted_is_charged_before(store: Store, service: Service, caller: Caller) -> None:
    await limit(service, caller, Limits(tokens=10_000))
    dead = await died(store, await service.submit(REQUEST, caller))
    await service.delete(dead.id)
    found = await account_of(store, caller)
    assert (found.held, found.reserved, found.spent) == (0, Amount(), Amount(10))


async def test_who_has_no_key_reserves_nothing(store: Store, service: Service, keyring: Keyring) -> None:
    await keyring.limit_tenant("acme", Limits(concurrency=1))
    for caller in (None, LOCAL, LOCAL):
        assert (await service.submit(REQUEST, caller)).submitted_by is None
    name = account_of_tenant("acme")
    assert (await store.access.accounts([name]))[name].held == 0


@pytest.mark.parametrize(
    ("asked", "limits", "bound"),
    [
        (None, [], None),
        (7, [], 7),
        (None, [Limits(rate=1.0), Limits(concurrency=1)], None),
        (7, [Limits(concurrency=1)], 7),
        (None, [Limits(tokens=10)], 10),
        (None, [Limits(tokens=10**9)], TASK_TOKENS),
        (None, [Limits(cost=10)], TASK_TOKENS),
        (None, [Limits(tokens=10**9, task_tokens=10**6)], 10**6),
        (None, [Limits(task_tokens=50), Limits(tokens=10)], 10),
        (10, [Limits(tokens=10), Limits(cost=5)], 10),
        (11, [Limits(tokens=10)], InvalidRequest),
        (51, [Limits(task_tokens=50), Limits(tokens=1_000)], InvalidRequest),
    ],
)
def test_bound_of_a_task(
    asked: int | None, limits: list[Limits], bound: int | type[Exception] | None
) -> None:
    if isinstance(bound, type):
        with pytest.raises(bound):
            bound_of(asked, limits)
    else:
        assert bound_of(asked, limits) == bound


def test_part_of_the_smallest_unit_is_rounded_up() -> None:
    assert Prices(0.1, 0.0).of(Tokens(prompt=1)) == Amount(1, 1)
    assert Prices(0.0, 0.25).most(3) == Amount(3, 1)
    assert Prices().most(10) == Amount(10, 0)
    assert Prices(1e300, 1e300).of(Tokens(10**400, 10**400)) == Amount(MOST, MOST + 1)
