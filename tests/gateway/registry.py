"""A server that enrols boxes: alerts' own application with its own authority and database."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import psycopg
from psycopg_pool import AsyncConnectionPool

from alerts.config import WebSettings
from alerts.enrolment import authority
from alerts.enrolment.authority import Authority
from alerts.enrolment.codes import new_code
from alerts.enrolment.registrar import Registrar
from alerts.enrolment.revocation import revoke
from alerts.schema import SOURCES
from alerts.signal import Hub
from alerts.web.app import create_app
from alerts.web.server import serve
from alerts.web.services import ServicesOf
from ingest.schema.migrate import migrate

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


@dataclass
class Registry:
    """The server, from the inside."""

    root: Authority
    pool: Pool
    address: str

    async def code(self, gateway_id: str | None = None, **options: Any) -> str:
        async with self.pool.connection() as connection:
            return (await new_code(connection, gateway_id, **options)).code

    async def revoke(self, gateway_id: str) -> None:
        async with self.pool.connection() as connection:
            await revoke(connection, gateway_id)

    async def run(self, statement: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement.encode())


@contextlib.asynccontextmanager
async def registry(
    dsn: str, directory: Path, *, broker_host: str = "127.0.0.1", broker_port: int = 8883
) -> AsyncIterator[Registry]:
    """Serve on a free port for as long as the block lasts."""
    await asyncio.to_thread(migrate, dsn, SOURCES)
    root = authority.create(directory / "authority", datetime.now(UTC))
    listening = socket.create_server(("127.0.0.1", 0))
    hub, stop = Hub(), asyncio.Event()
    async with (
        AsyncConnectionPool(
            dsn, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
        ) as pool,
        asyncio.TaskGroup() as tasks,
    ):
        services = ServicesOf(
            pool=pool,
            hub=hub,
            web=WebSettings(),
            hashing=anyio.CapacityLimiter(1),
            registrar=Registrar(root, broker_host, broker_port, timedelta(days=90)),
        )
        tasks.create_task(serve(create_app(services), listening, hub, stop))
        try:
            yield Registry(root, pool, f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            stop.set()
