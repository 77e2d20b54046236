"""What the gateway knows of its devices: over restarts, within bounds, written seldom."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from devices.drivers import Notes
from devices.wire import Bond, decode_status, encode_status
from devices.wire.status import GatewayState, GatewayStatus
from gateway.database import Database
from gateway.lending import Lending, local
from gateway.memory import Memory
from tests.gateway.material import DEVICE, START

OTHER = "C4:64:E3:00:00:02"


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def device(number: int) -> str:
    return f"C0:00:00:00:{number // 256:02X}:{number % 256:02X}"


def changes(store: Database) -> int:
    """Return how many rows were ever written on this connection."""
    return store._connection.total_changes


def test_a_restart_forgets_nothing(store: Database) -> None:
    clock = Clock()
    memory = Memory(store, clock)
    memory.heard(DEVICE, "standard_cuff")
    memory.noted(
        DEVICE,
        Notes(
            battery_percent=80,
            firmware="1.0",
            model_number="BP",
            clock_offset_s=-3.5,
            clock_set=True,
            memory={"slot": "2", "code": "4711"},
        ),
    )
    memory.bonded(DEVICE, Bond.PROVEN)
    memory.served(DEVICE)
    assert Memory(store, clock).of(DEVICE) == memory.of(DEVICE)


def test_what_only_comes_over_the_air_is_never_written(store: Database) -> None:
    memory = Memory(store, Clock())
    before = changes(store)
    for _ in range(1000):
        memory.heard(DEVICE, "standard_cuff")
        memory.noted(DEVICE, Notes(battery_percent=80))
        memory.bonded(DEVICE, Bond.NONE)
    assert changes(store) == before
    memory.served(DEVICE)
    memory.bonded(DEVICE, Bond.PROVEN)
    memory.bonded(DEVICE, Bond.PROVEN)
    assert changes(store) == before + 2


def test_a_consent_code_is_durable_before_the_session_is_over(store: Database) -> None:
    memory = Memory(store, Clock())
    memory.noted(DEVICE, Notes(memory={"code": "4711"}))
    assert Memory(store, Clock()).of(DEVICE).notes.memory == {"code": "4711"}


def test_a_note_that_is_not_told_again_stays(store: Database) -> None:
    memory = Memory(store, Clock())
    memory.noted(DEVICE, Notes(battery_percent=80, memory={"code": "4711"}))
    memory.noted(DEVICE, Notes(firmware="1.1", clock_set=False))
    known = memory.of(DEVICE).notes
    assert known == Notes(
        battery_percent=80, firmware="1.1", clock_set=False, memory={"code": "4711"}
    )


def test_a_new_pairing_forgets_the_users_codes(store: Database) -> None:
    """A scale whose batteries were out has lost its users."""
    memory = Memory(store, Clock())
    memory.noted(DEVICE, Notes(battery_percent=80, memory={"code": "4711"}))
    memory.paired(DEVICE, Bond.PAIRED)
    known = Memory(store, Clock()).of(DEVICE)
    assert known.notes.memory == {}
    assert known.bond is Bond.PAIRED


def test_passing_devices_are_forgotten_and_bonds_are_not(store: Database) -> None:
    """By a clock that stands still too: the newest is never the one to go."""
    memory = Memory(store, Clock(), kept_max=10)
    memory.bonded(DEVICE, Bond.PROVEN)
    memory.noted(OTHER, Notes(memory={"code": "4711"}))
    for number in range(100):
        memory.heard(device(number), "standard_cuff")
        memory.served(device(number))
    for known in (memory, Memory(store, Clock())):
        assert known.of(DEVICE).bond is Bond.PROVEN
        assert known.of(OTHER).notes.memory == {"code": "4711"}
        assert known.of(device(99)).served_at == START
        assert known.of(device(50)).served_at is None
    assert store.number("select count(*) from device") == 10


def test_a_full_store_is_no_reason_to_fail(tmp_path: Path) -> None:
    with Database(tmp_path, pages_max=1000) as store:
        pages = store.number("pragma page_count")
        memory = Memory(store, Clock())
        store._connection.execute(f"pragma max_page_count = {pages}")
        for number in range(500):
            memory.bonded(device(number), Bond.PROVEN)
        assert memory.of(device(499)).bond is Bond.PROVEN
        assert store.number("select count(*) from device") < 256


def test_the_heartbeat_tells_of_every_lent_device_also_one_never_heard(store: Database) -> None:
    clock = Clock()
    memory = Memory(store, clock)
    clock.at += timedelta(seconds=42)
    memory.heard(DEVICE, "standard_cuff")
    memory.heard(device(1), "standard_scale")
    listed = Lending({DEVICE: "", OTHER: "ua_651ble"}, serves_others=False)
    heard, silent = memory.statuses(listed)
    assert (heard.device_id, heard.model, heard.heard_at) == (DEVICE, "standard_cuff", START)
    assert (silent.device_id, silent.model, silent.heard_at) == (OTHER, "ua_651ble", None)


def test_others_are_told_of_where_everybody_is_served_newest_first(store: Database) -> None:
    memory = Memory(store, Clock())
    for number in range(100):
        memory.served(device(number))
    memory.heard(OTHER, "standard_cuff")  # a neighbour's, that never gave anything
    told = memory.statuses(local(()))
    assert [each.device_id for each in told[:2]] == [device(99), device(98)]
    status = GatewayStatus(
        v=1, gateway="g", state=GatewayState.ONLINE, at=datetime.now(UTC), devices=told
    )
    assert encode_status(status)


def test_whatever_a_device_calls_its_firmware_the_status_can_be_read(store: Database) -> None:
    memory = Memory(store, Clock())
    memory.noted(DEVICE, Notes(firmware="  1.0\n\x07 " + "x" * 500))
    memory.served(DEVICE)
    (told,) = memory.statuses(local((DEVICE,)))
    assert told.firmware.startswith("1.0 x")
    status = GatewayStatus(
        v=1, gateway="g", state=GatewayState.ONLINE, at=datetime.now(UTC), devices=(told,)
    )
    assert decode_status(encode_status(status)) == status
