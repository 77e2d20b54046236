"""Fields (1.5): integers, strings and binary data, read in order and written."""

from typing import Final

from ingest.mqtt5.errors import MalformedPacket

TEXT_BYTES_MAX: Final = 0xFFFF
VARIABLE_MAX: Final = 268_435_455
_VARIABLE_BYTES_MAX: Final = 4
_MORE: Final = 0x80
_DIGIT: Final = 0x7F


class Cursor:
    """Reads fields in order; running off the end is ``MalformedPacket``.

    Args:
        data: Holds the packet.
        at: Where its first field begins.
        end: Where it ends; what follows is another's.
    """

    __slots__ = ("_data", "at", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self.at = at
        self.end = end

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self.at >= self.end

    def uint8(self) -> int:
        """Read a byte."""
        return self._take(1)[0]

    def uint16(self) -> int:
        """Read a two byte integer."""
        return int.from_bytes(self._take(2), "big")

    def uint32(self) -> int:
        """Read a four byte integer."""
        return int.from_bytes(self._take(4), "big")

    def variable(self) -> int:
        """Read a variable byte integer."""
        number = 0
        for place in range(_VARIABLE_BYTES_MAX):
            digit = self.uint8()
            number |= (digit & _DIGIT) << (7 * place)
            if digit < _MORE:
                if not digit and place:
                    problem = "a number with leading zeros [MQTT-1.5.5-1]"
                    raise MalformedPacket(problem)
                return number
        problem = f"a number of more than {_VARIABLE_BYTES_MAX} bytes (1.5.5)"
        raise MalformedPacket(problem)

    def binary(self) -> bytes:
        """Read binary data."""
        return self._take(self.uint16())

    def text(self) -> str:
        """Read a UTF-8 encoded string."""
        return as_text(self.binary())

    def rest(self) -> bytes:
        """Read what is left."""
        return self._take(self.end - self.at)

    def inner(self, length: int) -> "Cursor":
        """Return a cursor over the next *length* bytes, and pass over them."""
        start = self.at
        self._take(length)
        return Cursor(self._data, start, self.at)

    def finish(self) -> None:
        """Check that nothing is left."""
        if not self.is_at_end:
            problem = f"{self.end - self.at} bytes after the last field"
            raise MalformedPacket(problem)

    def _take(self, length: int) -> bytes:
        start, stop = self.at, self.at + length
        if stop > self.end:
            problem = "a field runs over the end of its packet"
            raise MalformedPacket(problem)
        self.at = stop
        return self._data[start:stop]


def as_text(data: bytes) -> str:
    """Decode a string.

    Raises:
        MalformedPacket: It is ill-formed [MQTT-1.5.4-1] or holds U+0000 [MQTT-1.5.4-2].
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problem = "a string that is not UTF-8 [MQTT-1.5.4-1]"
        raise MalformedPacket(problem) from error
    if "\0" in text:
        problem = "a string with U+0000 [MQTT-1.5.4-2]"
        raise MalformedPacket(problem)
    return text


def encode_variable(number: int) -> bytes:
    """Return a variable byte integer, as short as can be [MQTT-1.5.5-1]."""
    assert 0 <= number <= VARIABLE_MAX
    encoded = bytearray()
    while number > _DIGIT:
        encoded.append(number & _DIGIT | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def encode_binary(data: bytes) -> bytes:
    """Return binary data with its length."""
    assert len(data) <= TEXT_BYTES_MAX
    return len(data).to_bytes(2, "big") + data


def encode_text(text: str) -> bytes:
    """Return a string with its length."""
    assert "\0" not in text
    return encode_binary(text.encode())
