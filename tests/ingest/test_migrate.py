"""Migrations: once each, in order, under a lock, on both editions, and never edited."""

import concurrent.futures
from pathlib import Path

import psycopg
import pytest

from devices.quantity import Quantity
from ingest.schema.edition import Edition
from ingest.schema.migrate import (
    INGEST,
    LOCK_KEY,
    MigrationError,
    Source,
    migrate,
    read_scripts,
)


def _files(directory: Path, **texts: str) -> Source:
    for name, text in texts.items():
        (directory / f"{name[1:]}.sql").write_text(text)
    return Source("test", directory)


def _tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        return {row[0] for row in rows}


def test_every_file_is_applied_once_and_the_second_run_does_nothing(
    database: str, edition: str
) -> None:
    first = migrate(database)
    second = migrate(database)
    assert "ingest/0001_chain.sql" in first.applied
    assert second.applied == ()
    assert first.edition is (Edition.PLAIN if edition == "plain" else Edition.TIMESCALEDB)
    for of_timescaledb in ("ingest/0002_hypertable.sql", "ingest/0009_chunks.sql"):
        assert of_timescaledb in (first.skipped if edition == "plain" else first.applied)
    assert "ingest/0006_community.sql" in first.skipped


def test_samples_are_a_hypertable_where_timescaledb_is(database: str, edition: str) -> None:
    migrate(database)
    if edition == "plain":
        assert "sample" in _tables(database)
        return
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select hypertable_name from timescaledb_information.hypertables"
        ).fetchall()
        indexes = connection.execute(
            "select indexname from pg_indexes where tablename = 'sample'"
        ).fetchall()
    assert rows == [("sample",)]
    assert indexes == [("sample_pkey",)]  # no index on measured_at alone


def test_samples_from_before_the_extension_came_are_kept(database: str, edition: str) -> None:
    """A database that began as plain PostgreSQL becomes a hypertable without losing a row."""
    script = next(s for s in read_scripts(INGEST) if s.name == "0001_chain.sql")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create table schema_migration (source text, name text, sha256 bytea, edition text,"
            " applied_at timestamptz default now(), primary key (source, name))"
        )
        connection.execute(script.text)
        connection.execute(
            "insert into schema_migration values ('ingest', %s, %s, 'plain')",
            [script.name, script.sha256],
        )
        connection.execute(
            "insert into sample select 1, 1, now() - n * interval '1 day', gen_random_uuid(), 120"
            " from generate_series(1, 100) n"
        )
        done = migrate(database)
        assert ("ingest/0002_hypertable.sql" in done.applied) == (edition != "plain")
        row = connection.execute("select count(*) from sample").fetchone()
    assert row == (100,)


def test_migrators_that_start_together_apply_each_file_once(database: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        results = list(threads.map(migrate, [database] * 6))
    applied = [name for result in results for name in result.applied]
    assert sorted(applied) == sorted(set(applied))
    assert "ingest/0001_chain.sql" in applied


def test_a_migrator_gives_up_on_one_that_hangs(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        with pytest.raises(MigrationError, match="another migration has held the lock"):
            migrate(plain_database, lock_wait_s=0.2)


def test_an_edited_file_is_refused_with_what_to_do(plain_database: str, tmp_path: Path) -> None:
    source = _files(tmp_path, _0001_a="create table a (x int)")
    migrate(plain_database, [source])
    _files(tmp_path, _0001_a="create table a (x int, y int)")
    with pytest.raises(MigrationError, match=r"0001_a\.sql was edited.*restore the file"):
        migrate(plain_database, [source])


def test_line_ends_of_another_system_are_no_edit(plain_database: str, tmp_path: Path) -> None:
    source = _files(tmp_path, _0001_a="create table a (\nx int)\n")
    migrate(plain_database, [source])
    (tmp_path / "0001_a.sql").write_bytes(b"create table a (\r\nx int)\r\n")
    assert migrate(plain_database, [source]).applied == ()


def test_a_newer_database_is_refused(plain_database: str, tmp_path: Path) -> None:
    source = _files(tmp_path, _0001_a="create table a ()", _0002_b="create table b ()")
    migrate(plain_database, [source])
    (tmp_path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"0002_b\.sql.*newer version"):
        migrate(plain_database, [source])


def test_a_failing_file_leaves_nothing_and_the_ones_before_it_stay(
    plain_database: str, tmp_path: Path
) -> None:
    source = _files(tmp_path, _0001_a="create table a ()", _0002_b="create table b (); select 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(plain_database, [source])
    assert _tables(plain_database) == {"a", "schema_migration"}
    _files(tmp_path, _0002_b="create table b ()")
    assert migrate(plain_database, [source]).applied == ("test/0002_b.sql",)


def test_a_file_marked_no_transaction_runs_outside_one(plain_database: str, tmp_path: Path) -> None:
    source = _files(
        tmp_path,
        _0001_a="create table a (x int)",
        _0002_b="-- no-transaction\ncreate index concurrently a_x on a (x);\n",
    )
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda _: migrate(plain_database, [source]), range(3)))
    assert sorted(name for result in results for name in result.applied) == [
        "test/0001_a.sql",
        "test/0002_b.sql",
    ]


def test_two_packages_share_the_ledger_without_mixing(plain_database: str, tmp_path: Path) -> None:
    source = _files(tmp_path, _0001_chain="create table person (x int)")
    ours = [s.name for s in read_scripts(INGEST) if s.edition is Edition.PLAIN]
    assert migrate(plain_database, [INGEST, ("alerts", tmp_path)]).applied == (
        *(f"ingest/{name}" for name in ours),
        "alerts/0001_chain.sql",
    )
    assert migrate(plain_database, [INGEST, Source("alerts", source.directory)]).applied == ()


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("1_a.sql", "", "rename it"),
        ("0001_a.sql", "-- edition: oracle\n", "none of plain"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(MigrationError, match=problem):
        read_scripts(Source("test", tmp_path))


def test_a_number_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="0001 stands twice"):
        read_scripts(_files(tmp_path, _0001_a="", _0001_b=""))


def test_every_quantity_can_be_named_in_sql(plain_database: str) -> None:
    migrate(plain_database)
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("update quantity set name_sv = 'fel' where code = 'pulse'")
        migrate(plain_database)
        rows = connection.execute("select code, quantity_id, loinc, name_sv from quantity")
        found = {row[0]: row[1:] for row in rows}
    assert found == {q.value: (q.facts.id, q.facts.loinc, q.facts.name_sv) for q in Quantity}


def test_editions_include_the_ones_before_them() -> None:
    assert Edition.COMMUNITY.includes(Edition.TIMESCALEDB)
    assert Edition.TIMESCALEDB.includes(Edition.PLAIN)
    assert not Edition.PLAIN.includes(Edition.TIMESCALEDB)
