"""What each role may do in the database: as much as its code does, and nothing that it must not."""

import ast
import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from alerts import course, engine, roles
from alerts.care import reading_review, todo
from alerts.channels.channel import open_carriers
from alerts.channels.settings import MailSettings
from alerts.config import Local, LoginSettings, SecondFactor, WebSettings
from alerts.roles import GRANTS, INGEST, MIGRATOR, NOTIFIER, WEB
from alerts.schema import SOURCES
from alerts.sending import carried, loop, store
from alerts.signal import Hub
from alerts.technical import watch
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from ingest import asked, pg_binary, rejudge
from ingest.asked import Verdict
from ingest.registry import Registry
from ingest.schema.migrate import INGEST as INGEST_FILES
from ingest.schema.migrate import MigrationError, Source, migrate
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool
from tests.alerts.shared import Shared, shared_by_all
from tests.alerts.world import GATEWAY, PASSWORD, D, S, World

ROOT = Path(__file__).parents[2]
RED = {S: 192.0, D: 112.0}
SECRET = "of every role in these tests"


@pytest.fixture(scope="session")
def with_roles(plain_postgres: Postgres, template: str) -> Iterator[Shared]:
    """The database behind the guarded worlds."""
    with shared_by_all(plain_postgres, template, lambda world: known(world.connection)) as it:
        yield it


def known(connection: psycopg.Connection[Any]) -> None:
    """Let the database know the roles, and each log in."""
    roles.apply(connection)
    for role in (*GRANTS, MIGRATOR):
        roles.set_password(connection, role, SECRET)


@pytest.fixture
def guarded(with_roles: Shared) -> Iterator[World]:
    """A world whose database knows the roles."""
    with with_roles.lend() as world:
        yield world


def as_role(world: World, role: str) -> str:
    """Return how to connect as a role."""
    return make_conninfo(world.dsn, user=role, password=SECRET)


def say(world: World, role: str, statement: str) -> Any:
    with psycopg.connect(as_role(world, role), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else cursor.rowcount


DENIED: dict[str, tuple[str, ...]] = {
    INGEST: (
        "select from person",
        "select from account",
        "select from staff",
        "select from relative",
        "select from message",
        "select from login_session",
        "select from access_log",
        "select from enrolment_code",
        "insert into patient default values",
        "insert into device_loan (patient_id, device_id, lent_from) values (1, 'x', now())",
        "update plan_limit set red_high = 1000",
        "insert into plan_version (patient_id, in_force_from) values (1, now())",
        "update patient set is_canary = true",
        "update alert_log set event = 'x'",
        "delete from alert_log",
        "truncate alert_log",
        "delete from reading",
        "delete from sample",
        "delete from quarantine",
        "delete from alert",
        "alter table alert_log disable trigger all",
        "drop table reading",
        "create table mine (id integer)",
        "create temporary table mine (id integer)",
        "copy reading to program 'cat'",
    ),
    WEB: (
        "insert into reading (reading_id) values (gen_random_uuid())",
        "update reading set measured_at = now()",
        "delete from reading",
        "update sample set value = 120",
        "delete from sample",
        "update review_request set done_at = now()",
        "delete from review_request",
        "update reading_word set why = 'x'",
        "update breach set level = 0",
        "delete from breach",
        "delete from alert",
        "delete from alert_case",
        "update alert_log set event = 'x'",
        "delete from alert_log",
        "truncate alert_log",
        "update access_log set ground = 'x'",
        "delete from access_log",
        "truncate access_log",
        "insert into access_checkpoint (chain) values (1)",
        "delete from access_chain",
        "insert into access_chain (chain) values (99)",
        "alter table access_log disable trigger all",
        "update plan_version set in_force_from = now()",
        "update plan_limit set red_high = 1000",
        "delete from plan_limit",
        "insert into account (username, staff_id) values ('x', 1)",
        "delete from account",
        "insert into staff (unit_id, name, role, phone) values (1, 'x', 'x', 'x')",
        "insert into person select * from person",
        "delete from person",
        "delete from consent",
        "update account set password_hash = 'x'",
        "update channel set address = 'x'",
        "update channel set staff_id = staff_id",
        "delete from channel",
        "update account set username = username",
        "update account set staff_id = staff_id",
        "update account set ended_at = null",
        "update person set personal_number = personal_number",
        "update consent set until_at = '9000-01-01'",
        "update consent set scope = '{values}'",
        "update block set unit_id = unit_id",
        "update login_session set account_id = account_id",
        "update login_session set csrf_token = 'x'",
        "update emergency_access set why = 'Hittad medvetslös'",
        "update emergency_access set until_at = '9000-01-01'",
        "delete from emergency_access",
        "update access_review set verdict = 'nothing'",
        "delete from access_review",
        "update pause_log set pause_id = 1",
        "delete from pause_log",
        "select remove_old_readings(now(), 1000)",
        "create table mine (id integer)",
        "create function mine() returns void language sql as ''",
        "create role mine",
    ),
    NOTIFIER: (
        "select from account",
        "select from login_session",
        "select from login_step",
        "select from access_log",
        "select from message",
        "select from relative",
        "update sample set value = 120",
        "insert into access_log (chain) values (1)",
        "update care_contact set staff_id = null",
        "insert into duty (unit_id) values (1)",
        "update policy set level = 1",
        "update device_loan set returned_at = now()",
        "update alert_log set event = 'x'",
        "delete from alert_log",
        "delete from notification",
        "delete from attempt",
        "update person set phone = ''",
        "select remove_old_readings(now(), 1000)",
        "create table mine (id integer)",
    ),
}


@pytest.mark.parametrize("role", DENIED)
def test_what_a_role_must_not_do_is_denied(guarded: World, role: str) -> None:
    guarded.measure("marta", RED)
    allowed = []
    for statement in DENIED[role]:
        try:
            say(guarded, role, statement)
        except errors.InsufficientPrivilege:
            continue
        allowed.append(statement)
    assert allowed == []
    assert guarded.one("select count(*) from alert_log") > 0


def test_a_role_is_no_more_than_a_login(guarded: World) -> None:
    rights = guarded.rows(
        "select rolname, rolcanlogin, rolsuper or rolcreatedb or rolcreaterole or rolreplication"
        " or rolbypassrls from pg_roles where rolname like 'egenmonitor\\_%%' order by 1"
    )
    assert rights == [(role, True, False) for role in (INGEST, MIGRATOR, NOTIFIER, WEB)]
    member_of = guarded.rows(
        "select roleid::regrole::text, member::regrole::text from pg_auth_members"
        " where member::regrole::text like 'egenmonitor\\_%%'"
    )
    assert member_of == [("pg_read_all_settings", MIGRATOR)]


def test_again_changes_nothing_and_takes_back_what_was_given_beside(guarded: World) -> None:
    before = grants(guarded)
    guarded.connection.execute(f"grant delete, truncate on access_log to {WEB}".encode())
    guarded.connection.execute(f"grant select on person to {INGEST}".encode())
    guarded.connection.execute(f"grant update (name) on staff to {INGEST}".encode())
    assert grants(guarded) != before
    roles.apply(guarded.connection)
    roles.apply(guarded.connection)
    assert grants(guarded) == before


def grants(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "select relname, relacl::text, relowner::regrole::text from pg_class"
        " where relnamespace = 'public'::regnamespace order by 1"
    ) + world.rows(
        "select attrelid::regclass::text, attname, attacl::text from pg_attribute"
        " where attacl is not null order by 1, 2"
    )


def test_the_migrator_owns_everything_and_migrates(guarded: World) -> None:
    strange = guarded.rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relowner <> %s::regrole",
        MIGRATOR,
    )
    assert strange == []
    migrate(as_role(guarded, MIGRATOR), SOURCES)
    say(guarded, MIGRATOR, "alter table staff add column mine integer")


def test_who_may_not_change_the_schema_goes_on_with_it_as_it_is(
    guarded: World, tmp_path: Path
) -> None:
    done = migrate(as_role(guarded, INGEST))
    assert done.applied == done.skipped == ()
    (tmp_path / "0001_more.sql").write_text("create table more (id integer)")
    with pytest.raises(MigrationError, match="is not applied"):
        migrate(as_role(guarded, INGEST), [INGEST_FILES, Source("more", tmp_path)])
    migrate(as_role(guarded, MIGRATOR), [INGEST_FILES, Source("more", tmp_path)])
    assert migrate(as_role(guarded, INGEST), [INGEST_FILES, Source("more", tmp_path)]).applied == ()


async def test_ingest_stores_judges_and_removes_under_its_role(guarded: World) -> None:
    at_work = World(as_role(guarded, INGEST), guarded.connection)
    await at_work.measure_soon("marta", RED)
    await at_work.measure_soon("marta", None)
    assert guarded.one("select count(*) from sample") == 2
    assert guarded.one("select level from alert") == 2
    assert say(guarded, INGEST, "select remove_old_readings(now() - interval '1 year', 10)")


async def test_pages_ask_and_ingest_does_it_each_under_its_role(guarded: World) -> None:
    await guarded.measure_soon("marta", {S: 120.0, D: 80.0})
    reading_id = guarded.one("select reading_id from reading")
    async with pool_of(guarded, WEB) as pool, pool.connection() as connection:
        done = await reading_review.ask(
            connection,
            guarded.viewer("anna"),
            reading_id,
            Verdict.MOVED,
            to_patient_id=guarded.patient("kalle"),
            why="Kalles",
            now=guarded.one("select now()"),
        )
    assert done.answer is reading_review.Answer.ASKED
    async with pool_of(guarded, INGEST) as pool, pool.connection() as connection:
        pg_binary.register(connection)
        assert await asked.settle(connection, 10) == 1
        assert await rejudge.run(connection, Registry(), 10) == 2
    assert guarded.rows("select refused, new_reading_id is null from review_request") == [
        (None, False)
    ]


@contextlib.asynccontextmanager
async def pool_of(world: World, role: str) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(
        as_role(world, role), min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
    ) as opened:
        yield opened


async def submit(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form with the token that the page before it carried."""
    page = await client.get("/konto")
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token, page.text
    return await client.post(path, data={"csrf": token[1], **fields})


async def log_in(client: httpx.AsyncClient, username: str) -> None:
    await client.get("/login")
    said = {"username": username, "password": PASSWORD, "csrf": client.cookies["login"]}
    assert (await client.post("/login", data=said)).status_code == 303


async def test_the_pages_work_under_their_role(guarded: World) -> None:
    await guarded.measure_soon("marta", RED)
    marta = guarded.patient("marta")
    async with pool_of(guarded, NOTIFIER) as pool, pool.connection() as connection:
        await engine.advance(connection)
    async with pool_of(guarded, WEB) as pool:
        app = create_app(
            ServicesOf(
                pool=pool,
                hub=Hub(),
                web=WebSettings(cookie_secure=False),
                hashing=anyio.CapacityLimiter(2),
                login=LoginSettings(local=Local.ALL, second_factor=SecondFactor.OFFERED),
            )
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        seen = []
        for username, paths in (
            ("anna", ("/", f"/patients/{marta}", f"/patients/{marta}?days=365")),
            ("marta", ("/me",)),
            ("tove", ("/teknik", f"/teknik/{GATEWAY}")),
        ):
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                await log_in(client, username)
                seen += [(path, (await client.get(path)).status_code) for path in paths]
                if username == "anna":
                    case = f"/alerts/{guarded.alert('marta')}"
                    await submit(client, f"{case}/acknowledge", seen="1000")
                    await submit(client, f"{case}/close", outcome="contacted", seen="1000")
                assert (await submit(client, "/konto/avsluta-alla")).status_code == 303
    assert [each for each in seen if each[1] != 200] == []
    assert guarded.one("select outcome from alert_case") == "contacted"
    assert guarded.one("select count(*) from access_log") > 0


async def _soon(connection: store.Connection) -> datetime:
    """Return when a provider that was away is asked again."""
    return await store.now(connection) + timedelta(minutes=1)


async def test_the_notifier_routes_escalates_sends_and_watches_under_its_role(
    guarded: World,
) -> None:
    guarded.connection.execute(
        "insert into channel (staff_id, kind, address, verified_at)"
        " values (%s, 'email', 'anna@region.example', now())",
        (guarded.staff("anna"),),
    )
    await guarded.measure_soon("marta", RED)
    nobody = MailSettings(host="127.0.0.1", port=free_port(), tls="none", sender="a@b.example")
    async with (
        pool_of(guarded, NOTIFIER) as pool,
        open_carriers(nobody, None, "https://vard.example") as carriers,
    ):
        async with pool.connection() as connection:
            await engine.advance(connection)
            await engine.look_again(connection)
            assert await course.advance(connection) == 1
            assert await watch.look(connection) is not None
            assert await todo.look(connection) is not None
        for clock in (store.now, _soon):
            async with asyncio.TaskGroup() as tasks:
                await loop.start(pool, carriers, tasks, set(), clock)
    assert guarded.rows("select state from attempt") == [("failed",), ("failed",)]
    assert guarded.one("select count(*) from incident where closed_at is null") == 1


async def test_the_notifier_tells_technicians_under_its_role(guarded: World) -> None:
    run = guarded.connection.execute
    run(
        "insert into channel (staff_id, kind, address, verified_at)"
        " values (%s, 'email', 'tove@region.example', now())",
        (guarded.staff("tove"),),
    )
    run("insert into incident (kind, key, detail) values ('canary', '', 'not seen')")
    nobody = MailSettings(host="127.0.0.1", port=free_port(), tls="none", sender="a@b.example")
    async with (
        pool_of(guarded, NOTIFIER) as pool,
        open_carriers(nobody, None, "https://vard.example") as carriers,
    ):
        async with pool.connection() as connection:
            assert await watch.look(connection) is not None
            await carried.look(connection, carriers.kinds)
            await carried.look_at_receipts(connection)
        async with asyncio.TaskGroup() as tasks:
            await loop.start(pool, carriers, tasks, set(), store.now)
    assert guarded.rows("select state from attempt where notice_id is not null") == [("failed",)]


def statements(path: Path) -> Iterator[str]:
    """Yield every text of a file that may be SQL."""
    if path.suffix == ".sql":
        yield path.read_text()
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


VERBS = {
    "insert": r"\binsert into ([a-z_]+)",
    "update": r"\bupdate ([a-z_]+) (?:[a-z] )?set\b",
    "delete": r"\bdelete from ([a-z_]+)",
    "select": r"\b(?:from|join) ([a-z_]+)\b",
}


# Its "on conflict", and not that of the next insert.
UPSERT = r"\binsert into ([a-z_]+)(?:(?!insert into|do nothing).)*?do update"


def needs(path: Path, tables: set[str]) -> set[tuple[str, str]]:
    """Return what the statements of a file need, as far as a glance at them tells."""
    found = {
        (verb, table)
        for text in statements(path)
        for verb, pattern in VERBS.items()
        for table in re.findall(pattern, re.sub(r"\s+", " ", text))
    }
    for text in statements(path):
        found |= {("update", table) for table in re.findall(UPSERT, text, re.DOTALL)}
    return {(verb, table) for verb, table in found if table in tables}


def files(room: str, *without: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in (".py", ".sql")
        and not any(str(path.relative_to(ROOT)).startswith(each) for each in without)
    ]


# Who sets up people, the canary and retention, or erases somebody, does so at the command line, as
# migrator.
AT_THE_COMMAND_LINE = (
    "alerts/schema",
    "alerts/account_end",
    "alerts/audit/removal",
    "alerts/care/seed",
    "alerts/care/erasure",
    "alerts/enrolment/commands",
    "ingest/schema",
    "ingest/canary/patient",
    "ingest/commands",
)


# The work behind the pages, as alerts.process puts it together.
WORK = (
    "alerts.engine",
    "alerts.course",
    "alerts.sending.loop",
    "alerts.technical.watch",
    "alerts.reminders",
    "alerts.care.todo",
    "alerts.enrolment.warden",
)


def imported(*modules: str) -> set[Path]:
    """Return the files of some modules of ours, and of all that they import."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        place = ROOT / module.replace(".", "/")
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if module.partition(".")[0] not in ("alerts", "ingest") or not path.is_file():
                continue
            if path not in found:
                found.add(path)
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.ImportFrom) and node.module:
                        waiting.append(node.module)
                        waiting += (f"{node.module}.{each.name}" for each in node.names)
                    elif isinstance(node, ast.Import):
                        waiting += (each.name for each in node.names)
    return found


# Whose statements a role is held against.
CODE_OF: dict[str, Callable[[], Iterable[Path]]] = {
    INGEST: lambda: files("ingest"),
    WEB: lambda: files("alerts", *AT_THE_COMMAND_LINE),
    NOTIFIER: lambda: imported(*WORK),
}


def test_the_code_says_nothing_that_no_role_of_its_process_may(guarded: World) -> None:
    tables = {
        name
        for (name,) in guarded.rows(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind in ('r', 'p')"
        )
    }
    may = {role: set(granted.items()) for role, granted in GRANTS.items()}
    for room, allowed in (("ingest", may[INGEST]), ("alerts", may[WEB] | may[NOTIFIER])):
        missing = {
            f"{path.relative_to(ROOT)}: {verb} {table}"
            for path in files(room, *AT_THE_COMMAND_LINE)
            for verb, table in needs(path, tables) - allowed
        }
        assert missing == set(), "grant it in alerts/roles.py, or say it in another way"


def test_no_role_may_do_what_no_code_does(guarded: World) -> None:
    """Rights that only triggers and locks need are few, and written down here."""
    beside = {
        *((verb, table) for verb in ("select", "update") for table in ("registry",)),
        ("insert", "registry_change"),
        ("select", "registry_change"),
        ("insert", "patient_pause_was"),
        ("select", "schema_migration"),
        # By functions of ingest's that alerts calls.
        *((verb, "incident") for verb in ("select", "insert", "update")),
    }
    everything = {table for granted in GRANTS.values() for _, table in granted.items()}
    for role, paths in CODE_OF.items():
        said = {need for path in paths() for need in needs(path, everything)}
        written = {table for verb, table in said if verb != "select"}
        useless = {
            (verb, table)
            for verb, table in set(GRANTS[role].items()) - said - beside
            # What is written is also read, by "returning" and "on conflict".
            if not (verb == "select" and table in written)
        }
        assert useless == set(), role


def test_no_role_may_change_a_column_that_no_code_changes() -> None:
    for role, granted in GRANTS.items():
        said = " ; ".join(
            re.sub(r"\s+", " ", text) for path in CODE_OF[role]() for text in statements(path)
        )
        for table, columns in granted.columns:
            changed = {
                name
                for set_ in re.findall(rf"\bupdate {table} set (.*?)(?: where | ;|$)", said)
                for name in re.findall(r"(?:^|, )([a-z_]+) =", set_)
            }
            assert set(columns.split()) == changed, (role, table)
