"""Who gives care at a moment: units with their hours, who works there, in which teams.

Queries only. Written by ``alerts.care.seed``.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.care.hours import Day, Hours, Window, is_told, local_day

# Of a channel: only what has been seen to arrive counts, and only until it fails.
WORKS: Final = sql.SQL("ended_at is null and verified_at is not null and failing_since is null")

# Clock times go over as seconds: '24:00' is no time of day in Python.
_UNITS: Final = sql.SQL("""
select u.unit_id, u.name, u.hours as said,
       exists (select from channel where unit_id = u.unit_id and {works}) as has_channel,
       array(
           select jsonb_build_array(weekday, extract(epoch from opens), extract(epoch from closes),
                                    from_on, until_on, on_holidays)
           from unit_hours h
           where h.unit_id = u.unit_id and (until_on is null or until_on >= %(today)s)
           order by weekday, opens, from_on
       ) as week,
       array(
           select distinct on (day)
                  jsonb_build_array(day, extract(epoch from opens), extract(epoch from closes))
           from unit_day d
           where d.unit_id = u.unit_id and day >= %(today)s
           order by day, noted_at desc
       ) as days
from unit u
where u.unit_id = any(%(units)s)
""").format(works=WORKS)

_STAFF: Final = """
select s.staff_id, s.name, s.role, s.hsa_id, array(
           select f.name from staff_function f
           where f.staff_id = s.staff_id and f.from_at <= %(now)s
             and (f.until_at is null or f.until_at > %(now)s)
           order by f.name
       ) as functions
from staff s
where s.unit_id = %(unit_id)s and (s.ended_at is null or s.ended_at > %(now)s)
order by s.name, s.staff_id
"""
_TEAMS: Final = """
select t.team_id, t.name, array(
           select s.staff_id from team_member m join staff s using (staff_id)
           where m.team_id = t.team_id and m.from_at <= %(now)s
             and (m.until_at is null or m.until_at > %(now)s)
             and (s.ended_at is null or s.ended_at > %(now)s)
           order by s.name, s.staff_id
       ) as members
from team t
where t.unit_id = %(unit_id)s and (t.ended_at is null or t.ended_at > %(now)s)
order by t.name, t.team_id
"""


class Function(enum.StrEnum):
    """What a staff member may do beside what her relation to a patient allows."""

    CARE = "care"  # have patients, stand in, be on duty
    COORDINATOR = "coordinator"  # appoint, note absence and duty
    TECHNICIAN = "technician"  # look after gateways and devices; sees no patient
    REVIEWER = "reviewer"  # look at who has looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody who works at a unit."""

    staff_id: int
    name: str
    role: str
    hsa_id: str | None
    functions: frozenset[Function]


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Several who look after patients together; they may be of other units."""

    team_id: int
    name: str
    members: tuple[int, ...]  # staff ids, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit of care."""

    unit_id: int
    name: str
    hours: Hours  # from the day on that was asked for
    hours_said: str  # as somebody wrote them in words; may be ""
    has_hours: bool  # its week is told; else the usual one is taken
    has_channel: bool  # one that works


@dataclass(frozen=True, slots=True)
class Named:
    """A unit in a list."""

    unit_id: int
    name: str
    huvudman: str  # "": not told


@dataclass(frozen=True, slots=True)
class _Row:
    unit_id: int
    name: str
    said: str
    has_channel: bool
    week: list[list[Any]]
    days: list[list[Any]]


# More units than the largest region has.
_LISTED_MAX: Final = 5_000


async def listed(connection: AsyncConnection) -> list[Named]:
    """Return every unit, in no order."""
    cursor = connection.cursor(row_factory=class_row(Named))
    await cursor.execute(
        "select u.unit_id, u.name, coalesce(h.name, '') as huvudman "
        "from unit u left join huvudman h using (huvudman_id) limit %s",
        (_LISTED_MAX,),
    )
    return await cursor.fetchall()


async def units(
    connection: AsyncConnection, unit_ids: Collection[int], now: datetime
) -> dict[int, Unit]:
    """Return the units of these numbers; those there are not are left out."""
    today = local_day(now)
    cursor = connection.cursor(row_factory=class_row(_Row))
    await cursor.execute(_UNITS, {"units": list(unit_ids), "today": today})
    return {row.unit_id: _unit(row, today) for row in await cursor.fetchall()}


async def colleagues(
    connection: AsyncConnection, unit_id: int, now: datetime
) -> tuple[Colleague, ...]:
    """Return who works at the unit, by name; also who is away."""
    cursor = await connection.execute(_STAFF, {"unit_id": unit_id, "now": now})
    return tuple(
        Colleague(
            staff_id=staff_id,
            name=name,
            role=role,
            hsa_id=hsa_id,
            functions=frozenset(Function(function) for function in functions),
        )
        for staff_id, name, role, hsa_id, functions in await cursor.fetchall()
    )


async def teams(connection: AsyncConnection, unit_id: int, now: datetime) -> tuple[Team, ...]:
    """Return the unit's teams, by name."""
    cursor = await connection.execute(_TEAMS, {"unit_id": unit_id, "now": now})
    return tuple(
        Team(team_id=team_id, name=name, members=tuple(members))
        for team_id, name, members in await cursor.fetchall()
    )


def _unit(row: _Row, today: date) -> Unit:
    hours = Hours(week=tuple(_weekly(row.week)), days=tuple(_days(row.days)))
    return Unit(
        unit_id=row.unit_id,
        name=row.name,
        hours=hours,
        hours_said=row.said,
        has_hours=is_told(hours, today),
        has_channel=row.has_channel,
    )


def _weekly(rows: Iterable[list[Any]]) -> Iterable[Window]:
    for weekday, opens_s, closes_s, from_on, until_on, on_holidays in rows:
        yield Window(
            weekday=weekday,
            opens=timedelta(seconds=opens_s),
            closes=timedelta(seconds=closes_s),
            from_on=date.fromisoformat(from_on),
            until_on=None if until_on is None else date.fromisoformat(until_on),
            on_holidays=on_holidays,
        )


def _days(rows: Iterable[list[Any]]) -> Iterable[Day]:
    for day, opens_s, closes_s in rows:
        window = None
        if opens_s is not None:
            window = timedelta(seconds=opens_s), timedelta(seconds=closes_s)
        yield Day(day=date.fromisoformat(day), window=window)
