"""Where a chain of the access log begins, once what the law lets go of is gone.

A checkpoint holds the number and the hash of the last entry that went: the first that is left goes
on from it, so the chain still proves itself. All checkpoints stand in an entry of the log, too,
written as they were set: who takes entries away and sets a checkpoint himself has to write that
entry as well, and it stays for whoever reads the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.audit.beside import moment
from alerts.audit.entry import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a chain goes on from.

    Attributes:
        number: Of the last entry that is gone.
        hash: Of that entry.
        before: What was older than that went.
        removed_at: When.
        removed: How many went then.
    """

    chain: int
    number: int
    hash: bytes
    before: datetime
    removed_at: datetime
    removed: int


Checkpoints = Mapping[int, Checkpoint]

_CURRENT: Final = """
select distinct on (chain) chain, number, hash, before, removed_at, removed
from access_checkpoint order by chain, number desc
"""
# The newest holds them all, those of chains of which nothing went then, too.
_SEAL: Final = """
select detail -> 'checkpoints' from access_log
where chain = 0 and action = %s order by number desc limit 1
"""


async def read(connection: AsyncConnection) -> dict[int, Checkpoint]:
    """Return what each chain goes on from; a chain that is not there is whole."""
    cursor = connection.cursor(row_factory=class_row(Checkpoint))
    await cursor.execute(_CURRENT)
    return {one.chain: one for one in await cursor.fetchall()}


def told(checkpoints: Checkpoints) -> dict[str, list[object]]:
    """Return checkpoints as they stand in the log: ``{"3": [17, "9f…", "2021-…", "2026-…"]}``."""
    return {
        str(chain): [one.number, one.hash.hex(), moment(one.before), moment(one.removed_at)]
        for chain, one in sorted(checkpoints.items())
    }


async def unsealed(connection: AsyncConnection, checkpoints: Checkpoints) -> list[Checkpoint]:
    """Return those that do not stand in the log as they are."""
    cursor = await connection.execute(_SEAL, (Action.LOG_REMOVED.value,))
    row = await cursor.fetchone()
    sealed = {} if row is None or not isinstance(row[0], dict) else row[0]
    named = told(checkpoints)
    return [
        one for chain, one in checkpoints.items() if sealed.get(str(chain)) != named[str(chain)]
    ]
