"""What comes down: taken or refused, kept, in force without a restart and after one."""

import asyncio
import errno
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.models import models
from devices.wire import (
    HEARTBEAT_S_MAX,
    LENT_MAX,
    VERSION,
    ConditionCode,
    GatewayConfig,
    LentDevice,
    PairingRequest,
    PairingStatus,
    PairingStep,
    encode_config,
)
from gateway import kept
from gateway.control import Pair
from gateway.health import Health
from gateway.lending import local
from gateway.pairing import Failure, PairingBusy
from gateway.radio import AskPasskey
from gateway.remote import Remote
from tests.gateway.material import START

GATEWAY = "g-test"
CUFF, SCALE, OTHER = "C4:64:E3:00:00:01", "C4:64:E3:00:00:02", "C4:64:E3:00:00:03"
MODEL = models()[0].name
Tell = Callable[[PairingStatus], None]


def config(version: int, *devices: str, **more: Any) -> GatewayConfig:
    return GatewayConfig(
        v=VERSION,
        gateway=GATEWAY,
        config_version=version,
        at=START,
        devices=tuple(LentDevice(device_id=device_id) for device_id in devices),
        **more,
    )


def wanted(request_id: str, passkey: int | None = None) -> PairingRequest:
    return PairingRequest(
        request_id=request_id,
        expires_at=START + timedelta(minutes=10),
        model=MODEL,
        passkey=passkey,
    )


class Box:
    """A remote on a directory, as one run of the gateway has it."""

    def __init__(self, directory: Path, *own: str) -> None:
        self.health = Health()
        self.remote = Remote(
            directory, GATEWAY, lending=local(own), health=self.health, now=lambda: START
        )

    def take(self, one: GatewayConfig) -> None:
        self.remote.take(encode_config(one))

    @property
    def codes(self) -> list[str]:
        return [condition.code for condition in self.health.conditions]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def serves(box: Box) -> list[str]:
    return [each for each in (CUFF, SCALE, OTHER) if box.remote.lending.serves(each)]


def test_until_something_comes_down_the_box_serves_what_its_own_file_says(tmp_path: Path) -> None:
    assert serves(Box(tmp_path)) == [CUFF, SCALE, OTHER]
    assert serves(Box(tmp_path, SCALE.lower())) == [SCALE]
    assert Box(tmp_path).health.config_version is None


def test_a_configuration_is_in_force_at_once_and_told(box: Box) -> None:
    box.take(config(3, CUFF.lower(), heartbeat_s=20.0, idle_s=2.5))
    assert serves(box) == [CUFF]
    assert (box.remote.heartbeat_s, box.remote.idle_s) == (20.0, 2.5)
    assert (box.health.config_version, box.health.config_refused) == (3, None)
    box.take(config(4, SCALE, serves_others=True))
    assert serves(box) == [CUFF, SCALE, OTHER]
    assert (box.remote.heartbeat_s, box.remote.idle_s) == (None, None)


def test_a_model_of_a_lent_device_is_known(box: Box) -> None:
    lent = LentDevice(device_id=CUFF.lower(), model=MODEL)
    box.take(GatewayConfig(v=1, gateway=GATEWAY, config_version=1, at=START, devices=(lent,)))
    assert box.remote.lending.model(CUFF) == MODEL
    assert box.remote.lending.model(SCALE) == ""


def test_an_empty_list_serves_nobody(box: Box) -> None:
    box.take(config(1))
    assert serves(box) == []


def test_it_holds_after_a_restart_before_any_broker_is_reached(tmp_path: Path) -> None:
    Box(tmp_path).take(config(7, SCALE, heartbeat_s=30.0))
    again = Box(tmp_path)
    assert serves(again) == [SCALE]
    assert again.remote.heartbeat_s == 30.0
    assert again.health.config_version == 7


def test_what_is_kept_is_for_this_account_alone(tmp_path: Path, box: Box) -> None:
    box.take(config(1, CUFF))
    assert stat.S_IMODE((tmp_path / kept.FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [kept.FILE_NAME]


LENT_TWICE = config(9, CUFF, CUFF.lower())
REFUSALS = {
    "another gateway": encode_config(
        GatewayConfig(v=1, gateway="g-other", config_version=9, at=START)
    ),
    "older": encode_config(config(4, CUFF)),
    "same version": encode_config(config(5, OTHER)),
    "twice": encode_config(LENT_TWICE),
    "no model": encode_config(
        GatewayConfig(
            v=1,
            gateway=GATEWAY,
            config_version=9,
            at=START,
            devices=(LentDevice(device_id=CUFF, model="no\nsuch\nmodel"),),
        )
    ),
    "no model to pair": encode_config(
        config(9, pairing=PairingRequest(request_id="p", expires_at=START, model="nothing"))
    ),
    "to pair with anything": encode_config(
        config(9, pairing=PairingRequest(request_id="p", expires_at=START, model="nothing"))
    ).replace(b',"model":"nothing"', b""),
    "too many": encode_config(config(9, *(f"D{number}" for number in range(LENT_MAX + 1)))),
    "not JSON": b"{",
    "newer format": encode_config(config(9, CUFF)).replace(b'"v":1', b'"v":2'),
    "wrong interval": encode_config(config(9, heartbeat_s=0.0)),
    "would look silent": encode_config(config(9, heartbeat_s=HEARTBEAT_S_MAX + 1.0)),
    "no zone": encode_config(config(9)).replace(b"Z", b""),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_bad_one_is_refused_with_words_and_the_last_good_one_holds(
    case: str, tmp_path: Path
) -> None:
    box = Box(tmp_path)
    box.take(config(5, SCALE))
    before = (tmp_path / kept.FILE_NAME).read_bytes()
    box.remote.take(REFUSALS[case])
    assert serves(box) == [SCALE]
    assert box.health.config_version == 5
    assert box.health.config_refused
    assert box.health.config_refused.isprintable()
    assert box.codes == [ConditionCode.CONFIG_REFUSED]
    assert (tmp_path / kept.FILE_NAME).read_bytes() == before
    box.take(config(5, SCALE))  # what is in force, again: nothing is refused any more
    assert not box.health.conditions
    assert not box.health.config_refused


def test_a_good_one_after_a_bad_one_solves_it(box: Box) -> None:
    box.take(LENT_TWICE)
    box.take(config(10, CUFF))
    assert (box.health.config_version, box.health.config_refused, box.codes) == (10, None, [])


def test_the_brokers_word_that_nothing_is_retained_is_no_fault(box: Box) -> None:
    box.take(config(1, CUFF))
    box.remote.take(b"")
    assert (serves(box), box.codes) == ([CUFF], [])


@given(payload=st.binary(max_size=200))
def test_no_bytes_harm_it(payload: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    box.remote.take(payload)
    assert box.remote.config is None


def test_a_configuration_that_cannot_be_kept_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut would bring the old one back, after the status had named the new one."""
    box = Box(tmp_path)
    box.take(config(1, CUFF))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("gateway.kept.os.fsync", full)
        box.take(config(2, SCALE))
    assert (serves(box), box.health.config_version) == ([CUFF], 1)
    assert "No space left" in (box.health.config_refused or "")
    assert [path.name for path in tmp_path.iterdir()] == [kept.FILE_NAME]
    box.take(config(2, SCALE))
    assert (serves(box), box.health.config_version) == ([SCALE], 2)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"v":1,"config":{"v":1}}', '{"v":2}', "\xff", '{"v":1,"tried":5}']
)
def test_a_damaged_file_is_told_and_the_server_sends_it_again(content: str, tmp_path: Path) -> None:
    (tmp_path / kept.FILE_NAME).write_text(content, encoding="latin-1")
    box = Box(tmp_path, SCALE)
    assert serves(box) == [SCALE]
    assert box.codes == [ConditionCode.CONFIG_REFUSED]
    assert box.health.config_version is None  # so that it is sent again
    box.take(config(1, CUFF))
    assert (serves(box), box.codes) == ([CUFF], [])


def test_another_gateways_file_is_not_used(tmp_path: Path) -> None:
    Box(tmp_path).take(config(1, CUFF))
    path = tmp_path / kept.FILE_NAME
    path.write_text(path.read_text().replace(GATEWAY, "g-before"))
    assert Box(tmp_path).health.config_version is None


def test_a_power_cut_while_it_is_written_leaves_the_last_good_one(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.take(config(1, CUFF))
    whole = (tmp_path / kept.FILE_NAME).read_bytes()
    (tmp_path / kept.FILE_NAME).with_suffix(".new").write_bytes(whole[: len(whole) // 2])
    again = Box(tmp_path)
    assert (serves(again), again.codes) == ([CUFF], [])
    again.take(config(2, SCALE))
    assert serves(Box(tmp_path)) == [SCALE]


class Pairings:
    """Stands where the central does: takes each request, and ends when the test says so."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[PairingRequest] = asyncio.Queue()
        self.end: asyncio.Queue[PairingStep | Exception] = asyncio.Queue()
        self.passkeys: asyncio.Queue[int] = asyncio.Queue()

    async def pair(
        self, request: PairingRequest, ask_passkey: AskPasskey, tell: Tell
    ) -> PairingStatus:
        tell(PairingStatus(request_id=request.request_id, step=PairingStep.SEARCHING))
        self.begun.put_nowait(request)
        step = await self.end.get()
        if isinstance(step, Exception):
            raise step
        if step is PairingStep.PASSKEY:
            tell(PairingStatus(request_id=request.request_id, step=step))
            self.passkeys.put_nowait(await ask_passkey())
            step = PairingStep.DONE
        return PairingStatus(request_id=request.request_id, step=step)


@asynccontextmanager
async def running(box: Box, pair: Pair) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(box.remote.run(pair))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def settled(claim: Callable[[], object]) -> None:
    """Wait until *claim* holds; everything it waits for happens in this event loop."""
    async with asyncio.timeout(5):
        while not claim():  # noqa: ASYNC110 - no event tells of all that is waited for
            await asyncio.sleep(0)


def step(box: Box) -> PairingStep | None:
    return box.health.pairing.step if box.health.pairing else None


async def test_a_pairing_that_is_asked_for_is_tried_once(tmp_path: Path) -> None:
    box, pairings = Box(tmp_path), Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        assert (await pairings.begun.get()).request_id == "p1"
        assert step(box) is PairingStep.SEARCHING
        pairings.end.put_nowait(PairingStep.DONE)
        await settled(lambda: step(box) is PairingStep.DONE)
        box.take(config(2, CUFF, pairing=wanted("p1")))
        box.take(config(3, CUFF))
        await settled(lambda: box.health.pairing is None)
        box.take(config(4, CUFF, pairing=wanted("p2")))
        assert (await pairings.begun.get()).request_id == "p2"
    assert pairings.begun.empty()


async def test_it_is_not_tried_again_after_a_restart(tmp_path: Path) -> None:
    box, pairings = Box(tmp_path), Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        pairings.end.put_nowait(PairingStep.DONE)
        await settled(lambda: step(box) is PairingStep.DONE)
    again = Box(tmp_path)
    async with running(again, pairings.pair):
        await settled(lambda: step(again) is PairingStep.DONE)
    assert pairings.begun.empty()


async def test_one_that_a_power_cut_ended_has_failed(tmp_path: Path) -> None:
    box, pairings = Box(tmp_path), Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        cut = (tmp_path / kept.FILE_NAME).read_bytes()
    (tmp_path / kept.FILE_NAME).write_bytes(cut)
    again = Box(tmp_path)
    async with running(again, pairings.pair):
        await settled(lambda: step(again) is PairingStep.FAILED)
        assert again.health.pairing is not None
        assert again.health.pairing.problem == Failure.CANCELLED
    assert pairings.begun.empty()


async def test_the_passkey_comes_with_a_newer_configuration(box: Box) -> None:
    pairings = Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        pairings.end.put_nowait(PairingStep.PASSKEY)
        await settled(lambda: step(box) is PairingStep.PASSKEY)
        box.take(config(2, CUFF, pairing=wanted("p1")))
        await asyncio.sleep(0)
        assert pairings.passkeys.empty()
        box.take(config(3, CUFF, pairing=wanted("p1", 42)))
        async with asyncio.timeout(5):
            assert await pairings.passkeys.get() == 42
        await settled(lambda: step(box) is PairingStep.DONE)


async def test_a_pairing_that_is_withdrawn_is_given_up(box: Box) -> None:
    pairings = Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        box.take(config(2))
        await settled(lambda: box.health.pairing is None)
        box.take(config(3, pairing=wanted("p2")))
        assert (await pairings.begun.get()).request_id == "p2"


async def test_it_waits_for_a_pairing_at_the_box_itself(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.remote._BUSY_S", 0.0)
    pairings = Pairings()
    async with running(box, pairings.pair):
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        pairings.end.put_nowait(PairingBusy())
        async with asyncio.timeout(5):
            await pairings.begun.get()
        pairings.end.put_nowait(PairingStep.DONE)
        await settled(lambda: step(box) is PairingStep.DONE)


async def test_a_fault_of_ours_ends_the_part_and_the_pairing_and_a_new_run_goes_on(
    box: Box,
) -> None:
    pairings = Pairings()
    async with running(box, pairings.pair) as task:
        box.take(config(1, pairing=wanted("p1")))
        await pairings.begun.get()
        pairings.end.put_nowait(ZeroDivisionError())
        await asyncio.wait({task})
        assert task.exception() is not None
    async with running(box, pairings.pair):
        await settled(lambda: step(box) is PairingStep.FAILED)
        box.take(config(2, pairing=wanted("p2")))
        async with asyncio.timeout(5):
            assert (await pairings.begun.get()).request_id == "p2"


def test_what_is_kept_has_a_version_of_its_own(tmp_path: Path, box: Box) -> None:
    box.take(config(1, CUFF))
    assert json.loads((tmp_path / kept.FILE_NAME).read_bytes())["v"] == 1
