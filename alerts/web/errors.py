"""What a person reads when something did not go as asked: what, why, what now."""

from typing import Final, NamedTuple

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from alerts.web import security
from alerts.web.guard import LoginNeeded
from alerts.web.pages import page
from alerts.web.services import ServicesOf

_log = structlog.get_logger()


class _Words(NamedTuple):
    heading: str
    told: str


_WORDS: Final = {
    400: _Words("Det gick inte att förstå", "Gå tillbaka och försök igen."),
    403: _Words(
        "Det gick inte att spara",
        "Formuläret är för gammalt eller kom från en annan sida. Gå tillbaka, ladda om sidan "
        "och försök igen. Inget har ändrats.",
    ),
    404: _Words(
        "Sidan finns inte",
        "Adressen kan vara fel, eller så har du inte längre något uppdrag för den patienten.",
    ),
    405: _Words("Så kan sidan inte användas", "Gå till första sidan och börja därifrån."),
    413: _Words("Texten är för lång", "Korta anteckningen och försök igen. Inget har ändrats."),
    422: _Words(
        "Något saknas i formuläret", "Gå tillbaka, fyll i det och försök igen. Inget har ändrats."
    ),
    500: _Words(
        "Något gick fel hos oss",
        "Felet är noterat. Försök igen om en stund. Ring patienten eller vårdkontakten om det "
        "är bråttom.",
    ),
    503: _Words(
        "Databasen svarar inte just nu",
        "Inga värden går förlorade. Försök igen om en stund. Ring om det är bråttom.",
    ),
}


def add_handlers(app: FastAPI) -> None:
    """Let *app* answer every kind of failure with a page."""
    app.add_exception_handler(LoginNeeded, _login_needed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(psycopg.DataError, _not_kept)
    app.add_exception_handler(psycopg.OperationalError, _database_away)
    app.add_exception_handler(PoolTimeout, _database_away)
    app.add_exception_handler(Exception, _ours)


# A technician has no patients to be told of.
_NO_GATEWAY: Final = _Words("Sidan finns inte", "Adressen kan vara fel, eller så finns dosan inte.")


def _failure(request: Request, status: int) -> Response:
    words = _WORDS.get(status, _WORDS[500 if status >= 500 else 400])  # noqa: PLR2004
    if words is _WORDS[404] and request.url.path.startswith("/teknik"):
        words = _NO_GATEWAY
    return page(request, "error.html", status=status, heading=words.heading, told=words.told)


def _login_needed(request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeeded)
    if request.url.path == "/events":  # a stream cannot log in; the page it belongs to does
        return PlainTextResponse("login needed\n", 401)
    return RedirectResponse(error.location, 303)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _failure(request, error.status_code)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # An address whose number is none leads nowhere.
    in_address = any(detail["loc"][0] in ("path", "query") for detail in error.errors())
    return _failure(request, 404 if in_address else 422)


def _not_kept(request: Request, error: Exception) -> Response:
    """Say so of a text or number that the database cannot hold, such as one with a zero in it."""
    _log.warning("web.not_kept", problem=type(error).__name__, route=_route(request))
    return _failure(request, 422)


def _database_away(request: Request, error: Exception) -> Response:
    _log.warning("web.database_away", problem=type(error).__name__, route=_route(request))
    return _failure(request, 503)


def _ours(request: Request, error: Exception) -> Response:
    # The traceback holds no values: locals are not shown, nor what the database quotes.
    _log.error("web.failed", route=_route(request), exc_info=error)
    response = _failure(request, 500)
    # Made outside the middleware that protects every other answer.
    services: ServicesOf = request.app.state.services
    response.headers.update(security.headers(secure=services.web.cookie_secure))
    response.headers["Cache-Control"] = "no-store"
    return response


def _route(request: Request) -> str:
    """Return the route's pattern, which names nobody."""
    return str(getattr(request.scope.get("route"), "path", "?"))
