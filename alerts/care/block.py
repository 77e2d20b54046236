"""The patient's word that a unit may not see what others have written; and that it may again.

A block wins over every consent, also over one by which somebody stands in for her contact, and over
nothing else: who cares for her sees her all the same, and so does who says that there is an
emergency.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import substitutes
from alerts.care.consent import How, may_let_in, may_speak
from alerts.care.people import Viewer

BLOCKS_MAX: Final = 200


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    ALREADY = "already"  # it is so
    NOT_YOURS = "not_yours"  # neither she herself nor who cares for her; or it lets in one's own
    HOW = "how"  # "self" is only hers to say; nobody else's word is hers
    NO_UNIT = "no_unit"
    OWN_UNIT = "own_unit"  # that unit cares for her: a block would do nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that is in force."""

    unit_id: int
    unit_name: str
    from_at: datetime
    noted_name: str | None  # none: by herself


async def block(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, unit_id: int, *, how: How
) -> Answer:
    """Let the unit see no more, now."""
    if (how is How.SELF) != (viewer.patient_id is not None):
        return Answer.HOW
    async with connection.transaction():
        ground = await may_speak(connection, viewer, patient_id)
        if ground is None:
            return Answer.NOT_YOURS
        found = await connection.execute(
            "select p.unit_id = u.unit_id from person p, unit u "
            "where p.patient_id = %s and u.unit_id = %s for no key update of p",
            (patient_id, unit_id),
        )
        row = await found.fetchone()
        if row is None:
            return Answer.NO_UNIT
        if row[0]:
            return Answer.OWN_UNIT
        done = await connection.execute(
            "insert into block (patient_id, unit_id, noted_by) values (%s, %s, %s) "
            "on conflict (patient_id, unit_id) where lifted_at is null do nothing",
            (patient_id, unit_id, viewer.staff_id),
        )
        if not done.rowcount:
            return Answer.ALREADY
        await substitutes.keep_to_consent(connection, patient_id, unit_id, by=viewer.staff_id)
        detail = {"blocked_unit_id": unit_id, "how": how.value}
        await append(
            connection,
            Entry.by(viewer, Action.BLOCK_SET, ground, patient_id=patient_id, detail=detail),
        )
    return Answer.DONE


async def lift(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, unit_id: int, *, how: How
) -> Answer:
    """Let the unit see again what the patient has consented to."""
    if (how is How.SELF) != (viewer.patient_id is not None):
        return Answer.HOW
    async with connection.transaction():
        ground = await may_let_in(connection, viewer, patient_id, unit_id)
        if ground is None:
            return Answer.NOT_YOURS
        done = await connection.execute(
            "update block set lifted_at = clock_timestamp(), lifted_how = %s "
            "where patient_id = %s and unit_id = %s and lifted_at is null",
            (how.value, patient_id, unit_id),
        )
        if not done.rowcount:
            return Answer.ALREADY
        detail = {"blocked_unit_id": unit_id, "how": how.value}
        await append(
            connection,
            Entry.by(viewer, Action.BLOCK_LIFTED, ground, patient_id=patient_id, detail=detail),
        )
    return Answer.DONE


async def blocks(connection: AsyncConnection, patient_id: int) -> list[Block]:
    """Return the patient's blocks."""
    cursor = connection.cursor(row_factory=class_row(Block))
    await cursor.execute(
        "select b.unit_id, u.name as unit_name, b.from_at, s.name as noted_name from block b "
        "join unit u using (unit_id) left join staff s on s.staff_id = b.noted_by "
        "where b.patient_id = %s and b.lifted_at is null order by b.block_id limit %s",
        (patient_id, BLOCKS_MAX),
    )
    return await cursor.fetchall()
