"""Delivery receipts from the provider of SMS. No login: the address proves that we gave it."""

import re
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Form, HTTPException, Path
from fastapi.responses import Response

from alerts.channels import receipt
from alerts.channels.posting import KEY_CHARS_MAX
from alerts.sending import receipts, store
from alerts.sending.receipts import Answer, Status
from alerts.web.services import Services
from ingest.settings import read_secret

router = APIRouter()

_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_CHARS_MAX}}}")

_log = structlog.get_logger()


@router.post(receipt.PATH)
async def sms_receipt(
    *,
    services: Services,
    attempt_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
    token: Annotated[str, Path(max_length=receipt.TOKEN_CHARS)],
    key: Annotated[str, Form(alias="id")] = "",
    status: Annotated[str, Form()] = "",
) -> Response:
    """Keep what became of a message; what is not answered with 2xx is told again for hours."""
    file = services.carriers.receipt_secret_file if services.carriers else None
    if file is None or not receipt.is_ours(read_secret(file), attempt_id, token):
        raise HTTPException(404)
    if not _KEY.fullmatch(key):
        raise HTTPException(422)
    if status not in list(Status):  # a word of a newer version: telling it again changes nothing
        _log.warning("delivery.unknown_status", attempt=attempt_id)
        return Response(status_code=204)
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        answer = await receipts.note(connection, attempt_id, key, Status(status), at)
    if answer is Answer.STRANGE:
        _log.warning("delivery.strange_receipt", attempt=attempt_id)
        raise HTTPException(404)
    return Response(status_code=204)
