"""Asked: what people ask to be done with stored readings, from the rows of ``review_request``.

Who asks may not write readings. What is asked is done once, however many workers look, and each row
says in the end that it was, or why not. Rules look at it again soon after (``ingest.rejudge``).
"""

import enum
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import class_row

from ingest import review
from ingest.review import Refusal

Connection = psycopg.AsyncConnection[Any]

# What stands with the patient it came to: nothing of hers says whose it was.
WHY_MOVED: Final = "Mätningen var någon annans."

_log = structlog.get_logger()

_TAKE: Final = """
select request_id, reading_id, verdict, to_patient_id, staff_id from review_request
where done_at is null order by request_id limit 1 for update skip locked
"""
_DONE: Final = """
update review_request set done_at = clock_timestamp(), refused = %s, new_reading_id = %s
where request_id = %s
"""


class Verdict(enum.StrEnum):
    """What is to be done with a reading. Stands in the database: never rename one."""

    CONFIRMED = "confirmed"  # it counts, whatever was doubted
    REJECTED = "rejected"  # it counts no more
    MOVED = "moved"  # it is another patient's


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One row that waits."""

    request_id: int
    reading_id: UUID
    verdict: str
    to_patient_id: int | None
    staff_id: int | None


async def settle(connection: Connection, most: int) -> int:
    """Do what waits, at most *most*, the longest waiting first; return how many rows it was.

    Each in a transaction of its own. What cannot be done is refused with a reason, and what the
    database refuses too, so that nothing waits behind it.
    """
    done = 0
    while done < most and await _settle_one(connection):
        done += 1
    return done


async def _settle_one(connection: Connection) -> bool:
    async with connection.transaction(), connection.cursor(row_factory=class_row(Request)) as rows:
        await rows.execute(_TAKE)
        request = await rows.fetchone()
        if request is None:
            return False
        refused: Refusal | None = None
        new_id: UUID | None = None
        try:
            async with connection.transaction():
                new_id = await _do(connection, request)
        except review.ReviewError as error:
            refused = error.refusal
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            refused = Refusal.IMPOSSIBLE
            _log.error("review.impossible", request_id=request.request_id, problem=error.sqlstate)
        await connection.execute(_DONE, [refused, new_id, request.request_id])
    return True


async def _do(connection: Connection, request: Request) -> UUID | None:
    """Do it; return the id that a moved reading has with its right owner."""
    match Verdict(request.verdict):
        case Verdict.CONFIRMED:
            await review.confirm(connection, request.reading_id, staff_id=request.staff_id)
        case Verdict.REJECTED:
            await review.reject(connection, request.reading_id, staff_id=request.staff_id)
        case Verdict.MOVED:
            assert request.to_patient_id is not None  # the table's own check
            return await review.move(
                connection,
                request.reading_id,
                request.to_patient_id,
                staff_id=request.staff_id,
                why=WHY_MOVED,
            )
    return None
