"""Status up and configuration down, with ingest as a process, real brokers and a real database."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices import wire
from devices.wire import GatewayConfig, GatewayState, GatewayStatus, TopicKind, topic
from simulator.embedded.broker import Broker
from tests.ingest.county import CUFF, GATEWAY, NOW, SCALE, County, pressure
from tests.ingest.process import WAIT_S, connected, running, until

OTHER = "C4:00:00:00:00:09"


class Box:
    """Hears its configuration and tells its status, as a gateway does."""

    def __init__(self, port: int) -> None:
        self._heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._is_subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(
            topic(GATEWAY, TopicKind.CONFIG), qos=1
        )
        self._client.on_subscribe = lambda *_: self._is_subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._heard.put(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._is_subscribed.wait(WAIT_S)

    def config(self, version: int) -> GatewayConfig:
        """Wait for a version; one that came before it is passed over."""
        while True:
            found = wire.decode_config(bytes(self._heard.get(timeout=WAIT_S).payload))
            if found.config_version == version:
                return found

    def say(self, state: GatewayState = GatewayState.ONLINE, **more: Any) -> None:
        at = None if state is GatewayState.LOST else datetime.now(UTC)
        status = GatewayStatus(v=1, gateway=GATEWAY, state=state, at=at, **more)
        self.say_bytes(wire.encode_status(status))

    def say_bytes(self, payload: bytes) -> None:
        self._client.publish(topic(GATEWAY, TopicKind.STATUS), payload, qos=1, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def box(port: int) -> Iterator[Box]:
    one = Box(port)
    try:
        yield one
    finally:
        one.close()


def stand(county: County) -> None:
    county.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s)",
        [GATEWAY, county.patient_id, NOW],
    )


def lent(config: GatewayConfig) -> list[str]:
    return [device.device_id for device in config.devices]


def said(county: County, column: str, value: object) -> None:
    """Wait until the status' column has a value."""
    until(
        lambda: county.one(f"select {column} from gateway_status") == value,
        lambda: f"{column} = {value}: {county.rows('select * from gateway_status')}",
    )


def test_a_list_goes_down_at_once_and_stays_with_the_broker(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    stand(plain_county)
    with running(tmp_path, plain_county.dsn, broker.port, ready="config.published"):
        with box(broker.port) as early:  # it was published before anybody listened
            assert lent(early.config(1)) == [CUFF, SCALE]
            plain_county.lend(OTHER, plain_county.patient_id)
            assert lent(early.config(2)) == [CUFF, SCALE, OTHER]
        with box(broker.port) as late:
            assert lent(late.config(2)) == [CUFF, SCALE, OTHER]


def test_a_gateway_that_does_not_use_its_latest_is_told_again(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    """The broker forgot what it retained: the gateway's own words bring it back."""
    stand(plain_county)
    with running(tmp_path, plain_county.dsn, broker.port, ready="config.published") as ingest:
        broker.stop()
        broker.start()
        ingest.wait_for("control.lost")
        with box(broker.port) as one:
            one.say(config_version=None)
            assert lent(one.config(1)) == [CUFF, SCALE]


def test_one_that_has_a_newer_version_gets_a_newer_one_still(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    stand(plain_county)
    with (
        running(tmp_path, plain_county.dsn, broker.port, ready="config.published"),
        box(broker.port) as one,
    ):
        one.say(config_version=41)
        assert lent(one.config(42)) == [CUFF, SCALE]


def test_one_that_always_says_a_newer_version_does_not_fill_the_table(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    stand(plain_county)
    with (
        running(tmp_path, plain_county.dsn, broker.port, ready="config.published"),
        box(broker.port) as one,
    ):
        one.say(config_version=41)
        one.config(42)
        for version in (50, 60, 70):
            one.say(config_version=version)
            said(plain_county, "config_version", version)
        plain_county.lend(OTHER, plain_county.patient_id)
        one.config(71)  # whatever is asked for was made by now
    assert plain_county.rows("select version from gateway_config order by 1") == [
        (1,),
        (42,),
        (71,),
    ]


def test_what_is_made_while_the_broker_is_away_is_told_when_it_is_back(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    with running(tmp_path, plain_county.dsn, broker.port, ready="control.connected") as ingest:
        broker.stop()
        ingest.wait_for("control.lost")
        stand(plain_county)
        until(lambda: plain_county.count("gateway_config") == 1, lambda: "a version")
        broker.start()
        with box(broker.port) as one:
            assert lent(one.config(1)) == [CUFF, SCALE]


def test_what_a_gateway_says_is_stored_and_its_last_will_takes_nothing_away(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    with (
        running(tmp_path, plain_county.dsn, broker.port, ready="control.connected"),
        box(broker.port) as one,
    ):
        one.say(outbox=5, version="2026.11.0")
        said(plain_county, "outbox", 5)
        one.say(GatewayState.LOST)
        said(plain_county, "state", "lost")
    assert plain_county.rows("select outbox, version from gateway_status") == [(5, "2026.11.0")]


def test_what_was_said_while_ingest_was_away_is_known_from_the_broker(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    with box(broker.port) as one:
        one.say(outbox=7)
        with running(tmp_path, plain_county.dsn, broker.port, ready="control.connected"):
            said(plain_county, "outbox", 7)


def test_garbage_as_status_is_kept_with_its_reason_and_readings_go_on(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    with (
        running(tmp_path, plain_county.dsn, broker.port, ready="control.connected") as ingest,
        box(broker.port) as one,
        connected(broker.port) as gateway,
    ):
        for payload in (b"", b"\xff\x00", b'{"v":1}', b'{"v":9}', b"[" * 5000):
            one.say_bytes(payload)
        one.say(outbox=3)
        said(plain_county, "outbox", 3)
        gateway.deliver([[pressure(192, 112)]], lambda: None)
        assert "ingest.part_failed" not in ingest.log()
    assert plain_county.rows("select reason, repeats from quarantine order by reason") == [
        ("malformed_message", 3),
        ("unsupported_version", 0),
    ]


def test_another_worker_takes_over_from_one_that_is_killed(
    plain_county: County, embedded_broker: Broker, tmp_path: Path
) -> None:
    stand(plain_county)
    port = embedded_broker.port
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        running(tmp_path / "first", plain_county.dsn, port, ready="config.published") as leader,
        running(tmp_path / "second", plain_county.dsn, port) as other,
        box(port) as one,
    ):
        assert "control.leads" not in other.log()
        one.say(outbox=1)
        said(plain_county, "outbox", 1)
        leader.kill()
        other.wait_for("control.connected")
        one.say(outbox=2)
        said(plain_county, "outbox", 2)
        plain_county.lend(OTHER, plain_county.patient_id)
        assert lent(one.config(2)) == [CUFF, SCALE, OTHER]
    assert plain_county.count("gateway_config") == 2
