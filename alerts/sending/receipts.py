"""What a provider says afterwards of a message it took."""

import enum
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.channels.outcome import Fault, State
from alerts.sending import health, notices, rows, store


class Status(enum.StrEnum):
    """What became of a message."""

    SENT = "sent"  # on its way to her telephone
    DELIVERED = "delivered"
    FAILED = "failed"


class Answer(enum.StrEnum):
    """What became of a receipt."""

    NOTED = "noted"
    KNOWN = "known"  # said before, or of no consequence any more
    STRANGE = "strange"  # there is no such attempt, or it is another message's


# What was delivered cannot fail afterwards; what failed may arrive all the same.
_NOTE: Final = """
update attempt set state = %(state)s, fault = %(fault)s, provider_key = %(key)s,
    answered_at = coalesce(answered_at, %(at)s),
    delivered_at = case when %(is_delivered)s then %(at)s::timestamptz end
where attempt_id = %(attempt_id)s and state <> 'delivered' and state <> %(state)s
"""
# "When it was last seen to arrive." That a test has arrived does not say with whom: its code does.
_VERIFIED: Final = """
update channel c set verified_at = greatest(c.verified_at, %(at)s) from attempt t
where t.attempt_id = %(attempt_id)s and c.channel_id = t.channel_id and t.test_id is null
"""
# Also that it is on its way proves that receipts come.
_CAME: Final = """
update attempt set receipt_at = %s where attempt_id = %s and receipt_at is null
"""
_KNOWN: Final = "select provider_key from attempt where attempt_id = %s for update"


async def note(
    connection: AsyncConnection[Any], attempt_id: int, key: str, status: Status, at: datetime
) -> Answer:
    """Keep a receipt.

    Args:
        connection: In no transaction.
        attempt_id: Of which attempt; the caller has checked that the provider was given it.
        key: The provider's name of the message.
        status: What it says.
        at: The database's time.
    """
    async with connection.transaction():
        row = await rows.hold(connection, attempt_id)
        notice = None if row else await notices.hold(connection, attempt_id)
        known = await (await connection.execute(_KNOWN, (attempt_id,))).fetchone()
        if known is None or known[0] not in (None, key):
            return Answer.STRANGE
        await connection.execute(_CAME, (at, attempt_id))
        if status is Status.SENT:
            return Answer.KNOWN
        is_delivered = status is Status.DELIVERED
        values = {
            "attempt_id": attempt_id,
            "state": State.DELIVERED if is_delivered else State.FAILED,
            "fault": None if is_delivered else Fault.ADDRESS,
            "key": key,
            "at": at,
            "is_delivered": is_delivered,
        }
        if (await connection.execute(_NOTE, values)).rowcount == 0:
            return Answer.KNOWN
        if is_delivered:
            await connection.execute(_VERIFIED, values)
        await health.of_channel(connection, attempt_id, at)
        if row is not None:
            await store.settle(connection, row, at)
        if notice is not None:
            await notices.settle(connection, notice, at)
    return Answer.NOTED
