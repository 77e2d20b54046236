"""When somebody is away: noted with its end, withdrawn or cut short, never overwritten."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row

from alerts.care.coverage import uncovered
from alerts.care.period import unfit
from alerts.care.staffing import hold

# Parental leave is at most a year and a half in one piece; more is a slip of the year.
LASTS_MAX: Final = timedelta(days=731)


class Refusal(enum.Enum):
    """Why it was not noted; the value is what she reads who noted it."""

    ENDS_BEFORE_IT_BEGINS = "Frånvaron slutar innan den börjar. Ändra en av tiderna."
    IS_OVER = "Frånvaron är redan över. Inget har ändrats. Kontrollera datum och år."
    TOO_LONG = "Frånvaron är längre än två år. Kontrollera året."
    UNKNOWN = "Personen finns inte eller har slutat. Välj någon annan."
    ALREADY_AWAY = (
        "Personen är redan frånvarande under en del av tiden. "
        "Ta tillbaka den frånvaron, eller låt den nya börja när den slutar."
    )
    NOT_THERE = "Frånvaron finns inte, eller någon har redan tagit tillbaka den. Ladda om sidan."


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """It is noted, and what somebody should see to now.

    Attributes:
        absence_id: Which.
        uncovered: Patients whose alerts go to the unit's queue at some time of it.
        duties: How many of her duties lie in it: nobody takes them by himself.
    """

    absence_id: int
    uncovered: frozenset[int]
    duties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An absence in a list."""

    absence_id: int
    staff_id: int
    staff_name: str
    unit_id: int
    from_at: datetime
    until_at: datetime


# On one page.
LISTED_MAX: Final = 500
_LISTED: Final = """
select a.absence_id, a.staff_id, s.name as staff_name, s.unit_id, a.from_at, a.until_at
from absence a join staff s using (staff_id)
where a.withdrawn_at is null and a.until_at > %(now)s
  and (s.unit_id = %(unit_id)s or a.absence_id = %(absence_id)s)
  and (%(after)s::timestamptz is null
       or (a.from_at, a.absence_id) > (%(after)s, %(after_id)s::bigint))
order by a.from_at, a.absence_id limit %(most)s
"""


@dataclass(frozen=True, slots=True)
class _Absence:
    absence_id: int
    staff_id: int
    from_at: datetime
    until_at: datetime


async def note(
    connection: AsyncConnection,
    *,
    staff_id: int,
    from_at: datetime,
    until_at: datetime,
    noted_by: int | None,
    now: datetime,
) -> Noted | Refusal:
    """Note that *staff_id* is away from *from_at* until, and not at, *until_at*.

    It may have begun. Noting the same again changes nothing and says so with the same answer.
    """
    if (why := unfit(from_at, until_at, now, LASTS_MAX)) is not None:
        return Refusal[why.name]
    async with connection.transaction():
        member = (await hold(connection, [staff_id], now)).get(staff_id)
        if member is None or member.has_ended:
            return Refusal.UNKNOWN
        known = await _overlapping(connection, staff_id, from_at, until_at)
        if any((one.from_at, one.until_at) != (from_at, until_at) for one in known):
            return Refusal.ALREADY_AWAY
        absence_id = (
            known[0].absence_id
            if known
            else await _insert(connection, staff_id, from_at, until_at, noted_by)
        )
        return await _noted(connection, absence_id, staff_id, max(from_at, now), until_at)


async def listed(
    connection: AsyncConnection,
    unit_id: int,
    now: datetime,
    *,
    most: int = LISTED_MAX,
    after: tuple[datetime, int] | None = None,
) -> list[Listed]:
    """Return who of the unit is away, or is going to be, the first to go first.

    With *after*, when one begins and its number: those that come after it in that order.
    """
    from_at, absence_id = after or (None, None)
    asked = {"unit_id": unit_id, "absence_id": None, "after": from_at, "after_id": absence_id}
    return await _listed(connection, {**asked, "now": now, "most": most})


async def one(connection: AsyncConnection, absence_id: int, now: datetime) -> Listed | None:
    """Return one absence that is not over."""
    asked = {"unit_id": None, "absence_id": absence_id, "after": None, "after_id": None}
    found = await _listed(connection, {**asked, "now": now, "most": 1})
    return found[0] if found else None


async def _listed(connection: AsyncConnection, asked: Mapping[str, object]) -> list[Listed]:
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(_LISTED, asked)
    return await cursor.fetchall()


async def withdraw(
    connection: AsyncConnection, absence_id: int, *, by: int | None, now: datetime
) -> Refusal | None:
    """Let her be there after all: from now on, if the absence has begun. None: it is done."""
    return await _back(connection, absence_id, at=now, by=by, now=now)


async def cut_short(
    connection: AsyncConnection, absence_id: int, *, at: datetime, by: int | None, now: datetime
) -> Refusal | None:
    """Let her be back at *at*, before the absence's end. None: it is done."""
    if at < now:
        return Refusal.IS_OVER
    return await _back(connection, absence_id, at=at, by=by, now=now)


async def _overlapping(
    connection: AsyncConnection, staff_id: int, from_at: datetime, until_at: datetime
) -> list[_Absence]:
    cursor = connection.cursor(row_factory=class_row(_Absence))
    await cursor.execute(
        "select absence_id, staff_id, from_at, until_at from absence where staff_id = %s "
        "and withdrawn_at is null and from_at < %s and until_at > %s order by from_at",
        (staff_id, until_at, from_at),
    )
    return await cursor.fetchall()


async def _insert(
    connection: AsyncConnection,
    staff_id: int,
    from_at: datetime,
    until_at: datetime,
    noted_by: int | None,
) -> int:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(
        "insert into absence (staff_id, from_at, until_at, noted_by) values (%s, %s, %s, %s) "
        "returning absence_id",
        (staff_id, from_at, until_at, noted_by),
    )
    absence_id: int = await cursor.fetchone() or 0
    return absence_id


async def _noted(
    connection: AsyncConnection,
    absence_id: int,
    staff_id: int,
    from_at: datetime,
    until_at: datetime,
) -> Noted:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(
        "select count(*) from duty where staff_id = %s and withdrawn_at is null "
        "and from_at < %s and until_at > %s",
        (staff_id, until_at, from_at),
    )
    duties: int = await cursor.fetchone() or 0
    without = await uncovered(connection, staff_id, from_at, until_at)
    return Noted(absence_id=absence_id, uncovered=without, duties=duties)


# What of it is past by then stands as a row of its own.
_BACK: Final = """
with withdrawn as (
    update absence set withdrawn_at = %(now)s
    where absence_id = %(absence_id)s and withdrawn_at is null and until_at > %(at)s
    returning staff_id, from_at
), past as (
    insert into absence (staff_id, from_at, until_at, noted_by)
    select staff_id, from_at, %(at)s, %(by)s from withdrawn where from_at < %(at)s
) select from withdrawn
"""


async def _back(
    connection: AsyncConnection, absence_id: int, *, at: datetime, by: int | None, now: datetime
) -> Refusal | None:
    done = await connection.execute(
        _BACK, {"absence_id": absence_id, "at": at, "by": by, "now": now}
    )
    return None if done.rowcount else Refusal.NOT_THERE
