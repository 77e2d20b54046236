"""What the API answers with: one model a noun, units in names, times in UTC."""

import enum
from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from alerts.access import Scope
from alerts.alert import Event, Outcome, State
from alerts.web.api.time import Utc
from alerts.web.session import Method
from devices.quantity import Quantity


class LevelName(enum.StrEnum):
    """How soon a person must look."""

    NONE = "none"
    YELLOW = "yellow"
    RED = "red"


LEVELS: Final = (LevelName.NONE, LevelName.YELLOW, LevelName.RED)
_AT: Final = "2026-11-23T07:12:00Z"


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class Kind(enum.StrEnum):
    """As what somebody is logged in."""

    STAFF = "staff"
    TECHNICIAN = "technician"
    PATIENT = "patient"
    RELATIVE = "relative"


class Me(BaseModel):
    """Who is logged in."""

    model_config = _example(
        kind="staff",
        name="Anna Provberg",
        role="distriktssköterska",
        unit_name="Provbyns hemsjukvård",
        staff_id=1,
        unit_id=1,
        patient_id=None,
        relative_id=None,
        method="provider",
        assurance="http://id.elegnamnden.se/loa/1.0/loa3",
        csrf_token="3mY0dZ0c8b1Jx0J3r0Z0zq8yJb0Vd0o5b2bq0c9sVxk",  # noqa: S106 - an example
    )

    kind: Kind
    name: str
    role: str = Field(description='A staff member\'s; "" for others.')
    unit_name: str
    staff_id: int | None
    unit_id: int | None
    patient_id: int | None
    relative_id: int | None
    method: Method = Field(description="How she proved who she is.")
    assurance: str = Field(description='The identity provider\'s level; "" for a password.')
    csrf_token: str = Field(description="Goes into the header `X-CSRF-Token` of every POST.")


_NAME: Final = {
    "patient_id": 3,
    "given_name": "Greta",
    "family_name": "Exempel",
    "born_on": "1890-01-01",
}


class Name(BaseModel):
    """A patient, as far as one needs to know whom it is about."""

    model_config = _example(**_NAME)

    patient_id: int
    given_name: str
    family_name: str
    born_on: date


class ListedPatient(Name):
    """A patient in a list."""

    model_config = _example(**_NAME, diagnosis="Hjärtsvikt", has_contact=True, last_measured_at=_AT)

    diagnosis: str
    has_contact: bool = Field(description="She has a fixed care contact, or a team.")
    last_measured_at: Utc | None


class Patients(BaseModel):
    """The patients the viewer follows, in the order of their names."""

    model_config = _example(
        patients=[{**_NAME, "diagnosis": "", "has_contact": True, "last_measured_at": _AT}]
    )

    patients: list[ListedPatient]


class Patient(Name):
    """A patient as her care and she herself see her."""

    model_config = _example(
        **_NAME,
        personal_number=None,
        phone="070-174 06 05",
        diagnosis="Hjärtsvikt",
        unit_name="Provbyns hemsjukvård",
        unit_phone="0980-319 200",
        unit_hours="vardagar 8–16",
        contact_name="Anna Provberg",
        contact_role="distriktssköterska",
        contact_phone="0980-319 202",
        ground="contact",
        scopes=["alerts", "contact", "messages", "plan", "values"],
        may_act=True,
    )

    personal_number: str | None = Field(
        description="Twelve digits. Null for who does not need it: a relative."
    )
    phone: str | None
    diagnosis: str | None
    unit_name: str
    unit_phone: str
    unit_hours: str
    contact_name: str | None = Field(description="Null: she has no fixed care contact.")
    contact_role: str | None
    contact_phone: str | None
    ground: str = Field(description="The relation that opens her to the viewer.")
    scopes: list[Scope] = Field(description="How much of her is open.")
    may_act: bool = Field(description="Whether the viewer may take and end her alerts.")


_ALERT: Final = {
    "alert_id": 12,
    "patient": _NAME,
    "rule": "limit:blood_pressure",
    "level": "red",
    "state": "acknowledged",
    "is_late": False,
    "opened_at": _AT,
    "measured_at": _AT,
    "title": "Blodtryck över gräns",
    "why": "Blodtryck 192/112 mmHg, över gränsen 180/110",
    "readings_count": 1,
    "contact_name": "Anna Provberg",
    "receiver_name": "Anna Provberg",
    "snoozed_until": None,
    "acknowledged_name": "Anna Provberg",
    "acknowledged_at": _AT,
    "has_changed_since_acknowledged": False,
    "closed_name": None,
    "closed_at": None,
    "outcome": None,
    "note": None,
}


class Alert(BaseModel):
    """An episode that a person must act on."""

    model_config = _example(**_ALERT)

    alert_id: int
    patient: Name
    rule: str
    level: LevelName
    state: State
    is_late: bool = Field(description="Its values came long after they were measured.")
    opened_at: Utc
    measured_at: Utc = Field(description="Of the reading that says why.")
    title: str
    why: str = Field(description="In Swedish, in words and numbers.")
    readings_count: int
    contact_name: str | None
    receiver_name: str | None = Field(description="Null: the unit's queue, or not routed yet.")
    snoozed_until: Utc | None
    acknowledged_name: str | None
    acknowledged_at: Utc | None
    has_changed_since_acknowledged: bool
    closed_name: str | None
    closed_at: Utc | None
    outcome: Outcome | None
    note: str | None = Field(description="For who cares for her; else null.")


class Alerts(BaseModel):
    """Alerts of one patient, the newest first."""

    model_config = _example(alerts=[_ALERT], next_cursor=None)

    alerts: list[Alert]
    next_cursor: str | None = Field(description="Of the next page; null: this is the last.")


class WaitingMessages(BaseModel):
    """A patient who waits for an answer."""

    patient: Name
    text: str = Field(description="Of the newest message.")
    since: Utc
    messages_count: int
    read_name: str | None


class Task(BaseModel):
    """Something to do that is no alert."""

    task_id: int
    patient: Name
    kind: str
    why: str
    opened_at: Utc


class Worklist(BaseModel):
    """What a staff member has before her, in the order she should take it."""

    model_config = _example(
        red_count=1,
        yellow_count=0,
        left_out_count=0,
        alerts=[_ALERT],
        messages=[
            {
                "patient": _NAME,
                "text": "Ska jag mäta i dag?",
                "since": _AT,
                "messages_count": 1,
                "read_name": None,
            }
        ],
        tasks=[],
    )

    red_count: int
    yellow_count: int
    left_out_count: int = Field(description="Alerts there was no room for.")
    alerts: list[Alert]
    messages: list[WaitingMessages]
    tasks: list[Task]


class LogEntry(BaseModel):
    """One thing that happened to an alert."""

    at: Utc
    event: str = Field(description=f"One of: {', '.join(Event)}; more may come.")
    staff_name: str | None
    text: str = Field(description="In Swedish, as on the patient's page.")
    detail: dict[str, Any]


class AlertLog(BaseModel):
    """What happened to an alert, the newest first."""

    model_config = _example(
        entries=[
            {
                "at": _AT,
                "event": "acknowledged",
                "staff_name": "Anna Provberg",
                "text": "Blodtryck: Anna Provberg tog larmet",
                "detail": {},
            }
        ],
        next_cursor=None,
    )

    entries: list[LogEntry]
    next_cursor: str | None


class Values(BaseModel):
    """What one act of measuring gave; null: not measured."""

    systolic_mmhg: float | None = None
    diastolic_mmhg: float | None = None
    mean_arterial_mmhg: float | None = None
    pulse_per_minute: float | None = None
    body_weight_kg: float | None = None
    body_fat_percent: float | None = None
    steps_per_day: float | None = None
    sleep_hours: float | None = None


# The field of each quantity.
FIELDS: Final = {
    Quantity.SYSTOLIC: "systolic_mmhg",
    Quantity.DIASTOLIC: "diastolic_mmhg",
    Quantity.MEAN_ARTERIAL: "mean_arterial_mmhg",
    Quantity.PULSE: "pulse_per_minute",
    Quantity.BODY_WEIGHT: "body_weight_kg",
    Quantity.BODY_FAT: "body_fat_percent",
    Quantity.STEPS: "steps_per_day",
    Quantity.SLEEP: "sleep_hours",
}


class Reading(BaseModel):
    """One act of measuring."""

    reading_id: str
    measured_at: Utc
    arrived_at: Utc
    has_failed: bool
    is_suspect: bool = Field(description="What was measured may be wrong.")
    is_repeat_asked: bool = Field(description="Red, and a second measurement is to decide.")
    level: LevelName = Field(description="Of the worst breach that alerted somebody.")
    values: Values


class Readings(BaseModel):
    """What a patient has measured, the newest first."""

    model_config = _example(
        readings=[
            {
                "reading_id": "5f0c1c1e-6f0e-4f7b-9a55-3c8a1f2a9a10",
                "measured_at": _AT,
                "arrived_at": _AT,
                "has_failed": False,
                "is_suspect": False,
                "is_repeat_asked": False,
                "level": "red",
                "values": {"systolic_mmhg": 192.0, "diastolic_mmhg": 112.0},
            }
        ],
        next_cursor=None,
    )

    readings: list[Reading]
    next_cursor: str | None


_MESSAGE: Final = {
    "message_id": 7,
    "text": "Mät i morgon igen.",
    "written_at": _AT,
    "is_by_care": True,
    "writer_name": "Anna Provberg",
    "read_at": None,
    "read_name": None,
    "answered_at": None,
}


class Message(BaseModel):
    """One message between a patient and her care."""

    model_config = _example(**_MESSAGE)

    message_id: int
    text: str
    written_at: Utc
    is_by_care: bool
    writer_name: str | None = Field(description="Null: the patient herself.")
    read_at: Utc | None = Field(description="Of what the patient wrote.")
    read_name: str | None
    answered_at: Utc | None


class Thread(BaseModel):
    """The newest messages of a patient, the oldest of them first."""

    model_config = _example(messages=[_MESSAGE])

    messages: list[Message]
