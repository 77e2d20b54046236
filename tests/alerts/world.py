"""A small world for alerts: two units, three nurses, a technician, five patients; ingest measures.

Names are invented; personal numbers are Skatteverket's published test numbers.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg

from alerts.care.file import read
from alerts.care.people import Viewer
from alerts.care.seed import seed
from alerts.schema import SOURCES
from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value
from ingest.batch import from_incoming
from ingest.decode import decode
from ingest.delivery import Delivery
from ingest.schema.migrate import migrate
from ingest.settle import Settler

GATEWAY = "g-test"
PASSWORD = "ett-långt-lösenord"
SINCE = "2020-01-01T00:00:00+01:00"

S, D, P, W, T = (
    Quantity.SYSTOLIC,
    Quantity.DIASTOLIC,
    Quantity.PULSE,
    Quantity.BODY_WEIGHT,
    Quantity.STEPS,
)

LIMITS = [
    {
        "quantity": "systolic",
        "yellow_low": 100,
        "yellow_high": 160,
        "red_low": 90,
        "red_high": 180,
    },
    {"quantity": "diastolic", "yellow_high": 95, "red_high": 110},
    {"quantity": "pulse", "yellow_low": 50, "yellow_high": 100, "red_low": 40, "red_high": 120},
    {"quantity": "body_weight", "yellow_high": 78.0, "red_high": 80.0},
]

# key: given name, family name, number, contact, unit, has a login
PATIENTS = {
    "marta": ("Märta", "Provlind", "189001019802", "anna", None, True),
    "kalle": ("Kalle", "Åkertest", "189001029819", "anna", None, False),
    "ingrid": ("Ingrid", "Öprov", "189001039800", "lisa", None, True),
    "sven": ("Sven", "Utan", "189001049817", None, "a", False),
    "olga": ("Olga", "Bortom", "189001059808", None, "b", False),
}


def _staff(key: str, unit: str, name: str, role: str = "distriktssköterska") -> dict[str, Any]:
    return {
        "key": key,
        "unit": unit,
        "name": name,
        "role": role,
        "phone": "0980-319 202",
        "username": key,
        "password": PASSWORD,
    }


def _unit(key: str, name: str) -> dict[str, Any]:
    return {"key": key, "name": name, "phone": "0980-319 200", "hours": "vardagar 8–16"}


def _patient(key: str) -> dict[str, Any]:
    given, family, number, contact, unit, login = PATIENTS[key]
    return {
        "key": key,
        "given_name": given,
        "family_name": family,
        "personal_number": number,
        "born_on": f"{number[:4]}-{number[4:6]}-{number[6:8]}",
        "phone": "070-174 06 05",
        "diagnosis": "Hjärtsvikt",
        "contact": contact,
        "unit": unit,
        "username": key if login else None,
        "password": PASSWORD if login else None,
        "loans": [{"device_id": device(key), "slot": None, "lent_from": SINCE}],
        "plans": [{"in_force_from": SINCE, "agreed_how": "tillsammans", "limits": LIMITS}],
    }


def device(key: str) -> str:
    """Return the id of a patient's one device."""
    return f"C4:00:00:00:00:{list(PATIENTS).index(key):02d}"


def care_record() -> dict[str, Any]:
    """Return the care record of the world, as its file would read."""
    record = {
        "units": [_unit("a", "Provbyns hemsjukvård"), _unit("b", "Testköpings hälsocentral")],
        "staff": [
            _staff("anna", "a", "Anna Provberg"),
            _staff("eva", "a", "Eva Testström"),
            _staff("lisa", "b", "Lisa Testek"),
            _staff("tove", "a", "Tove Tekniktest", role="Tekniker"),
        ],
        "gateways": [GATEWAY],
        "patients": [_patient(key) for key in PATIENTS],
    }
    copied: dict[str, Any] = json.loads(json.dumps(record))  # a test may change what it likes
    return copied


def encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def build(dsn: str) -> None:
    """Migrate and seed the database at *dsn*."""
    migrate(dsn, SOURCES)
    with psycopg.connect(dsn) as connection:
        seed(connection, read(encoded(care_record())))
        open_always(connection)
        connection.execute("update staff_function set from_at = %s", [SINCE])


def open_always(connection: psycopg.Connection[Any]) -> None:
    """Staff every unit day and night, so that nothing depends on when the tests run.

    A test of opening hours deletes these rows first.
    """
    connection.execute(
        "insert into unit_hours (unit_id, weekday, opens, closes, on_holidays) "
        "select unit_id, weekday, '00:00', '24:00', true from unit, generate_series(1, 7) weekday"
    )


@dataclass
class World:
    """The database, and a few words to fill and read it."""

    dsn: str
    connection: psycopg.Connection[Any]

    def one(self, query: str, *values: object) -> Any:
        row = self.connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), values).fetchall()

    def patient(self, key: str) -> int:
        return int(
            self.one("select patient_id from person where personal_number = %s", PATIENTS[key][2])
        )

    def staff(self, key: str) -> int:
        return int(self.one("select staff_id from account where username = %s", key))

    def viewer(self, key: str) -> Viewer:
        """Return the viewer behind a user name."""
        if key in PATIENTS:
            return Viewer(name=PATIENTS[key][0], patient_id=self.patient(key))
        name, role, unit_id = self.rows(
            "select name, role, unit_id from staff where staff_id = %s", self.staff(key)
        )[0]
        functions = self.rows(
            "select name from staff_function where staff_id = %s and until_at is null",
            self.staff(key),
        )
        return Viewer(
            name=name,
            role=role,
            staff_id=self.staff(key),
            unit_id=unit_id,
            functions=frozenset(function for (function,) in functions),
        )

    def alert(self, key: str) -> int:
        """Return the id of the patient's newest alert."""
        return int(
            self.one(
                "select alert_id from alert where patient_id = %s order by alert_id desc",
                self.patient(key),
            )
        )

    def measure(
        self,
        key: str,
        values: dict[Quantity, float] | None = None,
        *,
        at: datetime | None = None,
        ago: timedelta = timedelta(minutes=1),
    ) -> None:
        """Store one reading, as ingest does: breaches, alert and notification with it.

        No values is a failed measurement.
        """
        asyncio.run(self.measure_soon(key, values, at=at, ago=ago))

    async def measure_soon(
        self,
        key: str,
        values: dict[Quantity, float] | None = None,
        *,
        at: datetime | None = None,
        ago: timedelta = timedelta(minutes=1),
    ) -> None:
        """Do the same from inside an event loop."""
        now = datetime.now(UTC)
        reading = Reading(
            reading_id=uuid4(),
            device_id=device(key),
            source="2a35",
            payload="1e80005100",
            outcome=Outcome.MEASURED if values else Outcome.FAILED,
            measured_at=at or now - ago,
            received_at=at or now - ago,
            clock=ClockVerdict.OK,
            values=tuple(
                Value(quantity=q.value, value=v, unit=q.facts.unit)
                for q, v in (values or {}).items()
            ),
        )
        topic = wire.topic(GATEWAY, wire.TopicKind.READINGS)
        message = wire.encode_message(GATEWAY, now, [reading])
        batch = from_incoming([decode(Delivery(topic, message, None, now))])
        async with Settler(lambda: self.dsn, "test") as settler:
            settled = await settler.settle(batch, [])
        assert settled.new == 1, settled.refused
