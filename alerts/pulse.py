"""Which parts of the chain are silent, so that whoever looks at a page sees it.

Each part says now and then that it does its work; who has been silent for too long is told on every
page. A part that was never heard of is not installed yet, and is nobody's worry here.
"""

import asyncio
import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = AsyncConnection[Any]

# Written at most this often; a part that works looks about itself every second or two.
BEAT_S: Final = 10
# Pages read what was found at most so long ago.
LOOK_S: Final = 10.0

_log = structlog.get_logger()


class Part(enum.StrEnum):
    """A part that must not be silent."""

    INGEST = "ingest"  # takes measurements in; its clock looks for what is missing
    ROUTING = "routing"  # gives alerts their receivers
    COURSE = "course"  # takes alerts through their policies
    SENDING = "sending"  # sends messages
    REMINDERS = "reminders"  # reminds patients
    TECHNICAL = "technical"  # looks after gateways and devices
    TODO = "todo"  # finds what somebody is to do that no breach opens
    WAY = "way"  # the canary's measurement, from the broker to its alert
    TECHNICIANS = "technicians"  # people: severe faults reach them


# How long each may be silent. A restart takes seconds, a leader of ingest another minute; the
# canary measures every five minutes, and one of hers may be late.
QUIET_MAX: Final = MappingProxyType(
    {
        Part.INGEST: timedelta(minutes=5),
        Part.ROUTING: timedelta(minutes=1),
        Part.COURSE: timedelta(minutes=1),
        Part.SENDING: timedelta(minutes=1),
        Part.REMINDERS: timedelta(minutes=5),
        Part.TECHNICAL: timedelta(minutes=5),
        Part.TODO: timedelta(minutes=5),
        Part.WAY: timedelta(minutes=12),
        Part.TECHNICIANS: timedelta(),  # the look for faults says it when it is so
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A part, and when it was heard last."""

    part: Part
    since: datetime


# While versions are mixed another part may be there: it is for who knows it to judge.
_KNOWN: Final = frozenset(part.value for part in Part)

_BEAT: Final = """
insert into pulse (part, at) values (%(part)s, clock_timestamp())
on conflict (part) do update set at = excluded.at
where pulse.at not between excluded.at - make_interval(secs => %(every_s)s) and excluded.at
"""
# A beat that was not heard of in time is none; where no canary measures, none is expected.
_HEARD: Final = """
select part, at, now() from pulse
union all
select 'ingest', max(done_at), now() from clock_turn having count(*) > 0
union all
select 'way', coalesce(max(sent_at) filter (where failed = ''), min(sent_at)), now()
from canary_beat where sent_at > now() - interval '30 days'
  and exists (select from patient where is_canary)
having count(*) > 0
union all
select 'technicians', min(opened_at), now() from incident
where kind = 'technicians' and closed_at is null having count(*) > 0
"""


async def beat(connection: Connection, part: Part) -> None:
    """Say that *part* does its work."""
    await connection.execute(_BEAT, {"part": part, "every_s": BEAT_S})


async def silent(connection: Connection) -> tuple[Silence, ...]:
    """Return the parts that have been silent for too long, in the order of ``Part``."""
    cursor = await connection.execute(_HEARD)
    heard = {
        Part(part): (at.astimezone(UTC), now.astimezone(UTC))  # else the difference is the wall's
        for part, at, now in await cursor.fetchall()
        if part in _KNOWN
    }
    return tuple(
        Silence(part=part, since=heard[part][0])
        for part in Part
        if part in heard and _is_silent(part, *heard[part])
    )


def _is_silent(part: Part, at: datetime, now: datetime) -> bool:
    """Whether that was too long ago; or far ahead: then a clock was wrong, and nothing is known."""
    return abs(now - at) > QUIET_MAX[part]


class Watch:
    """What pages say of the chain; looked up beside them, so that no page waits for it."""

    def __init__(self) -> None:
        self.silences: tuple[Silence, ...] = ()

    async def run(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Look for ever. A database that is away needs no banner: there are no pages then."""
        while True:
            try:
                async with pool.connection() as connection:
                    found = await silent(connection)
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("pulse.database_away", problem=type(error).__name__)
            else:
                self._tell(found)
            await asyncio.sleep(LOOK_S)

    def _tell(self, found: tuple[Silence, ...]) -> None:
        before = {one.part for one in self.silences}
        self.silences = found
        for one in found:
            if one.part not in before:
                _log.error("pulse.silent", part=one.part, since=one.since.isoformat())
        for part in before - {one.part for one in found}:
            _log.info("pulse.heard_again", part=part)
