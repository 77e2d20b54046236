"""What a technician does: lend and take back, ask for a pairing. Each is noted in the history.

Whose the readings of a device are is care's to say. Only where a gateway stands at one patient
is there nothing to choose: then a device that is lent there is lent to her.
"""

import enum
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.people import Viewer
from devices.models import model_named
from devices.wire import LENT_MAX
from ingest.lending import LENT

Connection = AsyncConnection[Any]

# Fetching the device, its pairing mode, the passkey and a test measurement.
PAIRING_LASTS: Final = timedelta(minutes=15)
PASSKEY_MAX: Final = 999_999
_ID_BYTES: Final = 12

_ADDRESS: Final = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")


class Answer(enum.Enum):
    """What became of it."""

    DONE = "done"
    DONE_FOR_HOME = "done_for_home"  # lent; whose it is, care has to say
    NO_ADDRESS = "no_address"
    NO_MODEL = "no_model"
    LENT_HERE = "lent_here"
    LENT_ELSEWHERE = "lent_elsewhere"
    FULL = "full"
    NOT_LENT = "not_lent"
    BUSY = "busy"  # another pairing goes on
    NO_PAIRING = "no_pairing"  # none goes on
    NO_PASSKEY = "no_passkey"  # it is no number of at most six digits
    RETIRED = "retired"  # there is no such gateway in use


def address(text: str) -> str | None:
    """Return a Bluetooth address as we write it, from what a person types; none if it is none."""
    digits = re.sub(r"[\s:.-]", "", text).upper()
    found = ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))
    return found if _ADDRESS.fullmatch(found) else None


async def lend(
    connection: Connection, staff_id: int, gateway_id: str, device: str, model: str
) -> Answer:
    """Put a device on a gateway's list."""
    device_id = address(device)
    if device_id is None:
        return Answer.NO_ADDRESS
    if model and model_named(model) is None:
        return Answer.NO_MODEL
    async with connection.transaction():
        if not await _hold(connection, gateway_id):
            return Answer.RETIRED
        obstacle = await _obstacle(connection, gateway_id, device_id)
        if obstacle is not None:
            return obstacle
        await connection.execute(
            "insert into gateway_device (gateway_id, device_id, model, lent_from) "
            "values (%s, %s, %s, clock_timestamp())",
            (gateway_id, device_id, model),
        )
        given = await connection.execute(
            _LEND_TO_THE_ONE, {"g": gateway_id, "d": device_id, "model": model, "by": staff_id}
        )
        loans = await given.fetchall()
        await _note(connection, gateway_id, "lent", staff_id, device_id=device_id, model=model)
        await _log(connection, staff_id, Action.DEVICE_LENT, loans)
    return Answer.DONE if loans else Answer.DONE_FOR_HOME


async def take_back(
    connection: Connection, staff_id: int, gateway_id: str, device_id: str
) -> Answer:
    """Take a device off a gateway's list: its loans there end now. Readings of before stay.

    Who lives with two gateways has a device on loan once: it is off the other's list, too.

    Also off that of a gateway which is out of use: else its devices could be lent nowhere again.
    """
    async with connection.transaction():
        names = {"g": gateway_id, "d": device_id, "by": staff_id}
        loans = await (await connection.execute(_END_LOANS, names)).fetchall()
        is_hers = bool(loans)
        placed = await connection.execute(_END_PLACES, {**names, "everywhere": is_hers})
        places = {each for (each,) in await placed.fetchall()}
        if not places and not is_hers:
            return Answer.NOT_LENT
        for place in sorted(places | {gateway_id}):
            await _note(connection, place, "returned", staff_id, device_id=device_id)
        await _log(connection, staff_id, Action.DEVICE_RETURNED, loans)
    return Answer.DONE


async def ask_pairing(
    connection: Connection, staff_id: int, gateway_id: str, model: str, device: str
) -> Answer:
    """Ask a gateway to pair with a device of *model*; with this one, if its address is given."""
    device_id = address(device) if device.strip() else None
    if device.strip() and device_id is None:
        return Answer.NO_ADDRESS
    if model_named(model) is None:
        return Answer.NO_MODEL
    try:
        async with connection.transaction():
            if not await _hold(connection, gateway_id):
                return Answer.RETIRED
            await connection.execute(
                "update pairing_request set ended_at = clock_timestamp(), problem = 'expired' "
                "where gateway_id = %s and ended_at is null and expires_at < now()",
                (gateway_id,),
            )
            await connection.execute(
                "insert into pairing_request "
                "(request_id, gateway_id, device_id, model, asked_by, expires_at) "
                "values (%s, %s, %s, %s, %s, now() + %s)",
                (
                    secrets.token_urlsafe(_ID_BYTES),
                    gateway_id,
                    device_id,
                    model,
                    staff_id,
                    PAIRING_LASTS,
                ),
            )
            await _note(connection, gateway_id, "pairing_asked", staff_id, model=model)
    except psycopg.errors.UniqueViolation:
        return Answer.BUSY
    return Answer.DONE


async def give_passkey(connection: Connection, gateway_id: str, text: str) -> Answer:
    """Give the number that the device shows to the pairing that goes on."""
    digits = re.sub(r"\s", "", text)
    if not re.fullmatch(r"[0-9]{1,6}", digits):
        return Answer.NO_PASSKEY
    given = await connection.execute(
        "update pairing_request set passkey = %s, passkey_at = clock_timestamp() "
        "where gateway_id = %s and ended_at is null",
        (int(digits), gateway_id),
    )
    return Answer.DONE if given.rowcount else Answer.NO_PAIRING


async def cancel_pairing(connection: Connection, staff_id: int, gateway_id: str) -> Answer:
    """Let the pairing that goes on be."""
    async with connection.transaction():
        ended = await connection.execute(
            "update pairing_request set ended_at = clock_timestamp(), problem = 'cancelled', "
            "passkey = null where gateway_id = %s and ended_at is null",
            (gateway_id,),
        )
        if not ended.rowcount:
            return Answer.NO_PAIRING
        await _note(connection, gateway_id, "pairing_cancelled", staff_id)
    return Answer.DONE


async def note(connection: Connection, gateway_id: str, kind: str, staff_id: int) -> None:
    """Note in a gateway's history what was done elsewhere: a code, a revocation."""
    await _note(connection, gateway_id, kind, staff_id)


_END_PLACES: Final = """
update gateway_device set returned_at = greatest(clock_timestamp(), lent_from)
where (gateway_id = %(g)s or %(everywhere)s) and upper(device_id) = %(d)s and returned_at is null
returning gateway_id
"""

# A gateway that is out of use stands nowhere; who has no other since is still asked about there.
_END_LOANS: Final = """
with ended as (
update device_loan l set returned_at = clock_timestamp()
from gateway_home h join gateway g using (gateway_id)
where h.gateway_id = %(g)s and h.patient_id = l.patient_id and h.from_at <= now()
    and (h.until_at is null or h.until_at > now() or (
        g.retired_at <= now() and h.until_at >= g.retired_at and not exists (
            select from gateway_home since
            where since.patient_id = h.patient_id and since.from_at <= now()
                and (since.until_at is null or since.until_at > now()))))
    and upper(l.device_id) = %(d)s
    and l.lent_from < clock_timestamp() and (l.returned_at is null or l.returned_at > now())
returning l.loan_id, l.patient_id, l.lent_from, l.returned_at
), noted as (
    insert into loan_note as n (loan_id, lent_at, returned_by, returned_at)
    select loan_id, lent_from, %(by)s, returned_at from ended
    on conflict (loan_id) do update
    set returned_by = excluded.returned_by, returned_at = excluded.returned_at
)
select patient_id, loan_id from ended
"""

_LEND_TO_THE_ONE: Final = """
with at_home as (
    select distinct patient_id from gateway_home
    where gateway_id = %(g)s and from_at <= now() and (until_at is null or until_at > now())
), lent as (
    insert into device_loan (patient_id, device_id, lent_from)
    select min(patient_id), %(d)s, clock_timestamp() from at_home having count(*) = 1
    returning loan_id, patient_id, lent_from
), noted as (
    insert into loan_note (loan_id, serial, model, lent_by, lent_at)
    select loan_id, '', %(model)s, %(by)s, lent_from from lent
)
select patient_id, loan_id from lent
"""

_LENT: Final = """
select exists (
    select from gateway_device where upper(device_id) = %(d)s and returned_at is null
        and gateway_id = %(g)s
    union all
    select from device_loan l join gateway_home h using (patient_id)
    where upper(l.device_id) = %(d)s and h.gateway_id = %(g)s
        and (l.returned_at is null or l.returned_at > now())
        and (h.until_at is null or h.until_at > now())
), exists (
    select from gateway_device where upper(device_id) = %(d)s and returned_at is null
    union all
    select from device_loan l
    where upper(l.device_id) = %(d)s and (l.returned_at is null or l.returned_at > now())
)
"""

_COUNT_LENT: Final = f"""
select count(distinct device_id) from ({LENT}) lent where gateway_id = %s
"""  # noqa: S608 - our own text


async def _hold(connection: Connection, gateway_id: str) -> bool:
    """Hold a gateway for this transaction; false if there is none of that id in use."""
    cursor = await connection.execute(
        "select from gateway where gateway_id = %s and (retired_at is null or retired_at > now()) "
        "for no key update",
        (gateway_id,),
    )
    return await cursor.fetchone() is not None


async def _obstacle(connection: Connection, gateway_id: str, device_id: str) -> Answer | None:
    # Two gateways are held one by one: the device itself is what two technicians may race for.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (device_id,))
    cursor = await connection.execute(_LENT, {"g": gateway_id, "d": device_id})
    is_here, is_lent = await cursor.fetchone() or (False, False)
    if is_here:
        return Answer.LENT_HERE
    if is_lent:
        return Answer.LENT_ELSEWHERE
    cursor = await connection.execute(_COUNT_LENT, (gateway_id,))
    (listed,) = await cursor.fetchone() or (0,)
    return Answer.FULL if listed >= LENT_MAX else None


async def _log(
    connection: Connection, staff_id: int, action: Action, loans: Iterable[tuple[int, int]]
) -> None:
    """Write into the access log of whom a loan began or ended; chains in order, whoever writes."""
    cursor = await connection.execute("select unit_id from staff where staff_id = %s", (staff_id,))
    (unit_id,) = await cursor.fetchone() or (None,)
    viewer = Viewer(name="", staff_id=staff_id, unit_id=unit_id)
    entries = [
        Entry.by(viewer, action, "technician", patient_id=patient_id, detail={"loan_id": loan_id})
        for patient_id, loan_id in loans
    ]
    for entry in sorted(entries, key=lambda one: one.chain):
        await append(connection, entry)


async def _note(
    connection: Connection, gateway_id: str, kind: str, staff_id: int, **detail: str
) -> None:
    await connection.execute(
        "insert into gateway_event (gateway_id, at, kind, detail) "
        "values (%s, clock_timestamp(), %s, %s)",
        (gateway_id, kind, Jsonb({"staff_id": staff_id, **detail})),
    )
