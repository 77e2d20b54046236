"""A proposed plan that nobody answers is somebody's to phone about.

The plan of before stays in force meanwhile. The task ends by itself when the proposal is answered
or taken back; whoever phones ends it, too, and is asked again a week later if it still waits.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.care.tasks import Kept, tell

Connection = AsyncConnection[Any]

# A letter there and back, or the next visit; then somebody should ask.
ANSWER_WITHIN: Final = timedelta(days=7)

_OPEN: Final = """
insert into task (patient_id, kind, key, detail, opened_at)
select o.patient_id, 'plan_unanswered', o.proposal_id::text,
    jsonb_build_object('proposed_at', o.proposed_at), %(now)s
from plan_proposal o join person p using (patient_id)
where o.state in ('proposed', 'questioned') and o.proposed_at <= %(now)s - %(within)s::interval
    and not exists (
        select from task t where t.patient_id = o.patient_id and t.kind = 'plan_unanswered'
            and t.key = o.proposal_id::text
            and (t.done_at is null or t.done_at > %(now)s - %(within)s::interval))
on conflict (patient_id, kind, key) where done_at is null do nothing
returning patient_id
"""
_END: Final = """
update task t set done_at = %(now)s, outcome = 'answered'
where t.kind = 'plan_unanswered' and t.done_at is null and not exists (
    select from plan_proposal o where o.proposal_id::text = t.key
        and o.patient_id = t.patient_id and o.state in ('proposed', 'questioned'))
returning t.patient_id
"""


async def keep(connection: Connection, now: datetime) -> Kept:
    """Open and end the tasks about proposals, in the caller's transaction."""
    names = {"now": now, "within": ANSWER_WITHIN}
    opened = [row[0] for row in await (await connection.execute(_OPEN, names)).fetchall()]
    ended = [row[0] for row in await (await connection.execute(_END, names)).fetchall()]
    await tell(connection, opened + ended)
    return Kept(len(opened), len(ended))
