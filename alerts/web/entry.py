"""What every way to log in shares: forms before there is a session, cookies, and the way in."""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from psycopg import AsyncConnection

from alerts import accounts
from alerts.web import session, throttle
from alerts.web.guard import TOKEN_CHARS_MAX, cookie_name
from alerts.web.pages import page
from alerts.web.services import ServicesOf
from alerts.web.session import Method

_log = structlog.get_logger()

NEXT_CHARS_MAX: Final = 500
STALE: Final = "Sidan hade legat öppen för länge. Försök igen."
# Whose login is over begins anew.
AGAIN: Final = "/login?expired=1"
Still = Callable[[AsyncConnection], Awaitable[bool]]
_FORM: Final = "login"
_STEP: Final = "step"
_TOKEN_BYTES: Final = 16
_TOO_MANY: Final = 429


def form_page(
    request: Request,
    services: ServicesOf,
    template: str,
    *,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """Return a page whose form carries a token that only this browser has."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    retry = int(throttle.WINDOW.total_seconds())
    response = page(
        request,
        template,
        status=status,
        headers={"Retry-After": str(retry)} if status == _TOO_MANY else None,
        csrf=token,
        **context,
    )
    set_cookie(response, services, _FORM, token)
    return response


def is_own_form(request: Request, services: ServicesOf, csrf: str) -> bool:
    """Return whether a form came from a page that ``form_page`` gave this browser."""
    expected = request.cookies.get(cookie_name(services, _FORM), "")
    return bool(expected) and secrets.compare_digest(csrf.encode(), expected.encode())


def to_step(services: ServicesOf, location: str, token: str) -> Response:
    """Send the browser to the next step of a login, with the cookie that it belongs to."""
    response = RedirectResponse(location, 303)
    set_cookie(response, services, _STEP, token)
    return response


def step_token(request: Request, services: ServicesOf) -> str:
    """Return the cookie of the login that has begun in this browser, or ""."""
    token = request.cookies.get(cookie_name(services, _STEP), "")
    return token if len(token) <= TOKEN_CHARS_MAX else ""


async def let_in(
    request: Request,
    services: ServicesOf,
    account_id: int,
    *,
    next_path: str,
    method: Method,
    still: Still,
    assurance: str = "",
    provider_sid: str = "",
    lands_on: Response | None = None,
) -> Response:
    """Start a session; the one that this browser had before ends.

    *still* tells whether what proved who she is counts now. It is asked while nobody can change
    her account: one that was logged out, or given another password, a moment ago is not let in.
    She lands on *next_path*, or on a page that is made already.
    """
    before = request.cookies.get(cookie_name(services), "")
    async with services.pool.connection() as connection, connection.transaction():
        await accounts.hold(connection, account_id)
        if not await still(connection):
            return RedirectResponse(AGAIN, 303)
        if 0 < len(before) <= TOKEN_CHARS_MAX:
            await session.end_token(connection, before)
        token = await session.start(connection, account_id, method, assurance, provider_sid)
    _log.info("login.done", account=account_id, method=method.value, assurance=assurance)
    response = lands_on or RedirectResponse(local(next_path), 303)
    for name in (_FORM, _STEP):
        drop_cookie(response, services, name)
    set_cookie(response, services, "session", token)
    return response


def set_cookie(response: Response, services: ServicesOf, name: str, value: str) -> None:
    """Give the browser a cookie that no script reads, until it is closed."""
    response.set_cookie(
        cookie_name(services, name),
        value,
        httponly=True,
        secure=services.web.cookie_secure,
        samesite="lax",  # a link in a message, and the provider's answer, must land
        path="/",
    )


def drop_cookie(response: Response, services: ServicesOf, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        cookie_name(services, name), secure=services.web.cookie_secure, httponly=True
    )


def address_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else ""


def local(path: str) -> str:
    """Return *path* if it leads to a page of ours, else the first page."""
    plain = re.fullmatch(r"/(?:[A-Za-z0-9_\-./?=&#]*)", path) and not path.startswith("//")
    return path if plain and len(path) <= NEXT_CHARS_MAX else "/"
