"""Who has looked at one patient: the extract that she has a right to."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql

from alerts.audit.look import Look, looks

# Those of her, and the lists that showed her; each by an index.
_OF_PATIENT: Final = sql.SQL("""
select * from access_log where patient_id = %(patient_id)s and {period}
union all
select * from access_log where patient_ids @> array[%(patient_id)s::bigint] and {period}
""").format(period=sql.SQL("at >= %(from_at)s and at < %(until_at)s"))
_IN_TIME: Final = sql.SQL("l.at, l.chain, l.number")


async def extract(
    connection: AsyncConnection, patient_id: int, from_at: datetime, until_at: datetime
) -> AsyncIterator[Look]:
    """Yield everything that was done with the patient, the oldest first. Inside a transaction.

    *until_at* is exclusive.
    """
    values = {"patient_id": patient_id, "from_at": from_at, "until_at": until_at}
    async for look in looks(connection, _OF_PATIENT, values, _IN_TIME):
        yield look


_NEWEST: Final = sql.SQL("""
select * from ({all}) hers where actor <> 'patient:' || %(patient_id)s::bigint
  and (%(before)s::timestamptz is null or at < %(before)s or (
      at = %(before)s and (chain > %(chain)s or (chain = %(chain)s and number < %(number)s))))
order by at desc, chain, number desc limit %(most)s
""").format(all=_OF_PATIENT)
_LATEST_FIRST: Final = sql.SQL("l.at desc, l.chain, l.number desc")


# When, in which chain, at which number.
Position = tuple[datetime, int, int]


async def newest(
    connection: AsyncConnection,
    patient_id: int,
    from_at: datetime,
    most: int,
    *,
    before: Position | None = None,
) -> list[Look]:
    """Return what others did with the patient since *from_at*, the newest first.

    *before*: those that come after that one in this order.
    """
    at, chain, number = before or (None, None, None)
    values = {
        "before": at,
        "chain": chain,
        "number": number,
        "patient_id": patient_id,
        "from_at": from_at,
        "until_at": datetime.max.replace(tzinfo=from_at.tzinfo),
        "most": most,
    }
    async with connection.transaction():
        return [look async for look in looks(connection, _NEWEST, values, _LATEST_FIRST)]
