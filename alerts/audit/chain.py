"""Appends to the access log.

One statement: it moves the head of the entry's chain, hashes there, and inserts the entry. The
head's row is locked from there to the caller's COMMIT, so let it be the last thing of a
transaction: others who look at a patient of the same chain wait for it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, LiteralString

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from alerts.audit.entry import Action, Entry

# Everything is computed from the row as it is once its lock is held: what somebody appended while
# we waited is our previous entry.
_APPEND: Final = """
with moved as (
    update access_chain set number = number + 1, previous = hash, hash = sha256(
        hash || convert_to(
            '{"at":"' || to_char(statement_timestamp() at time zone 'UTC',
                                 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            || '","chain":' || chain || ',"entry":' || %(text)s
            || ',"number":' || number + 1 || '}', 'UTF8'))
    where chain = %(chain)s
    returning chain, number, previous, hash
)
insert into access_log (chain, number, at, actor, staff_id, unit_id, patient_id, patient_ids,
                        action, ground, detail, previous, hash)
select chain, number, statement_timestamp(), %(actor)s, %(staff_id)s, %(unit_id)s, %(patient_id)s,
       %(patient_ids)s::bigint[], %(action)s, %(ground)s, %(detail)s, previous, hash
from moved
"""


class ChainMissing(Exception):
    """The head of a chain is not there: nothing can be logged, so nothing may be shown."""


def statement(entry: Entry) -> tuple[LiteralString, Mapping[str, object]]:
    """Return the statement that appends *entry*, and what it is said with.

    Raises:
        NotKept: Its detail cannot be kept unchanged.
    """
    return _APPEND, {
        "text": entry.text(),
        "chain": entry.chain,
        "actor": entry.actor,
        "staff_id": entry.staff_id,
        "unit_id": entry.unit_id,
        "patient_id": entry.patient_id,
        "patient_ids": list(entry.patient_ids),
        "action": entry.action,
        "ground": entry.ground,
        "detail": Jsonb(dict(entry.detail)),
    }


async def append(connection: AsyncConnection, entry: Entry) -> None:
    """Write *entry*, in the caller's transaction if there is one.

    Raises:
        NotKept: Its detail cannot be kept unchanged.
        ChainMissing: Somebody removed the head of its chain.
    """
    done = await connection.execute(*statement(entry))
    if done.rowcount != 1:
        problem = f"chain {entry.chain}"
        raise ChainMissing(problem)


async def listed_lately(connection: AsyncConnection, staff_id: int, within: timedelta) -> set[int]:
    """Return the patients of whom it is logged that a list showed them to *staff_id* of late."""
    found = await connection.execute(
        "select distinct unnest(patient_ids) from access_log "
        "where staff_id = %s and action = %s and at > now() - %s",
        (staff_id, Action.WORKLIST_SEEN.value, within),
    )
    return {patient_id for (patient_id,) in await found.fetchall()}
