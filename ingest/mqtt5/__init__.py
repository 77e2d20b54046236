"""MQTT 5, the client's side: bytes to events and events to bytes; no networking code at all.

For whom: ``ingest.consumer`` alone. It is what a subscriber at QoS 1 needs that publishes short
answers: no QoS 2, no topic aliases, no extended authentication, no will. Rules that are checked
name their statement in *MQTT Version 5.0* (OASIS Standard, 7 March 2019).
"""

from ingest.mqtt5.acks import AckOrder
from ingest.mqtt5.connection import Connection, State
from ingest.mqtt5.errors import ProtocolError
from ingest.mqtt5.fields import encode_text
from ingest.mqtt5.inflight import InFlight
from ingest.mqtt5.keepalive import Due, KeepAlive
from ingest.mqtt5.packets import (
    PINGREQ,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Event,
    Pingresp,
    Puback,
    Publish,
    Suback,
    encode_disconnect,
    encode_pubacks,
    encode_publish,
)
from ingest.mqtt5.reader import Reader
from ingest.mqtt5.reasons import ReasonCode, describe, is_failure

__all__ = [
    "PINGREQ",
    "AckOrder",
    "Auth",
    "Connack",
    "Connect",
    "Connection",
    "Disconnect",
    "Due",
    "Event",
    "InFlight",
    "KeepAlive",
    "Pingresp",
    "ProtocolError",
    "Puback",
    "Publish",
    "Reader",
    "ReasonCode",
    "State",
    "Suback",
    "describe",
    "encode_disconnect",
    "encode_pubacks",
    "encode_publish",
    "encode_text",
    "is_failure",
]
