"""BrokerLink: one connection to the broker, from CONNECT to its end, on an asyncio transport.

What is said is ``ingest.mqtt5``'s; this is its bytes, its clock, and when it is not read.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.mqtt5 import (
    PINGREQ,
    Connack,
    Connect,
    Connection,
    Disconnect,
    Due,
    Event,
    KeepAlive,
    ProtocolError,
    Puback,
    Publish,
    ReasonCode,
    State,
    Suback,
    describe,
    encode_disconnect,
    is_failure,
)

HANDSHAKE_S_MAX: Final = 10.0  # from the transport to CONNACK
# What may wait to be sent before only the acknowledgements do: a thousand receipts of many ids.
UNSENT_BYTES_MAX: Final = 1024 * 1024
_TICK_S_MAX: Final = 1.0
_TICKS: Final = 10  # in a keep alive interval


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended."""

    problem: str
    open_s: float | None  # since CONNACK had welcomed us; none if it never did
    session_kept: bool = False  # of an earlier connection
    reason: int | None = None  # the broker's, if it gave one
    is_ours: bool = False  # we gave up, or the broker broke the protocol

    @property
    def was_open(self) -> bool:
        """Whether the broker had welcomed us."""
        return self.open_s is not None


class Listener(Protocol):
    """Hears what a connection brings."""

    def opened(self, link: "BrokerLink", connack: Connack) -> None:
        """The broker welcomes us."""

    def subscribed(self, suback: Suback) -> None:
        """The broker answers our subscription."""

    def arrived(self, link: "BrokerLink", publishes: Sequence[Publish]) -> None:
        """Messages have come, in this order."""

    def confirmed(self, puback: Puback) -> None:
        """The broker answers a publish of ours."""


class BrokerLink(asyncio.Protocol):
    """Carries one connection. ``ended`` tells its end, and raises what is a fault of ours."""

    def __init__(self, connect: Connect, listener: Listener) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._keepalive_s = connect.keepalive_s
        self._keepalive = KeepAlive(HANDSHAKE_S_MAX, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._problem = "the broker closed the connection"
        self._reason: int | None = None
        self._opened_at: float | None = None
        self._is_ours = False
        self._is_parting = False
        self.connection = Connection(connect)
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self.is_paused = False
        self.is_congested = False

    @property
    def is_open(self) -> bool:
        """Whether something may be sent."""
        return self.connection.state is State.OPEN and not self._is_parting

    def send(self, packets: bytes) -> None:
        """Send whole packets."""
        assert self._transport is not None
        self._transport.write(packets)
        self._keepalive.sent(self._loop.time())

    def pause(self) -> None:
        """Read no more for now; TCP holds the broker back."""
        if not self.is_paused and self._transport is not None:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.is_paused and self._transport is not None and not self._transport.is_closing():
            self.is_paused = False
            self._transport.resume_reading()

    def part(self, reason: ReasonCode = ReasonCode.SUCCESS) -> None:
        """Say goodbye. What is still to be sent goes first, and the broker hangs up.

        Nothing that comes from now on is heard. It is read all the same: a socket that is closed
        with something unread takes back what it has sent.
        """
        if self.is_open:
            self.send(encode_disconnect(reason))
        self._is_parting = True
        self.resume()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(UNSENT_BYTES_MAX)
        self.send(self.connection.open())
        self._watch(HANDSHAKE_S_MAX)

    def data_received(self, data: bytes) -> None:
        """Hear what has come."""
        if self._is_parting:
            return
        self._keepalive.heard(self._loop.time())
        events: list[Event] = []
        try:
            self.connection.receive(data, events)
        except ProtocolError as error:
            self._tell(events)
            self._fail(error)
        else:
            self._tell(events)

    def pause_writing(self) -> None:
        """Note that the broker does not take what we send."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Note that it does again."""
        self.is_congested = False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the end."""
        if self._tick is not None:
            self._tick.cancel()
        if self.ended.done():
            return
        if error is not None and not isinstance(error, OSError):
            self.ended.set_exception(error)  # asyncio hands over what ``data_received`` raised
            return
        problem = (str(error) or type(error).__name__) if error else self._problem
        self.ended.set_result(
            End(
                problem,
                open_s=None if self._opened_at is None else self._loop.time() - self._opened_at,
                session_kept=self.connection.limits.session_present,
                reason=self._reason,
                is_ours=self._is_ours,
            )
        )

    def _tell(self, events: list[Event]) -> None:
        publishes: list[Publish] = []
        for event in events:
            if isinstance(event, Publish):
                publishes.append(event)
            elif isinstance(event, Connack):
                self._welcomed(event)
            elif isinstance(event, Suback):
                self._listener.subscribed(event)
            elif isinstance(event, Puback):
                self._listener.confirmed(event)
            elif isinstance(event, Disconnect):
                self._dismissed(event.reason, event.text)
        if publishes:
            self._listener.arrived(self, publishes)

    def _welcomed(self, connack: Connack) -> None:
        if is_failure(connack.reason):
            self._dismissed(connack.reason, connack.text)
            return
        self._opened_at = self._loop.time()
        agreed_s = self._keepalive_s if connack.keepalive_s is None else connack.keepalive_s
        self._keepalive = KeepAlive(agreed_s, self._loop.time())
        self._watch(agreed_s)
        self._listener.opened(self, connack)

    def _dismissed(self, reason: int, text: str) -> None:
        """Hang up, for the broker has said why it will. Another server it names is not ours."""
        self._reason = reason
        self._problem = describe(reason, text)
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: ProtocolError) -> None:
        self._problem = f"the broker broke the protocol: {error}"
        self._is_ours = True
        if self._transport is not None:
            if self.is_open:
                self.send(encode_disconnect(error.reason))
            self._is_parting = True
            self._transport.close()

    def _watch(self, interval_s: float) -> None:
        if self._tick is not None:
            self._tick.cancel()
        wait_s = min(_TICK_S_MAX, interval_s / _TICKS) or _TICK_S_MAX
        self._tick = self._loop.call_later(wait_s, self._look, interval_s)

    def _look(self, interval_s: float) -> None:
        now = self._loop.time()
        if self._opened_at is None:
            if self._keepalive.is_silent(now):
                self._give_up(f"no CONNACK for {HANDSHAKE_S_MAX:g} s")
                return
        else:
            due = self._keepalive.due(now, is_listening=not self.is_paused)
            if due is Due.GIVE_UP:
                self._give_up("no answer to PINGREQ")
                return
            if due is Due.PING and self.is_open:
                self.send(PINGREQ)
        self._watch(interval_s)

    def _give_up(self, problem: str) -> None:
        self._problem = problem
        self._is_ours = True
        self.abort()
