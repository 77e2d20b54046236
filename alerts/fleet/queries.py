"""What technicians look at, read from the database. No query here touches a patient's identity."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from alerts.fleet.actions import address
from alerts.fleet.gateway import Gateway
from devices import wire
from devices.errors import MalformedMessage
from devices.wire import GatewayState, GatewayStatus
from ingest.lending import LENT

Connection = AsyncConnection[Any]

# A page a person can scroll through; what is urgent comes first, and there is a search.
LISTED_MAX: Final = 300
HISTORY_SHOWN: Final = 100

# The order is a rough one of urgency, so that what matters is among the first; the page sorts
# by the whole of it. Silence comes first: boxes that were never heard may lie on a shelf in
# hundreds.
_LISTED: Final = f"""
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
where (%(gateway_id)s::text is null or g.gateway_id = %(gateway_id)s)
    and (%(gateway_id)s is not null or g.retired_at is null or g.retired_at > now())
    and (%(sought)s = '' or strpos(lower(g.gateway_id), lower(%(sought)s)) > 0
        or exists (select from ({LENT}) lent
            where lent.gateway_id = g.gateway_id and lent.device_id = %(device_id)s))
order by coalesce(s.received_at < now() - interval '15 minutes', false) desc,
    coalesce(jsonb_array_length(s.body->'conditions'), 0) > 0 desc,
    s.received_at is null desc,
    s.battery_lowest nulls last, s.certificate_until nulls last, g.gateway_id
limit %(most)s
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


async def gateways(connection: Connection, sought: str = "") -> list[Gateway]:
    """Return the gateways that are in use, or those found by *sought*, an id or an address."""
    return await _gateways(connection, gateway_id=None, sought=sought)


async def gateway(connection: Connection, gateway_id: str) -> Gateway | None:
    """Return one gateway, in use or not."""
    found = await _gateways(connection, gateway_id=gateway_id, sought="")
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


async def _gateways(
    connection: Connection, *, gateway_id: str | None, sought: str
) -> list[Gateway]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        values = {
            "gateway_id": gateway_id,
            "sought": sought,
            "device_id": address(sought) or sought.upper(),
            "most": LISTED_MAX,
        }
        await cursor.execute(_LISTED, values)
        return [_from_row(row) for row in await cursor.fetchall()]


def _from_row(row: dict[str, Any]) -> Gateway:
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
