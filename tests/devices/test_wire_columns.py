"""Version 2 of the messages of readings: columns, and that they say the same as rows."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings

from devices import wire
from devices.errors import MalformedMessage
from devices.reading import ClockVerdict, Outcome, Reading
from gateway.dispatch import ENVELOPE_BYTES
from tests.devices.any_reading import SOME_READINGS
from tests.devices.test_wire import READING, message, reading

SENT_AT = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
SECOND = 1_000_000


def packed(*texts: str) -> str:
    return base64.b64encode(b"".join(map(bytes.fromhex, texts))).decode()


# Typed by hand: what a gateway of another make would send. The second reading failed.
COLUMNS: dict[str, Any] = {
    "v": 2,
    "gateway": "g-7f3a",
    "sent_at": 1_795_332_600 * SECOND,
    "devices": ["C4:11:22:33:44:55"],
    "sources": ["2a35", "2a9d"],
    "kinds": ["systolic mm[Hg]", "pulse /min"],
    "units": ["kPa"],
    "reading_id": packed("0178c1bab1088d0b80e42efd5a839baa", "00" * 15 + "01"),
    "payload": packed("1e830052006200", "ff"),
    "payload_length": [7, 1],
    "measured_at": [1_795_332_480 * SECOND, 1_795_332_600 * SECOND],
    "received_at": [1_795_332_600 * SECOND] * 2,
    "source": [0, 1],
    "outcome": [0, 2],
    "clock": [0, 3],
    "slot": [1, -1],
    "device_time": [1_795_336_080 * SECOND, -(2**63)],
    "clock_offset_s": [-1.5, None],
    "status": [36, 0],
    "battery_percent": [72, -1],
    "problem": [None, "ends at byte 1"],
    "values": [2, 0],
    "value": [120.01, 71],
    "kind": [0, 1],
    "original_value": [16, None],
    "original_unit": [0, -1],
}


def columns(**changes: Any) -> bytes:
    """Return the message with *changes*; None leaves a column out."""
    fields = COLUMNS | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_columns_of_another_make_are_read_to_the_last_field() -> None:
    decoded, errors = wire.decode_message(columns())
    assert errors == []
    assert (decoded.v, decoded.gateway, decoded.sent_at) == (2, "g-7f3a", SENT_AT)
    assert decoded.readings == (
        wire.decode_reading(json.dumps(READING).encode()),
        Reading(
            reading_id=UUID(int=1),
            device_id="C4:11:22:33:44:55",
            source="2a9d",
            payload="ff",
            outcome=Outcome.UNREADABLE,
            measured_at=SENT_AT,
            received_at=SENT_AT,
            clock=ClockVerdict.ABSENT,
            problem="ends at byte 1",
        ),
    )


def test_columns_look_as_others_expect_them() -> None:
    decoded, _ = wire.decode_message(columns())
    encoded = wire.encode_message("g-7f3a", SENT_AT, decoded.readings)
    assert json.loads(encoded) == COLUMNS
    assert encoded.startswith(wire.COLUMNS_HEAD)


def test_codes_of_the_format_stand() -> None:
    assert list(wire.OUTCOME_CODES) == ["measured", "failed", "unreadable"]
    assert list(wire.CLOCK_CODES) == [
        "ok",
        "corrected",
        "unchecked",
        "absent",
        "implausible",
        "unknown",
    ]


def test_what_says_nothing_is_left_out() -> None:
    plain = reading(
        slot=None, device_time=None, clock_offset_s=None, status=0, battery_percent=None
    ) | {"values": [{"quantity": "pulse", "value": 71, "unit": "/min"}], "received_at": SENT_AT}
    one = wire.decode_reading(json.dumps(plain, default=str).replace("+00:00", "Z").encode())
    sent = json.loads(wire.encode_message("g-7f3a", one.measured_at, [one] * 3))
    said = "v gateway sent_at devices sources kinds reading_id payload measured_at value"
    assert set(sent) == {*said.split(), "received_at"}


@given(SOME_READINGS)
@settings(max_examples=100, deadline=None)
def test_rows_and_columns_say_the_same(readings: list[Reading]) -> None:
    """There and back, joined or encoded, and never longer than the rows the gateway counts."""
    encoded = wire.encode_message("g-7f3a", SENT_AT, readings)
    decoded, errors = wire.decode_message(encoded)
    assert (list(decoded.readings), errors) == (readings, [])
    texts = [wire.encode_reading(one) for one in readings]
    assert list(wire.Rows(wire.decode_columns(encoded))) == texts
    assert wire.join_message("g-7f3a", SENT_AT, texts) == encoded
    assert len(encoded) <= sum(len(text) + 1 for text in texts) + ENVELOPE_BYTES


def test_a_row_that_is_no_reading_makes_the_whole_go_in_rows() -> None:
    sound = json.dumps(READING).encode()
    joined = wire.join_message("g-7f3a", SENT_AT, [sound, b'{"reading_id": 1}'])
    decoded, [error] = wire.decode_message(joined)
    assert (decoded.v, len(decoded.readings)) == (1, 1)
    assert error.message == b'{"reading_id": 1}'


MISFITS: list[dict[str, Any]] = [
    *(
        {name: COLUMNS[name] + COLUMNS[name][:1]}
        for name in (
            "measured_at",
            "received_at",
            "source",
            "outcome",
            "clock",
            "slot",
            "device_time",
            "clock_offset_s",
            "status",
            "battery_percent",
            "problem",
            "values",
            "payload_length",
            "value",
            "kind",
            "original_value",
            "original_unit",
        )
    ),
    {"device": [0]},
    {"measured_at": []},
    {"reading_id": packed("00" * 31)},
    {"reading_id": packed("00" * 48)},
    {"reading_id": "no base64"},
    {"payload_length": [7, 2]},
    {"payload_length": [9, -1]},
    {"payload_length": None, "payload": packed("ff" * 7)},
    {"values": [3, -1]},
    {"values": [1, 0]},
    {"values": None, "value": [1.0, 2.0, 3.0], "kind": None}
    | dict.fromkeys(("original_value", "original_unit")),
    {"devices": ["a"] * 3},
    {"sources": ["2a35"] * 3},
    {"kinds": ["systolic mm[Hg]"] * 3},
    {"units": ["kPa"] * 3},
    {"values": [33, 32], "value": [1] * 65}
    | dict.fromkeys(("kind", "original_value", "original_unit")),
    {"sent_at": -1},
    {"sent_at": 7_258_118_400 * SECOND},
    {"sent_at": "2026-11-22T07:30:00Z"},
    {"slot": [None, 1]},
    {"slot": [True, 1]},
    {"slot": [2**63, 1]},
    {"devices": [1]},
    {"kinds": [["systolic", "mm[Hg]"]]},
    {"value": ["71", 1]},
    {"gateway": None},
    {"gateway": "g 7"},
    {"measured_at": None},
    {"devices": None},
]


@pytest.mark.parametrize("changes", MISFITS)
def test_a_column_that_does_not_fit_spoils_the_message(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        wire.decode_message(columns(**changes))
    assert refusal.value.problem
    assert refusal.value.message == columns(**changes)


@pytest.mark.parametrize("count", [0, 201])
def test_columns_hold_one_to_two_hundred_readings(count: int) -> None:
    decoded, _ = wire.decode_message(message())
    with pytest.raises(ValueError):
        wire.encode_message("g", SENT_AT, decoded.readings * count)
    bare = {
        "reading_id": packed("00" * 16 * count),
        "measured_at": [0] * count,
        **dict.fromkeys(list(COLUMNS)[13:]),
    }
    fields: dict[str, Any] = {
        "payload": "",
        "payload_length": None,
        "received_at": None,
        "value": [],
    }
    with pytest.raises(MalformedMessage, match="readings"):
        wire.decode_columns(columns(**bare | fields))


def test_larger_columns_than_a_message_are_refused() -> None:
    padded = columns().ljust(wire.MESSAGE_BYTES_MAX)
    assert len(wire.decode_columns(padded)) == 2
    with pytest.raises(MalformedMessage, match="more than"):
        wire.decode_columns(padded + b" ")


def test_receipt_of_columns_packs_what_is_stored() -> None:
    ids = (UUID(int=1), UUID(int=2))
    refusal = wire.Refusal(reading_id=UUID(int=3), reason="unassigned")
    receipt = wire.Receipt(v=2, stored=ids, refused=(refusal,))
    assert wire.decode_receipt(wire.encode_receipt(receipt)) == receipt
    assert json.loads(wire.encode_receipt(receipt))["stored"] == packed(*(i.hex for i in ids))
    stored = wire.encode_stored(b"".join(one.bytes for one in ids))
    assert stored == wire.encode_receipt(wire.Receipt(v=2, stored=ids))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v": 2, "stored": "AAA="}',
        b'{"v": 2, "stored": ["00000000-0000-0000-0000-000000000001"]}',
        b'{"v": 2, "stored": "%b"}' % base64.b64encode(bytes(16 * 201)),
        b'{"v": 3}',
    ],
)
def test_packed_receipt_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_receipt(payload)


def test_a_quantity_with_a_space_stays_unknown() -> None:
    values = [{"quantity": "body weight", "value": 71, "unit": "kg"}]
    decoded, _ = wire.decode_message(message(reading(values=values)))
    again, _ = wire.decode_message(wire.encode_message("g-7f3a", SENT_AT, decoded.readings))
    assert again.readings[0].values[0].quantity == "body\N{NO-BREAK SPACE}weight"
