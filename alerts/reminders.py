"""Reminds a patient of a measurement that is missing, in her own way, by day, until it has come.

Who is reminded, and when, is ingest's clock's to say (``ingest.clock.ladder``); here it is sent.
A try is written before it is sent: a worker that dies in between has told nobody, or somebody whom
the next one tells again. Who cannot be reached is not lost: the ladder's next step is the nurse's.
What a provider does not take is an incident, as it is of alerts.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.channels.channel import Carriers, send_safely
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Outcome, State
from alerts.pulse import Part, beat
from alerts.sending import health, store
from alerts.words import ZONE

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[AsyncConnection[Any]]
Clock = Callable[[Connection], Awaitable[datetime]]  # the database's time

LOOK_S: Final = 60.0
# Nobody is woken for a measurement that can wait until the morning.
FROM: Final = time(9)
UNTIL: Final = time(20)
# What could not be sent for so long is overtaken by the ladder's next step.
STALE: Final = timedelta(hours=24)
# A try of which nothing was heard: who made it has died.
DEAD: Final = timedelta(minutes=2)
TRIES_MAX: Final = 4
# Sent side by side. A try ends within 20 s, so what was claimed has been sent long before ``DEAD``,
# and nobody is called much after ``UNTIL``.
AT_ONCE_MAX: Final = 4

_log = structlog.get_logger()


class Ended(enum.StrEnum):
    """Why a reminder needs nothing more; stands with its last try."""

    NO_CHANNEL = "no_channel"  # she has none that we can use
    FAILED = "failed"  # every one was tried


@dataclass(frozen=True, slots=True)
class Address:
    """One of the ways in which she has agreed to be told."""

    kind: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A reminder that is to be sent now.

    Attributes:
        channels: Hers, in her order, kinds and addresses.
        tried: How many tries there have been.
        phone: Of whom she may ask.
    """

    reminder_id: int
    patient_id: int
    kinds: Sequence[str]
    addresses: Sequence[str]
    tried: int
    phone: str

    def next_channel(self, usable: Sequence[str]) -> Address | None:
        """Return the channel of the next try, none if there is none left.

        One that failed is not asked again while another is left.
        """
        channels = [
            Address(kind, address)
            for kind, address in zip(self.kinds, self.addresses, strict=True)
            if kind in usable
        ]
        if not channels or self.tried >= TRIES_MAX:
            return None
        return channels[self.tried % len(channels)]


def is_day(now: datetime) -> bool:
    """Tell whether it is a time of day at which one may be reminded."""
    return FROM <= now.astimezone(ZONE).time() < UNTIL


def words(phone: str) -> Message:
    """Return what she is told: no name, no illness, no value, and what she can do."""
    help_ = f" Behöver du hjälp? Ring {phone}." if phone else ""
    return Message(
        subject="Vi saknar din mätning",
        text=f"Hej. Vi saknar din mätning. Mät gärna i dag.{help_} "
        "Har du redan mätt? Då behöver du inte göra något.",
        spoken=_spoken(phone),
    )


def _spoken(phone: str) -> str:
    """Return the same to be heard: slowly, once more, and the number figure by figure."""
    said = (
        "Hej. Det här är en påminnelse från vården. Vi saknar din mätning. Mät gärna i dag. "
        "Har du redan mätt? Då behöver du inte göra något."
    )
    figures = ", ".join("plus" if one == "+" else one for one in phone if one in "+0123456789")
    help_ = f" Behöver du hjälp? Ring {figures}." if figures else ""
    return f"{said}{help_} Jag säger det en gång till. {said}{help_} Hej då."


# It is over when a measurement has come, when the clock waits for another one, when she has a
# pause, and when it is so old that the next step has been taken.
_OVER: Final = """
update reminder m set done_at = %(now)s
where m.done_at is null and (
    m.made_at < %(now)s - %(stale)s
    or not exists (
        select from rule_due d where d.patient_id = m.patient_id and d.rule_key = m.rule_key
            and d.expected_at = m.expected_at)
    or exists (
        select from patient_pause p where p.patient_id = m.patient_id
            and p.from_at <= %(now)s and p.until_at > %(now)s)
    or exists (
        select from rule_due d
        join plan_rule r on r.plan_version_id = d.plan_version_id and r.rule_key = d.rule_key
        join quantity q on q.code = r.spec ->> 'quantity'
        join sample s on s.patient_id = m.patient_id and s.quantity_id = q.quantity_id
        where d.patient_id = m.patient_id and d.rule_key = m.rule_key
            and s.measured_at > m.expected_at
                - make_interval(secs => 3600 * (r.spec ->> 'interval_h')::float)
            and s.measured_at <= %(now)s and s.suspicion & 1024 = 0)
)
"""
# Between what is sent only of those who are next: in the morning all wait at once.
_THESE_OVER: Final = f"{_OVER} and m.reminder_id = any(%(these)s) returning m.reminder_id"
# Two that are missed are one reminder: she is told once, by the oldest, and that counts for all.
_DUE: Final = """
select m.reminder_id, m.patient_id,
    coalesce(c.kinds, '{}') as kinds, coalesce(c.addresses, '{}') as addresses,
    coalesce(t.tried, 0)::int as tried, coalesce(s.phone, u.phone, '') as phone
from reminder m
join person p using (patient_id)
left join unit u on u.unit_id = p.unit_id
left join care_contact k on k.patient_id = m.patient_id and k.until_at is null
-- Not of a contact who is away: the unit answers then.
left join staff s on s.staff_id = k.staff_id and s.ended_at is null and not exists (
    select from absence a where a.staff_id = s.staff_id and a.withdrawn_at is null
        and a.from_at <= %(now)s and a.until_at > %(now)s)
left join lateral (
    select array_agg(kind order by place, agreed_at) as kinds,
        array_agg(address order by place, agreed_at) as addresses
    from patient_channel h where h.patient_id = m.patient_id and h.ended_at is null
) c on true
left join lateral (
    select max(number) as tried, max(began_at) as began_at
    from reminder_attempt a where a.reminder_id = m.reminder_id
) t on true
where m.done_at is null and (t.began_at is null or t.began_at < %(now)s - %(dead)s)
    and not exists (
        select from reminder older where older.patient_id = m.patient_id
            and older.done_at is null and older.reminder_id < m.reminder_id)
order by m.reminder_id limit %(most)s
for update of m skip locked
"""
_TRY: Final = """
insert into reminder_attempt (reminder_id, number, kind, began_at, state)
values (%s, %s, %s, %s, %s) on conflict do nothing
"""
_TRIED: Final = """
update reminder_attempt set state = %s, fault = %s, provider_key = %s, reply = %s
where reminder_id = %s and number = %s
"""
_DONE: Final = """
update reminder set done_at = %(now)s
where done_at is null and patient_id = %(patient_id)s
    and (%(all)s or reminder_id = %(reminder_id)s)
"""


async def run(pool: Pool, carriers: Carriers, stop: asyncio.Event | None = None) -> None:
    """Remind until told to stop. What a database that is away prevents is sent at the next look."""
    stop = stop or asyncio.Event()
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    try:
        while not stop.is_set():
            await _remind(pool, carriers, stop)
            await asyncio.wait({stopping}, timeout=LOOK_S)
    finally:
        stopping.cancel()


async def _remind(pool: Pool, carriers: Carriers, stop: asyncio.Event) -> None:
    try:
        sent = await look(pool, carriers, stop=stop)
    except (psycopg.OperationalError, PoolTimeout) as error:
        _log.warning("reminders.database_away", problem=type(error).__name__)
    else:
        if sent:
            _log.info("reminders.sent", reminders=sent)


async def look(
    pool: Pool,
    carriers: Carriers,
    clock: Clock = store.now,
    stop: asyncio.Event | None = None,
) -> int:
    """Send what is due, a few at a time; return how many were told. Any number of workers may.

    Args:
        pool: No connection is held while a provider is waited for.
        carriers: How; who has only a way that is not among them is the nurse's to phone.
        clock: Asked before each few: the day may end, and her measurement come, meanwhile.
        stop: When it is set no further ones are begun.
    """
    told = 0
    async with pool.connection() as connection:
        await connection.execute(_OVER, {"now": await clock(connection), "stale": STALE})
    while stop is None or not stop.is_set():
        async with pool.connection() as connection:
            at = await clock(connection)
            await beat(connection, Part.REMINDERS)
            claim = await _claim(connection, carriers, at) if is_day(at) else _NOTHING
        if claim.looked_at == 0:
            break
        outcomes = await asyncio.gather(*(_send(carriers, *one) for one in claim.to_send))
        async with pool.connection() as connection:
            for (one, channel), outcome in zip(claim.to_send, outcomes, strict=True):
                told += await _note(connection, one, channel, outcome, at)
    return told


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a claim found."""

    to_send: Sequence[tuple[Due, Address]]
    looked_at: int


_NOTHING: Final = _Claim((), 0)


async def _send(carriers: Carriers, one: Due, channel: Address) -> Outcome:
    carrier = carriers.by_kind[Kind(channel.kind)]
    return await send_safely(carrier, channel.address, words(one.phone), None)


async def _claim(connection: Connection, carriers: Carriers, now: datetime) -> _Claim:
    """Write a try of each that is due; end what is over, and what nothing is left to try of."""
    claimed = []
    async with connection.transaction():
        async with connection.cursor(row_factory=class_row(Due)) as cursor:
            await cursor.execute(_DUE, {"now": now, "dead": DEAD, "most": AT_ONCE_MAX})
            found = await cursor.fetchall()
        these = [one.reminder_id for one in found]
        values = {"now": now, "stale": STALE, "these": these}
        rows = await (await connection.execute(_THESE_OVER, values)).fetchall()
        over = {reminder_id for (reminder_id,) in rows}
        for one in found:
            if one.reminder_id in over:
                continue
            channel = one.next_channel(carriers.kinds)
            if channel is not None:
                row = (one.reminder_id, one.tried + 1, channel.kind, now, State.SENDING.value)
                if (await connection.execute(_TRY, row)).rowcount:  # else another was faster
                    claimed.append((one, channel))
                continue
            ended = Ended.FAILED if one.tried else Ended.NO_CHANNEL
            row = (one.reminder_id, one.tried + 1, "", now, ended.value)
            await connection.execute(_TRY, row)
            await _end(connection, one, now, everything=False)
    return _Claim(claimed, len(found))


async def _note(
    connection: Connection, one: Due, channel: Address, outcome: Outcome, now: datetime
) -> bool:
    """Note what became of a try; what went out ends all that she is reminded of."""
    is_told = outcome.state not in (State.FAILED, State.UNKNOWN)
    async with connection.transaction():
        # The reminder before its try, as a claim does: else each may wait for the other.
        if is_told:
            await _end(connection, one, now, everything=True)
        row = (
            outcome.state.value,
            outcome.fault,
            outcome.provider_key,
            outcome.reply,
            one.reminder_id,
            one.tried + 1,
        )
        await connection.execute(_TRIED, row)
        await health.of_kind(connection, channel.kind, outcome, now)
    return is_told


async def _end(connection: Connection, one: Due, now: datetime, *, everything: bool) -> None:
    values = {
        "now": now,
        "patient_id": one.patient_id,
        "reminder_id": one.reminder_id,
        "all": everything,
    }
    await connection.execute(_DONE, values)
