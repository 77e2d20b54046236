"""Who answers for a unit's patients outside its hours: noted, withdrawn, and where nobody does."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row

from alerts.care.across import of_others
from alerts.care.hours import Hours, openings
from alerts.care.organisation import units
from alerts.care.period import unfit
from alerts.care.staffing import hold

# A duty is a night, a weekend or a week; more is a slip of the month.
LASTS_MAX: Final = timedelta(days=31)
# Gaps are looked for in a rota that somebody is making: months, not years.
LOOKED_AT_MAX: Final = timedelta(days=92)


class Refusal(enum.Enum):
    """Why it was not noted; the value is what she reads who noted it."""

    ENDS_BEFORE_IT_BEGINS = "Jouren slutar innan den börjar. Ändra en av tiderna."
    IS_OVER = "Jouren är redan över. Inget har ändrats. Kontrollera datum och år."
    TOO_LONG = "Jouren är längre än en månad. Kontrollera månaden, eller dela upp den."
    UNKNOWN = "Personen finns inte eller har slutat. Välj någon annan."
    NO_UNIT = "Enheten finns inte. Ladda om sidan och välj en enhet."
    GIVES_NO_CARE = "Personen arbetar inte i vården av patienter. Välj någon annan."
    OTHER_HUVUDMAN = (
        "Personen arbetar hos en annan huvudman, eller så är huvudmannen inte inskriven. "
        "På jouren skulle hon se patienter som inte har samtyckt till det. Välj någon annan."
    )
    AWAY = "Personen är frånvarande under en del av jouren. Välj någon annan, eller dela upp den."
    ALREADY_ON_DUTY = (
        "Personen har redan jour för enheten under en del av tiden. "
        "Ta tillbaka den jouren, eller låt den nya börja när den slutar."
    )
    NOT_THERE = (
        "Jouren finns inte, är över, eller någon har redan tagit tillbaka den. Ladda om sidan."
    )


# A technician answers for the faults, and is on duty where there are no patients: who is on duty
# for a unit is told of its alerts.
_TECHNICAL: Final = """
select from staff_function f
where f.staff_id = %(staff)s and f.name = 'technician' and f.until_at is null
    and not exists (select from person p where p.unit_id = %(unit)s)
"""


@dataclass(frozen=True, slots=True)
class Noted:
    """It is noted."""

    duty_id: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A time outside the unit's hours when nobody is on duty."""

    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A duty in a list."""

    duty_id: int
    unit_id: int
    staff_id: int
    staff_name: str
    from_at: datetime
    until_at: datetime


# On one page.
LISTED_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class _Duty:
    duty_id: int
    from_at: datetime
    until_at: datetime


async def note(
    connection: AsyncConnection,
    *,
    unit_id: int,
    staff_id: int,
    from_at: datetime,
    until_at: datetime,
    noted_by: int | None,
    now: datetime,
) -> Noted | Refusal:
    """Note that *staff_id* answers for *unit_id* from *from_at* until, and not at, *until_at*.

    Noting the same again changes nothing and says so with the same answer.
    """
    if (why := unfit(from_at, until_at, now, LASTS_MAX)) is not None:
        return Refusal[why.name]
    async with connection.transaction():
        member = (await hold(connection, [staff_id], now)).get(staff_id)
        if member is None or member.has_ended:
            return Refusal.UNKNOWN
        technical = await connection.execute(_TECHNICAL, {"unit": unit_id, "staff": staff_id})
        if not member.gives_care and technical.rowcount == 0:
            return Refusal.GIVES_NO_CARE
        if unit_id not in await units(connection, [unit_id], now):
            return Refusal.NO_UNIT
        if member.gives_care and await of_others(connection, unit_id, [staff_id]):
            return Refusal.OTHER_HUVUDMAN
        known = await _overlapping(connection, unit_id, staff_id, from_at, until_at)
        if known:
            same = known[0].from_at, known[0].until_at
            return Noted(known[0].duty_id) if same == (from_at, until_at) else _ALREADY
        if await _is_away(connection, staff_id, from_at, until_at):
            return Refusal.AWAY
        cursor = connection.cursor(row_factory=scalar_row)
        await cursor.execute(_INSERT, (unit_id, staff_id, from_at, until_at, noted_by))
        return Noted(await cursor.fetchone() or 0)


async def withdraw(
    connection: AsyncConnection, duty_id: int, *, by: int | None, now: datetime
) -> Refusal | None:
    """Take somebody off duty, from now on if it has begun. None: it is done."""
    done = await connection.execute(_WITHDRAW, {"duty_id": duty_id, "now": now, "by": by})
    return None if done.rowcount else Refusal.NOT_THERE


async def listed(
    connection: AsyncConnection,
    unit_id: int,
    from_at: datetime,
    until_at: datetime,
    *,
    most: int = LISTED_MAX,
    after: tuple[datetime, int] | None = None,
) -> list[Listed]:
    """Return who is on duty for the unit at some moment of that time, the first first.

    With *after*, when one begins and its number: those that come after it in that order.
    """
    began, duty_id = after or (None, None)
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(
        f"{_LISTED} where d.unit_id = %s and d.withdrawn_at is null"
        " and d.from_at < %s and d.until_at > %s"
        " and (%s::timestamptz is null or (d.from_at, d.duty_id) > (%s, %s::bigint))"
        " order by d.from_at, d.duty_id limit %s",
        (unit_id, until_at, from_at, began, began, duty_id, most),
    )
    return await cursor.fetchall()


async def one(connection: AsyncConnection, duty_id: int, now: datetime) -> Listed | None:
    """Return one duty that is not over."""
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(
        f"{_LISTED} where d.duty_id = %s and d.withdrawn_at is null and d.until_at > %s",
        (duty_id, now),
    )
    return await cursor.fetchone()


async def gaps(
    connection: AsyncConnection, unit_id: int, from_at: datetime, until_at: datetime
) -> list[Gap]:
    """Return when in that time the unit is closed and nobody present is on duty.

    Raises:
        ValueError: It is longer than ``LOOKED_AT_MAX``, or there is no such unit.
    """
    if until_at - from_at > LOOKED_AT_MAX:
        problem = f"at most {LOOKED_AT_MAX.days} days are looked at"
        raise ValueError(problem)
    unit = (await units(connection, [unit_id], from_at)).get(unit_id)
    if unit is None:
        problem = f"there is no unit {unit_id}"
        raise ValueError(problem)
    cursor = connection.cursor(row_factory=class_row(Gap))
    await cursor.execute(_PRESENT, {"unit_id": unit_id, "from_at": from_at, "until_at": until_at})
    present = [(one.from_at, one.until_at) for one in await cursor.fetchall()]
    return _between([*present, *_open(unit.hours, from_at, until_at)], from_at, until_at)


_LISTED: Final = """
select d.duty_id, d.unit_id, d.staff_id, s.name as staff_name, d.from_at, d.until_at
from duty d join staff s using (staff_id)
"""

_ALREADY: Final = Refusal.ALREADY_ON_DUTY

_INSERT: Final = """
insert into duty (unit_id, staff_id, from_at, until_at, noted_by) values (%s, %s, %s, %s, %s)
returning duty_id
"""
# What of it is past stands as a row of its own.
_WITHDRAW: Final = """
with withdrawn as (
    update duty set withdrawn_at = %(now)s
    where duty_id = %(duty_id)s and withdrawn_at is null and until_at > %(now)s
    returning unit_id, staff_id, from_at
), past as (
    insert into duty (unit_id, staff_id, from_at, until_at, noted_by)
    select unit_id, staff_id, from_at, %(now)s, %(by)s from withdrawn where from_at < %(now)s
) select from withdrawn
"""
# Duties without the absences of who has them.
_PRESENT: Final = """
select lower(part) as from_at, upper(part) as until_at
from duty d
join staff s on s.staff_id = d.staff_id
cross join unnest(
    tstzmultirange(tstzrange(d.from_at, least(d.until_at, s.ended_at)))
    - coalesce((
        select range_agg(tstzrange(a.from_at, a.until_at)) from absence a
        where a.staff_id = d.staff_id and a.withdrawn_at is null
    ), '{}')
) part
where d.unit_id = %(unit_id)s and d.withdrawn_at is null
  and d.from_at < %(until_at)s and d.until_at > %(from_at)s
  and (s.ended_at is null or s.ended_at > d.from_at)
"""


def _open(
    hours: Hours, from_at: datetime, until_at: datetime
) -> Iterable[tuple[datetime, datetime]]:
    for start, end in openings(hours, from_at):
        if start >= until_at:
            return
        yield start, end


def _between(
    taken: Iterable[tuple[datetime, datetime]], from_at: datetime, until_at: datetime
) -> list[Gap]:
    """Return what of the time is in none of *taken*."""
    found = []
    reached = from_at
    for start, end in sorted(taken):
        if start > reached:
            found.append(Gap(reached, min(start, until_at)))
        reached = max(reached, end)
        if reached >= until_at:
            return found
    return [*found, Gap(reached, until_at)]


async def _overlapping(
    connection: AsyncConnection, unit_id: int, staff_id: int, from_at: datetime, until_at: datetime
) -> list[_Duty]:
    cursor = connection.cursor(row_factory=class_row(_Duty))
    await cursor.execute(
        "select duty_id, from_at, until_at from duty where unit_id = %s and staff_id = %s "
        "and withdrawn_at is null and from_at < %s and until_at > %s order by from_at",
        (unit_id, staff_id, until_at, from_at),
    )
    return await cursor.fetchall()


async def _is_away(
    connection: AsyncConnection, staff_id: int, from_at: datetime, until_at: datetime
) -> bool:
    found = await connection.execute(
        "select from absence where staff_id = %s and withdrawn_at is null "
        "and from_at < %s and until_at > %s",
        (staff_id, until_at, from_at),
    )
    return await found.fetchone() is not None
