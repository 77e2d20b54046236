"""What is in the database after a batch, and after the same batch again."""

from devices.quantity import Quantity
from tests.ingest.county import CUFF, NOW, County, reading


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
            "g-test",
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
