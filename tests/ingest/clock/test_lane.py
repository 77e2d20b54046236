"""A chore that takes its connection down each time is told all the same."""

import asyncio
from datetime import datetime

import pytest

from ingest.clock import Clock, lane
from ingest.clock.chore import Connection
from ingest.registry import Registry
from tests.ingest.clock.test_leader import Told, _chore, _stop
from tests.ingest.clock.timeline import Timeline


async def test_a_chore_that_ends_its_own_connection_each_time_is_an_incident(
    plain_timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "INCIDENT_AFTER_S", 0.0)
    monkeypatch.setattr(lane, "RETRY_S_MIN", 0.01)
    times = 0

    async def ends_itself(
        connection: Connection, _registry: Registry, _now: datetime, _most: int
    ) -> int:
        nonlocal times
        if times == 3:
            return 0
        times += 1
        await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        return 0

    told = Told()
    clock = Clock(
        lambda: plain_timeline.county.dsn,
        "test",
        keep_days=3653,
        meter=told,
        doing=(_chore("ends", ends_itself),),
    )
    task = asyncio.create_task(clock.run())
    await told.until(lambda: told.done.count("ends") > 1)
    await _stop(task)
    ((detail, times_said, is_closed),) = plain_timeline.county.rows(
        "select detail, times, closed_at is not null from incident where kind = 'clock'"
    )
    assert "is retried" in detail
    assert times_said == 3
    assert is_closed
