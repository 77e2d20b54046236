"""Bytes to a versioned struct, or a named error: what every kind of message has in common."""

from typing import TypeVar

import msgspec

from devices.errors import MalformedMessage, UnsupportedVersion
from devices.wire.limits import MESSAGE_BYTES_MAX, VERSION, Version

T = TypeVar("T")

# All that msgspec raises for bytes that are not what they should be.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Version(msgspec.Struct):
    v: Version


encoder = msgspec.json.Encoder()
_version = msgspec.json.Decoder(_Version)


def decode_versioned(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """Return what *decoder* makes of *payload*, which is of version 1.

    Raises:
        MalformedMessage: It does not follow the format.
        UnsupportedVersion: It is of a version newer than ours.
    """
    require_version(payload, VERSION)
    return decode(decoder, payload)


def decode(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """Return what *decoder* makes of *payload*, or raise ``MalformedMessage``."""
    try:
        return decoder.decode(payload)
    except UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error


def require_version(payload: bytes, newest: int) -> int:
    """Return the version of *payload*, from 1 to *newest*; raise for another, or for its size.

    Raises:
        MalformedMessage: It does not follow the format.
        UnsupportedVersion: It is of a version that is not read.
    """
    require_size(payload)
    version = decode(_version, payload).v
    if not 1 <= version <= newest:
        raise UnsupportedVersion(payload, version, newest)
    return version


def require_size(payload: bytes) -> None:
    """Raise ``MalformedMessage`` for what is too large to be read."""
    if len(payload) > MESSAGE_BYTES_MAX:
        problem = f"{len(payload)} bytes, more than {MESSAGE_BYTES_MAX}"
        raise MalformedMessage(payload, problem)
