"""Everything about one patient, as one JSON document, and her measurements as a table.

Rows are as the database has them, of one moment, with the names of staff, units and quantities that
they mention. Nothing of another patient is among them, and no secret. A table that has something of
patients stands in ``PARTS`` or in ``LEFT_OUT``, with the reason: a test sees to it.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql

from devices.quantity import BY_ID
from ingest.clock.turn import LOCAL
from ingest.plausibility import VALUE_DOUBTS, Suspicion

Connection = AsyncConnection[Any]

FORMAT: Final = "egenmonitor.patient"
VERSION: Final = 1  # of the document; another one where a reader of this one would go wrong

_OWN: Final = "t.patient_id = %(patient_id)s"


def _of(key: str, table: str, column: str = "patient_id") -> str:
    """Return the condition of rows that belong to the patient's rows of another table."""
    return f"t.{key} in (select {key} from {table} where {column} = %(patient_id)s)"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table, and the columns that are not hers to read."""

    table: str
    where: str = _OWN
    omit: tuple[str, ...] = ()
    name: str = ""  # in the document; '': the table's


_ALERT: Final = _of("alert_id", "alert")
_PLAN: Final = _of("plan_version_id", "plan_version")
_READING: Final = _of("reading_id", "reading")

PARTS: Final = (
    # Who she is, and who is around her.
    Part("patient"),
    Part("person"),
    Part("person_unit"),
    Part("patient_channel"),
    Part("relative"),
    Part("account", omit=("password_hash", "totp_secret", "totp_last_step")),
    Part(
        "login_session",
        _of("account_id", "account"),
        omit=("token_hash", "csrf_token", "provider_sid"),
    ),
    Part("care_contact"),
    Part("substitute"),
    Part("care_relation"),
    Part("handover"),
    Part("consent"),
    Part("block"),
    # Her plan.
    Part("plan_proposal"),
    Part("plan_version"),
    Part("plan_limit", _PLAN),
    Part("plan_rule", _PLAN),
    Part("plan_advice", _PLAN),
    Part("plan_schedule", _PLAN),
    Part("plan_end", _PLAN),
    Part("patient_pause"),
    Part("patient_pause_was"),
    Part("pause_log", _of("pause_id", "patient_pause")),
    # What she measures with, and what she has measured.
    Part("gateway_home"),
    Part("device_loan"),
    Part("loan_note", _of("loan_id", "device_loan"), omit=("moved_from",)),
    Part("reading"),
    Part("sample"),
    Part("sample_day"),
    Part("reading_review", _READING),
    # Of one that moved nothing says who the other is; her care's own words may, too.
    Part("review_request", omit=("to_patient_id", "new_reading_id")),
    Part(
        "review_request",
        "t.to_patient_id = %(patient_id)s",
        omit=("patient_id", "reading_id"),
        name="reading_moved_here",
    ),
    Part("reading_denied"),
    Part(
        "reading_word",
        "t.request_id in (select request_id from review_request "
        "where patient_id = %(patient_id)s and verdict <> 'moved')",
    ),
    # Refused of a device that is hers alone: of a shared one nobody knows whose it was.
    Part(
        "quarantine",
        """exists (
            select from device_loan l
            where l.patient_id = %(patient_id)s and l.device_id = t.device_id and l.slot is null
                and l.lent_from <= t.arrived_at
                and coalesce(l.returned_at, 'infinity') > t.arrived_at
        )""",
    ),
    # What came of it.
    Part("breach"),
    Part("breach_reading", _of("breach_id", "breach")),
    Part("repeat_wait"),
    Part("rule_due"),
    Part("recheck_difference"),
    Part("alert"),
    Part("alert_case", _ALERT),
    Part("alert_course", _ALERT),
    Part("alert_log", _ALERT),
    Part("notification", _ALERT),
    Part(
        "attempt",
        "t.notification_id in (select notification_id from notification join alert "
        "using (alert_id) where patient_id = %(patient_id)s)",
    ),
    Part(
        "digest",
        "t.notification_id in (select notification_id from notification join alert "
        "using (alert_id) where patient_id = %(patient_id)s)",
    ),
    Part("reminder"),
    Part("reminder_attempt", _of("reminder_id", "reminder")),
    Part("technical"),
    Part("task"),
    Part("message"),
    # Who has looked.
    Part("emergency_access"),
    Part("access_log", omit=("patient_ids", "previous", "hash")),
    Part(
        "access_log",
        "t.patient_ids @> array[%(patient_id)s::bigint]",
        omit=("patient_ids", "patient_id", "detail", "previous", "hash"),
        name="access_log_of_lists",
    ),
)

# Tables that have something of patients all the same.
LEFT_OUT: Final[Mapping[str, str]] = {
    "canary_beat": "of the invented patient who watches the chain",
    "clock_turn": "where a sweep over everybody stands",
    "idempotency_key": "answers that stand in other parts, kept a day: nothing is done twice",
    "login_step": "secrets of a login that is under way, and gone within minutes",
    "recovery_code": "hashes of codes to log in with: secrets, and nothing can be read from them",
    "rejudge": "a queue of readings that are in the document, empty within seconds",
    "retention_state": "where a sweep over everybody stands",
    "sample_day_mark": "a queue of days that are to be counted",
    "technical_told": "which messages to technicians were about which fault",
}

_STAFF: Final = frozenset({"staff_id", "contact_staff_id", "for_staff_id"})
_UNITS: Final = frozenset({"unit_id", "from_unit_id", "to_unit_id", "staff_unit_id"})


async def export(connection: Connection, patient_id: int, now: datetime) -> dict[str, Any]:
    """Return everything about the patient as it is at one moment; LookupError: there is none.

    Args:
        connection: In no transaction.
        patient_id: Who. That whoever asks may have it is the caller's to know.
        now: The database's, as it stands in the document.
    """
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await connection.execute("set local timezone to 'UTC'")
        tables = {
            part.name or part.table: await _rows(connection, part, patient_id) for part in PARTS
        }
        if not tables["patient"]:
            problem = f"no patient {patient_id}"
            raise LookupError(problem)
        rows = [row for some in tables.values() for row in some]
        staff = await _named(connection, _NAMES_OF_STAFF, _mentioned(rows, _is_staff))
        units = await _named(connection, _NAMES_OF_UNITS, _mentioned(rows, _UNITS.__contains__))
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_at": now.isoformat(),
        "patient_id": patient_id,
        "tables": tables,
        "staff": staff,
        "units": units,
        "quantities": {
            str(number): {"name": quantity.facts.name_sv, "unit": quantity.facts.unit}
            for number, quantity in BY_ID.items()
        },
        "left_out": dict(LEFT_OUT),
    }


def readings_csv(document: Mapping[str, Any]) -> bytes:
    """Return the measurements of a document as a table that a Swedish spreadsheet opens."""
    written = io.StringIO()
    table = csv.writer(written, delimiter=";", lineterminator="\r\n")
    table.writerow(["mätt (svensk tid)", "vad", "värde", "enhet", "räknas", "mätning"])
    for row in sorted(document["tables"]["sample"], key=_by_time):
        facts = BY_ID[row["quantity_id"]].facts
        table.writerow(
            [
                _moment(row).astimezone(LOCAL).strftime("%Y-%m-%d %H:%M:%S"),
                facts.name_sv,
                f"{row['value']:.{facts.decimals}f}".replace(".", ","),
                facts.unit_shown,
                "ja" if _counts(Suspicion(row["suspicion"])) else "nej",
                row["reading_id"],
            ]
        )
    return written.getvalue().encode("utf-8-sig")


_NAMES_OF_STAFF: Final = (
    "select staff_id, jsonb_build_object('name', s.name, 'role', role, 'unit', u.name) "
    "from staff s join unit u using (unit_id) where staff_id = any (%s)"
)
_NAMES_OF_UNITS: Final = (
    "select unit_id, jsonb_build_object('name', name, 'phone', phone) "
    "from unit where unit_id = any (%s)"
)


async def _rows(connection: Connection, part: Part, patient_id: int) -> list[dict[str, Any]]:
    query = sql.SQL("select to_jsonb(t) - %(omit)s::text[] from {} t where {} order by t").format(
        sql.Identifier(part.table),
        sql.SQL(part.where),  # our own text
    )
    values = {"patient_id": patient_id, "omit": list(part.omit)}
    cursor = await connection.execute(query, values)
    return [row[0] for row in await cursor.fetchall()]


def _is_staff(column: str) -> bool:
    return column in _STAFF or column.endswith("_by")


def _mentioned(rows: Iterable[Mapping[str, Any]], is_one: Any) -> list[int]:
    found = {
        value
        for row in rows
        for column, value in row.items()
        if is_one(column) and isinstance(value, int)
    }
    return sorted(found)


async def _named(connection: Connection, query: str, ids: list[int]) -> dict[str, Any]:
    cursor = await connection.execute(query, [ids])
    return {str(number): named for number, named in await cursor.fetchall()}


def _counts(suspicion: Suspicion) -> bool:
    """Tell whether rules look at a value, as ``sample_counts`` of the database does."""
    if suspicion & Suspicion.SUPERSEDED:
        return False
    return not suspicion & VALUE_DOUBTS or bool(suspicion & Suspicion.CONFIRMED)


def _moment(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["measured_at"])


def _by_time(row: Mapping[str, Any]) -> tuple[datetime, int]:
    return _moment(row), row["quantity_id"]
