"""Mitt konto: where I am logged in, and ending that; setting up a one-time code."""

from typing import Annotated, Final

import structlog
from fastapi import APIRouter, BackgroundTasks, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from alerts import accounts, recovery, totp
from alerts.signal import notify_worklists
from alerts.totp import Unreadable
from alerts.web import session, steps, throttle
from alerts.web.entry import drop_cookie, to_step
from alerts.web.guard import Anyone, OwnForm
from alerts.web.pages import page
from alerts.web.routes.code import TOO_MANY, UNREADABLE, WRONG, Code, made, proved
from alerts.web.services import Services
from alerts.web.session import Method

router = APIRouter(prefix="/konto")

_log = structlog.get_logger()

# What a form was answered with, in its address.
_TOLD: Final = {"kod": WRONG, "ofta": TOO_MANY, "vi": UNREADABLE}
_METHODS = {
    Method.PASSWORD: "lösenord",
    Method.PASSWORD_CODE: "lösenord och engångskod",
    Method.PROVIDER: "e-legitimation",
}


@router.get("")
async def account_page(
    request: Request, services: Services, found: Anyone, klart: str = "", fel: str = ""
) -> Response:
    """Show where the viewer is logged in."""
    async with services.pool.connection() as connection:
        mine = await session.of_account(connection, found)
        account = await accounts.by_id(connection, found.account_id)
        left = await recovery.left(connection, found.account_id)
    can_set_up = (
        services.seal is not None
        and account is not None
        and account.password_hash is not None
        and account.totp_secret is None
    )
    return page(
        request,
        "account.html",
        session=found,
        mine=mine,
        methods=_METHODS,
        has_code=account is not None and account.totp_secret is not None,
        can_set_up=can_set_up,
        left=left,
        told=_TOLD.get(fel, ""),
        done=klart == "1",
    )


@router.post("/kod", dependencies=[OwnForm])
async def set_up_code(services: Services, found: Anyone) -> Response:
    """Offer a secret to who has a password and no code yet."""
    async with services.pool.connection() as connection:
        account = await accounts.by_id(connection, found.account_id)
        if (
            services.seal is None
            or account is None
            or account.password_hash is None
            or account.totp_secret is not None
        ):
            raise HTTPException(404)
        offered = services.seal.seal(totp.new_secret(), account.account_id)
        token = await steps.keep_code(connection, account.account_id, "/konto", offered)
    return to_step(services, "/login/kod/ny", token)


@router.post("/reservkoder", dependencies=[OwnForm])
async def new_recovery_codes(
    request: Request,
    services: Services,
    found: Anyone,
    after: BackgroundTasks,
    code: Code = "",
) -> Response:
    """Show ten new codes to who has a code of now; those before count no more."""
    async with services.pool.connection() as connection:
        account = await accounts.by_id(connection, found.account_id)
        if account is None or account.totp_secret is None:
            raise HTTPException(404)
        limits = throttle.of_code(account.account_id)
        if not await throttle.admit_within(connection, limits):
            return RedirectResponse("/konto?fel=ofta", 303)
    try:
        is_hers = await proved(services, account, code, after)
    except Unreadable:
        _log.error("login.code_unreadable", account=account.account_id)
        return RedirectResponse("/konto?fel=vi", 303)
    if not is_hers:
        return RedirectResponse("/konto?fel=kod", 303)
    codes, hashes = await made(services)
    async with services.pool.connection() as connection, connection.transaction():
        await accounts.hold(connection, account.account_id)
        await throttle.forgive_one(connection, limits)
        await recovery.keep(connection, account.account_id, hashes)
    return page(request, "recovery_codes.html", codes=codes, next_path="/konto")


@router.post("/avsluta", dependencies=[OwnForm])
async def end_one(
    services: Services, found: Anyone, handle: Annotated[str, Form(max_length=64)] = ""
) -> Response:
    """End one of the viewer's sessions; another's is not there."""
    async with services.pool.connection() as connection, connection.transaction():
        await session.end_one(connection, found.account_id, handle)
        await notify_worklists(connection, [found.topic])
    return RedirectResponse("/konto?klart=1", 303)


@router.post("/avsluta-alla", dependencies=[OwnForm])
async def end_all(services: Services, found: Anyone) -> Response:
    """End all of the viewer's sessions, this one too."""
    async with services.pool.connection() as connection, connection.transaction():
        await session.end_all(connection, found.account_id)
        await notify_worklists(connection, [found.topic])
    response = RedirectResponse("/login", 303)
    drop_cookie(response, services, "session")
    return response
