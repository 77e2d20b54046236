"""With whom a patient shares what, until when: relatives, and units of other huvudmän."""

from datetime import datetime
from typing import Final, Self

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, model_validator

from alerts.access import Scope
from alerts.audit.entry import Action
from alerts.care import consent
from alerts.care.consent import HELD_MAX, Answer, Holder, How
from alerts.web.api.deed import Asked, done, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Number, Writer
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.problem import Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Moment, Utc
from alerts.web.services import Services

router = APIRouter(tags=["sharing"])

_UNCHANGED: Final = "Inget har ändrats."
REFUSED: Final = {
    Answer.NOT_YOURS: (
        403,
        Words(
            "consent-not-yours",
            "Det här kan du inte säga för patienten",
            "Ett samtycke skrivs in av patienten själv eller av den fasta vårdkontakten, och "
            f"aldrig för den egna enheten. Be någon av dem. {_UNCHANGED}",
        ),
    ),
    Answer.HOW: (
        422,
        Words(
            "consent-how",
            "Det stämmer inte hur patienten sa det",
            f"Bara patienten kan säga det själv; du noterar telefon, besök eller papper. "
            f"{_UNCHANGED}",
        ),
    ),
    Answer.NOTHING_SHARED: (
        422,
        Words("consent-empty", "Inget delas", f"Säg vad som ska delas. {_UNCHANGED}"),
    ),
    Answer.PERIOD: (
        422,
        Words(
            "consent-period",
            "Tiden är slut innan den börjar",
            f"Välj ett slut som inte har varit, och som ligger efter början. {_UNCHANGED}",
        ),
    ),
    Answer.NO_HOLDER: (
        422,
        Words(
            "consent-nobody",
            "Personen eller enheten finns inte",
            f"Läs listan över närstående eller enheter igen. {_UNCHANGED}",
        ),
    ),
    Answer.OWN_UNIT: (
        409,
        Words(
            "consent-own-unit",
            "Enheten vårdar redan patienten",
            f"Den behöver inget samtycke. Du behöver inte göra något. {_UNCHANGED}",
        ),
    ),
    Answer.FULL: (
        409,
        Words(
            "consent-full",
            "Fler delningar får inte plats",
            f"Patienten delar redan med {HELD_MAX} personer och enheter. Avsluta någon av dem "
            f"först. {_UNCHANGED}",
        ),
    ),
    Answer.NONE: (
        409,
        Words(
            "consent-over",
            "Delningen är redan slut",
            f"Du behöver inte göra något. {_UNCHANGED}",
        ),
    ),
}
_CONSENT: Final = {
    "consent_id": 8,
    "relative_id": 4,
    "unit_id": None,
    "holder_name": "Gerd Exempel",
    "scopes": ["alerts", "values"],
    "from_at": AT,
    "until_at": LATER,
    "given_how": "phone",
    "noted_name": "Anna Provberg",
}


class Consent(BaseModel):
    """What one relative, or one unit, may see."""

    model_config = answers(**_CONSENT)

    consent_id: int
    relative_id: int | None
    unit_id: int | None
    holder_name: str
    scopes: list[Scope]
    from_at: Utc
    until_at: Utc | None = Field(description="Exclusive; null: until it is revoked.")
    given_how: How
    noted_name: str | None = Field(description="Null: by herself.")


class Consents(BaseModel):
    """With whom a patient shares, now or later."""

    model_config = answers(consents=[_CONSENT])

    consents: list[Consent]


class Relative(BaseModel):
    """Somebody close to a patient."""

    relative_id: int
    name: str
    relation: str


class Relatives(BaseModel):
    """Who is close to a patient."""

    model_config = answers(relatives=[{"relative_id": 4, "name": "Gerd", "relation": "dotter"}])

    relatives: list[Relative]


class _Holder(BaseModel):
    relative_id: Number | None = Field(None, description="Who: this, or the unit.")
    unit_id: Number | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.relative_id is None) == (self.unit_id is None):
            problem = "a relative or a unit"
            raise ValueError(problem)
        return self

    def holder(self) -> Holder:
        return Holder(relative_id=self.relative_id, unit_id=self.unit_id)


class Sharing(_Holder):
    """What a relative or a unit may see from now on, in the place of what it was."""

    model_config = takes(
        relative_id=4,
        unit_id=None,
        scopes=["values", "alerts"],
        how="phone",
        from_at=None,
        until_at=LATER,
    )

    scopes: list[Scope] = Field(max_length=len(Scope))
    how: How = Field(description="`self`: the patient says it here.")
    from_at: Moment | None = Field(None, description="Null: now.")
    until_at: Moment | None = Field(None, description="Exclusive; null: until it is revoked.")


class Revoking(_Holder):
    """Who is to see nothing any more."""

    model_config = takes(relative_id=4, unit_id=None)


async def _held(connection: AsyncConnection, patient_id: int) -> Consents:
    return Consents(
        consents=[
            Consent(
                consent_id=one.consent_id,
                relative_id=one.relative_id,
                unit_id=one.unit_id,
                holder_name=one.holder_name,
                scopes=sorted(map(Scope, one.scope)),
                from_at=one.from_at,
                until_at=one.until_at,
                given_how=How(one.given_how),
                noted_name=one.noted_name,
            )
            for one in await consent.held(connection, patient_id)
        ]
    )


@router.get(
    "/patients/{patient_id}/relatives",
    operation_id="listRelatives",
    summary="Who is close to her",
    responses=refusals(),
)
async def relatives(services: Services, found: Anyone, patient_id: Id) -> Relatives:
    """Return who is close to a patient, for herself and for who cares for her."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        rows = await consent.relatives(connection, patient_id)
    return Relatives(
        relatives=[
            Relative(relative_id=one.relative_id, name=one.name, relation=one.relation)
            for one in rows
        ]
    )


@router.get(
    "/patients/{patient_id}/consents",
    operation_id="listConsents",
    summary="With whom she shares",
    responses=refusals(),
)
async def listed(services: Services, found: Anyone, patient_id: Id) -> Consents:
    """Return what is shared now or later, for herself and for who cares for her."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        return await _held(connection, patient_id)


@router.post(
    "/patients/{patient_id}/consents",
    operation_id="giveConsent",
    summary="Share",
    status_code=201,
    response_model=Consents,
    responses=refusals(403, 409, 413),
)
async def give(
    *, services: Services, found: Writer, patient_id: Id, body: Sharing, key: Key = None
) -> Response:
    """Share with a relative or a unit: she herself, or who cares for her and notes her word."""

    async def act(connection: AsyncConnection, _now: datetime) -> Kept:
        answer = await consent.give(
            connection,
            found.viewer,
            patient_id,
            body.holder(),
            set(body.scopes),
            how=body.how,
            from_at=body.from_at,
            until_at=body.until_at,
        )
        if answer is not Answer.DONE:
            raise refusal(REFUSED, answer)
        return done(await _held(connection, patient_id), 201)

    return await speak(services, Asked(found, patient_id, key), Action.CONSENT_GIVEN, body, act)


@router.post(
    "/patients/{patient_id}/consents/revoke",
    operation_id="revokeConsent",
    summary="Share no more",
    response_model=Consents,
    responses=refusals(403, 409, 413),
)
async def revoke(
    *, services: Services, found: Writer, patient_id: Id, body: Revoking, key: Key = None
) -> Response:
    """End what a relative or a unit may see, whole, now: the next request is refused."""

    async def act(connection: AsyncConnection, _now: datetime) -> Kept:
        answer = await consent.revoke(connection, found.viewer, patient_id, body.holder())
        if answer is not Answer.DONE:
            raise refusal(REFUSED, answer)
        return done(await _held(connection, patient_id))

    return await speak(services, Asked(found, patient_id, key), Action.CONSENT_REVOKED, body, act)
