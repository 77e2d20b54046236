"""The version of an alert that a client has before her, and what has happened since."""

import hashlib
import re
from typing import Final

from psycopg import AsyncConnection

from alerts.alert import Event
from alerts.care.people import Viewer
from alerts.case import Case
from alerts.web.api import queries, shown
from alerts.web.api.problem import AlertChange, Refused, Words, missing_if_match

# What a person must have read before she acts; being told and shown changes nothing of it.
_CHANGING: Final[list[str]] = [
    event.value
    for event in (
        Event.OPENED,
        Event.JOINED,
        Event.RAISED,
        Event.REOPENED,
        Event.ROUTED,
        Event.ACKNOWLEDGED,
        Event.ACK_EXPIRED,
        Event.SNOOZED,
        Event.SNOOZE_ENDED,
        Event.SNOOZE_BROKEN,
        Event.CLOSED,
    )
]
_CHANGES_MAX: Final = 20
_NUMBER_MAX: Final = 2**63 - 1
_TAG: Final = re.compile(r'"(\d{1,19})\.([0-9a-f]{32})"')


async def etag(connection: AsyncConnection, case: Case, viewer: Viewer) -> str:
    """Return what names this version: how far its log had come, and a hash of all that is shown."""
    newest = await queries.changes(connection, case.alert_id, _CHANGING, after=0, most=1)
    number = newest[0].entry_id if newest else 0
    text = f"{case.newest_breach_id} {shown.alert(case, viewer).model_dump_json()}"
    return f'"{number}.{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


async def demand(connection: AsyncConnection, case: Case, viewer: Viewer, if_match: str) -> None:
    """Let go on who has the present version before her. The alert's row is locked by the caller.

    Raises:
        Refused: She names no version (428), or another: what has changed, and by whom (412).
    """
    named = _TAG.findall(if_match)
    if not if_match or (not named and if_match.strip() == "*"):
        raise missing_if_match()
    now = await etag(connection, case, viewer)
    if any(f'"{number}.{digest}"' == now for number, digest in named):
        return
    after = min((int(number) for number, _ in named), default=0)
    raise await _stale(connection, case, now, after=min(after, _NUMBER_MAX))


def is_same(now: str, if_none_match: str) -> bool:
    """Tell whether the client has the present version already (RFC 9110, section 13.1.2)."""
    seen = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return now in seen or seen == ["*"]


async def unread(connection: AsyncConnection, case: Case, viewer: Viewer) -> Refused:
    """Return the refusal of who has read the log, and not what came to the alert without an entry.

    A breach that was found before the alert was opened is linked to it later, by ingest.
    """
    now = await etag(connection, case, viewer)
    named = _TAG.fullmatch(now)
    assert named is not None
    return await _stale(connection, case, now, after=int(named[1]))


async def _stale(connection: AsyncConnection, case: Case, now: str, *, after: int) -> Refused:
    """Return the refusal of who has not read what has happened since the log's entry *after*."""
    since = await queries.changes(
        connection, case.alert_id, _CHANGING, after=after, most=_CHANGES_MAX
    )
    changes = [AlertChange(at=one.at, event=one.event, staff_name=one.staff_name) for one in since]
    what = shown.entry(since[0]).text if since else "Något som larmet visar är nytt"
    words = Words(
        "alert-changed",
        "Larmet har ändrats sedan du läste det",
        f"{what}. Läs larmet igen och försök sedan. Inget har ändrats av dig.",
    )
    return Refused(412, words, changes=changes, headers={"ETag": now})
