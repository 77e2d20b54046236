"""Windows: what the rules that look back find when readings come (k_of_n, change).

The rows of ``patient`` are locked first, in order, and the windows fetched after that: of two
workers with readings of one patient the later one waits until the other has committed, and then
sees them. So nothing is missed between them, and nothing is found twice.
"""

from typing import Any

import psycopg

from ingest.batch import Batch, Bools
from ingest.breach import Breaches
from ingest.judgement import Judgement
from ingest.registry import Registry
from ingest.rules.table import Findings, RuleRows, Series


def from_findings(
    kind: str, rules: RuleRows, series: Series, findings: Findings, found_at: int
) -> Breaches:
    """Return what a kind found as breaches, none of them held. For the clock's kinds too.

    Args:
        kind: One of ingest.breach.KINDS.
        rules: That were evaluated.
        series: That they were evaluated on.
        findings: What they said.
        found_at: Microseconds since 2000: what was measured more than LATE before is late.
    """
    raise NotImplementedError


async def judge(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    judgement: Judgement,
    is_new: Bools,
) -> Breaches:
    """Return what the batch's new samples make the rules find that look back.

    Locks the rows of the patients concerned until the transaction ends.

    Args:
        connection: In the transaction that stores the batch, its samples stored.
        registry: As fresh as the judgement.
        batch: What came.
        judgement: Of this batch.
        is_new: (n,) which readings were stored by this transaction.
    """
    raise NotImplementedError
