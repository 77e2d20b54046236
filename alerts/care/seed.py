"""Writes a care record into the database in one transaction. Writing it again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from alerts.care import seed_accounts, seed_roster
from alerts.care.file import CareRecordError
from alerts.care.people import TECHNICIAN
from alerts.care.record import CareRecord, Limit, Loan, Patient, Plan
from alerts.care.roster import Staff
from alerts.care.seed_accounts import Left
from ingest.rules.model import Rule

Connection = psycopg.Connection[tuple[object, ...]]

# Who else has an HSA-id: units are known by name, staff by the user name of their account.
_UNIT_OF: Final = "select unit_id from unit where hsa_id = %s and name <> %s"
_STAFF_OF: Final = (
    "select staff_id from staff left join account using (staff_id) "
    "where hsa_id = %s and username is distinct from %s"
)
_TAKEN_OVER: Final = (
    "select unit_id from person_unit "
    "where patient_id = %s and until_at is null and handover_id is not null"
)
# A contact other than the file's whom a person has named.
_NAMED: Final = (
    "select patient_id from care_contact where patient_id = %s and until_at is null "
    "and named_by is not null and (staff_id, team_id) is distinct from (%s::bigint, %s::bigint)"
)


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
    kept: int  # patients whose unit or contact somebody has changed since: left as it is
    left: Left  # staff whom the file leaves out


def seed(
    connection: Connection, record: CareRecord, *, end_max: int | None = None, by: str = ""
) -> Seeded:
    """Write *record*; all of it or nothing.

    Staff whom it leaves out are ended if there are no more of them than *end_max*; None: nobody is.

    Raises:
        CareRecordError: What the database already holds contradicts it: a device lent to
            somebody else at the time, a plan version with other limits or rules. Or more staff
            would end than may.
    """
    with connection.transaction():
        # One seeding at a time; ingest and the pages go on reading.
        connection.execute("lock table unit in share row exclusive mode")
        return _Seeding(connection).write(record, end_max, by)


class _Seeding:
    """One run: remembers the numbers the database gave to the record's keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unit: dict[str, int] = {}
        self._staff: dict[str, int] = {}
        self._team: dict[str, int] = {}
        self._unit_of_contact: dict[str, str] = {}
        self._patients_new = 0
        self._loans_new = 0
        self._plans_new = 0
        self._kept: set[int] = set()
        self._problems: list[str] = []

    def write(self, record: CareRecord, end_max: int | None, by: str) -> Seeded:
        self._write_organisation(record)
        for gateway_id in record.gateways:
            self._connection.execute(
                "insert into gateway (gateway_id) values (%s) on conflict do nothing",
                (gateway_id,),
            )
        for patient in record.patients:
            self._write_patient(patient)
        if self._problems:
            raise CareRecordError(self._problems)
        left = seed_accounts.left_out(
            self._connection,
            [person.username for person in record.staff],
            list(self._unit.values()),
            end_max=end_max,
            by=by,
        )
        return Seeded(
            units=len(record.units),
            staff=len(record.staff),
            gateways=len(record.gateways),
            patients=len(record.patients),
            patients_new=self._patients_new,
            loans_new=self._loans_new,
            plans_new=self._plans_new,
            kept=len(self._kept),
            left=left,
        )

    def _write_organisation(self, record: CareRecord) -> None:
        connection = self._connection
        huvudman = {one.key: seed_roster.huvudman(connection, one) for one in record.huvudmen}
        for unit in record.units:
            if self._is_free(f"unit {unit.key}", unit.hsa_id, _UNIT_OF, unit.name):
                answers = None if unit.huvudman is None else huvudman[unit.huvudman]
                self._unit[unit.key] = seed_roster.unit(connection, unit, answers)
        if len(self._unit) < len(record.units):
            raise CareRecordError(self._problems)
        for person in record.staff:
            self._write_staff(person)
        for person in record.staff:
            hers = self._staff_ids(person.substitutes)
            seed_roster.substitutes(connection, hers, for_staff_id=self._staff[person.key])
        for unit in record.units:
            for duty in unit.duty:
                seed_roster.duty(connection, self._unit[unit.key], self._staff[duty.staff], duty)
        for team in record.teams:
            members = self._staff_ids(team.members) or []
            self._unit_of_contact[team.key] = team.unit
            self._team[team.key] = seed_roster.team(
                connection, self._unit[team.unit], team.name, members
            )

    def _staff_ids(self, keys: Sequence[str] | None) -> list[int] | None:
        return None if keys is None else [self._staff[key] for key in keys]

    def _is_free(self, where: str, hsa_id: str | None, holder: str, known_by: str) -> bool:
        """Return whether nobody but the one *known_by* has the HSA-id; else note the problem."""
        is_taken = hsa_id is not None and self._find(holder, (hsa_id, known_by)) is not None
        if is_taken:
            self._problems.append(f"{where}: hsa_id {hsa_id} belongs to somebody else already")
        return not is_taken

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
        self._unit_of_contact[person.key] = person.unit
        self._write_account(person.username, person.password.get_secret_value(), staff_id=staff_id)
        if self._is_free(f"staff {person.key}", person.hsa_id, _STAFF_OF, person.username):
            self._connection.execute(
                "update staff set hsa_id = %(hsa_id)s where staff_id = %(staff_id)s "
                "and %(hsa_id)s::text is not null and hsa_id is distinct from %(hsa_id)s",
                {"hsa_id": person.hsa_id, "staff_id": staff_id},
            )
        usual = "technician" if person.role.casefold() == TECHNICIAN.casefold() else "care"
        seed_roster.functions(self._connection, staff_id, person.functions, usual=usual)
        seed_roster.channels(self._connection, person.channels, staff_id=staff_id)
        seed_roster.absences(self._connection, staff_id, person.absences)

    def _write_patient(self, patient: Patient) -> None:
        unit_key = patient.unit or self._unit_of_contact[patient.contact or ""]
        patient_id = self._find(
            "select patient_id from person where personal_number = %s",
            (patient.personal_number,),
        )
        if patient_id is None:
            self._patients_new += 1
            patient_id = self._one("insert into patient default values returning patient_id", ())
        unit_id = self._answering(patient_id, self._unit[unit_key])
        self._connection.execute(
            "insert into person (patient_id, unit_id, given_name, family_name, personal_number, "
            "born_on, phone, diagnosis) values (%s, %s, %s, %s, %s, %s, %s, %s) "
            "on conflict (patient_id) do update set unit_id = excluded.unit_id, "
            "given_name = excluded.given_name, family_name = excluded.family_name, "
            "phone = excluded.phone, diagnosis = excluded.diagnosis",
            (
                patient_id,
                unit_id,
                patient.given_name,
                patient.family_name,
                patient.personal_number,
                patient.born_on,
                patient.phone,
                patient.diagnosis,
            ),
        )
        self._write_unit_of(patient_id, unit_id)
        self._write_contact(patient_id, patient.contact)
        if unit_id == self._unit[unit_key]:  # another unit has its own: the old one's see no more
            seed_roster.substitutes(
                self._connection, self._staff_ids(patient.substitutes), patient_id=patient_id
            )
        if patient.username and patient.password:
            secret = patient.password.get_secret_value()
            self._write_account(patient.username, secret, patient_id=patient_id)
        if patient.gateway is not None:
            self._write_home(patient_id, patient.gateway)
        for loan in patient.loans:
            self._write_loan(patient.key, patient_id, loan)
        for plan in patient.plans:
            self._write_plan(patient.key, patient_id, plan)

    def _answering(self, patient_id: int, told: int) -> int:
        """Return the unit that answers for her: the file's, or the one that has taken her over."""
        unit_id = self._find(_TAKEN_OVER, (patient_id,)) or told
        if unit_id != told:
            self._kept.add(patient_id)
        return unit_id

    def _write_unit_of(self, patient_id: int, unit_id: int) -> None:
        """Note since when the unit answers for her, if another did before. History stays."""
        self._connection.execute(
            "update person_unit set until_at = greatest(now(), from_at) "
            "where patient_id = %s and until_at is null and unit_id <> %s",
            (patient_id, unit_id),
        )
        self._connection.execute(
            "insert into person_unit (patient_id, unit_id, from_at) values (%s, %s, now()) "
            "on conflict (patient_id) where until_at is null do nothing",
            (patient_id, unit_id),
        )

    def _write_contact(self, patient_id: int, contact: str | None) -> None:
        """End the contact there was, if it is another, and begin the new one. History stays.

        One that a person has named since is left: a file does not undo what somebody decided.
        """
        staff_id, team_id = self._staff.get(contact or ""), self._team.get(contact or "")
        named = self._find(_NAMED, (patient_id, staff_id, team_id))
        if named is not None or patient_id in self._kept:
            self._kept.add(patient_id)
            return
        self._connection.execute(
            "update care_contact set until_at = greatest(now(), from_at) "
            "where patient_id = %s and until_at is null "
            "and (staff_id, team_id) is distinct from (%s::bigint, %s::bigint)",
            (patient_id, staff_id, team_id),
        )
        if contact is not None:
            self._connection.execute(
                "insert into care_contact (patient_id, staff_id, team_id, from_at) "
                "values (%s, %s, %s, now()) "
                "on conflict (patient_id) where until_at is null do nothing",
                (patient_id, staff_id, team_id),
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

    def _write_account(self, username: str, secret: str, **holder: int) -> None:
        problem = seed_accounts.account(self._connection, username, secret, **holder)
        if problem is not None:
            self._problems.append(problem)

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
