"""Connecting: short back-off while the device is there, and no longer than there is hope."""

import asyncio
import time

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from gateway import connection
from gateway.connection import CONNECT_WAITS_S, Chance, connect
from gateway.radio import Refusal
from gateway.sighting import HEARD_WITHIN_S
from tests.gateway.fakes import FakeClient, FakeRadio, refused
from tests.gateway.home import until
from tests.gateway.material import DEVICE

ABORT = BleakError("le-connection-abort-by-local")


class Attempt:
    """An attempt to connect, and what the gateway knows meanwhile."""

    def __init__(self) -> None:
        self.radio = FakeRadio()
        self.heard_s = time.monotonic()
        self.share_s: float | None = None

    async def made(self, timeout_s: float = 5.0) -> object:
        return await connect(
            self.radio,
            BLEDevice(DEVICE, None, None),
            lambda: None,
            chance=Chance(lambda: self.heard_s, lambda: self.share_s),
            timeout_s=timeout_s,
            pair=False,
        )


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds twenty times shorter."""
    for name in ("LINK_PRESSED_S", "HEARD_WITHIN_S", "LET_GO_S_MAX", "_LOOK_S", "REQUEST_S_MAX"):
        monkeypatch.setattr(connection, name, getattr(connection, name) / 20)


async def test_an_attempt_that_fails_is_made_again_while_the_device_is_heard(
    attempt: Attempt,
) -> None:
    attempt.radio.refusals = [ABORT, TimeoutError(), ABORT]
    assert isinstance(await attempt.made(), FakeClient)
    assert attempt.radio.calls.count("connect") == 4


async def test_it_is_given_up_after_the_last_try(attempt: Attempt) -> None:
    attempt.radio.refusals = [ABORT] * 10
    assert await attempt.made() is None
    assert attempt.radio.calls == ["connect"] * (len(CONNECT_WAITS_S) + 1)


async def test_the_waits_between_tries_stay_within_a_window_of_seconds(attempt: Attempt) -> None:
    attempt.radio.refusals = [ABORT] * 10
    began_s = time.monotonic()
    await attempt.made()
    assert sum(CONNECT_WAITS_S) <= time.monotonic() - began_s < 2


async def test_a_device_that_fell_silent_is_not_tried_again(attempt: Attempt) -> None:
    attempt.radio.refusals = [ABORT] * 10
    attempt.heard_s -= HEARD_WITHIN_S + 1
    assert await attempt.made() is None
    assert attempt.radio.calls == ["connect"]


@pytest.mark.usefixtures("brisk")
async def test_a_silent_device_lets_go_of_the_adapter_when_it_was_not_heard_for_long(
    attempt: Attempt,
) -> None:
    attempt.radio.never_links = True
    async with asyncio.timeout(2):
        assert await attempt.made(timeout_s=60) is None
    assert attempt.radio.calls == ["connect", "let go"]


@pytest.mark.usefixtures("brisk")
async def test_a_silent_device_lets_go_sooner_when_somebody_else_waits(attempt: Attempt) -> None:
    attempt.radio.never_links, attempt.share_s = True, 10.0
    attempt.heard_s += 60  # heard over and over, and yet not reached
    async with asyncio.timeout(2):
        assert await attempt.made(timeout_s=60) is None
    assert attempt.radio.calls.count("let go") >= 1


@pytest.mark.usefixtures("brisk")
async def test_a_device_that_goes_on_advertising_gets_its_time_when_nobody_waits(
    attempt: Attempt,
) -> None:
    attempt.radio.never_links = True
    attempt.heard_s += 60
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await attempt.made(timeout_s=60)


@pytest.mark.usefixtures("brisk")
async def test_once_there_is_a_link_finding_the_services_may_take_its_time(
    attempt: Attempt,
) -> None:
    attempt.radio.discovery_s = 1.0
    attempt.share_s = 10.0
    attempt.heard_s -= 60
    assert isinstance(await attempt.made(), FakeClient)


@pytest.mark.usefixtures("brisk")
async def test_services_that_are_never_found_are_not_waited_for_for_ever(
    attempt: Attempt,
) -> None:
    attempt.radio.discovery_s = 3600.0
    async with asyncio.timeout(5):
        assert await attempt.made(timeout_s=0.1) is None


@pytest.mark.usefixtures("brisk")
async def test_a_radio_that_does_not_let_go_is_said_to_hang(attempt: Attempt) -> None:
    attempt.radio.never_links = attempt.radio.hangs = True
    with pytest.raises(BleakError, match="does not let go"):
        await attempt.made()


async def test_a_refusal_is_returned_and_not_tried_again(attempt: Attempt) -> None:
    attempt.radio.refusals = [refused(Refusal.BOND_LOST)] * 4
    assert await attempt.made() is Refusal.BOND_LOST
    assert attempt.radio.calls == ["connect"]


async def test_told_to_stop_as_the_link_comes_about_the_device_is_let_go(
    attempt: Attempt,
) -> None:
    """BlueZ would keep it connected when we are gone."""
    attempt.radio.never_links = attempt.radio.links_anyway = True
    making = asyncio.create_task(attempt.made())
    await until(lambda: bool(attempt.radio.calls))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert attempt.radio.calls == ["connect", "let go", "disconnect"]


@pytest.mark.usefixtures("brisk")
async def test_a_link_that_comes_about_as_it_is_given_up_is_used(attempt: Attempt) -> None:
    attempt.radio.never_links = attempt.radio.links_anyway = True
    assert isinstance(await attempt.made(), FakeClient)
