"""Two workers with one patient's readings at once: nothing is missed, nothing alerts twice.

No chance is left to the meeting: a third connection holds the lock that both must take, until both
have stored their readings and stand before it; or one stops just before it commits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Reading
from ingest import pg_binary, repeat
from ingest.registry import Registry
from ingest.settle import Settler
from tests.ingest.county import NOW, County, batch_of, pressure, reading, weight
from tests.ingest.plans import DAY, HOUR, MINUTE, agree, alerts, breaches, events, waits
from tests.ingest.test_repeat import TWICE, settle_due
from tests.ingest.test_windows import OFTEN, RISE

_WAITING = (
    "select count(*) from pg_stat_activity"
    " where wait_event_type = 'Lock' and datname = current_database()"
)


async def until_waiting(connection: psycopg.AsyncConnection[Any], count: int) -> None:
    """Return when *count* sessions of this database wait for a lock."""
    while True:
        row = await (await connection.execute(_WAITING)).fetchone()
        if row is not None and row[0] >= count:
            return


@asynccontextmanager
async def gate(county: County) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Hold the patient's row; whoever must lock it stands until the block ends."""
    async with await psycopg.AsyncConnection.connect(county.dsn) as connection:
        query = "select from patient where patient_id = %s for no key update"
        await connection.execute(query, [county.patient_id])
        yield connection


def make_room(county: County, *readings: Reading) -> None:
    """Store a pulse at the time of each reading: whoever is first to a chunk keeps others out."""
    times = {one.measured_at for one in readings}
    county.settle([reading({Quantity.PULSE: 70.0}, measured_at=at) for at in times])


async def _meet(county: County, first: Sequence[Reading], second: Sequence[Reading]) -> None:
    """Settle both batches by a worker each: both store, then both lock, the *first* before."""
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(Settler(lambda: county.dsn, "test")) for _ in range(2)
        ]
        watcher = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(county.dsn, autocommit=True)
        )
        tasks: list[asyncio.Task[Any]] = []
        async with gate(county):
            for count, (worker, readings) in enumerate(
                zip(workers, (first, second), strict=True), start=1
            ):
                tasks.append(asyncio.create_task(worker.settle(batch_of(readings), [])))
                await until_waiting(watcher, count)
        settled = await asyncio.gather(*tasks)
    assert [one.new for one in settled] == [len(first), len(second)]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_change_between_two_workers_is_found_once(county: County, *, swapped: bool) -> None:
    agree(county, RISE)
    batches = [[weight(75.0, measured_at=NOW - DAY)], [weight(77.5)]]
    make_room(county, *batches[0], *batches[1])
    one, other = reversed(batches) if swapped else batches
    asyncio.run(_meet(county, one, other))
    assert [row[:3] for row in breaches(county)] == [(RISE.key, 1, 2.5)]
    assert alerts(county) == [("trend:body_weight", 1, "open", False)]
    assert events(county) == ["opened"]


@pytest.mark.parametrize("swapped", [False, True])
def test_k_of_n_between_two_workers_is_found_once(county: County, *, swapped: bool) -> None:
    agree(county, OFTEN)
    high = [pressure(150, 80, measured_at=NOW - n * HOUR) for n in range(4)]
    batches = [[high[3], high[1]], [high[2], high[0]]]
    make_room(county, *batches[0], *batches[1])
    one, other = reversed(batches) if swapped else batches
    asyncio.run(_meet(county, one, other))
    assert [row[:3] for row in breaches(county)] == [(OFTEN.key, 1, 3.0), (OFTEN.key, 1, 4.0)]
    assert alerts(county) == [("limit:blood_pressure", 1, "open", False)]
    # The later worker may find both, or the second of them: one alert all the same.
    assert events(county)[0] == "opened"
    assert set(events(county)[1:]) <= {"joined"}


async def _while_uncommitted(
    county: County, readings: Sequence[Reading], then: Callable[[], Awaitable[Any]]
) -> None:
    """Let a worker settle *readings*, and stop it before it commits while *then* runs.

    A deferred trigger for the first of them runs at the commit, and waits for an advisory lock.
    """
    county.connection.execute(
        "create function stand() returns trigger language plpgsql as $$ begin"
        " perform pg_advisory_xact_lock_shared(77); return null; end $$"
    )
    county.connection.execute(
        "create constraint trigger stand after insert on reading deferrable initially deferred"
        f" for each row when (new.reading_id = '{readings[0].reading_id}') execute function stand()"
    )
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(county.dsn, autocommit=True)
        )
        await holder.execute("select pg_advisory_lock(77)")
        worker = await stack.enter_async_context(Settler(lambda: county.dsn, "test"))
        task = asyncio.create_task(worker.settle(batch_of(readings), []))
        await until_waiting(holder, 1)
        await then()
        await holder.execute("select pg_advisory_unlock(77)")
        await task


def _settling(county: County, readings: Sequence[Reading]) -> Callable[[], Awaitable[Any]]:
    async def settle() -> None:
        async with Settler(lambda: county.dsn, "test") as worker:
            await worker.settle(batch_of(readings), [])

    return settle


def test_without_the_lock_the_change_would_be_missed(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither worker sees the other's reading: the tests above can fail."""

    async def no_lock(_connection: object, _patients: object) -> None:
        return

    agree(plain_county, RISE)
    monkeypatch.setattr("ingest.episode.lock", no_lock)
    other = _settling(plain_county, [weight(77.5)])
    asyncio.run(_while_uncommitted(plain_county, [weight(75.0, measured_at=NOW - DAY)], other))
    assert plain_county.count("sample") == 2
    assert breaches(plain_county) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_a_repeat_that_nobody_could_see_is_found_when_the_time_has_run_out(
    county: County, *, swapped: bool
) -> None:
    agree(county, TWICE)
    single = pressure(192, 80, measured_at=NOW - HOUR)
    again = pressure(150, 80, measured_at=NOW - HOUR + 5 * MINUTE)
    make_room(county, single, again)
    one, other = (again, single) if swapped else (single, again)
    asyncio.run(_while_uncommitted(county, [one], _settling(county, [other])))
    assert (alerts(county), waits(county)) == ([], [(None, None)])
    assert settle_due(county) == 1
    assert waits(county) == [("confirmed", again.reading_id)]
    assert alerts(county) == [("limit:blood_pressure", 1, "open", False)]


def test_two_clocks_decide_once(county: County) -> None:
    agree(county, TWICE)
    county.settle([pressure(192, 80, measured_at=NOW - HOUR)])
    assert asyncio.run(_two_clocks(county)) == [1, 0]
    assert events(county) == ["opened"]


async def _two_clocks(county: County) -> list[int]:
    """Let both stand before the patient's row, as every worker does before it takes the wait."""
    async with AsyncExitStack() as stack:
        *clocks, watcher = [
            await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(county.dsn, autocommit=True)
            )
            for _ in range(3)
        ]
        tasks: list[asyncio.Task[int]] = []
        async with gate(county):
            for count, connection in enumerate(clocks, start=1):
                pg_binary.register(connection)
                settling = repeat.settle_due(connection, Registry(), NOW + HOUR, 100)
                tasks.append(asyncio.create_task(settling))
                await until_waiting(watcher, count)
        return list(await asyncio.gather(*tasks))
