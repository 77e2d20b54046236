"""Login by name and password of this installation's own accounts; logout.

Whose passwords count is told in the configuration: as it stands, nobody's. A password is the first
of two: the one-time code follows (``routes/code.py``).
"""

import re
from datetime import datetime
from typing import Annotated, Final

import structlog
from anyio import to_thread
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from psycopg import AsyncConnection

from alerts import accounts, password, totp
from alerts.accounts import Account
from alerts.care.field import PASSWORD_CHARS_MAX, USERNAME
from alerts.config import Local, SecondFactor
from alerts.signal import notify_worklists
from alerts.totp import database_now
from alerts.web import session, steps, throttle
from alerts.web.entry import (
    AGAIN,
    NEXT_CHARS_MAX,
    STALE,
    address_of,
    drop_cookie,
    form_page,
    is_own_form,
    let_in,
    local,
    to_step,
)
from alerts.web.guard import TOKEN_CHARS_MAX, Anyone, OwnForm
from alerts.web.oidc import ProviderAway
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Method, Session

router = APIRouter()

_log = structlog.get_logger()

_WRONG: Final = "Användarnamnet eller lösenordet stämmer inte. Försök igen."
_TOO_MANY: Final = (
    f"För många försök. Vänta {int(throttle.WINDOW.total_seconds() // 60)} minuter och försök igen."
)
_CROWDED: Final = "Många loggar in just nu. Vänta en minut och försök igen."
# Each waits some 50 ms for those before her, and holds memory meanwhile.
HASHING_WAITING_MAX: Final = 100
_ELSEWHERE: Final = (
    "Du är utloggad här, men kanske inte hos inloggningstjänsten. Stäng webbläsaren om andra "
    "använder datorn."
)
_OFF: Final = "Här loggar ingen in med lösenord."


@router.get("/login")
async def login_page(
    request: Request,
    services: Services,
    expired: str = "",
    kvar: str = "",
    next: str = "/",  # noqa: A002
) -> HTMLResponse:
    """Show the ways to log in."""
    told = _ELSEWHERE if kvar else "Du har loggats ut. Logga in igen." if expired else ""
    return _form(request, services, told=told, next_path=next)


@router.post("/login")
async def login(
    *,
    request: Request,
    services: Services,
    username: Annotated[str, Form(max_length=200)] = "",
    secret: Annotated[str, Form(alias="password", max_length=1000)] = "",
    csrf: Annotated[str, Form(max_length=TOKEN_CHARS_MAX)] = "",
    next: Annotated[str, Form(max_length=NEXT_CHARS_MAX)] = "/",  # noqa: A002
) -> Response:
    """Let in who knows the password, or ask her for a code."""
    if not is_own_form(request, services, csrf):
        return _form(request, services, told=STALE, next_path=next, status=403)
    if services.login.local is Local.OFF:
        return _form(request, services, told=_OFF, next_path=next, status=403)
    if services.hashing.statistics().tasks_waiting >= HASHING_WAITING_MAX:
        return _form(request, services, told=_CROWDED, next_path=next, status=503)
    name, address = username.strip().lower(), address_of(request)
    async with services.pool.connection() as connection:
        if not await throttle.admit(connection, name, address):
            return _form(request, services, told=_TOO_MANY, next_path=next, status=429)
        account = await _account(connection, services, name)
    known = (account.password_hash if account else None) or password.NOBODYS_HASH
    knows = len(secret) <= PASSWORD_CHARS_MAX and await to_thread.run_sync(
        password.is_password, secret, known, limiter=services.hashing
    )
    if account is None or not knows:
        _log.warning("login.refused", reason="password", account=account and account.account_id)
        return _form(request, services, told=_WRONG, next_path=next, username=name, status=401)
    async with services.pool.connection() as connection:
        await throttle.forgive(connection, name, address)
    return await _with_code(request, services, account, local(next))


@router.post("/logout", dependencies=[OwnForm])
async def logout(request: Request, services: Services, found: Anyone) -> Response:
    """End the session and its open streams, here and where she proved who she is."""
    async with services.pool.connection() as connection:
        await session.end(connection, found.token_hash)
        await notify_worklists(connection, [found.topic])
        now = await database_now(connection)
    response = await _after(request, services, found, now)
    drop_cookie(response, services, "session")
    return response


async def _after(request: Request, services: ServicesOf, found: Session, now: datetime) -> Response:
    """Return where a browser goes that has logged out here: on to log out at the provider.

    By a page of ours, for no form of ours may lead to another's address.
    """
    if services.provider is None or found.method is not Method.PROVIDER:
        return RedirectResponse("/login", 303)
    try:
        address = await services.provider.logout_address(now)
    except ProviderAway as error:
        _log.error("login.provider_away", problem=str(error))
        return RedirectResponse("/login?kvar=1", 303)
    if not address:
        return RedirectResponse("/login?kvar=1", 303)
    return page(request, "logged_out.html", address=address)


async def _with_code(
    request: Request, services: ServicesOf, account: Account, next_path: str
) -> Response:
    """Ask for a code, or for setting one up; let in who needs none."""
    if account.totp_secret is None and services.login.second_factor is SecondFactor.OFFERED:
        return await let_in(
            request,
            services,
            account.account_id,
            next_path=next_path,
            method=Method.PASSWORD,
            still=lambda connection: accounts.has_password(connection, account),
        )
    async with services.pool.connection() as connection, connection.transaction():
        if not await accounts.has_password(connection, account):
            return RedirectResponse(AGAIN, 303)  # it was changed while we looked at it
        if account.totp_secret is not None:
            token = await steps.keep_code(connection, account.account_id, next_path, None)
            return to_step(services, "/login/kod", token)
        assert services.seal is not None  # the configuration cannot be without
        offered = services.seal.seal(totp.new_secret(), account.account_id)
        token = await steps.keep_code(connection, account.account_id, next_path, offered)
    return to_step(services, "/login/kod/ny", token)


async def _account(
    connection: AsyncConnection, services: ServicesOf, username: str
) -> Account | None:
    """Return the account of a name whose password counts here."""
    if not re.fullmatch(USERNAME, username):
        return None
    found = await accounts.by_username(connection, username)
    if found is None or found.password_hash is None:
        return None
    is_counted = services.login.local is Local.ALL or not found.is_staff
    return found if is_counted else None


def _form(
    request: Request,
    services: ServicesOf,
    *,
    told: str,
    next_path: str,
    username: str = "",
    status: int = 200,
) -> HTMLResponse:
    provider = services.login.provider
    return form_page(
        request,
        services,
        "login.html",
        status=status,
        told=told,
        next_path=local(next_path),
        username=username,
        passwords=services.login.local,
        provider=provider.label if provider else "",
    )
