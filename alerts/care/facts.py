"""How a viewer stands to patients, read from the database: what ``alerts.access`` decides by.

Whether there is an own relation at all is said by ``people.RELATION``, in one place for lists,
pages and actions; here it only gets its name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from alerts.access import ALL, Facts, Ground, Scope
from alerts.care.people import CONTACT, NOW, RELATION, STANDS_IN, TEAMS, Viewer, relation

# A consent that is in force.
IN_FORCE: Final = sql.SQL(
    "revoked_at is null and from_at <= {now} and (until_at is null or until_at > {now})"
).format(now=NOW)

_UNCLOSED: Final = sql.SQL("""
    select k.staff_id, k.team_id, k.unit_id from alert a join alert_case k using (alert_id)
    where a.patient_id = p.patient_id and a.state <> 'closed'
""")
# Of an own relation: its kinds, by which it is told.
_KINDS: Final = sql.SQL("""
    c.staff_id = %(staff_id)s as contact,
    c.team_id in ({teams}) as team,
    exists ({stands_in}) as substitute,
    exists (select from ({unclosed}) k
            where k.staff_id = %(staff_id)s or k.team_id in ({teams})) as routed,
    exists (select from duty d where d.unit_id = p.unit_id and d.staff_id = %(staff_id)s
            and d.withdrawn_at is null and d.from_at <= {now} and d.until_at > {now}) as duty,
    coalesce(c.staff_id is null and c.team_id is null and p.unit_id = %(unit_id)s, false)
        as is_queued,
    (c.staff_id is null and c.team_id is null and p.unit_id = %(unit_id)s)
        or exists (select from ({unclosed}) k where k.staff_id is null and k.team_id is null
                   and k.unit_id = %(unit_id)s) as queue
""").format(teams=TEAMS, stands_in=STANDS_IN, unclosed=_UNCLOSED, now=NOW)

_FACTS: Final = sql.SQL("""
select p.patient_id, coalesce({relation}, false) as related, {kinds},
    (select max(e.until_at) from emergency_access e where e.patient_id = p.patient_id
     and e.staff_id = %(staff_id)s and e.from_at <= {now} and e.until_at > {now}
    ) as emergency_until,
    exists (select from block b where b.patient_id = p.patient_id and b.unit_id = %(unit_id)s
            and b.from_at <= {now} and (b.lifted_at is null or b.lifted_at > {now})) as is_blocked,
    exists (select from care_relation r
            join unit mine on mine.unit_id = r.unit_id join unit home on home.unit_id = p.unit_id
            where r.patient_id = p.patient_id and r.unit_id = %(unit_id)s and r.from_at <= {now}
              and (r.until_at is null or r.until_at > {now})
              and mine.huvudman_id = home.huvudman_id) as same_huvudman,
    array(select unnest(scope) from consent where patient_id = p.patient_id
          and unit_id = %(unit_id)s and {in_force}) as shared,
    array(select unnest(scope) from consent where patient_id = p.patient_id
          and relative_id = %(relative_id)s and {in_force}) as relative
from person p
{contact}
where p.patient_id = any(%(wanted)s)
""").format(relation=RELATION, kinds=_KINDS, contact=CONTACT, in_force=IN_FORCE, now=NOW)

_KIND_NAMES: Final = ("contact", "team", "substitute", "routed", "duty", "queue")


async def facts(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_ids: Sequence[int],
    now: datetime | None = None,
) -> dict[int, Facts]:
    """Return how *viewer* stands to each of the patients; those nobody knows are left out.

    *now* is the database's if it is not given.
    """
    cursor = connection.cursor(row_factory=dict_row)
    values = {
        **relation(viewer, now),
        "relative_id": viewer.relative_id,
        "wanted": list(patient_ids),
    }
    await cursor.execute(_FACTS, values)
    return {row["patient_id"]: _of(row) for row in await cursor.fetchall()}


def _of(row: dict[str, Any]) -> Facts:
    emergency_until: datetime | None = row["emergency_until"]
    kinds = {Ground(name) for name in _KIND_NAMES if row[name]} or {Ground.RELATION}
    return Facts(
        patient_id=row["patient_id"],
        relations=frozenset(kinds if row["related"] else ()),
        is_queued=row["is_queued"],
        emergency_until=emergency_until,
        is_blocked=row["is_blocked"],
        shared=ALL if row["same_huvudman"] else frozenset(map(Scope, row["shared"])),
        relative=frozenset(map(Scope, row["relative"])),
    )
