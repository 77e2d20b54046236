"""Status: what a gateway said last, and what has changed since. Pure; ``fleet`` stores it.

A heartbeat tells everything anew, so the last one is all that is kept of them; what differs from
the one before becomes a line of history. A last will tells only that the broker lost the gateway.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from devices import wire
from devices.errors import MalformedMessage, UnsupportedVersion
from devices.wire import Bond, GatewayState, GatewayStatus
from ingest.quarantine import Reason, Refused

# A heartbeat comes every minute; a quarter of an hour without one is a fault somebody must see
# (promises: silence is an alarm).
SILENT_AFTER: Final = timedelta(minutes=15)

# Coin cells keep a cuff going for some weeks from here.
BATTERY_LOW_PERCENT: Final = 20


# A gateway has one row of quarantine for each reason: its next heartbeat is no news.
REPEAT: Final = "status"


class Kind(enum.StrEnum):
    """What a line of history tells. Stands in the database: never rename one."""

    FIRST_HEARD = "first_heard"
    STATE = "state"  # online, stopped or lost
    STARTED = "started"  # the program began anew
    HEARD_AGAIN = "heard_again"  # after a silence
    VERSION = "version"
    CONDITION = "condition"
    SOLVED = "solved"
    RADIO_STEP = "radio_step"
    CONFIG = "config"
    CONFIG_REFUSED = "config_refused"
    PAIRING = "pairing"
    BOND = "bond"
    BATTERY_LOW = "battery_low"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a gateway's status topic.

    Attributes:
        gateway_id: By the topic and by the message.
        status: What it says.
        is_retained: The broker kept it: it was said before, and nobody knows when it came.
        arrived_at: When it came to us.
    """

    gateway_id: str
    status: GatewayStatus
    is_retained: bool
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a gateway.

    Attributes:
        received_at: When it last spoke itself; none: never.
        state: Online, stopped or lost.
        state_at: Since when.
        status: Its last own words; none: there are none.
    """

    received_at: datetime | None
    state: GatewayState
    state_at: datetime
    status: GatewayStatus | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of history."""

    kind: Kind
    detail: dict[str, Any]


def read(topic: str, payload: bytes, arrived_at: datetime, *, is_retained: bool) -> Said | Refused:
    """Return what a message says, or the row of quarantine it becomes. Never raises."""
    gateway_id = ""
    try:
        gateway_id, _ = wire.parse_topic(topic)
        status = wire.decode_status(payload)
    except UnsupportedVersion as error:
        reason, detail = Reason.UNSUPPORTED_VERSION, error.problem
    except MalformedMessage as error:
        reason, detail = Reason.MALFORMED_MESSAGE, error.problem
    except ValueError as error:
        reason, detail = Reason.MALFORMED_MESSAGE, str(error)
    else:
        if status.gateway == gateway_id:
            return Said(gateway_id, status, is_retained, arrived_at)
        reason = Reason.GATEWAY_MISMATCH
        detail = f"the topic is of {gateway_id}, the status of {status.gateway}"
    return Refused(
        reason=reason,
        detail=detail,
        gateway_id=gateway_id,
        topic=topic,
        arrived_at=arrived_at,
        content=payload,
        repeat_of=REPEAT,
    )


def know(before: Known | None, said: Said) -> Known:
    """Return what is known after *said*."""
    status = said.status
    if status.state is GatewayState.LOST:
        return _lost(before, said)
    if before is not None and said.is_retained and not _is_newer(status, before.status):
        return before
    received_at = said.arrived_at
    if said.is_retained:  # its own clock is all there is to tell when that was
        received_at = min(status.at or datetime(1970, 1, 1, tzinfo=UTC), said.arrived_at)
    if before is not None and before.received_at is not None:
        received_at = max(received_at, before.received_at)
    same = before is not None and before.state is status.state
    state_at = before.state_at if before is not None and same else received_at
    return Known(received_at, status.state, state_at, status)


def changes(before: Known | None, after: Known) -> list[Change]:
    """Return what a person would see change, in no more lines than a status has parts."""
    if before == after:
        return []
    found = list(_changes_of_state(before, after))
    if after.status is not None and (before is None or after.status != before.status):
        empty = GatewayStatus(v=wire.VERSION, gateway=after.status.gateway, state=after.state)
        old = before.status if before is not None and before.status is not None else empty
        found += _changes_of_status(old, after.status)
    return found


def battery_lowest(status: GatewayStatus) -> int | None:
    """Return the lowest battery of the gateway's devices, in percent."""
    told = [each.battery_percent for each in status.devices if each.battery_percent is not None]
    return min(told, default=None)


def _lost(before: Known | None, said: Said) -> Known:
    if before is None:
        return Known(None, GatewayState.LOST, said.arrived_at, None)
    if before.state is not GatewayState.ONLINE:
        return before  # it had said goodbye, or this was told before
    return replace(before, state=GatewayState.LOST, state_at=said.arrived_at)


def _is_newer(status: GatewayStatus, than: GatewayStatus | None) -> bool:
    if than is None or than.at is None:
        return True
    return status.at is not None and status.at > than.at


def _changes_of_state(before: Known | None, after: Known) -> Iterator[Change]:
    if before is None or before.received_at is None:
        if after.received_at is not None:
            yield Change(Kind.FIRST_HEARD, {})
    elif after.received_at is not None:
        silent = after.received_at - before.received_at
        if silent > SILENT_AFTER:
            minutes = int(silent.total_seconds() // 60)
            yield Change(Kind.HEARD_AGAIN, {"minutes": minutes})
    if before is None or before.state is not after.state:
        yield Change(Kind.STATE, {"state": after.state.value})


def _changes_of_status(old: GatewayStatus, new: GatewayStatus) -> Iterator[Change]:
    if old.started_at is not None and new.started_at not in (None, old.started_at):
        yield Change(Kind.STARTED, {})
    if old.version != new.version:
        yield Change(Kind.VERSION, {"from": old.version, "to": new.version})
    yield from _conditions(old, new)
    seen = set(old.radio_steps)
    for step in new.radio_steps:
        if step not in seen:
            yield Change(Kind.RADIO_STEP, {"step": step.step, "at": step.at.isoformat()})
    if new.config_version is not None and new.config_version != old.config_version:
        yield Change(Kind.CONFIG, {"version": new.config_version})
    if new.config_refused is not None and new.config_refused != old.config_refused:
        yield Change(Kind.CONFIG_REFUSED, {"problem": new.config_refused})
    if new.pairing is not None and new.pairing != old.pairing:
        pairing = new.pairing
        yield Change(
            Kind.PAIRING,
            {
                "request_id": pairing.request_id,
                "step": pairing.step.value,
                "device_id": pairing.device_id,
                "problem": pairing.problem,
            },
        )
    if old.certificate_until is not None and new.certificate_until not in (
        None,
        old.certificate_until,
    ):
        yield Change(Kind.CERTIFICATE, {"until": new.certificate_until.isoformat()})
    yield from _devices(old, new)


def _conditions(old: GatewayStatus, new: GatewayStatus) -> Iterator[Change]:
    was = {(each.code, each.device_id) for each in old.conditions}
    now = {(each.code, each.device_id) for each in new.conditions}
    for kind, pairs in ((Kind.CONDITION, now - was), (Kind.SOLVED, was - now)):
        for code, device_id in sorted(pairs, key=lambda pair: (pair[0], pair[1] or "")):
            yield Change(kind, {"code": code, "device_id": device_id})


def _devices(old: GatewayStatus, new: GatewayStatus) -> Iterator[Change]:
    was = {each.device_id: each for each in old.devices}
    for device in new.devices:
        before = was.get(device.device_id)
        bond = before.bond if before else Bond.NONE
        if device.bond is not bond:
            yield Change(Kind.BOND, {"device_id": device.device_id, "bond": device.bond.value})
        if _is_low(device.battery_percent) and not (before and _is_low(before.battery_percent)):
            detail = {"device_id": device.device_id, "percent": device.battery_percent}
            yield Change(Kind.BATTERY_LOW, detail)


def _is_low(percent: int | None) -> bool:
    return percent is not None and percent <= BATTERY_LOW_PERCENT
