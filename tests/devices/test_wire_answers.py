"""Receipts, gateway status and topics, typed again as they must look."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import wire
from devices.errors import MalformedMessage

NOW = "2026-11-22T07:30:00Z"


def test_receipt_goes_there_and_back() -> None:
    receipt = wire.Receipt(
        v=1,
        stored=(UUID(int=1),),
        refused=(wire.Refusal(reading_id=UUID(int=2), reason="unassigned", detail="nobody"),),
        message_refused="no",
    )
    assert wire.decode_receipt(wire.encode_receipt(receipt)) == receipt
    assert json.loads(wire.encode_receipt(receipt)) == {
        "v": 1,
        "stored": ["00000000-0000-0000-0000-000000000001"],
        "refused": [
            {
                "reading_id": "00000000-0000-0000-0000-000000000002",
                "reason": "unassigned",
                "detail": "nobody",
            }
        ],
        "message_refused": "no",
    }


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b'{"v": 1, "stored": ["x"]}',
        b'{"v": 1, "refused": [{"reading_id": "00000000-0000-0000-0000-000000000002"}]}',
        b'{"stored": []}',
        json.dumps({"v": 1, "stored": [str(UUID(int=1))] * 201}).encode(),
    ],
)
def test_receipt_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_receipt(payload)


def test_status_goes_there_and_back() -> None:
    at = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    status = wire.GatewayStatus(
        v=1,
        gateway="g-7f3a",
        state=wire.GatewayState.ONLINE,
        at=at,
        outbox=3,
        problems=("no radio",),
    )
    assert wire.decode_status(wire.encode_status(status)) == status
    assert json.loads(wire.encode_status(status)) == {
        "v": 1,
        "gateway": "g-7f3a",
        "state": "online",
        "at": NOW,
        "outbox": 3,
        "problems": ["no radio"],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "asleep"},
        {"outbox": -1},
        {"outbox": 2**53},
        {"radio": "x" * 65},
        {"at": "2026-11-22T07:30:00+01:00"},
        {"oldest_at": "9999-12-31T00:00:00Z"},
        {"problems": ["x"] * 33},
        {"problems": ["x" * 501]},
    ],
)
def test_status_that_cannot_be_read_is_refused(changes: dict[str, Any]) -> None:
    content = {"v": 1, "gateway": "g-7f3a", "state": "online"} | changes
    with pytest.raises(MalformedMessage):
        wire.decode_status(json.dumps(content).encode())


def test_topics_stand() -> None:
    assert wire.topic("g-7f3a", wire.TopicKind.READINGS) == "egenmonitor/v1/g-7f3a/readings"
    assert wire.topic("+", wire.TopicKind.STATUS) == "egenmonitor/v1/+/status"
    for kind in wire.TopicKind:
        assert wire.parse_topic(wire.topic("g-7f3a", kind)) == ("g-7f3a", kind)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "egenmonitor/v1/g/readings/more",
        "egenmonitor/v2/g/readings",
        "other/v1/g/readings",
        "egenmonitor/v1//readings",
        "egenmonitor/v1/+/readings",
        "egenmonitor/v1/g\n/readings",
        "egenmonitor/v1/g/secrets",
    ],
)
def test_topic_that_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_topic(name)


@given(st.text(max_size=70))
def test_any_text_is_a_gateway_id_or_not(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert wire.is_gateway_id(text) is (1 <= len(text) <= 64 and set(text) <= allowed)


def test_a_pairing_with_just_anything_cannot_be_asked_for() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    wire.PairingRequest(request_id="p", expires_at=at, device_id="C4:64:E3:00:00:01")
    wire.PairingRequest(request_id="p", expires_at=at, model="omron")
    with pytest.raises(ValueError, match="neither device nor model"):
        wire.PairingRequest(request_id="p", expires_at=at)
