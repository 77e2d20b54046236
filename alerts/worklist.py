"""What a staff member has before her, in the order she should take it. Queries only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql

from alerts.care.people import NOW, RELATION, TEAMS, Viewer, relation
from alerts.case import IN_URGENCY, Case, cases

# More rows than a person works through in a day; what is beyond is counted, never hidden.
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


@dataclass(frozen=True, slots=True)
class Worklist:
    """The rows, most urgent first, and how many there are in all."""

    rows: list[Case]
    red: int
    yellow: int

    @property
    def left_out(self) -> int:
        """How many there was no room for."""
        return self.red + self.yellow - len(self.rows)


async def worklist(
    connection: AsyncConnection, viewer: Viewer, now: datetime | None = None
) -> Worklist:
    """Return the open and acknowledged alerts *viewer* is to see."""
    parameters = relation(viewer, now)
    rows = await cases(connection, _MINE, parameters, order=IN_URGENCY, most=ROWS_MAX)
    if len(rows) < ROWS_MAX:
        red = sum(row.is_red for row in rows)
        return Worklist(rows, red, len(rows) - red)
    counted = await connection.execute(
        sql.SQL("select count(*) filter (where level = 2), count(*) from ({}) listed").format(
            _MINE
        ),
        parameters,
    )
    red, total = await counted.fetchone() or (0, 0)
    return Worklist(rows, red, total - red)


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
