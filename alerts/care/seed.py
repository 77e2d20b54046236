"""Writes a care record into the database in one transaction. Writing it again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from alerts import password
from alerts.care.file import CareRecordError
from alerts.care.record import CareRecord, Limit, Loan, Patient, Plan, Staff
from ingest.rules.model import Rule

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the database holds of the record now, and how much of it is new."""

    units: int
    staff: int
    gateways: int
    patients: int
    patients_new: int
    loans_new: int
    plans_new: int


def seed(connection: Connection, record: CareRecord) -> Seeded:
    """Write *record*; all of it or nothing.

    Raises:
        CareRecordError: What the database already holds contradicts it: a device lent to
            somebody else at the time, a plan version with other limits or rules.
    """
    with connection.transaction():
        # One seeding at a time; ingest and the pages go on reading.
        connection.execute("lock table unit in share row exclusive mode")
        return _Seeding(connection).write(record)


class _Seeding:
    """One run: remembers the numbers the database gave to the record's keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unit: dict[str, int] = {}
        self._staff: dict[str, int] = {}
        self._unit_of_staff: dict[str, str] = {}
        self._patients_new = 0
        self._loans_new = 0
        self._plans_new = 0
        self._problems: list[str] = []

    def write(self, record: CareRecord) -> Seeded:
        for unit in record.units:
            self._unit[unit.key] = self._one(
                "insert into unit (name, phone, hours) values (%s, %s, %s) "
                "on conflict (name) do update set phone = excluded.phone, hours = excluded.hours "
                "returning unit_id",
                (unit.name, unit.phone, unit.hours),
            )
        for person in record.staff:
            self._write_staff(person)
        for gateway_id in record.gateways:
            self._connection.execute(
                "insert into gateway (gateway_id) values (%s) on conflict do nothing",
                (gateway_id,),
            )
        for patient in record.patients:
            self._write_patient(patient)
        if self._problems:
            raise CareRecordError(self._problems)
        return Seeded(
            units=len(record.units),
            staff=len(record.staff),
            gateways=len(record.gateways),
            patients=len(record.patients),
            patients_new=self._patients_new,
            loans_new=self._loans_new,
            plans_new=self._plans_new,
        )

    def _one(self, query: str, values: tuple[object, ...]) -> int:
        found = self._find(query, values)
        assert found is not None
        return found

    def _find(self, query: str, values: tuple[object, ...]) -> int | None:
        cursor = self._connection.cursor(row_factory=scalar_row)
        found: int | None = cursor.execute(query, values).fetchone()
        return found

    def _write_staff(self, person: Staff) -> None:
        unit_id = self._unit[person.unit]
        values = (unit_id, person.name, person.role, person.phone)
        staff_id = self._find(
            "update staff set unit_id = %s, name = %s, role = %s, phone = %s "
            "where staff_id = (select staff_id from account where username = %s) "
            "returning staff_id",
            (*values, person.username),
        )
        if staff_id is None:
            staff_id = self._one(
                "insert into staff (unit_id, name, role, phone) values (%s, %s, %s, %s) "
                "returning staff_id",
                values,
            )
        self._staff[person.key] = staff_id
        self._unit_of_staff[person.key] = person.unit
        self._write_account(person.username, person.password.get_secret_value(), staff_id=staff_id)

    def _write_patient(self, patient: Patient) -> None:
        unit_key = patient.unit or self._unit_of_staff[patient.contact or ""]
        patient_id = self._find(
            "select patient_id from person where personal_number = %s",
            (patient.personal_number,),
        )
        if patient_id is None:
            self._patients_new += 1
            patient_id = self._one("insert into patient default values returning patient_id", ())
        self._connection.execute(
            "insert into person (patient_id, unit_id, given_name, family_name, personal_number, "
            "born_on, phone, diagnosis) values (%s, %s, %s, %s, %s, %s, %s, %s) "
            "on conflict (patient_id) do update set unit_id = excluded.unit_id, "
            "given_name = excluded.given_name, family_name = excluded.family_name, "
            "phone = excluded.phone, diagnosis = excluded.diagnosis",
            (
                patient_id,
                self._unit[unit_key],
                patient.given_name,
                patient.family_name,
                patient.personal_number,
                patient.born_on,
                patient.phone,
                patient.diagnosis,
            ),
        )
        self._write_contact(patient_id, patient.contact)
        if patient.username and patient.password:
            secret = patient.password.get_secret_value()
            self._write_account(patient.username, secret, patient_id=patient_id)
        if patient.gateway is not None:
            self._write_home(patient_id, patient.gateway)
        for loan in patient.loans:
            self._write_loan(patient.key, patient_id, loan)
        for plan in patient.plans:
            self._write_plan(patient.key, patient_id, plan)

    def _write_contact(self, patient_id: int, contact: str | None) -> None:
        """End the contact there was, if it is another, and begin the new one. History stays."""
        staff_id = None if contact is None else self._staff[contact]
        self._connection.execute(
            "update care_contact set until_at = greatest(now(), from_at) "
            "where patient_id = %s and until_at is null and staff_id is distinct from %s",
            (patient_id, staff_id),
        )
        if staff_id is not None:
            self._connection.execute(
                "insert into care_contact (patient_id, staff_id, from_at) values (%s, %s, now()) "
                "on conflict (patient_id) where until_at is null do nothing",
                (patient_id, staff_id),
            )

    def _write_home(self, patient_id: int, gateway_id: str) -> None:
        """Let the gateway stand at the patient's, if another did before. History stays."""
        self._connection.execute(
            "update gateway_home set until_at = greatest(now(), from_at) "
            "where patient_id = %s and until_at is null and gateway_id <> %s",
            (patient_id, gateway_id),
        )
        self._connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, now()) "
            "on conflict (gateway_id, patient_id) where until_at is null do nothing",
            (gateway_id, patient_id),
        )

    def _write_account(
        self,
        username: str,
        secret: str,
        *,
        staff_id: int | None = None,
        patient_id: int | None = None,
    ) -> None:
        """Make the account, or give it the record's name and password, which ends its sessions."""
        row = self._connection.execute(
            "select account_id, username, password_hash, staff_id, patient_id from account "
            "where username = %s or staff_id = %s or patient_id = %s",
            (username, staff_id, patient_id),
        ).fetchall()
        if not row:
            self._connection.execute(
                "insert into account (username, password_hash, staff_id, patient_id) "
                "values (%s, %s, %s, %s)",
                (username, password.hash_password(secret), staff_id, patient_id),
            )
            return
        account_id, name, password_hash, *holder = row[0]
        if len(row) > 1 or holder != [staff_id, patient_id]:
            self._problems.append(f"username {username!r}: belongs to somebody else already")
        elif name != username or not password.is_password(secret, str(password_hash)):
            self._connection.execute(
                "update account set username = %s, password_hash = %s where account_id = %s",
                (username, password.hash_password(secret), account_id),
            )
            self._connection.execute(
                "delete from login_session where account_id = %s", (account_id,)
            )

    def _write_loan(self, key: str, patient_id: int, loan: Loan) -> None:
        values = (patient_id, loan.device_id, loan.slot, loan.lent_from)
        known = self._find(
            "update device_loan set returned_at = coalesce(%s, returned_at) where patient_id = %s "
            "and device_id = %s and slot is not distinct from %s and lent_from = %s "
            "returning loan_id",
            (loan.returned_at, *values),
        )
        if known is not None:
            return
        taken = self._find(
            "select count(*) from device_loan where device_id = %s "
            "and (slot is null or %s::smallint is null or slot = %s) "
            "and lent_from < coalesce(%s::timestamptz, 'infinity') "
            "and coalesce(returned_at, 'infinity') > %s",
            (loan.device_id, loan.slot, loan.slot, loan.returned_at, loan.lent_from),
        )
        if taken:
            self._problems.append(
                f"patient {key}: device {loan.device_id} is lent out already at that time; "
                "give the earlier loan its returned_at first"
            )
            return
        self._connection.execute(
            "insert into device_loan (patient_id, device_id, slot, lent_from, returned_at) "
            "values (%s, %s, %s, %s, %s)",
            (*values, loan.returned_at),
        )
        self._loans_new += 1

    def _write_plan(self, key: str, patient_id: int, plan: Plan) -> None:
        plan_version_id = self._find(
            "insert into plan_version (patient_id, in_force_from, agreed_how) "
            "values (%s, %s, %s) on conflict (patient_id, in_force_from) do nothing "
            "returning plan_version_id",
            (patient_id, plan.in_force_from, plan.agreed_how),
        )
        if plan_version_id is None:
            kept = self._limits_kept(patient_id, plan), self._rules_kept(patient_id, plan)
            if kept != (_bounds(plan.limits), _specs(plan.rules)):
                self._problems.append(
                    f"patient {key}: another plan is in force from {plan.in_force_from}; "
                    "a plan is never overwritten: give the new one a later in_force_from"
                )
            return
        self._plans_new += 1
        for quantity_id, bounds in _bounds(plan.limits).items():
            self._connection.execute(
                "insert into plan_limit (plan_version_id, quantity_id, yellow_low, yellow_high, "
                "red_low, red_high) values (%s, %s, %s, %s, %s, %s)",
                (plan_version_id, quantity_id, *bounds),
            )
        for rule in plan.rules:
            self._connection.execute(
                "insert into plan_rule (plan_version_id, rule_key, kind, level, spec) "
                "values (%s, %s, %s, %s, %s)",
                (plan_version_id, rule.key, rule.kind, rule.level, Jsonb(rule.params())),
            )
        self._connection.execute(
            "insert into plan_advice (plan_version_id, green, yellow, red) values (%s, %s, %s, %s)",
            (plan_version_id, plan.advice.green, plan.advice.yellow, plan.advice.red),
        )

    def _limits_kept(self, patient_id: int, plan: Plan) -> dict[object, tuple[object, ...]]:
        rows = self._connection.execute(
            "select quantity_id, yellow_low, yellow_high, red_low, red_high from plan_limit "
            "join plan_version using (plan_version_id) "
            "where patient_id = %s and in_force_from = %s",
            (patient_id, plan.in_force_from),
        )
        return {quantity_id: tuple(bounds) for quantity_id, *bounds in rows}

    def _rules_kept(self, patient_id: int, plan: Plan) -> dict[object, object]:
        rows = self._connection.execute(
            "select rule_key, level, spec from plan_rule join plan_version using (plan_version_id) "
            "where patient_id = %s and in_force_from = %s",
            (patient_id, plan.in_force_from),
        )
        return {key: (level, spec) for key, level, spec in rows}


def _specs(rules: Sequence[Rule]) -> dict[object, object]:
    return {rule.key: (rule.level, rule.params()) for rule in rules}


def _bounds(limits: tuple[Limit, ...]) -> dict[object, tuple[object, ...]]:
    return {
        limit.quantity.facts.id: (
            limit.yellow_low,
            limit.yellow_high,
            limit.red_low,
            limit.red_high,
        )
        for limit in limits
    }
