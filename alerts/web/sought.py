"""Whom somebody means who says that there is an emergency: by number, and not without end.

A number that nobody has here is logged, and counted: who tests whether somebody is a patient is
stopped. A reason comes first, so that nothing is told to who has none.
"""

import enum
from typing import Final

from psycopg import AsyncConnection

from alerts.care import emergency, identity
from alerts.care.people import Viewer
from alerts.web import throttle


class Miss(enum.Enum):
    """Why nobody was found; the value is what is read by who sought."""

    NO_REASON = (
        f"Skriv varför, med minst {emergency.WHY_CHARS_MIN} tecken. Någon annan läser det efteråt."
    )
    NOBODY = (
        "Ingen patient här har det numret. Läs av det en gång till. Du kan inte vänta: ring 112."
    )
    TOO_MANY = (
        "Du har sökt efter för många nummer som ingen har här. Vänta en kvart. "
        "Du kan inte vänta: ring 112, eller be en kollega öppna patienten."
    )


_BY_NUMBER: Final = "select patient_id from person where personal_number = %s"


def reason(why: str) -> str:
    """Return *why* on one line, without what a page or the database would refuse."""
    return "".join(letter if letter.isprintable() else " " for letter in why).strip()


async def seek(connection: AsyncConnection, viewer: Viewer, number: str, why: str) -> int | Miss:
    """Return who has the number.

    Args:
        connection: In no transaction: what is counted stays.
        viewer: A staff member who gives care.
        number: As she read it.
        why: Her reason.

    Raises:
        identity.IdentityError: It is no such number.
    """
    key = identity.normalize(number)
    if not emergency.is_reason(why):
        return Miss.NO_REASON
    limits = throttle.of_missed(viewer.staff_id or 0)
    if not await throttle.admit_within(connection, limits):
        return Miss.TOO_MANY
    row = await (await connection.execute(_BY_NUMBER, (key,))).fetchone()
    if row is None:
        await emergency.miss(connection, viewer)
        return Miss.NOBODY
    await throttle.forgive_one(connection, limits)
    return int(row[0])
