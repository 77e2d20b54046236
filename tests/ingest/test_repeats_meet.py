"""Two workers decide on repeats of one patient at once: every reading is stored, each told once."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from devices.reading import Reading
from ingest.settle import Settled, Settler
from tests.ingest.county import NOW, County, batch_of, pressure
from tests.ingest.plans import HOUR, MINUTE, agree, alerts, breaches, waits
from tests.ingest.test_repeat import TWICE
from tests.ingest.test_workers_meet import make_room, until_waiting

AT = NOW - HOUR


async def _one_behind_the_other(
    county: County, first: Sequence[Reading], second: Sequence[Reading]
) -> list[Settled]:
    """Settle both by a worker each: the *first* stands before its commit until the second waits."""
    county.connection.execute(
        "create function stand() returns trigger language plpgsql as $$ begin"
        " perform pg_advisory_xact_lock_shared(77); return null; end $$"
    )
    county.connection.execute(
        "create constraint trigger stand after insert on reading deferrable initially deferred"
        f" for each row when (new.reading_id = '{first[0].reading_id}') execute function stand()"
    )
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(county.dsn, autocommit=True)
        )
        await holder.execute("select pg_advisory_lock(77)")
        tasks: list[asyncio.Task[Any]] = []
        for count, readings in enumerate((first, second), start=1):
            worker = await stack.enter_async_context(Settler(lambda: county.dsn, "test"))
            tasks.append(asyncio.create_task(worker.settle(batch_of(readings), [])))
            await until_waiting(holder, count)
        await holder.execute("select pg_advisory_unlock(77)")
        return list(await asyncio.gather(*tasks))


def test_one_reading_is_the_repeat_of_two_reds_of_two_workers(plain_county: County) -> None:
    """The repeat came before both of them: a gateway's backlog, spread over the workers."""
    agree(plain_county, TWICE)
    one, other = (pressure(194 - n, 80, measured_at=AT + n * MINUTE) for n in range(2))
    again = pressure(170, 80, measured_at=AT + 5 * MINUTE)
    make_room(plain_county, one, other)
    plain_county.settle([again])
    settled = asyncio.run(_one_behind_the_other(plain_county, [one], [other]))
    assert [one.reason.tolist() for one in settled] == [[0], [0]]
    assert plain_county.count("quarantine") == 0
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed"]
    assert [row[:3] for row in breaches(plain_county) if row[0]] == [(TWICE.key, 2, 182.0)]
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]
