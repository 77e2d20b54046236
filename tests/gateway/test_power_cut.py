"""R4: the power goes; the store opens, and every row that was committed is there.

A commit is on the disk before it returns (synchronous=FULL), so what a power cut can take is
only what lies behind the last commit in the write-ahead log. Here it takes more: the log is cut
at every 4 KiB, and what was committed before the cut must be there, in order, and nothing else.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from devices.drivers import RawValue
from gateway.database import FILE_NAME, PAGE_BYTES, Database
from gateway.inbox import Inbox, InboxSession
from gateway.outbox import Outbox
from tests.gateway.material import DEVICE, START, reading

_WAL = f"{FILE_NAME}-wal"
# sqlite.org/fileformat2.html, 4.1 and 4.2: a header, then a header before each page.
_HEADER_BYTES = 32
_FRAME_BYTES = 24 + PAGE_BYTES


@dataclass(frozen=True)
class State:
    """What the store held after one commit."""

    outbox: tuple[UUID, ...]
    inbox: int
    seen: int


def state(database: Database) -> State:
    outbox = Outbox(database, inbox := Inbox(database))
    waiting = tuple(row.reading_id for row in outbox.peek(10_000))
    return State(waiting, inbox.depth, database.number("select count(*) from seen"))


def live(database: Database, commits: int, random: Random, first: int = 0) -> list[State]:
    """Let a gateway work for so many commits; return what it held after each."""
    outbox = Outbox(database, inbox := Inbox(database), now=lambda: START)
    place = InboxSession(DEVICE, "blood_pressure")
    states: list[State] = []
    number = first
    while len(states) < commits:
        match random.randrange(4):
            case 0 | 1:
                payload = random.randbytes(random.choice((19, 512)))
                inbox.append(place, RawValue("2a35", payload, START))
            case 2:
                new = [reading(n) for n in range(number, number + random.randrange(1, 12))]
                number += len(new)
                outbox.append_from_session(place, new, finished=True)
                place = InboxSession(DEVICE, "blood_pressure")
            case _ if outbox.depth:
                rows = outbox.peek(random.randrange(1, 9))
                outbox.settle(stored=[row.reading_id for row in rows], refused={})
            case _:
                continue
        states.append(state(database))
    return states


def commits_before(wal: bytes, length: int) -> int:
    """Return how many commits lie whole within the first *length* bytes."""
    salts, count = wal[16:24], 0
    for at in range(_HEADER_BYTES, length - _FRAME_BYTES + 1, _FRAME_BYTES):
        if wal[at + 8 : at + 16] != salts:
            break  # left over from before the log was begun anew
        count += wal[at + 4 : at + 8] != bytes(4)  # the size of the file: the last of a commit
    return count


@dataclass(frozen=True)
class Wreck:
    """The files as a power cut leaves them, and what was held after each commit in the log."""

    directory: Path
    wal: bytes
    states: list[State]

    def opens_as(self, wal: bytes, expected: State) -> None:
        """Open the store with this log; it must hold just that, be sound, and go on."""
        place = self.directory / "cut"
        place.mkdir()
        shutil.copy(self.directory / FILE_NAME, place / FILE_NAME)
        (place / _WAL).write_bytes(wal)
        with Database(place) as database:
            assert state(database) == expected
            assert database.rows("pragma integrity_check") == [("ok",)]
            assert Outbox(database, Inbox(database)).append([reading(10**6)]) == 1
        shutil.rmtree(place)


@pytest.fixture(params=["a new log", "a log begun anew"])
def wreck(request: pytest.FixtureRequest, tmp_path: Path) -> Wreck:
    random = Random(20261122)
    with Database(tmp_path / "data") as database:
        live(database, 40, random)
    with Database(tmp_path / "data") as database:
        states = [state(database)]
        if request.param == "a log begun anew":
            live(database, 80, random, first=1000)
            assert database.rows("pragma wal_checkpoint(restart)")[0][0] == 0
            states = [state(database)]
        states += live(database, 50, random, first=2000)
        for name in (FILE_NAME, _WAL):
            shutil.copy(tmp_path / "data" / name, tmp_path / name)
    return Wreck(tmp_path, (tmp_path / _WAL).read_bytes(), states)


@pytest.mark.timeout(120)
def test_a_log_cut_at_every_4_kib_opens_with_every_row_committed_before(wreck: Wreck) -> None:
    assert commits_before(wreck.wal, len(wreck.wal)) == len(wreck.states) - 1
    for length in range(0, len(wreck.wal) + 4096, 4096):
        cut = wreck.wal[:length]
        wreck.opens_as(cut, wreck.states[commits_before(cut, len(cut))])


def _zeros(page: bytes, _random: Random) -> bytes:
    return bytes(len(page))


def _noise(page: bytes, random: Random) -> bytes:
    return random.randbytes(len(page))


def _half(page: bytes, random: Random) -> bytes:
    return page[: len(page) // 2] + random.randbytes(len(page) - len(page) // 2)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("torn", [_zeros, _noise, _half], ids=lambda torn: torn.__name__)
def test_a_torn_last_page_costs_no_commit_before_it(
    wreck: Wreck, torn: Callable[[bytes, Random], bytes]
) -> None:
    random = Random(1)
    for length in range(2 * 4096, len(wreck.wal), 5 * 4096):
        whole = length - 4096
        cut = wreck.wal[:whole] + torn(wreck.wal[whole:length], random)
        sound = next((at for at in range(whole, length) if cut[at] != wreck.wal[at]), length)
        wreck.opens_as(cut, wreck.states[commits_before(wreck.wal, sound)])
