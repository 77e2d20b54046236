"""Device Information strings, characteristics 0x2A24 to 0x2A29 (DIS 1.2): UTF-8 text."""

from dataclasses import dataclass
from typing import Self

from devices.errors import MalformedPayload

_NAME = "Device Information string"


@dataclass(frozen=True, slots=True)
class DeviceInformation:
    """One string: model, serial number, firmware, hardware, software or manufacturer.

    Real devices fill a fixed field with zero bytes at the end, so those are cut off; a zero
    byte inside the text is refused, since no database or log takes it.
    """

    text: str

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It is not UTF-8, or has a zero byte inside.
        """
        try:
            text = payload.rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            raise MalformedPayload(_NAME, payload, f"not UTF-8 at byte {error.start}") from error
        if "\0" in text:
            raise MalformedPayload(_NAME, payload, "zero byte inside the text")
        return cls(text)

    def encode(self) -> bytes:
        """Return the characteristic value."""
        return self.text.encode()
