"""Messages of readings: read in either version, as readings; written in columns."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from devices.errors import MalformedMessage
from devices.reading import Reading, Utc, require_utc
from devices.wire.codec import UNDECODABLE, decode_versioned, encoder, require_version
from devices.wire.columns import Columns, decode_columns, from_readings
from devices.wire.limits import COLUMNS_VERSION, READINGS_MAX, VERSION, GatewayId, Version
from devices.wire.rows import Rows
from devices.wire.topic import is_gateway_id


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One or many readings from one gateway."""

    v: Version
    gateway: GatewayId
    sent_at: Utc
    readings: Annotated[tuple[Reading, ...], Meta(min_length=1, max_length=READINGS_MAX)]

    def __post_init__(self) -> None:
        require_utc(self.sent_at)


class _Envelope(msgspec.Struct, kw_only=True):
    v: Version
    gateway: GatewayId
    sent_at: Utc
    readings: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=READINGS_MAX)]

    def __post_init__(self) -> None:
        require_utc(self.sent_at)


class _Joined(msgspec.Struct, kw_only=True):
    v: int
    gateway: str
    sent_at: datetime
    readings: list[msgspec.Raw]


class _Identity(msgspec.Struct):
    reading_id: UUID


_message = msgspec.json.Decoder(Message)
_envelope = msgspec.json.Decoder(_Envelope)
_reading = msgspec.json.Decoder(Reading)
_identity = msgspec.json.Decoder(_Identity)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def encode_message(gateway_id: str, sent_at: datetime, readings: Sequence[Reading]) -> bytes:
    """Return the wire message of 1 to ``READINGS_MAX`` readings, in columns."""
    _require_count(readings)
    return encoder.encode(from_readings(gateway_id, sent_at, readings))


def encode_rows(gateway_id: str, sent_at: datetime, readings: Sequence[Reading]) -> bytes:
    """Return the message of version 1, which gateways sent before."""
    _require_count(readings)
    return encoder.encode(
        Message(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=tuple(readings))
    )


def join_message(gateway_id: str, sent_at: datetime, encoded: Sequence[bytes]) -> bytes:
    """Return ``encode_message`` of readings that ``encode_reading`` has encoded before.

    Should one of them be no reading to us, they go as they are, in version 1: ingest then
    refuses that one with a reason, and stores the others.
    """
    _require_count(encoded)
    try:
        readings = [_reading.decode(text) for text in encoded]
    except UNDECODABLE:
        texts = [msgspec.Raw(text) for text in encoded]
        return encoder.encode(
            _Joined(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=texts)
        )
    return encoder.encode(from_readings(gateway_id, sent_at, readings))


def encode_reading(reading: Reading) -> bytes:
    """Return one reading as it stands in a message: what an outbox row keeps."""
    return encoder.encode(reading)


def decode_reading(text: bytes) -> Reading:
    """Return the reading in *text*.

    Raises:
        MalformedMessage: It does not follow the format.
    """
    try:
        return _reading.decode(text)
    except UNDECODABLE as error:
        raise MalformedMessage(text, str(error)) from error


def decode_message(payload: bytes) -> tuple[Message, list[MalformedMessage]]:
    """Return the readable part of a message, and one error for each reading that is not.

    Of either version; readings out of columns cost ten times as much as the columns.

    Raises:
        MalformedMessage: Nothing in it can be read.
        UnsupportedVersion: It is of a version newer than ours.
    """
    if require_version(payload, COLUMNS_VERSION) == COLUMNS_VERSION:
        return _from_columns(payload, decode_columns(payload))
    try:
        return _message.decode(payload), []
    except UNDECODABLE:
        return _decode_one_by_one(payload)  # the sound readings among them are kept


def reading_texts(payload: bytes) -> list[bytes]:
    """Return the readings of a message of version 1 that can be read, as they stand in it.

    In the order of ``decode_message``'s readings. For keeping one whole: a reading encoded again
    would have lost what a newer writer put there.

    Raises:
        MalformedMessage: Nothing in it can be read.
    """
    texts = []
    for text in decode_versioned(_envelope, payload).readings:
        try:
            _reading.decode(text)
        except UNDECODABLE:
            continue
        texts.append(bytes(text))
    return texts


def find_reading_id(text: bytes) -> UUID | None:
    """Return the id in a reading that may be malformed otherwise, so that it can be refused."""
    try:
        return _identity.decode(text).reading_id
    except UNDECODABLE:
        return None


def _require_count(readings: Sequence[object]) -> None:
    if not 1 <= len(readings) <= READINGS_MAX:
        problem = f"a message holds 1 to {READINGS_MAX} readings, not {len(readings)}"
        raise ValueError(problem)


def _from_columns(payload: bytes, columns: Columns) -> tuple[Message, list[MalformedMessage]]:
    if not is_gateway_id(columns.gateway):
        raise MalformedMessage(payload, "its gateway's id is none")
    sound: list[Reading] = []
    errors: list[MalformedMessage] = []
    for position, text in enumerate(Rows(columns)):
        try:
            sound.append(_reading.decode(text))
        except UNDECODABLE as error:
            errors.append(MalformedMessage(text, f"reading {position}: {error}"))
    message = Message(
        v=columns.v,
        gateway=columns.gateway,
        sent_at=_EPOCH + timedelta(microseconds=columns.sent_at),
        readings=tuple(sound),
    )
    return message, errors


def _decode_one_by_one(payload: bytes) -> tuple[Message, list[MalformedMessage]]:
    try:
        envelope = _envelope.decode(payload)
    except UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error
    sound: list[Reading] = []
    errors: list[MalformedMessage] = []
    for position, text in enumerate(envelope.readings):
        try:
            sound.append(_reading.decode(text))
        except UNDECODABLE as error:
            errors.append(MalformedMessage(bytes(text), f"reading {position}: {error}"))
    message = Message(
        v=envelope.v, gateway=envelope.gateway, sent_at=envelope.sent_at, readings=tuple(sound)
    )
    return message, errors
