"""Reader: a stream of bytes, split anywhere, to events.

Nearly all that a subscriber reads are PUBLISH packets at QoS 1 with a response topic and
correlation data, so these are read in one loop of slices. Law of this file: the loop takes a
packet only when every length in it fits; all others go to ``packets.decode``, which says what
they are or what is wrong with them. Both ways give the same event.
"""

from typing import Final

from ingest.mqtt5.errors import MalformedPacket, ProtocolError
from ingest.mqtt5.fields import Cursor
from ingest.mqtt5.packets import Event, Publish, decode
from ingest.mqtt5.reasons import ReasonCode

# Topics kept by their bytes: decoding one costs as much as all else of a packet. 15 MB.
NAMES_MAX: Final = 32_768
_PUBLISH_QOS_1: Final = 0x32
_DUPLICATE: Final = 0x08
_RESPONSE_TOPIC: Final = 0x08
_CORRELATION_DATA: Final = 0x09
_PUBLISH_BYTES_MIN: Final = 6  # after the header: topic of one byte, packet id, no properties
_HEADER_BYTES_MIN: Final = 2
_HEADER_BYTES_MAX: Final = 5


class Reader:
    """Gives the events of one connection, in order.

    Args:
        packet_bytes_max: The Maximum Packet Size we have told the server.
    """

    def __init__(self, packet_bytes_max: int) -> None:
        self._packet_bytes_max = packet_bytes_max
        self._names: dict[bytes, str] = {}
        # Bytes of a packet that has not come whole, and when it is worth to look again.
        self._parts: list[bytes] = []
        self._held = 0
        self._needed = _HEADER_BYTES_MIN
        self._error: ProtocolError | None = None

    def feed(self, data: bytes, into: list[Event]) -> None:
        """Put the events that *data* completes into the list.

        Raises:
            ProtocolError: The stream cannot be read from here on. What came before is in the list.
        """
        if self._error is not None:
            raise self._error
        if self._parts:
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        if len(self._names) > NAMES_MAX:
            self._names.clear()
        try:
            at = self._read(data, into)
        except ProtocolError as error:
            self._error = error
            raise
        if at < len(data):
            self._parts = [data[at:]]
            self._held = len(data) - at

    def _read(self, data: bytes, into: list[Event]) -> int:  # noqa: C901, PLR0912, PLR0915 - hot
        """Read whole packets; return where the first begins that is not whole."""
        append = into.append
        name_of = self._names.get
        new = tuple.__new__
        packet_bytes_max = self._packet_bytes_max
        end = len(data)
        at = 0
        while True:
            body = at + 2
            if body > end:
                self._needed = _HEADER_BYTES_MIN
                return at
            length = data[at + 1]
            if length > 0x7F:  # noqa: PLR2004 - 1.5.5: seven bits a byte
                if body < end and data[body] < 0x80:  # noqa: PLR2004
                    length += (data[body] - 1) << 7
                    if length < 0x80:  # noqa: PLR2004
                        _length(data, at)  # raises
                    body += 1
                else:
                    length, body = _length(data, at)
                    if length < 0:
                        self._needed = end - at + 1
                        return at
            stop = body + length
            if stop - at > packet_bytes_max:
                problem = f"a packet of {stop - at} bytes [MQTT-3.1.2-24]"
                raise ProtocolError(problem, ReasonCode.PACKET_TOO_LARGE)
            if stop > end:
                self._needed = stop - at
                return at
            first = data[at]
            at = stop
            if first & ~_DUPLICATE == _PUBLISH_QOS_1 and length >= _PUBLISH_BYTES_MIN:
                # ``mark`` goes: packet id, properties' length, properties, payload.
                mark = body + 2 + (data[body] << 8 | data[body + 1])
                if mark + 3 <= stop:
                    topic = name_of(data[body:mark])
                    packet_id = data[mark] << 8 | data[mark + 1]
                    size = data[mark + 2]
                    mark += 3
                    last = mark + size  # where the payload begins
                    if topic and packet_id and size < 0x80 and last <= stop:  # noqa: PLR2004
                        if not size:
                            append(new(Publish, (topic, data[last:stop], None, None, packet_id)))
                            continue
                        if size >= 6 and data[mark] == _RESPONSE_TOPIC:  # noqa: PLR2004
                            mark += 1
                            next_ = mark + 2 + (data[mark] << 8 | data[mark + 1])
                            if next_ + 3 <= last and data[next_] == _CORRELATION_DATA:
                                answer = name_of(data[mark:next_])
                                mark = next_ + 3
                                size = data[next_ + 1] << 8 | data[next_ + 2]
                                if answer is not None and mark + size == last:
                                    payload, correlation = data[last:stop], data[mark:last]
                                    fields = (topic, payload, answer, correlation, packet_id)
                                    append(new(Publish, fields))
                                    continue
            append(decode(first, Cursor(data, body, stop), self._names))


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return the remaining length and where it ends; -1 while it has not come whole.

    Raises:
        MalformedPacket: It is none.
    """
    fields = Cursor(data, at + 1, min(at + _HEADER_BYTES_MAX, len(data)))
    end = fields.end
    if end < at + _HEADER_BYTES_MAX and all(byte > 0x7F for byte in data[at + 1 : end]):  # noqa: PLR2004
        return -1, at
    try:
        return fields.variable(), fields.at
    except MalformedPacket as error:
        problem = f"the length of a packet: {error}"
        raise MalformedPacket(problem) from None
