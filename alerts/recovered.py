"""A recovery code was used: that is in the access log, and whose it is hears of it.

Who finds the paper and knows the password is in. The one who can know that it was not she is the
account's owner, so she is told on a way of her own, once; what came of that is in the log too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.people import Viewer
from alerts.channels.channel import Carriers, send_safely
from alerts.channels.message import Kind, of_recovery_code
from alerts.channels.outcome import State

# Each takes some seconds at most; the answer to her login has gone out by then.
TRIES_MAX: Final = 3

_OWNER: Final = """
select a.staff_id, a.patient_id, a.relative_id, s.unit_id,
    coalesce(nullif(pu.phone, ''), '') as phone,
    array(select kind from way order by place, address) as kinds,
    array(select address from way order by place, address) as addresses
from account a
left join staff s using (staff_id)
left join person p on p.patient_id = a.patient_id
left join unit pu on pu.unit_id = p.unit_id
where a.account_id = %(account_id)s
"""
# Those that are known to arrive, and what a patient has agreed to. Not a call: it may be night, and
# the recording that 46elks plays says that a measurement is missing.
_WAYS: Final = """
with way as (
    select c.kind, c.address, c.place from channel c join account a using (staff_id)
    where a.account_id = %(account_id)s and c.ended_at is null and c.verified_at is not null
        and c.failing_since is null
    union all
    select c.kind, c.address, c.place from patient_channel c join account a using (patient_id)
    where a.account_id = %(account_id)s and c.ended_at is null and c.kind <> 'voice'
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """Whose an account is, and how she is reached."""

    staff_id: int | None
    patient_id: int | None
    relative_id: int | None
    unit_id: int | None
    phone: str  # of whom a patient may ask
    kinds: Sequence[str]
    addresses: Sequence[str]

    @property
    def viewer(self) -> Viewer:
        return Viewer(
            name="",
            staff_id=self.staff_id,
            unit_id=self.unit_id,
            patient_id=self.patient_id,
            relative_id=self.relative_id,
        )


async def note(connection: AsyncConnection, account_id: int, left: int) -> None:
    """Keep in the access log that a code was used and how many are *left*; in its transaction."""
    await _log(connection, account_id, Action.RECOVERY_CODE_USED, {"left": left})


async def tell(pool: AsyncConnectionPool, carriers: Carriers | None, account_id: int) -> None:
    """Tell whose account it is, on the first of her ways that takes it; keep what came of it."""
    async with pool.connection() as connection:
        owner = await _owner(connection, account_id)
    if owner is None:
        return  # it was erased in these seconds
    by_kind = {} if carriers is None else carriers.by_kind
    words = of_recovery_code(owner.phone, is_staff=owner.staff_id is not None)
    ways = [
        (Kind(kind), address)
        for kind, address in zip(owner.kinds, owner.addresses, strict=True)
        if kind in by_kind
    ]
    detail = {"answer": "no_channel"}
    for kind, address in ways[:TRIES_MAX]:
        outcome = await send_safely(by_kind[kind], address, words, None)
        detail = {"answer": outcome.state.value, "channel": kind.value}
        if outcome.state is not State.FAILED:
            break
    async with pool.connection() as connection:
        await _log(connection, account_id, Action.RECOVERY_CODE_TOLD, detail)


async def _owner(connection: AsyncConnection, account_id: int) -> _Owner | None:
    cursor = connection.cursor(row_factory=class_row(_Owner))
    await cursor.execute(_WAYS + _OWNER, {"account_id": account_id})
    return await cursor.fetchone()


async def _log(
    connection: AsyncConnection, account_id: int, action: Action, detail: Mapping[str, object]
) -> None:
    owner = await _owner(connection, account_id)
    if owner is None:
        return
    is_hers = action is Action.RECOVERY_CODE_USED
    entry = Entry.by(
        owner.viewer if is_hers else Viewer(name=""),
        action,
        Ground.SELF if is_hers else "operator",
        patient_id=owner.patient_id,
        detail={"account_id": account_id, **detail},
    )
    await append(connection, entry)
