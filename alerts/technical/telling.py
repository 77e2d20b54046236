"""Takes faults through their steps: who is told now, of all that is due, in one message.

Called by whoever looks for faults, in the same transaction: one worker at a time, and a worker that
dies has told nobody. ``alerts.sending.notices`` sends what is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.care.hours import local_day
from alerts.fleet.gateway import Urgency
from alerts.technical.crew import Crew, Receiver, crew
from alerts.technical.fault import urgency
from alerts.technical.policy import HELD_MAX, POLICIES, Tier, tier
from ingest import incident
from ingest.rules.day import ZONE

Connection = AsyncConnection[Any]

NOBODY: Final = "technicians"
UNREACHED: Final = "unreached"
# The new and the severe first; more than technicians see to in a year.
FAULTS_MAX: Final = 5_000

_OPEN: Final = """
select t.technical_id, t.kind, t.detail, t.opened_at, t.tier, t.step, t.due_at, exists (
        select from gateway_home h
        join rule_due d using (patient_id)
        join plan_rule r using (plan_version_id, rule_key)
        where h.gateway_id = t.gateway_id and h.from_at <= %(now)s
            and (h.until_at is null or h.until_at > %(now)s)
            and r.kind = 'missing' and (r.spec ->> 'interval_h')::float <= 24
            and not exists (
                select from patient_pause p where p.patient_id = h.patient_id
                    and p.from_at <= %(now)s and p.until_at > %(now)s)
    ) as is_daily
from technical t
where t.closed_at is null and t.taken_by is null
order by t.tier is not distinct from 'routine', t.opened_at, t.technical_id limit %(most)s
"""
_RELEASE: Final = """
update technical set taken_by = null, taken_at = null, tier = null
where closed_at is null and taken_at < %s
"""
# A message that reached nobody has disturbed nobody.
_LAST: Final = """
select max(made_at) from technical_notice where state in ('waiting', 'sent', 'delivered')
"""
_NOTICE: Final = """
insert into technical_notice (staff_id, unit_id, is_urgent, made_at, due_at)
values (%s, %s, %s, %s, %s) returning notice_id
"""
_TOLD: Final = """
insert into technical_told (notice_id, technical_id, step)
select %s, * from unnest(%s::bigint[], %s::integer[])
"""
_KEEP: Final = """
update technical t set tier = g.tier, step = g.step, due_at = g.due_at
from unnest(%s::bigint[], %s::text[], %s::integer[], %s::timestamptz[])
    as g (technical_id, tier, step, due_at)
where t.technical_id = g.technical_id
    and (t.tier, t.step, t.due_at) is distinct from (g.tier, g.step, g.due_at)
"""
# Of the newest step, every message has failed, or ended with nobody to send it to.
_FAILED: Final = """
select count(*)::int from technical t
where t.closed_at is null and t.taken_by is null and t.tier <> 'routine' and t.step > 0
    and not exists (
        select from technical_told d join technical_notice n using (notice_id)
        where d.technical_id = t.technical_id and d.step = t.step - 1
            and n.state in ('waiting', 'sent', 'delivered'))
"""


@dataclass(frozen=True, slots=True)
class Course:
    """A fault that nobody has taken, and where it stands.

    Attributes:
        tier: As it was; none: it is to be told from the start.
        step: The next one to take.
        due_at: When.
        is_daily: Of a gateway in whose home a measurement is expected each day.
    """

    technical_id: int
    kind: str
    detail: dict[str, Any]
    opened_at: datetime
    tier: str | None
    step: int
    due_at: datetime | None
    is_daily: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One fault that is told now, as which step, and to whom."""

    fault: Course
    number: int
    receivers: Sequence[Receiver]


@dataclass(frozen=True, slots=True)
class Told:
    """What one look told: messages made, and severe faults that reach nobody."""

    notices: int
    unreached: int


async def advance(connection: Connection, now: datetime) -> Told:
    """Tell what is due at *now*, the database's time; in a transaction of the caller's."""
    now = now.astimezone(UTC)  # in a zone with summer time, moments add and compare by the wall
    await connection.execute(_RELEASE, (now - HELD_MAX,))
    cursor = connection.cursor(row_factory=class_row(Course))
    await cursor.execute(_OPEN, {"now": now, "most": FAULTS_MAX})
    was = await cursor.fetchall()
    notices, lost = 0, 0
    if was:
        there = await crew(connection, now, _tomorrow(now))
        courses = [_judged(one, there, now) for one in was]
        due = [one for one in courses if one.due_at is not None and one.due_at <= now]
        steps = [_step(one, there) for one in due]
        lost = sum(one.fault.tier != Tier.ROUTINE for one in steps if not one.receivers)
        told = [one for one in steps if one.receivers]
        if await _may_speak(connection, told, now):
            notices = await _write(connection, told, now)
            taken = {one.fault.technical_id: _after(one, there, now) for one in told}
            courses = [taken.get(one.technical_id, one) for one in courses]
        await _keep(connection, courses)
    unreached = lost + await _failed(connection)
    await _say_if_unreached(connection, unreached)
    return Told(notices, unreached)


def _judged(one: Course, there: Crew, now: datetime) -> Course:
    """Return where it stands by its tier of now; one that has become worse begins again."""
    told = one.detail.get("urgency")
    known = Urgency(told) if told in list(Urgency) else Urgency.SOON
    soon = urgency(known, one.opened_at, None, now)
    is_now = tier(one.kind, one.detail, soon, is_daily=one.is_daily)
    if one.tier is not None and _rank(is_now) <= _rank(Tier(one.tier)):
        return one
    due_at = there.opens_at if is_now is Tier.ROUTINE else now
    return replace(one, tier=is_now.value, step=0, due_at=due_at)


def _rank(one: Tier) -> int:
    return (Tier.ROUTINE, Tier.SEVERE, Tier.SERVER).index(one)


def _step(one: Course, there: Crew) -> Step:
    """Return who is told; where a step has nobody, it is the next one's turn at once."""
    policy = POLICIES[Tier(one.tier or Tier.ROUTINE)]
    for number in range(one.step, max(one.step, policy.last) + 1):
        receivers = there.of(policy.at(number))
        if receivers:
            return Step(one, number, receivers)
    return Step(one, one.step, ())


def _after(one: Step, there: Crew, now: datetime) -> Course:
    wait = POLICIES[Tier(one.fault.tier or Tier.ROUTINE)].wait(one.number + 1)
    due_at = there.works_again_at if wait is None else now + wait
    return replace(one.fault, step=one.number + 1, due_at=due_at)


async def _may_speak(connection: Connection, told: Sequence[Step], now: datetime) -> bool:
    """Whether one of them may be told so soon after the last message; the others go with it."""
    if not told:
        return False
    (last,) = await (await connection.execute(_LAST)).fetchone() or (None,)
    pause = min(POLICIES[Tier(one.fault.tier or Tier.ROUTINE)].pause for one in told)
    return last is None or now - last >= pause


async def _write(connection: Connection, told: Sequence[Step], now: datetime) -> int:
    """Write a message for each who is told of something; return how many."""
    receivers = dict.fromkeys(each for one in told for each in one.receivers)
    for receiver in receivers:
        theirs = [one for one in told if receiver in one.receivers]
        is_urgent = any(one.fault.tier != Tier.ROUTINE for one in theirs)
        row = (receiver.staff_id, receiver.unit_id, is_urgent, now, now)
        cursor = await connection.execute(_NOTICE, row)
        (notice_id,) = await cursor.fetchone() or (0,)
        ids = [one.fault.technical_id for one in theirs]
        await connection.execute(_TOLD, (notice_id, ids, [one.number for one in theirs]))
    return len(receivers)


async def _keep(connection: Connection, courses: Sequence[Course]) -> None:
    columns = (
        [one.technical_id for one in courses],
        [one.tier for one in courses],
        [one.step for one in courses],
        [one.due_at for one in courses],
    )
    await connection.execute(_KEEP, columns)


async def _failed(connection: Connection) -> int:
    (number,) = await (await connection.execute(_FAILED)).fetchone() or (0,)
    return int(number)


async def _say_if_unreached(connection: Connection, unreached: int) -> None:
    """Whoever runs this, and everybody who looks at a page, is told instead."""
    if not unreached:
        await incident.close(connection, NOBODY, UNREACHED)
        return
    detail = f"{unreached} severe faults reach no technician → give technicians channels and duty"
    await incident.open_(connection, NOBODY, UNREACHED, detail)


def _tomorrow(now: datetime) -> datetime:
    return datetime.combine(local_day(now) + timedelta(days=1), time(), ZONE).astimezone(now.tzinfo)
