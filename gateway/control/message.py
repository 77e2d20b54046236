"""What is said over the control socket: JSON lines, each with a bound.

``do`` names a request, ``said`` an answer.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from devices.reading import DeviceId
from devices.wire import GatewayStatus, PairingStatus, require_named
from gateway.radio.passkey import PASSKEY_MAX

SOCKET_NAME: Final = "control.sock"

# A request is a hundred bytes. An answer may be the status of a gateway with all its devices.
REQUEST_BYTES_MAX: Final = 4096
ANSWER_BYTES_MAX: Final = 1 << 18

# Both ends are on one machine.
REQUEST_S_MAX: Final = 5.0

# Finding the device, reading how it is done, holding the button until it flashes.
PAIR_WITHIN_S_MAX: Final = 1800.0

_Model = Annotated[str, Meta(max_length=64)]


class AskPair(msgspec.Struct, frozen=True, tag="pair", tag_field="do", forbid_unknown_fields=True):
    """Pair with a device, or with the first of a model that is heard."""

    within_s: Annotated[float, Meta(gt=0, le=PAIR_WITHIN_S_MAX)]
    device_id: DeviceId | None = None
    model: _Model = ""

    def __post_init__(self) -> None:
        require_named(self.device_id, self.model)


class GivePasskey(
    msgspec.Struct, frozen=True, tag="passkey", tag_field="do", forbid_unknown_fields=True
):
    """The number the device shows."""

    passkey: Annotated[int, Meta(ge=0, le=PASSKEY_MAX)]


class Cancel(msgspec.Struct, frozen=True, tag="cancel", tag_field="do", forbid_unknown_fields=True):
    """Give the pairing up."""


class AskStatus(
    msgspec.Struct, frozen=True, tag="status", tag_field="do", forbid_unknown_fields=True
):
    """Say how the gateway is."""


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="said"):
    """Where the pairing stands; the last one says how it ended."""

    status: PairingStatus


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="said"):
    """How the gateway is."""

    status: GatewayStatus


class No(msgspec.Struct, frozen=True, tag="no", tag_field="said"):
    """It is not done: ``busy``, or ``malformed``."""

    why: str


Request = AskPair | GivePasskey | Cancel | AskStatus
Answer = Progress | Status | No

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()


async def request_from(reader: asyncio.StreamReader) -> Request:
    """Return the next request; raises as ``_line``, and ``MsgspecError`` if it is none."""
    return _requests.decode(await _line(reader))


async def answer_from(reader: asyncio.StreamReader) -> Answer:
    """Return the next answer; raises as ``request_from``."""
    return _answers.decode(await _line(reader))


def say(writer: asyncio.StreamWriter, message: Answer | Request) -> None:
    """Say something; to one who has hung up it is lost."""
    if not writer.is_closing():
        writer.write(_encoder.encode(message) + b"\n")


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next whole line.

    Raises:
        EOFError: The other end has hung up.
        msgspec.DecodeError: The line is too long.
    """
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        problem = "a line without an end"
        raise msgspec.DecodeError(problem) from error


@contextmanager
def address(data_dir: Path) -> Iterator[str]:
    """Give a path of the socket that fits: an address has 107 bytes, a directory's name more."""
    directory = os.open(data_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)
