"""The wire format as documents for others: AsyncAPI 3.0 and JSON Schema, from ``devices.wire``.

``python -m devices.asyncapi docs/`` writes both; a test fails while they are stale.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from devices.wire import (
    COLUMNS_VERSION,
    MESSAGE_BYTES_MAX,
    READINGS_MAX,
    TOPIC_ROOT,
    Columns,
    GatewayConfig,
    GatewayStatus,
    Message,
    PackedReceipt,
    Receipt,
    TopicKind,
)

ASYNCAPI_FILE: Final = "asyncapi.json"
SCHEMA_FILE: Final = "wire.schema.json"

# By their names in the documents. What is written now stands before what is read besides.
_MESSAGES: Final[dict[TopicKind, dict[str, type]]] = {
    TopicKind.READINGS: {"readings": Columns, "readingsInRows": Message},
    TopicKind.RECEIPTS: {"receipts": PackedReceipt, "receiptsOfRows": Receipt},
    TopicKind.STATUS: {"status": GatewayStatus},
    TopicKind.CONFIG: {"config": GatewayConfig},
}
_MODELS: Final = {name: model for kind in _MESSAGES.values() for name, model in kind.items()}
_CONTENT_TYPE: Final = "application/json"
_PARAMETER: Final = "gatewayId"
_MQTT_BINDING: Final = "0.2.0"

Document = dict[str, Any]


def json_schema() -> Document:
    """Return a JSON Schema (2020-12) of the wire messages, each under ``$defs``."""
    references, definitions = _schemas("#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"egenmonitor wire format, version {COLUMNS_VERSION}",
        "anyOf": references,
        "$defs": definitions,
    }


def asyncapi() -> Document:
    """Return the AsyncAPI 3.0 document, as the gateway sees it: it sends, and is answered."""
    _, definitions = _schemas("#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "egenmonitor: gateway to ingest",
            "version": f"{COLUMNS_VERSION}.0.0",
            "description": (
                "MQTT 5, QoS 1. A reading stays in the gateway until a receipt names it: the "
                "broker's acknowledgement proves nothing. A message holds at most "
                f"{READINGS_MAX} readings and {MESSAGE_BYTES_MAX} bytes. Readings travel in "
                "columns, version 2; rows, version 1, are read as well. A message is answered "
                "in its own version. Ingest is upgraded before the gateways."
            ),
        },
        "defaultContentType": _CONTENT_TYPE,
        "channels": {kind.value: _channel(kind) for kind in _MESSAGES},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(name, model) for name, model in _MODELS.items()},
            "schemas": definitions,
        },
    }


def write(directory: Path) -> None:
    """Write both documents into *directory*."""
    for name, document in ((ASYNCAPI_FILE, asyncapi()), (SCHEMA_FILE, json_schema())):
        (directory / name).write_text(as_text(document), encoding="utf-8")


def as_text(document: Document) -> str:
    """Return *document* as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _schemas(template: str) -> tuple[list[Document], Document]:
    references, definitions = msgspec.json.schema_components(
        list(_MODELS.values()), ref_template=template
    )
    return list(references), definitions


def _channel(kind: TopicKind) -> Document:
    return {
        "address": f"{TOPIC_ROOT}/{{{_PARAMETER}}}/{kind}",
        "parameters": {
            _PARAMETER: {"description": "1 to 64 letters, digits, _ or -; random, names nobody"}
        },
        "messages": {name: _reference("components", "messages", name) for name in _MESSAGES[kind]},
    }


def _message(name: str, model: type) -> Document:
    return {
        "name": name,
        "contentType": _CONTENT_TYPE,
        "summary": str(model.__doc__).splitlines()[0],
        "payload": _reference("components", "schemas", model.__name__),
    }


def _operations() -> Document:
    return {
        "sendReadings": _operation("send", TopicKind.READINGS)
        | {
            "description": (
                "Response Topic is the receipts topic; Correlation Data, new for each send, "
                "comes back with the receipt. Sent again until a receipt comes."
            ),
            "reply": {
                "channel": _reference("channels", TopicKind.RECEIPTS.value),
                "messages": _messages(TopicKind.RECEIPTS),
            },
        },
        "receiveReceipts": _operation("receive", TopicKind.RECEIPTS),
        "sendStatus": _operation("send", TopicKind.STATUS, retain=True)
        | {"description": "Birth, heartbeat and last will; retained, so that silence is visible."},
        "receiveConfig": _operation("receive", TopicKind.CONFIG, retain=True)
        | {
            "description": "Retained. An older or unusable one is refused; the last good one stays."
        },
    }


def _operation(action: str, kind: TopicKind, *, retain: bool = False) -> Document:
    return {
        "action": action,
        "channel": _reference("channels", kind.value),
        "messages": _messages(kind),
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _MQTT_BINDING}},
    }


def _messages(kind: TopicKind) -> list[Document]:
    return [_reference("channels", kind.value, "messages", name) for name in _MESSAGES[kind]]


def _reference(*path: str) -> Document:
    return {"$ref": "#/" + "/".join(path)}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
