"""Roles where readings lie in chunks: TimescaleDB gives a chunk the rights of its table."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from alerts import roles
from alerts.roles import INGEST, MIGRATOR, NOTIFIER, WEB
from alerts.roles_command import ROLES, roles_command
from alerts.schema import SOURCES
from ingest.schema.migrate import migrate
from simulator.embedded.postgres import Postgres
from tests.alerts.test_roles import DENIED, RED, as_role, known, say
from tests.alerts.world import D, S, World, build
from tests.conftest import fresh_database

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def chunked(timescale_postgres: Postgres) -> Iterator[str]:
    """The DSN of a world on TimescaleDB, with roles and with readings of several weeks."""
    for dsn in fresh_database(timescale_postgres):
        build(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            known(connection)
            world = World(as_role(World(dsn, connection), INGEST), connection)
            # The first rows of a chunk make it: under ingest's own role.
            for weeks in (0, 4, 8):
                world.measure("marta", RED, at=NOW - timedelta(weeks=weeks, minutes=1))
            # What made an alert stays; this may go.
            world.measure("marta", {S: 120.0, D: 80.0}, at=NOW - timedelta(weeks=9))
        yield dsn


@pytest.fixture
def guarded(chunked: str) -> Iterator[World]:
    """The world; what a test does to it as its owner is undone."""
    with psycopg.connect(chunked, autocommit=True) as connection:
        yield World(chunked, connection)


def chunks(world: World) -> list[str]:
    return [
        row[0]
        for row in world.rows(
            "select format('%%I.%%I', chunk_schema, chunk_name)"
            " from timescaledb_information.chunks where hypertable_name = 'sample' order by 1"
        )
    ]


OF_TIMESCALE = (
    "select drop_chunks('sample', older_than => now())",
    "select set_chunk_time_interval('sample', interval '1 day')",
    "select create_hypertable('reading', 'stored_at', migrate_data => true)",
    "alter table sample set (timescaledb.compress)",
    "drop extension timescaledb",
)


@pytest.mark.parametrize("role", DENIED)
def test_what_a_role_must_not_do_is_denied_there_too(guarded: World, role: str) -> None:
    allowed = []
    for statement in (*DENIED[role], *OF_TIMESCALE):
        try:
            say(guarded, role, statement)
        except errors.InsufficientPrivilege:
            continue
        allowed.append(statement)
    assert allowed == []


@pytest.mark.parametrize("role", [WEB, NOTIFIER])
def test_a_chunk_is_no_way_round_its_table(guarded: World, role: str) -> None:
    found = chunks(guarded)
    assert len(found) >= 3
    for chunk in found:
        assert say(guarded, role, f"select count(*) from {chunk}")  # as it may of the table
        for statement in (
            f"update {chunk} set value = 120",
            f"delete from {chunk}",
            f"insert into {chunk} select * from {chunk}",
            f"truncate {chunk}",
            f"drop table {chunk}",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                say(guarded, role, statement)


def test_ingest_takes_no_reading_away_by_its_chunk(guarded: World) -> None:
    for chunk in chunks(guarded):
        for statement in (f"delete from {chunk}", f"truncate {chunk}", f"drop table {chunk}"):
            with pytest.raises(errors.InsufficientPrivilege):
                say(guarded, INGEST, statement)


def test_the_migrator_owns_tables_and_chunks_and_migrates(guarded: World) -> None:
    owners = guarded.rows(
        "select distinct relowner::regrole::text from pg_class c where relkind in ('r', 'p', 'v')"
        " and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"
        " and (relnamespace = 'public'::regnamespace or c.oid = any(%s::regclass[]))",
        chunks(guarded),
    )
    assert owners == [(MIGRATOR,)]
    migrate(as_role(guarded, MIGRATOR), SOURCES)


def test_again_changes_nothing_and_what_was_given_beside_is_taken_back(guarded: World) -> None:
    chunk = chunks(guarded)[0]
    guarded.connection.execute(f"grant delete on sample to {WEB}".encode())
    assert say(guarded, WEB, f"delete from {chunk} where false") == 0
    roles.apply(guarded.connection)
    with pytest.raises(errors.InsufficientPrivilege):
        say(guarded, WEB, f"delete from {chunk} where false")


def test_ingest_removes_what_is_too_old_and_by_its_function_only(guarded: World) -> None:
    before = guarded.one("select count(*) from sample")
    # The days of what goes have been counted, as ingest's clock does.
    guarded.connection.execute("delete from sample_day_mark")
    guarded.connection.execute("update sample_day_state set live_from = current_date")
    say(guarded, INGEST, "select remove_old_readings(now() - interval '5 weeks', 1000)")
    assert 0 < guarded.one("select count(*) from sample") < before


def test_who_has_the_password_of_a_role_is_that_role(
    guarded: World, chunked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "alerts.toml"
    config.write_text(f'[database]\ndsn = "{chunked}"\n')
    with pytest.raises(SystemExit):
        roles_command(passwords=tmp_path, config=config)
    assert "write the password of egenmonitor_ingest there" in capsys.readouterr().err
    for role in ROLES:
        (tmp_path / f"{role}_password").write_text(f"secret of {role}\n")
    roles_command(passwords=tmp_path, config=config)
    for role in ROLES:
        told = make_conninfo(chunked, user=role, password=f"secret of {role}")
        with psycopg.connect(told) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)
            if role != MIGRATOR:
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute("delete from sample")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(make_conninfo(chunked, user=role, password="another"))
    kept = guarded.rows("select rolpassword from pg_authid where rolname = any(%s)", list(ROLES))
    assert all(password.startswith("SCRAM-SHA-256$") for (password,) in kept)
    known(guarded.connection)
