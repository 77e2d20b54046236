"""Local login and logout: names and passwords of this installation's own accounts."""

import re
import secrets
from typing import Annotated, Final

from anyio import to_thread
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from psycopg import AsyncConnection

from alerts import password
from alerts.care.record import PASSWORD_CHARS_MAX, USERNAME
from alerts.signal import notify_worklists
from alerts.web import session, throttle
from alerts.web.guard import TOKEN_CHARS_MAX, Anyone, OwnForm, cookie_name
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf

router = APIRouter()

_TOKEN_BYTES: Final = 16
_NEXT_CHARS_MAX: Final = 500

_WRONG: Final = "Användarnamnet eller lösenordet stämmer inte. Försök igen."
_TOO_MANY: Final = (
    f"För många försök. Vänta {int(throttle.WINDOW.total_seconds() // 60)} minuter och försök igen."
)
_STALE: Final = "Sidan hade legat öppen för länge. Försök igen."


@router.get("/login")
async def login_page(
    request: Request,
    services: Services,
    expired: str = "",
    next: str = "/",  # noqa: A002
) -> HTMLResponse:
    """Show the form."""
    told = "Du har loggats ut. Logga in igen." if expired else ""
    return _form(request, services, told=told, next_path=next)


@router.post("/login")
async def login(
    *,
    request: Request,
    services: Services,
    username: Annotated[str, Form(max_length=200)] = "",
    secret: Annotated[str, Form(alias="password", max_length=1000)] = "",
    csrf: Annotated[str, Form(max_length=TOKEN_CHARS_MAX)] = "",
    next: Annotated[str, Form(max_length=_NEXT_CHARS_MAX)] = "/",  # noqa: A002
) -> Response:
    """Start a session for who knows the password."""
    expected = request.cookies.get(cookie_name(services, "login"), "")
    if not expected or not secrets.compare_digest(csrf.encode(), expected.encode()):
        return _form(request, services, told=_STALE, next_path=next, status=403)
    name = username.strip().lower()
    address = request.client.host if request.client else ""
    async with services.pool.connection() as connection:
        if not await throttle.admit(connection, name, address):
            return _form(request, services, told=_TOO_MANY, next_path=next, status=429)
        account = await _account(connection, name)
    account_id, password_hash = account or (None, password.NOBODYS_HASH)
    knows = len(secret) <= PASSWORD_CHARS_MAX and await to_thread.run_sync(
        password.is_password, secret, password_hash, limiter=services.hashing
    )
    if account_id is None or not knows:
        return _form(request, services, told=_WRONG, next_path=next, username=name, status=401)
    async with services.pool.connection() as connection:
        await throttle.forgive(connection, name, address)
        token = await session.start(connection, account_id)
    response = RedirectResponse(_local(next), 303)
    response.delete_cookie(
        cookie_name(services, "login"), secure=services.web.cookie_secure, httponly=True
    )
    _set_cookie(response, services, "session", token)
    return response


@router.post("/logout", dependencies=[OwnForm])
async def logout(services: Services, found: Anyone) -> Response:
    """End the session and its open streams."""
    async with services.pool.connection() as connection:
        await session.end(connection, found.token_hash)
        await notify_worklists(connection, [found.topic])
    response = RedirectResponse("/login", 303)
    response.delete_cookie(cookie_name(services), secure=services.web.cookie_secure, httponly=True)
    return response


def _form(
    request: Request,
    services: ServicesOf,
    *,
    told: str,
    next_path: str,
    username: str = "",
    status: int = 200,
) -> HTMLResponse:
    """Return the login page, with a token that only this browser has."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    retry = int(throttle.WINDOW.total_seconds())
    response = page(
        request,
        "login.html",
        status=status,
        headers={"Retry-After": str(retry)} if status == 429 else None,  # noqa: PLR2004
        told=told,
        next_path=_local(next_path),
        username=username,
        csrf=token,
    )
    _set_cookie(response, services, "login", token)
    return response


def _set_cookie(response: Response, services: ServicesOf, name: str, value: str) -> None:
    response.set_cookie(
        cookie_name(services, name),
        value,
        httponly=True,
        secure=services.web.cookie_secure,
        samesite="lax",  # a link in a message must land where it points
        path="/",
    )


async def _account(connection: AsyncConnection, username: str) -> tuple[int, str] | None:
    if not re.fullmatch(USERNAME, username):
        return None
    cursor = await connection.execute(
        "select account_id, password_hash from account where username = %s", (username,)
    )
    row: tuple[int, str] | None = await cursor.fetchone()
    return row


def _local(path: str) -> str:
    """Return *path* if it leads to a page of ours, else the first page."""
    plain = re.fullmatch(r"/(?:[A-Za-z0-9_\-./?=&#]*)", path) and not path.startswith("//")
    return path if plain and len(path) <= _NEXT_CHARS_MAX else "/"
