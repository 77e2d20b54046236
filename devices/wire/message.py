"""Messages of readings, and the receipts that answer them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from devices.errors import MalformedMessage
from devices.reading import Label, Problem, Reading, Utc, require_utc
from devices.wire.codec import UNDECODABLE, check_size_and_version, decode_versioned, encoder
from devices.wire.limits import READINGS_MAX, VERSION, GatewayId, Version


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One or many readings from one gateway."""

    v: Version
    gateway: GatewayId
    sent_at: Utc
    readings: Annotated[tuple[Reading, ...], Meta(min_length=1, max_length=READINGS_MAX)]

    def __post_init__(self) -> None:
        require_utc(self.sent_at)


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reading that was not stored. It lies whole in quarantine, so the gateway lets it go."""

    reading_id: UUID
    reason: Label
    detail: Problem = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ingest has committed of one message. Sent after COMMIT, never before.

    Attributes:
        stored: Readings that are in the database, now or since before.
        refused: Readings that are in quarantine.
        message_refused: Why the whole message is in quarantine, if it is; the gateway
            then knows by the correlation data which readings it was.
    """

    v: Version
    stored: Annotated[tuple[UUID, ...], Meta(max_length=READINGS_MAX)] = ()
    refused: Annotated[tuple[Refusal, ...], Meta(max_length=READINGS_MAX)] = ()
    message_refused: Problem | None = None


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
_receipt = msgspec.json.Decoder(Receipt)


def encode_message(gateway_id: str, sent_at: datetime, readings: Sequence[Reading]) -> bytes:
    """Return the wire message of 1 to ``READINGS_MAX`` readings."""
    if not 1 <= len(readings) <= READINGS_MAX:
        problem = f"a message holds 1 to {READINGS_MAX} readings, not {len(readings)}"
        raise ValueError(problem)
    return encoder.encode(
        Message(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=tuple(readings))
    )


def join_message(gateway_id: str, sent_at: datetime, encoded: Sequence[bytes]) -> bytes:
    """Return ``encode_message`` of readings that ``encode_reading`` has encoded before."""
    if not 1 <= len(encoded) <= READINGS_MAX:
        problem = f"a message holds 1 to {READINGS_MAX} readings, not {len(encoded)}"
        raise ValueError(problem)
    readings = [msgspec.Raw(text) for text in encoded]
    return encoder.encode(
        _Joined(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=readings)
    )


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

    Raises:
        MalformedMessage: Nothing in it can be read.
        UnsupportedVersion: It is of a version newer than ours.
    """
    check_size_and_version(payload)
    try:
        return _message.decode(payload), []
    except UNDECODABLE:
        return _decode_one_by_one(payload)  # the sound readings among them are kept


def reading_texts(payload: bytes) -> list[bytes]:
    """Return the readings of a message that can be read, as they stand in it.

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


def encode_receipt(receipt: Receipt) -> bytes:
    """Return *receipt* as it travels."""
    return encoder.encode(receipt)


def decode_receipt(payload: bytes) -> Receipt:
    """Return the receipt in *payload*; raises as ``decode_message``."""
    return decode_versioned(_receipt, payload)


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
