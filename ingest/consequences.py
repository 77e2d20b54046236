"""Consequences: what follows, in the same transaction, from readings that were stored.

The one call of the hot path: breaches of limits and of rules that look back, what a repeat is to
decide, and the alerts. A batch that breaks nothing costs no statement, unless one of its patients
has a rule that looks back or asks for repeats.
"""

from typing import Any

import psycopg

from ingest.batch import Batch, Bools
from ingest.judgement import Judgement
from ingest.registry import Registry


async def follow(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    judgement: Judgement,
    is_new: Bools,
) -> None:
    """Record what the new readings of *batch* mean.

    Args:
        connection: In the transaction that stores the batch, its samples stored.
        registry: As fresh as the judgement.
        batch: What came.
        judgement: Of this batch; its breaches are those of limits, paused ones left out, of
            readings old and new.
        is_new: (n,) which readings were stored by this transaction.
    """
    raise NotImplementedError
