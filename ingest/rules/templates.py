"""Rules to begin with: a clinician approves and edits them for a patient.

None is in force by itself. The numbers are those of docs/rules.md. Where a plan says "above 100" of
a whole number, the bound is 101: a high bound is breached at it.
"""

from collections.abc import Mapping
from typing import Final

from devices.quantity import Quantity
from devices.reading import Status
from ingest.rules.limit import RED
from ingest.rules.model import (
    PART,
    Baseline,
    Change,
    Composite,
    KOfN,
    Missing,
    Repeat,
    RollingMean,
)
from ingest.rules.plan import Limit, Rules

_DAILY_H: Final = 24

BLOOD_PRESSURE: Final = Rules(
    limits=(
        Limit(
            quantity=Quantity.SYSTOLIC, red_low=90, yellow_low=100, yellow_high=160, red_high=180
        ),
        Limit(quantity=Quantity.DIASTOLIC, yellow_high=95, red_high=110),
        Limit(quantity=Quantity.PULSE, red_low=40, yellow_low=50, yellow_high=101, red_high=121),
    ),
    rules=(
        Repeat(quantity=Quantity.SYSTOLIC),
        KOfN(quantity=Quantity.SYSTOLIC, k=3, n=5, high=150),
        KOfN(quantity=Quantity.SYSTOLIC, k=3, n=6, status=int(Status.IRREGULAR_PULSE)),
        RollingMean(quantity=Quantity.SYSTOLIC, high=135),
        RollingMean(quantity=Quantity.DIASTOLIC, high=85),
        # "Act within days": there is no level between yellow and red, so a person is to look.
        RollingMean(quantity=Quantity.SYSTOLIC, high=150, level=RED),
        RollingMean(quantity=Quantity.DIASTOLIC, high=95, level=RED),
        Missing(quantity=Quantity.SYSTOLIC, interval_h=_DAILY_H),
    ),
)

_STEPS_FEWER: Final = Baseline(quantity=Quantity.STEPS, percent=70, level=PART)
_HEAVIER: Final = Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0)

HEART_FAILURE: Final = Rules(
    rules=(
        _HEAVIER,
        Change(quantity=Quantity.BODY_WEIGHT, days=7, up=3.0, level=RED),
        Change(quantity=Quantity.BODY_WEIGHT, days=7, down=3.0),
        Baseline(quantity=Quantity.STEPS),
        _STEPS_FEWER,
        Composite(
            quantity=Quantity.BODY_WEIGHT,
            name="weight_and_steps",
            components=(_HEAVIER.key, _STEPS_FEWER.key),
        ),
        Missing(quantity=Quantity.BODY_WEIGHT, interval_h=_DAILY_H),
    ),
)

TEMPLATES: Final[Mapping[str, Rules]] = {
    "blood_pressure": BLOOD_PRESSURE,
    "heart_failure": HEART_FAILURE,
}
