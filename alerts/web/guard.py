"""Who is asking, and whether the form came from our own page. Dependencies of the routes.

A page that a viewer may not see does not exist for her: 404.
"""

import secrets
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Form, HTTPException, Request

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
    if found.viewer.staff_id is None or found.viewer.is_technician:
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


Staff = Annotated[Session, Depends(staff)]
Technician = Annotated[Session, Depends(technician)]
Patient = Annotated[Session, Depends(patient)]
FormToken = Annotated[str, Form(alias="csrf", max_length=TOKEN_CHARS_MAX)]


async def own_form(found: Anyone, csrf: FormToken = "") -> None:
    """Refuse a form that does not carry this session's token."""
    if not secrets.compare_digest(csrf.encode(), found.csrf_token.encode()):
        raise HTTPException(
            403, "Formuläret kom inte från den här sidan. Ladda om och försök igen."
        )


OwnForm = Depends(own_form)
