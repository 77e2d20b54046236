"""The canary as rows: a patient who is nobody, her gateway, her cuffs, her plan."""

import math
from typing import Any, Final, LiteralString

import psycopg

from devices.quantity import Quantity

Connection = psycopg.AsyncConnection[Any]

# More than six an hour of one device are doubted (plausibility), so she has several.
_PER_HOUR_MAX: Final = 3
CUFF: Final = "canary-cuff-{number}"
# Above her red limit, and far from what anybody would doubt.
SYSTOLIC_MMHG: Final = 190.0
DIASTOLIC_MMHG: Final = 100.0
_YELLOW_MMHG: Final = 160.0
_RED_MMHG: Final = 180.0

# The cuff that has rested longest.
_NEXT_CUFF: Final = """
select l.patient_id, l.device_id
from patient p join device_loan l using (patient_id)
left join reading r on r.patient_id = l.patient_id and r.device_id = l.device_id
    and r.measured_at > now() - interval '1 day'
where p.is_canary and l.returned_at is null
group by l.patient_id, l.device_id order by max(r.measured_at) nulls first, l.device_id limit 1
"""
_LEND: Final = """
insert into device_loan (patient_id, device_id, lent_from)
select %(patient_id)s, wanted.device_id, greatest(now() - interval '1 hour', max(l.returned_at))
from unnest(%(devices)s::text[]) as wanted (device_id)
left join device_loan l on l.patient_id = %(patient_id)s and l.device_id = wanted.device_id
group by wanted.device_id
having count(*) filter (where l.loan_id is not null and l.returned_at is null) = 0
"""
# Of the newest plan: whether its limits are hers.
_HAS_LIMITS: Final = """
select exists (
    select from (
        select plan_version_id from plan_version where patient_id = %s
        order by in_force_from desc limit 1
    ) newest
    join plan_limit using (plan_version_id)
    where quantity_id = %s and yellow_high = %s and red_high = %s
)
"""
_NEW_PLAN: Final = """
insert into plan_version (patient_id, in_force_from, agreed_how)
select %s, greatest(now() - interval '1 hour', max(in_force_from) + interval '1 second'), 'canary'
from plan_version where patient_id = %s
returning plan_version_id
"""
_CLOSE: Final = """
with closed as (
    update alert set state = 'closed', changed_at = clock_timestamp()
    where patient_id = %s and state <> 'closed' returning alert_id
)
insert into alert_log (alert_id, event, detail)
select alert_id, 'closed', '{"by": "canary"}' from closed
"""


class GatewayTaken(Exception):
    """The gateway is a box in somebody's home."""


def cuffs(every_s: float) -> int:
    """Return how many cuffs she needs, so that none is used suspiciously often."""
    return math.ceil(3600 / every_s / _PER_HOUR_MAX) + 1


async def set_up(connection: Connection, gateway_id: str, every_s: float) -> int:
    """Register her, what she lacks; return her patient's number. Harmless to repeat.

    Raises:
        GatewayTaken: *gateway_id* is registered, and not as hers.
    """
    async with connection.transaction():
        await connection.execute(
            "insert into patient (is_canary) values (true) on conflict do nothing"
        )
        patient_id = int(await _one(connection, "select patient_id from patient where is_canary"))
        await connection.execute(
            "insert into gateway (gateway_id, is_canary) values (%s, true) on conflict do nothing",
            [gateway_id],
        )
        is_hers = "select is_canary from gateway where gateway_id = %s"
        if not await _one(connection, is_hers, gateway_id):
            raise GatewayTaken(gateway_id)
        devices = [CUFF.format(number=number + 1) for number in range(cuffs(every_s))]
        await connection.execute(_LEND, {"patient_id": patient_id, "devices": devices})
        await _plan(connection, patient_id)
    return patient_id


async def next_cuff(connection: Connection) -> tuple[int, str] | None:
    """Return her number and the cuff that has rested longest; none: she is not set up."""
    cursor = await connection.execute(_NEXT_CUFF)
    row = await cursor.fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


async def close_alerts(connection: Connection, patient_id: int) -> None:
    """End what is open for her: nobody else will, for nobody sees it."""
    await connection.execute(_CLOSE, [patient_id])


async def _plan(connection: Connection, patient_id: int) -> None:
    limits = (Quantity.SYSTOLIC.facts.id, _YELLOW_MMHG, _RED_MMHG)
    if await _one(connection, _HAS_LIMITS, patient_id, *limits):
        return
    version = await _one(connection, _NEW_PLAN, patient_id, patient_id)
    await connection.execute(
        "insert into plan_limit (plan_version_id, quantity_id, yellow_high, red_high)"
        " values (%s, %s, %s, %s)",
        [version, *limits],
    )


async def _one(connection: Connection, query: LiteralString, *arguments: object) -> Any:
    cursor = await connection.execute(query, arguments)
    row = await cursor.fetchone()
    return None if row is None else row[0]
