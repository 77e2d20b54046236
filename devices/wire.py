"""What travels over MQTT: messages of readings, receipts, gateway status; topics.

The only module that knows the format (docs/decisions/0002-wire-format.md). JSON, the version
first. A reader refuses a version newer than its own with a reason; readers are upgraded
before writers. The gateway id stands both in the topic and in the message, so ingest can
hold one against the other.
"""

import enum
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from devices.errors import MalformedMessage, UnsupportedVersion
from devices.reading import Label, Problem, Reading, Utc, require_utc

VERSION: Final = 1
TOPIC_ROOT: Final = "egenmonitor/v1"

# 200 readings of 600 bytes are 120 kB; a broker's usual limit is 256 kB and above.
READINGS_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = 256 * 1024

# What a person reads of a gateway: a screenful.
PROBLEMS_MAX: Final = 32

_GATEWAY_ID = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
GatewayId = Annotated[str, Meta(pattern=_GATEWAY_ID)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # whole in every JSON reader
Word = Annotated[str, Meta(pattern=r"^[^\x00]{0,64}$(?!\n)")]

_T = TypeVar("_T")


class TopicKind(enum.StrEnum):
    """The last level of a topic."""

    READINGS = "readings"  # gateway → ingest, QoS 1
    RECEIPTS = "receipts"  # ingest → gateway, QoS 1
    STATUS = "status"  # gateway → everyone, retained: birth, heartbeat, last will
    CONFIG = "config"  # server → gateway, retained


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


class GatewayState(enum.StrEnum):
    """What a status message says of its gateway."""

    ONLINE = "online"  # birth and every heartbeat
    STOPPED = "stopped"  # told to stop, and said goodbye
    LOST = "lost"  # the last will: the broker lost the connection


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Birth, heartbeat and last will of a gateway; retained, so silence is visible.

    Attributes:
        at: When it was said; none in a last will, which was written at connect.
        inbox: Raw values not yet made into readings.
        outbox: Readings without a receipt.
        oldest_at: When the oldest of those was received.
        last_reading_at: When the last reading was received from any device.
        radio: What the radio is doing, in one word.
        problems: What a person should see to, in words.
    """

    v: Version
    gateway: GatewayId
    state: GatewayState
    at: Utc | None = None
    version: Word = ""
    inbox: Count = 0
    outbox: Count = 0
    oldest_at: Utc | None = None
    last_reading_at: Utc | None = None
    radio: Word = ""
    problems: Annotated[tuple[Problem, ...], Meta(max_length=PROBLEMS_MAX)] = ()

    def __post_init__(self) -> None:
        for moment in (self.at, self.oldest_at, self.last_reading_at):
            if moment is not None:
                require_utc(moment)


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


class _Version(msgspec.Struct):
    v: Version


class _Identity(msgspec.Struct):
    reading_id: UUID


# All that msgspec raises for bytes that are not what they should be.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_version = msgspec.json.Decoder(_Version)
_message = msgspec.json.Decoder(Message)
_envelope = msgspec.json.Decoder(_Envelope)
_reading = msgspec.json.Decoder(Reading)
_identity = msgspec.json.Decoder(_Identity)
_receipt = msgspec.json.Decoder(Receipt)
_status = msgspec.json.Decoder(GatewayStatus)


def is_gateway_id(text: str) -> bool:
    """Return whether *text* can name a gateway: 1–64 letters, digits, ``_`` or ``-``."""
    return re.fullmatch(_GATEWAY_ID, text) is not None


def topic(gateway_id: str, kind: TopicKind) -> str:
    """Return the topic of one gateway. ``+`` as *gateway_id* makes the filter for all."""
    return f"{TOPIC_ROOT}/{gateway_id}/{kind}"


def parse_topic(name: str) -> tuple[str, TopicKind]:
    """Return gateway id and kind of a topic name; ``ValueError`` if it is none of ours."""
    parts = name.split("/")
    root = TOPIC_ROOT.split("/")
    if len(parts) != len(root) + 2 or parts[:-2] != root or not is_gateway_id(parts[-2]):
        problem = f"not a topic of ours: {name!r}"
        raise ValueError(problem)
    return parts[-2], TopicKind(parts[-1])


def encode_message(gateway_id: str, sent_at: datetime, readings: Sequence[Reading]) -> bytes:
    """Return the wire message of 1 to ``READINGS_MAX`` readings."""
    if not 1 <= len(readings) <= READINGS_MAX:
        problem = f"a message holds 1 to {READINGS_MAX} readings, not {len(readings)}"
        raise ValueError(problem)
    return _encoder.encode(
        Message(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=tuple(readings))
    )


def join_message(gateway_id: str, sent_at: datetime, encoded: Sequence[bytes]) -> bytes:
    """Return ``encode_message`` of readings that ``encode_reading`` has encoded before."""
    if not 1 <= len(encoded) <= READINGS_MAX:
        problem = f"a message holds 1 to {READINGS_MAX} readings, not {len(encoded)}"
        raise ValueError(problem)
    readings = [msgspec.Raw(text) for text in encoded]
    return _encoder.encode(
        _Joined(v=VERSION, gateway=gateway_id, sent_at=sent_at, readings=readings)
    )


def encode_reading(reading: Reading) -> bytes:
    """Return one reading as it stands in a message: what an outbox row keeps."""
    return _encoder.encode(reading)


def decode_reading(text: bytes) -> Reading:
    """Return the reading in *text*.

    Raises:
        MalformedMessage: It does not follow the format.
    """
    try:
        return _reading.decode(text)
    except _UNDECODABLE as error:
        raise MalformedMessage(text, str(error)) from error


def decode_message(payload: bytes) -> tuple[Message, list[MalformedMessage]]:
    """Return the readable part of a message, and one error for each reading that is not.

    Raises:
        MalformedMessage: Nothing in it can be read.
        UnsupportedVersion: It is of a version newer than ours.
    """
    _check_size_and_version(payload)
    try:
        return _message.decode(payload), []
    except _UNDECODABLE:
        return _decode_one_by_one(payload)  # the sound readings among them are kept


def reading_texts(payload: bytes) -> list[bytes]:
    """Return the readings of a message that can be read, as they stand in it.

    In the order of ``decode_message``'s readings. For keeping one whole: a reading encoded again
    would have lost what a newer writer put there.

    Raises:
        MalformedMessage: Nothing in it can be read.
    """
    texts = []
    for text in _decode_versioned(_envelope, payload).readings:
        try:
            _reading.decode(text)
        except _UNDECODABLE:
            continue
        texts.append(bytes(text))
    return texts


def find_reading_id(text: bytes) -> UUID | None:
    """Return the id in a reading that may be malformed otherwise, so that it can be refused."""
    try:
        return _identity.decode(text).reading_id
    except _UNDECODABLE:
        return None


def encode_receipt(receipt: Receipt) -> bytes:
    """Return *receipt* as it travels."""
    return _encoder.encode(receipt)


def decode_receipt(payload: bytes) -> Receipt:
    """Return the receipt in *payload*; raises as ``decode_message``."""
    return _decode_versioned(_receipt, payload)


def encode_status(status: GatewayStatus) -> bytes:
    """Return *status* as it travels."""
    return _encoder.encode(status)


def decode_status(payload: bytes) -> GatewayStatus:
    """Return the status in *payload*; raises as ``decode_message``."""
    return _decode_versioned(_status, payload)


def _decode_versioned(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T:
    _check_size_and_version(payload)
    try:
        return decoder.decode(payload)
    except _UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error


def _check_size_and_version(payload: bytes) -> None:
    if len(payload) > MESSAGE_BYTES_MAX:
        problem = f"{len(payload)} bytes, more than {MESSAGE_BYTES_MAX}"
        raise MalformedMessage(payload, problem)
    try:
        version = _version.decode(payload).v
    except _UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error
    if version != VERSION:
        raise UnsupportedVersion(payload, version, VERSION)


def _decode_one_by_one(payload: bytes) -> tuple[Message, list[MalformedMessage]]:
    try:
        envelope = _envelope.decode(payload)
    except _UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error
    sound: list[Reading] = []
    errors: list[MalformedMessage] = []
    for position, text in enumerate(envelope.readings):
        try:
            sound.append(_reading.decode(text))
        except _UNDECODABLE as error:
            errors.append(MalformedMessage(bytes(text), f"reading {position}: {error}"))
    message = Message(
        v=envelope.v, gateway=envelope.gateway, sent_at=envelope.sent_at, readings=tuple(sound)
    )
    return message, errors
