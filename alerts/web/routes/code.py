"""The second step of a local login: the one-time code, or setting one up the first time."""

from collections.abc import Sequence
from typing import Annotated, Final

import structlog
from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Form, Request
from fastapi.responses import RedirectResponse, Response
from psycopg import AsyncConnection

from alerts import accounts, password, recovered, recovery, totp
from alerts.accounts import Account
from alerts.signal import notify_worklists
from alerts.totp import Unreadable
from alerts.web import session, steps, throttle
from alerts.web.entry import AGAIN, STALE, Still, form_page, is_own_form, let_in, local, step_token
from alerts.web.guard import TOKEN_CHARS_MAX
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Method
from alerts.web.steps import CodeStep

router = APIRouter(prefix="/login/kod")

_log = structlog.get_logger()

WRONG: Final = (
    "Koden stämmer inte. Vänta på nästa kod i appen och skriv den. En reservkod gäller en gång."
)
TOO_MANY: Final = (
    f"För många försök. Vänta {int(throttle.WINDOW.total_seconds() // 60)} minuter och försök igen."
)
UNREADABLE: Final = (
    "Koden kan inte kontrolleras. Det är fel hos oss, inte hos dig. Be den som sköter systemet att "
    "nollställa din kod."
)
Csrf = Annotated[str, Form(max_length=TOKEN_CHARS_MAX)]
Code = Annotated[str, Form(max_length=40)]


@router.get("")
async def code_page(request: Request, services: Services) -> Response:
    """Ask for the code."""
    async with services.pool.connection() as connection:
        begun = await _begun(connection, request, services)
    if begun is None or begun[0].totp_secret is not None:
        return RedirectResponse(AGAIN, 303)
    return form_page(request, services, "login_code.html", told="")


@router.post("")
async def code(
    request: Request,
    services: Services,
    after: BackgroundTasks,
    csrf: Csrf = "",
    code: Code = "",
) -> Response:
    """Let in who has the code; a code counts once."""
    if not is_own_form(request, services, csrf):
        return _asked_again(request, services, STALE, 403)
    async with services.pool.connection() as connection:
        begun = await _begun(connection, request, services)
        if begun is None or begun[1].totp_secret is None:
            return RedirectResponse(AGAIN, 303)
        step, account = begun
        limits = throttle.of_code(account.account_id)
        if not await throttle.admit_within(connection, limits):
            return _asked_again(request, services, TOO_MANY, 429)
    try:
        is_hers = await proved(services, account, code, after)
    except Unreadable:
        _log.error("login.code_unreadable", account=account.account_id)
        return _asked_again(request, services, UNREADABLE, 500)
    if not is_hers:
        _log.warning("login.refused", reason="code", account=account.account_id)
        return _asked_again(request, services, WRONG, 401)
    async with services.pool.connection() as connection:
        await throttle.forgive_one(connection, limits)
    token = step_token(request, services)
    return await _in(request, services, step, lambda held: steps.finish(held, token))


async def proved(services: ServicesOf, account: Account, said: str, after: BackgroundTasks) -> bool:
    """Return whether *said* is a code of hers, from her app or from paper; it is used now.

    Of one from paper she is told, *after* the answer has gone out.

    Raises:
        Unreadable: What her app knows cannot be opened here.
    """
    on_paper = recovery.read(said)
    if on_paper:
        is_hers = await _recovers(services, account.account_id, on_paper)
        if is_hers:
            after.add_task(recovered.tell, services.pool, services.carriers, account.account_id)
        return is_hers
    secret = _opened(services, account.totp_secret or "", account.account_id)
    async with services.pool.connection() as connection:
        return await totp.use(connection, account.account_id, secret, said)


async def _recovers(services: ServicesOf, account_id: int, code: str) -> bool:
    """Return whether *code* is one of her ten that was not used; it is used now."""
    async with services.pool.connection() as connection:
        kept = await recovery.hash_of(connection, account_id, code)
    is_right = await to_thread.run_sync(
        password.is_password, code, kept or password.NOBODYS_HASH, limiter=services.hashing
    )
    if kept is None or not is_right:
        return False
    async with services.pool.connection() as connection, connection.transaction():
        if not await recovery.use(connection, account_id, kept):
            return False
        left = await recovery.left(connection, account_id)
        await recovered.note(connection, account_id, left)
    _log.info("login.recovery_code_used", account=account_id, left=left)
    return True


@router.get("/ny")
async def set_up_page(request: Request, services: Services) -> Response:
    """Show the secret, as a picture and as text, and ask for its first code."""
    return await _set_up(request, services, told="", status=200)


@router.post("/ny")
async def set_up(
    request: Request, services: Services, csrf: Csrf = "", code: Code = ""
) -> Response:
    """Keep the secret of who has shown that her app knows it, and let her in."""
    if not is_own_form(request, services, csrf):
        return await _set_up(request, services, told=STALE, status=403)
    async with services.pool.connection() as connection:
        offered = await _offered(connection, request, services)
        if offered is None:
            return RedirectResponse(AGAIN, 303)
        used = await _used(connection, offered, code)
    if not isinstance(used, int):
        told, status = used
        return await _set_up(request, services, told=told, status=status)
    step, token = offered[0], step_token(request, services)
    codes, hashes = await made(services)
    return await _in(
        request,
        services,
        step,
        lambda held: _kept(held, step, token, used, hashes),
        page(request, "recovery_codes.html", codes=codes, next_path=local(step.next_path)),
    )


async def made(services: ServicesOf) -> tuple[Sequence[str], Sequence[str]]:
    """Return new recovery codes, to be shown once, and their hashes, to be kept."""
    codes = recovery.new_codes()
    return codes, await to_thread.run_sync(recovery.hashed, codes, limiter=services.hashing)


async def _used(
    connection: AsyncConnection, offered: tuple[CodeStep, Account, str], code: str
) -> int | tuple[str, int]:
    """Return the step that *code* is of; else what to tell, and its status."""
    _, account, secret = offered
    limits = throttle.of_code(account.account_id)
    if not await throttle.admit_within(connection, limits):
        return TOO_MANY, 429
    used = totp.step_of(secret, code, await totp.database_now(connection))
    if used is None:
        return WRONG, 401
    await throttle.forgive_one(connection, limits)
    return used


async def _kept(
    connection: AsyncConnection, step: CodeStep, token: str, used: int, hashes: Sequence[str]
) -> bool:
    """Keep the secret that she was offered, if that login is not over; false: it is.

    Whoever was logged in by the password alone is so no more.
    """
    if not await steps.finish(connection, token):
        return False
    sealed = step.totp_secret or ""
    if not await accounts.set_code(connection, step.account_id, sealed, used):
        return False
    await recovery.keep(connection, step.account_id, hashes)
    await session.end_all(connection, step.account_id)
    await notify_worklists(connection, [session.topic(step.account_id)])
    return True


async def _set_up(request: Request, services: ServicesOf, *, told: str, status: int) -> Response:
    async with services.pool.connection() as connection:
        offered = await _offered(connection, request, services)
    if offered is None:
        return RedirectResponse(AGAIN, 303)
    _, account, secret = offered
    return form_page(
        request,
        services,
        "login_code_new.html",
        status=status,
        told=told,
        picture=totp.picture(secret, account.username),
        secret=totp.in_groups(secret),
        address=totp.address(secret, account.username),
    )


async def _offered(
    connection: AsyncConnection, request: Request, services: ServicesOf
) -> tuple[CodeStep, Account, str] | None:
    """Return the secret that this browser's login is offered, if she has none yet."""
    begun = await _begun(connection, request, services)
    if begun is None or begun[0].totp_secret is None or begun[1].totp_secret is not None:
        return None
    step, account = begun
    try:
        return step, account, _opened(services, begun[0].totp_secret, account.account_id)
    except Unreadable:  # the key was changed in these minutes
        return None


async def _begun(
    connection: AsyncConnection, request: Request, services: ServicesOf
) -> tuple[CodeStep, Account] | None:
    """Return the login that awaits a code in this browser, and whose it is."""
    step = await steps.find_code(connection, step_token(request, services))
    account = await accounts.by_id(connection, step.account_id) if step else None
    return (step, account) if step and account else None


def _opened(services: ServicesOf, sealed: str, account_id: int) -> str:
    if services.seal is None:
        raise Unreadable
    return services.seal.open(sealed, account_id)


def _asked_again(request: Request, services: ServicesOf, told: str, status: int) -> Response:
    return form_page(request, services, "login_code.html", told=told, status=status)


async def _in(
    request: Request,
    services: ServicesOf,
    step: CodeStep,
    still: Still,
    lands_on: Response | None = None,
) -> Response:
    return await let_in(
        request,
        services,
        step.account_id,
        next_path=step.next_path,
        method=Method.PASSWORD_CODE,
        still=still,
        lands_on=lands_on,
    )
