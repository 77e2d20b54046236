"""Every codec against vectors that it did not make."""

import dataclasses
import enum
import math
from typing import Any

import pytest

from devices.errors import MalformedPayload
from devices.gatt import CODECS
from devices.gatt.blood_pressure import MMHG_PER_KPA, Feature, MeasurementStatus
from devices.gatt.mass import KG_PER_LB, MassUnit
from devices.gatt.weight import Feature as ScaleFeature
from devices.reading import Status
from tests.devices.golden import captures, rows

VECTORS = [(codec, row) for codec in CODECS for row in rows(codec, "vector")]
REFUSED = [(codec, row) for codec in CODECS for row in rows(codec, "refused")]


def _name(argument: object) -> str | None:
    if isinstance(argument, str):
        return argument
    return argument["what"].replace(" ", "-") if isinstance(argument, dict) else None


def _plain(value: object) -> object:
    if isinstance(value, enum.IntFlag):
        return int(value)
    return value.value if isinstance(value, enum.Enum) else value


def _fields(decoded: Any) -> dict[str, object]:
    """Return the fields that say something: those that are not at their default."""
    said = {}
    for field in dataclasses.fields(decoded):
        value = getattr(decoded, field.name)
        if value is not None and value != field.default:
            said[field.name] = _plain(value)
    return said


@pytest.mark.parametrize(("codec", "row"), VECTORS, ids=_name)
def test_payload_means_what_its_specification_says(codec: str, row: dict[str, Any]) -> None:
    decoded = CODECS[codec].decode(bytes.fromhex(row["hex"]))
    expected: dict[str, object] = row["fields"]
    named = {name: _plain(getattr(decoded, name)) for name in expected}
    # repr, since nan is not equal to itself; a field at its default may be named too.
    said = {name: repr(value) for name, value in (_fields(decoded) | named).items()}
    assert said == {name: repr(value) for name, value in expected.items()}


@pytest.mark.parametrize(("codec", "row"), REFUSED, ids=_name)
def test_payload_that_breaks_its_layout_is_refused_whole(codec: str, row: dict[str, Any]) -> None:
    payload = bytes.fromhex(row["hex"])
    with pytest.raises(MalformedPayload) as refusal:
        CODECS[codec].decode(payload)
    assert row["problem"] in str(refusal.value)
    assert refusal.value.payload == payload


@pytest.mark.parametrize(("codec", "row"), VECTORS, ids=_name)
def test_what_was_decoded_encodes_to_a_payload_that_says_the_same(
    codec: str, row: dict[str, Any]
) -> None:
    decoded = CODECS[codec].decode(bytes.fromhex(row["hex"]))
    assert repr(CODECS[codec].decode(decoded.encode())) == repr(decoded)


CANONICAL = [
    ("blood_pressure", "every field"),
    ("weight", "every field, SI"),
    ("weight", "every field, imperial"),
    ("weight", "unsuccessful"),
    ("body_composition", "every field, SI"),
    ("body_composition", "one packet of two, with the impedance"),
    ("mi_scale_v1", "86.55 kg, settled"),
    ("mi_scale_v1", "the same scale, empty"),
    ("mi_scale_v1", "lb"),
    ("mi_scale_v1", "jin"),
    ("mi_scale_v2", "105.8 kg, not settled; the clock has begun at 1970"),
    ("mi_scale_v2", "settled, 512 ohm"),
    ("mi_scale_v2", "lb"),
    ("mi_scale_v2", "jin"),
    ("mi_scale_v2", "removed"),
    ("current_time", "a Sunday, half past the second, set by hand"),
    ("date_time", "a time"),
    ("date_time", "never set"),
    ("step_counter", "every field"),
    ("rsc", "every field, running"),
    ("weight_scale_feature", "everything, finest resolutions"),
    ("blood_pressure_feature", "everything"),
    ("battery", "full"),
    ("infinitime_steps", "10 000 steps"),
    ("device_information", "Swedish"),
    ("user_control_request", "register, code 1234"),
    ("user_control_request", "consent of user 1, code 8229"),
    ("user_control_request", "delete"),
    ("user_control_response", "registered as user 3"),
    ("user_control_response", "consent refused"),
    ("blood_pressure_sbm69", "every field"),
]


@pytest.mark.parametrize(("codec", "what"), CANONICAL)
def test_encoder_lays_out_the_very_bytes(codec: str, what: str) -> None:
    [row] = [row for row in rows(codec, "vector") if row["what"] == what]
    payload = bytes.fromhex(row["hex"])
    assert CODECS[codec].decode(payload).encode() == payload


# Typed again from the specifications: the decoders' own names of single bits.
BITS: list[tuple[type[enum.IntFlag], dict[str, int]]] = [
    (
        MeasurementStatus,
        {
            "BODY_MOVEMENT": 1,
            "CUFF_LOOSE": 2,
            "IRREGULAR_PULSE": 4,
            "PULSE_ABOVE_RANGE": 8,
            "PULSE_BELOW_RANGE": 16,
            "IMPROPER_POSITION": 32,
        },
    ),
    (
        Feature,
        {
            "BODY_MOVEMENT": 1,
            "CUFF_FIT": 2,
            "IRREGULAR_PULSE": 4,
            "PULSE_RANGE": 8,
            "POSITION": 16,
            "MULTIPLE_BONDS": 32,
        },
    ),
    (ScaleFeature, {"TIME_STAMP": 1, "MULTIPLE_USERS": 2, "BMI": 4}),
]


@pytest.mark.parametrize(("flags", "bits"), BITS)
def test_bits_are_where_the_specification_has_them(
    flags: type[enum.IntFlag], bits: dict[str, int]
) -> None:
    assert {flag.name: flag.value for flag in flags} == bits


def test_status_of_a_reading_is_the_cuff_s_own() -> None:
    cuff = {flag.name: flag.value for flag in MeasurementStatus}
    assert {flag.name: flag.value for flag in Status} == cuff


def test_units_are_converted_by_their_definitions() -> None:
    assert MassUnit.LB.to_kg(100.0) == 45.359  # of 45.359237
    assert KG_PER_LB == 0.45359237  # international yard and pound agreement, 1959
    assert MassUnit.JIN.to_kg(1.0) == 0.5
    pascal_per_mmhg = 13.5951 * 9.80665  # density of mercury and standard gravity, conventional
    assert pytest.approx(1000 / pascal_per_mmhg, abs=1e-9) == MMHG_PER_KPA


def test_captures_from_real_devices_mean_what_their_finders_say() -> None:
    found = captures()
    for codec, key in (("mi_scale_v1", "mi_scale_v1_181d"), ("mi_scale_v2", "mi_scale_v2_181b")):
        for capture in found[key]:
            frame: Any = CODECS[codec].decode(bytes.fromhex(capture["hex"]))
            assert frame.weight == capture["kg"]
            assert frame.unit.value == "kg"
            assert frame.stabilised is capture["stabilised"]
            assert frame.removed is capture["removed"]
            assert frame.counts is capture["counts"]
    [failed] = found["blood_pressure_2a35"]
    record: Any = CODECS["blood_pressure"].decode(bytes.fromhex(failed["hex"]))
    assert all(math.isnan(x) for x in (record.systolic, record.diastolic, record.mean))
    assert math.isnan(record.pulse)
