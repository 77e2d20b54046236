"""Login by the identity provider: there, and back with an answer. Refusals say what now."""

from typing import Annotated, Final, NamedTuple

import structlog
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from alerts import accounts
from alerts.accounts import Account, Linked
from alerts.signal import notify_worklists
from alerts.totp import database_now
from alerts.web import oidc, session, steps, throttle
from alerts.web.entry import address_of, let_in, local, step_token, to_step
from alerts.web.oidc import Answer, Identity, Provider, ProviderAway
from alerts.web.oidc_token import LoginRefused, Reason
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Method

router = APIRouter(prefix="/login/oidc")

_log = structlog.get_logger()

_CODE_CHARS_MAX: Final = 4000
_TOKEN_CHARS_MAX: Final = 16_000


class _Words(NamedTuple):
    status: int
    heading: str
    told: str


_MINUTES: Final = int(throttle.WINDOW.total_seconds() // 60)
_WORDS: Final = {
    Reason.CANCELLED: _Words(
        403, "Inloggningen avbröts", "Du är inte inloggad. Försök igen när du vill."
    ),
    Reason.STALE: _Words(
        403,
        "Inloggningen gäller inte längre",
        "Den måste bli klar inom tio minuter, i samma webbläsare. Börja om.",
    ),
    Reason.NOT_BELIEVED: _Words(
        403,
        "Inloggningen gick inte att lita på",
        "Svaret från inloggningstjänsten stämde inte. Ingen har loggats in. Försök igen. Händer "
        "det en gång till: ring den som sköter systemet hos er.",
    ),
    Reason.WEAK: _Words(
        403,
        "Inloggningen var inte stark nog",
        "Här finns uppgifter om människors hälsa. Försök igen. Välj e-legitimation, eller "
        "tjänstekort med kod.",
    ),
    Reason.UNKNOWN: _Words(
        403,
        "Du har inget konto här",
        "Vi vet vem du är, men du är inte upplagd. Arbetar du i vården: be din chef om ett konto. "
        "Är du patient eller närstående: ring din vårdkontakt.",
    ),
    Reason.TOO_MANY: _Words(429, "För många försök", f"Vänta {_MINUTES} minuter och försök igen."),
}
_AWAY: Final = _Words(
    503,
    "Inloggningstjänsten svarar inte",
    "Det är inte ditt fel. Försök igen om en stund. Värden tas emot och larm går ut som vanligt "
    "under tiden. Är det bråttom: ring.",
)
Text = Annotated[str, Query(max_length=_CODE_CHARS_MAX)]


@router.get("")
async def go(request: Request, services: Services, next: str = "/") -> Response:  # noqa: A002
    """Send the browser to the provider."""
    provider = _provider(services)
    begun = oidc.begin()
    async with services.pool.connection() as connection:
        now = await database_now(connection)
    try:
        address = await provider.authorization_address(begun, now)
    except ProviderAway as error:
        return _away(request, error)
    async with services.pool.connection() as connection:
        token = await steps.keep_provider(connection, begun, local(next), address_of(request))
    return to_step(services, address, token)


@router.get("/svar")
async def answered(
    *,
    request: Request,
    services: Services,
    code: Text = "",
    state: Text = "",
    error: Text = "",
    iss: Annotated[str | None, Query(max_length=_CODE_CHARS_MAX)] = None,
) -> Response:
    """Let in whom the provider vouches for."""
    provider = _provider(services)
    try:
        answer = Answer(code=code, error=error, issuer=iss)
        return await _let_in(request, services, provider, answer, state)
    except ProviderAway as away:
        return _away(request, away)
    except LoginRefused as refused:
        _log.warning("login.refused", reason=refused.reason.value, problem=refused.problem)
        return _told(request, _WORDS[refused.reason])


@router.post("/utloggad")
async def logged_out(
    request: Request,
    services: Services,
    logout_token: Annotated[str, Form(max_length=_TOKEN_CHARS_MAX)] = "",
) -> Response:
    """End the sessions of whom the provider says that she has logged out there."""
    provider = _provider(services)
    limits = throttle.of_provider(address_of(request))
    async with services.pool.connection() as connection:
        if not await throttle.admit_within(connection, limits):
            return JSONResponse({"error": "invalid_request"}, 429)
        now = await database_now(connection)
    try:
        told = await provider.logged_out(logout_token, now)
    except ProviderAway as away:
        _log.error("login.provider_away", problem=str(away))
        return JSONResponse({"error": "temporarily_unavailable"}, 503)
    except LoginRefused as refused:
        _log.warning("logout.refused", problem=refused.problem)
        return JSONResponse({"error": "invalid_request"}, 400)
    async with services.pool.connection() as connection, connection.transaction():
        await throttle.forgive_one(connection, limits)
        ended = await session.end_at_provider(connection, told)
        await notify_worklists(connection, [session.topic(account) for account in ended])
    _log.info("logout.at_provider", accounts=len(ended))
    return Response(status_code=200)


async def _let_in(
    request: Request, services: ServicesOf, provider: Provider, answer: Answer, state: str
) -> Response:
    """Start the session.

    Raises:
        LoginRefused: The answer is not this browser's, not believed, or leads to no account.
        ProviderAway: The provider cannot be asked.
    """
    limits = throttle.of_provider(address_of(request))
    async with services.pool.connection() as connection:
        taken = await steps.take_provider(connection, step_token(request, services), state)
        if taken is None:
            raise LoginRefused(Reason.STALE, "no such login in this browser")
        if not await throttle.admit_within(connection, limits):
            raise LoginRefused(Reason.TOO_MANY)
        now = await database_now(connection)
    begun, began_at, next_path = taken
    identity = await provider.identify(answer, begun, began_at=began_at, now=now)
    account = await _account(services, provider, identity)
    async with services.pool.connection() as connection:
        await throttle.forgive_one(connection, limits)
    return await let_in(
        request,
        services,
        account.account_id,
        next_path=next_path,
        method=Method.PROVIDER,
        assurance=identity.acr,
        provider_sid=identity.sid,
        still=lambda connection: accounts.has_subject(
            connection, account.account_id, identity.subject
        ),
    )


async def _account(services: ServicesOf, provider: Provider, identity: Identity) -> Account:
    """Return the account of *identity*, linked now if her number says whose it is.

    Raises:
        LoginRefused: There is none, or the level of assurance is not enough for it.
    """
    settings = provider.settings
    async with services.pool.connection() as connection:
        found = await accounts.by_subject(connection, identity.subject)
        if found is not None:
            _enough(provider, identity, found)
            return found
        found = await accounts.by_claims(
            connection, identity.claims, settings.staff_claim, settings.patient_claim
        )
        if found is None:
            raise LoginRefused(Reason.UNKNOWN, "no account")
        _enough(provider, identity, found)  # before anything is written
        linked = await accounts.link(connection, found.account_id, identity.subject)
    if linked is not Linked.DONE:
        raise LoginRefused(Reason.UNKNOWN, "linked to somebody else at the same moment")
    _log.info("login.linked", account=found.account_id)
    return found


def _enough(provider: Provider, identity: Identity, account: Account) -> None:
    if identity.acr not in provider.settings.accepted(is_staff=account.is_staff):
        raise LoginRefused(Reason.WEAK, "staff" if account.is_staff else "patient")


def _provider(services: ServicesOf) -> Provider:
    if services.provider is None:
        raise HTTPException(404)
    return services.provider


def _away(request: Request, error: ProviderAway) -> Response:
    _log.error("login.provider_away", problem=str(error))
    return _told(request, _AWAY)


def _told(request: Request, words: _Words) -> Response:
    return page(
        request,
        "login_refused.html",
        status=words.status,
        heading=words.heading,
        told=words.told,
    )
