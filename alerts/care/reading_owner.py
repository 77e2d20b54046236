"""A reading goes to its right owner: the one who stood on the scale.

It stays where it was, rejected, with its reason; with the right owner it is a reading of its own,
measured when it was measured. Rules look at both patients once more: what was found before alerts
nobody again, and an alert that rests on it is a person's to end.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.consent import may_speak
from alerts.care.people import Viewer
from alerts.care.proposal import is_care
from ingest import pg_binary, review

Connection = AsyncConnection[Any]

WHY_CHARS_MAX: Final = 500
# What stands with the patient it came to: her own words may name the other.
_WHY: Final = "Mätningen var någon annans."


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_FOUND = "not_found"  # there is no such reading or patient that you may see
    NOT_YOURS = "not_yours"
    NO_REASON = "no_reason"  # none, or too long
    SAME = "same"  # it is hers already
    REPLACED = "replaced"  # it was rejected, corrected or moved before


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and what it is about."""

    answer: Answer
    new_reading_id: UUID | None = None
    # Of the patient it came to: open alerts that rest on it, and that somebody has to end.
    alert_ids: tuple[int, ...] = ()


async def move(
    connection: Connection,
    viewer: Viewer,
    reading_id: UUID,
    to_patient_id: int,
    *,
    why: str,
    now: datetime,
) -> Done:
    """Let a reading be *to_patient_id*'s; *viewer* may see both patients.

    Args:
        connection: In no transaction.
        viewer: A staff member.
        reading_id: Which.
        to_patient_id: Whose it is.
        why: How she knows, in her own words.
        now: The database's.
    """
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    if not 0 < len(why.strip()) <= WHY_CHARS_MAX:
        return Done(answer=Answer.NO_REASON)
    pg_binary.register(connection)  # as ingest's own connections are
    async with connection.transaction():
        owner_id = await _owner(connection, reading_id)
        grounds: dict[int, Ground] = {}
        for patient_id in (owner_id, to_patient_id):
            ground = patient_id and await may_speak(connection, viewer, patient_id)
            if not patient_id or not ground:
                return Done(answer=Answer.NOT_FOUND)
            grounds[patient_id] = ground
        if owner_id == to_patient_id:
            return Done(answer=Answer.SAME)
        try:
            new_id = await review.move(
                connection, reading_id, to_patient_id, staff_id=viewer.staff_id, why=_WHY
            )
        except review.ReviewError:  # it is there and not hers, so it was replaced
            return Done(answer=Answer.REPLACED)
        await connection.execute(
            _NOTE,
            [reading_id, owner_id, new_id, to_patient_id, now, viewer.staff_id, why.strip()],
        )
        cursor = await connection.execute(_RESTING, {"reading_id": reading_id})
        alert_ids = tuple(row[0] for row in await cursor.fetchall())
        await _log(connection, viewer, grounds)
    return Done(answer=Answer.DONE, new_reading_id=new_id, alert_ids=alert_ids)


_NOTE: Final = """
insert into reading_move
    (reading_id, from_patient_id, new_reading_id, to_patient_id, at, staff_id, why)
values (%s, %s, %s, %s, %s, %s, %s)
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


async def _log(connection: Connection, viewer: Viewer, grounds: Mapping[int, Ground]) -> None:
    """Write into the access log of both; neither entry names the other. Chains in order."""
    entries = [
        Entry.by(viewer, Action.READING_MOVED, ground, patient_id=patient_id)
        for patient_id, ground in grounds.items()
    ]
    for entry in sorted(entries, key=lambda one: one.chain):
        await append(connection, entry)


async def _owner(connection: Connection, reading_id: UUID) -> int | None:
    cursor = await connection.execute(
        "select patient_id from reading where reading_id = %s", [reading_id]
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])
