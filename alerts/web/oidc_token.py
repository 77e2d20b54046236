"""What a token of the identity provider's must say to be believed. Pure.

Sources: OpenID Connect Core 1.0, section 3.1.3.7; Back-Channel Logout 1.0, section 2.6.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# The provider's clock and ours.
LEEWAY: Final = timedelta(seconds=60)
_SUBJECT_CHARS_MAX: Final = 255  # OpenID Connect Core, section 2
_VISIBLE: Final = r"^[\x21-\x7e]+$"
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
Visible = Annotated[str, Field(max_length=_SUBJECT_CHARS_MAX, pattern=_VISIBLE)]


class Reason(StrEnum):
    """Why a login by the provider came to nothing."""

    CANCELLED = "cancelled"  # the person, or the provider, said no
    STALE = "stale"  # too slow, another browser, an answer used twice
    NOT_BELIEVED = "not_believed"  # the token, or how it came here, is wrong
    WEAK = "weak"  # the level of assurance is not enough
    UNKNOWN = "unknown"  # vouched for, and without an account here
    TOO_MANY = "too_many"


class LoginRefused(Exception):
    """Nobody is logged in. What is wrong is for our log: it names nobody."""

    def __init__(self, reason: Reason, problem: str = "") -> None:
        self.reason = reason
        self.problem = problem
        super().__init__(f"{reason}: {problem}")


class _Token(BaseModel):
    """The claims that decide, each of its type; what they must be is checked after."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    iss: str
    aud: str | list[str]
    exp: int | float
    iat: int | float


class IdToken(_Token):
    """Who she is, by a proof of now."""

    sub: Visible
    nonce: str
    auth_time: int | float
    acr: str = ""
    azp: str | None = None
    sid: Visible | None = None


class LogoutToken(_Token):
    """That she has logged out at the provider."""

    sub: Visible | None = None
    sid: Visible | None = None
    events: dict[str, Any]
    nonce: None = None  # one with a nonce is an ID token in disguise


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOut:
    """Whose sessions are over at the provider: a person's, or one of hers; "" where untold."""

    subject: str  # issuer and subject, as in account.subject
    sid: str
    at: datetime


def only_ours(token: IdToken, client_id: str) -> None:
    """Refuse a token that was made for others, too."""
    audience = [token.aud] if isinstance(token.aud, str) else token.aud
    if audience != [client_id] or token.azp not in (None, client_id):
        raise LoginRefused(Reason.NOT_BELIEVED, "ID token: made for others too")


def of_this_login(token: IdToken, began_at: datetime, now: datetime) -> None:
    """Refuse a token, or a proof of who she is, of before this login.

    A provider that remembers who was there before, whatever it is asked, lets nobody else in.
    """
    oldest = (began_at - LEEWAY).timestamp()
    latest = (now + LEEWAY).timestamp()
    if not oldest <= token.iat <= latest:
        raise LoginRefused(Reason.NOT_BELIEVED, "ID token: made at another time")
    if not oldest <= token.auth_time <= latest:
        raise LoginRefused(Reason.NOT_BELIEVED, "ID token: she proved who she is before this login")


def logged_out(claims: dict[str, Any], issuer: str, client_id: str, now: datetime) -> LoggedOut:
    """Return whose sessions are over, told by the claims of a logout token that is signed.

    Raises:
        LoginRefused: It is not for us, not of now, or no logout.
    """
    try:
        token = LogoutToken.model_validate(claims)
    except ValidationError as error:
        raise LoginRefused(Reason.NOT_BELIEVED, f"logout token: {fields(error)}") from error
    audience = [token.aud] if isinstance(token.aud, str) else token.aud
    is_ours = token.iss == issuer and client_id in audience
    is_of_now = token.iat <= (now + LEEWAY).timestamp() and token.exp > (now - LEEWAY).timestamp()
    is_logout = isinstance(token.events.get(_LOGOUT), dict) and (token.sub or token.sid)
    if not (is_ours and is_of_now and is_logout):
        raise LoginRefused(
            Reason.NOT_BELIEVED, "logout token: not for us, not of now, or no logout"
        )
    return LoggedOut(
        subject=f"{issuer} {token.sub}" if token.sub else "",
        sid=token.sid or "",
        at=datetime.fromtimestamp(token.iat, UTC),
    )


def plain(text: str) -> str:
    """Return an error code as it may stand in a log."""
    return "".join(char for char in text if char.isascii() and (char.isalnum() or char == "_"))[:60]


def fields(error: ValidationError) -> str:
    """Return which fields are wrong, without what they hold."""
    return ", ".join(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))
