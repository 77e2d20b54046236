"""Delivery → what can be read of it, and what is refused before any reading is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from devices import wire
from devices.errors import MalformedMessage, UnsupportedVersion
from devices.reading import Reading
from ingest.batch import Origin
from ingest.delivery import Delivery
from ingest.quarantine import Reason, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One delivery, decoded.

    Attributes:
        gateway_id: By the topic, which the broker's access list holds the gateway to; none if
            the topic is no gateway's.
        readings: Those that can be read.
        refused: Rows for quarantine: the whole message, or single readings of it.
        refused_whole: Nothing in the message can be read or named; the receipt says so.
    """

    delivery: Delivery
    gateway_id: str | None
    origin: Origin | None
    readings: Sequence[Reading] = ()
    refused: Sequence[Refused] = ()
    refused_whole: bool = False


def decode(delivery: Delivery) -> Incoming:
    """Read *delivery*. Never raises: what cannot be read is refused with a reason."""
    try:
        gateway_id, kind = wire.parse_topic(delivery.topic)
    except ValueError as error:
        return _whole(delivery, None, Reason.MALFORMED_MESSAGE, str(error))
    if kind is not wire.TopicKind.READINGS:
        return _whole(delivery, gateway_id, Reason.MALFORMED_MESSAGE, f"no readings come as {kind}")
    try:
        message, errors = wire.decode_message(delivery.payload)
    except UnsupportedVersion as error:
        return _whole(delivery, gateway_id, Reason.UNSUPPORTED_VERSION, error.problem)
    except MalformedMessage as error:
        return _whole(delivery, gateway_id, Reason.MALFORMED_MESSAGE, error.problem)
    if message.gateway != gateway_id:
        detail = f"the topic is of {gateway_id}, the message of {message.gateway}"
        return _whole(delivery, gateway_id, Reason.GATEWAY_MISMATCH, detail)
    refused = [_malformed(delivery, gateway_id, error) for error in errors]
    return Incoming(
        delivery=delivery,
        gateway_id=gateway_id,
        origin=Origin(
            gateway_id=gateway_id,
            topic=delivery.topic,
            sent_at=message.sent_at,
            arrived_at=delivery.arrived_at,
            payload=delivery.payload,
        ),
        readings=message.readings,
        refused=refused,
        refused_whole=not message.readings and all(row.reading_id is None for row in refused),
    )


def _whole(delivery: Delivery, gateway_id: str | None, reason: Reason, detail: str) -> Incoming:
    refused = Refused(
        reason=reason,
        detail=detail,
        gateway_id=gateway_id or "",
        topic=delivery.topic,
        arrived_at=delivery.arrived_at,
        content=delivery.payload,
    )
    return Incoming(
        delivery=delivery,
        gateway_id=gateway_id,
        origin=None,
        refused=[refused],
        refused_whole=True,
    )


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
