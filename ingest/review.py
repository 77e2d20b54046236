"""Review: a person's word on a stored reading: right, wrong, another value, another's.

Nothing is overwritten: a rejected or corrected reading keeps its row and its values, marked, and a
correction is a reading of its own; so is the one of a patient whose it was instead. What follows
for rules is found by ``rejudge``, soon after. A word ends the waiting for a repeat, and what a
wrong reading has calmed waits again. Rows are taken in the order of ingest.consequences.
"""

import enum
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
import psycopg

from devices.quantity import Quantity
from ingest import episode
from ingest.breach import LATE
from ingest.plausibility import PULSE_PRESSURE_MIN, Suspicion
from ingest.rules.repeat import Outcome

# Of a reading that a person entered in place of another.
SOURCE: Final = "correction"

_MARK: Final = """
with marked as (
    update reading set suspicion = suspicion | %(bit)s where reading_id = %(reading_id)s
)
update sample set suspicion = suspicion | %(bit)s
where patient_id = %(patient_id)s and measured_at = %(measured_at)s
    and reading_id = %(reading_id)s
"""

_NOTE: Final = """
with reviewed as (
    insert into reading_review (reading_id, staff_id, verdict, new_reading_id, why)
    values (%(reading_id)s, %(staff_id)s, %(verdict)s, %(new_id)s, %(why)s)
)
insert into rejudge (reading_id, why)
select id, %(verdict)s from unnest(%(ids)s::uuid[]) as id
on conflict do nothing
"""

# The device, its loan and the clock are those of the measurement; the values are the person's.
_REPLACE: Final = """
with replacing as (
    insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, slot, outcome,
        measured_at, device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status,
        suspicion, battery_percent, source, payload, revision)
    select %(new_id)s, patient_id, loan_id, gateway_id, device_id, slot, 'measured', measured_at,
        device_time, received_at, sent_at, now(), clock, clock_offset_s, status,
        suspicion & %(clock_off)s | %(confirmed)s, null, %(source)s, '', revision
    from reading where reading_id = %(reading_id)s
    returning reading_id, patient_id, measured_at, suspicion
)
insert into sample (patient_id, quantity_id, measured_at, reading_id, value, suspicion)
select patient_id, quantity_id, measured_at, reading_id, value, suspicion
from replacing, unnest(%(quantities)s::smallint[], %(values)s::float8[]) as v (quantity_id, value)
"""

# All as it was measured, but for whose it is. That a weight is far from one's own median was said
# of somebody else's; other doubts are of the measurement and stay.
_MOVE: Final = """
with moved as (
    insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, slot, outcome,
        measured_at, device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status,
        suspicion, battery_percent, source, payload, revision)
    select %(new_id)s, %(patient_id)s, loan_id, gateway_id, device_id, slot, outcome, measured_at,
        device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status,
        suspicion & ~%(off_median)s::integer, battery_percent, source, payload, revision
    from reading where reading_id = %(reading_id)s
),
queued as (insert into rejudge (reading_id, why) values (%(new_id)s, 'moved'))
insert into sample (patient_id, quantity_id, measured_at, reading_id, value, suspicion,
    original_value, original_unit)
select %(patient_id)s, quantity_id, measured_at, %(new_id)s, value,
    suspicion & ~%(off_median)s::integer, original_value, original_unit
from sample where patient_id = %(owner_id)s and measured_at = %(measured_at)s
    and reading_id = %(reading_id)s
"""

_END_WAIT: Final = """
update repeat_wait set decided_at = clock_timestamp(), outcome = %s
where reading_id = %s and decided_at is null
returning 'limit:' || substr(rule_key, length('repeat:') + 1)
"""

# What a reading has calmed that was wrong is open again, and decided without it.
_REOPEN: Final = """
with reopened as (
    update repeat_wait w set decided_at = null, outcome = null, repeat_reading_id = null,
        late = w.late or w.measured_at < now() - %(late)s::interval
    where w.repeat_reading_id = %(reading_id)s and w.outcome = 'calmed' and exists (
        select from reading r
        where r.reading_id = w.reading_id and r.suspicion & %(superseded)s = 0
    )
    returning w.reading_id, w.late,
        'limit:' || substr(w.rule_key, length('repeat:') + 1) as rule
)
update breach b set late = true from reopened r
where b.reading_id = r.reading_id and b.rule = r.rule and b.alert_id is null and r.late
"""


class Refusal(enum.StrEnum):
    """Why a reading cannot be reviewed so. Stands in the database: never rename one."""

    GONE = "gone"  # it is not there, or is no longer kept
    REPLACED = "replaced"  # it was rejected, corrected or moved before
    SAME = "same"  # it is hers already
    IMPOSSIBLE = "impossible"  # no such value can have been measured, or be stored


class ReviewError(ValueError):
    """The reading cannot be reviewed so; *refusal* says why."""

    def __init__(self, refusal: Refusal, problem: str) -> None:
        super().__init__(problem)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    reading_id: UUID
    patient_id: int
    measured_at: datetime


async def confirm(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    *,
    staff_id: int | None = None,
    why: str = "",
) -> None:
    """Let a doubted reading count; raises ReviewError."""
    async with connection.transaction():
        reading = await _hold(connection, reading_id)
        await _mark(connection, reading, Suspicion.CONFIRMED)
        await _note(connection, reading, "confirmed", staff_id=staff_id, why=why)
        rules = await _end_wait(connection, reading, Outcome.CONFIRMED)
        ids = np.array([reading_id.bytes] * len(rules), "S16")
        await episode.release(connection, ids, rules)


async def reject(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    *,
    staff_id: int | None = None,
    why: str = "",
) -> None:
    """Let a reading count no more; raises ReviewError."""
    async with connection.transaction():
        reading = await _hold(connection, reading_id)
        await _supersede(connection, reading, "rejected", staff_id=staff_id, why=why)


async def correct(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    values: Mapping[Quantity, float],
    *,
    staff_id: int | None = None,
    why: str = "",
) -> UUID:
    """Replace a reading by one with *values*, measured at the same time; return the new one's id.

    Raises:
        ReviewError: Also for a value beyond a hard bound.
    """
    _check(values)
    new_id = _new_id()
    async with connection.transaction():
        reading = await _hold(connection, reading_id)
        await connection.execute(
            _REPLACE,
            {
                "new_id": new_id,
                "reading_id": reading_id,
                "clock_off": int(Suspicion.CLOCK_OFF),
                "confirmed": int(Suspicion.CONFIRMED),
                "source": SOURCE,
                "quantities": [quantity.facts.id for quantity in values],
                "values": [float(value) for value in values.values()],
            },
        )
        await _supersede(
            connection, reading, "corrected", staff_id=staff_id, why=why, new_id=new_id
        )
    return new_id


async def move(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    patient_id: int,
    *,
    staff_id: int | None = None,
    why: str = "",
) -> UUID:
    """Let a reading be another patient's; return the id it has with her. Both are judged anew.

    With the patient it came to it is rejected, and nothing there says whose it was.

    Raises:
        ReviewError: Also if it is hers already.
    """
    new_id = _new_id()
    async with connection.transaction():
        query = "select patient_id from reading where reading_id = %s"
        row = await (await connection.execute(query, [reading_id])).fetchone()
        owners = {patient_id, *(row or ())}
        await episode.lock(connection, np.array(sorted(owners), np.int64))  # both, in order
        reading = await _hold(connection, reading_id)
        if reading.patient_id == patient_id:
            raise ReviewError(Refusal.SAME, f"reading {reading_id} is hers already")
        await connection.execute(
            _MOVE,
            {
                "new_id": new_id,
                "patient_id": patient_id,
                "owner_id": reading.patient_id,
                "reading_id": reading_id,
                "measured_at": reading.measured_at,
                "off_median": int(Suspicion.WEIGHT_OFF_MEDIAN),
            },
        )
        await _supersede(connection, reading, "rejected", staff_id=staff_id, why=why)
    return new_id


def _check(values: Mapping[Quantity, float]) -> None:
    """Refuse what could not have been measured."""
    if not values:
        raise ReviewError(Refusal.IMPOSSIBLE, "a correction without a value")
    for quantity, value in values.items():
        facts = quantity.facts
        if not facts.hard_low <= value <= facts.hard_high:  # NaN is not either
            problem = f"{quantity} {value:g} is not {facts.hard_low:g} to {facts.hard_high:g}"
            raise ReviewError(Refusal.IMPOSSIBLE, problem)
    pair = [values.get(half) for half in (Quantity.SYSTOLIC, Quantity.DIASTOLIC)]
    if pair[0] is not None and pair[1] is not None and pair[0] - pair[1] < PULSE_PRESSURE_MIN:
        problem = f"a blood pressure of {pair[0]:g}/{pair[1]:g} cannot be"
        raise ReviewError(Refusal.IMPOSSIBLE, problem)


async def _hold(connection: psycopg.AsyncConnection[Any], reading_id: UUID) -> _Reading:
    """Lock the reading's patient, then the reading."""
    query = "select patient_id, measured_at, suspicion from reading where reading_id = %s"
    row = await (await connection.execute(query, [reading_id])).fetchone()
    if row is not None:
        await episode.lock(connection, np.array([row[0]], np.int64))
        row = await (await connection.execute(f"{query} for update", [reading_id])).fetchone()
    if row is None:
        raise ReviewError(Refusal.GONE, f"no reading {reading_id}")
    if row[2] & Suspicion.SUPERSEDED:
        problem = f"reading {reading_id} was rejected or replaced before"
        raise ReviewError(Refusal.REPLACED, problem)
    return _Reading(reading_id=reading_id, patient_id=row[0], measured_at=row[1])


async def _supersede(
    connection: psycopg.AsyncConnection[Any],
    reading: _Reading,
    verdict: str,
    *,
    staff_id: int | None,
    why: str,
    new_id: UUID | None = None,
) -> None:
    """Let *reading* count no more, neither for rules nor for what waited or was calmed by it."""
    await _mark(connection, reading, Suspicion.SUPERSEDED)
    await _note(connection, reading, verdict, staff_id=staff_id, why=why, new_id=new_id)
    await _end_wait(connection, reading, Outcome.CALMED)
    await _reopen_waits(connection, reading)


async def _mark(
    connection: psycopg.AsyncConnection[Any], reading: _Reading, bit: Suspicion
) -> None:
    await connection.execute(
        _MARK,
        {
            "bit": int(bit),
            "reading_id": reading.reading_id,
            "patient_id": reading.patient_id,
            "measured_at": reading.measured_at,
        },
    )


async def _note(
    connection: psycopg.AsyncConnection[Any],
    reading: _Reading,
    verdict: str,
    *,
    staff_id: int | None,
    why: str,
    new_id: UUID | None = None,
) -> None:
    ids = [reading.reading_id] if new_id is None else [reading.reading_id, new_id]
    await connection.execute(
        _NOTE,
        {
            "reading_id": reading.reading_id,
            "staff_id": staff_id,
            "verdict": verdict,
            "new_id": new_id,
            "why": why,
            "ids": ids,
        },
    )


async def _end_wait(
    connection: psycopg.AsyncConnection[Any], reading: _Reading, outcome: Outcome
) -> list[str]:
    """Decide what waits for a repeat of *reading*; return the families of what it held."""
    cursor = await connection.execute(_END_WAIT, [outcome.value, reading.reading_id])
    return [row[0] for row in await cursor.fetchall()]


async def _reopen_waits(connection: psycopg.AsyncConnection[Any], reading: _Reading) -> None:
    """Let the clock decide anew what *reading*, which counts no more, has calmed."""
    await connection.execute(
        _REOPEN,
        {
            "reading_id": reading.reading_id,
            "late": timedelta(microseconds=LATE),
            "superseded": int(Suspicion.SUPERSEDED),
        },
    )


def _new_id() -> UUID:
    """Return an id that begins with the time, as those of gateways do (RFC 9562, version 7)."""
    milliseconds = time.time_ns() // 1_000_000
    content = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    content = content & ~(0xF << 76) | 0x7 << 76
    return UUID(int=content & ~(0x3 << 62) | 0x2 << 62)
