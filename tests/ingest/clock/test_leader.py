"""One leader at a time, another when it is gone, and nothing done twice."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg
import pytest

from devices.quantity import Quantity
from ingest import pg_binary
from ingest.clock import Clock, due, lane, missing, rows
from ingest.clock import clock as clock_module
from ingest.clock.chore import Chore, Connection, Lane, Run
from ingest.clock.chores import chores
from ingest.clock.clock import LOCK_KEY
from ingest.clock.columns import microseconds_of
from ingest.meter import NullMeter
from ingest.registry import Registry
from ingest.rules.model import Missing
from tests.ingest.clock.timeline import HOUR, Timeline, local

START = local(2026, 3, 2, 8)
_SOON_S = 20.0


class Told(NullMeter):
    """What a clock tells its meter."""

    def __init__(self) -> None:
        self.is_leader = False
        self.done: list[str] = []
        self.changed = asyncio.Condition()
        self._pending: set[asyncio.Task[None]] = set()

    def leads(self, is_leader: bool) -> None:
        self.is_leader = is_leader
        self._wake()

    def chore_done(self, chore: str, rows: int, took_s: float) -> None:
        self.done.append(chore)
        self._wake()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_SOON_S), self.changed:
            await self.changed.wait_for(is_so)

    def _wake(self) -> None:
        async def wake() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(wake())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)


async def _nothing(connection: Connection, registry: Registry, now: datetime, most: int) -> int:
    return 0


def _chore(name: str, run: Run = _nothing, lane_: Lane = Lane.PEOPLE) -> Chore:
    return Chore(name=name, run=run, lane=lane_, every_s=0.05)


def _clock(timeline: Timeline, told: Told, *doing: Chore) -> Clock:
    return Clock(lambda: timeline.county.dsn, "test", keep_days=3653, meter=told, doing=doing)


def _terminate(timeline: Timeline, which: str, *parameters: Any) -> int:
    return len(
        timeline.county.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = current_database() and {which}",
            *parameters,
        )
    )


def _terminate_leader(timeline: Timeline) -> int:
    holds = (
        "pid in (select pid from pg_locks where locktype = 'advisory' and granted and objid = %s)"
    )
    return _terminate(timeline, holds, LOCK_KEY)


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def test_another_worker_takes_over_when_the_leaders_connection_ends(
    timeline: Timeline,
) -> None:
    one, other = Told(), Told()
    tasks = [asyncio.create_task(_clock(timeline, one, _chore("one")).run())]
    await one.until(lambda: one.is_leader and "one" in one.done)
    tasks.append(asyncio.create_task(_clock(timeline, other, _chore("other")).run()))
    done = len(one.done)
    await one.until(lambda: len(one.done) > done + 5)
    assert not other.is_leader
    assert _terminate_leader(timeline) == 1
    async with asyncio.TaskGroup() as both:  # who lost it stands by for as long as others look
        both.create_task(one.until(lambda: not one.is_leader))
        both.create_task(other.until(lambda: "other" in other.done))
    assert other.is_leader
    assert not one.is_leader
    await _stop(*tasks)
    assert not other.is_leader


async def test_a_leader_that_is_cancelled_leaves_the_lock_at_once(plain_timeline: Timeline) -> None:
    one, other = Told(), Told()
    first = asyncio.create_task(_clock(plain_timeline, one, _chore("one")).run())
    await one.until(lambda: one.is_leader)
    await _stop(first)
    second = asyncio.create_task(_clock(plain_timeline, other, _chore("other")).run())
    await other.until(lambda: "other" in other.done)
    await _stop(second)


async def test_a_leader_that_hangs_is_relieved(
    plain_timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "HANGS_S", 1)
    monkeypatch.setattr(clock_module, "STAND_BY_S", 0.3)
    monkeypatch.setattr(clock_module, "ASK_S", 3600.0)
    one, other = Told(), Told()
    tasks = [asyncio.create_task(_clock(plain_timeline, one, _chore("one")).run())]
    await one.until(lambda: one.is_leader)
    tasks.append(asyncio.create_task(_clock(plain_timeline, other, _chore("other")).run()))
    await other.until(lambda: "other" in other.done)
    await _stop(*tasks)


async def test_a_lane_whose_connection_ends_gets_another_and_the_leader_stays(
    plain_timeline: Timeline,
) -> None:
    told = Told()
    task = asyncio.create_task(_clock(plain_timeline, told, _chore("one")).run())
    await told.until(lambda: "one" in told.done)
    assert _terminate(plain_timeline, "application_name like '%%clock-people'") == 1
    done = len(told.done)
    await told.until(lambda: len(told.done) > done + 2)
    assert told.is_leader
    await _stop(task)


def _failing(*errors: Exception) -> Run:
    left = list(errors)

    async def run(connection: Connection, registry: Registry, now: datetime, most: int) -> int:
        if left:
            raise left.pop(0)
        return 0

    return run


async def test_a_chore_that_fails_is_told_and_tried_again_and_its_neighbours_go_on(
    plain_timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "INCIDENT_AFTER_S", 0.0)
    seen: list[tuple[Any, ...]] = []

    async def open_ones(
        connection: Connection, registry: Registry, now: datetime, most: int
    ) -> int:
        cursor = await connection.execute("select kind, key from incident where closed_at is null")
        seen.extend(await cursor.fetchall())
        return 0

    told = Told()
    fails = _failing(psycopg.errors.DeadlockDetected("deadlock"), TimeoutError())
    doing = (_chore("fails", fails), _chore("neighbour", open_ones))
    task = asyncio.create_task(_clock(plain_timeline, told, *doing).run())
    await told.until(lambda: "fails" in told.done)
    assert told.done.count("neighbour") > 2
    assert ("clock", "fails") in seen
    await told.until(lambda: told.done[-1] == "neighbour")
    assert plain_timeline.county.one("select count(*) from incident where closed_at is null") == 0
    await _stop(task)


def test_it_is_an_incident_after_ten_minutes_of_failing() -> None:
    turns = lane.Turns(_chore("one"))
    turns.after_failure(100.0)
    turns.after_failure(500.0)
    assert not turns.is_incident(699.9)
    assert turns.is_incident(700.0)
    turns.after(701.0, 0)
    assert not turns.is_incident(9999.0)


async def test_a_fault_of_ours_ends_the_clock(plain_timeline: Timeline) -> None:
    for error in (KeyError("ours"), psycopg.errors.UndefinedColumn("ours")):
        clock = _clock(plain_timeline, Told(), _chore("one", _failing(error)))
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.timeout(_SOON_S):
                await clock.run()
        assert raised.group_contains(type(error))


async def test_a_fault_of_ours_is_an_incident_until_its_chore_is_done(
    plain_timeline: Timeline,
) -> None:
    failing = _clock(plain_timeline, Told(), _chore("one", _failing(KeyError("ours"))))
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(_SOON_S):
            await failing.run()
    still_open = "select key, detail from incident where kind = 'clock' and closed_at is null"
    ((key, detail),) = plain_timeline.county.rows(still_open)
    assert (key, "ended the clock" in detail) == ("one", True)
    told = Told()
    mended = asyncio.create_task(_clock(plain_timeline, told, _chore("one")).run())
    await told.until(lambda: told.done.count("one") > 1)
    assert plain_timeline.county.rows(still_open) == []
    await _stop(mended)


async def test_two_leaders_at_once_tell_nobody_twice(timeline: Timeline) -> None:
    rule = Missing(quantity=Quantity.SYSTOLIC, interval_h=24)
    for _ in range(20):
        timeline.patient(START, rule)
    now = START + 36 * HOUR
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(timeline.county.dsn, autocommit=True) as one,
        await connect(timeline.county.dsn, autocommit=True) as other,
    ):
        for connection in (one, other):
            pg_binary.register(connection)
        registry = Registry()
        await due.make(one, registry, START, 5000)
        assert await missing.look(one, registry, START, 5000) == 20
        await one.execute("update clock_turn set done_at = %s where chore = 'missing'", [now])
        # While one has taken eight and not committed, the other takes what is left.
        async with one.transaction():
            assert len(await rows.take(one, "missing", microseconds_of(now), 8)) == 8
            assert await missing.look(other, registry, now, 5000) == 12
            assert await missing.look(other, registry, now, 5000) == 0
        assert await missing.look(one, registry, now, 5000) == 8
        assert await missing.look(other, registry, now, 5000) == 0
    assert timeline.county.count("reminder") == 20


async def test_the_usual_chores_all_run(timeline: Timeline) -> None:
    timeline.patient(START, Missing(quantity=Quantity.SYSTOLIC, interval_h=24))
    told = Told()
    clock = Clock(lambda: timeline.county.dsn, "test", keep_days=3653, meter=told)
    task = asyncio.create_task(clock.run())
    names = {chore.name for chore in chores(3653)}
    await told.until(lambda: names <= set(told.done))
    await _stop(task)
    assert timeline.county.rows("select kind, key from incident") == []
    assert timeline.county.count("rule_due") == 1


def test_every_chore_has_a_name_of_its_own_and_every_lane_something_to_do() -> None:
    usual = chores(3653)
    assert len({chore.name for chore in usual}) == len(usual)
    assert {chore.lane for chore in usual} == set(Lane)


def test_the_county_is_kept_in_memory_while_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    known = lane.Known()
    used = known.registry
    used.revision, used.now = 5, 1
    known.drop_if_idle()
    known.drop_if_idle()
    assert known.registry is used
    monkeypatch.setattr(lane, "IDLE_S", -1.0)
    used.now = 2
    known.drop_if_idle()
    assert known.registry is used
    known.drop_if_idle()
    assert known.registry is not used
