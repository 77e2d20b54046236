"""The same POST twice is done once: its answer is kept a day under the client's key.

What was refused did nothing, and is not kept: the same key is good for another try.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Header
from fastapi.responses import Response
from psycopg import AsyncConnection

from alerts.web.api.problem import Refused, Words
from alerts.web.session import Session

KEPT: Final = timedelta(hours=24)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,200}$",
        description="Yours, and new for each thing you do: a UUID. Kept for 24 hours.",
        examples=["7c0a6d1e-0f0b-4f43-9a0e-4b8f6f8d3c55"],
    ),
]
_OTHER: Final = Words(
    "idempotency-key-reused",
    "Nyckeln är redan använd",
    "Samma Idempotency-Key har kommit med en annan fråga. Använd en ny. Inget har ändrats.",
)


# One at a time clears away what is too old. Nobody waits for her: she may wait for the access log,
# which who waits may hold.
_CLEAR: Final = """
delete from idempotency_key where made_at <= now() - %s
    and (select pg_try_advisory_xact_lock(hashtextextended('idempotency_key', 2)))
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    etag: str
    body: str

    def response(self) -> Response:
        """Return it as it goes out."""
        headers = {"ETag": self.etag} if self.etag else None
        return Response(self.body, self.status, media_type="application/json", headers=headers)


async def once(
    connection: AsyncConnection,
    found: Session,
    key: str | None,
    request: tuple[str, Any],
    act: Callable[[], Awaitable[Kept]],
    *,
    patient_id: int | None = None,
) -> tuple[Kept, bool]:
    """Return what *act* answers, and false; or what it answered to the same before, and true.

    Args:
        connection: In the transaction in which *act* acts: both are kept, or neither.
        found: Whose key it is.
        key: None: it is done, whatever was done before.
        request: The path and the body that belong to the key.
        act: Does it.
        patient_id: Whom the answer is about; it goes when she is erased.

    Raises:
        Refused: The key belongs to another request.
    """
    if key is None:
        return await act(), False
    asked = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
    # Two at the same moment: the second waits here, and finds the answer of the first.
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 2))", (f"{found.account_id} {key}",)
    )
    cursor = await connection.execute(
        "select request_hash, status, etag, body from idempotency_key"
        " where account_id = %s and key = %s and made_at > now() - %s",
        (found.account_id, key, KEPT),
    )
    row = await cursor.fetchone()
    if row is not None:
        if row[0] != asked:
            raise Refused(422, _OTHER)
        return Kept(*row[1:]), True
    kept = await act()
    await connection.execute(
        "delete from idempotency_key where account_id = %s and key = %s", (found.account_id, key)
    )
    await connection.execute(_CLEAR, (KEPT,))
    await connection.execute(
        "insert into idempotency_key"
        " (account_id, key, request_hash, patient_id, status, etag, body)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (found.account_id, key, asked, patient_id, kept.status, kept.etag, kept.body),
    )
    return kept, False
