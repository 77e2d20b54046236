"""What a staff member has before her, in the order she should take it. Queries only."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from psycopg import AsyncConnection, sql

from alerts.care.people import NOW, RELATION, TEAMS, Viewer, relation
from alerts.case import IN_URGENCY, Case, cases

# More rows than a person works through in a day; what is beyond is counted, and the next page.
ROWS_MAX = 200
# Of one patient's ended alerts, on her page.
ENDED_MAX = 10

# What she was told of longer ago, and that is still open, she has been told of again.
_TOLD_DAYS: Final = 7

# First what could concern her, each by an index of hers; then what she may see. So what is listed
# can be opened. Who is on duty has the red ones before her: the others wait for the day.
_MINE: Final = sql.SQL("""
with mine as ({teams}), candidate as (
    select a.alert_id from care_contact h join alert a using (patient_id)
    where h.staff_id = %(staff_id)s and a.state <> 'closed'
    union
    select a.alert_id from mine join care_contact using (team_id) join alert a using (patient_id)
    where a.state <> 'closed'
    union
    select a.alert_id from substitute s join alert a using (patient_id)
    where s.staff_id = %(staff_id)s and a.state <> 'closed'
    union
    select a.alert_id from substitute s join care_contact hers on hers.staff_id = s.for_staff_id
    join alert a on a.patient_id = hers.patient_id
    where s.staff_id = %(staff_id)s and a.state <> 'closed'
    union
    select alert_id from alert_case where staff_id = %(staff_id)s and closed_at is null
    union
    select alert_id from mine join alert_case using (team_id) where closed_at is null
    union
    select alert_id from alert_case where acknowledged_by = %(staff_id)s and closed_at is null
    union
    select alert_id from alert_case
    where unit_id = %(unit_id)s and closed_at is null and staff_id is null and team_id is null
    union
    select alert_id from notification
    where staff_id = %(staff_id)s and made_at > {now} - make_interval(days => {told_days})
    union
    select alert_id from notification
    where unit_id = %(unit_id)s and made_at > {now} - make_interval(days => {told_days})
    union
    select k.alert_id from duty d join alert_case k on k.unit_id = d.unit_id
    join alert a using (alert_id)
    where d.staff_id = %(staff_id)s and d.withdrawn_at is null
      and d.from_at <= {now} and d.until_at > {now} and k.closed_at is null and a.level = 2
)
select a.* from candidate join alert a using (alert_id) join person p using (patient_id)
where a.state <> 'closed' and {relation}
""").format(teams=TEAMS, now=NOW, relation=RELATION, told_days=_TOLD_DAYS)


# Who may see which is asked once, of all; the words and numbers of an alert only of those on the
# page. The order is ``IN_URGENCY``; what changes between two pages is on one of them.
_PAGE: Final = sql.SQL("""
with listed as materialized (
    select a.alert_id, a.level, (coalesce(k.snoozed_until > {now}, false))::int as rests,
           -a.level as calm, (a.state <> 'open')::int as taken, a.opened_at
    from ({mine}) a left join alert_case k using (alert_id)
), following as (
    select * from listed where %(after_id)s::bigint is null
        or (rests, calm, taken, opened_at, alert_id)
           > (%(rests)s::int, %(calm)s::int, %(taken)s::int, %(opened_at)s::timestamptz,
              %(after_id)s::bigint)
), page as (
    select * from following order by rests, calm, taken, opened_at, alert_id limit %(most)s
)
select red, total, coming, rests, calm, taken, opened_at, alert_id
from (select count(*) filter (where level = 2) as red, count(*) as total from listed) whole,
     (select count(*) as coming from following) rest
left join page on true
order by rests, calm, taken, opened_at, alert_id
""").format(mine=_MINE, now=NOW)
_THESE: Final = sql.SQL("select * from alert where alert_id = any(%(ids)s) and state <> 'closed'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A row's place in the order of urgency: what comes after it is the next page."""

    rests: int
    calm: int
    taken: int
    opened_at: datetime
    after_id: int

    def __str__(self) -> str:
        since = (self.opened_at - _EPOCH) // timedelta(microseconds=1)
        return f"{self.rests}.{-self.calm}.{self.taken}.{since}.{self.after_id}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the place that was written so.

        Raises:
            ValueError: None was.
        """
        if (written := _PLACE.fullmatch(text)) is None:
            problem = "no place in a worklist"
            raise ValueError(problem)
        rests, level, taken, since, after_id = map(int, written.groups())
        return cls(
            rests=rests,
            calm=-level,
            taken=taken,
            opened_at=_EPOCH + timedelta(microseconds=since),
            after_id=after_id,
        )


_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
# Microseconds of some three hundred years.
_PLACE: Final = re.compile(r"([01])\.([12])\.([01])\.(-?[0-9]{1,16})\.([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Worklist:
    """The rows of a page, most urgent first, and how many there are in all.

    Attributes:
        left_out: How many come after these.
        next: Where they begin; none: these are the last.
    """

    rows: list[Case]
    red: int
    yellow: int
    left_out: int = 0
    next: Place | None = None


async def worklist(
    connection: AsyncConnection,
    viewer: Viewer,
    now: datetime | None = None,
    after: Place | None = None,
) -> Worklist:
    """Return the open and acknowledged alerts *viewer* is to see, at most ``ROWS_MAX`` of them.

    Args:
        connection: In no transaction, or in the caller's.
        viewer: Who looks.
        now: The moment; the database's if it is not given.
        after: Where the page before ended; none: from the most urgent on.
    """
    place = dict.fromkeys(("rests", "calm", "taken", "opened_at", "after_id"))
    found = await connection.execute(
        _PAGE,
        {
            **relation(viewer, now),
            **(place if after is None else asdict(after)),
            "most": ROWS_MAX,
        },
    )
    (red, total, coming, *_), *_ = page = await found.fetchall()
    places = [row[3:] for row in page if row[-1] is not None]
    if not places:
        return Worklist([], red, total - red)
    parameters = {**relation(viewer, now), "ids": [one[-1] for one in places]}
    rows = await cases(connection, _THESE, parameters, order=IN_URGENCY, most=ROWS_MAX)
    left_out = coming - len(places)
    return Worklist(rows, red, total - red, left_out, _place(*places[-1]) if left_out else None)


def _place(rests: int, calm: int, taken: int, opened_at: datetime, alert_id: int) -> Place:
    return Place(
        rests=rests,
        calm=calm,
        taken=taken,
        opened_at=opened_at.astimezone(UTC),
        after_id=alert_id,
    )


async def open_cases(connection: AsyncConnection, patient_id: int) -> list[Case]:
    """Return one patient's alerts that have not ended, most urgent first."""
    query = sql.SQL("select * from alert where patient_id = %(patient_id)s and state <> 'closed'")
    return await cases(
        connection, query, {"patient_id": patient_id}, order=IN_URGENCY, most=ROWS_MAX
    )


async def ended_cases(connection: AsyncConnection, patient_id: int) -> list[Case]:
    """Return one patient's newest ended alerts, newest first."""
    query = sql.SQL(
        "select * from alert where patient_id = %(patient_id)s and state = 'closed' "
        "order by opened_at desc limit {}"
    ).format(ENDED_MAX)
    newest = sql.SQL("k.closed_at desc, a.alert_id desc")
    return await cases(connection, query, {"patient_id": patient_id}, order=newest, most=ENDED_MAX)
