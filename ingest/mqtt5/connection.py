"""Connection: one network connection from CONNECT to its end, as a state machine without I/O.

Law of this file: nothing of a connection outlives it. What does is ``AckOrder``'s and
``InFlight``'s.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from ingest.mqtt5.errors import ProtocolError
from ingest.mqtt5.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Event,
    Publish,
    Suback,
    encode_subscribe,
)
from ingest.mqtt5.reader import Reader
from ingest.mqtt5.reasons import is_failure

SUBSCRIBE_ID: Final = 0xFFFF  # beyond those of ``InFlight``


class State(Enum):
    """Where a connection is."""

    CONNECTING = auto()  # CONNECT is sent; nothing but CONNACK may come [MQTT-3.2.0-1]
    OPEN = auto()
    CLOSED = auto()  # the server said so; nothing may be sent


class Connection:
    """What is said on one connection.

    Args:
        connect: What we have told the server.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._reader = Reader(connect.packet_bytes_max)
        self._filters = 0
        self.state = State.CONNECTING
        self.limits = Connack(reason=0)  # the server's, once it is open

    def open(self) -> bytes:
        """Return the first packet [MQTT-3.1.0-1]."""
        return self._connect.encode()

    def subscribe(self, filters: Sequence[str]) -> bytes:
        """Return SUBSCRIBE; not again before it is answered."""
        assert self.state is State.OPEN
        assert not self._filters
        self._filters = len(filters)
        return encode_subscribe(SUBSCRIBE_ID, filters)

    def receive(self, data: bytes, into: list[Event]) -> None:
        """Put the events of *data* into the empty list.

        Raises:
            ProtocolError: The server broke a rule; the connection is of no more use. What came
                before is in the list.
        """
        assert not into
        fault: ProtocolError | None = None
        try:
            self._reader.feed(data, into)
        except ProtocolError as error:
            fault = error
        for place, event in enumerate(into):
            if event.__class__ is Publish and self.state is State.OPEN:
                continue
            try:
                self._step(event)
            except ProtocolError:
                del into[place:]
                raise
        if fault is not None:
            raise fault

    def _step(self, event: Event) -> None:
        if self.state is State.CLOSED:
            problem = f"{type(event).__name__} after the end [MQTT-3.14.4-1]"
            raise ProtocolError(problem)
        if isinstance(event, Auth):
            problem = "AUTH, and no authentication method was offered [MQTT-4.12.0-6]"
            raise ProtocolError(problem)
        if self.state is State.CONNECTING:
            if not isinstance(event, Connack):
                problem = f"{type(event).__name__} before CONNACK [MQTT-3.2.0-1]"
                raise ProtocolError(problem)
            self.limits = event
            self.state = State.CLOSED if is_failure(event.reason) else State.OPEN
        elif isinstance(event, Connack):
            problem = "a second CONNACK [MQTT-3.2.0-2]"
            raise ProtocolError(problem)
        elif isinstance(event, Disconnect):
            self.state = State.CLOSED
        elif isinstance(event, Suback):
            self._check(event)

    def _check(self, suback: Suback) -> None:
        if not self._filters or suback.packet_id != SUBSCRIBE_ID:
            problem = f"SUBACK for packet {suback.packet_id} [MQTT-2.2.1-6]"
            raise ProtocolError(problem)
        if len(suback.reasons) != self._filters:
            problem = f"SUBACK with {len(suback.reasons)} reasons [MQTT-3.8.4-6]"
            raise ProtocolError(problem)
        self._filters = 0
