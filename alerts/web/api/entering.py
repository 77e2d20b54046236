"""Who asks, whether the write is her own, and how far a patient is open: as for the pages.

Nothing here decides: ``alerts.web.guard`` does, and writes the access log.
"""

import secrets
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Path, Query
from psycopg import AsyncConnection
from pydantic import Field

from alerts.access import Access, Scope
from alerts.audit.entry import Action
from alerts.care.people import Viewer
from alerts.web.api import cursor
from alerts.web.guard import TOKEN_CHARS_MAX, Anyone, Closed, Staff, let_in
from alerts.web.session import Session

__all__ = ["Anyone", "Cursor", "Id", "Number", "Staff", "Writer", "alert_patient", "look", "seen"]

Id = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[12])]
# A number in a body.
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
Cursor = Annotated[
    str | None,
    Query(
        alias="cursor",
        max_length=cursor.CHARS_MAX,
        description="`next_cursor` of the page before.",
    ),
]


async def _writer(
    found: Anyone,
    x_csrf_token: Annotated[str, Header(max_length=TOKEN_CHARS_MAX, include_in_schema=False)] = "",
) -> Session:
    """Return the session of who writes, if the write carries its token."""
    if not secrets.compare_digest(x_csrf_token.encode(), found.csrf_token.encode()):
        raise HTTPException(403)
    return found


Writer = Annotated[Session, Depends(_writer)]


async def look(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, scope: Scope | None = None
) -> Access:
    """Return how far a patient is open; that *viewer* was here is committed by then.

    Raises:
        Closed: She is not, or not the part *scope* of her, or there is no such patient.
    """
    access = await let_in(connection, viewer, patient_id, seen(viewer))
    if scope is not None and not access.sees(scope):
        raise Closed
    return access


def seen(viewer: Viewer) -> Action:
    """Return what it is called in the access log that *viewer* looks at a patient."""
    if viewer.patient_id is not None:
        return Action.OWN_PAGE_SEEN
    return Action.RELATIVE_PAGE_SEEN if viewer.relative_id is not None else Action.PATIENT_SEEN


async def alert_patient(connection: AsyncConnection, alert_id: int) -> int:
    """Return whom an alert is about.

    Raises:
        Closed: There is no such alert.
    """
    row = await (
        await connection.execute("select patient_id from alert where alert_id = %s", (alert_id,))
    ).fetchone()
    if row is None:
        raise Closed
    return int(row[0])
