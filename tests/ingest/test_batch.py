"""Columns out of messages: the same from either version, and a row's fault is its own."""

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import wire
from devices.errors import MalformedMessage
from devices.reading import Reading
from ingest.batch import NO_TIME, Batch, from_incoming
from ingest.plausibility import Verdict
from ingest.quarantine import Reason
from ingest.refusal import explain
from tests.devices.any_reading import SOME_READINGS
from tests.devices.test_wire_columns import COLUMNS, columns, packed
from tests.ingest.county import NOW, incoming, pressure

GATEWAY = "g-7f3a"
SENT_AT = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


def batch_of(*payloads: bytes) -> Batch:
    read = [incoming(payload, GATEWAY) for payload in payloads]
    assert not any(one.refused for one in read)
    return from_incoming(read)


def meant(batch: Batch) -> list[dict[str, Any]]:
    """Return what each row says, its indices followed."""
    names = {f.name for f in fields(Batch)} - {"origins", "devices", "sources", "units", "samples"}
    rows = [{name: getattr(batch, name)[row].item() for name in names} for row in range(len(batch))]
    for row in rows:
        row["device"] = batch.devices[row["device"]]
        row["source"] = batch.sources[row["source"]]
        row["samples"] = []
        row["clock_offset_s"] = repr(row["clock_offset_s"])
    s = batch.samples
    for place in range(len(s)):
        unit = int(s.original_unit[place])
        rows[s.reading[place]]["samples"].append(
            (
                s.quantity[place],
                s.unit_known[place],
                s.value[place],
                repr(s.original_value[place]),
                None if unit < 0 else batch.units[unit],
            )
        )
    return rows


@given(st.lists(SOME_READINGS, max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_either_version_gives_the_same_columns(
    messages: list[list[Reading]], data: st.DataObject
) -> None:
    def sent(version: int, readings: list[Reading]) -> bytes:
        encode = wire.encode_rows if version == 1 else wire.encode_message
        return encode(GATEWAY, SENT_AT, readings)

    versions = data.draw(st.lists(st.sampled_from([1, 2]), min_size=4, max_size=4))
    mixed = zip(versions, messages, strict=False)
    rows, both = (
        batch_of(*[sent(1, some) for some in messages]),
        batch_of(*[sent(version, some) for version, some in mixed]),
    )
    assert meant(rows) == meant(both)
    assert not both.fault.any()
    flat = [one for some in messages for one in some]
    assert [row["reading_id"].ljust(16, b"\0") for row in meant(both)] == [
        one.reading_id.bytes for one in flat
    ]
    for row, one in zip(meant(both), flat, strict=True):
        assert row["payload"].ljust(row["payload_length"], b"\0").hex() == one.payload
        assert len(row["samples"]) == len(one.values)
        assert row["device"] == one.device_id
        assert row["source"] == one.source


def test_every_column_says_what_was_sent() -> None:
    first, second = meant(batch_of(columns()))
    at_2000 = 946_684_800
    assert first == {
        "origin": 0,
        "position": 0,
        "reading_id": bytes.fromhex("0178c1bab1088d0b80e42efd5a839baa"),
        "device": "C4:11:22:33:44:55",
        "source": "2a35",
        "slot": 1,
        "outcome": 0,
        "clock": 0,
        "measured_at": (1_795_332_480 - at_2000) * 1_000_000,
        "received_at": (1_795_332_600 - at_2000) * 1_000_000,
        "sent_at": (1_795_332_600 - at_2000) * 1_000_000,
        "arrived_at": int(NOW.timestamp() - at_2000) * 1_000_000,
        "device_time": (1_795_336_080 - at_2000) * 1_000_000,
        "clock_offset_s": "-1.5",
        "status": 36,
        "battery": 72,
        "payload": bytes.fromhex("1e830052006200").rstrip(b"\0"),
        "payload_length": 7,
        "fault": 0,
        "samples": [(1, True, 120.01, "np.float64(16.0)", "kPa"), (4, True, 71.0, NAN, None)],
    }
    assert (second["slot"], second["battery"], second["device_time"]) == (-1, -1, NO_TIME)
    assert (second["clock_offset_s"], second["samples"]) == ("nan", [])


def test_received_when_measured_is_left_out() -> None:
    one = batch_of(columns(received_at=None))
    assert one.received_at.tolist() == one.measured_at.tolist()
    assert not one.fault.any()


NAN = "np.float64(nan)"

# (what is changed in the columns, the rows that are at fault)
FAULTS: list[tuple[dict[str, Any], list[int]]] = [
    ({"measured_at": [-1, 0]}, [0]),
    ({"measured_at": [0, 7_258_118_400_000_000]}, [1]),
    ({"measured_at": [2**63 - 1, -(2**63)]}, [0, 1]),
    ({"received_at": [7_258_118_399_999_999, -1]}, [1]),
    ({"device": [0, 1]}, [1]),
    ({"device": [-1, 0]}, [0]),
    ({"source": [0, 2]}, [1]),
    ({"devices": ["a b"]}, [0, 1]),
    ({"devices": ["a\n"]}, [0, 1]),
    ({"devices": ["C4:11:22:33:44:55", "x" * 65], "device": [0, 1]}, [1]),
    ({"devices": []}, [0, 1]),
    ({"sources": ["2a35", "å"]}, [1]),
    ({"sources": ["2a35\0", "2a9d"]}, [0]),
    ({"outcome": [3, 2]}, [0]),
    ({"outcome": [0, -1]}, [1]),
    ({"clock": [6, 0]}, [0]),
    ({"slot": [256, -1]}, [0]),
    ({"slot": [0, -2]}, [1]),
    ({"device_time": [253_402_300_800_000_000, -(2**63)]}, [0]),
    ({"device_time": [-62_135_596_800_000_001, 0]}, [0]),
    ({"clock_offset_s": [3.3e11, None]}, [0]),
    ({"clock_offset_s": [0, -1e308]}, [1]),
    ({"status": [65_536, 65_535]}, [0]),
    ({"status": [0, -1]}, [1]),
    ({"battery_percent": [101, 100]}, [0]),
    ({"battery_percent": [0, -2]}, [1]),
    ({"problem": ["\0", None]}, [0]),
    ({"problem": [None, "x" * 501]}, [1]),
    ({"payload": packed("00" * 513), "payload_length": [513, 0]}, [0]),
    ({"payload": packed("00" * 513), "payload_length": [1, 512]}, []),
    ({"kind": [0, 2]}, [0]),
    ({"kind": [0, -1]}, [0]),
    ({"values": [1, 1], "kinds": ["systolic mm[Hg]", " x"]}, [1]),
    ({"values": [1, 1], "kinds": ["systolic " + "x" * 65, "x" * 64 + " x"]}, [0]),
    ({"kinds": ["systolic", "pulse /min"]}, [0]),
    ({"kinds": []}, [0]),
    ({"value": [120.01, None]}, [0]),
    ({"values": [1, 1], "value": [None, 71]}, [0]),
    ({"values": [1, 1], "original_unit": [1, -1]}, [0]),
    ({"values": [1, 1], "original_unit": [-1, -2]}, [1]),
    ({"values": [1, 1], "units": ["k Pa"]}, [0]),
    (
        {
            "values": [33, 31],
            "value": [1] * 64,
            "kind": None,
            "original_value": None,
            "original_unit": None,
        },
        [0],
    ),
]


@pytest.mark.parametrize(("changes", "faulty"), FAULTS)
def test_a_row_beyond_its_limits_is_at_fault_alone(
    changes: dict[str, Any], faulty: list[int]
) -> None:
    """The rows' text, read as version 1, must agree; a whole message stands on either side."""
    batch = batch_of(columns(), columns(**changes), columns())
    assert np.flatnonzero(batch.fault).tolist() == [2 + row for row in faulty]
    assert set(batch.fault.tolist()) <= {0, Reason.MALFORMED_READING.code}
    assert not np.isin(batch.samples.reading, np.flatnonzero(batch.fault)).any()
    assert_rows_agree(batch)
    said = meant(batch)
    whole = meant(batch_of(columns()))
    for row in (0, 1, 4, 5):
        assert said[row] | {"origin": 0} == whole[row % 2]


def assert_rows_agree(batch: Batch) -> None:
    for row, is_fault in enumerate(batch.fault.tolist()):
        message = batch.origins[batch.origin[row]].columns
        assert message is not None
        text = wire.Rows(message).text(int(batch.position[row]))
        json.loads(text)
        if is_fault:
            with pytest.raises(MalformedMessage):
                wire.decode_reading(text)
        else:
            wire.decode_reading(text)


_ANY_INT = st.sampled_from([-2, -1, 0, 1, 2, 3, 6, 100, 101, 255, 256, 513, 65_536]) | st.integers(
    -(2**63), 2**63 - 1
)
_ANY_TEXT = st.text(max_size=66) | st.sampled_from(["2a35", "a" * 64, "a" * 65, "a\n"])


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_columns_and_rows_agree_on_what_is_a_fault(data: st.DataObject) -> None:
    """Whatever stands in a column, ingest's whole arrays judge it as ``devices.reading`` does."""
    changes: dict[str, Any] = {}
    for name in data.draw(st.lists(st.sampled_from(_CHANGED), min_size=1, max_size=4)):
        changes[name] = [data.draw(_other(name, old)) for old in COLUMNS[name]]
    one = incoming(columns(**changes), GATEWAY)
    if one.columns is not None:
        assert_rows_agree(from_incoming([one]))


_CHANGED = [
    n for n, column in COLUMNS.items() if isinstance(column, list) and n != "payload_length"
]


def _other(name: str, old: object) -> st.SearchStrategy[Any]:
    if name == "kinds":
        return st.just(old) | _ANY_TEXT | st.builds("{} {}".format, _ANY_TEXT, _ANY_TEXT)
    if name in {"devices", "sources", "units", "problem"}:
        return st.just(old) | _ANY_TEXT
    if name in {"value", "original_value", "clock_offset_s"}:
        return st.just(old) | st.none() | st.floats(allow_nan=False, allow_infinity=False)
    return st.just(old) | _ANY_INT


def test_rows_are_taken_with_their_samples() -> None:
    whole = from_incoming(
        [incoming(wire.encode_message("g-test", NOW, [pressure(s, 80)])) for s in (120, 130, 140)]
    )
    some = whole.take(np.array([0, 2]))
    assert some.reading_id.tolist() == whole.reading_id[[0, 2]].tolist()
    assert some.samples.value.tolist() == [120, 80, 140, 80]
    assert some.samples.reading.tolist() == [0, 0, 1, 1]


def test_nothing_is_a_batch_too() -> None:
    batch = from_incoming([])
    assert (len(batch), len(batch.samples)) == (0, 0)
    assert len(batch.take(np.empty(0, np.int64))) == 0


@pytest.mark.parametrize("encode", [wire.encode_rows, wire.encode_message])
def test_a_refused_reading_is_kept_as_version_1_has_it(
    encode: Callable[..., bytes],
) -> None:
    """Of several messages, with some values refused and some readings whole."""
    some = [pressure(120.0, 80.0), pressure(2047.0, 80.0), pressure(121.0, 80.0)]
    payload = encode(GATEWAY, NOW, some)
    batch = batch_of(payload, payload)
    verdict = Verdict(
        reason=np.array([0, 0, Reason.UNASSIGNED.code, 0, Reason.IN_FUTURE.code, 0], np.int8),
        suspicion=np.zeros(6, np.int32),
        sample_reason=np.array([0, 0, Reason.IMPLAUSIBLE.code, *[0] * 9], np.int8),
        sample_suspicion=np.zeros(12, np.int32),
        weight_apart=np.full(12, np.nan),
    )
    rows = explain(batch, verdict, np.array([1, 2, 4]))
    assert [row.content for row in rows] == [wire.encode_reading(some[n]) for n in (1, 2, 1)]
    assert [row.reading_id for row in rows] == [some[n].reading_id for n in (1, 2, 1)]
    assert [row.reason for row in rows] == ["implausible", "unassigned", "in_future"]
    assert rows[0].detail.startswith("systolic 2047 mm[Hg]: implausible")
    assert {(row.gateway_id, row.device_id) for row in rows} == {(GATEWAY, some[0].device_id)}


def test_a_row_that_points_at_no_device_is_not_kept_as_a_neighbours() -> None:
    batch = batch_of(columns(devices=[]), columns())
    verdict = Verdict(
        reason=batch.fault,
        suspicion=np.zeros(4, np.int32),
        sample_reason=np.zeros(len(batch.samples), np.int8),
        sample_suspicion=np.zeros(len(batch.samples), np.int32),
        weight_apart=np.full(len(batch.samples), np.nan),
    )
    rows = explain(batch, verdict, np.array([0, 1]))
    assert [(row.reason, row.device_id) for row in rows] == [("malformed_reading", None)] * 2
