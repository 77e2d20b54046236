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
    """Return what *decoder* makes of *payload*.

    Raises:
        MalformedMessage: It does not follow the format.
        UnsupportedVersion: It is of a version newer than ours.
    """
    check_size_and_version(payload)
    try:
        return decoder.decode(payload)
    except UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error


def check_size_and_version(payload: bytes) -> None:
    """Raise as ``decode_versioned`` for what is too large, or not of our version."""
    if len(payload) > MESSAGE_BYTES_MAX:
        problem = f"{len(payload)} bytes, more than {MESSAGE_BYTES_MAX}"
        raise MalformedMessage(payload, problem)
    try:
        version = _version.decode(payload).v
    except UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error
    if version != VERSION:
        raise UnsupportedVersion(payload, version, VERSION)
