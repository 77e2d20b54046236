"""Tasks: what somebody is to do for a patient that is no alert, such as a friendly call.

Opened and ended by what is measured; ended by a person too. Who may see the patient may see them.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.care import task_words
from alerts.care.people import CONTACT, Viewer
from alerts.care.reach import viewing, waits_for
from alerts.signal import notify_worklists, topic
from alerts.technical.failures import Streak
from alerts.words import Language

Connection = AsyncConnection[Any]

# More than anybody phones about in a day.
TASKS_MAX: Final = 100
# Who took it and has not ended it by then has forgotten it: it is anybody's again.
TAKEN_FOR: Final = timedelta(hours=24)


class Kind(enum.StrEnum):
    """What is to be done. Stands in the database: never rename one."""

    PHONE_ABOUT_MEASURING = "phone_about_measuring"
    MISSING = "missing"
    WHOSE_READING = "whose_reading"
    WEIGH_AGAIN = "weigh_again"
    PLAN_UNANSWERED = "plan_unanswered"
    HANDOVER = "handover"


class Ending(enum.StrEnum):
    """How a task ended."""

    MEASURED = "measured"  # by itself: a measurement succeeded
    PHONED = "phoned"
    DEVICE_CHANGED = "device_changed"
    NOT_NEEDED = "not_needed"


# What a person may say; that she was not reached ends nothing.
BY_HAND: Final = (Ending.PHONED, Ending.DEVICE_CHANGED, Ending.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Kept:
    """How many tasks one look opened and ended."""

    opened: int
    ended: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of taking a task.

    Attributes:
        patient_id: Whose task it is, if it is the viewer's now.
        name: Who was faster; none: it is not there for the viewer.
        at: When she was.
    """

    patient_id: int | None
    name: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a task is, and whether it waits for who asks; done or not."""

    patient_id: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to do, with what is needed to do it."""

    task_id: int
    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    phone: str
    kind: str
    detail: dict[str, Any]
    opened_at: datetime
    taken_by: int | None = None
    taken_name: str | None = None  # none: nobody says that she does it
    taken_at: datetime | None = None

    def sentence(self, now: datetime, language: Language = Language.SWEDISH) -> str:
        """Return why, in one sentence, and what to do."""
        if self.kind == Kind.PHONE_ABOUT_MEASURING:
            return task_words.about_measuring(self.detail, now, language)
        if self.kind == Kind.WHOSE_READING:
            return task_words.whose_reading(self.detail, self.given_name, now, language)
        if self.kind == Kind.WEIGH_AGAIN:
            return task_words.weigh_again(self.detail, self.given_name, now, language)
        if self.kind == Kind.PLAN_UNANSWERED:
            return task_words.plan_unanswered(self.detail, self.given_name, now, language)
        return task_words.UNKNOWN[language]


_OPEN: Final = """
insert into task (patient_id, kind, key, detail, opened_at)
select * from unnest(%s::bigint[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[]) g
    (patient_id, kind, key, detail, opened_at)
where exists (select from person p where p.patient_id = g.patient_id)
on conflict (patient_id, kind, key) where done_at is null do update set detail = excluded.detail
returning patient_id, xmax = 0
"""
_END: Final = """
update task t set done_at = %s, outcome = %s
from unnest(%s::bigint[], %s::text[]) g (patient_id, key)
where t.patient_id = g.patient_id and t.key = g.key and t.kind = %s and t.done_at is null
returning t.patient_id
"""
# Her own, and her unit: colleagues may have it before them when she is away.
_RECEIVERS: Final = sql.SQL("""
select c.staff_id, p.unit_id, m.members from person p
{contact}
left join lateral (
    select array_agg(staff_id) as members from team_member
    where team_id = c.team_id and until_at is null
) m on true
where p.patient_id = any (%(patients)s)
""").format(contact=CONTACT)
_SELECT: Final = sql.SQL("""
select t.task_id, t.patient_id, p.given_name, p.family_name, p.born_on, p.phone, t.kind, t.detail,
    t.opened_at, taker.staff_id as taken_by, taker.name as taken_name,
    case when taker.staff_id is not null then t.taken_at end as taken_at
from task t join person p using (patient_id)
left join staff taker on taker.staff_id = t.taken_by and t.taken_at > now() - %(taken_for)s
where t.done_at is null and {waits_for_her}
order by t.opened_at, t.task_id limit %(most)s
""").format(waits_for_her=waits_for("t.opened_at"))
_WHOSE: Final = sql.SQL("""
select t.patient_id, {waits_for_her} as waits
from task t join person p using (patient_id) where t.task_id = %(task_id)s
""").format(waits_for_her=waits_for("t.opened_at"))
_TAKE: Final = sql.SQL("""
update task t set taken_by = %(by)s, taken_at = clock_timestamp()
from person p
where t.task_id = %(task_id)s and t.done_at is null and p.patient_id = t.patient_id
    and (t.taken_by is null or t.taken_by = %(by)s or t.taken_at <= now() - %(taken_for)s)
    and {waits_for_her}
returning t.patient_id
""").format(waits_for_her=waits_for("t.opened_at"))
_DONE: Final = sql.SQL("""
update task t set done_at = clock_timestamp(), done_by = %(by)s, outcome = %(outcome)s
from person p
where t.task_id = %(task_id)s and t.done_at is null and p.patient_id = t.patient_id
    and t.kind <> 'whose_reading'  -- which ends when it is answered (alerts.care.whose_reading)
    and {waits_for_her}
returning t.patient_id
""").format(waits_for_her=waits_for("t.opened_at"))


async def tasks(connection: Connection, viewer: Viewer) -> list[Task]:
    """Return what a staff member is to do, the longest waiting first."""
    if not viewer.gives_care:
        return []
    async with connection.cursor(row_factory=class_row(Task)) as cursor:
        await cursor.execute(
            _SELECT, {**viewing(viewer), "most": TASKS_MAX, "taken_for": TAKEN_FOR}
        )
        return await cursor.fetchall()


async def whose(connection: Connection, viewer: Viewer, task_id: int) -> Whose | None:
    """Return whose a task is, and whether it is *viewer*'s to take up; none: there is no task."""
    cursor = await connection.execute(_WHOSE, {**viewing(viewer), "task_id": task_id})
    row = await cursor.fetchone()
    return None if row is None else Whose(int(row[0]), viewer.gives_care and bool(row[1]))


async def take(connection: Connection, viewer: Viewer, task_id: int) -> Taken:
    """Let *viewer* say that she does it; the first who says so does, for ``TAKEN_FOR``."""
    if not viewer.gives_care:
        return Taken(None)
    values = {
        **viewing(viewer),
        "task_id": task_id,
        "by": viewer.staff_id,
        "taken_for": TAKEN_FOR,
    }
    async with connection.transaction():
        done = await connection.execute(_TAKE, values)
        rows = await done.fetchall()
        await tell(connection, [patient_id for (patient_id,) in rows])
    if rows:
        return Taken(int(rows[0][0]))
    seen = (one for one in await tasks(connection, viewer) if one.task_id == task_id)
    other = next(seen, None)
    return Taken(None) if other is None else Taken(None, other.taken_name, other.taken_at)


async def end(connection: Connection, viewer: Viewer, task_id: int, ending: Ending) -> int | None:
    """End a task; return its patient, none if there is no task that *viewer* may end."""
    if not viewer.gives_care or ending not in BY_HAND:
        return None
    values = {**viewing(viewer), "task_id": task_id, "by": viewer.staff_id, "outcome": ending}
    async with connection.transaction():
        done = await connection.execute(_DONE, values)
        rows = await done.fetchall()
        await tell(connection, [patient_id for (patient_id,) in rows])
    return int(rows[0][0]) if rows else None


async def keep_phoning(connection: Connection, streaks: Iterable[Streak], now: datetime) -> Kept:
    """Open and end the tasks about measurements that fail, in the caller's transaction.

    A measurement that succeeds ends one; who failed thrice after a call is phoned again.
    """
    streaks = list(streaks)
    failing = [one for one in streaks if one.is_to_phone]
    well = [one for one in streaks if not one.failures]
    opened = await connection.execute(
        _OPEN,
        (
            [one.patient_id for one in failing],
            [Kind.PHONE_ABOUT_MEASURING] * len(failing),
            [one.device_id for one in failing],
            [Jsonb(_detail(one)) for one in failing],
            [now] * len(failing),
        ),
    )
    new = [patient_id for patient_id, is_new in await opened.fetchall() if is_new]
    ended = await connection.execute(
        _END,
        (
            now,
            Ending.MEASURED,
            [one.patient_id for one in well],
            [one.device_id for one in well],
            Kind.PHONE_ABOUT_MEASURING,
        ),
    )
    over = [patient_id for (patient_id,) in await ended.fetchall()]
    await tell(connection, new + over)
    return Kept(len(new), len(over))


async def tell(connection: Connection, patient_ids: list[int]) -> None:
    """Wake the worklists on which these patients stand, when the transaction commits."""
    if patient_ids:
        cursor = await connection.execute(_RECEIVERS, {"patients": patient_ids, "now": None})
        topics = set()
        for staff_id, unit_id, members in await cursor.fetchall():
            topics |= {topic(one, unit_id) for one in (staff_id, None, *(members or ()))}
        await notify_worklists(connection, topics)


def _detail(streak: Streak) -> dict[str, Any]:
    return {
        "failures": streak.since_phoned,
        "last_at": streak.measured_at[0].isoformat(),
        "source": streak.source,
    }
