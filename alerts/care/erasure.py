"""Erasure as the law allows: what goes when a patient asks, what stays, and why.

Most of what there is about her is her care record and has to be kept; of the rest, what is needed
only while she measures goes once she does not. Every table that has something of patients stands
in ``GOES`` or ``STAYS``, as a test sees to. Nothing goes while somebody may have to reach her.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry

Connection = AsyncConnection[Any]

KEPT_YEARS: Final = 10  # after the last entry: patientdatalagen (2008:355) 3 kap. 17 §

_RECORD: Final = (
    "Hör till din journal. Den ska finnas kvar i minst tio år efter det sista som skrevs i den "
    "(patientdatalagen 3 kap. 17 §)."
)
_LOG: Final = (
    "Visar vem som har sett dina uppgifter. Det ska finnas kvar i minst fem år (HSLF-FS 2016:40)."
)
_CHAIN: Final = "Håller reda på vad som är gjort i systemet. Det säger inget mer än journalen."
_LOGIN: Final = "Behövs bara för att logga in."
_REACH: Final = "Behövs bara för att nå dig så länge du mäter."

_RECORDED: Final = """
alert alert_case alert_log breach breach_reading care_contact care_relation consent block
device_loan gateway_home handover loan_note message patient patient_pause patient_pause_was
pause_log person person_unit plan_advice plan_end plan_limit plan_proposal plan_rule plan_schedule
plan_version quarantine reading reading_denied reading_review reading_word reminder repeat_wait
review_request sample sample_day substitute task
"""
_LOGGED: Final = ("access_log", "emergency_access", "notification", "attempt")
_KEEPING: Final = """
alert_course canary_beat clock_turn digest recheck_difference rejudge retention_state rule_due
sample_day_mark technical_told
"""

# Why each stays, in her language.
STAYS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_RECORDED.split(), _RECORD),
    **dict.fromkeys(_LOGGED, _LOG),
    **dict.fromkeys(_KEEPING.split(), _CHAIN),
}


@dataclass(frozen=True, slots=True)
class Going:
    """What goes of a table: why it can, and the statement that does it."""

    why: str
    statement: str


# Her own account, and those of relatives who have nobody else here.
_ACCOUNTS: Final = """
select account_id from account where patient_id = %(patient_id)s
    or relative_id in (select relative_id from relative where patient_id = %(patient_id)s)
"""
# In the order in which they refer to each other.
GOES: Final[Mapping[str, Going]] = {
    "login_session": Going(_LOGIN, f"delete from login_session where account_id in ({_ACCOUNTS})"),  # noqa: S608
    "login_step": Going(_LOGIN, f"delete from login_step where account_id in ({_ACCOUNTS})"),  # noqa: S608
    "recovery_code": Going(_LOGIN, f"delete from recovery_code where account_id in ({_ACCOUNTS})"),  # noqa: S608
    "idempotency_key": Going(
        _LOGIN,
        f"delete from idempotency_key where account_id in ({_ACCOUNTS})"  # noqa: S608
        " or patient_id = %(patient_id)s or made_at <= now() - interval '24 hours'",
    ),
    "account": Going(_LOGIN, f"delete from account where account_id in ({_ACCOUNTS})"),  # noqa: S608
    "patient_channel": Going(
        _REACH, "delete from patient_channel where patient_id = %(patient_id)s"
    ),
    "reminder_attempt": Going(
        _REACH,
        "delete from reminder_attempt where reminder_id in "
        "(select reminder_id from reminder where patient_id = %(patient_id)s)",
    ),
    "relative": Going(
        "Telefon och e-post behövs bara för att nå din närstående. Namnet står i det ni kom "
        "överens om.",
        "update relative set phone = '', email = '' "
        "where patient_id = %(patient_id)s and (phone, email) <> ('', '')",
    ),
    "technical": Going(
        "Handlar om en dosa eller en mätare. Att den stod hos dig behövs inte mer.",
        # The key of a fault that is over names it for nobody any more; it may hold her number.
        "update technical set patient_id = null, key = 'erased:' || technical_id "
        "where patient_id = %(patient_id)s",
    ),
}


class Obstacle(enum.StrEnum):
    """Why somebody may still have to reach her."""

    ALERT = "alert"  # one is not closed
    LOAN = "loan"  # she has a device
    TASK = "task"  # one is not done
    MESSAGE = "message"  # one of hers is not answered
    PROPOSAL = "proposal"  # one waits for her answer
    REMINDED = "reminded"  # her plan still expects measurements
    TECHNICAL = "technical"  # a fault of hers is not over


_OBSTACLES: Final = """
select kind from (values
    ('alert', exists (
        select from alert where patient_id = %(patient_id)s and state <> 'closed')),
    ('loan', exists (
        select from device_loan where patient_id = %(patient_id)s
            and coalesce(returned_at, 'infinity') > %(now)s)),
    ('task', exists (select from task where patient_id = %(patient_id)s and done_at is null)),
    ('message', exists (
        select from message where patient_id = %(patient_id)s
            and staff_id is null and answered_at is null)),
    ('proposal', exists (
        select from plan_proposal where patient_id = %(patient_id)s
            and state in ('proposed', 'questioned'))),
    ('reminded', exists (select from rule_due where patient_id = %(patient_id)s)),
    ('technical', exists (
        select from technical where patient_id = %(patient_id)s and closed_at is null))
) as obstacle (kind, is_there) where is_there
"""
_LAST_ENTRY: Final = """
select max(at) from (
    select max(stored_at) as at from reading where patient_id = %(patient_id)s
    union all select max(changed_at) from alert where patient_id = %(patient_id)s
    union all select max(written_at) from message where patient_id = %(patient_id)s
    union all select max(proposed_at) from plan_proposal where patient_id = %(patient_id)s
    union all select max(in_force_from) from plan_version where patient_id = %(patient_id)s
    union all select registered_at from patient where patient_id = %(patient_id)s
) entry
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What came of it; with an obstacle nothing went."""

    obstacles: tuple[Obstacle, ...]
    gone: Mapping[str, int]  # by table: rows
    kept_until: datetime  # the care record, at least


async def erase(connection: Connection, patient_id: int, *, by: str, now: datetime) -> Erased:
    """Let go of what may go, in one transaction; LookupError: there is no such patient.

    Args:
        connection: In no transaction, of an account that may delete accounts.
        patient_id: Who asked for it.
        by: Who does it: the account at the command line, for the access log.
        now: The database's.
    """
    names = {"patient_id": patient_id, "now": now}
    async with connection.transaction():
        held = await connection.execute(
            "select from person join patient using (patient_id) "
            "where patient_id = %(patient_id)s for update",
            names,
        )
        if await held.fetchone() is None:
            problem = f"no patient {patient_id}"
            raise LookupError(problem)
        cursor = await connection.execute(_OBSTACLES, names)
        obstacles = tuple(Obstacle(row[0]) for row in await cursor.fetchall())
        gone: dict[str, int] = {}
        if not obstacles:
            for table, going in GOES.items():
                gone[table] = (await connection.execute(going.statement, names)).rowcount
            entry = Entry(
                actor="system",
                action=Action.ERASED.value,
                ground="operator",
                patient_id=patient_id,
                detail={"account": by, "rows": gone},
            )
            await append(connection, entry)
        kept_until = await _kept_until(connection, names)
    return Erased(obstacles=obstacles, gone=gone, kept_until=kept_until)


async def _kept_until(connection: Connection, names: Mapping[str, Any]) -> datetime:
    cursor = await connection.execute(_LAST_ENTRY, names)
    row = await cursor.fetchone()
    assert row is not None
    last: datetime = row[0]
    is_leap_day = (last.month, last.day) == (2, 29)
    after = last.replace(month=3, day=1) if is_leap_day else last
    return after.replace(year=after.year + KEPT_YEARS)
