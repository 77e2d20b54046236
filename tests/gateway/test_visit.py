"""What a visit leads to: bonds lost and found, services gone stale, and who is told."""

import time
from datetime import UTC, datetime

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakCharacteristicNotFoundError

from devices.drivers import DriverKind, driver_for, driver_named
from devices.gatt import uuids
from devices.models import Advertisement
from devices.wire import Bond, ConditionCode
from gateway.config import SessionConfig
from gateway.database import Database
from gateway.event import GatewayEvent
from gateway.health import Health
from gateway.inbox import Inbox
from gateway.lending import Lending, local
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.radio import Refusal
from gateway.sighting import Sighting, Visit
from gateway.visit import Visitor
from tests.gateway.fakes import FakeRadio, refused
from tests.gateway.home import ZONE
from tests.gateway.material import DEVICE

CUFF = driver_named("blood_pressure", ZONE)
RECORD = bytes.fromhex("1e780050005a00ea070b020700004800010000")
WITHOUT_A_TIME = bytes.fromhex("1c780050005a004800010000")
UNREADABLE = b"\x02"
LISTEN = uuids.BLOOD_PRESSURE_MEASUREMENT
ABSENT = BleakCharacteristicNotFoundError(LISTEN)


def lent_as(model: str) -> Lending:
    return Lending({DEVICE: model}, serves_others=False)


class Door:
    """A device's door, and the gateway before it."""

    def __init__(self, store: Database, inbox: Inbox, outbox: Outbox) -> None:
        self.radio = FakeRadio()
        self.health = Health()
        self.events: list[GatewayEvent] = []
        self.memory = Memory(store, lambda: datetime.now(UTC))
        self.visitor = Visitor(
            SessionConfig(idle_s=0.5, connect_timeout_s=1),
            idle_s=lambda: None,
            inbox=inbox,
            outbox=outbox,
            memory=self.memory,
            health=self.health,
            now=lambda: datetime.now(UTC),
            may_set_clock=lambda: True,
            on_event=lambda event, _ids=(): self.events.append(event),
        )

    async def knock(self, kind: DriverKind = CUFF) -> Visit:
        now_s = time.monotonic()
        sighting = Sighting(BLEDevice(DEVICE, None, None), kind, now_s, now_s)
        return (await self.visitor.visit(self.radio, DEVICE, sighting, lambda: None)).visit

    async def pairs(self) -> None:
        self.radio.bonds.add(DEVICE)
        await self.visitor.paired(self.radio, DEVICE)

    def bond(self) -> Bond:
        return self.memory.of(DEVICE).bond

    @property
    def told(self) -> list[tuple[str, str | None]]:
        return [(each.code, each.device_id) for each in self.health.conditions]


@pytest.fixture
def door(store: Database, inbox: Inbox, outbox: Outbox) -> Door:
    return Door(store, inbox, outbox)


async def test_a_bond_is_proven_by_what_a_later_session_delivers(door: Door) -> None:
    await door.pairs()
    assert door.bond() is Bond.PAIRED
    assert await door.knock() is Visit.FRUITLESS
    assert door.bond() is Bond.PAIRED
    door.radio.early = [RECORD]
    assert await door.knock() is Visit.FRUITFUL
    assert door.bond() is Bond.PROVEN


async def test_a_lost_bond_is_told_and_the_keys_are_kept_until_it_is_paired_anew(
    door: Door,
) -> None:
    await door.pairs()
    door.radio.refusals = [refused(Refusal.BOND_LOST)]
    assert await door.knock() is Visit.REFUSED
    assert door.told == [(ConditionCode.BOND_LOST, DEVICE)]
    assert door.bond() is Bond.LOST
    assert door.events == [GatewayEvent.PAIR_AGAIN]
    assert door.radio.forgotten == []
    assert door.radio.calls == ["connect"]  # once, and not over and over


async def test_a_lost_bond_is_taken_back_by_a_new_pairing(door: Door) -> None:
    door.radio.refusals = [refused(Refusal.BOND_LOST)]
    await door.knock()
    await door.pairs()
    assert door.told == []
    assert door.bond() is Bond.PAIRED


async def test_a_device_that_lets_us_in_after_all_is_well(door: Door) -> None:
    """One refusal may have been an impostor's."""
    await door.pairs()
    door.radio.refusals = [refused(Refusal.BOND_LOST)]
    await door.knock()
    door.radio.early = [RECORD]
    await door.knock()
    assert door.told == []
    assert door.bond() is Bond.PROVEN


async def test_a_device_that_wants_a_bond_is_told_by_no_light(door: Door) -> None:
    """A neighbour's cuff must not make ours beep."""
    door.radio.denials = {LISTEN: refused(Refusal.NOT_PAIRED)}
    assert await door.knock() is Visit.REFUSED
    assert door.told == [(ConditionCode.NOT_PAIRED, DEVICE)]
    assert door.events == []


async def test_a_device_that_lets_nobody_listen_and_says_not_why_is_told(door: Door) -> None:
    door.radio.denials = {LISTEN: TimeoutError()}
    assert await door.knock() is Visit.FRUITLESS
    assert door.told == [(ConditionCode.NOT_PAIRED, DEVICE)]


async def test_our_own_half_of_a_bond_that_is_gone_is_a_lost_bond(door: Door) -> None:
    await door.pairs()
    door.radio.bonds.clear()  # another card in the box
    door.radio.denials = {LISTEN: refused(Refusal.NOT_PAIRED)}
    await door.knock()
    assert door.told == [(ConditionCode.BOND_LOST, DEVICE)]
    assert door.events == [GatewayEvent.PAIR_AGAIN]


async def test_a_device_that_switches_off_when_touched_unencrypted_is_not_touched(
    door: Door,
) -> None:
    """A&D UA-651BLE (home-assistant threads): pair before discovery."""
    kind = driver_for(Advertisement(DEVICE), ZONE, "and_ua651ble")
    assert kind is not None
    assert kind.model.pairs_before_discovery
    assert await door.knock(kind) is Visit.REFUSED
    assert door.radio.calls == []
    assert door.told == [(ConditionCode.NOT_PAIRED, DEVICE)]
    await door.pairs()
    await door.knock(kind)
    assert door.radio.calls[0] == "connect"
    assert door.radio.pairs


async def test_stale_services_are_forgotten_once_and_the_device_visited_again(door: Door) -> None:
    door.radio.denials = {LISTEN: ABSENT}
    assert await door.knock() is Visit.AGAIN
    assert door.radio.forgotten == [DEVICE]
    assert await door.knock() is Visit.REFUSED
    assert door.radio.forgotten == [DEVICE]
    assert door.told == []


async def test_a_lent_device_that_goes_on_lacking_what_its_model_has_is_told(door: Door) -> None:
    """The list may have a wrong model."""
    door.visitor.follow(local((DEVICE,)))
    door.radio.denials = {LISTEN: ABSENT}
    assert await door.knock() is Visit.AGAIN
    assert door.told == []
    assert await door.knock() is Visit.REFUSED
    assert door.told == [(ConditionCode.MODEL_WRONG, DEVICE)]
    door.radio.denials = {}
    await door.knock()
    assert door.told == []


async def test_a_device_that_once_gave_something_is_told_when_it_lacks_it_for_good(
    door: Door,
) -> None:
    door.memory.served(DEVICE)
    door.radio.denials = {LISTEN: ABSENT}
    await door.knock()
    await door.knock()
    assert door.told == [(ConditionCode.MODEL_WRONG, DEVICE)]


@pytest.mark.parametrize(
    ("lending", "told"),
    [
        (lent_as("standard_cuff"), [(ConditionCode.MODEL_WRONG, DEVICE)]),
        (lent_as("beurer_bm"), []),
        (local(("C0:00:00:00:00:01",)), []),
    ],
)
async def test_a_wrong_model_is_told_until_the_device_is_lent_as_another_or_no_more(
    door: Door, lending: Lending, told: list[tuple[str, str]]
) -> None:
    door.visitor.follow(lent_as("standard_cuff"))
    door.radio.denials = {LISTEN: ABSENT}
    await door.knock()
    await door.knock()
    door.visitor.follow(lending)
    assert door.told == told


async def test_a_wrong_model_is_no_more_after_a_pairing(door: Door) -> None:
    door.visitor.follow(local((DEVICE,)))
    door.radio.denials = {LISTEN: ABSENT}
    await door.knock()
    await door.knock()
    await door.pairs()
    assert door.told == []


async def test_stale_services_of_a_bonded_device_are_left_to_a_person(door: Door) -> None:
    """A bond would go with them, and perhaps the list has a wrong model."""
    await door.pairs()
    door.radio.denials = {LISTEN: ABSENT}
    assert await door.knock() is Visit.REFUSED
    assert door.told == [(ConditionCode.BOND_LOST, DEVICE)]
    assert door.radio.forgotten == []


async def test_a_lost_bond_is_thrown_away_before_a_new_one_is_made(door: Door) -> None:
    await door.pairs()
    await door.visitor.prepare_pairing(door.radio, DEVICE)
    assert door.radio.forgotten == []
    door.radio.refusals = [refused(Refusal.BOND_LOST)]
    await door.knock()
    await door.visitor.prepare_pairing(door.radio, DEVICE)
    assert door.radio.forgotten == [DEVICE]


async def test_services_may_go_stale_once_more_after_they_were_right(
    door: Door,
) -> None:
    door.radio.denials = {LISTEN: ABSENT}
    await door.knock()
    door.radio.denials = {}
    await door.knock()
    door.radio.denials = {LISTEN: ABSENT}
    assert await door.knock() is Visit.AGAIN


async def test_a_full_store_is_told(store: Database, inbox: Inbox) -> None:
    door = Door(store, inbox, Outbox(store, inbox, rows_max=0))
    door.radio.early = [RECORD]
    assert await door.knock() is Visit.NO_ROOM
    assert door.told == [(ConditionCode.STORAGE_FULL, None)]


async def test_a_measurement_that_finds_room_ends_what_was_told_of_a_full_store(
    door: Door,
) -> None:
    door.health.problem(ConditionCode.STORAGE_FULL, "full")
    await door.knock()
    assert door.told == [(ConditionCode.STORAGE_FULL, None)]
    door.radio.early = [RECORD]
    await door.knock()
    assert door.told == []


async def test_a_lost_bond_is_told_again_after_a_restart_while_the_device_is_served(
    door: Door, store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    door.radio.refusals = [refused(Refusal.BOND_LOST)]
    await door.knock()
    again = Door(store, inbox, outbox)
    again.visitor.follow(local((DEVICE,)))
    assert again.told == [(ConditionCode.BOND_LOST, DEVICE)]
    again.visitor.follow(local(("C0:00:00:00:00:01",)))
    assert again.told == []


async def test_a_device_out_of_reach_says_nothing_of_its_bond(door: Door) -> None:
    await door.pairs()
    door.radio.refusals = [TimeoutError()] * 9
    assert await door.knock() is Visit.UNREACHED
    assert door.bond() is Bond.PAIRED
    assert door.told == []


@pytest.mark.parametrize("record", [WITHOUT_A_TIME, UNREADABLE])
async def test_what_may_have_been_sent_before_is_no_reason_to_come_back_at_once(
    door: Door, outbox: Outbox, record: bytes
) -> None:
    """A cuff that sends its whole memory each time would be called for ever."""
    door.radio.early = [RECORD, record]
    assert await door.knock() is Visit.FRUITFUL
    assert await door.knock() is Visit.UNDATED
    assert outbox.depth == 3  # nobody can tell the second from another measurement


async def test_too_many_strangers_are_none_once_there_is_a_list(door: Door) -> None:
    door.health.problem(ConditionCode.STRANGERS, "too many")
    door.visitor.follow(local(()))
    assert door.told == [(ConditionCode.STRANGERS, None)]
    door.visitor.follow(local((DEVICE,)))
    assert door.told == []
