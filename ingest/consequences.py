"""Consequences: what follows, in the same transaction, from readings that were stored.

The one call of the hot path: breaches of limits and of rules that look back, what a repeat is to
decide, and the alerts. A batch that breaks nothing costs no statement, unless one of its patients
has a rule that looks back (two: lock and fetch) or asks for repeats (one: whose it may be).
"""

from typing import Any

import numpy as np
import psycopg

from ingest import episode, repeat, waits, windows
from ingest.batch import Batch, Bools
from ingest.breach import Breaches, concatenate
from ingest.judgement import Judgement
from ingest.news import News, from_batch
from ingest.registry import Registry


async def follow(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    judgement: Judgement,
    is_new: Bools,
) -> int:
    """Record what the new readings of *batch* mean; return how many breaches were found.

    Args:
        connection: In the transaction that stores the batch, its samples stored.
        registry: As fresh as the judgement.
        batch: What came.
        judgement: Of this batch; its breaches are those of limits, paused ones left out, of
            readings old and new.
        is_new: (n,) which readings were stored by this transaction.
    """
    limits = judgement.breaches
    if len(limits) and not is_new.all():
        limits = limits.take(np.isin(limits.reading_id, batch.reading_id[is_new]))
    news = from_batch(registry, batch, judgement, is_new)
    return await draw(connection, registry, news, limits)


async def draw(
    connection: psycopg.AsyncConnection[Any], registry: Registry, news: News, limits: Breaches
) -> int:
    """Record what *news* means; return how many breaches were found that nobody had.

    Rows are taken in this order by everyone: patients, waits, alerts.

    Args:
        connection: In a transaction, the samples stored.
        registry: Fresh.
        news: Samples of patients whose plans ask for more than limits; others may be missing.
        limits: Breaches of limits, of any patients' readings.
    """
    found = [limits]
    decided = None
    if len(news):
        asked = windows.concerned(registry, news)
        asking, held = repeat.asking(registry, news, limits)
        awaited = await repeat.awaited(connection, registry, news)
        repeating = np.union1d(asking.patient, awaited)
        await episode.lock(connection, np.union1d(asked.patients, repeating))
        if (back := await windows.find(connection, registry, asked, news)) is not None:
            found.append(back)
        found[0] = limits.holding(held)
        waiting = await waits.of_patients(connection, repeating)
        waiting = waiting.and_(await waits.ask(connection, asking))
        decided = await repeat.decide(connection, registry, waiting, stands=False)
        if decided is not None and decided.breaches is not None:
            found.append(decided.breaches)
    count = await episode.record(connection, concatenate(found), is_locked=True)
    if decided is not None:
        await repeat.close(connection, decided)
    return count
