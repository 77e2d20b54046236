"""The world for alerts, the same for each test; the application and its clients."""

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import argon2
import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from alerts import password
from alerts.config import Local, LoginSettings, SecondFactor, WebSettings
from alerts.connections import connections
from alerts.enrolment import authority
from alerts.enrolment.authority import Authority
from alerts.enrolment.registrar import Registrar
from alerts.signal import Hub
from alerts.web import session
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.alerts.shared import Shared, shared_by_all
from tests.alerts.world import World, build


@pytest.fixture(scope="session", autouse=True)
def _little_work_for_a_password() -> Iterator[None]:
    """Hundreds of passwords are hashed here; test_password.py looks at how it is really done."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
        patch.setattr(password, "_hasher", hasher)
        yield


@pytest.fixture(scope="session")
def template(plain_postgres: Postgres) -> str:
    """The name of a database that is migrated and seeded, to be copied."""
    name = f"alerts_{uuid.uuid4().hex}"
    with psycopg.connect(plain_postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    build(plain_postgres.dsn(name))
    return name


@pytest.fixture(scope="session")
def shared(plain_postgres: Postgres, template: str) -> Iterator[Shared]:
    """The database behind the worlds."""
    with shared_by_all(plain_postgres, template) as shared:
        yield shared


@pytest.fixture
def world(shared: Shared) -> Iterator[World]:
    """The world as it was made, whatever the tests before have done to it."""
    with shared.lend() as world:
        yield world


Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
async def pool(world: World) -> AsyncIterator[Pool]:
    """A pool as the process has."""
    async with connections(world.dsn) as opened:
        yield opened


@pytest.fixture
def app(pool: Pool) -> FastAPI:
    """The application, without a server."""
    return create_app(
        ServicesOf(
            pool=pool,
            hub=Hub(),
            web=WebSettings(cookie_secure=False),
            hashing=anyio.CapacityLimiter(2),
            login=LoginSettings(local=Local.ALL, second_factor=SecondFactor.OFFERED),
        )
    )


class Client(httpx.AsyncClient):
    """A browser without a screen, logged in if *token* is given."""

    csrf = ""

    async def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form with this session's token."""
        return await self.post(path, data={"csrf": self.csrf, **fields})


Login = Callable[[str | None], contextlib.AbstractAsyncContextManager[Client]]


@pytest.fixture
def browse(app: FastAPI, pool: Pool) -> Login:
    """Return a client for a user name, or for nobody."""

    @contextlib.asynccontextmanager
    async def opened(username: str | None) -> AsyncIterator[Client]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with Client(transport=transport, base_url="http://test") as client:
            if username is not None:
                client.cookies.set("session", await start_session(pool, username))
                async with pool.connection() as connection:
                    found = await session.find(connection, client.cookies["session"])
                assert found is not None
                client.csrf = found.csrf_token
            yield client

    return opened


async def start_session(pool: Pool, username: str) -> str:
    """Begin a session as the login does; return its token."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select account_id from account where username = %s", (username,)
        )
        (account_id,) = await cursor.fetchone() or (None,)
        assert account_id is not None
        return await session.start(connection, account_id)


class Served:
    """alerts as a process of its own, serving a world."""

    def __init__(self, world: World, directory: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.config = directory / "alerts.toml"
        self.log_file = directory / "alerts.log"
        self.config.write_text(
            f'[database]\ndsn = "{world.dsn}"\n'
            f"[web]\nport = {self.port}\ncookie_secure = false\ndemo_banner = true\n"
            '[login]\nlocal = "all"\nsecond_factor = "offered"\n'
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0  # in its log

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._started_at = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "alerts", "run", "--config", str(self.config)],
                stderr=subprocess.PIPE,
                stdout=log,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.says("alerts.ready")

    def says(self, event: str) -> None:
        """Wait until it has logged that since it was started."""
        stderr = self.process.stderr
        assert stderr is not None
        while event.encode() not in self.log_file.read_bytes()[self._started_at :]:
            line = stderr.readline()  # ends when the process does, so a failed start cannot hang
            if not line:
                pytest.fail(f"alerts ended without {event}:\n{self.log_file.read_text()}")
            with self.log_file.open("ab") as log:
                log.write(line)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=10)
        with self.log_file.open("ab") as log:
            log.write(said)
        return self.process.returncode


@pytest.fixture
def served(world: World, tmp_path: Path) -> Iterator[Served]:
    """alerts, running."""
    running = Served(world, tmp_path)
    running.start()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    return authority.create(tmp_path / "authority", datetime.now(UTC))


@pytest.fixture
def registrar(root: Authority) -> Registrar:
    return Registrar(root, "mqtt.example", 8883, timedelta(days=90))
