"""R3: what becomes of the store on a disk that fills up; on a real, small one."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.wire import ConditionCode
from gateway.database import BALLAST_BYTES, PAGES_MAX, Database, StoreFull, depths
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.conftest import missing
from tests.gateway.home import until
from tests.gateway.material import gateway, ids, reading, toml
from tests.gateway.receiver import Receiver, receiving, say_nothing, store_all

# From the moment there is room until a new measurement is stored at the other end.
RECOVERED_S_MAX = 60


@pytest.fixture(params=["16m"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        missing("tmpfs", "only root can mount a small disk")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        missing("tmpfs", "mounting is not allowed here")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def fill(directory: Path) -> Path:
    """Take all that is left of the disk, as a log file would."""
    hog = directory / "hog"
    with hog.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return hog


def append_until_full(outbox: Outbox, first: int) -> int:
    """Append until it is refused; return how many were taken."""
    for number in range(first, first + 5000):
        try:
            outbox.append([reading(number)])
        except StoreFull:
            return number - first
    pytest.fail("it is never full")


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_full_disk_keeps_what_it_took_is_emptied_by_receipts_and_recovers(
    small_disk: Path,
) -> None:
    data = small_disk / "data"
    with Database(data) as database:
        outbox = Outbox(database, Inbox(database))
        outbox.append(map(reading, range(500)))
        hog = fill(small_disk)
        taken = 500 + append_until_full(outbox, 500)
        assert len(outbox.peek(10_000)) == taken
        outbox.settle(stored=ids([reading(n) for n in range(200)]), refused={})
        assert len(outbox.peek(10_000)) == taken - 200
        hog.unlink()
        database.keep_ballast()
        assert (data / "ballast").stat().st_size == BALLAST_BYTES
        assert outbox.append([reading(9000)]) == 1
    with Database(data) as database:
        assert Outbox(database, Inbox(database)).depth == taken - 199


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_gateway_starts_on_a_full_disk(small_disk: Path) -> None:
    data = small_disk / "data"
    with Database(data) as database:
        Outbox(database, Inbox(database)).append(map(reading, range(500)))
    fill(small_disk)
    with Database(data) as database:
        outbox = Outbox(database, Inbox(database))
        assert outbox.depth == 500
        outbox.settle(stored=ids([reading(n) for n in range(100)]), refused={})
        assert outbox.depth == 400


class Box:
    """A gateway's process on the small disk, and a cuff that must not notice."""

    def __init__(self, disk: Path, radio: VirtualRadio, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        self.data = disk / "data"
        self.cuff = Cuff("BP-1", habits=Habits(wake_s=0, window_s=None, linger_s=0.1))
        self._config = toml(disk, transport=radio.transport, port=port)
        self._process = gateway("run", self._config)

    def measure(self, count: int) -> None:
        for _ in range(count):
            self.cuff.measure(120 + self.cuff.produced % 60, 80, self.cuff.produced % 200 + 30)

    def is_told_full(self) -> bool:
        """Return whether the last status says that there is no room."""
        status = self.receiver.statuses[-1] if self.receiver.statuses else None
        codes = [condition.code for condition in status.conditions] if status else []
        return ConditionCode.STORAGE_FULL in codes

    def kept(self) -> int:
        """Return how many readings lie on the disk, sent or not."""
        return depths(self.data)[1]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        """Kill it, as a power cut does, and start it on the disk as it is."""
        self.kill()
        self._process = gateway("run", self._config)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_gateway_on_a_full_disk_keeps_what_it_took_says_so_and_recovers_alone(
    small_disk: Path, embedded_broker: Broker
) -> None:
    async with (
        VirtualRadio() as radio,
        receiving(embedded_broker.port, say_nothing) as receiver,
    ):
        box = Box(small_disk, radio, receiver, embedded_broker.port)
        try:
            await radio.attach(box.cuff)
            box.measure(20)
            await receiver.until(lambda: len(set(receiver.reading_ids)) == 20)
            hog = fill(small_disk)
            box.measure(150)
            await receiver.until(box.is_told_full)
            await until(lambda: box.cuff.delivered == box.kept())
            assert 20 <= box.kept() < 170
            assert box.cuff.delivered + box.cuff.pending == 170  # what is refused stays there

            box.restart()
            told = len(receiver.statuses)
            await receiver.until(lambda: len(receiver.statuses) > told and box.is_told_full())
            assert box.kept() == box.cuff.delivered

            loop = asyncio.get_running_loop()
            room_at_s = loop.time()
            hog.unlink()
            receiver.answer = store_all
            await receiver.until(lambda: len(receiver.stored) == 170, RECOVERED_S_MAX)
            await receiver.until(lambda: not box.is_told_full(), RECOVERED_S_MAX)
            assert loop.time() - room_at_s < RECOVERED_S_MAX
            assert box.cuff.pending == 0
            await until(lambda: box.kept() == 0)
            assert (box.data / "ballast").stat().st_size == BALLAST_BYTES
        finally:
            box.kill()


def test_a_year_without_a_receipt_fits_and_takes_no_more_than_it_must(tmp_path: Path) -> None:
    """30 readings a day, each in a session of its own as large as a cuff's readings are."""
    days, a_day = 365, 30
    with Database(tmp_path) as database:
        outbox = Outbox(database, Inbox(database))
        for day in range(days):
            outbox.append(reading(n) for n in range(day * a_day, (day + 1) * a_day))
        assert outbox.depth == days * a_day
        pages = database.number("pragma page_count")
        assert pages < PAGES_MAX / 4
        # Sent at last, a year is remembered for as long as devices send it again.
        while rows := outbox.peek(200):
            outbox.settle(stored=[row.reading_id for row in rows], refused={})
        assert outbox.append(map(reading, range(days * a_day))) == 0
        assert database.number("pragma page_count") < PAGES_MAX / 4
    size_bytes = (tmp_path / "gateway.sqlite").stat().st_size
    assert size_bytes < 16 * 1024 * 1024
