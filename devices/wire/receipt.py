"""Receipts: what ingest has committed or refused of one message."""

import base64
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from devices.errors import MalformedMessage
from devices.reading import Label, Problem
from devices.wire.codec import decode, encoder, require_version
from devices.wire.columns import ID_BYTES
from devices.wire.limits import COLUMNS_VERSION, READINGS_MAX, VERSION, Version


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


class PackedReceipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A receipt of version 2: as version 1, but ``stored`` is ids of 16 bytes one after the other.

    It answers a message in columns.
    """

    v: Literal[2]
    stored: Annotated[bytes, Meta(max_length=ID_BYTES * READINGS_MAX)] = b""
    refused: Annotated[tuple[Refusal, ...], Meta(max_length=READINGS_MAX)] = ()
    message_refused: Problem | None = None


_receipt = msgspec.json.Decoder(Receipt)
_packed = msgspec.json.Decoder(PackedReceipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """Return *receipt* as it travels, in its version."""
    if receipt.v != COLUMNS_VERSION:
        return encoder.encode(receipt)
    return encoder.encode(
        PackedReceipt(
            v=COLUMNS_VERSION,
            stored=b"".join([one.bytes for one in receipt.stored]),
            refused=receipt.refused,
            message_refused=receipt.message_refused,
        )
    )


def encode_stored(reading_ids: bytes) -> bytes:
    """Return the receipt of version 2 that all is stored, by the ids as a message packs them."""
    return b'{"v":2,"stored":"%b"}' % base64.b64encode(reading_ids)


def decode_receipt(payload: bytes) -> Receipt:
    """Return the receipt in *payload*, of either version; raises as ``decode_message``."""
    if require_version(payload, COLUMNS_VERSION) == VERSION:
        return decode(_receipt, payload)
    packed = decode(_packed, payload)
    if len(packed.stored) % ID_BYTES:
        raise MalformedMessage(payload, f"{len(packed.stored)} bytes of ids")
    ids = range(0, len(packed.stored), ID_BYTES)
    return Receipt(
        v=packed.v,
        stored=tuple(UUID(bytes=packed.stored[place : place + ID_BYTES]) for place in ids),
        refused=packed.refused,
        message_refused=packed.message_refused,
    )
