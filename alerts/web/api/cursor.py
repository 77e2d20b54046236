"""Cursors: where the next page begins, opaque to the client. Pure.

One is signed for a login and what it pages through: it is good there and nowhere else, and one
that somebody made up is refused.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from alerts.web.api.problem import Refused, Words
from alerts.web.session import Session

CHARS_MAX: Final = 200
_Row = TypeVar("_Row")
_MAC_BYTES: Final = 16
_FORGED: Final = Words(
    "cursor",
    "Sidan finns inte",
    "Markören är inte från den här listan eller den här inloggningen. Börja om utan markör.",
)


def write(found: Session, purpose: str, position: str) -> str:
    """Return a cursor to *position* in what *purpose* names, for this login."""
    raw = position.encode()
    return base64.urlsafe_b64encode(_mac(found, purpose, raw) + raw).decode().rstrip("=")


def read(found: Session, purpose: str, cursor: str) -> str:
    """Return the position that we wrote.

    Raises:
        Refused: We did not, or not for this login and purpose.
    """
    try:
        both = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise Refused(400, _FORGED) from None
    mac, raw = both[:_MAC_BYTES], both[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(found, purpose, raw)):
        raise Refused(400, _FORGED)
    return raw.decode()


def page(
    found: Session,
    purpose: str,
    rows: Sequence[_Row],
    most: int,
    place: Callable[[_Row], tuple[datetime | int | str, ...]],
) -> tuple[Sequence[_Row], str | None]:
    """Return the first *most* of *rows*, and the cursor to those after; none: these are the last.

    *place* says where a row stands in the order.
    """
    shown = rows[:most]
    if len(rows) <= most:
        return shown, None
    told = (
        each.isoformat() if isinstance(each, datetime) else str(each) for each in place(shown[-1])
    )
    return shown, write(found, purpose, " ".join(told))


def moment(found: Session, purpose: str, cursor: str | None) -> datetime | None:
    """Return the time that a cursor says; none: there is no cursor.

    Raises:
        Refused: It is none of ours.
    """
    return datetime.fromisoformat(read(found, purpose, cursor)) if cursor else None


def numbered(found: Session, purpose: str, cursor: str | None) -> tuple[datetime, int] | None:
    """Return the time and number that a cursor says; none: there is no cursor.

    Raises:
        Refused: It is none of ours.
    """
    if not cursor:
        return None
    at, _, number = read(found, purpose, cursor).partition(" ")
    return datetime.fromisoformat(at), int(number)


def _mac(found: Session, purpose: str, raw: bytes) -> bytes:
    # The login's hash, which leaves the database for no client.
    told = f"cursor {purpose} ".encode() + raw
    return hmac.digest(found.token_hash, told, hashlib.sha256)[:_MAC_BYTES]
