"""Who is asking, whether she may, and whether the form came from our own page.

A page that a viewer may not see does not exist for her: 404. Whatever touches a patient goes
through ``let_in``, which writes it into the access log before anything is shown.
"""

import secrets
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Form, HTTPException, Request
from psycopg import AsyncConnection

from alerts.access import Access, Ground, decide
from alerts.audit.chain import append
from alerts.audit.entry import DENIED, Action, Entry
from alerts.care.facts import facts
from alerts.care.people import Viewer
from alerts.web import session
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session

TOKEN_CHARS_MAX = 128


class LoginNeeded(Exception):
    """There is no valid session.

    Attributes:
        was_logged_in: A cookie was sent: the session has ended.
        next_path: Where to go after login.
    """

    def __init__(self, *, was_logged_in: bool, next_path: str) -> None:
        self.was_logged_in = was_logged_in
        self.next_path = next_path
        super().__init__()

    @property
    def location(self) -> str:
        """Return the login page's address."""
        expired = "expired=1&" if self.was_logged_in else ""
        return f"/login?{expired}next={quote(self.next_path, safe='/')}"


class Closed(HTTPException):
    """A patient is not open to who asks, or there is none: 404."""

    def __init__(self) -> None:
        super().__init__(404)


def cookie_name(services: ServicesOf, name: str = "session") -> str:
    """Return a cookie's name; ``__Host-`` pins it to HTTPS, this host and the whole path."""
    return f"__Host-{name}" if services.web.cookie_secure else name


async def anyone(request: Request, services: Services) -> Session:
    """Return the session of whoever is logged in."""
    token = request.cookies.get(cookie_name(services), "")
    if 0 < len(token) <= TOKEN_CHARS_MAX:
        async with services.pool.connection() as connection:
            found = await session.find(connection, token)
        if found is not None:
            return found
    path = request.url.path
    if request.url.query:
        path += f"?{request.url.query}"
    raise LoginNeeded(was_logged_in=bool(token), next_path=path if request.method == "GET" else "/")


Anyone = Annotated[Session, Depends(anyone)]


async def staff(found: Anyone) -> Session:
    """Return the session of a staff member who cares for patients."""
    if not found.viewer.gives_care:
        raise HTTPException(404)
    return found


async def technician(found: Anyone) -> Session:
    """Return the session of a technician, who sees gateways and devices and no patient."""
    if not found.viewer.is_technician:
        raise HTTPException(404)
    return found


async def patient(found: Anyone) -> Session:
    """Return the session of a patient."""
    if found.viewer.patient_id is None:
        raise HTTPException(404)
    return found


async def relative(found: Anyone) -> Session:
    """Return the session of a relative."""
    if found.viewer.relative_id is None:
        raise HTTPException(404)
    return found


Staff = Annotated[Session, Depends(staff)]
Technician = Annotated[Session, Depends(technician)]
Patient = Annotated[Session, Depends(patient)]
Relative = Annotated[Session, Depends(relative)]
FormToken = Annotated[str, Form(alias="csrf", max_length=TOKEN_CHARS_MAX)]


async def own_form(found: Anyone, csrf: FormToken = "") -> None:
    """Refuse a form that does not carry this session's token."""
    if not secrets.compare_digest(csrf.encode(), found.csrf_token.encode()):
        raise HTTPException(
            403, "Formuläret kom inte från den här sidan. Ladda om och försök igen."
        )


OwnForm = Depends(own_form)


async def let_in(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_id: int,
    action: Action,
    *,
    acts: bool = False,
) -> Access:
    """Return how far a patient is open to *viewer*; that she was here is committed by then.

    Args:
        connection: In no transaction: what is logged stays, whatever comes after.
        viewer: Who asks.
        patient_id: For whom.
        action: What it is that she wants to do. Something that *acts* is logged only when it is
            refused: who does it logs it with what came of it.
        acts: It changes something, and needs a relation of her own.

    Raises:
        Closed: She may not, or there is no such patient.
    """
    found = await _open(connection, viewer, patient_id, action)
    if acts and not found.may_act:
        await _note_refusal(connection, viewer, patient_id, action, found.ground)
        raise Closed
    if not acts:
        await append(connection, Entry.by(viewer, action, found.ground, patient_id=patient_id))
    return found


async def let_speak(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_id: int,
    action: Action,
    *,
    reads: bool = False,
) -> Access:
    """Return how far a patient is open to who says or reads what she wills.

    That is she herself, and who cares for her; to all others it does not exist. A refusal is
    logged here, and that somebody *reads*; who writes logs it with what came of it.

    Raises:
        Closed: She may not, or there is no such patient.
    """
    found = await _open(connection, viewer, patient_id, action)
    if not found.may_speak:
        await _note_refusal(connection, viewer, patient_id, action, found.ground)
        raise Closed
    if reads:
        await append(connection, Entry.by(viewer, action, found.ground, patient_id=patient_id))
    return found


async def _open(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, action: Action
) -> Access:
    known = (await facts(connection, viewer, [patient_id])).get(patient_id)
    if known is None:
        raise Closed
    found = decide(viewer, known)
    if not isinstance(found, Access):
        await _note_refusal(connection, viewer, patient_id, action, found.why)
        raise Closed
    return found


async def _note_refusal(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, action: Action, why: str
) -> None:
    entry = Entry.by(viewer, action, DENIED, patient_id=patient_id, detail={"why": why})
    await append(connection, entry)


async def note_listed(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_ids: Iterable[int],
    waiting: Iterable[int] = (),
) -> None:
    """Log that a list showed these patients to *viewer*; one that shows nobody is no look.

    Args:
        connection: The database.
        viewer: To whom.
        patient_ids: Those she has a relation to.
        waiting: Those of whom something waits, for her or for her unit.
    """
    own, others = set(patient_ids), set(waiting) - set(patient_ids)
    known = await facts(connection, viewer, sorted(others)) if others else {}
    own |= {patient_id for patient_id, found in known.items() if found.relations}
    for ground, patients in ((Ground.RELATION, own), (Ground.QUEUE, others - own)):
        if patients:
            entry = Entry.by(
                viewer, Action.WORKLIST_SEEN, ground, patient_ids=tuple(sorted(patients))
            )
            await append(connection, entry)
