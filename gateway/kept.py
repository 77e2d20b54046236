"""The last good configuration on the disk: ``config.json`` in the data directory, 0600."""

import os
from pathlib import Path
from typing import Final

import msgspec

from devices.errors import MalformedMessage
from devices.wire import MESSAGE_BYTES_MAX, GatewayConfig, PairingStatus, decode_config

FILE_NAME: Final = "config.json"
FRESH_NAME: Final = "config.new"  # until it is whole
_VERSION: Final = 1
# A configuration is at most one message; beside it stands one pairing.
_BYTES_MAX: Final = MESSAGE_BYTES_MAX + 4096


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a restart must not forget.

    Attributes:
        config: The configuration in force, if one came down.
        tried: The pairing that was begun: it is not begun again.
        ended: How that one ended.
    """

    config: GatewayConfig | None = None
    tried: str | None = None
    ended: PairingStatus | None = None


class Unreadable(Exception):
    """The file is there and cannot be used."""


class _File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    v: int
    config: msgspec.Raw = msgspec.Raw(b"null")
    tried: str | None = None
    ended: PairingStatus | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_File)


def read_kept(directory: Path, gateway_id: str) -> Kept:
    """Return what was kept; nothing if there is no file.

    Raises:
        Unreadable: It cannot be read, or is another gateway's.
    """
    try:
        with (directory / FILE_NAME).open("rb") as file:
            text = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        problem = f"{FILE_NAME} cannot be read ({error.strerror})"
        raise Unreadable(problem) from error
    try:
        found = _decoder.decode(text)
        raw = bytes(found.config)
        config = None if raw == b"null" else decode_config(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedMessage) as error:
        problem = f"{FILE_NAME} is damaged ({error})"
        raise Unreadable(problem) from error
    if found.v != _VERSION:
        problem = f"{FILE_NAME} is of version {found.v}, not {_VERSION}"
        raise Unreadable(problem)
    if config is not None and config.gateway != gateway_id:
        problem = f"{FILE_NAME} is gateway {config.gateway}'s"
        raise Unreadable(problem)
    return Kept(config=config, tried=found.tried, ended=found.ended)


def write_kept(directory: Path, kept: Kept) -> None:
    """Put *kept* in place of what was: whole or not at all, also in a power cut.

    Raises:
        OSError: It cannot be written; what was is still there.
    """
    config = msgspec.Raw(_encoder.encode(kept.config))
    text = _encoder.encode(_File(v=_VERSION, config=config, tried=kept.tried, ended=kept.ended))
    path = directory / FILE_NAME
    fresh = directory / FRESH_NAME
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
