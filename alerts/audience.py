"""Whose worklists an alert is on, or was until now: who is woken when it changes.

Rather one too many than one too few: who is woken reads the database and finds nothing new.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql

from alerts.care.people import CONTACT, NOW
from alerts.signal import notify_worklists, topic

# Who has been told longer ago looks again by herself, every few seconds.
_TOLD_DAYS: Final = 7

_AUDIENCE: Final = sql.SQL("""
with looked as materialized (
    select a.alert_id, a.patient_id, p.unit_id, c.staff_id as contact_id, c.team_id as contact_team,
           k.staff_id, k.team_id, k.unit_id as queue_id, k.acknowledged_by
    from alert a join person p using (patient_id)
    {contact}
    left join alert_case k using (alert_id)
    where a.alert_id = any(%(alerts)s)
)
select unnest(array[contact_id, staff_id, acknowledged_by]) as staff_id, null::bigint as unit_id
from looked
union
select null, coalesce(queue_id, unit_id) from looked where num_nonnulls(staff_id, team_id) = 0
union
select m.staff_id, null from looked
join team_member m on m.team_id in (contact_team, looked.team_id)
where m.until_at is null or m.until_at > {now}
union
select s.staff_id, null from looked join substitute s on s.patient_id = looked.patient_id
where s.until_at is null or s.until_at > {now}
union
select s.staff_id, null from looked join substitute s on s.for_staff_id = contact_id
where s.until_at is null or s.until_at > {now}
union
select d.staff_id, null from looked join duty d using (unit_id)
where d.withdrawn_at is null and d.from_at <= {now} and d.until_at > {now}
union
select n.staff_id, n.unit_id from looked join notification n using (alert_id)
where n.made_at > {now} - make_interval(days => {told_days})
""").format(contact=CONTACT, now=NOW, told_days=_TOLD_DAYS)


async def topics(
    connection: AsyncConnection, alert_ids: Collection[int], now: datetime | None = None
) -> set[str]:
    """Return the topics of all worklists that these alerts are on."""
    if not alert_ids:
        return set()
    found = await connection.execute(_AUDIENCE, {"alerts": sorted(alert_ids), "now": now})
    return {
        topic(staff_id, unit_id or 0)
        for staff_id, unit_id in await found.fetchall()
        if staff_id is not None or unit_id is not None
    }


async def tell(
    connection: AsyncConnection, alert_ids: Collection[int], now: datetime | None = None
) -> None:
    """Wake these worklists when the transaction commits."""
    await notify_worklists(connection, await topics(connection, alert_ids, now))
