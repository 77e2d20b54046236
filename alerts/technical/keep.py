"""Keeps the list of faults: what is found is opened or seen again, what is gone is closed.

One worker at a time looks (an advisory lock, for one transaction); a repeat changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from alerts.technical.fault import CALM, RETURNS, Fault, Found
from alerts.technical.home import IS_DAILY
from alerts.technical.policy import POLICIES, Tier, tier

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many rows one look opened, or opened again, and closed."""

    opened: int
    closed: int


_GIVEN: Final = """
with given as (
    select * from unnest(%(kinds)s::text[], %(keys)s::text[], %(gateways)s::text[],
        %(devices)s::text[], %(patients)s::bigint[], %(details)s::jsonb[], %(is_new)s::boolean[])
        as g (kind, key, gateway_id, device_id, patient_id, detail, is_new)
)
"""
_BELIEVED: Final = f"""
select t.technical_id, t.kind, t.key, t.tier, {IS_DAILY} as is_daily
from technical t where t.closed_by is not null and t.closed_at > %(now)s - %(most)s
"""  # noqa: S608 - our own text
# Also rows that a technician has closed are seen again, so that it is known whether the fault was
# gone meanwhile. She is believed for as long as its tier allows, unless it has become worse.
_SEE: Final = f"""{_GIVEN}
update technical t set seen_at = %(now)s,
    detail = case when t.closed_at is null then g.detail else t.detail end
from given g
where t.kind = g.kind and t.key = g.key and (
    t.closed_at is null
    or (t.closed_by is not null and t.seen_at >= %(now)s - %(calm)s
        and t.closed_at > %(now)s - make_interval(
            secs => (%(trust_s)s::jsonb ->> coalesce(t.tier, 'server'))::float)
        and t.technical_id <> all(%(worse)s)))
"""  # noqa: S608 - our own text
# What comes and goes is one row, and nobody's when it comes: who had it thinks that it is over. One
# of the server whose next step went by meanwhile begins again: else everybody is woken at once.
_REOPEN: Final = f"""{_GIVEN}
update technical t set seen_at = %(now)s, detail = g.detail, closed_at = null, taken_by = null,
    taken_at = null,
    told_from = case when t.tier = 'server' and t.due_at <= %(now)s then null else t.told_from end
from given g
where g.is_new and t.closed_by is null and t.closed_at > %(now)s - %(returns)s
    and t.technical_id = (
        select technical_id from technical o where o.kind = g.kind and o.key = g.key
        order by technical_id desc limit 1)
"""  # noqa: S608 - our own text
_OPEN: Final = f"""{_GIVEN}
insert into technical (kind, key, gateway_id, device_id, patient_id, detail, opened_at, seen_at)
select kind, key, gateway_id, device_id, patient_id, detail, %(now)s, %(now)s from given g
where g.is_new and not exists (
    select from technical t where t.kind = g.kind and t.key = g.key and t.seen_at = %(now)s)
on conflict (kind, key) where closed_at is null do nothing
"""  # noqa: S608 - our own text
_CLOSE: Final = """
update technical set closed_at = %(now)s
where closed_at is null and seen_at < %(now)s - %(calm)s
"""


async def keep(connection: Connection, found: Found, now: datetime) -> Kept:
    """Bring the list up to what was *found* at *now*, the database's time; in a transaction."""
    trust_s = Jsonb({name: policy.trust.total_seconds() for name, policy in POLICIES.items()})
    values: dict[str, Any] = {
        "now": now,
        "calm": CALM,
        "returns": RETURNS,
        "trust_s": trust_s,
        **_columns(found),
    }
    values["worse"] = await _worse(connection, found, now)
    await connection.execute(_SEE, values)
    reopened = await connection.execute(_REOPEN, values)
    opened = await connection.execute(_OPEN, values)
    closed = 0
    if found.is_whole:
        closed = (await connection.execute(_CLOSE, values)).rowcount
    return Kept(reopened.rowcount + opened.rowcount, closed)


async def _worse(connection: Connection, found: Found, now: datetime) -> list[int]:
    """Return the rows that a technician has closed and whose fault is worse than it was."""
    most = max(policy.trust for policy in POLICIES.values())
    cursor = await connection.execute(_BELIEVED, {"now": now, "most": most})
    faults = {(one.kind.value, one.key): one for one in found.faults}
    worse = []
    async for technical_id, kind, key, was, is_daily in cursor:
        one = faults.get((kind, key))
        if one is not None and was is not None:
            is_now = tier(kind, one.detail, one.urgency, is_daily=is_daily)
            if is_now.is_worse_than(Tier(was)):
                worse.append(technical_id)
    return worse


def _columns(found: Found) -> dict[str, list[Any]]:
    each: Sequence[tuple[Fault, bool]] = [
        *((one, True) for one in found.faults),
        *((one, False) for one in found.covered),
    ]
    return {
        "kinds": [one.kind.value for one, _ in each],
        "keys": [one.key for one, _ in each],
        "gateways": [one.gateway_id for one, _ in each],
        "devices": [one.device_id for one, _ in each],
        "patients": [one.patient_id for one, _ in each],
        "details": [Jsonb({**one.detail, "urgency": int(one.urgency)}) for one, _ in each],
        "is_new": [is_new for _, is_new in each],
    }
