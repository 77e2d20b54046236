"""My sessions, ended by me; and what only who looks after the system does with accounts."""

import asyncio
import os
import pwd
import re
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from alerts import account_commands, command_error
from alerts.care import seed_command
from alerts.config import Config
from alerts.login import open_login
from alerts.web import session
from alerts.web.session import AGE_MAX, IDLE_MAX
from ingest.settings import ConfigError, load
from tests.alerts.conftest import Login, Pool, start_session
from tests.alerts.test_main import alerts
from tests.alerts.world import World, care_record, encoded


def handles(page: str) -> list[str]:
    return re.findall(r'name="handle" value="([^"]+)"', page)


def sessions(world: World, username: str) -> int:
    return int(
        world.one(
            "select count(*) from login_session join account using (account_id)"
            " where username = %s",
            username,
        )
    )


async def test_i_see_where_i_am_logged_in_and_end_one(
    world: World, browse: Login, pool: Pool
) -> None:
    elsewhere = await start_session(pool, "anna")
    async with browse("anna") as mine, browse("lisa") as hers:
        page = (await mine.get("/konto")).text
        (handle,) = handles(page)
        assert page.count("Den här webbläsaren") == 1
        assert page.count("med lösenord") == 2
        assert elsewhere not in page
        assert handles((await hers.get("/konto")).text) == []
        await hers.submit("/konto/avsluta", handle=handle)  # not hers to end
        assert sessions(world, "anna") == 2
        for odd in ("", "x", "\x00", "%", "' or true --", "å" * 64):
            assert (await mine.submit("/konto/avsluta", handle=odd)).status_code == 303
        assert sessions(world, "anna") == 2
        done = await mine.submit("/konto/avsluta", handle=handle)
        assert "Inloggningen är avslutad" in (await mine.get(done.headers["location"])).text
        assert handles((await mine.get("/konto")).text) == []
        mine.cookies.set("session", elsewhere)
        assert (await mine.get("/")).headers["location"].startswith("/login?expired=1")


async def test_i_end_all_of_them_with_this_one(world: World, browse: Login, pool: Pool) -> None:
    await start_session(pool, "anna")
    async with browse("anna") as mine, browse("lisa"):
        answer = await mine.submit("/konto/avsluta-alla")
        assert answer.headers["location"] == "/login"
        assert (await mine.get("/")).status_code == 303
    assert (sessions(world, "anna"), sessions(world, "lisa")) == (0, 1)


@pytest.mark.parametrize(("column", "limit"), [("seen_at", IDLE_MAX), ("started_at", AGE_MAX)])
async def test_a_session_that_is_over_is_not_listed(
    world: World, browse: Login, pool: Pool, column: str, limit: timedelta
) -> None:
    await start_session(pool, "anna")
    world.connection.execute(f"update login_session set {column} = now() - %s".encode(), [limit])
    async with browse("anna") as mine:
        assert handles((await mine.get("/konto")).text) == []


@pytest.fixture
def config(world: World, tmp_path: Path) -> Path:
    """A configuration that names an identity provider."""
    secret, path = tmp_path / "secret", tmp_path / "alerts.toml"
    secret.write_text("secret")
    path.write_text(
        f'[database]\ndsn = "{world.dsn}"\n[web]\npublic_url = "https://vard.example"\n'
        '[login.provider]\nissuer = "https://login.example/"\nclient_id = "egenmonitor"\n'
        f'client_secret_file = "{secret}"\nacr_values = ["loa3"]\n'
    )
    return path


def test_a_lost_telephone_is_seen_to_at_the_command_line(
    world: World, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for username in ("anna", "lisa"):
        asyncio.run(begin(world, username))
    world.connection.execute(
        "update account set totp_secret = '1:x', totp_confirmed_at = now(), totp_last_step = 9"
    )
    account_commands.reset_code_command("anna", config=config)
    said = capsys.readouterr().out
    assert said == "anna: the next login sets up new codes; 1 sessions ended\n"
    kept = dict(world.rows("select username, totp_secret from account where staff_id is not null"))
    assert (kept["anna"], kept["lisa"]) == (None, "1:x")
    account_commands.log_out_command("anna", config=config)
    assert (sessions(world, "anna"), sessions(world, "lisa")) == (0, 1)


def test_an_identity_is_linked_to_one_account_and_back(
    world: World, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account_commands.link_command("anna", "197", config=config)
    assert world.one("select subject from account where username = 'anna'") == (
        "https://login.example 197"
    )
    account_commands.link_command("anna", "197", config=config)  # again: nothing more
    for username, subject in (("lisa", "197"), ("anna", "198")):
        with pytest.raises(SystemExit):
            account_commands.link_command(username, subject, config=config)
        assert "run: account unlink" in capsys.readouterr().err
    account_commands.unlink_command("anna", config=config)
    account_commands.link_command("lisa", "197", config=config)
    assert world.one("select username from account where subject is not null") == "lisa"


def operated(world: World) -> list[tuple[str, str, str, object]]:
    me = pwd.getpwuid(os.getuid()).pw_name
    return [
        (action, actor, ground, detail.get("employment"))
        for action, actor, ground, detail in world.rows(
            "select action, actor, ground, detail from access_log where ground = 'operator'"
            " order by at, number"
        )
        if detail["account"] == me and isinstance(detail["account_id"], int)
    ]


def test_what_an_operator_does_with_an_account_is_in_the_log(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna.provberg")  # believed by nobody
    account_commands.link_command("anna", "197", config=config)
    with pytest.raises(SystemExit):
        account_commands.link_command("lisa", "197", config=config)  # nothing was done
    account_commands.unlink_command("anna", config=config)
    account_commands.reset_code_command("anna", config=config)
    account_commands.log_out_command("anna", config=config)
    assert operated(world) == [
        ("account_linked", "system", "operator", None),
        ("account_unlinked", "system", "operator", None),
        ("account_code_reset", "system", "operator", None),
        ("account_logged_out", "system", "operator", None),
    ]


@pytest.mark.parametrize("employment", [False, True])
async def test_an_account_is_ended_at_the_command_line(
    world: World, browse: Login, config: Path, *, employment: bool
) -> None:
    async with browse("eva") as hers:
        assert (await hers.get("/")).status_code == 200
        await asyncio.to_thread(
            account_commands.end_command, "eva", employment=employment, config=config
        )
        assert (await hers.get("/")).status_code == 303
    assert sessions(world, "eva") == 0
    ended = world.rows(
        "select a.ended_at is not null, s.ended_at is not null from account a"
        " join staff s using (staff_id) where username = 'eva'"
    )
    assert ended == [(True, employment)]
    assert operated(world) == [("account_ended", "system", "operator", employment)]
    others = world.one("select count(*) from account where ended_at is not null")
    assert others == 1


def test_a_patient_has_no_employment_to_end(
    world: World, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        account_commands.end_command("marta", employment=True, config=config)
    assert "leave out --employment" in capsys.readouterr().err
    assert world.one("select count(*) from account where ended_at is not null") == 0
    account_commands.end_command("marta", config=config)
    patient = world.one("select patient_id from access_log where action = 'account_ended'")
    assert patient == world.patient("marta")


def test_who_has_come_back_counts_again(
    world: World, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account_commands.end_command("eva", employment=True, config=config)
    account_commands.reopen_command("eva", config=config)
    assert "eva: counts again" in capsys.readouterr().out
    still = world.one(
        "select count(*) from account a join staff s using (staff_id)"
        " where a.ended_at is not null or s.ended_at is not null"
    )
    assert still == 0
    assert operated(world)[-1] == ("account_reopened", "system", "operator", None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.DeadlockDetected(), "nothing was done → run it again"),
        (errors.LockNotAvailable(), "nothing was done → run it again"),
        (errors.UndefinedColumn(), "run: python -m alerts migrate"),
        (errors.InsufficientPrivilege(), "give the migrator's"),
        (errors.ReadOnlySqlTransaction(), "not a replica's"),
        (psycopg.OperationalError("gone\nmore"), "cannot be used (gone) →"),
        (errors.UniqueViolation(), None),  # a fault of ours: let it be seen
    ],
)
def test_what_the_database_refuses_is_said_with_what_now(
    config: Path, error: psycopg.Error, said: str | None
) -> None:
    told = command_error.told(error, load(Config, config, {}))
    assert told is said or (told is not None and said is not None and said in told)
    assert told is None or " → " in told


def test_a_command_says_what_the_database_refuses(
    world: World, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(
        config.read_text().replace(
            world.dsn, make_conninfo(world.dsn, options="-c default_transaction_read_only=on")
        )
    )
    with pytest.raises(SystemExit):
        account_commands.end_command("eva", config=config)
    with pytest.raises(SystemExit):
        seed_command.seed_command(record(config), config=config)
    assert capsys.readouterr().err.count("not a replica's") == 2


def record(beside: Path) -> Path:
    path = beside.with_name("care.json")
    path.write_bytes(encoded(care_record()))
    return path


def test_seed_says_who_is_left_out_and_what_now(
    world: World, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, told = tmp_path / "care.json", care_record()
    told["staff"] = [each for each in told["staff"] if each["key"] != "eva"]
    path.write_bytes(encoded(told))
    seed_command.seed_command(path, config=config)
    assert "1 staff of these units not in the file (eva)" in capsys.readouterr().out
    for wrong, said in ((-1, "is no number of people"), (0, "1 who work in the units")):
        with pytest.raises(SystemExit):
            seed_command.seed_command(path, end_left_out=wrong, config=config)
        assert said in capsys.readouterr().err
    seed_command.seed_command(path, end_left_out=1, config=config)
    assert "1 staff ended: not in the file (eva)" in capsys.readouterr().out
    assert operated(world) == [("account_ended", "system", "operator", True)]
    seed_command.seed_command(record(config), config=config)
    assert "account reopen" in capsys.readouterr().out


def test_the_command_line_knows_the_commands(world: World, config: Path, tmp_path: Path) -> None:
    said = alerts("account", "log-out", "nobody", config=config.read_text(), directory=tmp_path)
    assert said.returncode == 1
    assert said.stderr.startswith("nobody: there is no such account →")


async def begin(world: World, username: str) -> None:
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        (account_id,) = world.rows("select account_id from account where username = %s", username)[
            0
        ]
        await session.start(connection, account_id)


def problems(tmp_path: Path, login: str, environment: dict[str, str] | None = None) -> str:
    path = tmp_path / "alerts.toml"
    path.write_text(f'[database]\ndsn = "postgresql://x@127.0.0.1/y"\n{login}')
    with pytest.raises(ConfigError) as error:
        load(Config, path, environment or {})
    return str(error.value)


def test_a_configuration_that_lets_in_too_easily_is_refused(tmp_path: Path) -> None:
    short, secret = tmp_path / "short", tmp_path / "secret"
    short.write_text("x" * 31)
    secret.write_text("x" * 32)
    assert "key_file is missing" in problems(tmp_path, '[login]\nlocal = "all"\n')
    assert "less than 32 characters" in problems(tmp_path, f'[login]\nkey_file = "{short}"\n')
    provider = (
        '[login.provider]\nclient_id = "a"\nacr_values = {acr}\nissuer = "{issuer}"\n'
        f'client_secret_file = "{secret}"\n'
    )
    plain = provider.format(acr='["loa3"]', issuer="http://login.example")
    assert "must begin with https://" in problems(tmp_path, plain)
    anything = provider.format(acr="[]", issuer="https://login.example")
    assert "login.provider.acr_values" in problems(tmp_path, anything)
    for odd in ("https://", "ftp://login.example", "https://login.example?a=b", "login.example"):
        assert "login.provider.issuer" in problems(
            tmp_path, provider.format(acr='["loa3"]', issuer=odd)
        )


def test_as_it_stands_nobody_logs_in_with_a_password(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[database]\ndsn = "postgresql://x@127.0.0.1/y"\n')
    login = load(Config, path, {}).login
    assert (login.local, login.second_factor) == ("off", "required")
    assert not login.is_possible


def test_a_provider_needs_to_know_where_the_pages_are(config: Path) -> None:
    settings = load(Config, config, {})
    assert open_login(settings).provider is not None
    web = settings.web.model_copy(update={"public_url": None})
    with pytest.raises(ConfigError, match="public_url: missing"):
        open_login(settings.model_copy(update={"web": web}))
