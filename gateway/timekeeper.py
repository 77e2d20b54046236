"""Timekeeper: what time it is, and whether that is known; the gateway's one clock.

A box without a battery boots at 1970, or at the hour it was last switched off, and is put right
by the network minutes later, or never. So the time is taken from the wall clock once there is
reason to believe it, and counted on from there by the clock that has run since boot, which
nobody sets. A wall clock that jumps afterwards is followed only if the kernel says that network
time has set it.

What arrives before the time is known is stamped with the boot and the time since boot: enough
to place it exactly as soon as the time is known in the same boot.
"""

import asyncio
import ctypes
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from devices.reading import YEAR_MAX, YEAR_MIN
from devices.wire import ConditionCode
from gateway.health import Health

# No clock that is right shows an earlier time: there was no such gateway then.
BELIEVED_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Nor a later one: no box runs one version for so long.
BELIEVED_UNTIL: Final = BELIEVED_FROM + timedelta(days=20 * 365)

# Network time slews smaller errors than 0.5 s and a crystal drifts by seconds a day; nobody
# sets a clock by less than this, and no reading minds.
STEP_MIN: Final = timedelta(seconds=30)

# How soon it is noticed that the network has set the clock. Nobody waits for a reading that
# has waited for minutes already; each look is some microseconds.
LOOK_S: Final = 5.0

DOUBTED: Final = "nobody knows what time it is: no network time, and a clock that may be wrong"

_EARLIEST: Final = datetime(YEAR_MIN, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(YEAR_MAX, 12, 31, tzinfo=UTC)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STA_UNSYNC: Final = 0x40  # linux/timex.h: no network time has set the clock


class Clocks(Protocol):
    """What the machine has of clocks."""

    def wall(self) -> datetime:
        """Return what the wall clock shows, aware UTC."""

    def since_boot(self) -> timedelta:
        """Return the time since boot, sleep included; it never jumps."""

    def boot_id(self) -> str:
        """Return what names this boot."""

    def is_synchronised(self) -> bool:
        """Return whether network time keeps the wall clock right, as the kernel knows."""


class Stamp(NamedTuple):
    """When something arrived, by the clock that never jumps."""

    boot_id: str
    since_boot: timedelta


class Trust(enum.Enum):
    """How far the time is believed."""

    DOUBTED = "doubted"  # it may be anything
    ASSUMED = "assumed"  # possible, and nothing better is in sight
    SYNCHRONISED = "synchronised"  # from the network


@dataclass(frozen=True, slots=True)
class _Anchor:
    """One moment on both clocks."""

    wall: datetime
    since_boot: timedelta

    def at(self, since_boot: timedelta) -> datetime:
        try:
            moment = self.wall + (since_boot - self.since_boot)
        except OverflowError:
            moment = self.wall
        return min(max(moment, _EARLIEST), _LATEST)


class Timekeeper:
    """Tells the time.

    Args:
        clocks: The machine's.
        doubt: For so long after boot, or after a jump, a clock that no network time has set is
            doubted.
        floor: A time that has certainly passed: the newest in the store.
    """

    def __init__(self, clocks: Clocks, doubt: timedelta, *, floor: datetime | None = None) -> None:
        self._clocks = clocks
        self._doubt = doubt
        self._floor = max(floor or BELIEVED_FROM, BELIEVED_FROM)
        self._boot_id = clocks.boot_id()
        self._trust = Trust.DOUBTED
        self._doubted_since = timedelta()  # since boot
        # What the wall clock shows is taken for the time until there is better.
        self._shown = self._anchor = _Anchor(clocks.wall(), clocks.since_boot())
        self._was_believed = False
        self.look()

    @property
    def is_doubted(self) -> bool:
        """Whether nobody knows what time it is."""
        self.look()
        return self._trust is Trust.DOUBTED

    @property
    def passed(self) -> datetime:
        """A time that has certainly passed."""
        return self._floor

    def now(self) -> datetime:
        """Return the time, aware UTC; while it is doubted, the best guess."""
        self.look()
        return self._anchor.at(self._clocks.since_boot())

    def stamp(self) -> Stamp:
        """Return this moment by the clock that never jumps."""
        return Stamp(self._boot_id, self._clocks.since_boot())

    def booted(self) -> datetime:
        """Return when this boot began, by the time as it is believed now."""
        self.look()
        return self._anchor.at(timedelta())

    def look(self) -> None:
        """Compare the clocks; done whenever the time is asked for."""
        seen = _Anchor(self._clocks.wall(), self._clocks.since_boot())
        if self._clocks.is_synchronised() and BELIEVED_FROM <= seen.wall <= BELIEVED_UNTIL:
            self._floor = seen.wall  # an older floor may be of a clock that was believed and wrong
            self._believe(Trust.SYNCHRONISED, seen)
        elif self._trust is Trust.DOUBTED:
            self._weigh(seen)
        elif not _has_jumped(self._anchor, seen):
            self._anchor = seen
        elif self._trust is Trust.ASSUMED:
            # Two times, and nobody vouches for either.
            self._trust, self._doubted_since, self._shown = Trust.DOUBTED, seen.since_boot, seen
            self._weigh(seen)
        # Otherwise the network's time goes on, counted by the clock that does not jump.

    def _weigh(self, seen: _Anchor) -> None:
        if _has_jumped(self._shown, seen):
            self._doubted_since = seen.since_boot
        self._shown = seen
        if not self._was_believed:
            self._anchor = seen
        is_steady = seen.since_boot - self._doubted_since >= self._doubt
        if is_steady and self._floor - STEP_MIN <= seen.wall <= BELIEVED_UNTIL:
            self._believe(Trust.ASSUMED, seen)

    def _believe(self, trust: Trust, seen: _Anchor) -> None:
        self._trust, self._anchor, self._was_believed = trust, seen, True


def _has_jumped(before: _Anchor, now: _Anchor) -> bool:
    return abs(now.wall - before.at(now.since_boot)) >= STEP_MIN


async def keep_telling(
    timekeeper: Timekeeper, health: Health, on_known: Callable[[], None]
) -> None:
    """Tell of doubt as it comes and goes, for ever; call *on_known* when it goes."""
    was_doubted = False
    while True:
        health.pulse.beat("time", 10 * LOOK_S)
        if timekeeper.is_doubted:
            health.problem(ConditionCode.CLOCK_DOUBTED, DOUBTED)
        else:
            health.solved(ConditionCode.CLOCK_DOUBTED)
            if was_doubted:
                on_known()
        was_doubted = timekeeper.is_doubted
        await asyncio.sleep(LOOK_S)


class _Timex(ctypes.Structure):
    """The first fields of ``struct timex`` (linux/timex.h); the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("error_max", ctypes.c_long),
        ("error_estimate", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 512),
    )


class MachineClocks:
    """Linux's clocks."""

    def __init__(self) -> None:
        self._adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def since_boot(self) -> timedelta:
        return timedelta(microseconds=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)

    def boot_id(self) -> str:
        return _BOOT_ID.read_text(encoding="ascii").strip()

    def is_synchronised(self) -> bool:
        timex = _Timex()  # modes 0: only ask
        if self._adjtimex is None or self._adjtimex(ctypes.byref(timex)) < 0:
            return False
        return not timex.status & _STA_UNSYNC
