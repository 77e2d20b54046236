"""What travels over MQTT: messages of readings, receipts, gateway status and configuration.

The only package that knows the format (docs/decisions/0002-wire-format.md). JSON, the version
first. A reader refuses a version newer than its own with a reason; readers are upgraded
before writers. Readings and their receipts have two versions: rows, and columns
(docs/decisions/0011-columns-on-the-wire.md). The gateway id stands both in the topic and in
the message, so ingest can hold one against the other.
"""

from devices.wire.codec import require_version
from devices.wire.columns import (
    CLOCK_CODES,
    COLUMNS_HEAD,
    ID_BYTES,
    NO_DEVICE_TIME,
    OUTCOME_CODES,
    Columns,
    decode_columns,
    split_kind,
)
from devices.wire.columns import from_readings as columns_of
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
from devices.wire.limits import COLUMNS_VERSION, MESSAGE_BYTES_MAX, READINGS_MAX, VERSION
from devices.wire.message import (
    Message,
    decode_message,
    decode_reading,
    encode_message,
    encode_reading,
    encode_rows,
    find_reading_id,
    join_message,
    reading_texts,
)
from devices.wire.receipt import (
    PackedReceipt,
    Receipt,
    Refusal,
    decode_receipt,
    encode_receipt,
    encode_stored,
)
from devices.wire.rows import Rows
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
    "CLOCK_CODES",
    "COLUMNS_HEAD",
    "COLUMNS_VERSION",
    "DEVICES_MAX",
    "HEARTBEAT_S_MAX",
    "ID_BYTES",
    "LENT_MAX",
    "MESSAGE_BYTES_MAX",
    "NO_DEVICE_TIME",
    "OUTCOME_CODES",
    "PROBLEMS_MAX",
    "RADIO_STEPS_MAX",
    "READINGS_MAX",
    "TOPIC_ROOT",
    "VERSION",
    "Bond",
    "Columns",
    "Condition",
    "ConditionCode",
    "DeviceStatus",
    "GatewayConfig",
    "GatewayState",
    "GatewayStatus",
    "LentDevice",
    "Message",
    "PackedReceipt",
    "PairingRequest",
    "PairingStatus",
    "PairingStep",
    "RadioStep",
    "Receipt",
    "Refusal",
    "Rows",
    "TopicKind",
    "columns_of",
    "decode_columns",
    "decode_config",
    "decode_message",
    "decode_reading",
    "decode_receipt",
    "decode_status",
    "encode_config",
    "encode_message",
    "encode_reading",
    "encode_receipt",
    "encode_rows",
    "encode_status",
    "encode_stored",
    "find_reading_id",
    "is_gateway_id",
    "join_message",
    "parse_topic",
    "reading_texts",
    "require_named",
    "require_version",
    "split_kind",
    "topic",
]
