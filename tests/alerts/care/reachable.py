"""Which tables have something of patients, as the database itself tells."""

from tests.alerts.world import World

# Tables with a patient's number or a reading's in them, and all that refer to those, step by step.
_REACHABLE = """
with recursive found (oid) as (
    select c.oid from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
        and not a.attisdropped
        and (a.attname ~ '(patient|reading)_ids?$' or a.attname in ('patient', 'subject_id'))
    union
    select k.conrelid from found join pg_constraint k on k.confrelid = found.oid
    where k.contype = 'f'
)
select relname from found join pg_class using (oid) order by 1
"""


def reachable(world: World) -> set[str]:
    return {row[0] for row in world.rows(_REACHABLE)}
