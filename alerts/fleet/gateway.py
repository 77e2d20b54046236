"""A gateway as a technician sees it, and how urgent it is. Pure; ``now`` is given."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from devices.wire import (
    LENT_MAX,
    Bond,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
)
from ingest.status import BATTERY_LOW_PERCENT, SILENT_AFTER

# Renewal begins at two thirds of 90 days; what is left then is a month to find out why not.
CERTIFICATE_SOON: Final = timedelta(days=14)
# Then a visit must be planned now: after it the gateway can send nothing.
CERTIFICATE_NOW: Final = timedelta(days=7)
# A queue is emptied within seconds of a connection; what waits an hour does so for a reason.
QUEUE_OLD: Final = timedelta(hours=1)
# A configuration is taken within a minute of being told again.
CONFIG_LATE: Final = timedelta(minutes=15)
# Once a day is the rarest plan; a device that was not heard for two has lost its battery or place.
DEVICE_QUIET: Final = timedelta(days=2)
# From here on a reading's own time is doubted (docs/plausibility.md), unless the gateway sets it.
CLOCK_OFF_S: Final = 300.0

# Nothing that is measured arrives, or it cannot be kept.
_SEVERE: Final = frozenset(
    {
        ConditionCode.RADIO_LOST,
        ConditionCode.RADIO_SILENT,
        ConditionCode.STORAGE_FULL,
        ConditionCode.BROKER_REFUSES,
        ConditionCode.CERTIFICATE_EXPIRED,
    }
)


class Urgency(enum.IntEnum):
    """How soon somebody should see to it."""

    NONE = 0  # it works
    EXPECTED = 1  # it was never heard, and is not late yet
    SOON = 2
    NOW = 3


class Reason(enum.StrEnum):
    """Why somebody should, beside what the gateway says itself."""

    SILENT = "silent"
    NEVER_HEARD = "never_heard"
    CERTIFICATE_OVER = "certificate_over"
    CERTIFICATE_SOON = "certificate_soon"
    BATTERY_LOW = "battery_low"
    QUEUE_OLD = "queue_old"
    CONFIG_LATE = "config_late"
    STATUS_UNREADABLE = "status_unreadable"
    BOND_LOST = "bond_lost"
    CLOCK_OFF = "clock_off"
    LIST_TOO_LONG = "list_too_long"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing to see to: a reason of ours, or a condition the gateway told."""

    urgency: Urgency
    what: Reason | str
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the database knows of a gateway.

    Attributes:
        people: How many patients it stands at; who they are is not known here.
        lent: Devices lent through it now, with the model if somebody said it.
        unreadable: Messages of its status topic that could not be read, after the last good one.
    """

    gateway_id: str
    registered_at: datetime
    retired_at: datetime | None = None
    received_at: datetime | None = None
    state: GatewayState | None = None
    state_at: datetime | None = None
    status: GatewayStatus | None = None
    config_version: int | None = None
    config_made_at: datetime | None = None
    people: int = 0
    lent: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0

    def is_silent(self, now: datetime) -> bool:
        """Return whether it has said nothing for a quarter of an hour."""
        return self.received_at is not None and now - self.received_at > SILENT_AFTER

    def urgency(self, now: datetime) -> Urgency:
        """Return the highest urgency of its troubles."""
        return max((trouble.urgency for trouble in self.troubles(now)), default=Urgency.NONE)

    def troubles(self, now: datetime) -> list[Trouble]:
        """Return what somebody should see to, the most urgent first."""
        found = sorted(self._troubles(now), key=lambda trouble: -trouble.urgency)
        return list(dict.fromkeys(found))  # a lost bond is told by the gateway and by the device

    def _troubles(self, now: datetime) -> Iterator[Trouble]:
        if self.retired_at is not None and self.retired_at <= now:
            return
        if self.received_at is None:
            late = now - self.registered_at > SILENT_AFTER
            yield Trouble(Urgency.SOON if late else Urgency.EXPECTED, Reason.NEVER_HEARD)
        elif self.is_silent(now):
            yield Trouble(Urgency.NOW, Reason.SILENT)
        if self.unreadable:
            yield Trouble(Urgency.SOON, Reason.STATUS_UNREADABLE)
        if self.status is not None:
            yield from _own(self.status, now)
            yield from map(_condition, self.status.conditions)
            for device in self.status.devices:
                yield from _device(device)
        if len(self.lent) > LENT_MAX:  # the last ones are not told to it: see ingest.lending
            yield Trouble(Urgency.NOW, Reason.LIST_TOO_LONG)
        if self._is_config_late(now):
            yield Trouble(Urgency.SOON, Reason.CONFIG_LATE)

    def _is_config_late(self, now: datetime) -> bool:
        if self.config_version is None or self.config_made_at is None or self.status is None:
            return False
        is_old = now - self.config_made_at > CONFIG_LATE and not self.is_silent(now)
        return is_old and self.status.config_version != self.config_version


def _own(status: GatewayStatus, now: datetime) -> Iterator[Trouble]:
    if status.certificate_until is not None:
        left = status.certificate_until - now
        if left <= timedelta():
            yield Trouble(Urgency.NOW, Reason.CERTIFICATE_OVER)
        elif left <= CERTIFICATE_SOON:
            urgency = Urgency.NOW if left <= CERTIFICATE_NOW else Urgency.SOON
            yield Trouble(urgency, Reason.CERTIFICATE_SOON)
    if status.outbox and status.oldest_at is not None and now - status.oldest_at > QUEUE_OLD:
        yield Trouble(Urgency.SOON, Reason.QUEUE_OLD)


def _condition(condition: Condition) -> Trouble:
    urgency = Urgency.NOW if condition.code in _SEVERE else Urgency.SOON
    return Trouble(urgency, condition.code, condition.device_id)


def _device(device: DeviceStatus) -> Iterator[Trouble]:
    if device.battery_percent is not None and device.battery_percent <= BATTERY_LOW_PERCENT:
        yield Trouble(Urgency.SOON, Reason.BATTERY_LOW, device.device_id)
    if device.bond is Bond.LOST:
        yield Trouble(Urgency.SOON, Reason.BOND_LOST, device.device_id)
    if abs(device.clock_offset_s or 0.0) > CLOCK_OFF_S and not device.clock_set:
        yield Trouble(Urgency.SOON, Reason.CLOCK_OFF, device.device_id)
