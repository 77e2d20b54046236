"""Warden: keeps the broker's files true to the database, and sends away who is revoked.

Correct by looking, every few seconds: nothing needs to be told. Any number of processes may
do it at once; they write the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.enrolment import files
from alerts.enrolment.authority import Authority
from alerts.enrolment.kick import Kicker, NotKicked
from alerts.enrolment.revocation import Barred, barred

# Of the five minutes within which a revoked box must be silent: seconds.
LOOK_S: Final = 5.0
# Beyond the broker's look at its files (5 s, deploy/mosquitto/run.sh) and a few tries. A new
# box under the same id is thrown out too, and is back at once, so it must not last.
KICK_FOR: Final = timedelta(seconds=60)

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
        kicker: Who kicks; none where connections are ended in another way.
    """

    authority: Authority
    broker_dir: Path
    broker_names: tuple[str, ...]
    services: dict[str, Path]
    kicker: Kicker | None

    async def run(self, pool: Pool) -> None:
        """Look for ever. What the world refuses is tried again at the next look."""
        problem = ""
        while True:
            try:
                await self._look(pool)
            except (psycopg.OperationalError, PoolTimeout, OSError, NotKicked) as error:
                told = f"{type(error).__name__}: {error}"
                if told != problem:  # every five seconds would fill the log
                    _log.error("enrolment.not_published", problem=told)
                problem = told
            else:
                problem = ""
            await asyncio.sleep(LOOK_S)

    async def _look(self, pool: Pool) -> None:
        async with pool.connection() as connection:
            found = await barred(connection, KICK_FOR)
        await asyncio.to_thread(self.write, found, datetime.now(UTC))
        if self.kicker is not None:
            await _kick(self.kicker, found.lately)

    def write(self, found: Barred, now: datetime) -> None:
        """Bring every file up to date.

        Raises:
            OSError: One cannot be written.
        """
        if files.publish(self.authority, self.broker_dir, found.certificates, found.silent, now):
            _log.info(
                "enrolment.published", revoked=len(found.certificates), silent=len(found.silent)
            )
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


async def _kick(kicker: Kicker, gateway_ids: Sequence[str]) -> None:
    """Kick all of them; one that fails does not spare the others."""
    failed: NotKicked | None = None
    for gateway_id in gateway_ids:
        try:
            await kicker.kick(gateway_id)
        except NotKicked as error:
            failed = error
    if failed is not None:
        raise failed
