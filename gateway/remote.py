"""Remote: the configuration that comes down, taken or refused; the last good one is kept."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from devices.wire import GatewayConfig, PairingStatus
from gateway.control import Pair
from gateway.health import Health
from gateway.lending import Lending


class Remote:
    """What the server wants of this gateway.

    Args:
        directory: The data directory; the last good one lies there, and is in force at once.
        gateway_id: Ours.
        lending: What the gateway's own file says, in force until something comes down.
        health: Where a refusal is told.
        now: The clock; aware UTC.
        on_change: Called when something to be told in the status has changed.
    """

    def __init__(
        self,
        directory: Path,
        gateway_id: str,
        *,
        lending: Lending,
        health: Health,
        now: Callable[[], datetime],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        raise NotImplementedError

    @property
    def config(self) -> GatewayConfig | None:
        """What is in force, if anything came down."""
        raise NotImplementedError

    @property
    def version(self) -> int | None:
        """The version in force: ``config_version`` of the status."""
        raise NotImplementedError

    @property
    def refused(self) -> str | None:
        """Why a newer one is not used: ``config_refused`` of the status."""
        raise NotImplementedError

    @property
    def pairing(self) -> PairingStatus | None:
        """How the pairing that was asked for stands: ``pairing`` of the status."""
        raise NotImplementedError

    @property
    def lending(self) -> Lending:
        """Which devices are to be served, now."""
        raise NotImplementedError

    @property
    def heartbeat_s(self) -> float | None:
        """Seconds between heartbeats, if the server says so."""
        raise NotImplementedError

    @property
    def idle_s(self) -> float | None:
        """Seconds without a value that end a session, if the server says so."""
        raise NotImplementedError

    def take(self, payload: bytes) -> None:
        """Take or refuse what came on our configuration topic. Never raises for its content."""
        raise NotImplementedError

    async def run(self, pair: Pair) -> None:
        """Carry out the pairings that are asked for, one after the other, for ever."""
        raise NotImplementedError
