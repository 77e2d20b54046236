"""What a staff member has before her, in the order she should take it. Queries only."""

from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection, sql

from alerts.care.people import Viewer, relation
from alerts.case import IN_URGENCY, Case, cases

# More rows than a person works through in a day; what is beyond is counted, never hidden.
ROWS_MAX = 200
# Of one patient's ended alerts, on her page.
ENDED_MAX = 10

# Her own patients' alerts, and those in her unit's queue whose patients have no contact.
_MINE: Final = """
select a.* from alert a join care_contact mine using (patient_id)
where mine.staff_id = %(staff_id)s and mine.until_at is null and a.state <> 'closed'
union all
select a.* from alert_case queue join alert a using (alert_id)
where queue.staff_id is null and queue.closed_at is null and queue.unit_id = %(unit_id)s
  and a.state <> 'closed'
  and not exists (select from care_contact c
                  where c.patient_id = a.patient_id and c.until_at is null)
"""


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


async def worklist(connection: AsyncConnection, viewer: Viewer) -> Worklist:
    """Return the open and acknowledged alerts *viewer* is to see."""
    rows = await cases(
        connection, sql.SQL(_MINE), relation(viewer), order=IN_URGENCY, most=ROWS_MAX
    )
    if len(rows) < ROWS_MAX:
        red = sum(row.is_red for row in rows)
        return Worklist(rows, red, len(rows) - red)
    counted = await connection.execute(
        sql.SQL("select count(*) filter (where level = 2), count(*) from ({}) mine").format(
            sql.SQL(_MINE)
        ),
        relation(viewer),
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
