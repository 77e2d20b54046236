"""The wire format: versions, limits, and every field typed again as it must look."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from devices import wire
from devices.errors import MalformedMessage, UnsupportedVersion
from devices.reading import ClockVerdict, Outcome, Reading, Value
from tests.devices.sessions import local

NOW = "2026-11-22T07:30:00Z"

# Typed by hand: what a gateway of another make would send.
READING: dict[str, Any] = {
    "reading_id": "0178c1ba-b108-8d0b-80e4-2efd5a839baa",
    "device_id": "C4:11:22:33:44:55",
    "source": "2a35",
    "payload": "1e830052006200",
    "outcome": "measured",
    "measured_at": "2026-11-22T07:28:00Z",
    "received_at": NOW,
    "clock": "ok",
    "slot": 1,
    "device_time": "2026-11-22T08:28:00",
    "clock_offset_s": -1.5,
    "values": [
        {
            "quantity": "systolic",
            "value": 120.01,
            "unit": "mm[Hg]",
            "original_value": 16,
            "original_unit": "kPa",
        },
        {"quantity": "pulse", "value": 71, "unit": "/min"},
    ],
    "status": 36,
    "battery_percent": 72,
}


def reading(**changes: Any) -> dict[str, Any]:
    return READING | changes


def message(*readings: dict[str, Any], **changes: Any) -> bytes:
    content = {"v": 1, "gateway": "g-7f3a", "sent_at": NOW, "readings": readings or (READING,)}
    return json.dumps(content | changes).encode()


def test_message_of_another_make_is_read_to_the_last_field() -> None:
    decoded, errors = wire.decode_message(message())
    assert errors == []
    assert (decoded.v, decoded.gateway) == (1, "g-7f3a")
    assert decoded.sent_at == datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    assert decoded.readings == (
        Reading(
            reading_id=UUID("0178c1ba-b108-8d0b-80e4-2efd5a839baa"),
            device_id="C4:11:22:33:44:55",
            source="2a35",
            payload="1e830052006200",
            outcome=Outcome.MEASURED,
            measured_at=datetime(2026, 11, 22, 7, 28, tzinfo=UTC),
            received_at=datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
            clock=ClockVerdict.OK,
            slot=1,
            device_time=local("2026-11-22 08:28:00"),
            clock_offset_s=-1.5,
            values=(
                Value(
                    quantity="systolic",
                    value=120.01,
                    unit="mm[Hg]",
                    original_value=16.0,
                    original_unit="kPa",
                ),
                Value(quantity="pulse", value=71.0, unit="/min"),
            ),
            status=36,
            battery_percent=72,
        ),
    )


def test_message_looks_as_others_expect_it() -> None:
    decoded, _ = wire.decode_message(message())
    encoded = wire.encode_rows(decoded.gateway, decoded.sent_at, decoded.readings)
    assert json.loads(encoded) == json.loads(message())
    texts = [wire.encode_reading(one) for one in decoded.readings]
    assert wire.decode_reading(texts[0]) == decoded.readings[0]


@pytest.mark.parametrize(
    ("enum_type", "words"),
    [
        (Outcome, ["measured", "failed", "unreadable"]),
        (ClockVerdict, ["ok", "corrected", "unchecked", "absent", "implausible", "unknown"]),
        (wire.GatewayState, ["online", "stopped", "lost"]),
        (wire.TopicKind, ["readings", "receipts", "status", "config"]),
    ],
)
def test_words_of_the_format_stand(enum_type: Any, words: list[str]) -> None:
    assert [str(word) for word in enum_type] == words


@pytest.mark.parametrize("count", [0, 201])
def test_message_holds_one_to_two_hundred_readings(count: int) -> None:
    decoded = wire.decode_message(message())[0]
    with pytest.raises(ValueError):
        wire.encode_message("g", decoded.sent_at, decoded.readings * count)
    with pytest.raises(ValueError):
        wire.join_message("g", decoded.sent_at, [b"{}"] * count)
    with pytest.raises(MalformedMessage):
        wire.decode_message(message(readings=[READING] * count))


def test_two_hundred_readings_go_in_one_message() -> None:
    decoded, errors = wire.decode_message(message(*[READING] * 200))
    assert (len(decoded.readings), errors) == (200, [])


@pytest.mark.parametrize("version", [0, 3, 2_147_483_647])
def test_other_version_is_refused_with_its_number(version: int) -> None:
    with pytest.raises(UnsupportedVersion) as refusal:
        wire.decode_message(message(v=version))
    assert refusal.value.version == version
    assert str(version) in str(refusal.value)


@pytest.mark.parametrize("version", [-1, 2_147_483_648, 10**400, 1.0, "1", None, True])
def test_version_that_is_none_is_malformed(version: object) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        wire.decode_message(message(v=version))
    assert not isinstance(refusal.value, UnsupportedVersion)


def test_newer_version_is_refused_by_its_number_whatever_else_it_holds() -> None:
    with pytest.raises(UnsupportedVersion):
        wire.decode_message(b'{"v": 3, "measurements": {"anything": []}}')


def test_field_of_a_newer_writer_is_passed_over() -> None:
    decoded, errors = wire.decode_message(message(reading(colour="red"), sent_by="new"))
    assert (len(decoded.readings), errors) == (1, [])


BAD_READINGS: list[dict[str, Any]] = [
    {"reading_id": "not-an-id"},
    {"device_id": ""},
    {"device_id": "C4:11\n"},
    {"device_id": "C4 11"},
    {"device_id": "x" * 65},
    {"source": "2a35\n"},
    {"source": "\u0000"},
    {"payload": "1"},
    {"payload": "1E"},
    {"payload": "1e\n"},
    {"payload": "00" * 513},
    {"outcome": "guessed"},
    {"outcome": "\u0000" + "x" * 10_000},
    {"measured_at": "2026-11-22T07:28:00"},
    {"measured_at": "2026-11-22T08:28:00+01:00"},
    {"measured_at": "0001-01-01T00:00:00+14:00"},
    {"measured_at": "0001-01-01T00:00:00Z"},
    {"measured_at": "1969-12-31T23:59:59Z"},
    {"measured_at": "2200-01-01T00:00:00Z"},
    {"measured_at": "9999-12-31T23:59:59-14:00"},
    {"measured_at": "2026-02-30T00:00:00Z"},
    {"measured_at": 1_795_332_480},
    {"received_at": "9999-12-31T23:59:59Z"},
    {"device_time": "2026-11-22T07:28:00Z"},
    {"clock": "right"},
    {"clock_offset_s": 3.3e11},
    {"clock_offset_s": "1"},
    {"slot": -1},
    {"slot": 256},
    {"slot": 1.0},
    {"status": 65_536},
    {"battery_percent": 101},
    {"values": [{"quantity": "pulse", "value": None, "unit": "/min"}]},
    {"values": [{"quantity": "pulse", "value": "71", "unit": "/min"}]},
    {"values": [{"quantity": "pulse", "value": True, "unit": "/min"}]},
    {"values": [{"quantity": "pulse", "value": 10**400, "unit": "/min"}]},
    {"values": [{"quantity": "", "value": 71, "unit": "/min"}]},
    {"values": [{"quantity": "pulse", "value": 71, "unit": "x" * 65}]},
    {"values": [{"quantity": "pulse", "value": 71}]},
    {"values": [{"quantity": "pulse", "value": 71, "unit": "/min", "original_unit": "\u0000"}]},
    {"values": [{"quantity": "pulse", "value": 71, "unit": "/min"}] * 33},
    {"problem": "x" * 501},
    {"problem": "\u0000"},
]


@pytest.mark.parametrize("changes", BAD_READINGS, ids=lambda changes: str(changes)[:60])
def test_one_bad_reading_is_refused_and_its_neighbours_are_kept(changes: dict[str, Any]) -> None:
    bad = reading(**changes)
    decoded, [error] = wire.decode_message(message(READING, bad, READING))
    assert len(decoded.readings) == 2
    assert json.loads(error.message) == bad
    assert error.problem.startswith("reading 1: ")
    assert len(str(error)) < 500
    assert error.problem.isprintable()
    with pytest.raises(MalformedMessage):
        wire.decode_reading(json.dumps(bad).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "0x10", "1_0"])
def test_number_json_does_not_know_spoils_the_message(number: str) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_message(message().replace(b"71", number.encode()))


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e999999", "9" * 400])
def test_number_beyond_all_doubles_is_refused(number: str) -> None:
    decoded, [error] = wire.decode_message(message().replace(b"71", number.encode()))
    assert decoded.readings == ()
    assert "out of range" in error.problem


def test_smallest_numbers_become_zero_and_nothing_worse() -> None:
    decoded, _ = wire.decode_message(message().replace(b"71", b"1e-999"))
    assert decoded.readings[0].values[1].value == 0.0


BAD_MESSAGES = [
    b"",
    b"\x00",
    b"{",
    b"null",
    b"[]",
    b"[" * 100_000,
    b'{"v":1,"gateway":"g","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"v":1}',
    message(gateway="g 1"),
    message(gateway="g\n"),
    message(gateway="x" * 65),
    message(sent_at="2026-11-22T07:30:00"),
    message(sent_at="2026-11-22T07:30:00+01:00"),
    message(sent_at="0001-01-01T00:00:00+14:00"),
    message(sent_at="2200-01-01T00:00:00Z"),
    message(readings={}),
    message(readings=None),
    message() + b"x",
    message().replace(b"g-7f3a", b"\xff\xfe"),
    message().replace(b"g-7f3a", b"\\ud800"),
    b"\xef\xbb\xbf" + message(),
    b" " * (wire.MESSAGE_BYTES_MAX + 1),
    message().ljust(wire.MESSAGE_BYTES_MAX + 1),
]


@pytest.mark.parametrize("payload", BAD_MESSAGES, ids=lambda payload: repr(payload[:40]))
def test_message_that_cannot_be_read_is_refused_whole(payload: bytes) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        wire.decode_message(payload)
    assert refusal.value.message == payload
    assert refusal.value.problem


def test_bad_time_of_sending_spoils_the_message_with_a_bad_reading_too() -> None:
    with pytest.raises(MalformedMessage, match="2200"):
        wire.decode_message(message(reading(slot=-1), sent_at="2200-01-01T00:00:00Z"))


def test_message_as_large_as_allowed_is_read() -> None:
    decoded, errors = wire.decode_message(message().ljust(wire.MESSAGE_BYTES_MAX))
    assert (len(decoded.readings), errors) == (1, [])


def test_bytes_that_are_no_text_inside_one_reading_spoil_only_that() -> None:
    payload = message(READING, reading(source="SOURCE")).replace(b"SOURCE", b"\xff")
    decoded, [error] = wire.decode_message(payload)
    assert len(decoded.readings) == 1
    assert b"\xff" in error.message


def test_last_of_two_keys_counts_for_the_version_as_for_the_rest() -> None:
    with pytest.raises(UnsupportedVersion):
        wire.decode_message(message().replace(b'"v": 1', b'"v": 1, "v": 3'))
    decoded, _ = wire.decode_message(message().replace(b'"v": 1', b'"v": 3, "v": 1'))
    assert decoded.v == 1


def test_readings_of_a_message_are_found_as_they_stand_in_it() -> None:
    newer, bad = reading(colour="red"), reading(slot=-1)
    texts = wire.reading_texts(message(newer, bad, READING))
    assert [json.loads(text) for text in texts] == [newer, READING]
    with pytest.raises(MalformedMessage):
        wire.reading_texts(b"{}")


def test_id_of_a_malformed_reading_is_found_if_it_has_one() -> None:
    bad = json.dumps(reading(slot=-1)).encode()
    assert wire.find_reading_id(bad) == UUID(READING["reading_id"])
    assert wire.find_reading_id(b'{"reading_id": 1}') is None
    assert wire.find_reading_id(b"\xff") is None


def test_problem_that_quotes_a_stranger_can_be_read_and_stored() -> None:
    error = MalformedMessage(b"", "unknown key '\0\n\u202eå\ud800'" + "x" * 1000)
    assert error.problem.startswith("unknown key '\ufffd\ufffd\ufffdå\ufffd'xxx")
    assert len(error.problem) == 400
    assert str(error) == f"wire message: {error.problem}"
    assert error.problem.encode()  # no lone surrogate is left
