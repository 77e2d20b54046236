"""Whatever comes over MQTT: no crash, one reason for each refusal, nothing stored.

``EGENMONITOR_PAYLOADS=1000000 pytest tests/ingest/test_garbage.py`` is the promised million,
some minutes of work.
"""

import os
import random
from datetime import timedelta
from itertools import islice
from typing import Final

import numpy as np
import pytest

from devices import wire
from devices.errors import MalformedMessage
from ingest import history
from ingest.assignments import Loans, assign
from ingest.batch import from_incoming
from ingest.decode import Incoming, decode
from ingest.delivery import Delivery
from ingest.plausibility import judge, refuse_readings
from ingest.quarantine import REASONS
from ingest.receipts import receipts
from ingest.refusal import explain
from tests.ingest.county import GATEWAY, NOW
from tests.ingest.garbage import payloads

SEED: Final = int(os.environ.get("EGENMONITOR_SEED") or random.randrange(2**32))
PAYLOADS: Final = int(os.environ.get("EGENMONITOR_PAYLOADS") or 50_000)
TOPIC = wire.topic(GATEWAY, wire.TopicKind.READINGS)
NOBODY = Loans(**dict.fromkeys(Loans.__slots__, np.empty(0, np.int64)))


def _decode(payload: bytes, topic: str = TOPIC) -> Incoming:
    return decode(Delivery(topic, payload, None, NOW + timedelta(seconds=1)))


@pytest.mark.timeout(1800)
def test_garbage_is_refused_each_with_a_reason() -> None:
    print(f"EGENMONITOR_SEED={SEED}")  # noqa: T201 - shown when it fails
    garbage = payloads(PAYLOADS, SEED)
    whole = parts = faults = 0
    while some := list(islice(garbage, 2_000)):
        incoming = [_decode(payload) for payload in some]
        batch = from_incoming(incoming)
        assignment = assign(batch, NOBODY)
        reason = np.where(batch.fault > 0, batch.fault, refuse_readings(batch))
        reason = np.where(reason == 0, assignment.reason, reason)
        verdict = judge(batch, reason, assignment.patient, history.nothing())
        assert np.isin(verdict.reason, [one.code for one in REASONS]).all()
        assert len(verdict.reason) == sum(one.count for one in incoming)
        for payload, one in zip(some, incoming, strict=True):
            assert one.count or one.refused, payload
            assert not (one.refused_whole and one.count), payload
            if one.refused_whole and one.refused[0].reason != "malformed_reading":
                assert len(one.refused) == 1, payload
                assert one.refused[0].content == payload
            whole += one.refused_whole
            parts += not one.refused_whole and bool(one.refused)
        faults += int(np.count_nonzero(batch.fault))
        for said in explain(batch, verdict, np.flatnonzero(batch.fault)):
            assert (said.reason, bool(said.detail)) == ("malformed_reading", True)
            with pytest.raises(MalformedMessage):
                wire.decode_reading(said.content)
        for answer in receipts(incoming, verdict.reason, []):
            assert wire.decode_receipt(answer.payload).stored == ()
    assert whole > PAYLOADS // 10
    assert min(parts, faults) > PAYLOADS // 100  # some readings broken, their neighbours not


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
