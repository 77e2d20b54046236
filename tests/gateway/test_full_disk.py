"""What becomes of the store on a disk that fills up; on a real, small one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database import BALLAST_BYTES, Database, StoreFull
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from tests.gateway.material import ids, reading


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
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
