"""Units, staff, patients and relatives made as a test needs them, in a database of their own."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg

from alerts.care.people import Viewer
from simulator.embedded.postgres import Postgres
from tests.conftest import fresh_database


@dataclass
class People:
    """Makes people; every one is new, so that tests can share the database."""

    dsn: str
    connection: psycopg.Connection[Any]
    _numbers: Iterator[int] = field(default_factory=count)

    def one(self, query: str, *values: object) -> Any:
        row = self.connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None

    def run(self, query: str, *values: object) -> None:
        self.connection.execute(query.encode(), values)

    def huvudman(self) -> int:
        name = f"Provregionen {next(self._numbers)}"
        return int(
            self.one(
                "insert into huvudman (kind, name) values ('region', %s) returning huvudman_id",
                name,
            )
        )

    def unit(self, huvudman: int | None = None) -> int:
        name = f"Provenheten {next(self._numbers)}"
        return int(
            self.one(
                "insert into unit (name, phone, hours, huvudman_id) "
                "values (%s, '0980-319 200', 'vardagar 8–16', %s) returning unit_id",
                name,
                huvudman,
            )
        )

    def staff(
        self, unit_id: int, role: str = "distriktssköterska", functions: Iterable[str] = ("care",)
    ) -> Viewer:
        name = f"Prov Provsson {next(self._numbers)}"
        staff_id = self.one(
            "insert into staff (unit_id, name, role, phone) values (%s, %s, %s, '0980-319 201') "
            "returning staff_id",
            unit_id,
            name,
            role,
        )
        self.run(
            "insert into staff_function (staff_id, name, from_at) "
            "select %s, unnest(%s::text[]), '2020-01-01'",
            staff_id,
            list(functions),
        )
        return Viewer(
            name=name,
            role=role,
            staff_id=staff_id,
            unit_id=unit_id,
            functions=frozenset(functions),
        )

    def patient(
        self, unit_id: int, *, contact: Viewer | None = None, team_id: int | None = None
    ) -> Viewer:
        patient_id = int(self.one("insert into patient default values returning patient_id"))
        self.run(
            "insert into person (patient_id, unit_id, given_name, family_name, personal_number, "
            "born_on, phone, diagnosis) "
            "values (%s, %s, 'Prov', 'Provsdotter', %s, '1944-01-01', '', '')",
            patient_id,
            unit_id,
            f"prov {patient_id}",
        )
        if contact or team_id:
            self.run(
                "insert into care_contact (patient_id, staff_id, team_id, from_at) "
                "values (%s, %s, %s, now() - interval '1 day')",
                patient_id,
                contact.staff_id if contact else None,
                team_id,
            )
        return Viewer(name="Prov Provsdotter", patient_id=patient_id)

    def team(self, unit_id: int, members: Iterable[Viewer]) -> int:
        name = f"Provteamet {next(self._numbers)}"
        team_id = int(
            self.one(
                "insert into team (unit_id, name) values (%s, %s) returning team_id", unit_id, name
            )
        )
        for member in members:
            self.run(
                "insert into team_member (team_id, staff_id) values (%s, %s)",
                team_id,
                member.staff_id,
            )
        return team_id

    def relative(self, patient: Viewer) -> Viewer:
        name = f"Anhörig {next(self._numbers)}"
        relative_id = self.one(
            "insert into relative (patient_id, name) values (%s, %s) returning relative_id",
            patient.patient_id,
            name,
        )
        return Viewer(name=name, relative_id=relative_id)

    def alert(self, patient: Viewer, unit_id: int, **case: object) -> int:
        """Open a red alert; *case*: its receiver, ``staff_id`` or ``team_id``; the unit if none."""
        alert_id = int(
            self.one(
                "insert into alert (patient_id, rule, level, measured_at) "
                "values (%s, 'limit:blood_pressure', 2, now()) returning alert_id",
                patient.patient_id,
            )
        )
        self.run(
            "insert into alert_case (alert_id, unit_id, staff_id, team_id, routed_why, told_at) "
            "values (%s, %s, %s, %s, '', now())",
            alert_id,
            unit_id,
            case.get("staff_id"),
            case.get("team_id"),
        )
        return alert_id

    def logged(self, patient: Viewer) -> list[tuple[str, str, str]]:
        """Return actor, action and ground of what is logged of the patient, in order."""
        return self.connection.execute(
            "select actor, action, ground from access_log where patient_id = %s order by number",
            (patient.patient_id,),
        ).fetchall()


@contextmanager
def people_of(server: Postgres, template: str) -> Iterator[People]:
    """Give a database to make people in."""
    for dsn in fresh_database(server, template):
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield People(dsn, connection)
