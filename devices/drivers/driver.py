"""Driver: speaks one device's dialect. Knows no event loop, no clock and no radio.

The same object runs under bleak, under a replay of the gateway's inbox after a power cut
and in a plain test: fed the same raw values in the same order it gives the same readings,
with the same ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class SetClock:
    """Write the local time of the moment of writing, with response.

    Only who writes knows that moment; ``devices.gatt.date_time`` lays it out.
    """

    characteristic: str  # uuids.CURRENT_TIME or uuids.DATE_TIME


Request = Subscribe | Read | Write | SetClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What a session learnt of the device itself; none is "not told".

    Attributes:
        battery_percent: How full its battery is.
        firmware: Its firmware's version, as it says.
        model_number: Its maker's name for it, as it says.
        clock_offset_s: Device clock minus gateway clock, before it was set.
        clock_set: Whether setting the clock held, by the clock read again; none: not tried, or
            not known yet.
        memory: What to keep durably and to give back to the device's next driver, whole.
    """

    battery_percent: int | None = None
    firmware: str | None = None
    model_number: str | None = None
    clock_offset_s: float | None = None
    clock_set: bool | None = None
    memory: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """One session with one device, from connect to disconnect."""

    def connected(self) -> Sequence[Request]:
        """Return what to ask, in order: subscriptions first, since devices send at once."""

    def received(self, raw: RawValue) -> Sequence[Reading]:
        """Take one raw value; return the readings that are complete with it. Never raises."""

    def unanswered(self, request: Request) -> Sequence[Reading]:
        """Take note that *request* failed or the characteristic is absent."""

    def asks(self) -> Sequence[Request]:
        """Return what to ask next, each request once; empty when there is nothing for now.

        To be called after ``connected`` is carried out, and after anything that came since,
        until it is empty.
        """

    def finished(self) -> Sequence[Reading]:
        """The session is over: return what was still waiting for something."""

    @property
    def notes(self) -> Notes:
        """What the session has learnt so far of the device itself."""
