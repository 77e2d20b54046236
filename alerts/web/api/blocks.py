"""Blocks: units that a patient does not let see what others have written; and their end."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.audit.entry import Action
from alerts.care import block
from alerts.care.block import Answer
from alerts.care.consent import How
from alerts.web.api.deed import Asked, done, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Number, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.services import Services

router = APIRouter(tags=["sharing"])

_UNCHANGED: Final = "Inget har ändrats."
REFUSED: Final = {
    Answer.NOT_YOURS: (
        403,
        Words(
            "block-not-yours",
            "Det här kan du inte säga för patienten",
            "En spärr hävs av patienten själv eller av den fasta vårdkontakten, och aldrig för den "
            f"egna enheten. Be någon av dem. {_UNCHANGED}",
        ),
    ),
    Answer.HOW: (
        422,
        Words(
            "block-how",
            "Det stämmer inte hur patienten sa det",
            "Bara patienten kan säga det själv; du noterar telefon, besök eller papper. "
            f"{_UNCHANGED}",
        ),
    ),
    Answer.NO_UNIT: (
        422,
        Words("block-no-unit", "Enheten finns inte", f"Välj en annan enhet. {_UNCHANGED}"),
    ),
    Answer.OWN_UNIT: (
        409,
        Words(
            "block-own-unit",
            "Enheten vårdar patienten",
            f"En spärr gör ingen skillnad där. Byt enhet först. {_UNCHANGED}",
        ),
    ),
    Answer.ALREADY: (
        409,
        Words("block-already", "Det är redan så", f"Du behöver inte göra något. {_UNCHANGED}"),
    ),
}
_BLOCK: Final = {
    "unit_id": 2,
    "unit_name": "Provbyns hälsocentral",
    "from_at": AT,
    "noted_name": None,
}


class Block(BaseModel):
    """A unit that may not see, whatever is shared with it."""

    model_config = answers(**_BLOCK)

    unit_id: int
    unit_name: str
    from_at: Utc
    noted_name: str | None = Field(description="Null: by herself.")


class Blocks(BaseModel):
    """A patient's blocks."""

    model_config = answers(blocks=[_BLOCK])

    blocks: list[Block]


class Blocking(BaseModel):
    """Which unit, and how she said it."""

    model_config = takes(unit_id=2, how="phone")

    unit_id: Number
    how: How = Field(description="`self`: the patient says it here.")


async def _in_force(connection: AsyncConnection, patient_id: int) -> Blocks:
    return Blocks(
        blocks=[
            Block(
                unit_id=one.unit_id,
                unit_name=one.unit_name,
                from_at=one.from_at,
                noted_name=one.noted_name,
            )
            for one in await block.blocks(connection, patient_id)
        ]
    )


@router.get(
    "/patients/{patient_id}/blocks",
    operation_id="listBlocks",
    summary="Who may not see",
    responses=refusals(),
)
async def listed(services: Services, found: Anyone, patient_id: Id) -> Blocks:
    """Return a patient's blocks, for herself and for who cares for her."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        return await _in_force(connection, patient_id)


@router.post(
    "/patients/{patient_id}/blocks",
    operation_id="setBlock",
    summary="Let a unit see no more",
    status_code=201,
    response_model=Blocks,
    responses=refusals(403, 409, 413),
)
async def set_block(
    *, services: Services, found: Writer, patient_id: Id, body: Blocking, key: Key = None
) -> Response:
    """Block a unit. It wins over sharing, and over no relation of care."""

    async def act(connection: AsyncConnection, _now: datetime) -> Kept:
        answer = await block.block(connection, found.viewer, patient_id, body.unit_id, how=body.how)
        if answer is not Answer.DONE:
            raise refusal(REFUSED, answer)
        return done(await _in_force(connection, patient_id), 201)

    return await speak(services, Asked(found, patient_id, key), Action.BLOCK_SET, body, act)


@router.post(
    "/patients/{patient_id}/blocks/lift",
    operation_id="liftBlock",
    summary="Let a unit see again",
    response_model=Blocks,
    responses=refusals(403, 409, 413),
)
async def lift(
    *, services: Services, found: Writer, patient_id: Id, body: Blocking, key: Key = None
) -> Response:
    """Lift a block: the unit sees again what is shared with it."""

    async def act(connection: AsyncConnection, _now: datetime) -> Kept:
        answer = await block.lift(connection, found.viewer, patient_id, body.unit_id, how=body.how)
        if answer is not Answer.DONE:
            raise refusal(REFUSED, answer)
        return done(await _in_force(connection, patient_id))

    return await speak(services, Asked(found, patient_id, key), Action.BLOCK_LIFTED, body, act)
