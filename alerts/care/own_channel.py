"""How a staff member is reached: what she adds, puts in order and takes away herself.

E-mail and SMS only: the address of another service can hold a key, or lead our server to a machine
that only it can reach; who looks after the system adds those (the care record file). What is added
is not used until a test has arrived (``alerts.channels.verify``).
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from alerts.care.roster import ADDRESSES
from alerts.channels.message import Kind

KINDS: Final = (Kind.EMAIL, Kind.SMS)
ADDRESS_CHARS_MAX: Final = 254  # of a mailbox, RFC 5321 §4.5.3.1.3
# Two telephones and two mailboxes, and one that is new.
CHANNELS_MAX: Final = 5
# Each can be tested, which costs money and rings with somebody; a slip or two a day is enough.
ADDED_MAX: Final = 10
ADDED_WITHIN: Final = timedelta(days=1)


class Refusal(enum.Enum):
    """Why it was not done; the value is what she reads."""

    ADDRESS = (
        "Adressen ser inte ut som en e-postadress eller ett mobilnummer. "
        "Skriv som namn@example.org eller 070-174 06 05. Inget har ändrats."
    )
    TOO_MANY = f"Du har redan {CHANNELS_MAX} kanaler. Ta bort en först. Inget har ändrats."
    TOO_OFTEN = (
        "Du har lagt till många kanaler i dag. Vänta till i morgon, eller säg till den som sköter "
        "systemet. Inget har ändrats."
    )
    CHANGED = "Kanalerna har ändrats under tiden. Ladda om sidan och försök igen."
    NOT_THERE = "Kanalen finns inte, eller är redan borttagen. Ladda om sidan."


async def add(
    connection: AsyncConnection, staff_id: int, kind: Kind, address: str, now: datetime
) -> int | Refusal:
    """Add a channel after those she has; return its number. One she has already is that one."""
    plain = _plain(kind, address)
    if plain is None:
        return Refusal.ADDRESS
    async with connection.transaction():
        await _hold(connection, staff_id)
        cursor = connection.cursor(row_factory=scalar_row)
        await cursor.execute(
            "select channel_id from channel where staff_id = %s and kind = %s and address = %s "
            "and ended_at is null",
            (staff_id, kind, plain),
        )
        known: int | None = await cursor.fetchone()
        if known is not None:
            return known
        counted = await connection.execute(
            "select count(*) filter (where ended_at is null), "
            "count(*) filter (where added_at > %s) from channel where staff_id = %s",
            (now - ADDED_WITHIN, staff_id),
        )
        living, lately = await counted.fetchone() or (0, 0)
        if living >= CHANNELS_MAX:
            return Refusal.TOO_MANY
        if lately >= ADDED_MAX:
            return Refusal.TOO_OFTEN
        await cursor.execute(
            "insert into channel (staff_id, kind, address, place, added_at) select %s, %s, %s, "
            "coalesce(max(place), 0) + 1, %s from channel where staff_id = %s and ended_at is null "
            "returning channel_id",
            (staff_id, kind, plain, now, staff_id),
        )
        return await cursor.fetchone() or 0


async def order(
    connection: AsyncConnection, staff_id: int, channel_ids: Sequence[int]
) -> Refusal | None:
    """Let her channels be tried in this order; all of them are named. None: done."""
    async with connection.transaction():
        await _hold(connection, staff_id)
        if sorted(channel_ids) != sorted(await _living(connection, staff_id)):
            return Refusal.CHANGED
        await connection.execute(
            "update channel set place = named.place "
            "from unnest(%s::bigint[]) with ordinality as named (channel_id, place) "
            "where channel.channel_id = named.channel_id",
            (list(channel_ids),),
        )
    return None


async def raise_one(connection: AsyncConnection, staff_id: int, channel_id: int) -> Refusal | None:
    """Let a channel be tried before the one that is tried before it. None: done."""
    async with connection.transaction():
        await _hold(connection, staff_id)
        living = await _living(connection, staff_id)
        if channel_id not in living:
            return Refusal.NOT_THERE
        place = max(living.index(channel_id) - 1, 0)
        living.remove(channel_id)
        living.insert(place, channel_id)
        return await order(connection, staff_id, living)


async def remove(
    connection: AsyncConnection, staff_id: int, channel_id: int, now: datetime
) -> Refusal | None:
    """Take a channel away; it is kept with its end. None: done."""
    done = await connection.execute(
        "update channel set ended_at = %s where channel_id = %s and staff_id = %s "
        "and ended_at is null",
        (now, channel_id, staff_id),
    )
    return None if done.rowcount else Refusal.NOT_THERE


async def _hold(connection: AsyncConnection, staff_id: int) -> None:
    """Let what she changes at the same moment in two windows come one after the other."""
    await connection.execute("select from staff where staff_id = %s for no key update", (staff_id,))


async def _living(connection: AsyncConnection, staff_id: int) -> list[int]:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(
        "select channel_id from channel where staff_id = %s and ended_at is null "
        "order by place, channel_id",
        (staff_id,),
    )
    return await cursor.fetchall()


def _plain(kind: Kind, address: str) -> str | None:
    """Return the address as it is kept; none if it is none. A Swedish number may begin with 0."""
    plain = address.strip()
    if kind is Kind.SMS:
        plain = "".join(letter for letter in plain if letter not in " -()\u00a0\u2011")
        if plain.startswith("00"):
            plain = f"+{plain[2:]}"
        elif plain.startswith("0"):
            plain = f"+46{plain[1:]}"
    if kind not in KINDS or len(plain) > ADDRESS_CHARS_MAX or not plain.isprintable():
        return None
    return plain if ADDRESSES[kind].fullmatch(plain) else None
