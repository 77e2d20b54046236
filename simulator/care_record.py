"""The demo's care record: two units, two nurses, a technician, the invented people and their plans.

Written as the JSON file that ``python -m alerts seed`` reads. Passwords are random, made when
the file is, and stand only there (mode 0600).
"""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulator.people import PEOPLE, Limit, Person

# What a person types from a screen: no letters or digits that look alike.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH: Final = 12  # 31^12: 59 bits

_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HUVUDMEN: Final = (
    {"key": "kommun", "kind": "kommun", "name": "Demobyns kommun"},
    {"key": "region", "kind": "region", "name": "Region Demo"},
)
# Units, staff and their telephone numbers are invented; 0980-319 200 to 299 is kept for fiction.
_UNITS: Final = (
    {
        "key": "hemsjukvard",
        "name": "Demobyns hemsjukvård",
        "phone": "0980-319 200",
        "huvudman": "kommun",
        "municipality": "Demobyn",
        # Home nursing is there day and night: the demo works whenever somebody tries it.
        "opening": [
            {"weekdays": _WEEK, "opens": "00:00", "closes": "24:00", "on_holidays": True},
        ],
    },
    {
        "key": "halsocentral",
        "name": "Demobyns hälsocentral",
        "phone": "0980-319 201",
        "huvudman": "region",
        "municipality": "Demobyn",
        "opening": [{"weekdays": _WEEK[:5], "opens": "08:00", "closes": "17:00"}],
    },
)
_STAFF: Final = (
    {
        "key": "anna",
        "unit": "hemsjukvard",
        "name": "Anna Provberg",
        "role": "Distriktssköterska",
        "phone": "0980-319 202",
        "username": "anna",
        "substitutes": ["lisa"],
    },
    {
        "key": "lisa",
        "unit": "halsocentral",
        "name": "Lisa Testek",
        "role": "Sjuksköterska",
        "phone": "0980-319 203",
        "username": "lisa",
        "substitutes": ["anna"],
    },
    {
        "key": "tove",
        "unit": "hemsjukvard",
        "name": "Tove Provtekniker",
        "role": "Tekniker",
        "phone": "0980-319 204",
        "username": "tove",
    },
)
# Loans begin before the first measurement of the history does.
_LENT_BEFORE: Final = timedelta(days=3)
# The second version of a plan that was changed: the limits follow the dry weight down.
_CHANGED_DAYS_AGO: Final = 10

_HEART_FAILURE_ADVICE: Final = {
    "green": "Väg dig varje morgon före frukost.\nMät blodtrycket morgon och kväll.",
    "yellow": (
        "Ta din extra vätskedrivande tablett så som ni har kommit överens om.\n"
        "Väg dig i morgon bitti igen.\n"
        "Ring din vårdkontakt om du blir andfådd eller mår sämre."
    ),
    "red": (
        "Ring din vårdkontakt i dag. Ring 1177 om det är kväll eller helg.\n"
        "Ta din extra vätskedrivande tablett så som ni har kommit överens om.\n"
        "Ring 112 om du får svårt att andas när du vilar, eller ont i bröstet."
    ),
}


@dataclass(frozen=True, slots=True)
class Login:
    """A demo account."""

    who: str
    username: str
    password: str


def write(
    path: Path,
    *,
    gateways: Sequence[str],
    gateway_at_home: str | None = None,
    history_from: datetime,
    now: datetime,
) -> list[Login]:
    """Write the care record with new passwords to *path*; return the logins in it."""
    record = build(
        gateways=gateways, gateway_at_home=gateway_at_home, history_from=history_from, now=now
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
    return logins(record)


def read_logins(path: Path) -> list[Login]:
    """Return the logins in a care record file."""
    return logins(json.loads(path.read_text(encoding="utf-8")))


def build(
    *,
    gateways: Sequence[str],
    gateway_at_home: str | None = None,
    history_from: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return the care record.

    Args:
        gateways: Ids of the gateways that may send.
        gateway_at_home: The one that stands at everybody's: their loans are its lending list.
        history_from: When the first measurement of the history can have been made.
        now: When the record is made.
    """
    return {
        "huvudmen": [dict(huvudman) for huvudman in _HUVUDMEN],
        "units": [dict(unit) for unit in _UNITS],
        "staff": [{**member, "password": _password()} for member in _STAFF],
        "gateways": list(gateways),
        "patients": [
            {**_patient(person, history_from, now), "gateway": gateway_at_home} for person in PEOPLE
        ],
    }


def logins(record: dict[str, Any]) -> list[Login]:
    """Return every account in *record*, staff first."""
    return [*_staff_logins(record), *_patient_logins(record)]


def contact_name(key: str) -> str:
    """Return the name of the staff member with *key*."""
    return str(next(member["name"] for member in _STAFF if member["key"] == key))


def _staff_logins(record: dict[str, Any]) -> Iterator[Login]:
    for member in record["staff"]:
        who = f"{member['name']}, {member['role'].lower()}"
        yield Login(who, member["username"], member["password"])


def _patient_logins(record: dict[str, Any]) -> Iterator[Login]:
    for patient in record["patients"]:
        if patient["username"] is not None:
            who = f"{patient['given_name']} {patient['family_name']}, patient"
            yield Login(who, patient["username"], patient["password"])


def _patient(person: Person, history_from: datetime, now: datetime) -> dict[str, Any]:
    lent_from = (history_from - _LENT_BEFORE).isoformat()
    return {
        "key": person.key,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "personal_number": person.personal_number,
        "born_on": person.born_on.isoformat(),
        "phone": person.phone,
        "diagnosis": person.diagnosis,
        "contact": person.contact,
        "username": person.key if person.has_login else None,
        "password": _password() if person.has_login else None,
        "loans": [
            {"device_id": person.address(kit), "slot": None, "lent_from": lent_from}
            for kit in person.kit
        ],
        "plans": list(_plans(person, lent_from, now)),
    }


def _plans(person: Person, lent_from: str, now: datetime) -> Iterator[dict[str, Any]]:
    first: dict[str, Any] = {
        "in_force_from": lent_from,
        "agreed_how": "Tillsammans vid hembesök",
        "limits": _limits(person.earlier_limits or person.limits),
    }
    if "Hjärtsvikt" in person.diagnosis:
        first["advice"] = _HEART_FAILURE_ADVICE
    yield first
    if person.earlier_limits:
        changed = (now - timedelta(days=_CHANGED_DAYS_AGO)).replace(minute=0, second=0)
        yield {
            **first,
            "in_force_from": changed.replace(microsecond=0).isoformat(),
            "agreed_how": "Per telefon",
            "limits": _limits(person.limits),
        }


def _limits(limits: Sequence[Limit]) -> list[dict[str, Any]]:
    bounds = ("yellow_low", "yellow_high", "red_low", "red_high")
    return [
        {"quantity": limit.quantity.value, **{name: getattr(limit, name) for name in bounds}}
        for limit in limits
    ]


def _password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_PASSWORD_LENGTH))
