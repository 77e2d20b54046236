"""Receipts tell each gateway exactly what was committed or refused of each message."""

import json
from collections.abc import Callable
from uuid import UUID

import numpy as np
import pytest

from devices import wire
from devices.reading import Reading
from ingest.decode import Incoming, decode
from ingest.delivery import Delivery
from ingest.quarantine import Reason, Refused
from ingest.receipts import receipts
from tests.ingest.county import GATEWAY, NOW, message, pressure

TOPIC = wire.topic(GATEWAY, wire.TopicKind.READINGS)


def _incoming(payload: bytes, correlation: bytes = b"c", response: str | None = None) -> Incoming:
    return decode(Delivery(TOPIC, payload, correlation, NOW))


def _receipt(
    payload: bytes, codes: list[int], refused: list[Refused] | None = None
) -> wire.Receipt:
    (answer,) = receipts([_incoming(payload)], np.array(codes, np.int8), refused or [])
    assert answer.topic == wire.topic(GATEWAY, wire.TopicKind.RECEIPTS)
    return wire.decode_receipt(answer.payload)


def _rows(*readings: Reading) -> bytes:
    return wire.encode_rows(GATEWAY, NOW, readings)


def _refused(one: Reading, reason: Reason, detail: str) -> Refused:
    return Refused(
        reason=reason,
        detail=detail,
        gateway_id=GATEWAY,
        topic=TOPIC,
        arrived_at=NOW,
        content=b"",
        reading_id=one.reading_id,
    )


@pytest.mark.parametrize("encode", [wire.encode_rows, wire.encode_message])
def test_each_message_gets_its_own_answer_with_its_own_correlation(
    encode: Callable[..., bytes],
) -> None:
    first, second = [pressure(120, 80), pressure(121, 80)], [pressure(122, 80)]
    incoming = [
        _incoming(encode(GATEWAY, NOW, some), correlation)
        for some, correlation in ((first, b"1"), (second, b"2"))
    ]
    answers = receipts(incoming, np.zeros(3, np.int8), [])
    assert [answer.correlation for answer in answers] == [b"1", b"2"]
    told = [wire.decode_receipt(answer.payload) for answer in answers]
    assert [one.stored for one in told] == [
        tuple(one.reading_id for one in some) for some in (first, second)
    ]
    version = wire.COLUMNS_VERSION if encode is wire.encode_message else wire.VERSION
    assert {one.v for one in told} == {version}


@pytest.mark.parametrize("encode", [wire.encode_rows, wire.encode_message])
def test_stored_and_refused_are_told_apart_by_reading(encode: Callable[..., bytes]) -> None:
    one, other = pressure(120, 80), pressure(2047, 80)
    refused = _refused(other, Reason.IMPLAUSIBLE, "systolic\n2047\0")
    payload = encode(GATEWAY, NOW, [one, other])
    receipt = _receipt(payload, [0, Reason.IMPLAUSIBLE.code], [refused])
    assert receipt.stored == (one.reading_id,)
    assert receipt.refused == (
        wire.Refusal(reading_id=other.reading_id, reason="implausible", detail="systolic 2047\\0"),
    )


def test_what_became_of_one_message_is_not_told_of_the_next() -> None:
    """Of either version, with one between them that has no readings, and one of nobody's."""
    some = [[pressure(120, 80), pressure(2047, 80)], [pressure(122, 80)], [pressure(2048, 80)]]
    incoming = [
        _incoming(message(some[0])),
        _incoming(b"nonsense"),
        decode(Delivery("nobody", b"", None, NOW)),
        _incoming(_rows(*some[1])),
        _incoming(message(some[2])),
    ]
    code = Reason.IMPLAUSIBLE.code
    answers = receipts(incoming, np.array([0, code, 0, code], np.int8), [])
    told = [wire.decode_receipt(answer.payload) for answer in answers]
    assert [len(one.stored) for one in told] == [1, 0, 1, 0]
    assert [len(one.refused) for one in told] == [1, 0, 0, 1]
    assert [one.v for one in told] == [2, 1, 1, 2]
    assert told[0].stored == (some[0][0].reading_id,)
    assert told[2].stored == (some[1][0].reading_id,)
    assert told[3].refused[0].reading_id == some[2][0].reading_id


def test_a_malformed_reading_with_an_id_is_refused_by_its_id() -> None:
    tree = json.loads(_rows(pressure(120, 80), pressure(121, 80)))
    tree["readings"][0]["outcome"] = "splendid"
    receipt = _receipt(json.dumps(tree).encode(), [0])
    assert receipt.stored == (UUID(tree["readings"][1]["reading_id"]),)
    (refusal,) = receipt.refused
    assert refusal.reading_id == UUID(tree["readings"][0]["reading_id"])
    assert refusal.reason == "malformed_reading"


def test_a_message_without_any_readable_reading_or_id_is_refused_whole() -> None:
    tree = json.loads(_rows(pressure(120, 80)))
    tree["readings"][0] = {"reading_id": 7}
    receipt = _receipt(json.dumps(tree).encode(), [])
    assert receipt.message_refused
    assert receipt.message_refused.startswith("malformed_reading: ")


def test_a_newer_version_is_refused_with_what_is_known() -> None:
    tree = json.loads(_rows(pressure(120, 80))) | {"v": 3}
    receipt = _receipt(json.dumps(tree).encode(), [])
    assert receipt.message_refused == (
        "unsupported_version: version 3 is not read here (newest known: 2)"
    )


@pytest.mark.parametrize("encode", [wire.encode_rows, wire.encode_message])
def test_a_message_of_another_gateway_is_refused_whole(encode: Callable[..., bytes]) -> None:
    receipt = _receipt(encode("g-other", NOW, [pressure(120, 80)]), [])
    assert receipt.v == (1 if encode is wire.encode_rows else 2)
    assert receipt.message_refused
    assert receipt.message_refused.startswith("gateway_mismatch")


def test_the_answer_goes_to_the_topics_gateway_wherever_the_sender_wants_it() -> None:
    incoming = _incoming(message([pressure(120, 80)]), response="egenmonitor/v1/g-victim/receipts")
    (answer,) = receipts([incoming], np.zeros(1, np.int8), [])
    assert answer.topic == wire.topic(GATEWAY, wire.TopicKind.RECEIPTS)


def test_a_message_in_columns_that_is_refused_whole_says_so_in_rows() -> None:
    """Whatever version it was of, it could not be read; every gateway reads version 1."""
    receipt = _receipt(message([pressure(120, 80)]).replace(b'"value"', b'"volume"'), [])
    assert receipt.v == wire.VERSION
    assert receipt.message_refused
    assert receipt.message_refused.startswith("malformed_message")
