"""What is done with an alert: taken, ended, left to rest. By who has read it as it is now.

One transaction holds the alert, compares versions, acts, and keeps the answer and the access log's
entry. What is refused changes nothing, and the access log says that it was tried.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict, Field

from alerts import actions, held
from alerts import snooze as rest
from alerts.actions import NOTE_CHARS_MAX, Answer, Done
from alerts.alert import Outcome
from alerts.audit.entry import Action
from alerts.case import Case
from alerts.web.api import models, queries, shown
from alerts.web.api.deed import Deed, carry_out
from alerts.web.api.document import refusals, with_etag
from alerts.web.api.entering import Id, Writer, alert_patient
from alerts.web.api.etag import demand, etag, unread
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed, let_in
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.words import when

router = APIRouter(tags=["alerts"])

IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        max_length=200,
        description="The ETag of the alert as it was read. Without it: 428.",
        examples=['"17.0f343b0931126a20f133d67c2b018a3b"'],
    ),
]
_ANSWERS: Final[dict[str, Any]] = {
    "response_model": models.Alert,
    "responses": with_etag(refusals(403, 409, 412, 413, 428)),
}


class Closing(BaseModel):
    """How an alert ended."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"outcome": "contacted", "note": "Ringde. Mår bra."}]},
    )

    outcome: Outcome
    note: str = Field("", max_length=NOTE_CHARS_MAX)


class Snoozing(BaseModel):
    """Until when an alert rests, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"until": "2026-11-24T07:00:00Z", "why": "Ny dos; mäter i morgon."}]
        },
    )

    until: Utc
    why: str = Field(min_length=1, max_length=NOTE_CHARS_MAX)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for something to be done with which alert, as she has read it."""

    found: Session
    alert_id: int
    if_match: str
    key: str | None


@router.post(
    "/alerts/{alert_id}/acknowledge",
    operation_id="acknowledgeAlert",
    summary="I take it",
    **_ANSWERS,
)
async def acknowledge(
    services: Services, found: Writer, alert_id: Id, if_match: IfMatch = "", key: Key = None
) -> Response:
    """Take an alert; if somebody was faster, say who."""

    async def act(connection: AsyncConnection, seen: int) -> Done:
        return await actions.acknowledge(connection, found.viewer, alert_id, seen_breach_id=seen)

    return await _done(
        services, _Asked(found, alert_id, if_match, key), Action.ALERT_ACKNOWLEDGED, None, act
    )


@router.post(
    "/alerts/{alert_id}/close", operation_id="closeAlert", summary="It has ended", **_ANSWERS
)
async def close(
    *,
    services: Services,
    found: Writer,
    alert_id: Id,
    body: Closing,
    if_match: IfMatch = "",
    key: Key = None,
) -> Response:
    """End an alert with an outcome."""

    async def act(connection: AsyncConnection, seen: int) -> Done:
        return await actions.close(
            connection,
            found.viewer,
            alert_id,
            outcome=body.outcome,
            note=_plain(body.note),
            seen_breach_id=seen,
        )

    return await _done(
        services, _Asked(found, alert_id, if_match, key), Action.ALERT_CLOSED, body, act
    )


@router.post(
    "/alerts/{alert_id}/snooze", operation_id="snoozeAlert", summary="Let it rest", **_ANSWERS
)
async def snooze(
    *,
    services: Services,
    found: Writer,
    alert_id: Id,
    body: Snoozing,
    if_match: IfMatch = "",
    key: Key = None,
) -> Response:
    """Let an alert rest until a time; a red one not for long, a yellow one longer."""

    async def act(connection: AsyncConnection, seen: int) -> Done:
        return await rest.snooze(
            connection,
            found.viewer,
            alert_id,
            until=body.until,
            why=_plain(body.why),
            seen_breach_id=seen,
        )

    return await _done(
        services, _Asked(found, alert_id, if_match, key), Action.ALERT_SNOOZED, body, act
    )


# What is done, with the newest breach that was seen.
_Act = Callable[[AsyncConnection, int], Awaitable[Done]]


async def _done(
    services: ServicesOf, asked: _Asked, action: Action, body: BaseModel | None, act: _Act
) -> Response:
    """Do it for who may, and answer with the alert as it is then."""
    alert_id = asked.alert_id
    async with services.pool.connection() as connection:
        patient_id = await alert_patient(connection, alert_id)
        access = await let_in(connection, asked.found.viewer, patient_id, action, acts=True)
        deed = Deed(
            found=asked.found,
            action=action,
            patient_id=patient_id,
            ground=access.ground,
            key=asked.key,
            asked=(f"{action} {alert_id}", {} if body is None else body.model_dump(mode="json")),
            about=(("alert_id", alert_id),),
            is_noted=False,
        )
        return await carry_out(connection, deed, lambda *_: _act(connection, asked, act))


async def _act(connection: AsyncConnection, asked: _Asked, act: _Act) -> Kept:
    viewer = asked.found.viewer
    if await held.hold(connection, viewer, asked.alert_id, None) is None:
        raise Closed  # her relation ended in between
    case = await _case(connection, asked.alert_id)
    await demand(connection, case, viewer, asked.if_match)
    done = await act(connection, case.newest_breach_id)
    if done.answer is Answer.NEW_VALUE:
        raise await unread(connection, await _case(connection, asked.alert_id), viewer)
    if done.answer not in (Answer.DONE, Answer.ALREADY_YOURS):
        raise _refusal(done)
    case = await _case(connection, asked.alert_id)
    body = shown.alert(case, viewer).model_dump_json()
    return Kept(200, await etag(connection, case, viewer), body)


async def _case(connection: AsyncConnection, alert_id: int) -> Case:
    case = await queries.alert(connection, alert_id)
    if case is None:
        raise Closed
    return case


def _refusal(done: Done) -> Exception:
    """Return why something that was up to date could not be done."""
    at = f" {when(done.at, datetime.now(UTC))}" if done.at else ""
    who = done.name or "Någon"
    match done.answer:
        case Answer.TAKEN:
            told = f"{who} tog larmet{at}. Du behöver inte göra något."
            return Refused(409, Words("alert-taken", "Larmet är redan taget", told))
        case Answer.CLOSED:
            told = f"{who} avslutade larmet{at}. Du behöver inte göra något."
            return Refused(409, Words("alert-closed", "Larmet är avslutat", told))
        case Answer.UNFIT:
            told = "Välj en tid som inte har varit och inte är för långt bort, och skriv varför."
            return Refused(422, Words("snooze-unfit", "Så kan larmet inte vila", told))
        case _:
            return Closed()


def _plain(note: str) -> str:
    """Return *note* without control characters, which the database or a page would refuse."""
    lines = note.replace("\r\n", "\n").split("\n")
    return "\n".join("".join(filter(str.isprintable, line)) for line in lines).strip()
