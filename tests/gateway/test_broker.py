"""Connections to brokers that want to know who we are, and that may not be who they say."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.broker import (
    EVENTS_MAX,
    Acknowledged,
    Arrived,
    BrokerError,
    BrokerLost,
    Connection,
    Identity,
    connect,
)
from gateway.config import UplinkConfig
from simulator.embedded.broker import Broker, Mosquitto
from tests.conftest import missing
from tests.gateway.certificates import Authority

PROBE = Identity(client_id="g-test-check")


class Guarded(Mosquitto):
    """A broker that takes nobody without a certificate of its authority."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory)
        self._authority = authority

    def configuration(self) -> str:
        cert_file, key_file = self._authority.issue("broker")
        return super().configuration() + (
            f"cafile {self._authority.file}\ncertfile {cert_file}\nkeyfile {key_file}\n"
            "require_certificate true\n"
        )


@dataclass
class Guard:
    """A guarded broker, and the keys to it."""

    broker: Broker
    authority: Authority
    keys: dict[str, Path] = field(default_factory=dict)

    async def try_with(self, **keys: Any) -> None:
        settings = UplinkConfig(host="127.0.0.1", port=self.broker.port, **keys)
        async with connect(settings, PROBE):
            pass


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    authority = Authority(tmp_path, "authority")
    cert_file, key_file = authority.issue("g-test")
    with Guarded(tmp_path / "broker", authority) as broker:
        keys = {"ca_file": authority.file, "cert_file": cert_file, "key_file": key_file}
        yield Guard(broker, authority, keys)


async def test_a_gateway_with_its_certificate_is_let_in(guard: Guard) -> None:
    await guard.try_with(**guard.keys)


async def test_without_its_certificate_it_is_told_so(guard: Guard) -> None:
    with pytest.raises(BrokerError):
        await guard.try_with(ca_file=guard.authority.file)


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_of_another_authority_is_not_trusted(guard: Guard, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(BrokerError, match="not trusted") as caught:
        await guard.try_with(**{**guard.keys, "ca_file": stranger.file})
    assert caught.value.key == "uplink.ca_file"
    del caught
    gc.collect()


async def test_files_that_are_no_certificates_are_told(guard: Guard, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    with pytest.raises(BrokerError, match="not usable") as caught:
        await guard.try_with(ca_file=junk)
    assert caught.value.key == "uplink.ca_file"


class Locked(Mosquitto):
    """A broker that takes nobody without a password, and knows none."""

    def configuration(self) -> str:
        passwords = self.directory / "passwords"
        passwords.touch(mode=0o600)
        told = super().configuration().replace("allow_anonymous true", "allow_anonymous false")
        return told + f"password_file {passwords}\n"


async def test_a_wrong_password_names_the_key_to_look_at(tmp_path: Path) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    with Locked(tmp_path / "broker") as broker:
        settings = UplinkConfig(host="127.0.0.1", port=broker.port, username="g-test")
        with pytest.raises(BrokerError, match="refuses the connection") as caught:
            async with connect(settings, PROBE):
                pass
    assert caught.value.key == "uplink.username"


async def test_a_password_file_that_is_gone_is_told_and_tried_again_later(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("x")
    settings = UplinkConfig(host="127.0.0.1", port=9, username="g-test", password_file=secret)
    secret.unlink()
    with pytest.raises(BrokerError) as caught:
        async with connect(settings, PROBE):
            pass
    assert caught.value.key == "uplink.password_file"


RECEIPTS = "egenmonitor/v1/g-test/receipts"
STATUS = "egenmonitor/v1/g-test/status"


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[UplinkConfig]:
    """A broker that takes everybody, as production's keeps sessions and retained messages."""
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    with Mosquitto(tmp_path / "broker") as broker:
        yield UplinkConfig(host="127.0.0.1", port=broker.port)


async def test_a_receipt_that_came_while_away_is_there_on_return(plain: UplinkConfig) -> None:
    gateway = Identity(client_id="g-test", listen_topics=(RECEIPTS,))
    async with connect(plain, gateway):
        pass
    async with connect(plain, PROBE) as ingest:
        ingest.publish(RECEIPTS, b"a receipt")
        assert isinstance(await first_event(ingest), Acknowledged)
    async with connect(plain, gateway) as returned:
        assert await first_event(returned) == Arrived(RECEIPTS, b"a receipt", None)


async def test_a_last_will_is_there_for_who_comes_later(plain: UplinkConfig) -> None:
    gateway = Identity(client_id="g-test", will_topic=STATUS, will=b"lost")
    async with connect(plain, listener("first")) as first:
        async with connect(plain, gateway) as connection:
            link = connection._client.socket()
            assert isinstance(link, socket.socket)
            link.shutdown(socket.SHUT_RDWR)
            assert await first_event(first) == Arrived(STATUS, b"lost", None)
        async with connect(plain, listener("later")) as later:
            assert await first_event(later) == Arrived(STATUS, b"lost", None)


async def test_a_connection_that_is_over_leaves_no_socket_behind(plain: UplinkConfig) -> None:
    gc.collect()
    gc.disable()
    try:
        async with connect(plain, PROBE) as connection:
            client = weakref.ref(connection._client)
        del connection
        async with asyncio.timeout(5):
            while client() is not None:  # noqa: ASYNC110 - paho's thread holds it to its end
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_more_messages_at_once_than_can_be_looked_at_end_the_connection(
    plain: UplinkConfig,
) -> None:
    """Rather than let go of one in silence: an acknowledgement that is missed is waited for."""
    async with connect(plain, PROBE) as connection:
        for number in range(EVENTS_MAX + 1):
            connection._push(Acknowledged(number, None))
        assert len(connection.events()) == EVENTS_MAX
        with pytest.raises(BrokerLost, match="at once"):
            connection.events()


def listener(client_id: str) -> Identity:
    return Identity(client_id=client_id, listen_topics=(STATUS,))


async def first_event(connection: Connection) -> Acknowledged | Arrived:
    async with asyncio.timeout(5):
        while not (events := connection.events()):  # noqa: ASYNC110 - paho's thread brings it
            await asyncio.sleep(0.01)
    return events[0]
