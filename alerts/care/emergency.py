"""Access in an emergency: without a relation, with a reason, and looked at afterwards.

It is given at once and to every staff member who cares for patients: to refuse it could cost a
life. It opens one patient for an hour, to look and not to act, and it stays on the list of its unit
until somebody else has looked at why.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.access import Access, Ground, decide
from alerts.audit import beside
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.facts import facts
from alerts.care.people import Viewer

# Long enough to handle what happens, and short enough that the next visit needs its own reason.
LASTS: Final = timedelta(hours=1)
WHY_CHARS_MIN: Final = 10
WHY_CHARS_MAX: Final = 1_000
LISTED_MAX: Final = 500


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_NEEDED = "not_needed"  # she has access, of her own or from just now
    NOT_FOUND = "not_found"  # no such patient, or not for who asks
    NO_REASON = "no_reason"  # too short to be looked at afterwards, or longer than is kept
    OWN = "own"  # nobody reviews herself
    ALREADY = "already"  # somebody has reviewed it
    NO_REVIEWER = "no_reviewer"  # she is not appointed to review


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreviewed:
    """An access that nobody has looked at."""

    access_id: int
    patient_id: int
    staff_id: int
    staff_name: str
    unit_id: int
    unit_name: str
    why: str
    from_at: datetime
    until_at: datetime


def is_reason(why: str) -> bool:
    """Tell whether it can be looked at afterwards: neither too short nor longer than is kept."""
    return WHY_CHARS_MIN <= len(why.strip()) <= WHY_CHARS_MAX


async def miss(connection: AsyncConnection, viewer: Viewer) -> None:
    """Log that *viewer* looked for somebody who is no patient here; the number is not kept."""
    await append(connection, Entry.by(viewer, Action.EMERGENCY_MISSED, Ground.EMERGENCY))


async def open_up(connection: AsyncConnection, viewer: Viewer, patient_id: int, why: str) -> Answer:
    """Open the patient to *viewer* for an hour, and log why."""
    why = why.strip()
    if not is_reason(why):
        return Answer.NO_REASON
    async with connection.transaction():
        # One at a time for her: a second click must find the first one's access. It may have begun
        # before the first one did, so the time is what it is once the lock is held.
        await connection.execute(
            "select from staff where staff_id = %s for no key update", (viewer.staff_id,)
        )
        told = await (await connection.execute("select clock_timestamp()")).fetchone()
        assert told is not None
        now: datetime = told[0]
        known = (await facts(connection, viewer, [patient_id], now)).get(patient_id)
        if known is None or not viewer.gives_care:
            return Answer.NOT_FOUND
        found = decide(viewer, known)
        if isinstance(found, Access) and found.ground is not Ground.SHARED:
            return Answer.NOT_NEEDED
        until = now + LASTS
        made = await connection.execute(
            "insert into emergency_access (patient_id, staff_id, why, from_at, until_at) "
            "values (%s, %s, %s, %s, %s) returning access_id",
            (patient_id, viewer.staff_id, why, now, until),
        )
        row = await made.fetchone()
        assert row is not None
        detail: dict[str, object] = {
            "access_id": row[0],
            "was_blocked": known.is_blocked,
            "until": beside.moment(until),
            "why": beside.words(why),
        }
        entry = Entry.by(
            viewer,
            Action.EMERGENCY_OPENED,
            Ground.EMERGENCY,
            patient_id=patient_id,
            detail=detail,
        )
        await append(connection, entry)
    return Answer.DONE


async def unreviewed(connection: AsyncConnection, unit_id: int | None = None) -> list[Unreviewed]:
    """Return what nobody has looked at, the oldest first; of one unit's staff, or of all."""
    cursor = connection.cursor(row_factory=class_row(Unreviewed))
    await cursor.execute(
        "select e.access_id, e.patient_id, e.staff_id, s.name as staff_name, s.unit_id, "
        "u.name as unit_name, e.why, e.from_at, e.until_at "
        "from emergency_access e join staff s using (staff_id) join unit u using (unit_id) "
        "where e.reviewed_at is null and (%(unit_id)s::bigint is null or s.unit_id = %(unit_id)s) "
        "order by e.from_at, e.access_id limit %(most)s",
        {"unit_id": unit_id, "most": LISTED_MAX},
    )
    return await cursor.fetchall()


async def review(
    connection: AsyncConnection, reviewer: Viewer, access_id: int, verdict: str
) -> Answer:
    """Write what came of looking at an access, as a reviewer; who opened it cannot."""
    verdict = verdict.strip()
    if not verdict or len(verdict) > WHY_CHARS_MAX:
        return Answer.NO_REASON
    async with connection.transaction():
        found = await connection.execute(
            "select patient_id, staff_id, reviewed_at, exists (select from staff_function f "
            "where f.staff_id = %s and f.name = 'reviewer' and f.from_at <= now() "
            "and (f.until_at is null or f.until_at > now())) "
            "from emergency_access where access_id = %s for update",
            (reviewer.staff_id, access_id),
        )
        row = await found.fetchone()
        if row is None or reviewer.staff_id is None:
            return Answer.NOT_FOUND
        patient_id, staff_id, reviewed_at, is_reviewer = row
        if staff_id == reviewer.staff_id:
            return Answer.OWN
        if not is_reviewer:
            return Answer.NO_REVIEWER
        if reviewed_at is not None:
            return Answer.ALREADY
        await connection.execute(
            "update emergency_access set reviewed_by = %s, reviewed_at = clock_timestamp(), "
            "review = %s where access_id = %s",
            (reviewer.staff_id, verdict, access_id),
        )
        entry = Entry.by(
            reviewer,
            Action.EMERGENCY_REVIEWED,
            "reviewer",
            patient_id=patient_id,
            detail={"access_id": access_id, "review": beside.words(verdict)},
        )
        await append(connection, entry)
    return Answer.DONE
