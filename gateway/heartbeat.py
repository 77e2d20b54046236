"""Heartbeat: "alive, so many waiting, last reading then". Silence must be visible upstream."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import metadata
from typing import Final

from devices.wire import (
    DEVICES_MAX,
    VERSION,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    encode_status,
)
from gateway.health import Health
from gateway.inbox import Inbox
from gateway.outbox import Outbox

# Between two status messages when conditions flap; a person reads no faster.
CHANGE_INTERVAL_S: Final = 2.0


def program_version() -> str:
    """Return this program's version; empty when it runs without being installed."""
    try:
        return metadata.version("egenmonitor")
    except metadata.PackageNotFoundError:
        return ""


class Heartbeat:
    """Says how the gateway is, and when to say it next.

    Args:
        gateway_id: Ours.
        interval_s: Between two regular ones.
        inbox, outbox: What waits.
        health: All else there is to say.
        now: The clock.
        asked_interval_s: The interval that the server wants, if it wants one.
        devices: What is known of the devices served.
        certificate_until: When the certificate in use ends, if there is one.
        storage_free_bytes: Measures the room left; none where it cannot be known.
    """

    def __init__(
        self,
        gateway_id: str,
        interval_s: float,
        *,
        inbox: Inbox,
        outbox: Outbox,
        health: Health,
        now: Callable[[], datetime],
        asked_interval_s: Callable[[], float | None] = lambda: None,
        devices: Callable[[], tuple[DeviceStatus, ...]] = tuple,
        certificate_until: Callable[[], datetime | None] = lambda: None,
        storage_free_bytes: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._gateway_id = gateway_id
        self._interval_s = interval_s
        self._inbox = inbox
        self._outbox = outbox
        self._health = health
        self._now = now
        self._asked_interval_s = asked_interval_s
        self._devices = devices
        self._certificate_until = certificate_until
        self._storage_free_bytes = storage_free_bytes
        self._started_s = time.monotonic()  # the clock may be set only later
        self._version = program_version()
        self._said_s = float("-inf")  # monotonic
        self._said_changes = -1

    def due_at_s(self) -> float:
        """Return the monotonic time of the next status: regular, sooner after a change."""
        changed = self._health.changes != self._said_changes
        regular_s = self._asked_interval_s() or self._interval_s
        return self._said_s + (min(CHANGE_INTERVAL_S, regular_s) if changed else regular_s)

    def restart(self) -> None:
        """A new connection: the birth is due at once."""
        self._said_s = float("-inf")

    def say(self, state: GatewayState, now_s: float) -> bytes:
        """Return the status message, and count it as said."""
        self._said_s = now_s
        self._said_changes = self._health.changes
        return encode_status(self.status(state))

    def status(self, state: GatewayState) -> GatewayStatus:
        """Return how the gateway is now; nothing is counted as said."""
        at, up = self._now(), timedelta(seconds=time.monotonic() - self._started_s)
        health = self._health
        return GatewayStatus(
            v=VERSION,
            gateway=self._gateway_id,
            state=state,
            at=at,
            version=self._version,
            inbox=self._inbox.depth,
            outbox=self._outbox.depth,
            oldest_at=self._outbox.oldest_received_at,
            last_reading_at=self._outbox.last_received_at,
            radio=health.radio,
            radio_steps=health.radio_steps,
            problems=health.problems,
            conditions=health.conditions,
            devices=self._devices()[:DEVICES_MAX],
            config_version=health.config_version,
            config_refused=health.config_refused,
            pairing=health.pairing,
            certificate_until=self._certificate_until(),
            storage_free_bytes=self._storage_free_bytes(),
            started_at=(at - up).replace(microsecond=0),
        )


def last_will(gateway_id: str) -> bytes:
    """Return what the broker says when it loses the gateway."""
    return encode_status(GatewayStatus(v=VERSION, gateway=gateway_id, state=GatewayState.LOST))
