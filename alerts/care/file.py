"""Reads a care record file: everything is checked at once, and all problems are told together."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from alerts.care.field import doubles
from alerts.care.record import CareRecord, Loan, Patient, overlap
from alerts.care.roster_check import giving_no_care, named, organisation_crossings

# 10,000 patients with a year of plan versions are some 20 MB.
FILE_BYTES_MAX = 64 * 1024 * 1024
# A person can read so many lines; the first ones usually explain the rest.
PROBLEMS_SHOWN_MAX = 100


class CareRecordError(Exception):
    """A care record cannot be used.

    Attributes:
        problems: One line each: where, what, and what would do.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        shown = list(self.problems[:PROBLEMS_SHOWN_MAX])
        if len(self.problems) > len(shown):
            shown.append(f"… and {len(self.problems) - len(shown)} more")
        super().__init__("\n".join(shown))


def read(text: bytes) -> CareRecord:
    """Return the care record in *text*, checked.

    Raises:
        CareRecordError: With everything that is wrong in it.
    """
    if len(text) > FILE_BYTES_MAX:
        raise CareRecordError([f"file: larger than {FILE_BYTES_MAX} bytes"])
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CareRecordError([f"file: not JSON: {error}"]) from error
    record, problems = _parse(raw)
    problems += _crossings(record, {name: _keys(raw, name) for name in CareRecord.model_fields})
    if problems:
        raise CareRecordError(problems)
    return record


def _parse(raw: object) -> tuple[CareRecord, list[str]]:
    """Return what can be read of *raw*, and the problems of what cannot."""
    if not isinstance(raw, dict):
        return CareRecord(), ["file: must be one JSON object"]
    try:
        return CareRecord.model_validate_json(json.dumps(raw)), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
    problems = [f"{_where(detail['loc'])}: {_said(detail['msg'])}" for detail in details]
    spoiled = {detail["loc"][:2] for detail in details}
    sound = {
        name: [entry for index, entry in enumerate(raw[name]) if not {(name, index)} & spoiled]
        for name in CareRecord.model_fields
        if isinstance(raw.get(name), list)
    }
    return CareRecord.model_validate_json(json.dumps(sound)), problems


def _where(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "file"


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _keys(raw: object, name: str) -> set[str]:
    """Return the keys used in a list, sound or not, so that one mistake is told once."""
    entries: Any = raw.get(name) if isinstance(raw, dict) else None
    entries = entries if isinstance(entries, list) else []
    return {str(entry.get("key")) for entry in entries if isinstance(entry, dict)}


def _crossings(record: CareRecord, keys: Mapping[str, set[str]]) -> list[str]:
    """Return what is wrong between the parts; *keys* are those used in each list, sound or not."""
    return [
        *_twice("units: key", (unit.key for unit in record.units)),
        *_twice("units: name", (unit.name for unit in record.units)),
        *_twice("staff or teams: key", _receivers(record)),
        *_twice("gateways:", record.gateways),
        *_twice("patients: key", (patient.key for patient in record.patients)),
        *_twice("patients: personal_number of", _shared_numbers(record.patients)),
        *_twice("username", _usernames(record)),
        *organisation_crossings(record.huvudmen, record.units, record.staff, record.teams, keys),
        *_unknown(record, keys),
        *_double_loans(record.patients),
    ]


def _receivers(record: CareRecord) -> Iterator[str]:
    """Yield the keys a patient's contact can have."""
    yield from (person.key for person in record.staff)
    yield from (team.key for team in record.teams)


def _unknown(record: CareRecord, keys: Mapping[str, set[str]]) -> Iterator[str]:
    gateways = set(record.gateways)
    no_care = giving_no_care(record.staff)
    for patient in record.patients:
        where = f"patient {patient.key}"
        if patient.gateway is not None and patient.gateway not in gateways:
            yield f"{where}: there is no gateway {patient.gateway!r}"
        if patient.contact in no_care:
            yield f"{where}: contact {patient.contact!r} gives no care"
        if patient.contact is not None and patient.contact not in keys["staff"] | keys["teams"]:
            yield f"{where}: contact {patient.contact!r} is not among the staff or teams"
        if patient.unit is not None and patient.unit not in keys["units"]:
            yield f"{where}: there is no unit {patient.unit!r}"
        if patient.contact in (patient.substitutes or ()):
            yield f"{where}: contact {patient.contact!r} cannot stand in for herself"
        yield from named(where, "substitutes", patient.substitutes or (), keys, no_care)


def _double_loans(patients: Iterable[Patient]) -> Iterator[str]:
    by_device: dict[str, list[tuple[str, Loan]]] = {}
    for patient in patients:
        for loan in patient.loans:
            by_device.setdefault(loan.device_id, []).append((patient.key, loan))
    for device_id, loans in by_device.items():
        for (one, first), (other, second) in combinations(loans, 2):
            if overlap(first, second):
                yield f"device {device_id}: lent to {one} and to {other} at the same time"


def _usernames(record: CareRecord) -> Iterator[str]:
    yield from (person.username for person in record.staff)
    yield from (patient.username for patient in record.patients if patient.username)


def _shared_numbers(patients: Iterable[Patient]) -> Iterator[str]:
    """Yield the first holder's key for each patient: a number itself is never printed."""
    holder: dict[str, str] = {}
    for patient in patients:
        yield holder.setdefault(patient.personal_number, patient.key)


def _twice(what: str, values: Iterable[str]) -> list[str]:
    return [f"{what} {value!r} stands more than once" for value in doubles(values)]
