"""The one table of what we measure: unit, codes, plausibility bounds and names of each quantity.

Codes: LOINC (loinc.org), UCUM, and ISO/IEEE 11073-10101 (MDC: partition × 2¹⁶ + term code).
Plausibility bounds: docs/plausibility.md; hard bounds are never a value, soft ones are suspect.
"""

import enum
import math
from dataclasses import dataclass


class Panel(enum.StrEnum):
    """What is measured in one act and judged as one episode: 192/112 is one alert, not two."""

    BLOOD_PRESSURE = "blood_pressure"
    PULSE = "pulse"
    BODY_WEIGHT = "body_weight"
    BODY_COMPOSITION = "body_composition"
    STEPS = "steps"
    SLEEP = "sleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityFacts:
    """What is known of a quantity, whoever measures it.

    Bounds are in ``unit`` and inclusive: a value equal to a bound lies within it.
    """

    id: int  # stable small number: array index in columns, smallint in the database
    panel: Panel
    unit: str  # UCUM
    unit_shown: str  # as people write it
    loinc: str | None
    mdc: int | None
    hard_low: float
    hard_high: float
    soft_low: float
    soft_high: float
    decimals: int  # shown to people
    name_sv: str
    name_en: str


class Quantity(enum.StrEnum):
    """A quantity we keep; the value is its wire code."""

    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    MEAN_ARTERIAL = "mean_arterial"
    PULSE = "pulse"
    BODY_WEIGHT = "body_weight"
    STEPS = "steps"
    SLEEP = "sleep"
    BODY_FAT = "body_fat"

    @property
    def facts(self) -> QuantityFacts:
        """What is known of this quantity."""
        return _FACTS[self]


_FACTS = {
    Quantity.SYSTOLIC: QuantityFacts(
        id=1,
        panel=Panel.BLOOD_PRESSURE,
        unit="mm[Hg]",
        unit_shown="mmHg",
        loinc="8480-6",
        mdc=150021,
        hard_low=40,
        hard_high=300,
        soft_low=70,
        soft_high=250,
        decimals=0,
        name_sv="Systoliskt blodtryck",
        name_en="Systolic blood pressure",
    ),
    Quantity.DIASTOLIC: QuantityFacts(
        id=2,
        panel=Panel.BLOOD_PRESSURE,
        unit="mm[Hg]",
        unit_shown="mmHg",
        loinc="8462-4",
        mdc=150022,
        hard_low=20,
        hard_high=200,
        soft_low=40,
        soft_high=150,
        decimals=0,
        name_sv="Diastoliskt blodtryck",
        name_en="Diastolic blood pressure",
    ),
    # Between the other two by definition: the pair's check in plausibility is the tight one.
    Quantity.MEAN_ARTERIAL: QuantityFacts(
        id=3,
        panel=Panel.BLOOD_PRESSURE,
        unit="mm[Hg]",
        unit_shown="mmHg",
        loinc="8478-0",
        mdc=150023,
        hard_low=20,
        hard_high=300,
        soft_low=40,
        soft_high=250,
        decimals=0,
        name_sv="Medelartärtryck",
        name_en="Mean arterial pressure",
    ),
    Quantity.PULSE: QuantityFacts(
        id=4,
        panel=Panel.PULSE,
        unit="/min",
        unit_shown="slag/min",
        loinc="8867-4",
        mdc=149546,
        hard_low=20,
        hard_high=250,
        soft_low=40,
        soft_high=180,
        decimals=0,
        name_sv="Puls",
        name_en="Pulse rate",
    ),
    Quantity.BODY_WEIGHT: QuantityFacts(
        id=5,
        panel=Panel.BODY_WEIGHT,
        unit="kg",
        unit_shown="kg",
        loinc="29463-7",
        mdc=188736,
        hard_low=20,
        hard_high=350,
        soft_low=30,
        soft_high=250,
        decimals=1,
        name_sv="Vikt",
        name_en="Body weight",
    ),
    # Running total of the day so far; a total that falls is a reset, never a negative count.
    Quantity.STEPS: QuantityFacts(
        id=6,
        panel=Panel.STEPS,
        unit="{steps}/d",
        unit_shown="steg",
        loinc="41950-7",
        mdc=None,
        hard_low=0,
        hard_high=100_000,
        soft_low=0,
        soft_high=40_000,
        decimals=0,
        name_sv="Steg",
        name_en="Steps",
    ),
    Quantity.SLEEP: QuantityFacts(
        id=7,
        panel=Panel.SLEEP,
        unit="h",
        unit_shown="h",
        loinc="93832-4",
        mdc=None,
        hard_low=0,
        hard_high=24,
        soft_low=1,
        soft_high=16,
        decimals=1,
        name_sv="Sömn",
        name_en="Sleep duration",
    ),
    Quantity.BODY_FAT: QuantityFacts(
        id=8,
        panel=Panel.BODY_COMPOSITION,
        unit="%",
        unit_shown="%",
        loinc="41982-0",
        mdc=188748,
        hard_low=1,
        hard_high=80,
        soft_low=3,
        soft_high=65,
        decimals=1,
        name_sv="Kroppsfett",
        name_en="Body fat",
    ),
}

BY_ID = {quantity.facts.id: quantity for quantity in Quantity}


def is_value(number: float) -> bool:
    """Return whether *number* can be a value at all: finite, so never a NaN or an infinity."""
    return math.isfinite(number)
