"""Every refusal of the API as ``application/problem+json`` (RFC 9457): stable slugs, Swedish words.

A problem says nothing of what was sent: what a client wrote stands in no answer and no log.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from alerts.web.api.time import Utc
from alerts.web.guard import Closed, LoginNeeded

_log = structlog.get_logger()

MEDIA: Final = "application/problem+json"
# What a slug stands behind; it leads nowhere, and is compared as it is.
TYPE: Final = "urn:problem-type:egenmonitor:"


class Unfit(BaseModel):
    """One part of a request that is not as it must be."""

    where: str = Field(description="Of the request: `body.outcome`, `query.limit_count`.")
    why: str = Field(description="A stable word: `missing`, `enum`, `string_too_long`.")
    told: str | None = Field(None, description="In Swedish, of a plan that cannot be.")


class AlertChange(BaseModel):
    """What has happened to an alert since the client read it."""

    at: Utc
    event: str = Field(description="As in the alert's log.")
    staff_name: str | None = Field(description="Who did it; null: it happened by itself.")


class Problem(BaseModel):
    """Why something was not done, for the program (`type`) and for people (`title`, `detail`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{TYPE}alert-changed",
                    "title": "Larmet har ändrats",
                    "status": 412,
                    "detail": "Eva Testström tog larmet. Läs larmet igen. "
                    "Inget har ändrats av dig.",
                    "changes": [
                        {
                            "at": "2026-11-23T07:12:00Z",
                            "event": "acknowledged",
                            "staff_name": "Eva Testström",
                        }
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[Unfit] | None = None
    changes: list[AlertChange] | None = None


class Words(NamedTuple):
    """A slug, and what a person reads."""

    slug: str
    title: str
    detail: str


_NOTHING: Final = "Inget har ändrats."
_WORDS: Final = {
    400: Words("unreadable", "Det gick inte att förstå", f"Skicka frågan igen. {_NOTHING}"),
    401: Words("login-needed", "Du är inte inloggad", "Logga in och försök igen."),
    403: Words(
        "csrf",
        "Det gick inte att spara",
        "Frågan bar inte inloggningens X-CSRF-Token. Hämta den med GET /me och försök igen. "
        f"{_NOTHING}",
    ),
    404: Words(
        "not-found",
        "Det finns inte",
        "Adressen kan vara fel, eller så har du inte längre något uppdrag för den patienten.",
    ),
    405: Words("method", "Så kan adressen inte användas", "Läs i /api/v1/openapi.json hur."),
    413: Words("too-large", "Texten är för lång", f"Korta den och försök igen. {_NOTHING}"),
    422: Words("invalid", "Något saknas eller är fel", f"Rätta det och försök igen. {_NOTHING}"),
    428: Words(
        "if-match-needed",
        "Det står inte vilket larm du såg",
        f"Läs larmet, och skicka dess ETag i If-Match. {_NOTHING}",
    ),
    500: Words("ours", "Något gick fel hos oss", "Felet är noterat. Försök igen om en stund."),
    503: Words(
        "database-away",
        "Databasen svarar inte just nu",
        "Inga värden går förlorade. Försök igen om en stund. Ring om det är bråttom.",
    ),
}


_Answer = TypeVar("_Answer")


class Refused(Exception):
    """Something is not done, and the client is told why.

    Attributes:
        slug: Its name.
        problem: What it is told.
        headers: What is sent beside it.
    """

    def __init__(
        self,
        status: int,
        words: Words,
        *,
        changes: Sequence[AlertChange] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.slug = words.slug
        self.problem = _problem(status, words, changes=changes)
        self.headers = dict(headers or {})
        super().__init__(words.slug)


def _problem(
    status: int,
    words: Words,
    *,
    errors: Sequence[Unfit] | None = None,
    changes: Sequence[AlertChange] | None = None,
) -> Problem:
    return Problem(
        type=TYPE + words.slug,
        title=words.title,
        status=status,
        detail=words.detail,
        errors=None if errors is None else list(errors),
        changes=None if changes is None else list(changes),
    )


def missing_if_match() -> Refused:
    """Return the refusal of who does not say which version of an alert she has before her."""
    return Refused(428, _WORDS[428])


def refusal(known: Mapping[_Answer, tuple[int, Words]], answer: _Answer) -> Exception:
    """Return why *answer* was not what was asked for; what is not *known* does not exist."""
    return Refused(*known[answer]) if answer in known else Closed()


def add_handlers(app: FastAPI) -> None:
    """Let *app* answer every kind of failure with a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(LoginNeeded, _login_needed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(psycopg.DataError, _no_data)
    app.add_exception_handler(psycopg.OperationalError, _database_away)
    app.add_exception_handler(PoolTimeout, _database_away)
    app.add_exception_handler(Exception, _ours)


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        problem.model_dump_json(exclude=_absent(problem)),
        problem.status,
        media_type=MEDIA,
        headers=dict(headers or {}),
    )


def _absent(problem: Problem) -> set[str]:
    return {name for name in ("errors", "changes") if getattr(problem, name) is None}


def _plain(status: int, headers: Mapping[str, str] | None = None) -> Response:
    words = _WORDS.get(status, _WORDS[500 if status >= 500 else 400])  # noqa: PLR2004
    return _answer(_problem(status, words), headers)


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _answer(error.problem, error.headers)


def _login_needed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeeded)
    return _plain(401)


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _plain(error.status_code, error.headers)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: Sequence[Any] = error.errors()
    if any(each["loc"][0] == "path" for each in found):  # a number that is none names nobody
        return _plain(404)
    unfit = [
        Unfit(where=_where(each["loc"]), why=each["type"], told=each.get("ctx", {}).get("sv"))
        for each in found
    ]
    words = _WORDS[422]
    told = list(dict.fromkeys(each.told for each in unfit if each.told))
    if told:
        words = words._replace(detail=f"{' '.join(told)} {words.detail}")
    return _answer(_problem(422, words, errors=unfit))


def _where(loc: Sequence[object]) -> str:
    """Return the place of a fault; a name that the client made up is not repeated."""
    return ".".join(str(part) for part in loc[:2])


def _no_data(request: Request, error: Exception) -> Response:
    """Answer what the database cannot keep: a number out of range, a text with NUL."""
    _log.warning("api.data", problem=type(error).__name__, route=_route(request))
    return _plain(422)


def _database_away(request: Request, error: Exception) -> Response:
    _log.warning("api.database_away", problem=type(error).__name__, route=_route(request))
    return _plain(503)


def _ours(request: Request, error: Exception) -> Response:
    # The traceback holds no values of the request: locals are not shown.
    _log.error("api.failed", route=_route(request), exc_info=error)
    return _plain(500)


def _route(request: Request) -> str:
    """Return the route's pattern, which names nobody."""
    return str(getattr(request.scope.get("route"), "path", "?"))
