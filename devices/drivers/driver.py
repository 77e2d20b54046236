"""Driver: speaks one device's dialect. Knows no event loop, no clock and no radio.

The same object runs under bleak, under a replay of the gateway's inbox after a power cut
and in a plain test: fed the same raw values in the same order it gives the same readings,
with the same ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from devices.reading import Reading


@dataclass(frozen=True, slots=True)
class RawValue:
    """Bytes as they came: an indication, a read's answer, or advertised service data."""

    source: str  # full lower-case UUID of the characteristic or of the service data
    payload: bytes
    received_at: datetime  # aware UTC, the gateway's clock


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Enable indications or notifications of a characteristic."""

    characteristic: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read a characteristic; the answer comes back through ``received``."""

    characteristic: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write a characteristic with response."""

    characteristic: str
    payload: bytes


Request = Subscribe | Read | Write


class Driver(Protocol):
    """One session with one device, from connect to disconnect."""

    def connected(self) -> Sequence[Request]:
        """Return what to ask, in order: subscriptions first, since devices send at once."""

    def received(self, raw: RawValue) -> Sequence[Reading]:
        """Take one raw value; return the readings that are complete with it. Never raises."""

    def unanswered(self, request: Request) -> Sequence[Reading]:
        """Take note that *request* failed or the characteristic is absent."""

    def finished(self) -> Sequence[Reading]:
        """The session is over: return what was still waiting for something."""
