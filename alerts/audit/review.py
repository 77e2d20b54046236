"""Spot checks: a few of a unit's looks are drawn, somebody judges them, and signs that she has.

All that was looked at in an emergency, refused, seen by sharing, or done by an operator is drawn
before the rest: an own
relation explains itself. What is drawn of the rest nobody can foretell.
"""

import enum
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import scalar_row

from alerts.access import Ground
from alerts.audit import beside
from alerts.audit.chain import append
from alerts.audit.entry import DENIED, Action, Entry
from alerts.audit.look import Look, looks
from alerts.care.people import Viewer

# More than a person judges at one sitting.
SAMPLE_MAX: Final = 200
NOTE_CHARS_MAX: Final = 2_000
_SALT_BYTES: Final = 16

# What no unit's staff did (operators, relatives) is the patient's unit's to judge. Where there is
# no such patient, for she is erased, or it concerned nobody, it is every unit's.
_OF_UNIT: Final = """
from access_log where at >= %(from_at)s and at < %(until_at)s
  and (staff_id is null or staff_id is distinct from %(reviewer)s) and ground <> 'self'
  and coalesce(unit_id, (
      select p.unit_id from person p where p.patient_id = access_log.patient_id
  ), %(unit_id)s) = %(unit_id)s
"""
_SAMPLE: Final = sql.SQL(f"""
select * {_OF_UNIT}
order by ground = any(%(first)s) desc, sha256(hash || %(salt)s) limit %(size)s
""")
_IN_TIME: Final = sql.SQL("l.at, l.chain, l.number")
_FIRST: Final = [Ground.EMERGENCY.value, DENIED, Ground.SHARED.value, "operator"]


class Verdict(enum.StrEnum):
    """What came of a spot check."""

    NOTHING = "nothing"  # every look had its reason
    ASKED = "asked"  # somebody was asked for hers
    REPORTED = "reported"  # somebody had none


class Answer(enum.StrEnum):
    """What became of a signature."""

    DONE = "done"
    NO_REVIEWER = "no_reviewer"  # she is not appointed to review
    NO_NOTE = "no_note"  # what was found is to be written down
    PERIOD = "period"  # it is not over, or ends before it begins


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn, and how many there were to draw from."""

    looks: tuple[Look, ...]
    entries: int


async def sample(
    connection: AsyncConnection,
    unit_id: int,
    from_at: datetime,
    until_at: datetime,
    *,
    size: int,
    reviewer: int | None = None,
) -> Sample:
    """Draw from what a unit's staff did, and operators with its patients.

    Nothing of the *reviewer*'s own, and nothing that patients did themselves.

    Args:
        connection: The database.
        unit_id: Whose staff.
        from_at: From when.
        until_at: Until when, exclusive.
        size: How many; at most ``SAMPLE_MAX``.
        reviewer: The staff id of who will judge.
    """
    values = {
        "unit_id": unit_id,
        "from_at": from_at,
        "until_at": until_at,
        "reviewer": reviewer,
        "first": _FIRST,
        "salt": secrets.token_bytes(_SALT_BYTES),
        "size": min(size, SAMPLE_MAX),
    }
    async with connection.transaction():
        drawn = [look async for look in looks(connection, _SAMPLE, values, _IN_TIME)]
        cursor = connection.cursor(row_factory=scalar_row)
        await cursor.execute(f"select count(*) {_OF_UNIT}", values)
        return Sample(tuple(drawn), await cursor.fetchone() or 0)


async def sign(
    connection: AsyncConnection,
    reviewer: Viewer,
    unit_id: int,
    from_at: datetime,
    until_at: datetime,
    *,
    entries: int,
    sampled: int,
    verdict: Verdict,
    note: str = "",
) -> Answer:
    """Write that *reviewer* has judged a sample; anything but nothing needs a note."""
    note = note.strip()
    if len(note) > NOTE_CHARS_MAX or (verdict is not Verdict.NOTHING and not note):
        return Answer.NO_NOTE
    async with connection.transaction():
        found = await connection.execute(
            "select %s::timestamptz < %s::timestamptz and %s::timestamptz <= clock_timestamp(), "
            "exists (select from staff_function where staff_id = %s and name = 'reviewer' "
            "and from_at <= now() and (until_at is null or until_at > now()))",
            (from_at, until_at, until_at, reviewer.staff_id),
        )
        is_over, is_reviewer = await found.fetchone() or (False, False)
        if not is_reviewer:
            return Answer.NO_REVIEWER
        if not is_over:
            return Answer.PERIOD
        written = await connection.execute(
            "insert into access_review (unit_id, from_at, until_at, reviewed_by, entries, sampled, "
            "verdict, note) values (%s, %s, %s, %s, %s, %s, %s, %s) returning review_id",
            (
                unit_id,
                from_at,
                until_at,
                reviewer.staff_id,
                entries,
                sampled,
                verdict.value,
                note,
            ),
        )
        row = await written.fetchone()
        assert row is not None
        detail = {
            "review_id": row[0],
            "reviewed_unit_id": unit_id,
            "verdict": verdict.value,
            "note": beside.words(note),
        }
        await append(connection, Entry.by(reviewer, Action.LOG_REVIEWED, "reviewer", detail=detail))
    return Answer.DONE
