"""Whatever the clock found, it takes the rows of all patients before those of any alert."""

import asyncio

import numpy as np
import psycopg
import pytest

from ingest import pg_binary
from ingest.breach import Breaches, of_limits
from ingest.clock import record
from ingest.clock.columns import microseconds_of
from ingest.rules.limit import HIGH, YELLOW
from tests.ingest.clock.timeline import Timeline, local
from tests.ingest.test_workers_meet import until_waiting

AT = local(2026, 3, 2, 8)


def _of_each(patients: list[int]) -> Breaches:
    size = len(patients)
    return of_limits(
        reading_id=np.array([bytes([7, number]) for number in patients], "S16"),
        patient=np.array(patients, np.int64),
        quantity=np.ones(size, np.int16),
        measured_at=np.full(size, microseconds_of(AT), np.int64),
        level=np.full(size, YELLOW, np.int8),
        side=np.full(size, HIGH, np.int8),
        value=np.full(size, 165.0),
        bound=np.full(size, 160.0),
        version=np.ones(size, np.int64),
        late=np.zeros(size, np.bool_),
    )


async def test_a_worker_that_holds_a_later_patient_can_touch_the_alert_of_an_earlier_one(
    plain_timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "PATIENTS_MAX", 1)
    patients = sorted(plain_timeline.patient(AT) for _ in range(2))
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(plain_timeline.county.dsn, autocommit=True) as clock,
        await connect(plain_timeline.county.dsn) as worker,
        await connect(plain_timeline.county.dsn, autocommit=True) as watcher,
    ):
        pg_binary.register(clock)
        hold = "select from patient where patient_id = %s for no key update"
        await worker.execute(hold, [patients[1]])

        async def find() -> None:
            async with clock.transaction():
                await record.record(clock, _of_each(patients))

        finding = asyncio.create_task(find())
        await until_waiting(watcher, 1)
        await worker.execute(
            "insert into alert (patient_id, rule, level, measured_at)"
            " values (%s, 'limit:blood_pressure', 1, %s)",
            [patients[0], AT],
        )
        await worker.commit()
        await finding
    assert plain_timeline.county.count("alert") == 2
    assert plain_timeline.county.count("breach") == 2
