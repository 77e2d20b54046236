"""Devices on loan: whose the readings of a device, or of one user slot of it, are, and since when.

What was measured stays whose it was: no loan begins before, or ends before, a reading that is
stored as somebody's. A reading that went to the wrong person is moved by itself
(alerts.care.reading_review). Readings that were nobody's when they came, because the loan was
written down too late, find their patient by themselves.

Technicians put devices on a gateway's list (alerts.fleet.actions): a loan here needs no more than
a gateway at the patient's home. Every function opens a transaction of its own. *now* is the
database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg.rows import class_row

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.consent import may_speak
from alerts.care.lent import (
    AHEAD_MAX,
    BACK_MAX,
    LOCK,
    Answer,
    Connection,
    Device,
    Done,
    Loan,
    cannot_end,
    clear_list,
    end,
    problem,
    put,
)
from alerts.care.people import Viewer
from alerts.care.proposal import is_care


@dataclass(frozen=True, slots=True)
class _Deed:
    """What was done with one patient's loan."""

    patient_id: int
    ground: Ground
    loan_id: int | None
    action: Action = Action.DEVICE_LENT


async def lend(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    device: Device,
    *,
    from_at: datetime | None = None,
    now: datetime,
) -> Done:
    """Let what the device measures from *from_at* (none: now) be the patient's."""
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    obstacle = problem(device)
    if obstacle is not None:
        return Done(answer=obstacle)
    from_at = now if from_at is None else from_at
    if not now - BACK_MAX <= from_at <= now + AHEAD_MAX:
        return Done(answer=Answer.TOO_FAR)
    async with connection.transaction():
        ground = await may_speak(connection, viewer, patient_id)
        if ground is None:
            return Done(answer=Answer.NOT_FOUND)
        done = await put(connection, viewer, patient_id, device, from_at=from_at, now=now)
        if done.answer is Answer.DONE:
            await _log(connection, viewer, (_Deed(patient_id, ground, done.loan_id),))
    return done


async def give_back(
    connection: Connection,
    viewer: Viewer,
    loan_id: int,
    *,
    at: datetime | None = None,
    now: datetime,
) -> Done:
    """End a loan at *at* (none: now); the last one of a device takes it off her gateway's list."""
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    at = now if at is None else at
    async with connection.transaction():
        held = await _hold(connection, viewer, loan_id)
        if held is None:
            return Done(answer=Answer.NOT_FOUND)
        loan, ground = held
        obstacle = await cannot_end(connection, loan, at, now)
        if obstacle is not None:
            return obstacle
        await end(connection, viewer, loan, at, now)
        if at <= now:
            await clear_list(connection, viewer, loan, now)
        deed = _Deed(loan.patient_id, ground, loan_id, Action.DEVICE_RETURNED)
        await _log(connection, viewer, (deed,))
    return Done(answer=Answer.DONE, loan_id=loan_id)


async def move(
    connection: Connection,
    viewer: Viewer,
    loan_id: int,
    to_patient_id: int,
    *,
    at: datetime | None = None,
    now: datetime,
) -> Done:
    """Let the device be another patient's from *at* (none: now) on, without a gap or an overlap."""
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    at = now if at is None else at
    if not now - BACK_MAX <= at <= now + AHEAD_MAX:
        return Done(answer=Answer.TOO_FAR)
    async with connection.transaction() as whole:
        held = await _hold(connection, viewer, loan_id)
        to_ground = await may_speak(connection, viewer, to_patient_id)
        if held is None or to_ground is None:
            return Done(answer=Answer.NOT_FOUND)
        loan, ground = held
        if loan.patient_id == to_patient_id:
            return Done(answer=Answer.SAME, loan_id=loan_id)
        obstacle = await cannot_end(connection, loan, at, now)
        if obstacle is not None:
            return obstacle
        await end(connection, viewer, loan, at, now)
        if at <= now:
            await clear_list(connection, viewer, loan, now, stays_at=to_patient_id)
        device = Device(
            address=loan.device_id, slot=loan.slot, serial=loan.serial, model=loan.model
        )
        done = await put(
            connection, viewer, to_patient_id, device, from_at=at, now=now, moved_from=loan_id
        )
        if done.answer is not Answer.DONE:
            raise psycopg.Rollback(whole)
        away = _Deed(loan.patient_id, ground, loan_id, Action.DEVICE_RETURNED)
        await _log(connection, viewer, (away, _Deed(to_patient_id, to_ground, done.loan_id)))
    return done


async def of_patient(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    most: int = 200,
    before: tuple[datetime, int] | None = None,
) -> list[Loan]:
    """Return a patient's loans, the newest first; none for who may not see her.

    With *before*, when one began and its number: those that come after it in that order.
    """
    if await may_speak(connection, viewer, patient_id) is None:
        return []
    cursor = connection.cursor(row_factory=class_row(Loan))
    begun, loan_id = before or (None, None)
    await cursor.execute(
        f"{_LOAN} where l.patient_id = %s"
        " and (%s::timestamptz is null or (l.lent_from, l.loan_id) < (%s, %s::bigint))"
        " order by l.lent_from desc, l.loan_id desc limit %s",
        [patient_id, begun, begun, loan_id, most],
    )
    return await cursor.fetchall()


_LOAN: Final = """
select l.loan_id, l.patient_id, l.device_id, l.slot, l.lent_from, l.returned_at,
    coalesce(n.serial, '') as serial, coalesce(n.model, '') as model
from device_loan l left join loan_note n using (loan_id)
"""


async def _hold(connection: Connection, viewer: Viewer, loan_id: int) -> tuple[Loan, Ground] | None:
    """Return a loan that nobody else changes meanwhile, if *viewer* cares for whose it is."""
    cursor = connection.cursor(row_factory=class_row(Loan))
    await cursor.execute(f"{_LOAN} where l.loan_id = %s", [loan_id])
    found = await cursor.fetchone()
    ground = None if found is None else await may_speak(connection, viewer, found.patient_id)
    if found is None or ground is None:
        return None
    await connection.execute(LOCK, [found.device_id])
    await cursor.execute(f"{_LOAN} where l.loan_id = %s for update of l", [loan_id])
    found = await cursor.fetchone()
    return None if found is None else (found, ground)


async def _log(connection: Connection, viewer: Viewer, deeds: Sequence[_Deed]) -> None:
    """Write into the access log, the last of a transaction; chains in order, whoever writes."""
    entries = [
        Entry.by(
            viewer,
            deed.action,
            deed.ground,
            patient_id=deed.patient_id,
            detail={"loan_id": deed.loan_id},
        )
        for deed in deeds
    ]
    for entry in sorted(entries, key=lambda one: one.chain):
        await append(connection, entry)
