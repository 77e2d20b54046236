"""Properties (2.2.2): which there are, of what type, and where a server may send them."""

from enum import IntEnum
from typing import Final

from ingest.mqtt5.errors import MalformedPacket, ProtocolError
from ingest.mqtt5.fields import Cursor, encode_binary, encode_text, encode_variable


class Packet(IntEnum):
    """Control packet types (2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Property(IntEnum):
    """Identifiers (2.2.2.2)."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


_P = Property
_BYTES: Final = frozenset(
    {
        _P.PAYLOAD_FORMAT_INDICATOR,
        _P.MAXIMUM_QOS,
        _P.RETAIN_AVAILABLE,
        _P.WILDCARD_SUBSCRIPTION_AVAILABLE,
        _P.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        _P.SHARED_SUBSCRIPTION_AVAILABLE,
    }
)
_ZERO_OR_ONE: Final = _BYTES - {_P.PAYLOAD_FORMAT_INDICATOR}  # which is the sender's, see below
_UINT16: Final = frozenset(
    {_P.SERVER_KEEP_ALIVE, _P.RECEIVE_MAXIMUM, _P.TOPIC_ALIAS_MAXIMUM, _P.TOPIC_ALIAS}
)
_UINT32: Final = frozenset(
    {_P.MESSAGE_EXPIRY_INTERVAL, _P.SESSION_EXPIRY_INTERVAL, _P.MAXIMUM_PACKET_SIZE}
)
# The sender's own words, which a broker need not check. A client that is led to close the
# connection by another's odd string would be led so again at every redelivery, so these are
# carried as bytes and judged by who reads them.
_OTHERS_WORDS: Final = frozenset({_P.CONTENT_TYPE, _P.RESPONSE_TOPIC, _P.CORRELATION_DATA})
_BINARY: Final = frozenset({_P.AUTHENTICATION_DATA})
_NOT_ZERO: Final = frozenset(
    {_P.RECEIVE_MAXIMUM, _P.MAXIMUM_PACKET_SIZE, _P.SUBSCRIPTION_IDENTIFIER}
)
_ANSWER: Final = frozenset({_P.REASON_STRING, _P.USER_PROPERTY})
_ALLOWED: Final[dict[Packet, frozenset[Property]]] = {
    Packet.CONNACK: _ANSWER
    | (_BYTES - {_P.PAYLOAD_FORMAT_INDICATOR})
    | {
        _P.SESSION_EXPIRY_INTERVAL,
        _P.ASSIGNED_CLIENT_IDENTIFIER,
        _P.SERVER_KEEP_ALIVE,
        _P.AUTHENTICATION_METHOD,
        _P.AUTHENTICATION_DATA,
        _P.RESPONSE_INFORMATION,
        _P.SERVER_REFERENCE,
        _P.RECEIVE_MAXIMUM,
        _P.TOPIC_ALIAS_MAXIMUM,
        _P.MAXIMUM_PACKET_SIZE,
    },
    Packet.PUBLISH: _OTHERS_WORDS
    | {
        _P.PAYLOAD_FORMAT_INDICATOR,
        _P.MESSAGE_EXPIRY_INTERVAL,
        _P.SUBSCRIPTION_IDENTIFIER,
        _P.TOPIC_ALIAS,
        _P.USER_PROPERTY,
    },
    Packet.PUBACK: _ANSWER,
    Packet.SUBACK: _ANSWER,
    Packet.DISCONNECT: _ANSWER | {_P.SESSION_EXPIRY_INTERVAL, _P.SERVER_REFERENCE},
    Packet.AUTH: _ANSWER | {_P.AUTHENTICATION_METHOD, _P.AUTHENTICATION_DATA},
}

Value = int | str | bytes
Properties = dict[Property, Value]


def read(fields: Cursor, packet: Packet) -> Properties:
    """Read the properties of a *packet*; those of the user are checked and passed over.

    Raises:
        MalformedPacket: An unknown one, one of another packet (2.2.2.2), or bytes that do not fit.
        ProtocolError: One twice, or with a value it cannot have.
    """
    inner = fields.inner(fields.variable())
    found: Properties = {}
    while not inner.is_at_end:
        name = _name(inner.variable(), packet)
        if name is Property.USER_PROPERTY:
            _skip_user_property(inner, packet)
            continue
        if name in found and name is not Property.SUBSCRIPTION_IDENTIFIER:
            problem = f"{name.name} twice in a {packet.name} (3.{packet.value})"
            raise ProtocolError(problem)
        found[name] = _value(inner, name)
    return found


def _name(number: int, packet: Packet) -> Property:
    try:
        name = Property(number)
    except ValueError:
        problem = f"no property 0x{number:02x} (2.2.2.2)"
        raise MalformedPacket(problem) from None
    if name not in _ALLOWED[packet]:
        problem = f"{name.name} in a {packet.name} (2.2.2.2)"
        raise MalformedPacket(problem)
    return name


def _skip_user_property(fields: Cursor, packet: Packet) -> None:
    if packet is Packet.PUBLISH:  # see _OTHERS_WORDS
        fields.binary()
        fields.binary()
    else:
        fields.text()  # [MQTT-1.5.7-1]
        fields.text()


def _value(fields: Cursor, name: Property) -> Value:
    value: Value
    if name in _BYTES:
        value = fields.uint8()
        if value > 1 and name in _ZERO_OR_ONE:
            problem = f"{name.name} is {value}, not 0 or 1"
            raise ProtocolError(problem)
    elif name in _UINT16:
        value = fields.uint16()
    elif name in _UINT32:
        value = fields.uint32()
    elif name is Property.SUBSCRIPTION_IDENTIFIER:
        value = fields.variable()
    elif name in _OTHERS_WORDS or name in _BINARY:
        value = fields.binary()
    else:
        value = fields.text()
    if not value and name in _NOT_ZERO:
        problem = f"{name.name} is 0"
        raise ProtocolError(problem)
    return value


def write(properties: Properties) -> bytes:
    """Return *properties* with their length; none are one zero byte [MQTT-2.2.2-1]."""
    parts = b"".join(bytes([name]) + _written(name, value) for name, value in properties.items())
    return encode_variable(len(parts)) + parts


def _written(name: Property, value: Value) -> bytes:
    if isinstance(value, bytes):
        return encode_binary(value)
    if isinstance(value, str):
        return encode_text(value)
    if name is Property.SUBSCRIPTION_IDENTIFIER:
        return encode_variable(value)
    return value.to_bytes(1 if name in _BYTES else 2 if name in _UINT16 else 4, "big")
