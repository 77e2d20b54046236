"""apprise against a local server: handed over, or not."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from alerts.alert import Level
from alerts.channels import message
from alerts.channels.handed_over import HandedOver, load
from alerts.channels.outcome import Fault, State
from simulator.embedded.child import free_port
from tests.alerts.sending.conftest import PUBLIC_URL

YELLOW = message.of_alert(Level.YELLOW, PUBLIC_URL)


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    load()


class Service:
    """Takes one JSON message over HTTP and answers as it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.status = "200 OK"
        self.bodies: list[dict[str, object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    it = Service()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    yield it
    server.close()


async def test_what_a_service_takes_is_handed_over_and_no_more(service: Service) -> None:
    carrier = HandedOver(schemes=frozenset({"json"}))
    outcome = await carrier.send(f"json://127.0.0.1:{service.port}/hemlig", YELLOW, 7)
    assert outcome.state is State.HANDED_OVER
    assert service.bodies[0]["title"] == "Nytt larm i arbetslistan"


async def test_what_a_service_refuses_is_told_without_its_key(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.status = "500 Oops"
    carrier = HandedOver(schemes=frozenset({"json"}))
    outcome = await carrier.send(f"json://127.0.0.1:{service.port}/hemlig", YELLOW, 7)
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.PROVIDER)
    assert "hemlig" not in outcome.reply + "".join(capfd.readouterr())


async def test_a_service_that_is_away_costs_nobody_her_channel() -> None:
    carrier = HandedOver(schemes=frozenset({"json"}))
    outcome = await carrier.send(f"json://127.0.0.1:{free_port()}/hemlig", YELLOW, 7)
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.PROVIDER)


@pytest.mark.parametrize(
    "address",
    ["json://127.0.0.1/x", "file:///etc/x", "dbus://", "syslog://", "", "jsons://", "\x00"],
)
async def test_an_address_that_is_none_or_reaches_into_the_machine_is_refused(address: str) -> None:
    outcome = await HandedOver().send(address, YELLOW, 7)
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.ADDRESS)
