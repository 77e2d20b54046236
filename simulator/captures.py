"""Captures: payloads recorded from real devices, read from a JSON file.

The file is an object of sections; a playable section is a list of objects with ``hex``, the
bytes of one characteristic value or of one advertisement's service data.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# A capture file is a few hundred lines; more is the wrong file.
FILE_BYTES_MAX: Final = 4 * 1024 * 1024
ENTRIES_MAX: Final = 200

BLOOD_PRESSURE: Final = "blood_pressure_2a35"
MI_SCALE_V1: Final = "mi_scale_v1_181d"
MI_SCALE_V2: Final = "mi_scale_v2_181b"

# What fits: an attribute value (Core 5.4, Vol 3, Part F, 3.2.9); and what is left of 31 bytes
# of advertisement beside its flags, its service and the scale's name.
PAYLOAD_BYTES_MAX: Final = {BLOOD_PRESSURE: 512, MI_SCALE_V1: 10, MI_SCALE_V2: 13}


class CaptureError(Exception):
    """The file cannot be played.

    Attributes:
        problems: One line each: where, what is wrong and what would be right.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Capture:
    """One recorded payload."""

    section: str
    payload: bytes
    meaning: str  # what the file says of it; may be empty


@dataclass(frozen=True, slots=True)
class Captures:
    """What a file holds.

    Attributes:
        playable: In the file's order.
        unplayable: Sections no virtual device can play: numbers, other characteristics.
    """

    playable: tuple[Capture, ...]
    unplayable: tuple[str, ...]

    def of(self, section: str) -> list[Capture]:
        return [capture for capture in self.playable if capture.section == section]


def load(path: Path) -> Captures:
    """Read a capture file.

    Raises:
        CaptureError: It is not there, is no capture file or has bad entries; all of them named.
    """
    sections = _sections(path)
    problems: list[str] = []
    playable: list[Capture] = []
    for section in PAYLOAD_BYTES_MAX:
        entries = sections.get(section, [])
        if not isinstance(entries, list):
            problems.append(f"{section}: is not a list. Make it a list of objects with hex")
            continue
        for index, entry in enumerate(entries):
            try:
                playable.append(_capture(section, entry))
            except _BadEntryError as error:
                problems.append(f"{section}[{index}]: {error}")
    if not playable and not problems:
        names = ", ".join(PAYLOAD_BYTES_MAX)
        problems.append(f"{path}: nothing to play. Give it one of the sections {names}")
    if len(playable) > ENTRIES_MAX:
        problems.append(f"{path}: {len(playable)} payloads. Split it: {ENTRIES_MAX} at most")
    if problems:
        raise CaptureError(problems)
    others = (name for name, body in sections.items() if isinstance(body, list))
    return Captures(tuple(playable), tuple(n for n in others if n not in PAYLOAD_BYTES_MAX))


def _sections(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise CaptureError([f"{path}: is over {FILE_BYTES_MAX} bytes. Is it a capture file?"])
        sections = json.loads(path.read_bytes())
    except OSError as error:
        raise CaptureError([f"{path}: {error.strerror}. Name a capture file"]) from error
    except ValueError as error:
        raise CaptureError([f"{path}: is not JSON: {error}"]) from error
    if not isinstance(sections, dict):
        raise CaptureError([f"{path}: is not an object. Make it an object of sections"])
    return sections


class _BadEntryError(Exception):
    """An entry has no payload that can be played."""


def _capture(section: str, entry: object) -> Capture:
    if not isinstance(entry, dict) or not isinstance(entry.get("hex"), str):
        problem = "has no hex. Give the payload as a text of hexadecimal digits"
        raise _BadEntryError(problem)
    digits = entry["hex"]
    try:
        payload = bytes.fromhex(digits)
    except ValueError as error:
        problem = f"hex {digits!r} is not hexadecimal. Give pairs of 0-9 and a-f"
        raise _BadEntryError(problem) from error
    longest = PAYLOAD_BYTES_MAX[section]
    if not 0 < len(payload) <= longest:
        problem = f"hex is {len(payload)} bytes. Give 1 to {longest}"
        raise _BadEntryError(problem)
    return Capture(section, payload, _meaning(entry))


def _meaning(entry: dict[str, object]) -> str:
    said = entry.get("meaning")
    if isinstance(said, str):
        return said
    facts = (f"{key} {entry[key]}" for key in ("kg", "stabilised", "removed") if key in entry)
    return ", ".join(facts)
