"""What travels over MQTT: messages of readings, receipts, gateway status and configuration.

The only package that knows the format (docs/decisions/0002-wire-format.md). JSON, the version
first. A reader refuses a version newer than its own with a reason; readers are upgraded
before writers. The gateway id stands both in the topic and in the message, so ingest can
hold one against the other.
"""

from devices.wire.config import (
    HEARTBEAT_S_MAX,
    LENT_MAX,
    GatewayConfig,
    LentDevice,
    PairingRequest,
    decode_config,
    encode_config,
    require_named,
)
from devices.wire.limits import MESSAGE_BYTES_MAX, READINGS_MAX, VERSION
from devices.wire.message import (
    Message,
    Receipt,
    Refusal,
    decode_message,
    decode_reading,
    decode_receipt,
    encode_message,
    encode_reading,
    encode_receipt,
    find_reading_id,
    join_message,
    reading_texts,
)
from devices.wire.status import (
    DEVICES_MAX,
    PROBLEMS_MAX,
    RADIO_STEPS_MAX,
    Bond,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStatus,
    PairingStep,
    RadioStep,
    decode_status,
    encode_status,
)
from devices.wire.topic import TOPIC_ROOT, TopicKind, is_gateway_id, parse_topic, topic

__all__ = [
    "DEVICES_MAX",
    "HEARTBEAT_S_MAX",
    "LENT_MAX",
    "MESSAGE_BYTES_MAX",
    "PROBLEMS_MAX",
    "RADIO_STEPS_MAX",
    "READINGS_MAX",
    "TOPIC_ROOT",
    "VERSION",
    "Bond",
    "Condition",
    "ConditionCode",
    "DeviceStatus",
    "GatewayConfig",
    "GatewayState",
    "GatewayStatus",
    "LentDevice",
    "Message",
    "PairingRequest",
    "PairingStatus",
    "PairingStep",
    "RadioStep",
    "Receipt",
    "Refusal",
    "TopicKind",
    "decode_config",
    "decode_message",
    "decode_reading",
    "decode_receipt",
    "decode_status",
    "encode_config",
    "encode_message",
    "encode_reading",
    "encode_receipt",
    "encode_status",
    "find_reading_id",
    "is_gateway_id",
    "join_message",
    "parse_topic",
    "reading_texts",
    "require_named",
    "topic",
]
