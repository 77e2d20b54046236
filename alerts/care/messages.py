"""What patient and care write to each other. What the patient wrote waits until it is answered.

An answer covers what its writer had before her; what the patient wrote meanwhile still waits.
"""

import enum
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.care.people import Viewer
from alerts.care.reach import viewing, waits_for
from alerts.care.tasks import tell

Connection = AsyncConnection[Any]

TEXT_CHARS_MAX: Final = 4_000
# A page of a thread; older ones stay in the database.
THREAD_MAX: Final = 200
# On a worklist; more than anybody answers in a day.
WAITING_MAX: Final = 100
# Somebody who writes more in an hour needs a call, and is told so.
HOUR_MAX: Final = 20


class Answer(enum.StrEnum):
    """What became of writing."""

    DONE = "done"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    NOT_FOUND = "not_found"  # there is no such patient that the writer may write to


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a thread."""

    message_id: int
    text: str
    written_at: datetime
    staff_id: int | None  # none: the patient or a relative wrote it
    staff_name: str | None
    relative_name: str | None
    read_at: datetime | None
    read_name: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A patient who waits for an answer: an item of the worklist.

    Attributes:
        text: Of the newest message that waits.
        message_id: Of the same.
        since: When the oldest that waits was written.
        messages: How many wait.
        read_by: Who has read the newest; none: nobody.
    """

    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    text: str
    message_id: int
    since: datetime
    messages: int
    read_by: str | None


_THREAD: Final = """
select m.message_id, m.text, m.written_at, m.staff_id, s.name as staff_name,
    r.name as relative_name, m.read_at, reader.name as read_name, m.answered_at
from message m
left join staff s on s.staff_id = m.staff_id
left join staff reader on reader.staff_id = m.read_by
left join relative r on r.relative_id = m.relative_id
where m.patient_id = %s order by m.message_id desc limit %s
"""
_WAITING: Final = sql.SQL("""
with waiting as (
    select patient_id, min(written_at) as since, max(message_id) as message_id,
        count(*)::int as messages
    from message where staff_id is null and answered_at is null group by patient_id
)
select w.patient_id, p.given_name, p.family_name, p.born_on, m.text, w.message_id, w.since,
    w.messages, reader.name as read_by
from waiting w
join person p using (patient_id)
join message m using (message_id)
left join staff reader on reader.staff_id = m.read_by
where {waits_for_her}
order by w.since, w.patient_id limit %(most)s
""").format(waits_for_her=waits_for("w.since"))
_MAY: Final = sql.SQL("""
select exists (select from person p where p.patient_id = %(wanted)s and {waits_for_her})
""").format(
    waits_for_her=waits_for(
        "(select min(u.written_at) from message u where u.patient_id = p.patient_id"
        " and u.staff_id is null and u.answered_at is null)"
    )
)
_LATELY: Final = """
select count(*) from message
where patient_id = %s and staff_id is null and written_at > clock_timestamp() - %s
"""
_WRITE: Final = """
insert into message (patient_id, staff_id, relative_id, text) values (%s, %s, %s, %s)
returning message_id
"""
_ANSWERED: Final = """
update message set answered_at = clock_timestamp(),
    read_at = coalesce(read_at, clock_timestamp()), read_by = coalesce(read_by, %(by)s)
where patient_id = %(patient_id)s and staff_id is null and answered_at is null
    and message_id <= %(seen)s
"""
_READ: Final = """
update message set read_at = clock_timestamp(), read_by = %(by)s
where patient_id = %(patient_id)s and staff_id is null and read_at is null
    and message_id <= %(seen)s
"""


async def thread(connection: Connection, patient_id: int) -> list[Message]:
    """Return a patient's newest messages, the oldest of them first.

    Whether the caller may see them is hers to ask: ``may_answer``, or it is her own thread.
    """
    async with connection.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(_THREAD, (patient_id, THREAD_MAX))
        return (await cursor.fetchall())[::-1]


async def waiting(connection: Connection, viewer: Viewer) -> list[Waiting]:
    """Return the patients who wait for an answer of *viewer* or hers, the longest first."""
    if not viewer.gives_care:
        return []
    async with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(_WAITING, {**viewing(viewer), "most": WAITING_MAX})
        return await cursor.fetchall()


async def may_answer(connection: Connection, viewer: Viewer, patient_id: int) -> bool:
    """Tell whether a staff member may read a patient's thread, and write in it."""
    if not viewer.gives_care:
        return False
    cursor = await connection.execute(_MAY, {**viewing(viewer), "wanted": patient_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def ask(
    connection: Connection, patient_id: int, text: str, *, relative_id: int | None = None
) -> Answer:
    """Write as the patient, or as a relative who may: it waits from now on.

    Args:
        connection: In no transaction.
        patient_id: Whose thread; that the writer is she, or may write, the caller has seen.
        text: At most ``TEXT_CHARS_MAX``.
        relative_id: Who wrote it, if it was not she.
    """
    refused, written = _checked(text)
    if refused is not None:
        return refused
    async with connection.transaction():
        await _hold(connection, patient_id)
        cursor = await connection.execute(_LATELY, (patient_id, timedelta(hours=1)))
        (lately,) = await cursor.fetchone() or (0,)
        if lately >= HOUR_MAX:
            return Answer.TOO_MANY
        await connection.execute(_WRITE, (patient_id, None, relative_id, written))
        await tell(connection, [patient_id])
    return Answer.DONE


async def answer(
    connection: Connection, viewer: Viewer, patient_id: int, text: str, *, seen: int
) -> Answer:
    """Write to the patient as a staff member; what she had *seen* of the thread is answered.

    Args:
        connection: In no transaction.
        viewer: Who writes.
        patient_id: To whom.
        text: At most ``TEXT_CHARS_MAX``.
        seen: The newest message she had before her; 0: none.
    """
    refused, written = _checked(text)
    if refused is not None:
        return refused
    async with connection.transaction():
        await _hold(connection, patient_id)
        if not await may_answer(connection, viewer, patient_id):
            return Answer.NOT_FOUND
        await connection.execute(_WRITE, (patient_id, viewer.staff_id, None, written))
        await _mark(connection, _ANSWERED, viewer, patient_id, seen)
        await tell(connection, [patient_id])
    return Answer.DONE


async def see_to(connection: Connection, viewer: Viewer, patient_id: int, *, seen: int) -> Answer:
    """Say that it was answered in another way: she was phoned, or there is nothing to answer."""
    async with connection.transaction():
        await _hold(connection, patient_id)
        if not await may_answer(connection, viewer, patient_id):
            return Answer.NOT_FOUND
        await _mark(connection, _ANSWERED, viewer, patient_id, seen)
        await tell(connection, [patient_id])
    return Answer.DONE


async def read(connection: Connection, viewer: Viewer, patient_id: int, *, seen: int) -> None:
    """Note that she has read what she has before her; the first reader counts."""
    if await may_answer(connection, viewer, patient_id):
        await _mark(connection, _READ, viewer, patient_id, seen)


def _checked(text: str) -> tuple[Answer | None, str]:
    """Return why *text* is refused, or none; and it as it is kept."""
    kept = text.replace("\x00", "").strip()
    if not kept:
        return Answer.EMPTY, ""
    return (Answer.TOO_LONG, "") if len(kept) > TEXT_CHARS_MAX else (None, kept)


async def _hold(connection: Connection, patient_id: int) -> None:
    # One writes at a time in a thread: the order of its numbers is that of its times, and a
    # message that is not committed yet is not answered by a number that is higher.
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 1))", (f"message:{patient_id}",)
    )


async def _mark(
    connection: Connection, how: str, viewer: Viewer, patient_id: int, seen: int
) -> None:
    await connection.execute(how, {"patient_id": patient_id, "by": viewer.staff_id, "seen": seen})
