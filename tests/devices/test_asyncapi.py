"""The documents for others: never stale, and true of what is really sent."""

import json
import runpy
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import (  # type: ignore[import-untyped]
    Draft202012Validator,
    ValidationError,
)

from devices import asyncapi, wire
from tests.devices.sessions import ALL_READS, CUFF, MI_V1, NOW, STEPS, WEIGHT, raw, run
from tests.devices.test_wire import BAD_READINGS, message, reading

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "wire.schema.json").read_text("utf-8"))
ASYNCAPI = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))

# What AsyncAPI 3.0.0 asks of the parts we use; typed from its specification.
REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
    "additionalProperties": False,
}
REFERENCES = {"type": "array", "items": REFERENCE, "minItems": 1}
STRUCTURE = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "properties": {"version": {"pattern": r"^\d+\.\d+\.\d+$"}},
        },
        "defaultContentType": {"const": "application/json"},
        "channels": {
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages", "parameters"],
                "properties": {
                    "address": {"type": "string", "pattern": r"^egenmonitor/v1/\{gatewayId\}/"},
                    "messages": {"additionalProperties": REFERENCE, "minProperties": 1},
                    "parameters": {"required": ["gatewayId"]},
                },
                "additionalProperties": False,
            }
        },
        "operations": {
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": REFERENCES,
                    "description": {"type": "string"},
                    "bindings": {
                        "properties": {
                            "mqtt": {
                                "properties": {
                                    "qos": {"const": 1},
                                    "retain": {"type": "boolean"},
                                    "bindingVersion": {"const": "0.2.0"},
                                },
                                "additionalProperties": False,
                            }
                        }
                    },
                    "reply": {
                        "properties": {"channel": REFERENCE, "messages": REFERENCES},
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            }
        },
        "components": {
            "required": ["messages", "schemas"],
            "properties": {
                "schemas": {"additionalProperties": {"type": "object"}},
                "messages": {
                    "additionalProperties": {
                        "required": ["name", "contentType", "payload"],
                        "properties": {"payload": REFERENCE},
                    }
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def validator(name: str) -> Draft202012Validator:
    whole = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def check(name: str, encoded: bytes) -> None:
    validator(name).validate(json.loads(encoded))


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def resolve(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


@pytest.mark.parametrize("name", [asyncapi.ASYNCAPI_FILE, asyncapi.SCHEMA_FILE])
def test_documents_are_those_the_code_gives(name: str, tmp_path: Path) -> None:
    asyncapi.write(tmp_path)
    fresh = (tmp_path / name).read_text("utf-8")
    assert (DOCS / name).read_text("utf-8") == fresh, "run: python -m devices.asyncapi docs/"


def test_command_writes_both_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["asyncapi", str(tmp_path)])
    runpy.run_path(str(asyncapi.__file__), run_name="__main__")
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [asyncapi.ASYNCAPI_FILE, asyncapi.SCHEMA_FILE]


def test_schema_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_readings_of_every_driver_are_what_the_schema_says() -> None:
    readings = [
        *run("blood_pressure", raw(CUFF, "1f a0f0 6bf0 7df0 ea07 0b 16 08 1c 00 4700 01 0300")),
        *run("blood_pressure", raw(CUFF, "00 ff07 ff07 ff07"), unanswered=ALL_READS),
        *run("blood_pressure", raw(CUFF, "ff")),
        *run("weight_scale", raw(WEIGHT, "01 3e49")),
        *run("mi_scale_v1", raw(MI_V1, "22 9e43 e507 04 0b 10 13 01")),
        *run("infinitime", raw(STEPS, "10270000")),
    ]
    assert len(readings) == 6
    check("Message", wire.encode_rows("g-7f3a", NOW, readings))
    check("Columns", wire.encode_message("g-7f3a", NOW, readings))
    decoded, errors = wire.decode_message(wire.encode_message("g-7f3a", NOW, readings))
    assert (list(decoded.readings), errors) == (readings, [])


def test_receipts_and_status_are_what_the_schema_says() -> None:
    [known] = run("infinitime", raw(STEPS, "10270000"))
    refusal = wire.Refusal(reading_id=known.reading_id, reason="unassigned")
    receipt = wire.Receipt(v=1, stored=(known.reading_id,), refused=(refusal,))
    check("Receipt", wire.encode_receipt(receipt))
    packed = wire.Receipt(v=2, stored=(known.reading_id,), refused=(refusal,))
    check("PackedReceipt", wire.encode_receipt(packed))
    check("PackedReceipt", wire.encode_stored(known.reading_id.bytes))
    check("Receipt", wire.encode_receipt(wire.Receipt(v=1, message_refused="of another gateway")))
    status = wire.GatewayStatus(
        v=1,
        gateway="g-7f3a",
        state=wire.GatewayState.ONLINE,
        at=NOW,
        oldest_at=NOW - timedelta(days=1),
        problems=("no radio",),
    )
    check("GatewayStatus", wire.encode_status(status))


# Dates and ids are formats, which a validator need not check; to JSON Schema 1.0 is an integer, and
# a number may have 400 digits. There the code alone refuses.
BEYOND_SCHEMA = ("reading_id", "measured_at", "received_at", "device_time")
TOO_LONG_A_NUMBER: dict[str, Any] = {
    "values": [{"quantity": "pulse", "value": 10**400, "unit": "/min"}]
}
WITHIN_SCHEMA: list[dict[str, Any]] = [
    changes
    for changes in BAD_READINGS
    if changes not in ({"slot": 1.0}, TOO_LONG_A_NUMBER)
    and not (set(changes) <= set(BEYOND_SCHEMA) and isinstance(next(iter(changes.values())), str))
]


@pytest.mark.parametrize("changes", WITHIN_SCHEMA, ids=lambda changes: str(changes)[:60])
def test_schema_refuses_what_the_code_refuses(changes: dict[str, Any]) -> None:
    bad = json.loads(message(reading(**changes)))
    with pytest.raises(ValidationError):
        validator("Message").validate(bad)


def test_asyncapi_document_has_the_structure_of_asyncapi_3() -> None:
    Draft202012Validator(STRUCTURE).validate(ASYNCAPI)


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    found = references(ASYNCAPI)
    assert len(found) > 10
    for reference in found:
        assert resolve(ASYNCAPI, reference)


def test_every_operation_uses_messages_of_its_own_channel() -> None:
    for operation in ASYNCAPI["operations"].values():
        for part in (operation, operation.get("reply", operation)):
            for reference in references(part["messages"]):
                assert reference.startswith(part["channel"]["$ref"] + "/messages/")


def test_addresses_are_our_topics() -> None:
    for kind in (wire.TopicKind.READINGS, wire.TopicKind.RECEIPTS, wire.TopicKind.STATUS):
        address = ASYNCAPI["channels"][kind]["address"]
        assert address.replace("{gatewayId}", "g-7f3a") == wire.topic("g-7f3a", kind)


def test_both_documents_hold_the_same_schemas() -> None:
    text = json.dumps(SCHEMA["$defs"]).replace("#/$defs/", "#/components/schemas/")
    assert json.loads(text) == ASYNCAPI["components"]["schemas"]
