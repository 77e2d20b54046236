"""Packets: what a server sends as events, what a client sends as bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ingest.mqtt5.errors import MalformedPacket, ProtocolError
from ingest.mqtt5.fields import Cursor, as_text, encode_binary, encode_text, encode_variable
from ingest.mqtt5.properties import Packet, Properties, Property, read, write
from ingest.mqtt5.reasons import ReasonCode, is_failure

PROTOCOL_VERSION: Final = 5
# What a server means that does not say (3.2.2.3).
RECEIVE_MAX_DEFAULT: Final = 65_535
QOS_MAX_DEFAULT: Final = 2
# The longest topic that is kept to be known again; ours have 95 bytes at most.
NAME_BYTES_MAX: Final = 128

# First byte of a PUBLISH: type 3, DUP, QoS, RETAIN (3.3.1).
PUBLISH_QOS_0: Final = 0x30
PUBLISH_QOS_1: Final = 0x32
_DUPLICATE: Final = 0x08
_QOS_SHIFT: Final = 1
_QOS_MASK: Final = 0b11
_SUBSCRIBE: Final = Packet.SUBSCRIBE << 4 | 0b0010  # [MQTT-3.8.1-1]
# QoS 1; retained messages are not sent when the subscription is made (3.8.3.1).
SUBSCRIBE_OPTIONS: Final = 0b10_0001
PINGREQ: Final = bytes([Packet.PINGREQ << 4, 0])
_PUBACK: Final = Packet.PUBACK << 4
_SESSION_PRESENT: Final = 0x01
_PASSWORD: Final = 0x40
_USERNAME: Final = 0x80


class Publish(NamedTuple):
    """PUBLISH. A tuple, for nearly everything that comes is one.

    ``topic`` is empty and ``response_topic`` none where the sender did not write UTF-8: that is
    another client's doing, and no reason to part with the server.
    """

    topic: str
    payload: bytes
    response_topic: str | None
    correlation: bytes | None
    packet_id: int  # 0 at QoS 0, which nobody acknowledges


@dataclass(frozen=True, slots=True)
class Connack:
    """CONNACK: how the server answers, and its limits."""

    reason: int
    session_present: bool = False
    receive_max: int = RECEIVE_MAX_DEFAULT
    qos_max: int = QOS_MAX_DEFAULT
    packet_bytes_max: int | None = None
    keepalive_s: int | None = None  # none: ours
    assigned_client_id: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Puback:
    """PUBACK: what became of a PUBLISH of ours."""

    packet_id: int
    reason: int = ReasonCode.SUCCESS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Suback:
    """SUBACK: one reason for each filter."""

    packet_id: int
    reasons: tuple[int, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """PINGRESP."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT: the server ends the connection."""

    reason: int = ReasonCode.SUCCESS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH: a step of an extended authentication."""

    reason: int = ReasonCode.SUCCESS


Event = Publish | Connack | Puback | Suback | Pingresp | Disconnect | Auth


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """CONNECT of a session that outlives its connections: Clean Start is 0.

    Attributes:
        receive_max: Publishes at QoS 1 that may be with us unacknowledged.
    """

    client_id: str
    keepalive_s: int
    session_expiry_s: int
    receive_max: int
    packet_bytes_max: int
    username: str | None = None
    password: bytes | None = None

    def encode(self) -> bytes:
        """Return the packet. Topic aliases are not offered: their maximum is left at 0."""
        properties: Properties = {
            Property.SESSION_EXPIRY_INTERVAL: self.session_expiry_s,
            Property.RECEIVE_MAXIMUM: self.receive_max,
            Property.MAXIMUM_PACKET_SIZE: self.packet_bytes_max,
        }
        flags = 0
        credentials = b""
        if self.username is not None:
            flags |= _USERNAME
            credentials += encode_text(self.username)
        if self.password is not None:
            flags |= _PASSWORD
            credentials += encode_binary(self.password)
        head = encode_text("MQTT") + bytes([PROTOCOL_VERSION, flags])
        body = head + self.keepalive_s.to_bytes(2, "big") + write(properties)
        return _packet(Packet.CONNECT << 4, body + encode_text(self.client_id) + credentials)


def encode_subscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """Return SUBSCRIBE to *filters* at QoS 1, without what is retained."""
    assert packet_id
    assert filters  # [MQTT-3.8.3-2]
    wanted = b"".join(encode_text(one) + bytes([SUBSCRIBE_OPTIONS]) for one in filters)
    return _packet(_SUBSCRIBE, packet_id.to_bytes(2, "big") + write({}) + wanted)


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """Return a PUBACK with Success for each packet id, in this order."""
    count = len(packet_ids)
    blob = bytearray(4 * count)
    blob[0::4] = bytes([_PUBACK]) * count
    blob[1::4] = b"\2" * count  # success and no properties: both may be left out (3.4.2)
    blob[2::4] = bytes([packet_id >> 8 for packet_id in packet_ids])
    blob[3::4] = bytes([packet_id & 0xFF for packet_id in packet_ids])
    return bytes(blob)


def encode_publish(
    topic: bytes, payload: bytes, correlation: bytes | None, packet_id: int = 0
) -> bytes:
    """Return PUBLISH, not retained; at QoS 1 if there is a packet id, otherwise at QoS 0.

    Args:
        topic: With its length, as ``encode_text`` makes it.
        payload: The message.
        correlation: Correlation data.
        packet_id: 0 is none [MQTT-2.2.1-2].
    """
    middle = packet_id.to_bytes(2, "big") if packet_id else b""
    if correlation is None:
        properties = b"\0"
    elif len(correlation) < 0x80 - 3:
        size = len(correlation)
        properties = bytes((size + 3, Property.CORRELATION_DATA, 0, size)) + correlation
    else:
        properties = write({Property.CORRELATION_DATA: correlation})
    length = len(topic) + len(middle) + len(properties) + len(payload)
    first = PUBLISH_QOS_1 if packet_id else PUBLISH_QOS_0
    if length < 0x80:  # noqa: PLR2004 - 1.5.5: seven bits a byte
        head = bytes((first, length))
    elif length < 0x4000:  # noqa: PLR2004
        head = bytes((first, length & 0x7F | 0x80, length >> 7))
    else:
        head = bytes([first]) + encode_variable(length)
    return b"".join((head, topic, middle, properties, payload))


def as_duplicate(publish: bytes) -> bytes:
    """Return a PUBLISH at QoS 1 as it is sent again [MQTT-3.3.1-1]."""
    return bytes([publish[0] | _DUPLICATE]) + publish[1:]


def encode_disconnect(reason: ReasonCode = ReasonCode.SUCCESS) -> bytes:
    """Return DISCONNECT; the session stays at the server for its expiry interval."""
    if reason is ReasonCode.SUCCESS:
        return bytes([Packet.DISCONNECT << 4, 0])
    return _packet(Packet.DISCONNECT << 4, bytes([reason]))


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + encode_variable(len(body)) + body


def decode(first: int, fields: Cursor, names: dict[bytes, str]) -> Event:
    """Read one packet of a server.

    Args:
        first: Its first byte.
        fields: What follows the remaining length.
        names: Topics known by their bytes with length; new ones are put there.

    Raises:
        ProtocolError: It is malformed, or nothing that a server may send to us.
    """
    kind = first >> 4
    if kind == Packet.PUBLISH:
        return _publish(first, fields, names)
    if first & 0x0F:
        problem = f"reserved flags 0x{first:02x} [MQTT-2.1.3-1]"
        raise MalformedPacket(problem)
    try:
        read_body = _READERS[Packet(kind)]
    except (ValueError, KeyError):
        problem = f"a packet of type {kind}, which no server may send to a client at QoS 1 (2.1.2)"
        raise ProtocolError(problem) from None
    event = read_body(fields)
    fields.finish()
    return event


def _publish(first: int, fields: Cursor, names: dict[bytes, str]) -> Publish:
    qos = first >> _QOS_SHIFT & _QOS_MASK
    if qos == _QOS_MASK:
        problem = "a PUBLISH at QoS 3 [MQTT-3.3.1-4]"
        raise MalformedPacket(problem)
    if qos > 1:
        problem = "a PUBLISH at QoS 2, which we have not subscribed to [MQTT-3.8.4-8]"
        raise ProtocolError(problem, ReasonCode.QOS_NOT_SUPPORTED)
    if not qos and first & _DUPLICATE:
        problem = "a duplicate at QoS 0 [MQTT-3.3.1-2]"
        raise MalformedPacket(problem)
    topic = fields.binary()
    packet_id = _packet_id(fields) if qos else 0
    properties = read(fields, Packet.PUBLISH)
    if Property.TOPIC_ALIAS in properties:
        problem = "a topic alias, and none was offered [MQTT-3.1.2-27]"
        raise ProtocolError(problem, ReasonCode.TOPIC_ALIAS_INVALID)
    if not topic:
        problem = "a PUBLISH without a topic (3.3.2.1)"
        raise ProtocolError(problem)
    answer = properties.get(Property.RESPONSE_TOPIC)
    correlation = properties.get(Property.CORRELATION_DATA)
    assert answer is None or isinstance(answer, bytes)
    assert correlation is None or isinstance(correlation, bytes)
    return Publish(
        _name(topic, names) or "",
        fields.rest(),
        None if answer is None else _name(answer, names),
        correlation,
        packet_id,
    )


def _name(data: bytes, names: dict[bytes, str]) -> str | None:
    """Return a topic's text, kept among *names* if it is short; none if it is not to be read."""
    try:
        text = as_text(data)
    except MalformedPacket:
        return None
    if len(data) <= NAME_BYTES_MAX:
        names[encode_binary(data)] = text
    return text


def _connack(fields: Cursor) -> Connack:
    flags, reason = fields.uint8(), fields.uint8()
    if flags & ~_SESSION_PRESENT:
        problem = f"reserved flags 0x{flags:02x} in a CONNACK [MQTT-3.2.2-1]"
        raise MalformedPacket(problem)
    if flags and is_failure(reason):
        problem = "a refusal that keeps a session [MQTT-3.2.2-6]"
        raise ProtocolError(problem)
    found = read(fields, Packet.CONNACK)
    if Property.AUTHENTICATION_METHOD in found:
        problem = "an authentication method, and none was offered [MQTT-4.12.0-6]"
        raise ProtocolError(problem)
    return Connack(
        reason=reason,
        session_present=bool(flags),
        receive_max=_number(found, Property.RECEIVE_MAXIMUM, RECEIVE_MAX_DEFAULT),
        qos_max=_number(found, Property.MAXIMUM_QOS, QOS_MAX_DEFAULT),
        packet_bytes_max=_number(found, Property.MAXIMUM_PACKET_SIZE, 0) or None,
        keepalive_s=_number(found, Property.SERVER_KEEP_ALIVE, -1)
        if Property.SERVER_KEEP_ALIVE in found
        else None,
        assigned_client_id=_text(found, Property.ASSIGNED_CLIENT_IDENTIFIER) or None,
        text=_text(found, Property.REASON_STRING),
    )


def _puback(fields: Cursor) -> Puback:
    packet_id = _packet_id(fields)
    if fields.is_at_end:  # success (3.4.2.1)
        return Puback(packet_id)
    reason = fields.uint8()
    return Puback(packet_id, reason, _reason_string(fields, Packet.PUBACK))


def _suback(fields: Cursor) -> Suback:
    packet_id = _packet_id(fields)
    text = _text(read(fields, Packet.SUBACK), Property.REASON_STRING)
    return Suback(packet_id, tuple(fields.rest()), text)


def _pingresp(_fields: Cursor) -> Pingresp:
    return Pingresp()


def _disconnect(fields: Cursor) -> Disconnect:
    if fields.is_at_end:  # normal disconnection (3.14.2.1)
        return Disconnect()
    reason = fields.uint8()
    return Disconnect(reason, _reason_string(fields, Packet.DISCONNECT))


def _auth(fields: Cursor) -> Auth:
    if fields.is_at_end:  # success (3.15.2.1)
        return Auth()
    reason = fields.uint8()
    _reason_string(fields, Packet.AUTH)
    return Auth(reason)


_READERS: Final[Mapping[Packet, Callable[[Cursor], Event]]] = {
    Packet.CONNACK: _connack,
    Packet.PUBACK: _puback,
    Packet.SUBACK: _suback,
    Packet.PINGRESP: _pingresp,
    Packet.DISCONNECT: _disconnect,
    Packet.AUTH: _auth,
}


def _reason_string(fields: Cursor, packet: Packet) -> str:
    if fields.is_at_end:  # no properties at all (3.4.2.2.1, 3.14.2.2.1)
        return ""
    return _text(read(fields, packet), Property.REASON_STRING)


def _packet_id(fields: Cursor) -> int:
    packet_id = fields.uint16()
    if not packet_id:
        problem = "packet identifier 0 [MQTT-2.2.1-4]"
        raise ProtocolError(problem)
    return packet_id


def _number(found: Mapping[Property, int | str | bytes], name: Property, default: int) -> int:
    value = found.get(name, default)
    assert isinstance(value, int)
    return value


def _text(found: Mapping[Property, int | str | bytes], name: Property) -> str:
    value = found.get(name, "")
    assert isinstance(value, str)
    return value
