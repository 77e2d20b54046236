"""What somebody says of a stored reading: it counts, it does not, or it is another patient's.

Pages and the API may not write readings. What is said becomes a row; ingest takes it within seconds
(``ingest.asked``), does it or says why not, and rules look at every patient concerned once more.
What was found before alerts nobody again, and an alert that rests on it is a person's to end.

A reading that moves stays where it was, rejected; with its right owner it is a reading of its own,
measured when it was measured. Nothing of the one patient says who the other is.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.consent import may_speak
from alerts.care.people import Viewer
from alerts.care.proposal import is_care
from ingest.asked import Verdict
from ingest.plausibility import Suspicion

Connection = AsyncConnection[Any]

WHY_CHARS_MAX: Final = 500
# What the access log calls it.
ACTIONS: Final = {
    Verdict.CONFIRMED: Action.READING_CONFIRMED,
    Verdict.REJECTED: Action.READING_REJECTED,
    Verdict.MOVED: Action.READING_MOVED,
}


class Answer(enum.StrEnum):
    """What became of it."""

    ASKED = "asked"  # ingest does it within seconds; ``state`` says how it went
    NOT_FOUND = "not_found"  # there is no such reading or patient that you may see
    NOT_YOURS = "not_yours"
    NO_REASON = "no_reason"  # none, or too long
    SAME = "same"  # it is hers already
    NOT_ASKED = "not_asked"  # whose it is was answered, or nobody wonders: that needs a reason
    REPLACED = "replaced"  # it was rejected, corrected or moved before
    WAITING = "waiting"  # somebody has asked for something already, and it is not done yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and what it is about."""

    answer: Answer
    request_id: int | None = None
    # Of the patient it came to: open alerts that rest on it, and that somebody has to end, if the
    # reading is to count no more.
    alert_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, and how it went."""

    request_id: int
    reading_id: UUID
    patient_id: int
    verdict: str  # ingest.asked.Verdict
    staff_id: int | None  # none: the patient herself
    asked_at: datetime
    done_at: datetime | None  # none: it waits
    refused: str | None  # ingest.review.Refusal: why it was not done


async def ask(
    connection: Connection,
    viewer: Viewer,
    reading_id: UUID,
    verdict: Verdict,
    *,
    to_patient_id: int | None = None,
    why: str,
    now: datetime,
) -> Done:
    """Let a reading count, count no more, or be *to_patient_id*'s.

    Args:
        connection: In no transaction, or in one that the caller ends.
        viewer: A staff member who may see all patients concerned.
        reading_id: Which.
        verdict: What is to be done.
        to_patient_id: Whose it is, of a move; none otherwise.
        why: How she knows, in her own words.
        now: The database's.

    Raises:
        ValueError: A move to nobody, or another verdict to somebody.
    """
    if (verdict is Verdict.MOVED) != (to_patient_id is not None):
        problem = f"{verdict} to patient {to_patient_id}"
        raise ValueError(problem)
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    if not 0 < len(why.strip()) <= WHY_CHARS_MAX:
        return Done(answer=Answer.NO_REASON)
    async with connection.transaction():
        found = await _reading(connection, reading_id)
        if found is None:
            return Done(answer=Answer.NOT_FOUND)
        owner_id, suspicion = found
        grounds: dict[int, Ground] = {}
        for patient_id in filter(None, (owner_id, to_patient_id)):
            ground = await may_speak(connection, viewer, patient_id)
            if ground is None:
                return Done(answer=Answer.NOT_FOUND)
            grounds[patient_id] = ground
        if owner_id == to_patient_id:
            return Done(answer=Answer.SAME)
        if suspicion & Suspicion.SUPERSEDED:
            return Done(answer=Answer.REPLACED)
        request_id = await request(
            connection, viewer, reading_id, verdict, to_patient_id=to_patient_id, why=why, now=now
        )
        if request_id is None:
            return Done(answer=Answer.WAITING)
        alert_ids = () if verdict is Verdict.CONFIRMED else await _resting(connection, reading_id)
        await _log(connection, viewer, ACTIONS[verdict], grounds)
    return Done(answer=Answer.ASKED, request_id=request_id, alert_ids=alert_ids)


async def request(
    connection: Connection,
    viewer: Viewer,
    reading_id: UUID,
    verdict: Verdict,
    *,
    to_patient_id: int | None = None,
    why: str,
    now: datetime,
) -> int | None:
    """Write what is asked of a reading that is there; none: something is being done with it.

    That *viewer* may ask is the caller's to know, and to log.
    """
    values = {
        "reading_id": reading_id,
        "verdict": verdict,
        "to_patient_id": to_patient_id,
        "staff_id": viewer.staff_id,
        "now": now,
        "superseded": Suspicion.SUPERSEDED.value,  # by what was done since it was looked at
    }
    row = await (await connection.execute(_REQUEST, values)).fetchone()
    if row is None:
        return None
    if why.strip():
        await connection.execute(
            "insert into reading_word (request_id, why) values (%s, %s)", [row[0], why.strip()]
        )
    return int(row[0])


async def state(connection: Connection, viewer: Viewer, request_id: int) -> Asked | None:
    """Return how it went with what was asked; none if *viewer* may not see whose it was."""
    async with connection.cursor(row_factory=class_row(Asked)) as cursor:
        await cursor.execute(f"{_ASKED} where request_id = %s", [request_id])
        found = await cursor.fetchone()
    if found is None or await may_speak(connection, viewer, found.patient_id) is None:
        return None
    return found


_ASKED: Final = """
select request_id, reading_id, patient_id, verdict, staff_id, asked_at, done_at, refused
from review_request"""
_REQUEST: Final = """
insert into review_request (reading_id, patient_id, verdict, to_patient_id, staff_id, asked_at)
select reading_id, patient_id, %(verdict)s, %(to_patient_id)s, %(staff_id)s, %(now)s
from reading where reading_id = %(reading_id)s and suspicion & %(superseded)s = 0
on conflict (reading_id) where done_at is null do nothing
returning request_id
"""
_RESTING: Final = """
select a.alert_id from alert a join (
    select alert_id from breach where reading_id = %(reading_id)s
    union
    select b.alert_id from breach_reading r join breach b using (breach_id)
    where r.reading_id = %(reading_id)s
) resting using (alert_id)
where a.state <> 'closed' order by 1
"""


async def _resting(connection: Connection, reading_id: UUID) -> tuple[int, ...]:
    """Return the alerts that rest on a reading, and that nobody has ended."""
    cursor = await connection.execute(_RESTING, {"reading_id": reading_id})
    return tuple(row[0] for row in await cursor.fetchall())


async def _log(
    connection: Connection, viewer: Viewer, action: Action, grounds: Mapping[int, Ground]
) -> None:
    """Write into the access log of all; no entry names another. Chains in order."""
    entries = [
        Entry.by(viewer, action, ground, patient_id=patient_id)
        for patient_id, ground in grounds.items()
    ]
    for entry in sorted(entries, key=lambda one: one.chain):
        await append(connection, entry)


async def _reading(connection: Connection, reading_id: UUID) -> tuple[int, int] | None:
    """Return whose a reading is, and its doubts."""
    cursor = await connection.execute(
        "select patient_id, suspicion from reading where reading_id = %s", [reading_id]
    )
    row = await cursor.fetchone()
    return None if row is None else (int(row[0]), int(row[1]))
