"""Delivery → columns, and what is refused before any reading is looked at."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from devices import wire
from devices.errors import MalformedMessage, UnsupportedVersion
from devices.wire import COLUMNS_HEAD, decode_columns
from ingest.delivery import Delivery
from ingest.quarantine import Reason, Refused

# As wire.parse_topic, in one go: it stands on the way of every message.
_TOPIC: Final = re.compile(wire.topic("([A-Za-z0-9_-]{1,64})", wire.TopicKind.READINGS))


class Incoming(msgspec.Struct, frozen=True):
    """One delivery, decoded. A struct of msgspec, which is the quickest made.

    Attributes:
        gateway_id: By the topic, which the broker's access list holds the gateway to; "" if the
            topic is no gateway's.
        columns: The readings. Some of their rows may be beyond the format's limits, which
            ``ingest.batch`` finds; none if no reading can be read.
        count: How many readings are in ``columns``.
        version: Of the message, and so of its receipt; 1, which every gateway reads, if it is
            not known.
        refused: Rows for quarantine: the whole message, or readings of version 1.
        refused_whole: Nothing in the message can be read or named; the receipt says so.
    """

    delivery: Delivery
    gateway_id: str
    columns: wire.Columns | None = None
    count: int = 0
    version: int = wire.VERSION
    refused: Sequence[Refused] = ()
    refused_whole: bool = False

    @property
    def topic(self) -> str:
        """Where it came."""
        return self.delivery.topic

    @property
    def payload(self) -> bytes:
        """The message as it came."""
        return self.delivery.payload

    @property
    def arrived_at(self) -> datetime:
        """When it came, by ingest's clock."""
        return self.delivery.arrived_at


def decode(delivery: Delivery) -> Incoming:
    """Read *delivery*. Never raises: what cannot be read is refused with a reason."""
    match = _TOPIC.fullmatch(delivery.topic)
    if match is None:
        return _elsewhere(delivery)
    gateway_id = match[1]
    try:
        if not delivery.payload.startswith(COLUMNS_HEAD):
            version = wire.require_version(delivery.payload, wire.COLUMNS_VERSION)
            if version == wire.VERSION:
                return _rows(delivery, gateway_id)
        columns = decode_columns(delivery.payload)
    except UnsupportedVersion as error:
        return _whole(delivery, gateway_id, Reason.UNSUPPORTED_VERSION, error.problem)
    except MalformedMessage as error:
        return _whole(delivery, gateway_id, Reason.MALFORMED_MESSAGE, error.problem)
    if columns.gateway != gateway_id:
        return _mismatch(delivery, gateway_id, columns.gateway, columns.v)
    return Incoming(delivery, gateway_id, columns, len(columns.measured_at), columns.v)


def _rows(delivery: Delivery, gateway_id: str) -> Incoming:
    """Read a message of version 1, reading by reading; raises as ``wire.decode_message``."""
    message, errors = wire.decode_message(delivery.payload)
    if message.gateway != gateway_id:
        return _mismatch(delivery, gateway_id, message.gateway, message.v)
    refused = [_malformed(delivery, gateway_id, error) for error in errors]
    readings = message.readings
    return Incoming(
        delivery,
        gateway_id,
        wire.columns_of(gateway_id, message.sent_at, readings) if readings else None,
        len(readings),
        refused=refused,
        refused_whole=not readings and all(row.reading_id is None for row in refused),
    )


def _elsewhere(delivery: Delivery) -> Incoming:
    try:
        gateway_id, kind = wire.parse_topic(delivery.topic)
    except ValueError as error:
        return _whole(delivery, "", Reason.MALFORMED_MESSAGE, str(error))
    return _whole(delivery, gateway_id, Reason.MALFORMED_MESSAGE, f"no readings come as {kind}")


def _mismatch(delivery: Delivery, gateway_id: str, named: str, version: int) -> Incoming:
    detail = f"the topic is of {gateway_id}, the message of {named}"
    return _whole(delivery, gateway_id, Reason.GATEWAY_MISMATCH, detail, version)


def _whole(
    delivery: Delivery, gateway_id: str, reason: Reason, detail: str, version: int = wire.VERSION
) -> Incoming:
    refused = Refused(
        reason=reason,
        detail=detail,
        gateway_id=gateway_id,
        topic=delivery.topic,
        arrived_at=delivery.arrived_at,
        content=delivery.payload,
    )
    return Incoming(delivery, gateway_id, version=version, refused=[refused], refused_whole=True)


def _malformed(delivery: Delivery, gateway_id: str, error: MalformedMessage) -> Refused:
    return Refused(
        reason=Reason.MALFORMED_READING,
        detail=error.problem,
        gateway_id=gateway_id,
        topic=delivery.topic,
        arrived_at=delivery.arrived_at,
        content=error.message,
        reading_id=wire.find_reading_id(error.message),
    )
