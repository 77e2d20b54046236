"""Patients, and what they measure."""

from typing import Final

from pydantic import BaseModel, Field

from alerts.access import Scope
from alerts.web.api.example import AT, answers
from alerts.web.api.models.base import NAME, LevelName, Name
from alerts.web.api.time import Utc
from devices.quantity import Quantity


class ListedPatient(Name):
    """A patient in a list."""

    model_config = answers(**NAME, diagnosis="Hjärtsvikt", has_contact=True, last_measured_at=AT)

    diagnosis: str
    has_contact: bool = Field(description="She has a fixed care contact, or a team.")
    last_measured_at: Utc | None


class Patients(BaseModel):
    """The patients the viewer follows, in the order of their names."""

    model_config = answers(
        patients=[{**NAME, "diagnosis": "", "has_contact": True, "last_measured_at": AT}]
    )

    patients: list[ListedPatient]


class Patient(Name):
    """A patient as her care and she herself see her."""

    model_config = answers(
        **NAME,
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

    model_config = answers(
        readings=[
            {
                "reading_id": "5f0c1c1e-6f0e-4f7b-9a55-3c8a1f2a9a10",
                "measured_at": AT,
                "arrived_at": AT,
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
