"""Control: status up, configuration down. One worker does it; the others stand by.

Who holds an advisory lock of the database leads; when its connection ends, another takes over
within seconds. Two leaders for a moment are harmless: a status is stored twice, and a
configuration's bytes are the same whoever publishes them.

A configuration is published when it is made, and again to a gateway whose status does not say that
it uses it. So nothing depends on the broker's memory, nor on a message arriving.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from ingest.config import BrokerSettings
from ingest.fleet import store
from ingest.lending import Made, behind, renew
from ingest.link import Heard, Link
from ingest.quarantine import Reason, Refused
from ingest.session import session
from ingest.status import REPEAT, Said, read

Connection = psycopg.AsyncConnection[Any]

# "egco" in ASCII.
LOCK_KEY: Final = 0x6567636F
# How soon another worker takes over, and how often a database that is away is tried again.
STAND_BY_S: Final = 2.0

# How soon what a gateway says is stored. A technician who pairs a device waits for it.
LOOK_S: Final = 0.25
# One transaction; some 50 ms.
STATUSES_MAX: Final = 500
# Everything is looked at so often: a loan that begins at noon is known a minute later.
RENEW_S: Final = 60.0
# A gateway that does not take its configuration is told again so often. It says that it has it
# within seconds, so this is never crossed by an answer on its way.
AGAIN_S: Final = 30.0

_log = structlog.get_logger()


class Control:
    """Status up, configuration down.

    Args:
        conninfo: Gives the connection string, read again for each connection.
        broker: Where gateways are.
    """

    def __init__(self, conninfo: Callable[[], str], broker: BrokerSettings) -> None:
        self._conninfo = conninfo
        self._broker = broker

    async def run(self) -> None:
        """Lead, or stand by, until cancelled; a database that is away is waited for."""
        while True:
            try:
                await self._lead()
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                _log.warning("control.database_away", problem=type(error).__name__)
                await asyncio.sleep(STAND_BY_S)

    async def _lead(self) -> None:
        async with self._connected() as connection:
            await _until_leading(connection)
            _log.info("control.leads")
            async with Link(self._broker) as link:
                await _Leader(connection, link).run()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(self._conninfo(), **session("egenmonitor-ingest-control")),
            autocommit=True,
        )
        async with connection:
            yield connection


async def _until_leading(connection: Connection) -> None:
    while True:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK_KEY,))
        if (row := await cursor.fetchone()) is not None and row[0]:
            return
        await asyncio.sleep(STAND_BY_S)


class _Leader:
    """One time of leading: ends with its connection to the database."""

    def __init__(self, connection: Connection, link: Link) -> None:
        self._connection = connection
        self._link = link
        self._told: dict[str, tuple[int, float]] = {}  # version and monotonic time, by gateway
        self._told_by = 0  # the connection that this is true of
        self._renewed_s: dict[str, float] = {}  # when one was made a newer version it asked for
        self._untold: dict[str, Made] = {}  # made while there was no broker

    async def run(self) -> None:
        await self._connection.execute("listen gateway_config")
        renewed_s = float("-inf")
        changed: set[str] = set()
        while True:
            if time.monotonic() - renewed_s >= RENEW_S:
                renewed_s = time.monotonic()
                self._tell(await renew(self._connection, None))
            elif changed:
                self._tell(await renew(self._connection, sorted(changed)))
            self._tell(list(self._untold.values()))
            is_more = await self._listen_to_gateways()
            wait_s = 0.0 if is_more else LOOK_S
            changed = {
                said.payload
                async for said in self._connection.notifies(timeout=wait_s, stop_after=1)
            }

    async def _listen_to_gateways(self) -> bool:
        """Store what gateways said; return whether there is more."""
        heard = self._link.take(STATUSES_MAX)
        if heard:
            gateway_ids = await _store(self._connection, heard)
            await self._tell_again(gateway_ids)
        return len(heard) == STATUSES_MAX

    async def _tell_again(self, gateway_ids: Sequence[str]) -> None:
        """Publish again to those who do not use their latest; make a newer one if they must."""
        if self._told_by != self._link.connections:  # a broker that was started anew forgot it
            self._told_by = self._link.connections
            self._told.clear()
        must_renew = []
        now_s = time.monotonic()
        for one in await behind(self._connection, gateway_ids):
            version, told_s = self._told.get(one.latest.gateway_id, (0, float("-inf")))
            if one.must_renew:
                # One that says this each time would fill the table with versions.
                if now_s - self._renewed_s.get(one.latest.gateway_id, float("-inf")) >= AGAIN_S:
                    self._renewed_s[one.latest.gateway_id] = now_s
                    must_renew.append(one.latest.gateway_id)
            elif version != one.latest.version or now_s - told_s >= AGAIN_S:
                self._tell([one.latest])
        if must_renew:
            self._tell(await renew(self._connection, must_renew))

    def _tell(self, made: Sequence[Made]) -> None:
        for one in made:
            try:
                config = one.encoded()
            except msgspec.ValidationError as error:  # made by a version that allowed more
                _log.error("config.cannot_be_told", gateway_id=one.gateway_id, problem=str(error))
                continue
            if self._link.publish(one.gateway_id, config):
                self._told[one.gateway_id] = (one.version, time.monotonic())
                self._untold.pop(one.gateway_id, None)
                _log.info("config.published", gateway_id=one.gateway_id, version=one.version)
            else:
                self._untold[one.gateway_id] = one


async def _store(connection: Connection, heard: Sequence[Heard]) -> list[str]:
    """Store what can be stored; what the database does not take is found and set aside."""
    results = [
        read(one.topic, one.payload, one.arrived_at, is_retained=one.is_retained) for one in heard
    ]
    said = [one for one in results if isinstance(one, Said)]
    bad = [one for one in results if isinstance(one, Refused)]
    try:
        return await store(connection, said, bad)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(heard) > 1:
            middle = len(heard) // 2
            first = await _store(connection, heard[:middle])
            return sorted({*first, *await _store(connection, heard[middle:])})
        if not said:
            raise  # ours: everything in quarantine can be stored
        problem = f"{error.sqlstate}: {error.diag.message_primary}"
    one = heard[0]
    row = Refused(
        reason=Reason.REFUSED_BY_DATABASE,
        detail=problem,
        gateway_id=said[0].gateway_id,
        topic=one.topic,
        arrived_at=one.arrived_at,
        content=one.payload,
        repeat_of=REPEAT,
    )
    return await store(connection, [], [row])
