"""MQTT 5 packets by hand, written from the specification and sharing no code with ingest."""

import itertools
from collections.abc import Sequence

from hypothesis import strategies as st


def variable(number: int) -> bytes:
    """Variable byte integer (1.5.5)."""
    out = b""
    while True:
        digit, number = number % 128, number // 128
        if not number:
            return out + bytes([digit])
        out += bytes([digit + 128])


def text(data: bytes | str) -> bytes:
    """String or binary data (1.5.4, 1.5.6)."""
    raw = data.encode() if isinstance(data, str) else data
    return bytes([len(raw) // 256, len(raw) % 256]) + raw


def packet(first: int, body: bytes) -> bytes:
    """A whole packet (2.1)."""
    return bytes([first]) + variable(len(body)) + body


def connack(reason: int = 0, flags: int = 0, properties: bytes = b"") -> bytes:
    """CONNACK (3.2)."""
    return packet(0x20, bytes([flags, reason]) + variable(len(properties)) + properties)


def publish(
    topic: bytes | str,
    payload: bytes,
    packet_id: int | None = 1,
    properties: bytes = b"",
    flags: int = 0,
) -> bytes:
    """PUBLISH (3.3), at QoS 1 when there is a packet id."""
    first = 0x30 | flags | (0x02 if packet_id is not None else 0)
    middle = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    return packet(first, text(topic) + middle + variable(len(properties)) + properties + payload)


def suback(packet_id: int, reasons: Sequence[int] = (1,)) -> bytes:
    """SUBACK (3.9)."""
    return packet(0x90, packet_id.to_bytes(2, "big") + b"\0" + bytes(reasons))


def puback(packet_id: int, reason: int | None = None) -> bytes:
    """PUBACK (3.4)."""
    tail = b"" if reason is None else bytes([reason])
    return packet(0x40, packet_id.to_bytes(2, "big") + tail)


def disconnect(reason: int, properties: bytes = b"") -> bytes:
    """DISCONNECT (3.14)."""
    return packet(0xE0, bytes([reason]) + variable(len(properties)) + properties)


_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_properties_of_publish = st.lists(
    st.one_of(
        st.sampled_from([b"\x01\x00", b"\x01\x01", b"\x02\0\0\0\x09", b"\x0b\x05"]),
        st.builds(lambda a: b"\x03" + text(a), _texts),
        st.builds(lambda a: b"\x08" + text(a), st.sampled_from(["r", "a/receipts", ""])),
        st.builds(lambda a: b"\x09" + text(a), st.binary(max_size=40)),
        st.builds(lambda a, b: b"\x26" + text(a) + text(b), _texts, _texts),
    ),
    max_size=4,
    unique_by=lambda one: one[0],
).map(b"".join)
_usual = st.builds(
    lambda a, c: b"\x08" + text(a) + b"\x09" + text(c),
    st.sampled_from(["g-1/receipts", "g-2/receipts"]),
    st.binary(max_size=16),
)
publishes = st.builds(
    publish,
    st.sampled_from(["g-1/readings", "g-2/readings", "å/ä"]),
    st.binary(max_size=200),
    st.one_of(st.none(), st.integers(1, 0xFFFF)),
    st.one_of(_usual, _usual, st.just(b""), _properties_of_publish),
    st.just(0),
)
others = st.one_of(
    st.builds(puback, st.integers(1, 0xFFFF), st.sampled_from([None, 0, 0x10, 0x87])),
    st.builds(suback, st.integers(1, 0xFFFF)),
    st.builds(disconnect, st.sampled_from([0x8E, 0x8B]), st.just(b"\x1f" + text("why"))),
    st.builds(connack, st.sampled_from([0, 0x87]), st.just(0), st.just(b"\x21\0\x14\x27\0\1\0\0")),
    st.just(b"\xd0\x00"),
)
# Streams as a server may send them, in packets.
streams = st.lists(st.one_of(publishes, publishes, publishes, others), max_size=12)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream with some bytes changed, left out or put in."""
    stream = bytearray(b"".join(draw(streams)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        match draw(st.sampled_from(["change", "cut", "add"])):
            case "change" if at < len(stream):
                stream[at] = draw(st.sampled_from([0, 1, 0x32, 0x7F, 0x80, 0xFF, *range(8, 12)]))
            case "cut":
                del stream[at : at + draw(st.integers(1, 5))]
            case _:
                stream[at:at] = draw(st.binary(min_size=1, max_size=5))
    return bytes(stream)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return *data* in pieces that end at *places*."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]
