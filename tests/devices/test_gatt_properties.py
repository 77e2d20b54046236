"""What holds for every codec and any bytes."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import MalformedPayload
from devices.gatt import CODECS, uuids
from devices.gatt.battery import BatteryLevel
from devices.gatt.blood_pressure import (
    BloodPressure,
    BloodPressureFeature,
    Feature,
    MeasurementStatus,
    PressureUnit,
)
from devices.gatt.body_composition import BodyComposition
from devices.gatt.cursor import date_time, uint
from devices.gatt.date_time import CurrentTime, DateTime, encode_clock
from devices.gatt.device_information import DeviceInformation
from devices.gatt.infinitime import StepCount
from devices.gatt.mass import MassUnit
from devices.gatt.medfloat import decode_sfloat
from devices.gatt.mi_scale import MiScaleV1, MiScaleV2
from devices.gatt.rsc import RscMeasurement
from devices.gatt.step_counter import StepCounterSummary
from devices.gatt.user_control_point import (
    Operation,
    Result,
    UserControlRequest,
    UserControlResponse,
)
from devices.gatt.vendor_blood_pressure import BeurerBloodPressure, Sbm69BloodPressure
from devices.gatt.weight import Feature as ScaleFeature
from devices.gatt.weight import WeightMeasurement, WeightScaleFeature
from tests.devices.sessions import NOW, local


def uints(bits: int, below: int = 0) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1 - below)


def steps(per_unit: int, below: int = 0) -> st.SearchStrategy[float]:
    return uints(16, below).map(lambda raw: raw / per_unit)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


SECONDS = st.datetimes(local("1582-01-01"), local("9999-12-31")).map(
    lambda moment: moment.replace(microsecond=0, fold=0)
)
SFLOATS = uints(16).map(decode_sfloat)
USERS = some(st.integers(0, 254))
FLAGS = st.booleans()
JIN_OR_LESS = st.sampled_from(MassUnit)
KG_OR_LB = st.sampled_from((MassUnit.KG, MassUnit.LB))


@st.composite
def weights(draw: st.DrawFn) -> WeightMeasurement:
    unit = draw(KG_OR_LB)
    with_height = draw(FLAGS)
    height_steps = 1000 if unit is MassUnit.KG else 10
    return WeightMeasurement(
        weight=draw(some(steps(unit.steps_per_unit, below=1))),
        unit=unit,
        time_stamp=draw(some(SECONDS)),
        user_id=draw(USERS),
        bmi=draw(steps(10)) if with_height else None,
        height=draw(steps(height_steps)) if with_height else None,
    )


@st.composite
def compositions(draw: st.DrawFn) -> BodyComposition:
    unit = draw(KG_OR_LB)
    mass = some(steps(unit.steps_per_unit))
    return BodyComposition(
        fat_percent=draw(some(steps(10, below=1))),
        unit=unit,
        time_stamp=draw(some(SECONDS)),
        user_id=draw(USERS),
        basal_metabolism_kj=draw(some(uints(16))),
        muscle_percent=draw(some(steps(10))),
        muscle_mass=draw(mass),
        fat_free_mass=draw(mass),
        soft_lean_mass=draw(mass),
        body_water_mass=draw(mass),
        impedance_ohm=draw(some(steps(10))),
        weight=draw(mass),
        height=draw(some(steps(1000 if unit is MassUnit.KG else 10))),
        multiple_packet=draw(FLAGS),
    )


@st.composite
def mi_scales(draw: st.DrawFn) -> MiScaleV1 | MiScaleV2:
    unit = draw(JIN_OR_LESS)
    known: dict[str, Any] = {
        "weight": draw(steps(unit.steps_per_unit)),
        "unit": unit,
        "stabilised": draw(FLAGS),
        "removed": draw(FLAGS),
        "time_stamp": draw(some(SECONDS)),
    }
    if draw(FLAGS):
        return MiScaleV1(**known)
    return MiScaleV2(**known, impedance_ohm=draw(some(uints(16))))


@st.composite
def user_control(draw: st.DrawFn) -> UserControlRequest | UserControlResponse:
    operation = draw(st.sampled_from(Operation))
    if draw(FLAGS):
        result = draw(st.sampled_from(Result))
        registered = operation is Operation.REGISTER_NEW_USER and result is Result.SUCCESS
        slot = draw(uints(8)) if registered else None
        return UserControlResponse(operation=int(operation), result=result, slot=slot)
    return UserControlRequest(
        operation=operation,
        slot=draw(uints(8)) if operation is Operation.CONSENT else None,
        code=None if operation is Operation.DELETE_USER_DATA else draw(st.integers(0, 9999)),
    )


WHOLE = st.integers(1, 300).map(float)


MEASUREMENTS = st.one_of(
    user_control(),
    st.builds(
        BeurerBloodPressure,
        systolic=SFLOATS,
        diastolic=SFLOATS,
        mean=SFLOATS.map(lambda mean: mean or float("nan")),
        unit=st.sampled_from(PressureUnit),
        time_stamp=some(SECONDS),
        pulse=some(SFLOATS),
        user_id=USERS,
        status=some(uints(6).map(MeasurementStatus)),
    ),
    st.builds(
        Sbm69BloodPressure,
        systolic=WHOLE,
        diastolic=WHOLE,
        mean=WHOLE,
        time_stamp=some(SECONDS),
        pulse=some(WHOLE),
        user_id=USERS,
        status=some(uints(6).map(MeasurementStatus)),
    ),
    st.builds(BatteryLevel, st.integers(0, 100)),
    st.builds(
        BloodPressure,
        systolic=SFLOATS,
        diastolic=SFLOATS,
        mean=SFLOATS,
        unit=st.sampled_from(PressureUnit),
        time_stamp=some(SECONDS),
        pulse=some(SFLOATS),
        user_id=USERS,
        status=some(uints(6).map(MeasurementStatus)),
    ),
    st.builds(BloodPressureFeature, uints(6).map(Feature)),
    compositions(),
    st.builds(DateTime, some(SECONDS)),
    st.builds(
        CurrentTime,
        some(st.tuples(SECONDS, uints(8)).map(lambda parts: _with_fraction(*parts))),
        uints(8),
        uints(8),
    ),
    st.builds(DeviceInformation, st.text().filter(lambda text: "\0" not in text)),
    st.builds(StepCount, uints(32)),
    mi_scales(),
    st.builds(
        RscMeasurement,
        speed_m_s=steps(256),
        cadence_per_min=uints(8),
        running=FLAGS,
        stride_m=some(steps(100)),
        distance_m=some(uints(32).map(lambda raw: raw / 10)),
    ),
    st.builds(
        StepCounterSummary,
        segment_counter=uints(6),
        session_id=uints(16),
        sub_session_id=uints(16),
        relative_time_s=uints(32),
        sequence=uints(32),
        walking_steps=some(uints(24)),
        intensity_steps=some(uints(24)),
        floor_steps=some(uints(24)),
        distance_m=some(uints(24)),
        worn_time_s=some(uints(24)),
    ),
    weights(),
    st.builds(WeightScaleFeature, uints(3).map(ScaleFeature), uints(4), uints(3)),
)


def _with_fraction(moment: datetime, fraction: int) -> datetime:
    return moment.replace(microsecond=fraction * 1_000_000 // 256)


@given(MEASUREMENTS)
def test_decoding_what_was_encoded_gives_it_back(measurement: Any) -> None:
    # repr, since nan is not equal to itself.
    assert repr(type(measurement).decode(measurement.encode())) == repr(measurement)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(payload=st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_refusal_that_holds_them(codec: Any, payload: bytes) -> None:
    try:
        decoded = codec.decode(payload)
    except MalformedPayload as error:
        refusal = error
    else:
        assert repr(codec.decode(decoded.encode())) == repr(decoded)
        return
    assert refusal.payload == payload
    assert refusal.problem
    assert refusal.characteristic in str(refusal)


def test_refusal_of_a_long_payload_shows_its_head_and_keeps_it_whole() -> None:
    payload = bytes(range(200)) + bytes(312)
    with pytest.raises(MalformedPayload) as refusal:
        BatteryLevel.decode(payload)
    assert refusal.value.payload == payload
    assert str(refusal.value).endswith("1e 1f … (512 bytes)'")


@pytest.mark.parametrize(
    "too_much",
    [
        BatteryLevel(300),
        StepCount(-1),
        WeightMeasurement(weight=400.0),
        WeightMeasurement(weight=327.675),  # its field would be "unsuccessful"
        BloodPressure(systolic=120.25, diastolic=0, mean=0),  # five digits
        BloodPressure(systolic=1e300, diastolic=0, mean=0),
        BloodPressure(systolic=1e-12, diastolic=0, mean=0),
        BloodPressure(systolic=2047, diastolic=0, mean=0),  # its word would be NaN
        UserControlRequest(operation=Operation.REGISTER_NEW_USER, code=10_000),
        UserControlRequest(operation=Operation.REGISTER_NEW_USER),
        UserControlRequest(operation=Operation.CONSENT, code=1),
        UserControlRequest(operation=Operation.REGISTER_NEW_USER, slot=1, code=1),
        UserControlRequest(operation=Operation.DELETE_USER_DATA, code=1),
    ],
    ids=repr,
)
def test_what_no_payload_can_say_is_not_encoded(too_much: Any) -> None:
    with pytest.raises(ValueError):
        too_much.encode()


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        ("2026-11-22 08:30:00", "ea07 0b 16 08 1e 00 07 00 00"),  # a Sunday
        ("2026-05-12 18:53:43", "ea07 05 0c 12 35 2b 02 00 00"),  # a Tuesday, as openScale told it
        ("2026-12-31 23:59:59.500000", "eb07 01 01 00 00 00 05 00 00"),  # to the nearest second
        ("2028-02-29 00:00:00.499999", "ec07 02 1d 00 00 00 02 00 00"),
    ],
)
def test_clock_is_set_to_the_second_with_its_day_of_week(moment: str, written: str) -> None:
    whole = bytes.fromhex(written)
    assert encode_clock(uuids.CURRENT_TIME, local(moment)) == whole
    assert encode_clock(uuids.DATE_TIME, local(moment)) == whole[:7]


def test_only_clocks_are_set() -> None:
    with pytest.raises(ValueError, match="is no clock"):
        encode_clock(uuids.BATTERY_LEVEL, local("2026-11-22"))


def test_only_naive_times_of_the_calendar_are_encoded() -> None:
    with pytest.raises(ValueError):
        date_time(local("1581-01-01"))
    with pytest.raises(ValueError):
        date_time(NOW)


def test_number_too_large_for_its_field_is_not_cut() -> None:
    with pytest.raises(ValueError):
        uint(256, 1)
