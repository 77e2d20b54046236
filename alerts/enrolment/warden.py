"""Warden: keeps what the broker reads true to the database, and its certificate from ending.

Correct by looking, every few seconds: nothing needs to be told. Any number of processes may
do it at once; they write the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.enrolment import files
from alerts.enrolment.authority import Authority, Revoked
from alerts.enrolment.revocation import revoked_certificates

# Of the five minutes within which a revoked box must be silent; the broker's script takes a
# minute of them at most (deploy/mosquitto/run.sh).
LOOK_S: Final = 5.0

_log = structlog.get_logger()

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


@dataclass(frozen=True, slots=True)
class Warden:
    """What is kept.

    Attributes:
        authority: Signs the list.
        broker_dir: The broker's files.
        broker_names: What the broker's certificate must say.
        services: Directories of services' certificates, by name.
    """

    authority: Authority
    broker_dir: Path
    broker_names: tuple[str, ...]
    services: dict[str, Path]

    async def run(self, pool: Pool) -> None:
        """Look for ever. What the world refuses is tried again at the next look."""
        problem = ""
        while True:
            try:
                await self._look(pool)
            except (psycopg.OperationalError, PoolTimeout, OSError) as error:
                told = f"{type(error).__name__}: {error}"
                if told != problem:  # every five seconds would fill the log
                    _log.error("enrolment.not_published", problem=told)
                problem = told
            else:
                problem = ""
            await asyncio.sleep(LOOK_S)

    async def _look(self, pool: Pool) -> None:
        async with pool.connection() as connection:
            revoked = await revoked_certificates(connection)
        await asyncio.to_thread(self.write, revoked, datetime.now(UTC))

    def write(self, revoked: Sequence[Revoked], now: datetime) -> None:
        """Bring every file up to date.

        Raises:
            OSError: One cannot be written.
        """
        if files.publish(self.authority, self.broker_dir, revoked, now):
            _log.info("enrolment.published", revoked=len(revoked))
        self.prepare(now)

    def prepare(self, now: datetime) -> None:
        """Renew what the broker and the services have of certificates, long before they end.

        Raises:
            OSError: One cannot be written.
        """
        if files.prepare_broker(self.authority, self.broker_dir, self.broker_names, now):
            _log.info("enrolment.broker_certificate", names=self.broker_names)
        for name, directory in self.services.items():
            if files.prepare_service(self.authority, directory, name, now):
                _log.info("enrolment.service_certificate", service=name)
