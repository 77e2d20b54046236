"""What becomes of advertisements, of devices on the list and of the neighbours'."""

from datetime import UTC, datetime, timedelta

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices.gatt import uuids
from devices.wire import PairingRequest
from gateway import hearing as hearing_module
from gateway.advertised import STRANGERS_MAX, AdvertisedSessions
from gateway.database import Database
from gateway.hearing import Hearing
from gateway.inbox import Inbox
from gateway.lending import Lending, local
from gateway.memory import KEPT_MAX, Memory
from gateway.outbox import Outbox
from gateway.pairing import Pairing
from gateway.sighting import Sightings
from tests.gateway.home import ZONE
from tests.gateway.material import DEVICE, START

NEIGHBOUR = "C0:00:00:00:00:01"
WEIGHT = bytes.fromhex("229e43e507040b101301")


class Ear:
    """A gateway's hearing, and where things go from there."""

    def __init__(self, store: Database, inbox: Inbox, outbox: Outbox, lending: Lending) -> None:
        self.inbox = inbox
        self.memory = Memory(store, lambda: START)
        self.hearing = Hearing(
            ZONE,
            lambda: lending,
            sightings=Sightings(),
            advertised=AdvertisedSessions(inbox, outbox, lambda: START),
            memory=self.memory,
        )

    def hears(
        self, device_id: str, name: str, *, service: str = "", frame: bytes | None = None
    ) -> bool:
        """Return whether the device came to wait for a visit."""
        shown = {} if frame is None else {uuids.WEIGHT_SCALE_SERVICE: frame}
        said = AdvertisementData(name, {}, shown, [service] if service else [], None, -60, ())
        return self.hearing.take(BLEDevice(device_id, name, None), said)


def pairing(model: str) -> Pairing:
    expires_at = datetime.now(UTC) + timedelta(minutes=2)
    return Pairing(
        PairingRequest(request_id="r-1", expires_at=expires_at, model=model),
        ask_passkey=None,
        tell=lambda _: None,
        now=lambda: datetime.now(UTC),
    )


def test_while_one_device_is_paired_the_neighbours_are_left_alone_as_ever(
    store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    ear = Ear(store, inbox, outbox, local((DEVICE,)))
    ear.hearing.pairing = pairing("beurer_bf")
    assert not ear.hears(NEIGHBOUR, "BP", service=uuids.BLOOD_PRESSURE_SERVICE)
    assert not ear.hears(NEIGHBOUR, "MI_SCALE", frame=WEIGHT)
    assert inbox.depth == 0
    assert ear.memory.of(NEIGHBOUR).heard_at is None
    assert ear.hears("C0:00:00:00:00:02", "BF720")


def test_crowds_of_unknown_scales_do_not_shut_out_the_one_that_gave_something(
    store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    ear = Ear(store, inbox, outbox, local(()))
    ear.memory.served(DEVICE)
    for number in range(KEPT_MAX + STRANGERS_MAX):
        ear.hears(f"C0:00:00:00:{number // 256:02X}:{number % 256:02X}", "MI_SCALE", frame=WEIGHT)
    assert outbox.depth == STRANGERS_MAX
    ear.hears(DEVICE, "MI_SCALE", frame=WEIGHT)
    assert outbox.depth == STRANGERS_MAX + 1


@pytest.mark.parametrize("frame", [b"", WEIGHT[:-1], WEIGHT + b"\x00"])
def test_service_data_of_another_length_is_no_frame_and_told_once(
    store: Database, inbox: Inbox, outbox: Outbox, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    """A scale known by its name would otherwise bring unreadable readings without an end."""
    ear = Ear(store, inbox, outbox, local((DEVICE,)))
    for _ in range(10):
        ear.hears(DEVICE, "MI_SCALE", frame=frame)
    assert (inbox.depth, outbox.depth) == (0, 0)
    assert [each.getMessage() for each in caplog.records].count("advertised.wrong_length") == 1
    ear.hears(DEVICE, "MI_SCALE", frame=WEIGHT)
    assert outbox.depth == 1


def test_passers_by_do_not_fill_the_memory(
    store: Database, inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_module, "_KINDS_MAX", 8)
    ear = Ear(store, inbox, outbox, local(()))
    for number in range(100):
        ear.hears(f"40:00:00:00:00:{number:02X}", f"telephone {number}")
        assert len(ear.hearing._kinds) <= 8
