"""Memory: what the gateway knows of each device it serves, over restarts.

Kept in memory and written behind: a row is written at most once a session, when something was
brought, and at once when a restart must not forget it (a bond, a consent code). What is only
heard is never written: an advertisement comes ten times a second, and SD cards die of writing.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from devices.drivers import Notes
from devices.wire import DEVICES_MAX, Bond, DeviceStatus
from gateway.database import Database, StoreFull, from_us, to_us
from gateway.lending import Lending
from gateway.log import get_logger

_log = get_logger()

T = TypeVar("T")

# A home has a handful; in a block of flats, without a lending list, the neighbours' are served
# too. What is least worth keeping goes first: without a bond or a memory, and longest unchanged;
# before all, who was only heard.
KEPT_MAX: Final = 256

# As long as a word of a status may be (devices.wire.limits.Word).
WORD_MAX: Final = 64

_READ: Final = "select device_id, model, bond, notes, memory, heard_us, served_us from device"
_WRITE: Final = "insert or replace into device values (?, ?, ?, ?, ?, ?, ?, ?)"
_PRUNE: Final = (
    "delete from device where device_id not in (select device_id from device"
    " order by device_id = ? desc, bond <> ? desc, memory <> '{}' desc, updated_us desc limit ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one device.

    Attributes:
        device_id: Its address.
        model: Name of the row of the models' table, or "" if it was never heard.
        bond: The state of the bond.
        notes: What it said of itself last; of each thing the last that it did say.
        heard_at: When it last advertised.
        served_at: When the last session that brought anything ended.
    """

    device_id: str
    model: str = ""
    bond: Bond = Bond.NONE
    notes: Notes = field(default_factory=Notes)
    heard_at: datetime | None = None
    served_at: datetime | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it ever gave anything or was paired; the neighbours' are none of ours."""
        return self.served_at is not None or self.bond is not Bond.NONE

    @property
    def status(self) -> DeviceStatus:
        """The same, as the heartbeat tells it."""
        notes, heard_at = self.notes, self.heard_at
        return DeviceStatus(
            device_id=self.device_id,
            model=self.model,
            heard_at=heard_at and heard_at.replace(second=0, microsecond=0),
            served_at=self.served_at,
            battery_percent=notes.battery_percent,
            firmware=_word(notes.firmware or ""),
            clock_offset_s=notes.clock_offset_s,
            clock_set=notes.clock_set,
            bond=self.bond,
        )


class Memory:
    """All devices that are known.

    Args:
        database: The gateway's file.
        now: The clock; aware UTC.
        kept_max: Bound of the devices.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime], *, kept_max: int = KEPT_MAX
    ) -> None:
        self._database = database
        self._now = now
        self._kept_max = kept_max
        # In the order they were last heard or changed.
        self._known: OrderedDict[str, Known] = OrderedDict()
        for row in database.rows(f"{_READ} order by updated_us"):
            known = _from_row(row)
            self._known[known.device_id] = known

    def of(self, device_id: str) -> Known:
        """Return what is known of a device; blank for one that is not known."""
        return self._known.get(device_id) or Known(device_id=device_id)

    def with_bond(self, bond: Bond) -> tuple[str, ...]:
        """Return the devices whose bond is so."""
        return tuple(known.device_id for known in self._known.values() if known.bond is bond)

    def heard(self, device_id: str, model: str) -> None:
        """Take note of an advertisement; writes nothing."""
        self._put(replace(self.of(device_id), model=model, heard_at=self._now()))

    def noted(self, device_id: str, notes: Notes) -> None:
        """Take what a session learnt so far; durable at once if there is something to remember."""
        before = self.of(device_id)
        merged = _merged(before.notes, notes)
        if merged != before.notes:
            self._put(replace(before, notes=merged))
            if merged.memory != before.notes.memory:
                self._write(device_id)

    def served(self, device_id: str) -> None:
        """Take note that a session that brought something is over; durable."""
        self._put(replace(self.of(device_id), served_at=self._now()))
        self._write(device_id)

    def bonded(self, device_id: str, bond: Bond) -> None:
        """Take note of the state of the bond; durable, if it is news."""
        before = self.of(device_id)
        if before.bond is not bond:
            self._put(replace(before, bond=bond))
            self._write(device_id)

    def paired(self, device_id: str, bond: Bond) -> None:
        """Take note that the device was paired anew: its users' codes hold no more; durable."""
        before = self.of(device_id)
        self._put(replace(before, bond=bond, notes=replace(before.notes, memory={})))
        self._write(device_id)

    def statuses(self, lending: Lending) -> tuple[DeviceStatus, ...]:
        """Return what to tell: of the devices listed, then of others that are ours."""
        listed = [self.of(device_id) for device_id in lending.models]
        told = [
            (replace(known, model=lending.model(known.device_id)) if not known.model else known)
            for known in listed
        ]
        if lending.serves_others:
            told += [
                known
                for known in reversed(self._known.values())
                if known.device_id not in lending.models and known.is_ours
            ]
        return tuple(known.status for known in told[:DEVICES_MAX])

    def _put(self, known: Known) -> None:
        self._known[known.device_id] = known
        self._known.move_to_end(known.device_id)
        while len(self._known) > self._kept_max:
            del self._known[self._least_worth()]

    def _least_worth(self) -> str:
        *others, _newest = self._known.values()
        return min(others, key=_worth).device_id

    def _write(self, device_id: str) -> None:
        known = self.of(device_id)
        try:
            with self._database.transaction() as connection:
                connection.execute(_WRITE, _to_row(known, self._now()))
                connection.execute(_PRUNE, (device_id, Bond.NONE.value, self._kept_max))
        except StoreFull as error:  # told by who keeps measurements; the next write brings it
            _log.warning("memory.not_written", device_id=device_id, error=str(error))


def recorded(connection: sqlite3.Connection) -> list[Known]:
    """Return what is on the disk, for who looks beside a running gateway; last changed first."""
    return [_from_row(row) for row in connection.execute(f"{_READ} order by updated_us desc")]


def _worth(known: Known) -> tuple[bool, bool, bool]:
    return known.bond is not Bond.NONE, bool(known.notes.memory), known.is_ours


def _word(text: str) -> str:
    """Return what a device calls itself as a status may hold it: a short line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:WORD_MAX]


def _merged(before: Notes, now: Notes) -> Notes:
    """Return of each note the last that was told."""
    return Notes(
        battery_percent=_last(now.battery_percent, before.battery_percent),
        firmware=_last(now.firmware, before.firmware),
        model_number=_last(now.model_number, before.model_number),
        clock_offset_s=_last(now.clock_offset_s, before.clock_offset_s),
        clock_set=_last(now.clock_set, before.clock_set),
        memory=now.memory or before.memory,
    )


def _last(now: T | None, before: T | None) -> T | None:
    return before if now is None else now


def _to_row(known: Known, now: datetime) -> tuple[object, ...]:
    notes = known.notes
    told = {
        "battery_percent": notes.battery_percent,
        "firmware": notes.firmware,
        "model_number": notes.model_number,
        "clock_offset_s": notes.clock_offset_s,
        "clock_set": notes.clock_set,
    }
    return (
        known.device_id,
        known.model,
        known.bond.value,
        json.dumps({name: value for name, value in told.items() if value is not None}),
        json.dumps(dict(notes.memory)),
        known.heard_at and to_us(known.heard_at),
        known.served_at and to_us(known.served_at),
        to_us(now),
    )


def _from_row(row: tuple[Any, ...]) -> Known:
    device_id, model, bond, notes, memory, heard_us, served_us = row
    return Known(
        device_id=device_id,
        model=model,
        bond=Bond(bond),
        notes=Notes(**json.loads(notes), memory=_texts(json.loads(memory))),
        heard_at=None if heard_us is None else from_us(heard_us),
        served_at=None if served_us is None else from_us(served_us),
    )


def _texts(memory: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in memory.items()}
