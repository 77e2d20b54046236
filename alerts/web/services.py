"""What the routes work with: one value, made once, carried by the application."""

from dataclasses import dataclass
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from alerts.config import WebSettings
from alerts.enrolment.registrar import Registrar
from alerts.signal import Hub


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesOf:
    """The database, the hub that wakes open worklists, and the web's settings."""

    pool: AsyncConnectionPool
    hub: Hub
    web: WebSettings
    hashing: CapacityLimiter  # how many password hashes are computed at once
    registrar: Registrar | None = None  # none: no gateway is enrolled here


def _services(request: Request) -> ServicesOf:
    return cast(ServicesOf, request.app.state.services)


Services = Annotated[ServicesOf, Depends(_services)]
