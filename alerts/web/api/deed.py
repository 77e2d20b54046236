"""What is written about a patient: by who may, once, and kept in the access log.

One transaction acts, and keeps the answer under the client's key. What is refused changes nothing,
and the access log says that it was tried.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from fastapi.responses import Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.people import Viewer
from alerts.sending.store import now
from alerts.web.api.entering import seen
from alerts.web.api.problem import Refused
from alerts.web.api.repeat import Kept, once
from alerts.web.guard import Closed, let_speak
from alerts.web.services import ServicesOf
from alerts.web.session import Session

Act = Callable[[AsyncConnection, datetime], Awaitable[Kept]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Who does what to whom.

    Attributes:
        patient_id: Whom it is about.
        ground: The relation that opens her.
        key: The client's, if it gives one.
        asked: What belongs to the key: what is done to what, and the body.
        about: What the access log is to name beside the patient.
        is_noted: Who acts notes in the access log what is done; else it is noted here.
    """

    found: Session
    action: Action
    patient_id: int
    ground: str
    key: str | None
    asked: tuple[str, Any]
    about: tuple[tuple[str, object], ...] = ()
    is_noted: bool = True

    def entry(self, answer: str) -> Entry:
        """Return what the access log says of it."""
        return Entry.by(
            self.found.viewer,
            self.action,
            self.ground,
            patient_id=self.patient_id,
            detail={**dict(self.about), "answer": answer},
        )


async def carry_out(connection: AsyncConnection, deed: Deed, act: Act) -> Response:
    """Do it, or answer as when it was done with the same key before.

    Args:
        connection: In no transaction.
        deed: Who does what; she has been let in.
        act: Does it, in our transaction, at the database's time.

    Raises:
        Refused: It cannot be done; nothing has changed.
        Closed: Her relation ended in between, or what it is about is not hers.
    """

    async def acted() -> Kept:
        return await act(connection, await now(connection))

    try:
        async with connection.transaction():
            kept, again = await once(
                connection,
                deed.found,
                deed.key,
                deed.asked,
                acted,
                patient_id=deed.patient_id,
            )
            if again or not deed.is_noted:
                await append(connection, deed.entry("again" if again else "done"))
    except Refused as refused:
        await append(connection, deed.entry(refused.slug))
        raise
    except Closed:
        await append(connection, deed.entry("not-found"))
        raise
    except psycopg.DataError:  # answered as a fault of the request
        await append(connection, deed.entry("invalid"))
        raise
    return kept.response()


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants something done for which patient, to what of hers, and under which key.

    Attributes:
        with_patient_id: Who else it concerns, who must be open to who asks, too.
    """

    found: Session
    patient_id: int
    key: str | None
    about: int | str = ""
    with_patient_id: int | None = None


async def look_closely(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> datetime:
    """Let in who may read what a patient wills: she herself, and who cares for her.

    Return the database's time; that she was here is committed by then.

    Raises:
        Closed: She may not, or there is no such patient.
    """
    await let_speak(connection, viewer, patient_id, seen(viewer), reads=True)
    return await now(connection)


async def speak(
    services: ServicesOf, asked: Asked, action: Action, body: BaseModel | None, act: Act
) -> Response:
    """Do what the patient wills, for herself or for who cares for her.

    Args:
        services: The application's.
        asked: Who, for whom.
        action: What it is called in the access log; *act* notes there what is done.
        body: What was sent.
        act: Does it.
    """
    sent = None if body is None else body.model_dump(mode="json")
    async with services.pool.connection() as connection:
        viewer = asked.found.viewer
        access = await let_speak(connection, viewer, asked.patient_id, action)
        deed = Deed(
            found=asked.found,
            action=action,
            patient_id=asked.patient_id,
            ground=access.ground,
            key=asked.key,
            asked=(f"{action} {asked.patient_id} {asked.about}", sent),
        )
        try:
            return await carry_out(connection, deed, act)
        except Closed:
            if asked.with_patient_id is not None:  # it is in her log too, if she is closed
                await let_speak(connection, viewer, asked.with_patient_id, action)
            raise


def done(model: BaseModel, status: int = 200) -> Kept:
    """Return *model* as an answer that is kept."""
    return Kept(status, "", model.model_dump_json())


async def is_of(
    connection: AsyncConnection, query: LiteralString, number: object, patient_id: int
) -> None:
    """Let on what is the patient's: *query* returns whose the thing of that number is.

    Raises:
        Closed: It is another's, or there is none.
    """
    row = await (await connection.execute(query, (number,))).fetchone()
    if row is None or row[0] != patient_id:
        raise Closed
