"""Golden vectors: bytes and their meaning, never made by our encoder."""

import json
import tomllib
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent.parent / "golden"


def load(name: str) -> dict[str, Any]:
    return tomllib.loads((GOLDEN / f"{name}.toml").read_text(encoding="utf-8"))


def captures() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GOLDEN / "gatt_captures.json").read_text(encoding="utf-8"))
    return loaded


def rows(codec: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(codec)[kind]
    return found
