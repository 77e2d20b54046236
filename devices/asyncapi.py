"""The wire format as documents for others: AsyncAPI 3.0 and JSON Schema, from ``devices.wire``.

``python -m devices.asyncapi docs/`` writes both; a test fails while they are stale.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from devices.wire import (
    MESSAGE_BYTES_MAX,
    READINGS_MAX,
    TOPIC_ROOT,
    VERSION,
    GatewayConfig,
    GatewayStatus,
    Message,
    Receipt,
    TopicKind,
)

ASYNCAPI_FILE: Final = "asyncapi.json"
SCHEMA_FILE: Final = "wire.schema.json"

_MESSAGES: Final = {
    TopicKind.READINGS: Message,
    TopicKind.RECEIPTS: Receipt,
    TopicKind.STATUS: GatewayStatus,
    TopicKind.CONFIG: GatewayConfig,
}
_CONTENT_TYPE: Final = "application/json"
_PARAMETER: Final = "gatewayId"
_MQTT_BINDING: Final = "0.2.0"

Document = dict[str, Any]


def json_schema() -> Document:
    """Return a JSON Schema (2020-12) of the wire messages, each under ``$defs``."""
    references, definitions = _schemas("#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"egenmonitor wire format, version {VERSION}",
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
            "version": f"{VERSION}.0.0",
            "description": (
                "MQTT 5, QoS 1. A reading stays in the gateway until a receipt names it: the "
                "broker's acknowledgement proves nothing. A message holds at most "
                f"{READINGS_MAX} readings and {MESSAGE_BYTES_MAX} bytes."
            ),
        },
        "defaultContentType": _CONTENT_TYPE,
        "channels": {kind.value: _channel(kind) for kind in _MESSAGES},
        "operations": _operations(),
        "components": {
            "messages": {kind.value: _message(kind) for kind in _MESSAGES},
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
        list(_MESSAGES.values()), ref_template=template
    )
    return list(references), definitions


def _channel(kind: TopicKind) -> Document:
    return {
        "address": f"{TOPIC_ROOT}/{{{_PARAMETER}}}/{kind}",
        "parameters": {
            _PARAMETER: {"description": "1 to 64 letters, digits, _ or -; random, names nobody"}
        },
        "messages": {kind.value: _reference("components", "messages", kind.value)},
    }


def _message(kind: TopicKind) -> Document:
    model = _MESSAGES[kind]
    return {
        "name": kind.value,
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
                "messages": [
                    _reference(
                        "channels", TopicKind.RECEIPTS.value, "messages", TopicKind.RECEIPTS.value
                    )
                ],
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
        "messages": [_reference("channels", kind.value, "messages", kind.value)],
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _MQTT_BINDING}},
    }


def _reference(*path: str) -> Document:
    return {"$ref": "#/" + "/".join(path)}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
