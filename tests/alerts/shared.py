"""One database for many tests: each finds it as it was made.

Copying a template costs more than most tests do. What a test has changed in the rows is put back
after it; if it has changed a table, a trigger or a right, the next test gets a new database.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import psycopg
from psycopg import sql

from simulator.embedded.postgres import Postgres
from tests.alerts.world import World

# A row that is new or changed has a newer xmin; one that is gone is not counted.
_KEEP = """
create schema kept;
create table kept.rows (name text primary key, number bigint, newest bigint);
create function kept.seen(name text, out number bigint, out newest bigint) language plpgsql as $$
begin
    execute format('select count(*), max(xmin::text::bigint) from public.%I', name)
    into number, newest;
end $$;
create function kept.put_back() returns void language plpgsql as $$
declare
    was kept.rows;
    number bigint;
    newest bigint;
begin
    for was in select * from kept.rows loop
        select * into number, newest from kept.seen(was.name);
        if (number, newest) is distinct from (was.number, was.newest) then
            execute format('delete from public.%I', was.name);
            if was.number > 0 then
                execute format(
                    'insert into public.%I overriding system value table kept.%I',
                    was.name, was.name);
                update kept.rows as r set newest = seen.newest
                from kept.seen(was.name) as seen where r.name = was.name;
            end if;
        end if;
    end loop;
end $$;
do $$
declare
    name text;
begin
    for name in
        select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
    loop
        execute format('create table kept.%I as table public.%I', name, name);
        insert into kept.rows select name, seen.* from kept.seen(name) as seen;
    end loop;
end $$;
"""
# Vacuum writes into the catalogue, too, but makes no new rows there.
_SCHEMA = " union all ".join(
    f"select count(*), max(xmin::text::bigint) from {catalogue}"
    for catalogue in (
        "pg_class",
        "pg_attribute",
        "pg_constraint",
        "pg_trigger",
        "pg_proc",
        "pg_namespace",
        "pg_default_acl",
    )
)
# Of a process that was killed, or that is going.
_ALONE = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


class Shared:
    """A database that tests use one after the other."""

    def __init__(
        self, server: Postgres, template: str, settle: Callable[[World], object] | None = None
    ) -> None:
        self._server = server
        self._template = template
        self._settle = settle
        self._name: str | None = None
        # Of the database, and open for as long as it: what it has once looked up it knows.
        self._keeper: psycopg.Connection | None = None
        self._schema: list[tuple[object, ...]] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[World]:
        """Give the world to one test."""
        dsn = self._server.dsn(self._name or self._make())
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield World(dsn, connection)
        try:
            is_back = self._put_back()
        except psycopg.OperationalError:  # the test has ended every connection but its own
            is_back = False
        if not is_back:
            self.drop()

    def drop(self) -> None:
        """Leave nothing behind."""
        if self._keeper is not None:
            self._keeper.close()
        if self._name is not None:
            self._admin("drop database {} with (force)", self._name)
            self._name = None

    def _make(self) -> str:
        name = f"world_{uuid.uuid4().hex}"
        self._admin("create database {} template {} strategy file_copy", name, self._template)
        self._name = name
        dsn = self._server.dsn(name)
        self._keeper = connection = psycopg.connect(dsn, autocommit=True, application_name="test")
        if self._settle is not None:
            self._settle(World(dsn, connection))
        connection.execute(_KEEP)
        self._schema = connection.execute(_SCHEMA.encode()).fetchall()
        # The guards of what is append-only, and foreign keys, sleep while rows are put back.
        connection.execute("set session_replication_role = replica")
        return name

    def _put_back(self) -> bool:
        """Put the rows back; return whether that is all there was to put back."""
        assert self._keeper is not None
        self._keeper.execute(_ALONE)
        if self._keeper.execute(_SCHEMA.encode()).fetchall() != self._schema:
            return False
        self._keeper.execute("select kept.put_back()")
        return True

    def _admin(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextlib.contextmanager
def shared_by_all(
    server: Postgres, template: str, settle: Callable[[World], object] | None = None
) -> Iterator[Shared]:
    """Give a database to share, made when the first test asks for it."""
    shared = Shared(server, template, settle)
    yield shared
    shared.drop()
