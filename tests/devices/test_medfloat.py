"""IEEE 11073 floats: no bias, decimal-exact, special words never a number."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.gatt.medfloat import decode_float, decode_sfloat, encode_float, encode_sfloat
from tests.devices.golden import captures, load

# Typed again here, so that the format is held independently of the code.
SFLOAT_SPECIAL = {0x07FE: "inf", 0x07FF: "nan", 0x0800: "nan", 0x0801: "nan", 0x0802: "-inf"}


def decimal_sfloat(raw: int) -> str:
    """Return a number's digits by the definition, in decimal arithmetic; slow and separate."""
    if raw in SFLOAT_SPECIAL:
        return SFLOAT_SPECIAL[raw]
    mantissa, exponent = raw % 4096, raw // 4096
    mantissa -= 4096 if mantissa > 2047 else 0
    exponent -= 16 if exponent > 7 else 0
    return str(float(Decimal(mantissa).scaleb(exponent)))


@pytest.mark.parametrize("row", load("medfloat")["sfloat"], ids=lambda row: hex(row["raw"]))
def test_sfloat_of_the_white_paper(row: dict[str, float]) -> None:
    assert repr(decode_sfloat(int(row["raw"]))) == repr(row["value"])


@pytest.mark.parametrize("row", load("medfloat")["float"], ids=lambda row: hex(row["raw"]))
def test_float_of_the_white_paper(row: dict[str, float]) -> None:
    assert repr(decode_float(int(row["raw"]))) == repr(row["value"])


def test_sfloats_seen_in_the_field() -> None:
    special = {"nan": "nan", "nres": "nan", "reserved": "nan", "+inf": "inf", "-inf": "-inf"}
    for row in captures()["sfloat"]:
        raw = int.from_bytes(bytes.fromhex(row["hex"]), "little")
        expected = special[row["special"]] if "special" in row else str(float(row["value"]))
        assert str(decode_sfloat(raw)) == expected
    for row in captures()["float"]:
        assert decode_float(int.from_bytes(bytes.fromhex(row["hex"]), "little")) == row["value"]


def test_every_sfloat_is_the_decimal_number_it_says() -> None:
    wrong = [raw for raw in range(1 << 16) if str(decode_sfloat(raw)) != decimal_sfloat(raw)]
    assert not wrong


def test_every_sfloat_survives_encoding() -> None:
    numbers = {str(decode_sfloat(raw)) for raw in range(1 << 16)}
    lost = [n for n in numbers if str(decode_sfloat(encode_sfloat(float(n)))) != n]
    assert not lost


@given(st.integers(0, (1 << 32) - 1))
def test_every_float_survives_encoding(raw: int) -> None:
    number = decode_float(raw)
    assert str(decode_float(encode_float(number))) == str(number)


@pytest.mark.parametrize(("number", "raw"), [(114, 0x0072), (36.6, 0xF16E), (120, 0x0078)])
def test_encoder_keeps_the_exponent_near_zero(number: float, raw: int) -> None:
    assert encode_sfloat(number) == raw


@pytest.mark.parametrize("number", [2046.0, 2047.0, -2046.0, -2047.0, -2048.0, 204.75, 1e12, 1e-9])
def test_number_without_an_sfloat_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="no SFLOAT is exactly"):
        encode_sfloat(number)


def test_number_without_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="no FLOAT is exactly"):
        encode_float(8388607.0)
