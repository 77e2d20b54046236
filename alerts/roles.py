"""Roles in the database: what each process may do there, and no more.

``python -m alerts roles`` makes them what stands here; run it after each ``migrate``. Who breaks
into ingest reads no name and no password there; who breaks into the pages cannot change what was
measured; nobody takes back what the logs say. The tests hold this list against the statements in
the code, and run the code under it.
"""

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from ingest.schema.migrate import LOCK_KEY

PREFIX: Final = "egenmonitor_"
INGEST: Final = f"{PREFIX}ingest"
WEB: Final = f"{PREFIX}web"
NOTIFIER: Final = f"{PREFIX}notifier"
MIGRATOR: Final = f"{PREFIX}migrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What a role may do with which tables (names between blanks)."""

    select: str
    insert: str
    update: str
    delete: str
    # Who locks a row must be allowed to update something of it: a key, which nothing may change.
    lock: tuple[tuple[str, str], ...] = ()
    # Which columns of a table may be updated (names between blanks), where not all of them may.
    columns: tuple[tuple[str, str], ...] = ()
    # Of which columns it draws numbers itself, and not only by inserting rows.
    draws: tuple[tuple[str, str], ...] = ()

    def items(self) -> list[tuple[str, str]]:
        """Return each privilege with its table, also where it is for some columns only."""
        return [*self.whole(), *(("update", table) for table, _ in self.columns)]

    def whole(self) -> list[tuple[str, str]]:
        """Return each privilege with its table, where it is for all columns."""
        return [
            (privilege, table)
            for privilege in ("select", "insert", "update", "delete")
            for table in getattr(self, privilege).split()
        ]


# Whoever writes what ingest keeps in memory notes that it changed, by triggers.
_NOTED: Final = "registry registry_change"

GRANTS: Final = {
    INGEST: Grants(
        select=f"""
        alert breach breach_reading canary_beat clock_turn device_loan gateway gateway_config
        gateway_device gateway_event gateway_home gateway_setting gateway_status incident
        pairing_request patient patient_pause patient_pause_was plan_limit plan_rule plan_version
        quantity quarantine reading reading_review recheck_difference recheck_run {_NOTED} rejudge
        reminder repeat_wait replay_state retention_state review_request rule_due sample
        sample_day sample_day_mark sample_day_state schema_migration""",
        insert="""
        alert alert_log breach breach_reading canary_beat clock_turn gateway_config gateway_event
        gateway_status incident quarantine reading reading_review recheck_difference recheck_run
        rejudge reminder repeat_wait rule_due sample sample_day sample_day_mark""",
        update="""
        alert breach clock_turn gateway_config gateway_status incident pairing_request
        quarantine reading recheck_difference recheck_run registry repeat_wait replay_state
        retention_state review_request rule_due sample sample_day sample_day_mark
        sample_day_state""",
        delete="""
        canary_beat gateway_config gateway_event registry_change rejudge rule_due sample_day
        sample_day_mark""",
        lock=(("patient", "patient_id"), ("gateway", "gateway_id"), ("rejudge", "reading_id")),
        draws=(("breach", "breach_id"),),
    ),
    WEB: Grants(
        select=f"""
        absence access_chain access_checkpoint access_log access_review account alert alert_case
        alert_course alert_log attempt block breach breach_reading canary_beat care_contact
        care_relation channel channel_test clock_turn consent device_loan digest duty
        emergency_access enrolment_code gateway gateway_certificate gateway_config gateway_device
        gateway_event gateway_home gateway_status handover huvudman idempotency_key incident
        loan_note login_failure login_session login_step message notification pairing_request
        patient patient_channel patient_pause person person_unit plan_advice plan_end plan_limit
        plan_proposal plan_rule plan_schedule plan_template plan_version policy pulse quantity
        quarantine reach reading reading_denied recovery_code {_NOTED} relative repeat_wait
        review_request route_turn sample staff staff_function substitute task team team_member
        technical technical_notice technical_told technical_turn unit unit_day unit_hours""",
        insert="""
        absence access_log access_review alert_case alert_course alert_log attempt block
        care_contact channel channel_test consent device_loan digest duty emergency_access
        enrolment_code gateway gateway_certificate gateway_device gateway_event handover
        idempotency_key loan_note login_failure login_session login_step message notification
        pairing_request patient_pause patient_pause_was pause_log person_unit plan_advice plan_end
        plan_limit plan_proposal plan_rule plan_schedule plan_template plan_version policy reach
        reading_denied reading_word recovery_code registry_change review_request substitute task""",
        update="""
        absence access_chain alert alert_case alert_course attempt care_contact care_relation
        channel_test device_loan duty enrolment_code gateway gateway_certificate
        gateway_config gateway_device gateway_home handover loan_note message notification
        pairing_request patient_pause person_unit plan_proposal plan_template policy reach
        registry route_turn substitute task technical technical_notice""",
        delete="alert_course idempotency_key login_failure login_session login_step recovery_code",
        lock=(("patient", "patient_id"), ("staff", "staff_id"), ("unit", "unit_id")),
        # Who breaks into the pages takes over no account, gives nobody's consent, and writes over
        # no reason.
        columns=(
            ("account", "subject totp_secret totp_confirmed_at totp_last_step"),
            ("block", "lifted_at lifted_how"),
            ("channel", "ended_at failing_since place verified_at"),
            ("consent", "revoked_at"),
            ("emergency_access", "reviewed_by reviewed_at review"),
            ("login_session", "seen_at"),
            ("person", "unit_id"),
            ("recovery_code", "used_at"),
        ),
    ),
    NOTIFIER: Grants(
        select="""
        absence alert alert_case alert_course alert_log attempt breach canary_beat care_contact
        channel clock_turn device_loan digest duty gateway gateway_certificate gateway_config
        gateway_device gateway_event gateway_home gateway_status incident notification
        pairing_request patient patient_channel patient_pause person person_unit
        plan_proposal plan_rule policy pulse quantity quarantine reach reading reading_denied
        reminder reminder_attempt review_request route_turn rule_due sample staff
        staff_function substitute task team team_member technical technical_notice
        technical_told technical_turn unit unit_day unit_hours""",
        insert="""
        alert_case alert_course alert_log attempt digest incident notification pulse
        reminder_attempt task technical technical_notice technical_told technical_turn""",
        update="""
        alert alert_case alert_course attempt channel incident notification pulse reminder
        reminder_attempt route_turn task technical technical_notice technical_turn""",
        delete="alert_course",
    ),
}

# Runs with the rights of who owns it: ingest removes what is too old, and nothing else.
_REMOVE: Final = sql.SQL("function remove_old_readings(timestamptz, integer)")


def apply(connection: psycopg.Connection[Any]) -> None:
    """Make the roles what this file says, in one transaction. Safe at any time.

    The connection is a superuser's. A role that is new has no password: the one who looks after
    the database gives it one. Other roles keep what they have, but for PUBLIC.

    Raises:
        psycopg.errors.UndefinedTable: The schema is not up to date.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK_KEY])
        for role in (*GRANTS, MIGRATOR):
            _make(connection, role)
        _give_to_the_migrator(connection)
        for role, grants in GRANTS.items():
            _grant(connection, sql.Identifier(role), grants)
        connection.execute(sql.SQL("alter {} security definer").format(_REMOVE))
        connection.execute(
            sql.SQL("alter {} set search_path = pg_catalog, public, pg_temp").format(_REMOVE)
        )
        connection.execute(sql.SQL("revoke execute on {} from public").format(_REMOVE))
        connection.execute(
            sql.SQL("grant execute on {} to {}").format(_REMOVE, sql.Identifier(INGEST))
        )


def _make(connection: psycopg.Connection[Any], role: str) -> None:
    """Make a role that can log in and is nothing more."""
    name = sql.Identifier(role)
    row = connection.execute("select from pg_roles where rolname = %s", [role]).fetchone()
    if row is None:
        connection.execute(sql.SQL("create role {}").format(name))
    connection.execute(
        sql.SQL(
            "alter role {} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
        ).format(name)
    )


def _give_to_the_migrator(connection: psycopg.Connection[Any]) -> None:
    """Let the migrator own what there is, and make more; nobody else makes anything."""
    migrator = sql.Identifier(MIGRATOR)
    row = connection.execute("select current_database()").fetchone()
    database = sql.Identifier(row[0] if row else "")
    # It looks which edition of the database this is.
    connection.execute(sql.SQL("grant pg_read_all_settings to {}").format(migrator))
    connection.execute("revoke all on schema public from public")
    connection.execute(sql.SQL("grant create, usage on schema public to {}").format(migrator))
    connection.execute(sql.SQL("revoke temporary on database {} from public").format(database))
    connection.execute(sql.SQL("grant temporary on database {} to {}").format(database, migrator))
    values = {"migrator": MIGRATOR, "aggregates": _aggregates(connection)}
    for (statement,) in connection.execute(_OWNED, values).fetchall():
        connection.execute(statement)


def _aggregates(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the views that are TimescaleDB's continuous aggregates, if it can have such.

    It alters them as materialized views only, though PostgreSQL has them as views.
    """
    listed = "timescaledb_information.continuous_aggregates"
    row = connection.execute("select to_regclass(%s) is not null", [listed]).fetchone()
    if row is None or not row[0]:
        return []
    found = connection.execute(
        "select view_name from timescaledb_information.continuous_aggregates"
        " where view_schema = 'public'"
    )
    return [name for (name,) in found.fetchall()]


def set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Give a role its password. The database is told a SCRAM verifier, and so is its log."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("alter role {} password {}").format(sql.Identifier(role), verifier.decode())
    )


# Tables, views and functions of ours; sequences and indexes go with their tables.
_OWNED: Final = """
select format('alter %%s %%s owner to %%I',
              case when c.relkind = 'm' or c.relname = any(%(aggregates)s::text[])
                  then 'materialized view' when c.relkind = 'v' then 'view' else 'table' end,
              c.oid::regclass, %(migrator)s::text)
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    and pg_get_userbyid(c.relowner) <> %(migrator)s
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
union all
select format('alter routine %%s owner to %%I', p.oid::regprocedure, %(migrator)s::text)
from pg_proc p
where p.pronamespace = 'public'::regnamespace
    and pg_get_userbyid(p.proowner) <> %(migrator)s
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
"""


def _grant(connection: psycopg.Connection[Any], role: sql.Identifier, grants: Grants) -> None:
    """Take everything from a role, then give it what it needs."""
    connection.execute(sql.SQL("grant usage on schema public to {}").format(role))
    for kind in ("tables", "sequences"):
        connection.execute(
            sql.SQL("revoke all on all {} in schema public from {}").format(sql.SQL(kind), role)
        )
    for privilege, table in grants.whole():
        connection.execute(
            sql.SQL("grant {} on {} to {}").format(
                sql.SQL(privilege),
                sql.Identifier(table),
                role,
            )
        )
    for table, columns in (*grants.lock, *grants.columns):
        connection.execute(
            sql.SQL("grant update ({}) on {} to {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns.split())),
                sql.Identifier(table),
                role,
            )
        )
    for table, column in grants.draws:
        row = connection.execute(
            "select pg_get_serial_sequence(%s, %s)", [table, column]
        ).fetchone()
        sequence = "" if row is None else str(row[0])
        connection.execute(
            sql.SQL("grant usage on sequence {} to {}").format(
                sql.Identifier(*sequence.split(".")), role
            )
        )
