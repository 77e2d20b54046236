"""The technicians' list: what is open, and what one of them does with it. No patient is here."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from alerts.fleet.gateway import Urgency
from alerts.technical.fault import WAITED, urgency

Connection = AsyncConnection[Any]

# A page that a person can scroll through; what is beyond is counted.
LISTED_MAX: Final = 200
NOTE_CHARS_MAX: Final = 500


class Answer(enum.StrEnum):
    """What became of an action."""

    DONE = "done"
    TAKEN = "taken"  # another technician has it
    AWAY = "away"  # she is noted as away: it would be nobody's again at once
    GONE = "gone"  # it has ended, or there never was one


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault that is open."""

    technical_id: int
    kind: str
    gateway_id: str | None
    device_id: str | None
    detail: dict[str, Any]
    opened_at: datetime
    taken_by: int | None
    taken_name: str | None
    taken_at: datetime | None
    told_at: datetime | None  # when a message about it reached somebody last

    def urgency(self, now: datetime) -> Urgency:
        """Return how soon it must be seen to."""
        told = self.detail.get("urgency")
        known = Urgency(told) if told in list(Urgency) else Urgency.SOON
        return urgency(known, self.opened_at, self.taken_at, now)


@dataclass(frozen=True, slots=True)
class Listed:
    """The open faults, the most urgent first and the oldest of those, and how many there are."""

    rows: list[Row]
    total: int

    @property
    def left_out(self) -> int:
        """How many there was no room for."""
        return self.total - len(self.rows)


# Which of many there is room for; their order is alerts.technical.fault.urgency's.
_OPEN: Final = """
select t.technical_id, t.kind, t.gateway_id, t.device_id, t.detail, t.opened_at, t.taken_by,
    s.name as taken_name, t.taken_at, (
        select max(n.made_at) from technical_told d join technical_notice n using (notice_id)
        where d.technical_id = t.technical_id and n.state in ('sent', 'delivered')
    ) as told_at, count(*) over () as total
from technical t left join staff s on s.staff_id = t.taken_by
where t.closed_at is null and (%(gateway_id)s::text is null or t.gateway_id = %(gateway_id)s)
order by (t.detail ->> 'urgency' = '3'
        or (t.taken_at is null and t.opened_at < %(now)s - %(waited)s)) desc,
    t.opened_at, t.technical_id
limit %(most)s
"""
# Who is away has nothing (alerts.technical.standing).
_IS_AWAY: Final = """exists (
    select from absence where staff_id = %(by)s and withdrawn_at is null
        and from_at <= coalesce(%(now)s::timestamptz, clock_timestamp())
        and until_at > coalesce(%(now)s::timestamptz, clock_timestamp()))"""
_TAKE: Final = f"""
update technical set taken_by = %(by)s,
    taken_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where technical_id = %(id)s and closed_at is null and taken_by is null and not {_IS_AWAY}
"""  # noqa: S608 - our own text
# It is told anew.
_LEAVE: Final = """
update technical set taken_by = null, taken_at = null, told_from = null
where technical_id = %(id)s and closed_at is null and taken_by = %(by)s
"""
_CLOSE: Final = """
update technical set closed_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    closed_by = %(by)s, note = %(note)s
where technical_id = %(id)s and closed_at is null and coalesce(taken_by, %(by)s) = %(by)s
"""
_STATE: Final = f"""
select taken_by, {_IS_AWAY} from technical where technical_id = %(id)s and closed_at is null
"""  # noqa: S608 - our own text


async def listed(connection: Connection, now: datetime, gateway_id: str | None = None) -> Listed:
    """Return what is open, of one gateway if it is given."""
    values = {"gateway_id": gateway_id, "now": now, "waited": WAITED, "most": LISTED_MAX}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_OPEN, values)
        found = await cursor.fetchall()
    total = found[0]["total"] if found else 0
    rows = [Row(**{name: row[name] for name in row if name != "total"}) for row in found]
    rows.sort(key=lambda one: -one.urgency(now))
    return Listed(rows, total)


async def take(
    connection: Connection, staff_id: int, technical_id: int, now: datetime | None = None
) -> Answer:
    """Let a technician see to it, if no other does and she is not away.

    Args:
        connection: Any.
        staff_id: Who.
        technical_id: Which fault.
        now: The database's time, if it is not to be asked for.
    """
    return await _act(connection, _TAKE, {"id": technical_id, "by": staff_id, "now": now})


async def leave(connection: Connection, staff_id: int, technical_id: int) -> Answer:
    """Let her leave it to another."""
    return await _act(connection, _LEAVE, {"id": technical_id, "by": staff_id, "now": None})


async def close(
    connection: Connection,
    staff_id: int,
    technical_id: int,
    note: str = "",
    now: datetime | None = None,
) -> Answer:
    """Let her say that it has been seen to. If it has not, it is back after the trust of its tier.

    Args:
        connection: Any.
        staff_id: Who says so.
        technical_id: Which fault.
        note: What she did.
        now: The database's time, if it is not to be asked for.

    Raises:
        ValueError: The note is longer than ``NOTE_CHARS_MAX``.
    """
    if len(note) > NOTE_CHARS_MAX:
        problem = f"a note holds at most {NOTE_CHARS_MAX} characters"
        raise ValueError(problem)
    written = note.replace("\x00", "").strip()
    values = {"id": technical_id, "by": staff_id, "note": written, "now": now}
    return await _act(connection, _CLOSE, values)


async def _act(connection: Connection, action: str, values: dict[str, Any]) -> Answer:
    done = await connection.execute(action, values)
    if done.rowcount:
        return Answer.DONE
    cursor = await connection.execute(_STATE, values)
    row = await cursor.fetchone()
    if row is None:
        return Answer.GONE
    taken_by, is_away = row
    if action == _TAKE and taken_by in (None, values["by"]):
        return Answer.AWAY if is_away else Answer.DONE if taken_by else Answer.TAKEN
    return Answer.TAKEN
