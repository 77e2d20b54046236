"""Testing a channel: a message with a code, and the code back. Then it is known to arrive.

Each test is an attempt like those of alerts: what the provider says of it is kept, and counts when
a channel fails. The code is not kept, only a salted hash; it is short because somebody copies it
from a telephone, and so it lives for minutes and may be guessed a few times.
"""

import enum
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.channels import message
from alerts.channels.channel import Carriers, send_safely
from alerts.channels.message import Kind
from alerts.channels.outcome import Outcome, State
from alerts.sending import health, rows

CODE_DIGITS: Final = 6
# A letter may take some minutes; who is called away comes back to a new code.
LIFE: Final = timedelta(minutes=15)
TRIES_MAX: Final = 5
# Each costs money, and rings with somebody.
ASKED_MAX: Final = 5
ASKED_WITHIN: Final = timedelta(hours=1)
# More than anybody has.
LIST_MAX: Final = 20
_SALT_BYTES: Final = 16


class Asked(enum.StrEnum):
    """What became of a wish for a test."""

    SENT = "sent"  # somebody took the message; the code is to come back
    NOT_SENT = "not_sent"  # the provider or the address does not take it
    TOO_OFTEN = "too_often"
    NO_CARRIER = "no_carrier"  # messages of this kind are not sent here
    NOT_FOUND = "not_found"  # there is no such channel of hers


class Confirmed(enum.StrEnum):
    """What became of a code."""

    YES = "yes"
    WRONG = "wrong"
    TOO_LATE = "too_late"  # it is too old, tried too often or used, or there was none
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Mine:
    """A channel as its owner sees it."""

    channel_id: int
    kind: str
    address: str
    verified_at: datetime | None
    failing_since: datetime | None
    is_asked: bool  # a code of hers is on its way

    @property
    def shown(self) -> str:
        """The address, or nothing if it holds a key."""
        return "" if self.kind == Kind.APPRISE else self.address


async def mine(connection: AsyncConnection[Any], staff_id: int, at: datetime) -> list[Mine]:
    """Return the channels of a staff member, in the order in which they are tried."""
    cursor = connection.cursor(row_factory=class_row(Mine))
    await cursor.execute(
        "select channel_id, kind, address, verified_at, failing_since, exists ("
        "  select from channel_test t where t.channel_id = c.channel_id "
        "  and t.confirmed_at is null and t.expires_at > %s and t.tries < %s) as is_asked "
        "from channel c where staff_id = %s and ended_at is null "
        "order by failing_since is not null, place, channel_id limit %s",
        (at, TRIES_MAX, staff_id, LIST_MAX),
    )
    return await cursor.fetchall()


async def ask(
    connection: AsyncConnection[Any],
    carriers: Carriers,
    staff_id: int,
    channel_id: int,
    at: datetime,
) -> Asked:
    """Send a code to one of her channels.

    Args:
        connection: In no transaction: the code is kept before it is sent.
        carriers: Ways to send it.
        staff_id: Whose channel it is.
        channel_id: Which.
        at: The database's time.
    """
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    salt = secrets.token_bytes(_SALT_BYTES)
    async with connection.transaction():
        found = await _hold(connection, staff_id, channel_id)
        if found is None:
            return Asked.NOT_FOUND
        kind, address = found
        carrier = carriers.by_kind.get(Kind(kind))
        if carrier is None:
            return Asked.NO_CARRIER
        asked = await connection.execute(
            "select count(*) from channel_test where channel_id = %s and asked_at > %s",
            (channel_id, at - ASKED_WITHIN),
        )
        (number,) = await asked.fetchone() or (0,)
        if number >= ASKED_MAX:
            return Asked.TOO_OFTEN
        test = (channel_id, _hash(code, salt), at, at + LIFE)
        attempt_id = await _begin(connection, channel_id, test, at)
    outcome = await send_safely(carrier, address, message.of_test(code), attempt_id)
    async with connection.transaction():
        await rows.answer(connection, attempt_id, outcome, at)
        await health.of_channel(connection, attempt_id, at)
    return Asked.SENT if _may_arrive(outcome) else Asked.NOT_SENT


async def confirm(
    connection: AsyncConnection[Any], staff_id: int, channel_id: int, code: str, at: datetime
) -> Confirmed:
    """Compare a code with the newest one that was sent; the channel works if it is the same."""
    async with connection.transaction():
        if await _hold(connection, staff_id, channel_id) is None:
            return Confirmed.NOT_FOUND
        cursor = await connection.execute(
            "select test_id, code_hash, expires_at > %s and tries < %s and confirmed_at is null "
            "from channel_test where channel_id = %s order by asked_at desc, test_id desc limit 1",
            (at, TRIES_MAX, channel_id),
        )
        test_id, kept, is_alive = await cursor.fetchone() or (0, b"", False)
        if not is_alive:
            return Confirmed.TOO_LATE
        given = "".join(code.split())
        is_right = hmac.compare_digest(_hash(given, kept[:_SALT_BYTES]), kept)
        await connection.execute(
            "update channel_test set tries = tries + 1, "
            "confirmed_at = case when %s then %s::timestamptz end where test_id = %s",
            (is_right, at, test_id),
        )
        if not is_right:
            return Confirmed.WRONG
        await connection.execute(
            "update channel set verified_at = %s, failing_since = null where channel_id = %s",
            (at, channel_id),
        )
    return Confirmed.YES


async def _hold(
    connection: AsyncConnection[Any], staff_id: int, channel_id: int
) -> tuple[str, str] | None:
    """Lock her channel: guesses and wishes come one after the other."""
    cursor = await connection.execute(
        "select kind, address from channel "
        "where channel_id = %s and staff_id = %s and ended_at is null for update",
        (channel_id, staff_id),
    )
    row: tuple[str, str] | None = await cursor.fetchone()
    return row


async def _begin(
    connection: AsyncConnection[Any], channel_id: int, test: tuple[Any, ...], at: datetime
) -> int:
    """Write a test and its attempt; end those of the channel whose senders have died."""
    old = await connection.execute(
        "select test_id from channel_test where channel_id = %s", (channel_id,)
    )
    await rows.bury(connection, [test_id for (test_id,) in await old.fetchall()], at, rows.Of.TEST)
    written = await connection.execute(
        "insert into channel_test (channel_id, code_hash, asked_at, expires_at) "
        "values (%s, %s, %s, %s) returning test_id",
        test,
    )
    (test_id,) = await written.fetchone() or (0,)
    begun = await connection.execute(
        "insert into attempt (test_id, channel_id, number, began_at) values (%s, %s, 1, %s) "
        "returning attempt_id",
        (test_id, channel_id, at),
    )
    (attempt_id,) = await begun.fetchone() or (0,)
    return int(attempt_id)


def _hash(code: str, salt: bytes) -> bytes:
    return salt + hashlib.sha256(salt + code.encode()).digest()


def _may_arrive(outcome: Outcome) -> bool:
    return outcome.state is not State.FAILED
