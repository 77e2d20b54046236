"""IEEE 11073-20601 FLOAT (32 bits) and SFLOAT (16 bits).

Both are ``mantissa * 10**exponent``; exponent and mantissa are two's complement, without a
bias. A special value is the whole word; the same mantissa with another exponent is a number.
A device that has no result sends one of them: NaN, NRes ("not at this resolution") and the
reserved word become nan, so that no arithmetic can make a number of them.

Source: Bluetooth SIG, *Personal Health Devices Transcoding White Paper*, section 2.2.2.
"""

import math
from decimal import Decimal
from typing import Final, NamedTuple


class _Format(NamedTuple):
    name: str
    exponent_bits: int
    mantissa_bits: int

    @property
    def special(self) -> dict[int, float]:
        """The special words and what they become; laid around the mantissa's extremes."""
        top = 1 << (self.mantissa_bits - 1)
        return {
            top - 2: math.inf,
            top - 1: math.nan,  # NaN
            top: math.nan,  # NRes
            top + 1: math.nan,  # reserved for future use
            top + 2: -math.inf,
        }


_SFLOAT: Final = _Format("SFLOAT", exponent_bits=4, mantissa_bits=12)
_FLOAT: Final = _Format("FLOAT", exponent_bits=8, mantissa_bits=24)
_SFLOAT_SPECIAL: Final = _SFLOAT.special
_FLOAT_SPECIAL: Final = _FLOAT.special


def decode_sfloat(raw: int) -> float:
    """Return the value of a 16-bit SFLOAT; special words become nan and ±inf."""
    if raw in _SFLOAT_SPECIAL:
        return _SFLOAT_SPECIAL[raw]
    return _scale(_signed(raw & 0x0FFF, 12), _signed(raw >> 12, 4))


def decode_float(raw: int) -> float:
    """Return the value of a 32-bit FLOAT; special words become nan and ±inf."""
    if raw in _FLOAT_SPECIAL:
        return _FLOAT_SPECIAL[raw]
    return _scale(_signed(raw & 0x00FF_FFFF, 24), _signed(raw >> 24, 8))


def encode_sfloat(value: float) -> int:
    """Return the SFLOAT word that is exactly *value*, its exponent as near 0 as it can be.

    Raises:
        ValueError: No SFLOAT is exactly *value*.
    """
    return _encode(value, _SFLOAT)


def encode_float(value: float) -> int:
    """Return the FLOAT word that is exactly *value*; as ``encode_sfloat``."""
    return _encode(value, _FLOAT)


def _signed(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _scale(mantissa: int, exponent: int) -> float:
    # Whole numbers divide to the nearest double: 366 / 10 is 36.6, 366 * 0.1 is not.
    return float(mantissa * 10**exponent) if exponent >= 0 else mantissa / 10**-exponent


def _encode(value: float, form: _Format) -> int:
    top = 1 << (form.mantissa_bits - 1)
    if not math.isfinite(value):
        return {"nan": top - 1, "inf": top - 2, "-inf": top + 2}[str(value)]
    number = Decimal(str(value)).normalize()
    exact = number.as_tuple().exponent
    assert isinstance(exact, int)
    highest = (1 << (form.exponent_bits - 1)) - 1
    # From 0 outwards: 114 is 114e0, and 120 is 120e0, not 12e1.
    for exponent in range(max(min(exact, 0), -highest - 1), min(exact, highest) + 1):
        mantissa = number.scaleb(-exponent)
        if mantissa == int(mantissa) and -top <= mantissa < top:
            word = _word(int(mantissa), exponent, form)
            if word not in form.special:
                return word
    problem = f"no {form.name} is exactly {value!r}"
    raise ValueError(problem)


def _word(mantissa: int, exponent: int, form: _Format) -> int:
    exponent_field = exponent & ((1 << form.exponent_bits) - 1)
    return exponent_field << form.mantissa_bits | mantissa & ((1 << form.mantissa_bits) - 1)
