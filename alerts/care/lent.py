"""Loans as rows: the steps of lending and giving back, in the transaction of alerts.care.loan."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.care.people import Viewer
from alerts.fleet import actions as fleet
from devices.models import model_named
from devices.wire import LENT_MAX
from ingest.lending import LENT

Connection = AsyncConnection[Any]

# Readings of before are found in quarantine; what came earlier than this is another matter.
BACK_MAX: Final = timedelta(days=31)
AHEAD_MAX: Final = timedelta(days=366)
SLOT_MAX: Final = 255
SERIAL_CHARS_MAX: Final = 64


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_FOUND = "not_found"  # there is no such patient or loan that you may see
    NOT_YOURS = "not_yours"  # whose a device is, care says
    NO_ADDRESS = "no_address"
    NO_MODEL = "no_model"
    NO_SLOT = "no_slot"  # there is no such user slot
    NO_SERIAL = "no_serial"  # too long to be one
    TOO_FAR = "too_far"  # too long ago, or too far ahead
    LENT = "lent"  # the device, or that slot of it, is lent to somebody then
    LENT_ELSEWHERE = "lent_elsewhere"  # it is on the list of a gateway that is not hers
    FULL = "full"  # her gateway has no room for another device
    HAS_READINGS = "has_readings"  # readings that are stored would be nobody's, or another's
    RETURNED = "returned"  # it was given back before
    SAME = "same"  # it is hers already


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One loan; *returned_at* is exclusive, none: it lasts."""

    loan_id: int
    patient_id: int
    device_id: str
    slot: int | None
    lent_from: datetime
    returned_at: datetime | None
    serial: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and what it is about."""

    answer: Answer
    loan_id: int | None = None
    # Stored readings that stand in the way: the newest of them was measured then.
    newest_at: datetime | None = None
    # None stands at her home: nothing of the device arrives before one does.
    has_gateway: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What is lent: a device, or one user slot of it."""

    address: str  # as a person types it
    slot: int | None = None  # none: whatever slot it names
    serial: str = ""
    model: str = ""  # a row of devices.models; '': the gateway finds it


# Technicians take the same lock before they lend a device.
LOCK: Final = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
_OVERLAPS: Final = """
select exists (
    select from device_loan where device_id = %(device_id)s
        and (slot is null or %(slot)s::smallint is null or slot = %(slot)s)
        and coalesce(returned_at, 'infinity') > %(from_at)s
), (
    select max(r.measured_at) from device_loan l
    join reading r on r.patient_id = l.patient_id and r.loan_id = l.loan_id
        and r.measured_at >= %(from_at)s
    where l.device_id = %(device_id)s
        and (l.slot is null or %(slot)s::smallint is null or l.slot = %(slot)s)
)
"""
_HOME: Final = """
select gateway_id from gateway_home
where patient_id = %(patient_id)s and (until_at is null or until_at > %(now)s)
"""
_LISTED: Final = f"""
with home as ({_HOME}),
listed as (
    select gateway_id from gateway_device where device_id = %(device_id)s and returned_at is null
)
select exists (select from home),
    exists (select from listed where gateway_id not in (select gateway_id from home)),
    exists (
        select from ({LENT}) lent where gateway_id in (select gateway_id from home)
        group by gateway_id
        having count(distinct device_id) >= {LENT_MAX} and bool_and(device_id <> %(device_id)s)
    )
"""  # noqa: S608 - our own texts
_LEND: Final = """
with lent as (
    insert into device_loan (patient_id, device_id, slot, lent_from)
    values (%(patient_id)s, %(device_id)s, %(slot)s, %(from_at)s) returning loan_id
)
insert into loan_note (loan_id, serial, model, lent_by, lent_at, moved_from)
select loan_id, %(serial)s, %(model)s, %(staff_id)s, %(now)s, %(moved_from)s from lent
returning loan_id
"""
_NEWEST: Final = """
select max(measured_at) from reading
where patient_id = %s and loan_id = %s and measured_at >= %s
"""
_END: Final = "update device_loan set returned_at = %s where loan_id = %s"
_NOTE_END: Final = """
insert into loan_note as n (loan_id, lent_at, returned_by, returned_at)
values (%(loan_id)s, %(lent_from)s, %(staff_id)s, %(now)s)
on conflict (loan_id) do update
set returned_by = excluded.returned_by, returned_at = excluded.returned_at
"""
_UNUSED: Final = f"""
select gateway_id from gateway_device d
where device_id = %(device_id)s and returned_at is null and gateway_id in ({_HOME})
    and not exists (
        select from gateway_home h
        where h.patient_id = %(stays_at)s and h.gateway_id = d.gateway_id
            and (h.until_at is null or h.until_at > %(now)s)
    )
    and not exists (
        select from device_loan l
        where l.device_id = d.device_id and coalesce(l.returned_at, 'infinity') > %(now)s
    )
"""  # noqa: S608 - our own texts


def problem(device: Device) -> Answer | None:
    """Return why there is no such device to lend."""
    if fleet.address(device.address) is None:
        return Answer.NO_ADDRESS
    if device.slot is not None and not 0 <= device.slot <= SLOT_MAX:
        return Answer.NO_SLOT
    if len(device.serial) > SERIAL_CHARS_MAX:
        return Answer.NO_SERIAL
    if device.model and model_named(device.model) is None:
        return Answer.NO_MODEL
    return None


async def put(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    device: Device,
    *,
    from_at: datetime,
    now: datetime,
    moved_from: int | None = None,
) -> Done:
    """Write a loan, if nobody has the device then and no stored reading is in the way."""
    names = {
        "patient_id": patient_id,
        "device_id": fleet.address(device.address),
        "slot": device.slot,
        "from_at": from_at,
        "now": now,
        "serial": device.serial.strip(),
        "model": device.model,
        "staff_id": viewer.staff_id,
        "moved_from": moved_from,
    }
    await connection.execute(LOCK, [names["device_id"]])
    overlaps, newest_at = await _one(connection, _OVERLAPS, names)
    if overlaps:
        return Done(answer=Answer.LENT)
    if newest_at is not None:
        return Done(answer=Answer.HAS_READINGS, newest_at=newest_at)
    has_gateway, is_elsewhere, is_full = await _one(connection, _LISTED, names)
    if is_elsewhere:
        return Done(answer=Answer.LENT_ELSEWHERE)
    if is_full:
        return Done(answer=Answer.FULL)
    (loan_id,) = await _one(connection, _LEND, names)
    return Done(answer=Answer.DONE, loan_id=loan_id, has_gateway=has_gateway)


async def cannot_end(
    connection: Connection, loan: Loan, at: datetime, now: datetime
) -> Done | None:
    """Return why a loan cannot end at *at*."""
    if loan.returned_at is not None and loan.returned_at <= at:
        return Done(answer=Answer.RETURNED, loan_id=loan.loan_id)
    if not loan.lent_from < at <= now + AHEAD_MAX:
        return Done(answer=Answer.TOO_FAR, loan_id=loan.loan_id)
    (newest_at,) = await _one(connection, _NEWEST, [loan.patient_id, loan.loan_id, at])
    if newest_at is not None:
        return Done(answer=Answer.HAS_READINGS, loan_id=loan.loan_id, newest_at=newest_at)
    return None


async def end(
    connection: Connection, viewer: Viewer, loan: Loan, at: datetime, now: datetime
) -> None:
    """Write the end of a loan, and who says so."""
    await connection.execute(_END, [at, loan.loan_id])
    names = {
        "loan_id": loan.loan_id,
        "lent_from": loan.lent_from,
        "staff_id": viewer.staff_id,
        "now": now,
    }
    await connection.execute(_NOTE_END, names)


async def clear_list(
    connection: Connection,
    viewer: Viewer,
    loan: Loan,
    now: datetime,
    *,
    stays_at: int | None = None,
) -> None:
    """Take a device that is lent to nobody any more off the list of her gateways.

    Args:
        connection: In a transaction.
        viewer: A staff member.
        loan: Ended.
        now: The database's.
        stays_at: A patient who has the device next; it stays on the list of a gateway of both.
    """
    assert viewer.staff_id is not None
    names = {
        "device_id": loan.device_id,
        "patient_id": loan.patient_id,
        "stays_at": stays_at,
        "now": now,
    }
    cursor = await connection.execute(_UNUSED, names)
    for (gateway_id,) in await cursor.fetchall():
        await fleet.take_back(connection, viewer.staff_id, gateway_id, loan.device_id)


async def _one(
    connection: Connection, query: str, values: dict[str, Any] | list[Any]
) -> tuple[Any, ...]:
    cursor = await connection.execute(query, values)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    assert row is not None
    return row
