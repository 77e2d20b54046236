"""Units of mass and length in the scales' characteristics, and the way to kg."""

import enum
from typing import Final

# International avoirdupois pound, exact (UCUM [lb_av]).
KG_PER_LB: Final = 0.45359237
# A jin (market catty) is half a kilogram; UCUM has no code of its own for it.
KG_PER_JIN: Final = 0.5
# A pound scale's step is 0.01 lb (4.5 g); more decimals than these say nothing.
_KG_DECIMALS: Final = 3


class MassUnit(enum.Enum):
    """The unit a scale was set to; the value is its UCUM code."""

    KG = "kg"
    LB = "[lb_av]"
    JIN = "500.g{jin}"

    @property
    def steps_per_unit(self) -> int:
        """How many of a scale's steps make one: a step is 0.005 kg, 0.01 lb or 0.01 jin."""
        return 200 if self is MassUnit.KG else 100

    def to_kg(self, mass: float) -> float:
        """Return *mass*, in this unit, in kg."""
        if self is MassUnit.KG:
            return mass
        per_unit = KG_PER_LB if self is MassUnit.LB else KG_PER_JIN
        return round(mass * per_unit, _KG_DECIMALS)
