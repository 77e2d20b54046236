"""The table of what we measure, against the standards' numbers typed again here."""

import re
from pathlib import Path

import pytest

from devices.quantity import BY_ID, Panel, Quantity, is_value

# LOINC: loinc.org. MDC: partition 2 (SCADA) × 2¹⁶ + the term's code in ISO/IEEE 11073-10101.
SCADA = 2 << 16
CODES = {
    "systolic": ("8480-6", SCADA + 18949, "mm[Hg]"),  # MDC_PRESS_BLD_NONINV_SYS
    "diastolic": ("8462-4", SCADA + 18950, "mm[Hg]"),  # MDC_PRESS_BLD_NONINV_DIA
    "mean_arterial": ("8478-0", SCADA + 18951, "mm[Hg]"),  # MDC_PRESS_BLD_NONINV_MEAN
    "pulse": ("8867-4", SCADA + 18474, "/min"),  # MDC_PULS_RATE_NON_INV
    "body_weight": ("29463-7", SCADA + 57664, "kg"),  # MDC_MASS_BODY_ACTUAL
    "steps": ("41950-7", None, "{steps}/d"),
    "sleep": ("93832-4", None, "h"),
    "body_fat": ("41982-0", SCADA + 57676, "%"),  # MDC_BODY_FAT
}

# Hard low and high, soft low and high.
BOUNDS = {
    "systolic": (40, 300, 70, 250),
    "diastolic": (20, 200, 40, 150),
    "mean_arterial": (20, 300, 40, 250),
    "pulse": (20, 250, 40, 180),
    "body_weight": (20, 350, 30, 250),
    "steps": (0, 100_000, 0, 40_000),
    "sleep": (0, 24, 1, 16),
    "body_fat": (1, 80, 3, 65),
}

DOCUMENT = Path(__file__).parents[2] / "docs" / "plausibility.md"


@pytest.mark.parametrize("quantity", Quantity)
def test_codes_are_the_standards(quantity: Quantity) -> None:
    facts = quantity.facts
    assert (facts.loinc, facts.mdc, facts.unit) == CODES[quantity]


@pytest.mark.parametrize("quantity", Quantity)
def test_loinc_code_has_the_right_check_digit(quantity: Quantity) -> None:
    """Luhn's sum over all digits is a multiple of ten, so a mistyped digit shows."""
    digits = [int(digit) for digit in str(quantity.facts.loinc).replace("-", "")]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    assert (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


@pytest.mark.parametrize("quantity", Quantity)
def test_bounds_are_those_agreed(quantity: Quantity) -> None:
    facts = quantity.facts
    bounds = (facts.hard_low, facts.hard_high, facts.soft_low, facts.soft_high)
    assert bounds == BOUNDS[quantity]
    assert facts.hard_low <= facts.soft_low < facts.soft_high <= facts.hard_high


@pytest.mark.parametrize("quantity", Quantity)
def test_document_of_bounds_says_what_the_code_does(quantity: Quantity) -> None:
    rows = re.findall(rf"^\| `{quantity}` \|(.*)\|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 1
    unit, *bounds, _source = [cell.strip() for cell in rows[0].split("|")]
    assert unit == quantity.facts.unit_shown
    assert tuple(float(bound.replace(" ", "")) for bound in bounds) == BOUNDS[quantity]


def test_ids_stand_for_ever() -> None:
    assert {number: str(quantity) for number, quantity in BY_ID.items()} == {
        1: "systolic",
        2: "diastolic",
        3: "mean_arterial",
        4: "pulse",
        5: "body_weight",
        6: "steps",
        7: "sleep",
        8: "body_fat",
    }


def test_one_act_with_a_cuff_is_two_panels() -> None:
    panels = {quantity.facts.panel for quantity in list(Quantity)[:4]}
    assert panels == {Panel.BLOOD_PRESSURE, Panel.PULSE}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, True),
        (-1.0, True),
        (float("nan"), False),
        (float("inf"), False),
        (float("-inf"), False),
    ],
)
def test_only_finite_numbers_are_values(*, number: float, expected: bool) -> None:
    assert is_value(number) is expected
