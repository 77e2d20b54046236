"""Fleet: stores what gateways say of themselves: the last word, and the history of what changed."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from devices import wire
from devices.errors import MalformedMessage
from devices.wire import GatewayState, PairingStep
from ingest import quarantine
from ingest.quarantine import Reason, Refused
from ingest.status import REPEAT, Change, Known, Said, battery_lowest, changes, know

Connection = psycopg.AsyncConnection[Any]

# Lines of history of one gateway: a bad week of a flapping connection, read by one person.
HISTORY_MAX: Final = 500

_log = structlog.get_logger()

# Locked in one order, so that two writers never wait for each other in a ring.
_GATEWAYS: Final = """
select g.gateway_id, s.received_at, s.state, s.state_at, s.body::text as body
from gateway g left join gateway_status s using (gateway_id)
where g.gateway_id = any (%s) and (g.retired_at is null or g.retired_at > now())
order by g.gateway_id for no key update of g
"""

_STORE: Final = """
insert into gateway_status (gateway_id, received_at, said_at, state, state_at, version,
    config_version, config_refused, inbox, outbox, oldest_at, last_reading_at,
    certificate_until, battery_lowest, body)
values (%(gateway_id)s, %(received_at)s, %(said_at)s, %(state)s, %(state_at)s, %(version)s,
    %(config_version)s, %(config_refused)s, %(inbox)s, %(outbox)s, %(oldest_at)s,
    %(last_reading_at)s, %(certificate_until)s, %(battery_lowest)s, %(body)s::jsonb)
on conflict (gateway_id) do update set
    received_at = excluded.received_at, said_at = excluded.said_at, state = excluded.state,
    state_at = excluded.state_at, version = excluded.version,
    config_version = excluded.config_version, config_refused = excluded.config_refused,
    inbox = excluded.inbox, outbox = excluded.outbox, oldest_at = excluded.oldest_at,
    last_reading_at = excluded.last_reading_at,
    certificate_until = excluded.certificate_until,
    battery_lowest = excluded.battery_lowest, body = excluded.body
"""

_EVENTS: Final = """
insert into gateway_event (gateway_id, at, kind, detail)
select * from unnest(%s::text[], %s::timestamptz[], %s::text[], %s::jsonb[])
"""

_TRIM: Final = """
delete from gateway_event e using unnest(%s::text[]) as touched (gateway_id)
where e.gateway_id = touched.gateway_id and e.event_id <= (
    select event_id from gateway_event newer where newer.gateway_id = touched.gateway_id
    order by event_id desc offset %s limit 1)
"""

_PAIRING: Final = """
update pairing_request set step = %(step)s, step_at = clock_timestamp(),
    device_id = coalesce(%(device_id)s, device_id), problem = %(problem)s,
    ended_at = case when %(is_over)s then clock_timestamp() end,
    passkey = case when %(is_over)s then null else passkey end
where request_id = %(request_id)s and gateway_id = %(gateway_id)s and ended_at is null
    and (step, problem, device_id)
        is distinct from (%(step)s, %(problem)s, coalesce(%(device_id)s, device_id))
"""


async def store(connection: Connection, said: Sequence[Said], bad: Sequence[Refused]) -> list[str]:
    """Store what was said, in one transaction; return the ids of the gateways it was taken from.

    What comes from a gateway that is not registered goes to quarantine with *bad*.

    Raises:
        psycopg.DataError: The database does not take something in it.
    """
    async with connection.transaction():
        known = await _known(connection, sorted({one.gateway_id for one in said}))
        strangers = [_stranger(one) for one in said if one.gateway_id not in known]
        now, lines = dict(known), list[tuple[Said, Change]]()
        for one in said:
            if one.gateway_id in known:
                before = now[one.gateway_id]
                after = now[one.gateway_id] = know(before, one)
                lines += [(one, change) for change in changes(before, after)]
        await _write(connection, {key: each for key, each in now.items() if each != known[key]})
        await _note(connection, lines)
        await _follow_pairings(connection, said, known)
        await quarantine.insert(connection, [*bad, *strangers])
    _tell(lines, [*bad, *strangers])
    return sorted({one.gateway_id for one in said if one.gateway_id in known})


async def _known(connection: Connection, gateway_ids: list[str]) -> dict[str, Known | None]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_GATEWAYS, [gateway_ids])
    found: dict[str, Known | None] = {}
    for row in await cursor.fetchall():
        found[row["gateway_id"]] = None if row["state"] is None else _from_row(row)
    return found


def _from_row(row: dict[str, Any]) -> Known:
    status = None
    if row["body"] is not None:
        with suppress(MalformedMessage):  # of a version that was less strict: as if never said
            status = wire.decode_status(row["body"].encode())
    return Known(row["received_at"], GatewayState(row["state"]), row["state_at"], status)


def _stranger(said: Said) -> Refused:
    return Refused(
        reason=Reason.UNKNOWN_GATEWAY,
        detail=f"no gateway {said.gateway_id} is registered, or it is retired",
        gateway_id=said.gateway_id,
        topic=wire.topic(said.gateway_id, wire.TopicKind.STATUS),
        arrived_at=said.arrived_at,
        content=wire.encode_status(said.status),
        repeat_of=REPEAT,
    )


async def _write(connection: Connection, known: dict[str, Known | None]) -> None:
    rows = [_row(gateway_id, each) for gateway_id, each in known.items() if each is not None]
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(_STORE, rows)


def _row(gateway_id: str, known: Known) -> dict[str, Any]:
    status = known.status or wire.GatewayStatus(
        v=wire.VERSION, gateway=gateway_id, state=known.state
    )
    return {
        "gateway_id": gateway_id,
        "received_at": known.received_at,
        "said_at": status.at,
        "state": known.state.value,
        "state_at": known.state_at,
        "version": status.version,
        "config_version": status.config_version,
        "config_refused": status.config_refused,
        "inbox": status.inbox,
        "outbox": status.outbox,
        "oldest_at": status.oldest_at,
        "last_reading_at": status.last_reading_at,
        "certificate_until": status.certificate_until,
        "battery_lowest": battery_lowest(status),
        "body": None if known.status is None else wire.encode_status(status).decode(),
    }


async def _note(connection: Connection, lines: Sequence[tuple[Said, Change]]) -> None:
    if not lines:
        return
    await connection.execute(
        _EVENTS,
        [
            [said.gateway_id for said, _ in lines],
            [said.arrived_at for said, _ in lines],
            [change.kind.value for _, change in lines],
            [Jsonb(change.detail) for _, change in lines],
        ],
    )
    touched = sorted({said.gateway_id for said, _ in lines})
    await connection.execute(_TRIM, [touched, HISTORY_MAX])


async def _follow_pairings(
    connection: Connection, said: Sequence[Said], known: dict[str, Known | None]
) -> None:
    """Note how the pairings that were asked for stand; what has ended stays ended."""
    rows = []
    for one in said:
        pairing = one.status.pairing
        if pairing is not None and one.gateway_id in known:
            is_over = pairing.step in (PairingStep.DONE, PairingStep.FAILED)
            row = {"request_id": pairing.request_id, "gateway_id": one.gateway_id}
            row |= {"step": pairing.step.value, "problem": pairing.problem}
            rows.append({**row, "device_id": pairing.device_id, "is_over": is_over})
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(_PAIRING, rows)


def _tell(lines: Sequence[tuple[Said, Change]], bad: Sequence[Refused]) -> None:
    for said, change in lines:
        _log.info("gateway.changed", gateway_id=said.gateway_id, change=change.kind.value)
    for row in bad:
        _log.warning("status.refused", gateway_id=row.gateway_id, reason=row.reason.value)
