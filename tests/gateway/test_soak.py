"""A hundred thousand sessions: memory stays flat, or the box needs a reboot one day."""

import ctypes
import gc
import logging
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.radio import VirtualRadio
from tests.gateway.home import Home
from tests.gateway.years import Years

SESSIONS = 100_000
OVER_THE_RADIO = 200

# Looks at memory along the way. The first quarter is for caches and free lists to fill.
LOOKS = 40

# What may stay of each session. A forgotten record, string or callback is a block of Python's
# or more; counted over 75,000 sessions, what flickers in caches is far below.
BLOCKS_MAX = 0.05
# What C libraries keep is not among Python's blocks. Pages that the allocator holds flicker by
# some hundred kilobytes; 40 bytes a session are 3 MB here.
RESIDENT_BYTES_MAX = 40.0
# Over the radio: timers that run for half a minute flicker. A connection left behind is some
# hundred blocks: its services, its callbacks, its client.
BLOCKS_OVER_THE_RADIO_MAX = 10.0


@dataclass(frozen=True)
class Memory:
    """What a process holds."""

    blocks: int
    resident_bytes: int

    @classmethod
    def now(cls) -> "Memory":
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed counts as free
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(sys.getallocatedblocks(), pages * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True)
class Growth:
    """What stays of each session, from the second quarter to the last."""

    blocks: float
    resident_bytes: float

    @classmethod
    def of(cls, looks: list[Memory], sessions: int) -> "Growth":
        quarter = len(looks) // 4
        early, late = looks[quarter : 2 * quarter], looks[-quarter:]
        between = sessions * (len(looks) - 2 * quarter) / len(looks)
        return cls(
            (_middle([m.blocks for m in late]) - _middle([m.blocks for m in early])) / between,
            (_middle([m.resident_bytes for m in late]) - _middle([m.resident_bytes for m in early]))
            / between,
        )


def _middle(values: list[int]) -> float:
    return float(statistics.median(values))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory, where there is one: writes are as many, and cost nothing."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """What was there before cannot grow: looks pass over it, and are quick in a large process."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A log of a hundred thousand lines would be memory that grows: pytest keeps it."""
    logger = logging.getLogger("gateway")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


async def live(years: Years, sessions: int, kept: list[object] | None = None) -> Growth:
    """Live through *sessions*; with *kept*, forget something there in each of them."""
    looks = []
    for number in range(sessions):
        await years.session()
        if kept is not None:
            kept.append(object())
        if number % (sessions // LOOKS) == 0:
            looks.append(Memory.now())
    return Growth.of(looks[-LOOKS:], sessions)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_memory_is_flat_over_a_hundred_thousand_sessions(place: Path) -> None:
    with Years(place, seed=1) as years:
        growth = await live(years, SESSIONS)
        years.settle()
        assert years.produced == SESSIONS
        assert years.stored >= years.produced  # garbage and failures are stored as such
        assert (years.inbox.depth, years.outbox.depth) == (0, 0)
    assert growth.blocks < BLOCKS_MAX
    assert growth.resident_bytes < RESIDENT_BYTES_MAX


async def test_a_single_object_left_of_each_session_would_be_seen(place: Path) -> None:
    with Years(place, seed=1) as years:
        growth = await live(years, 2_000, kept=[])
    assert growth.blocks > 10 * BLOCKS_MAX


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("forgets", [False, True], ids=["gateway", "one that forgets to let go"])
async def test_memory_is_flat_over_the_radio_too(place: Path, forgets: bool) -> None:
    device = Cuff("BP-1", habits=Habits(wake_s=0.0, linger_s=0.05), clock=DeviceClock())
    looks, kept = [], []
    sessions = OVER_THE_RADIO // (4 if forgets else 1)
    with Database(place) as database:
        inbox = Inbox(database)
        outbox = Outbox(database, inbox)
        async with VirtualRadio() as radio:
            home = Home(radio, inbox, outbox)
            await home.attach(device)
            async with home.listening(idle_s=0.5):
                for number in range(sessions):
                    device.measure(100.0 + number % 80, 60.0)
                    (reading,) = await home.has(1)
                    outbox.settle(stored=frozenset({reading.reading_id}), refused={})
                    await home.is_quiet()
                    _let_the_test_forget(home, device)
                    if forgets:
                        kept.append([object() for _ in range(100)])
                    if number % (sessions // LOOKS) == 0:
                        looks.append(Memory.now())
    growth = Growth.of(looks[-LOOKS:], sessions)
    assert (growth.blocks > BLOCKS_OVER_THE_RADIO_MAX) is forgets


def _let_the_test_forget(home: Home, device: Cuff) -> None:
    """What is remembered so that tests can look at it is not the gateway's."""
    home.events.clear()
    home.connections.clear()
    device.requests.clear()
    device._told.clear()
