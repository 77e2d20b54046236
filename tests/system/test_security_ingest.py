"""S3: ingest believes nobody because the broker let him through. The broker here has no rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import wire
from devices.wire import TopicKind
from simulator.embedded.broker import Broker, Mosquitto
from tests.conftest import missing
from tests.ingest.county import GATEWAY, County, fill, message, pressure
from tests.ingest.process import Gateway, running

EVIL = "g-evil"


@pytest.fixture
def open_broker(tmp_path: Path) -> Iterator[Broker]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    with Mosquitto(tmp_path / "broker") as broker:  # anonymous, without access rules
        yield broker


@pytest.fixture
def county(plain_database: str) -> Iterator[County]:
    for county in fill(plain_database):
        county.connection.execute("insert into gateway (gateway_id) values (%s)", [EVIL])
        yield county


@pytest.fixture
def two(open_broker: Broker, county: County, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """An honest gateway and one that means ill, with ingest at the other end."""
    with running(tmp_path, county.dsn, open_broker.port):
        honest, evil = Gateway(open_broker.port), Gateway(open_broker.port, EVIL)
        yield honest, evil
        honest.close()
        evil.close()


def quarantined(county: County) -> list[tuple[str, str]]:
    rows = county.connection.execute("select gateway_id, reason from quarantine order by 1, 2")
    return [(str(gateway_id), str(reason)) for gateway_id, reason in rows.fetchall()]


def test_a_message_in_another_s_name_on_the_own_topic_is_refused(
    two: tuple[Gateway, Gateway], county: County
) -> None:
    honest, evil = two
    told = evil.receipt(evil.send(message([pressure(250, 130)], GATEWAY))).receipt
    assert told.message_refused is not None
    assert told.stored == ()
    assert quarantined(county) == [(EVIL, "gateway_mismatch")]
    assert county.count("reading") == 0
    assert honest.received.empty()


def test_a_message_in_the_own_name_on_another_s_topic_is_refused(
    two: tuple[Gateway, Gateway], county: County
) -> None:
    """Its receipt goes to the one whose topic it was, who knows nothing of it."""
    honest, evil = two
    evil._client.publish(
        wire.topic(GATEWAY, TopicKind.READINGS), message([pressure(250, 130)], EVIL), qos=1
    )
    told = honest.received.get(timeout=30).receipt
    assert told.message_refused is not None
    assert county.count("reading") == 0
    assert quarantined(county) == [(GATEWAY, "gateway_mismatch")]
    assert evil.received.empty()


def test_a_device_that_nobody_lent_is_nobody_s_value(
    two: tuple[Gateway, Gateway], county: County
) -> None:
    _, evil = two
    known, unknown = pressure(120, 80), pressure(120, 80, device_id="C4:00:00:00:00:99")
    told = evil.receipt(evil.send(message([unknown, known], EVIL))).receipt
    assert told.stored == (known.reading_id,)
    assert [(each.reading_id, each.reason) for each in told.refused] == [
        (unknown.reading_id, "unassigned")
    ]
    assert quarantined(county) == [(EVIL, "unassigned")]


def test_a_retired_gateway_is_refused_whatever_the_broker_does_and_nobody_else_is(
    two: tuple[Gateway, Gateway], county: County
) -> None:
    honest, evil = two
    before, own, shared = pressure(120, 80), pressure(121, 81), pressure(122, 82)
    assert evil.receipt(evil.send(message([before], EVIL))).receipt.stored == (before.reading_id,)
    county.connection.execute("update gateway set retired_at = now() where gateway_id = %s", [EVIL])
    # At once, so that they can share a batch; one reading in both: two boxes hear one cuff.
    refused = evil.send(message([own, shared], EVIL))
    stored = honest.send(message([shared]))
    told = evil.receipt(refused).receipt
    assert {each.reading_id: each.reason for each in told.refused}[own.reading_id] == (
        "unknown_gateway"
    )
    assert honest.receipt(stored).receipt.stored == (shared.reading_id,)
    rows = county.connection.execute("select reading_id, gateway_id from reading").fetchall()
    assert dict(rows) == {before.reading_id: EVIL, shared.reading_id: GATEWAY}
    # What it said is kept, for a person to look at.
    assert (EVIL, "unknown_gateway") in quarantined(county)


def test_a_gateway_that_was_never_registered_is_refused(
    two: tuple[Gateway, Gateway], county: County, open_broker: Broker
) -> None:
    stranger = Gateway(open_broker.port, "g-stranger")
    told = stranger.receipt(stranger.send(message([pressure(120, 80)], "g-stranger"))).receipt
    stranger.close()
    assert [each.reason for each in told.refused] == ["unknown_gateway"]
    assert county.count("reading") == 0
