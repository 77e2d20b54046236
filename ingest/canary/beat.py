"""Beat: one reading of the canary, followed to the alert that is open for it."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value, identify
from ingest.canary.patient import DIASTOLIC_MMHG, SYSTOLIC_MMHG, Connection, close_alerts
from ingest.canary.sender import Sender

# In the order in which they come about.
LEGS: Final = ("stored", "breach", "alert", "receipt")
BROKER: Final = "broker"  # it could not even be sent
KEPT_DAYS: Final = 30
_POLL_S: Final = 0.05
_PAYLOAD: Final = b"canary"

_SEEN: Final = """
select exists (select from reading where reading_id = %(reading_id)s),
    exists (select from breach where reading_id = %(reading_id)s and rule_key = ''),
    exists (select from breach b join alert a using (alert_id)
        where b.reading_id = %(reading_id)s and a.state <> 'closed')
"""
_NOTE: Final = """
insert into canary_beat (reading_id, receipt_s, stored_s, breach_s, alert_s, failed)
values (%s, %s, %s, %s, %s, %s)
"""
_TRIM: Final = "delete from canary_beat where sent_at < now() - make_interval(days => %s)"


@dataclass(slots=True)
class Beat:
    """How one went.

    Attributes:
        reading_id: Hers.
        legs: Seconds from sending to when each leg's end was seen; one that was not is not there.
        failed: The first leg that was not seen; empty: all were.
        refused: What ingest or the broker said against it.
    """

    reading_id: UUID
    legs: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    refused: str = ""

    def __str__(self) -> str:
        took = ", ".join(f"{leg} {took_s:.3f} s" for leg, took_s in self.legs.items())
        if not self.failed:
            return took
        said = f" ({self.refused})" if self.refused else ""
        return f"'{self.failed}' was not seen in time{said}; seen: {took or 'nothing'}"


def reading_of(cuff: str, now: datetime) -> Reading:
    """Return what she measures: always too high."""
    values: Mapping[Quantity, float] = {
        Quantity.SYSTOLIC: SYSTOLIC_MMHG,
        Quantity.DIASTOLIC: DIASTOLIC_MMHG,
    }
    return Reading(
        reading_id=identify(
            device_id=cuff, device_time=None, received_at=now, slot=None, payload=_PAYLOAD
        ),
        device_id=cuff,
        source="canary",
        payload=_PAYLOAD.hex(),
        outcome=Outcome.MEASURED,
        measured_at=now,
        received_at=now,
        clock=ClockVerdict.ABSENT,
        values=tuple(
            Value(quantity=quantity.value, value=value, unit=quantity.facts.unit)
            for quantity, value in values.items()
        ),
    )


async def beat(
    connection: Connection, sender: Sender, patient_id: int, cuff: str, *, most_s: float
) -> Beat:
    """Send one reading, see what becomes of it, and note that.

    Raises:
        psycopg.OperationalError: The database is away.
    """
    # An alert of an earlier one that failed: what is looked for is a new one.
    await close_alerts(connection, patient_id)
    reading = reading_of(cuff, datetime.now(UTC))
    done = Beat(reading.reading_id, failed=BROKER)
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await sender.send(reading)
            await _follow(connection, sender, done)
    done.refused = sender.refused
    if sender.is_denied and not done.legs:
        done.failed = BROKER
    await close_alerts(connection, patient_id)
    await _note(connection, done)
    return done


async def unsent(connection: Connection, cuff: str, why: str) -> Beat:
    """Note a beat that nobody could send."""
    reading = reading_of(cuff, datetime.now(UTC))
    done = Beat(reading.reading_id, failed=BROKER, refused=why)
    await _note(connection, done)
    return done


async def _note(connection: Connection, done: Beat) -> None:
    legs = [done.legs.get(leg) for leg in ("receipt", "stored", "breach", "alert")]
    await connection.execute(_NOTE, [done.reading_id, *legs, done.failed])
    await connection.execute(_TRIM, [KEPT_DAYS])


async def _follow(connection: Connection, sender: Sender, done: Beat) -> None:
    began_s = time.monotonic()
    while done.failed:
        cursor = await connection.execute(_SEEN, {"reading_id": done.reading_id})
        row = await cursor.fetchone()
        assert row is not None
        for leg, is_seen in zip(LEGS, (*row, sender.has_receipt), strict=True):
            if is_seen and leg not in done.legs:
                done.legs[leg] = time.monotonic() - began_s
        done.failed = next((leg for leg in LEGS if leg not in done.legs), "")
        if done.failed:
            await asyncio.sleep(_POLL_S)
