"""What the routes work with: one value, made once, carried by the application."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from alerts.channels.channel import Carriers
from alerts.config import LoginSettings, WebSettings
from alerts.enrolment.registrar import Registrar
from alerts.pulse import Watch
from alerts.signal import Hub
from alerts.totp import Seal
from alerts.web.oidc import Provider

_NOBODY = LoginSettings()  # can log in


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesOf:
    """The database, the hub that wakes open worklists, and the web's settings."""

    pool: AsyncConnectionPool
    hub: Hub
    web: WebSettings
    hashing: CapacityLimiter  # how many password hashes are computed at once
    registrar: Registrar | None = None  # none: no gateway is enrolled here
    carriers: Carriers | None = None  # none: nobody is told of anything by a message
    login: LoginSettings = _NOBODY
    seal: Seal | None = None  # none: no one-time codes
    provider: Provider | None = None  # none: no login by an identity provider
    pulse: Watch = field(default_factory=Watch)


def _services(request: Request) -> ServicesOf:
    return cast(ServicesOf, request.app.state.services)


Services = Annotated[ServicesOf, Depends(_services)]
