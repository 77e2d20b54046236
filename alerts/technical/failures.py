"""Measurements that fail, one after the other: who is to be phoned, and which device is at fault.

What has been stored since the last look is looked at, and what waits on the list or as a task is
looked at again. How many failed in a row is always counted anew, from the readings themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.technical.fault import Fault, Kind, of_failures

Connection = AsyncConnection[Any]

# Three in a row: one is a cough, two a sleeve.
FAILURES_TO_PHONE: Final = 3
# Of a device's newest readings; more than decide anything.
READINGS_MAX: Final = 12
# A reading becomes visible when its transaction commits, seconds after the time that it bears.
OVERLAP: Final = timedelta(minutes=10)
# After a long absence so much is looked at in one look, and the next one goes on; where there was
# never a look, it begins so far back.
STRETCH_MAX: Final = timedelta(hours=6)

_TURN: Final = "select seen_until from technical_turn for update"
_TURNED: Final = """
insert into technical_turn (seen_until) values (%s)
on conflict (one) do update set seen_until = excluded.seen_until
"""
# The newest readings of each device that failed lately, or of which something is open. Not in a
# pause: she is in hospital, or travels, and nobody is to phone.
_NEWEST: Final = """
with looked_at as (
    select patient_id, device_id from reading
    where stored_at >= %(from_at)s and stored_at < %(until_at)s and outcome = 'failed'
    union
    select patient_id, key from task
    where kind = 'phone_about_measuring' and done_at is null
    union
    select patient_id, device_id from technical
    where kind = %(kind)s and closed_at is null and patient_id is not null
)
select l.patient_id, l.device_id, newest.failed, newest.measured_at, newest.gateway_id,
    newest.source, (
        select max(t.done_at) from task t where t.patient_id = l.patient_id
            and t.kind = 'phone_about_measuring' and t.key = l.device_id
    ) as phoned_at, exists (
        select from patient_pause s where s.patient_id = l.patient_id
            and s.from_at <= newest.measured_at[1] and s.until_at > newest.measured_at[1]
    ) as is_paused
from looked_at l
join patient p on p.patient_id = l.patient_id and not p.is_canary
cross join lateral (
    select array_agg(r.outcome = 'failed' order by r.measured_at desc) as failed,
        array_agg(r.measured_at order by r.measured_at desc) as measured_at,
        (array_agg(r.gateway_id order by r.measured_at desc))[1] as gateway_id,
        (array_agg(r.source order by r.measured_at desc))[1] as source
    from (
        select r.outcome, r.measured_at, r.gateway_id, r.source from reading r
        where r.patient_id = l.patient_id and r.device_id = l.device_id
        order by r.measured_at desc limit %(most)s
    ) r
) newest
where newest.failed is not null
order by l.patient_id, l.device_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """How a patient's measurements with one device have gone lately.

    Attributes:
        failed: Whether each failed, newest first; at least one.
        measured_at: When, in the same order.
        source: The characteristic that the newest came by.
        phoned_at: When somebody last ended a task about it.
        is_paused: The newest was measured in a pause of her plan.
    """

    patient_id: int
    device_id: str
    failed: Sequence[bool]
    measured_at: Sequence[datetime]
    gateway_id: str
    source: str
    phoned_at: datetime | None
    is_paused: bool

    @property
    def failures(self) -> int:
        """How many of the newest failed in a row."""
        return len(list(takewhile(bool, self.failed)))

    @property
    def since_phoned(self) -> int:
        """How many of those were measured after somebody phoned."""
        times = self.measured_at[: self.failures]
        return sum(self.phoned_at is None or at > self.phoned_at for at in times)

    @property
    def is_to_phone(self) -> bool:
        """Somebody should ask her how it goes."""
        return not self.is_paused and self.since_phoned >= FAILURES_TO_PHONE


async def newest(connection: Connection, now: datetime) -> list[Streak]:
    """Return how measuring goes wherever it failed since the last look, or something is open.

    Notes, in the caller's transaction, how far was looked.
    """
    cursor = await connection.execute(_TURN)
    row = await cursor.fetchone()
    from_at = now - STRETCH_MAX if row is None else row[0] - OVERLAP
    until_at = min(now, from_at + STRETCH_MAX)
    values = {
        "from_at": from_at,
        "until_at": until_at,
        "kind": Kind.FAILED_MEASUREMENTS.value,
        "most": READINGS_MAX,
    }
    async with connection.cursor(row_factory=class_row(Streak)) as reader:
        await reader.execute(_NEWEST, values)
        found = await reader.fetchall()
    await connection.execute(_TURNED, [until_at])
    return found


def faults(streaks: Iterable[Streak]) -> list[Fault]:
    """Return the devices with which measuring has failed too often."""
    found = (
        of_failures(one.patient_id, one.device_id, one.gateway_id, one.failures) for one in streaks
    )
    return [one for one in found if one is not None]
