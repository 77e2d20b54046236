"""What is in the database after a batch."""

from datetime import timedelta

from devices.quantity import Quantity
from devices.reading import Outcome, Value
from tests.ingest.county import CUFF, GATEWAY, NOW, County, pressure, reading, weight


def test_a_reading_is_stored_whole(county: County) -> None:
    one = reading(
        {Quantity.SYSTOLIC: 128.5, Quantity.DIASTOLIC: 81.0, Quantity.PULSE: 64.0},
        slot=2,
        device_time=NOW.replace(tzinfo=None),
        clock_offset_s=1.5,
        battery_percent=80,
        status=4,
    )
    settled = county.settle([one])
    assert (settled.reason.tolist(), settled.new) == ([0], 1)
    assert county.rows(
        "select reading_id, patient_id, gateway_id, device_id, slot, outcome, measured_at,"
        " device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status, suspicion,"
        " battery_percent, source, payload from reading"
    ) == [
        (
            one.reading_id,
            county.patient_id,
            GATEWAY,
            CUFF,
            2,
            "measured",
            NOW,
            NOW.replace(tzinfo=None),
            NOW,
            NOW,
            NOW,
            "ok",
            1.5,
            4,
            0,
            80,
            "2a35",
            bytes.fromhex("1e80005100"),
        )
    ]
    assert county.rows(
        "select code, value, measured_at, reading_id, suspicion, original_value, original_unit"
        " from sample join quantity using (quantity_id) order by quantity_id"
    ) == [
        (code, value, NOW, one.reading_id, 0, None, None)
        for code, value in [("systolic", 128.5), ("diastolic", 81.0), ("pulse", 64.0)]
    ]


def test_what_a_reading_does_not_tell_is_null(county: County) -> None:
    county.settle([reading()])
    assert county.rows(
        "select slot, device_time, clock_offset_s, battery_percent from reading"
    ) == [(None, None, None, None)]


def test_readings_of_many_shapes_keep_their_own_columns(plain_county: County) -> None:
    """COPY groups rows by layout; no row may end up with another's text."""
    readings = []
    for number in range(60):
        device_id = "D" * (number % 7 + 1)
        readings.append(
            reading(
                device_id=device_id,
                measured_at=NOW - timedelta(days=number),
                slot=number if number % 3 else None,
                battery_percent=number if number % 2 else None,
                device_time=NOW.replace(tzinfo=None) if number % 5 else None,
            )
        )
    for device_id in {one.device_id for one in readings}:
        plain_county.lend(device_id, plain_county.patient_id)
    assert plain_county.settle(readings).new == 60
    stored = {
        row[0]: row[1:]
        for row in plain_county.rows(
            "select reading_id, device_id, slot, battery_percent, device_time is null,"
            " measured_at from reading"
        )
    }
    for one in readings:
        assert stored[one.reading_id] == (
            one.device_id,
            one.slot,
            one.battery_percent,
            one.device_time is None,
            one.measured_at,
        )


def test_the_original_value_and_unit_are_kept(plain_county: County) -> None:
    values = (
        Value(
            quantity="systolic",
            value=120.0,
            unit="mm[Hg]",
            original_value=16.0,
            original_unit="kPa",
        ),
        Value(quantity="diastolic", value=80.0, unit="mm[Hg]"),
    )
    one = reading()
    plain_county.settle(
        [
            type(one)(
                **{name: getattr(one, name) for name in one.__struct_fields__} | {"values": values}
            )
        ]
    )
    rows = plain_county.rows(
        "select original_value, original_unit from sample order by quantity_id"
    )
    assert rows == [(16.0, "kPa"), (None, None)]


def test_a_failed_measurement_is_stored_without_values(county: County) -> None:
    county.settle([reading({}, outcome=Outcome.FAILED, problem="all values are NaN")])
    assert county.rows("select outcome from reading") == [("failed",)]
    assert county.count("sample") == county.count("quarantine") == 0


def test_frequency_is_counted_over_batches(county: County) -> None:
    for minute in range(8):
        county.settle([pressure(120, 80, measured_at=NOW - timedelta(minutes=50 - minute))])
    suspicions = county.rows("select suspicion from reading order by measured_at")
    assert [row[0] for row in suspicions] == [0] * 6 + [16, 16]


def test_frequency_is_counted_where_each_reading_is_in_time(plain_county: County) -> None:
    """Old and new readings in one batch, with what is stored near them and between them."""
    old, between = NOW - timedelta(days=300), NOW - timedelta(days=100)
    for begin, count in ((old, 6), (between, 9), (NOW, 5)):
        plain_county.settle(
            [pressure(120, 80, measured_at=begin - timedelta(minutes=n)) for n in range(1, count)]
        )
    last = [pressure(120, 80, measured_at=begin) for begin in (NOW, old)]
    more = [pressure(120, 80, measured_at=old + timedelta(minutes=n)) for n in (1, 2)]
    plain_county.settle([*last, *more])
    suspicions = [
        plain_county.one("select suspicion from reading where reading_id = %s", one.reading_id)
        for one in (*last, *more)
    ]
    assert suspicions == [0, 0, 16, 16]


def test_a_weight_is_held_against_the_stored_median(county: County) -> None:
    for day in range(1, 5):
        county.settle([weight(80, measured_at=NOW - timedelta(days=day))])
    county.settle([weight(86)])
    assert county.rows("select suspicion from sample where value = 86") == [(32,)]
