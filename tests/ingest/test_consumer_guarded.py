"""Mosquitto with TLS, client certificates, passwords and an access list, as in earnest."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from devices import wire
from ingest import consumer as consumer_module
from ingest.config import BrokerSettings
from ingest.consumer import MqttConsumer
from ingest.delivery import Answer, Delivery
from simulator.embedded.broker import Mosquitto
from tests.conftest import missing
from tests.gateway.certificates import Authority
from tests.ingest.consuming import WAIT_S, Watched, consuming, next_ones

READINGS = wire.topic("g-1", wire.TopicKind.READINGS)


class Guarded(Mosquitto):
    """Mosquitto with lines of its own."""

    def __init__(self, directory: Path, *lines: str) -> None:
        super().__init__(directory)
        self._lines = lines

    def configuration(self) -> str:
        text = super().configuration()
        if any("password_file" in line for line in self._lines):
            text = text.replace("allow_anonymous true", "allow_anonymous false")
        return text + "\n".join(self._lines) + "\n"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    for name in ("RECONNECT_S_MIN", "RECONNECT_S_MAX"):
        monkeypatch.setattr(consumer_module, name, 0.05)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def tls_broker(tmp_path: Path, authority: Authority) -> Iterator[Guarded]:
    """A broker that wants a certificate of the authority."""
    certificate, key = authority.issue("broker")
    if os.geteuid() == 0:
        key.chmod(0o644)
    broker = Guarded(
        tmp_path / "broker",
        f"cafile {authority.file}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
    )
    with broker:
        yield broker


def _settings(broker: Guarded, authority: Authority, cert: Path, key: Path) -> BrokerSettings:
    return BrokerSettings(
        host="127.0.0.1", port=broker.port, ca_file=authority.file, cert_file=cert, key_file=key
    )


async def test_what_is_sent_over_tls_comes_whole_and_in_order(
    tls_broker: Guarded, authority: Authority
) -> None:
    settings = _settings(tls_broker, authority, *authority.issue("ingest"))
    payloads = [b"%d" % number + bytes(10_000) for number in range(100)]
    async with consuming(settings, 20) as consumer:
        consumer.publish([Answer(READINGS, payload, None) for payload in payloads])
        heard: list[bytes] = []
        while len(heard) < len(payloads):
            (one,) = await next_ones(consumer, 1)
            consumer.acknowledge([one])
            heard.append(one.payload)
    assert heard == payloads


async def test_a_certificate_that_was_renewed_is_used_without_a_restart(
    tls_broker: Guarded, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    cert, key = Authority(tmp_path / "other", "foreign").issue("ingest")
    watched = Watched()
    with capture_logs() as logs:
        async with MqttConsumer(
            _settings(tls_broker, authority, cert, key), 20, watched
        ) as consumer:
            await _told(consumer, logs, "broker.unreachable")
            right_cert, right_key = authority.issue("ingest")
            key.write_bytes(right_key.read_bytes())
            cert.write_bytes(right_cert.read_bytes())
            async with asyncio.timeout(WAIT_S):
                await watched.is_subscribed.wait()
    assert all(log["cure"] for log in logs if log["event"] == "broker.unreachable")


async def test_a_broker_with_a_strangers_certificate_is_not_spoken_to(
    tls_broker: Guarded, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger")
    settings = _settings(tls_broker, stranger, *authority.issue("ingest"))
    with capture_logs() as logs:
        async with MqttConsumer(settings, 20) as consumer:
            await _told(consumer, logs, "broker.unreachable")
    assert "certificate verify failed" in logs[0]["problem"]
    assert "ca_file" in logs[0]["cure"]


async def test_a_host_that_is_no_name_is_told_and_tried_again() -> None:
    with capture_logs() as logs:
        async with MqttConsumer(BrokerSettings(host="broker..home", port=1), 20) as consumer:
            await _told(consumer, logs, "broker.unreachable")
            assert not await consumer.wait(0)
    assert (logs[0]["problem"], bool(logs[0]["cure"])) == ("the host is no name", True)


async def test_a_password_is_shown_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    _hash(passwords, "ingest", "right")
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    watched = Watched()
    with Guarded(tmp_path / "broker", f"password_file {passwords}") as broker:
        settings = BrokerSettings(
            host="127.0.0.1", port=broker.port, username="ingest", password_file=secret
        )
        with capture_logs() as logs:
            async with MqttConsumer(settings, 20, watched) as consumer:
                await _told(consumer, logs, "broker.refused")
                secret.write_text("right\n")
                async with asyncio.timeout(WAIT_S):
                    await watched.is_subscribed.wait()
    assert "not authorized" in logs[0]["reason"]


@pytest.mark.parametrize("queued_max", [0, 100_000])
async def test_receipts_that_the_access_list_forbids_are_told_and_the_rest_goes_on(
    tmp_path: Path, queued_max: int
) -> None:
    """With no limit to its queue, Mosquitto 2.0.11 hangs up on who sends what is forbidden."""
    access = tmp_path / "acl"
    access.write_text("topic read egenmonitor/v1/+/readings\ntopic write egenmonitor/v1/g-1/+\n")
    lines = (f"acl_file {access}", f"max_queued_messages {queued_max}")
    forbidden = wire.topic("g-2", wire.TopicKind.RECEIPTS)
    with Guarded(tmp_path / "broker", *lines) as broker:
        settings = BrokerSettings(host="127.0.0.1", port=broker.port)
        with capture_logs() as logs:
            async with consuming(settings, 20) as consumer:
                consumer.publish([Answer(forbidden, b"x", None)] * 3)
                heard: list[Delivery] = []
                async with asyncio.timeout(WAIT_S):
                    while not heard:
                        consumer.publish([Answer(READINGS, b"allowed", None)])
                        await consumer.wait(0.05)
                        heard = consumer.take(1)
    told = [log["event"] for log in logs]
    if queued_max:
        assert "receipts.refused" in told
        assert "broker.lost" not in told


def _hash(file: Path, name: str, password: str) -> None:
    file.touch(mode=0o644)
    subprocess.run(["mosquitto_passwd", "-b", str(file), name, password], check=True)


async def _told(consumer: MqttConsumer, logs: list[Any], event: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while event not in [log["event"] for log in logs]:
            await consumer.wait(0.02)
