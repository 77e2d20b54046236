"""What technicians look at, read from the database. No query here touches a patient's identity."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from alerts.fleet.actions import address
from alerts.fleet.gateway import CERTIFICATE_SOON, CLOCK_OFF_S, QUEUE_OLD, Gateway, Urgency
from devices import wire
from devices.errors import MalformedMessage
from devices.wire import LENT_MAX, GatewayState, GatewayStatus
from ingest.lending import LENT
from ingest.status import BATTERY_LOW_PERCENT, SILENT_AFTER

Connection = AsyncConnection[Any]

# A page a person can scroll through; what is urgent comes first, and there is a search.
LISTED_MAX: Final = 300
HISTORY_SHOWN: Final = 100

# Of so many the urgency is found before the most urgent are listed: ten times a county's homes.
JUDGED_MAX: Final = 20_000

# What the urgency of each is made of, and no more: of what is lent only lists that are too long.
_IN_USE: Final = f"""
select g.gateway_id, g.registered_at, g.retired_at, s.received_at, s.state, s.state_at,
    s.body::text as body, c.version as config_version, c.made_at as config_made_at,
    long.lent, coalesce(unread.messages, 0) as unreadable
from gateway g
left join gateway_status s using (gateway_id)
left join lateral (
    select version, made_at from gateway_config k
    where k.gateway_id = g.gateway_id order by version desc limit 1
) c on true
left join (
    select gateway_id, array_agg(distinct device_id) as lent from ({LENT}) lent
    group by gateway_id having count(distinct device_id) > {LENT_MAX}
) long using (gateway_id)
left join (
    select q.gateway_id, sum(q.repeats + 1) as messages
    from quarantine q left join gateway_status last using (gateway_id)
    where q.settled_at is null and q.topic = 'egenmonitor/v1/' || q.gateway_id || '/status'
        and q.reason <> 'unknown_gateway'
        and (last.received_at is null or q.arrived_at > last.received_at)
    group by q.gateway_id
) unread using (gateway_id)
where (g.retired_at is null or g.retired_at > now()) and not g.is_canary
"""  # noqa: S608 - our own text

_JUDGED: Final = f"""{_IN_USE}
    and (%(sought)s = '' or strpos(lower(g.gateway_id), lower(%(sought)s)) > 0
        or g.gateway_id in (select gateway_id from ({LENT}) lent where device_id = %(device_id)s))
order by coalesce(s.received_at < now() - interval '15 minutes', false) desc, g.gateway_id
limit %(most)s
"""  # noqa: S608 - our own text

# Those that may have a trouble: a coarse sieve, so that a county's healthy gateways are not read
# through every minute. What it lets through is judged by ``Gateway.troubles``.
_SIEVED: Final = f"""{_IN_USE}
    and (s.received_at is null or s.received_at < %(now)s - %(silent_after)s
        or s.certificate_until < %(now)s + %(certificate_soon)s
        or s.battery_lowest <= %(battery_low)s
        or (s.outbox > 0 and s.oldest_at < %(now)s - %(queue_old)s)
        or jsonb_array_length(coalesce(s.body -> 'conditions', '[]')) > 0
        or s.body @? '$.devices[*] ? (@.bond == "lost" || @.clock_offset_s > {CLOCK_OFF_S:.0f}
            || @.clock_offset_s < -{CLOCK_OFF_S:.0f})'
        or s.config_version is distinct from c.version
        or long.lent is not null or unread.messages > 0)
order by coalesce(s.received_at < %(now)s - %(silent_after)s, false) desc, g.gateway_id
limit %(most)s
"""

_WHOLE: Final = f"""
select g.gateway_id, g.registered_at, g.retired_at, s.received_at, s.state, s.state_at,
    s.body::text as body, c.version as config_version, c.made_at as config_made_at,
    (select count(distinct h.patient_id) from gateway_home h
     where h.gateway_id = g.gateway_id and h.from_at <= now()
        and (h.until_at is null or h.until_at > now())) as people,
    coalesce((select jsonb_object_agg(device_id, model)
     from (select device_id, max(model) as model from ({LENT}) lent
           where lent.gateway_id = g.gateway_id group by device_id) each), '{{}}') as lent,
    (select coalesce(sum(q.repeats + 1), 0) from quarantine q
     where q.gateway_id = g.gateway_id and q.settled_at is null
        and q.topic = 'egenmonitor/v1/' || g.gateway_id || '/status'
        and q.reason <> 'unknown_gateway'
        and (s.received_at is null or q.arrived_at > s.received_at)) as unreadable
from gateway g
left join gateway_status s using (gateway_id)
left join lateral (
    select version, made_at from gateway_config k
    where k.gateway_id = g.gateway_id order by version desc limit 1
) c on true
where g.gateway_id = any (%s)
"""  # noqa: S608 - our own text

_RETIRED: Final = """
select gateway_id, retired_at from gateway where retired_at <= now()
order by retired_at desc limit %s
"""

_EVENTS: Final = """
select at, kind, detail from gateway_event where gateway_id = %s
order by event_id desc limit %s
"""

_PAIRING: Final = """
select request_id, device_id, model, asked_at, expires_at, step, step_at, problem, ended_at,
    passkey is not null as has_passkey
from pairing_request where gateway_id = %s order by asked_at desc limit 1
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """The most urgent gateways, the most urgent first.

    Attributes:
        gateways: At most ``LISTED_MAX``.
        counts: How many of each urgency there are, also of those not listed.
    """

    gateways: list[Gateway]
    counts: Counter[Urgency]


@dataclass(frozen=True, slots=True)
class Retired:
    """A gateway that may not send any more."""

    gateway_id: str
    retired_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a gateway's history."""

    at: datetime
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The pairing that was asked for last, and how it stands."""

    request_id: str
    device_id: str | None
    model: str
    asked_at: datetime
    expires_at: datetime
    step: str | None
    step_at: datetime | None
    problem: str
    ended_at: datetime | None
    has_passkey: bool

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None


async def gateways(connection: Connection, now: datetime, sought: str = "") -> Listed:
    """Return the gateways that are in use, or those found by *sought*, an id or an address."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        values = {
            "sought": sought,
            "device_id": address(sought) or sought.upper(),
            "most": JUDGED_MAX,
        }
        await cursor.execute(_JUDGED, values)
        judged = [
            (_from_row({**row, "lent": dict.fromkeys(row["lent"] or (), "")}).urgency(now), row)
            for row in await cursor.fetchall()
        ]
    judged.sort(key=lambda each: (-each[0], each[1]["gateway_id"]))
    ids = [row["gateway_id"] for _, row in judged[:LISTED_MAX]]
    found = {one.gateway_id: one for one in await _gateways(connection, ids)}
    counts = Counter(urgency for urgency, _ in judged)
    return Listed([found[each] for each in ids if each in found], counts)


async def troubled(connection: Connection, now: datetime) -> list[Gateway]:
    """Return the gateways in use that have a trouble, at most ``JUDGED_MAX`` looked at."""
    values = {
        "now": now,
        "silent_after": SILENT_AFTER,
        "certificate_soon": CERTIFICATE_SOON,
        "battery_low": BATTERY_LOW_PERCENT,
        "queue_old": QUEUE_OLD,
        "most": JUDGED_MAX,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SIEVED, values)
        rows = await cursor.fetchall()
    found = (_from_row({**row, "lent": dict.fromkeys(row["lent"] or (), "")}) for row in rows)
    return [one for one in found if one.troubles(now)]


async def gateway(connection: Connection, gateway_id: str) -> Gateway | None:
    """Return one gateway, in use or not."""
    found = await _gateways(connection, [gateway_id])
    return found[0] if found else None


async def retired(connection: Connection) -> list[Retired]:
    """Return the gateways that are not in use any more, the latest first."""
    async with connection.cursor(row_factory=class_row(Retired)) as cursor:
        await cursor.execute(_RETIRED, (LISTED_MAX,))
        return await cursor.fetchall()


async def history(connection: Connection, gateway_id: str) -> list[Line]:
    """Return what happened to a gateway, the latest first."""
    async with connection.cursor(row_factory=class_row(Line)) as cursor:
        await cursor.execute(_EVENTS, (gateway_id, HISTORY_SHOWN))
        return await cursor.fetchall()


async def last_pairing(connection: Connection, gateway_id: str) -> Pairing | None:
    """Return the pairing that was asked for last."""
    async with connection.cursor(row_factory=class_row(Pairing)) as cursor:
        await cursor.execute(_PAIRING, (gateway_id,))
        return await cursor.fetchone()


async def _gateways(connection: Connection, gateway_ids: list[str]) -> list[Gateway]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_WHOLE, [gateway_ids])
        return [_from_row(row) for row in await cursor.fetchall()]


def _from_row(row: dict[str, Any]) -> Gateway:
    row = dict(row)
    body, state = row.pop("body"), row.pop("state")
    return Gateway(
        **row, state=None if state is None else GatewayState(state), status=_status(body)
    )


def _status(body: str | None) -> GatewayStatus | None:
    if body is None:
        return None
    try:
        return wire.decode_status(body.encode())
    except MalformedMessage:  # stored by a version that allowed more; the next heartbeat mends it
        return None
