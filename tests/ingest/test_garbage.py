"""Whatever comes over MQTT: no crash, one reason for each refusal, nothing stored."""

import os
import random
from datetime import timedelta
from itertools import islice
from typing import Final

import numpy as np
import pytest

from devices import wire
from ingest import history
from ingest.assignments import Loans, assign
from ingest.batch import from_messages
from ingest.decode import Incoming, decode
from ingest.delivery import Delivery
from ingest.plausibility import judge, refuse_readings
from ingest.quarantine import REASONS
from ingest.receipts import receipts
from tests.ingest.county import GATEWAY, NOW
from tests.ingest.garbage import payloads

SEED: Final = int(os.environ.get("EGENMONITOR_SEED") or random.randrange(2**32))
TOPIC = wire.topic(GATEWAY, wire.TopicKind.READINGS)
NOBODY = Loans(**dict.fromkeys(Loans.__slots__, np.empty(0, np.int64)))


def _decode(payload: bytes, topic: str = TOPIC) -> Incoming:
    return decode(Delivery(topic, payload, None, None, NOW + timedelta(seconds=1)))


@pytest.mark.timeout(180)
def test_a_hundred_thousand_payloads_are_each_refused_with_a_reason() -> None:
    print(f"EGENMONITOR_SEED={SEED}")  # noqa: T201 - shown when it fails
    garbage = payloads(100_000, SEED)
    whole = parts = 0
    while some := list(islice(garbage, 2_000)):
        incoming = [_decode(payload) for payload in some]
        batch = from_messages([(one.origin, one.readings) for one in incoming if one.origin])
        assignment = assign(batch, NOBODY)
        reason = refuse_readings(batch)
        reason = np.where(reason == 0, assignment.reason, reason)
        verdict = judge(batch, reason, assignment.patient, history.nothing())
        assert np.isin(verdict.reason, [one.code for one in REASONS]).all()
        assert len(verdict.reason) == sum(len(one.readings) for one in incoming)
        for payload, one in zip(some, incoming, strict=True):
            assert one.readings or one.refused, payload
            assert not (one.refused_whole and one.readings), payload
            if one.origin is None:
                assert len(one.refused) == 1, payload
                assert one.refused[0].content == payload
            whole += one.origin is None
            parts += one.origin is not None and bool(one.refused)
        for answer in receipts(incoming, verdict.reason, []):
            assert wire.decode_receipt(answer.payload).stored == ()
    assert whole > 10_000
    assert parts > 1_000  # some readings of a message broken, the others not


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "x",
        "egenmonitor/v1/g-test",
        "egenmonitor/v1/g-test/status",
        "egenmonitor/v2/g-test/readings",
        "egenmonitor/v1/g test/readings",
        "egenmonitor/v1/g-test/readings/more",
        "egenmonitor/v1/\u0000/readings",
    ],
)
def test_a_topic_that_is_no_gateways_gets_no_answer(topic: str) -> None:
    one = _decode(b"{}", topic)
    assert one.refused_whole
    answers = receipts([one], np.empty(0, np.int8), [])
    assert [answer.topic for answer in answers] in (
        [],
        [wire.topic("g-test", wire.TopicKind.RECEIPTS)],
    )
