"""apprise against a local server: handed over, or not."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from alerts.alert import Level
from alerts.channels import message
from alerts.channels.channel import send_safely
from alerts.channels.handed_over import HandedOver, load
from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, State
from simulator.embedded.child import free_port
from tests.alerts.sending.conftest import PUBLIC_URL, Told

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
        self.asked = asyncio.Semaphore(0)
        self.answers = asyncio.Event()
        self.answers.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self.asked.release()
        await self.answers.wait()
        writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    it = Service()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    yield it
    it.answers.set()
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


async def test_an_address_that_breaks_its_service_is_no_fault_of_ours(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Apprise means to send a header that HTTP cannot, and raises."""
    odd = f"json://127.0.0.1:{service.port}/hemlig?+X=%E2%82%AC"
    carrier = HandedOver(schemes=frozenset({"json"}))
    outcome = await send_safely(carrier, odd, YELLOW, 7)
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.PROVIDER)
    assert "UnicodeEncodeError" in outcome.reply
    assert "hemlig" not in outcome.reply + caplog.text


async def test_services_that_hang_delay_no_other_and_nothing_else(service: Service) -> None:
    """Names of the servers for SMS and mail are looked up by threads too."""
    hanging = 16
    few = ThreadPoolExecutor(max_workers=2)
    asyncio.get_running_loop().set_default_executor(few)
    service.answers.clear()
    carrier = HandedOver(schemes=frozenset({"json"}))
    sends = [
        asyncio.create_task(carrier.send(f"json://127.0.0.1:{service.port}/{n}", YELLOW, n))
        for n in range(hanging)
    ]
    async with asyncio.timeout(3):  # less than apprise waits for an answer
        for _ in range(hanging):
            await service.asked.acquire()
        await asyncio.get_running_loop().getaddrinfo("localhost", 25)
    assert not any(one.done() for one in sends)
    service.answers.set()
    assert {(await one).state for one in sends} == {State.HANDED_OVER}


@pytest.mark.parametrize("wish", ["rto=600", "rto=-1", "rto=nan"])
async def test_no_address_says_how_long_its_service_may_hang(service: Service, wish: str) -> None:
    """A thread that is kept is kept from the others."""
    carrier = HandedOver(frozenset({"json"}), answer_s=0.2, threads=ThreadPoolExecutor(1))
    address = f"json://127.0.0.1:{service.port}/x"
    service.answers.clear()
    hung = await carrier.send(f"{address}?{wish}", YELLOW, 7)
    assert (hung.state, hung.fault) == (State.FAILED, Fault.PROVIDER)
    service.answers.set()
    assert (await carrier.send(address, YELLOW, 8)).state is State.HANDED_OVER


async def failing_since(told: Told, channel: int) -> datetime | None:
    since = "select failing_since from channel where channel_id = %s"
    found = told.world.one(since, channel)
    assert found is None or isinstance(found, datetime)
    return found


def handing_over(told: Told) -> None:
    by_kind = {**told.carriers.by_kind, Kind.APPRISE: HandedOver(frozenset({"json"}))}
    told.carriers = dataclasses.replace(told.carriers, by_kind=by_kind)


async def test_a_service_that_is_gone_for_a_day_is_put_last_and_its_owner_sees_it(
    told: Told, service: Service
) -> None:
    """Nobody but she can mend it: no incident; that it was away for an hour changes nothing."""
    handing_over(told)
    channel = told.channel("apprise", f"json://127.0.0.1:{service.port}/x")
    service.status = "404 Not Found"
    for _ in range(4):
        told.notify()
        await told.turn(timedelta(minutes=15))
    assert told.attempts()[-1] == ("apprise", "failed")
    assert await failing_since(told, channel) is None
    assert told.world.one("select count(*) from incident where closed_at is null") == 0
    told.notify()
    await told.turn(timedelta(days=1))
    assert await failing_since(told, channel) == told.now
    service.status = "200 OK"
    told.notify()
    await told.turn(timedelta(minutes=15))
    assert await failing_since(told, channel) is None


async def test_services_of_two_people_that_are_away_are_an_incident(
    told: Told, service: Service
) -> None:
    handing_over(told)
    service.status = "503 Later"
    for who in ("anna", "eva"):
        told.channel("apprise", f"json://127.0.0.1:{service.port}/{who}", who=who)
        told.notify(who=who)
    await told.turn()
    await told.turn(timedelta(minutes=1))
    incidents = "select key from incident where kind = 'sending' and closed_at is null"
    assert told.world.rows(incidents) == [("apprise",)]
