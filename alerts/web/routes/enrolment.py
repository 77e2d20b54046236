"""Enrolment and renewal, for boxes. No login and no cookie: a box proves itself in its request."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection

from alerts.enrolment.registrar import Refused, Registrar
from alerts.web import throttle
from alerts.web.services import Services, ServicesOf
from devices.enrolment import (
    BODY_BYTES_MAX,
    ENROL_PATH,
    RENEW_PATH,
    EnrolmentRefused,
    RefusalReason,
    Said,
    decode_enrol_request,
    decode_renew_request,
    encode,
    lookup_hash,
)
from devices.errors import MalformedMessage
from devices.wire import VERSION

router = APIRouter()

_STATUS: Final = {
    RefusalReason.MALFORMED: 400,
    RefusalReason.UNKNOWN: 404,
    RefusalReason.USED: 409,
    RefusalReason.EXPIRED: 410,
    RefusalReason.REVOKED: 403,
    RefusalReason.TOO_MANY: 429,
    RefusalReason.NOT_HERE: 404,
}

_log = structlog.get_logger()

Prove = Callable[[AsyncConnection[Any]], Awaitable[bool]]
Decide = Callable[[AsyncConnection[Any]], Awaitable[Said]]


@router.post(ENROL_PATH)
async def enrol(request: Request, services: Services) -> Response:
    """Give a box that knows a code its certificate."""
    registrar = services.registrar
    if registrar is None:
        return _no(RefusalReason.NOT_HERE)
    try:
        asked = decode_enrol_request(await _body(request))
    except MalformedMessage:
        return _no(RefusalReason.MALFORMED)
    known_as = f"enrol {lookup_hash(asked.lookup).hex()}"
    return await _decided(
        request,
        services,
        known_as,
        proved=lambda it: registrar.is_proved(it, asked),
        decide=lambda it: registrar.enrol(it, asked),
    )


@router.post(RENEW_PATH)
async def renew(request: Request, services: Services) -> Response:
    """Give a box that has a certificate its next one."""
    registrar: Registrar | None = services.registrar
    if registrar is None:
        return _no(RefusalReason.NOT_HERE)
    try:
        asked = decode_renew_request(await _body(request))
    except MalformedMessage:
        return _no(RefusalReason.MALFORMED)
    known_as = f"renew {asked.serial}"
    return await _decided(
        request,
        services,
        known_as,
        proved=lambda it: registrar.is_proved(it, asked),
        decide=lambda it: registrar.renew(it, asked),
    )


async def _decided(
    request: Request, services: ServicesOf, known_as: str, *, proved: Prove, decide: Decide
) -> Response:
    """Return what *decide* says, unless it was asked too often by who proved nothing.

    Many boxes may share one address: what one sends there must not keep the others out.
    """
    # Apart from people's logins: a box that is wrong must lock nobody out of the pages.
    address = f"box {request.client.host if request.client else ''}"
    async with services.pool.connection() as connection:
        is_proved = await proved(connection)
        if not is_proved and not await throttle.admit(connection, known_as, address):
            return _no(RefusalReason.TOO_MANY)
        try:
            answer = await decide(connection)
        except Refused as refused:
            return _no(refused.reason, refused.gateway_id)
    return Response(encode(answer), media_type="application/json")


async def _body(request: Request) -> bytes:
    """Return the body; raises ``MalformedMessage`` as soon as it is larger than any of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            problem = f"more than {BODY_BYTES_MAX} bytes"
            raise MalformedMessage(body, problem)
    return body


def _no(reason: RefusalReason, gateway_id: str = "") -> Response:
    _log.warning("enrolment.refused", reason=reason.value, gateway_id=gateway_id)
    said = encode(EnrolmentRefused(v=VERSION, reason=reason.value))
    return Response(said, _STATUS[reason], media_type="application/json")
