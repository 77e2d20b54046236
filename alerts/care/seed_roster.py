"""Writes the organisation of a care record: what is otherwise is ended, what is new begins.

Each function is given what the file says and writes only what differs; what the file leaves out
(None) stays as it is. The times at which things begin and end are the transaction's own.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import psycopg
from psycopg.rows import scalar_row

from alerts.care.hours import Hours, Window, local_day
from alerts.care.hours_words import sentence
from alerts.care.roster import WEEKDAYS, Absence, Channel, Day, Huvudman, Opening, Unit, clock

Connection = psycopg.Connection[Any]
_Row = tuple[int, str, str, bool]  # weekday, opens, closes, on holidays

# Hours that a unit tells for the first time have always been so.
_EVER: Final = date(2000, 1, 1)


def huvudman(connection: Connection, told: Huvudman) -> int:
    """Write a huvudman; return its number."""
    cursor = connection.cursor(row_factory=scalar_row)
    cursor.execute(
        "insert into huvudman (kind, name) values (%s, %s) "
        "on conflict (name) do update set kind = excluded.kind returning huvudman_id",
        (told.kind, told.name),
    )
    huvudman_id: int = cursor.fetchone() or 0
    return huvudman_id


def unit(connection: Connection, told: Unit, huvudman_id: int | None) -> int:
    """Write a unit with its hours and channels; return its number."""
    cursor = connection.cursor(row_factory=scalar_row)
    cursor.execute(
        "insert into unit as u (name, phone, hours, huvudman_id, municipality, hsa_id) "
        "values (%s, %s, '', %s, coalesce(%s, ''), %s) on conflict (name) do update set "
        "phone = excluded.phone, hsa_id = coalesce(excluded.hsa_id, u.hsa_id), "
        "huvudman_id = coalesce(excluded.huvudman_id, u.huvudman_id), "
        "municipality = coalesce(nullif(excluded.municipality, ''), u.municipality) "
        "returning unit_id",
        (told.name, told.phone, huvudman_id, told.municipality, told.hsa_id),
    )
    unit_id: int = cursor.fetchone() or 0
    today = _today(connection)
    if told.week is not None:
        _write_opening(connection, unit_id, told.week, today)
    for day in told.days:
        _write_day(connection, unit_id, day)
    _write_hours_said(connection, unit_id, told.hours, today)
    channels(connection, told.channels, unit_id=unit_id)
    return unit_id


def channels(
    connection: Connection,
    told: Sequence[Channel] | None,
    *,
    staff_id: int | None = None,
    unit_id: int | None = None,
) -> None:
    """Let these be the ways to a staff member or a unit, in this order."""
    if told is None:
        return
    connection.execute(
        "update channel set ended_at = now() where ended_at is null "
        "and staff_id is not distinct from %s and unit_id is not distinct from %s "
        "and (kind, address) not in (select * from unnest(%s::text[], %s::text[]))",
        (staff_id, unit_id, [one.kind for one in told], [one.address for one in told]),
    )
    for place, one in enumerate(told, 1):
        connection.execute(
            "insert into channel as c (staff_id, unit_id, kind, address, place, verified_at) "
            "values (%s, %s, %s, %s, %s, %s) "
            "on conflict (coalesce(staff_id, 0), coalesce(unit_id, 0), kind, address) "
            "where ended_at is null do update set place = excluded.place, "
            "verified_at = greatest(c.verified_at, excluded.verified_at)",
            (staff_id, unit_id, one.kind, one.address, place, one.verified_at),
        )


def functions(
    connection: Connection, staff_id: int, told: Sequence[str] | None, *, usual: str
) -> None:
    """Let these be her functions; *usual* is that of one who has never had any."""
    if told is None:
        connection.execute(
            "insert into staff_function (staff_id, name, from_at) select %(staff_id)s, %(name)s, "
            "now() where not exists (select from staff_function where staff_id = %(staff_id)s)",
            {"staff_id": staff_id, "name": usual},
        )
        return
    connection.execute(
        "update staff_function set until_at = greatest(now(), from_at) "
        "where staff_id = %s and until_at is null and name <> all(%s)",
        (staff_id, list(told)),
    )
    connection.execute(
        "insert into staff_function (staff_id, name, from_at) select %s, unnest(%s::text[]), now() "
        "on conflict (staff_id, name) where until_at is null do nothing",
        (staff_id, list(told)),
    )


def absences(connection: Connection, staff_id: int, told: Sequence[Absence]) -> None:
    """Note these absences. One that was noted once is not noted again, even if taken back."""
    for one in told:
        connection.execute(
            "insert into absence (staff_id, from_at, until_at) "
            "select %(staff_id)s, %(from_at)s, %(until_at)s where not exists (select from absence "
            "where staff_id = %(staff_id)s and from_at = %(from_at)s and until_at = %(until_at)s)",
            {"staff_id": staff_id, "from_at": one.from_at, "until_at": one.until_at},
        )


def duty(connection: Connection, unit_id: int, staff_id: int, told: Absence) -> None:
    """Note a duty. One that was noted once is not noted again, even if taken back."""
    connection.execute(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "select %(unit_id)s, %(staff_id)s, %(from_at)s, %(until_at)s where not exists ("
        "select from duty where unit_id = %(unit_id)s and staff_id = %(staff_id)s "
        "and from_at = %(from_at)s and until_at = %(until_at)s)",
        {
            "unit_id": unit_id,
            "staff_id": staff_id,
            "from_at": told.from_at,
            "until_at": told.until_at,
        },
    )


def team(connection: Connection, unit_id: int, name: str, members: Sequence[int]) -> int:
    """Write a team with its members; return its number."""
    cursor = connection.cursor(row_factory=scalar_row)
    cursor.execute(
        "insert into team (unit_id, name) values (%s, %s) "
        "on conflict (unit_id, name) do update set ended_at = null returning team_id",
        (unit_id, name),
    )
    team_id: int = cursor.fetchone() or 0
    connection.execute(
        "update team_member set until_at = greatest(now(), from_at) "
        "where team_id = %s and until_at is null and staff_id <> all(%s)",
        (team_id, list(members)),
    )
    connection.execute(
        "insert into team_member (team_id, staff_id, from_at) "
        "select %s, unnest(%s::bigint[]), now() "
        "on conflict (team_id, staff_id) where until_at is null do nothing",
        (team_id, list(members)),
    )
    return team_id


def substitutes(
    connection: Connection,
    told: Sequence[int] | None,
    *,
    patient_id: int | None = None,
    for_staff_id: int | None = None,
) -> None:
    """Let these stand in, in this order, for a patient's contact or for a colleague.

    A list that a person has written since, also one of nobody, is left: a file does not undo what
    somebody decided.
    """
    if told is None:
        return
    of = {"patient_id": patient_id, "for_staff_id": for_staff_id}
    written = connection.execute(
        "select staff_id, until_at is null, is_revoked or coalesce(noted_by, ended_by) is not null "
        "from substitute where patient_id is not distinct from %(patient_id)s "
        "and for_staff_id is not distinct from %(for_staff_id)s order by place",
        of,
    ).fetchall()
    is_decided = any(by_a_person for _, _, by_a_person in written)
    named = [staff_id for staff_id, is_current, _ in written if is_current]
    if is_decided or named == list(told):
        return
    connection.execute(
        "update substitute set until_at = greatest(now(), from_at) where until_at is null "
        "and patient_id is not distinct from %(patient_id)s "
        "and for_staff_id is not distinct from %(for_staff_id)s",
        of,
    )
    connection.execute(
        "insert into substitute (patient_id, for_staff_id, place, staff_id, from_at) "
        "select %(patient_id)s, %(for_staff_id)s, place, staff_id, now() "
        "from unnest(%(staff)s::bigint[]) with ordinality as named (staff_id, place)",
        {**of, "staff": list(told)},
    )


def _write_opening(
    connection: Connection, unit_id: int, told: Sequence[Opening], today: date
) -> None:
    wanted = {
        (WEEKDAYS.index(day) + 1, one.opens, one.closes, one.on_holidays)
        for one in told
        for day in one.weekdays
    }
    kept = _opening_rows(connection, unit_id)
    for weekday, opens, closes, on_holidays in kept - wanted:
        connection.execute(
            "update unit_hours set until_on = greatest(%s, from_on) where unit_id = %s "
            "and weekday = %s and opens = %s and closes = %s and on_holidays = %s "
            "and until_on is null",
            (today, unit_id, weekday, opens, closes, on_holidays),
        )
    has_told = connection.execute("select from unit_hours where unit_id = %s limit 1", (unit_id,))
    from_on = today if has_told.rowcount else _EVER
    for row in wanted - kept:
        # On the day on which it began a window can be put right.
        connection.execute(
            "insert into unit_hours (unit_id, weekday, opens, closes, on_holidays, from_on) "
            "values (%s, %s, %s, %s, %s, %s) on conflict (unit_id, weekday, opens, from_on) "
            "do update set closes = excluded.closes, on_holidays = excluded.on_holidays, "
            "until_on = null",
            (unit_id, *row, from_on),
        )


def _opening_rows(connection: Connection, unit_id: int) -> set[_Row]:
    rows = connection.execute(
        "select weekday, left(opens::text, 5), left(closes::text, 5), on_holidays "
        "from unit_hours where unit_id = %s and until_on is null",
        (unit_id,),
    )
    return {(weekday, opens, closes, on_holidays) for weekday, opens, closes, on_holidays in rows}


def _write_day(connection: Connection, unit_id: int, told: Day) -> None:
    kept = connection.execute(
        "select left(opens::text, 5), left(closes::text, 5) from unit_day "
        "where unit_id = %s and day = %s order by noted_at desc limit 1",
        (unit_id, told.day),
    ).fetchone()
    if kept != (told.opens, told.closes):
        connection.execute(
            "insert into unit_day (unit_id, day, opens, closes) values (%s, %s, %s, %s)",
            (unit_id, told.day, told.opens, told.closes),
        )


def _write_hours_said(connection: Connection, unit_id: int, told: str | None, today: date) -> None:
    """Say the hours in words: the unit's own, or else those that its rows make."""
    week = tuple(
        Window(weekday=weekday, opens=clock(opens), closes=clock(closes), on_holidays=on_holidays)
        for weekday, opens, closes, on_holidays in _opening_rows(connection, unit_id)
    )
    said = sentence(Hours(week=week), today) if told is None else told
    connection.execute(
        "update unit set hours = %s where unit_id = %s and hours <> %s", (said, unit_id, said)
    )


def _today(connection: Connection) -> date:
    (now,) = connection.execute("select now()").fetchone() or (None,)
    assert now is not None
    return local_day(now)
