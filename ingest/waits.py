"""Waits: the red acts of measuring of which a repeat is asked for, and the table they stand in.

Rows of ``repeat_wait`` that another holds are passed over, never waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
import psycopg
from numpy.typing import NDArray

from devices.quantity import BY_ID
from ingest.batch import Bools, Ids, Int64s
from ingest.pg_binary import Array
from ingest.query import arrays
from ingest.rules.repeat import Outcome

_IDS: Final = max(BY_ID) + 1
# By quantity id: the first quantity of its panel, and all quantities of a panel by its first.
FIRST = np.zeros(_IDS, np.int16)
for _number, _quantity in BY_ID.items():
    FIRST[_number] = min(n for n, q in BY_ID.items() if q.facts.panel is _quantity.facts.panel)
MEMBERS: Final = np.array(sorted(BY_ID, key=lambda n: (FIRST[n], n)), np.int16)

_OPEN: Final = """
select array_agg(reading_id), array_agg(patient_id), array_agg(quantity_id),
    array_agg(plan_version_id), array_agg(measured_at), array_agg(repeat_until), array_agg(due_at),
    array_agg(late)
from (
    select * from repeat_wait where decided_at is null and {which}
    order by due_at, reading_id {limit} for update skip locked
) w
"""
_OPEN_OF_PATIENTS: Final = _OPEN.format(which="patient_id = any (%s::bigint[])", limit="")
_OPEN_AND_DUE: Final = _OPEN.format(
    which="due_at <= %s and patient_id = any (%s::bigint[])", limit="limit %s"
)
_PATIENTS_WAITING: Final = """
select array_agg(distinct patient_id) from repeat_wait
where decided_at is null and patient_id = any (%s::bigint[])
"""
_PATIENTS_DUE: Final = """
select array_agg(distinct patient_id) from (
    select patient_id from repeat_wait where decided_at is null and due_at <= %s
    order by due_at, reading_id limit %s
) w
"""

# A repeat is asked for once, however often the reading is judged.
_ASK: Final = """
with asked as (
insert into repeat_wait (reading_id, rule_key, patient_id, quantity_id, plan_version_id,
    measured_at, repeat_until, due_at, late)
select * from unnest(%s::uuid[], %s::text[], %s::bigint[], %s::smallint[], %s::bigint[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])
on conflict do nothing
returning reading_id, quantity_id
)
select array_agg(reading_id), array_agg(quantity_id) from asked
"""

# The wait of a reading that was the repeat of another is over as well.
_DECIDE: Final = """
with decided as (
    select * from unnest(%s::uuid[], %s::text[], %s::uuid[], %s::text[])
        as d (reading_id, rule_key, repeat_reading_id, outcome)
)
update repeat_wait w set decided_at = clock_timestamp(), outcome = d.outcome,
    repeat_reading_id = nullif(d.repeat_reading_id, '00000000-0000-0000-0000-000000000000')
from (
    select * from decided
    union all
    select repeat_reading_id, rule_key, reading_id, outcome from decided
    where repeat_reading_id <> '00000000-0000-0000-0000-000000000000'
) d
where w.reading_id = d.reading_id and w.rule_key = d.rule_key and w.decided_at is null
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """w readings of which a repeat is asked for, each of one panel."""

    reading_id: Ids  # (w,) S16
    patient: Int64s  # (w,)
    quantity: NDArray[np.int16]  # (w,) the first of the panel
    version: Int64s  # (w,)
    measured_at: Int64s  # (w,)
    repeat_until: Int64s  # (w,) inclusive
    due_at: Int64s  # (w,)
    late: Bools  # (w,)

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the rows that an index or mask picks."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def and_(self, other: Self) -> Self:
        """Return the rows of both."""
        return replace(
            self,
            **{
                f.name: np.concatenate((getattr(self, f.name), getattr(other, f.name)))
                for f in fields(self)
            },
        )

    def keys(self) -> list[str]:
        """Return the rule's key of each, (w,)."""
        return [f"repeat:{BY_ID[number].facts.panel}" for number in self.quantity.tolist()]

    def rules(self) -> list[str]:
        """Return the family of each, (w,)."""
        return [f"limit:{BY_ID[number].facts.panel}" for number in self.quantity.tolist()]


def nobody() -> Waits:
    """Return no waits."""
    none = np.empty(0, np.int64)
    return Waits(
        reading_id=np.empty(0, "S16"),
        patient=none,
        quantity=np.empty(0, np.int16),
        version=none,
        measured_at=none,
        repeat_until=none,
        due_at=none,
        late=np.empty(0, np.bool_),
    )


def acts(reading_id: Ids, quantity: NDArray[np.int16]) -> NDArray[np.bytes_]:
    """Return what tells acts of measuring apart: the reading and the panel, as (n,) S18."""
    packed = np.zeros(len(reading_id), [("reading", "S16"), ("panel", ">i2")])
    packed["reading"] = reading_id
    packed["panel"] = FIRST[quantity]
    return packed.view("S18")


async def patients_waiting(connection: psycopg.AsyncConnection[Any], patients: Int64s) -> Int64s:
    """Return who of *patients* has an open wait."""
    waiting: Int64s
    asked = Array(np.unique(patients), "int8")
    (waiting,) = await arrays(connection, _PATIENTS_WAITING, [asked])
    return waiting


async def patients_due(
    connection: psycopg.AsyncConnection[Any], now: datetime, most: int
) -> Int64s:
    """Return whose time has run out at *now*: the patients of at most *most* open waits."""
    patients: Int64s
    (patients,) = await arrays(connection, _PATIENTS_DUE, [now, most])
    return patients


async def due(
    connection: psycopg.AsyncConnection[Any], patients: Int64s, now: datetime, most: int
) -> Waits:
    """Return, and lock, at most *most* open waits of *patients* whose time has run out at *now*."""
    return await _open(connection, _OPEN_AND_DUE, [now, Array(patients, "int8"), most])


async def of_patients(connection: psycopg.AsyncConnection[Any], patients: Int64s) -> Waits:
    """Return, and lock, the open waits of *patients*; no statement if there are none."""
    if not len(patients):
        return nobody()
    return await _open(connection, _OPEN_OF_PATIENTS, [Array(np.unique(patients), "int8")])


async def _open(
    connection: psycopg.AsyncConnection[Any], query: str, parameters: list[Any]
) -> Waits:
    columns = await arrays(connection, query, parameters)
    empty = nobody()
    return Waits(
        **{
            f.name: column.astype(getattr(empty, f.name).dtype)
            for f, column in zip(fields(Waits), columns, strict=True)
        }
    )


async def ask(connection: psycopg.AsyncConnection[Any], waits: Waits) -> Waits:
    """Store that a repeat of each of *waits* is asked for; return those it was not before."""
    if not len(waits):
        return waits
    reading, quantity = await arrays(
        connection,
        _ASK,
        [
            Array(waits.reading_id, "uuid"),
            waits.keys(),
            Array(waits.patient, "int8"),
            Array(waits.quantity, "int2"),
            Array(waits.version, "int8"),
            Array(waits.measured_at, "timestamptz"),
            Array(waits.repeat_until, "timestamptz"),
            Array(waits.due_at, "timestamptz"),
            Array(waits.late, "bool"),
        ],
    )
    asked = acts(reading.astype("S16"), quantity.astype(np.int16))
    return waits.take(np.isin(acts(waits.reading_id, waits.quantity), asked))


async def mark_decided(
    connection: psycopg.AsyncConnection[Any],
    waits: Waits,
    repeat_id: Ids,
    outcomes: Sequence[Outcome],
) -> None:
    """Store how *waits* ended, and with them those of the readings that were their repeats.

    Args:
        connection: In a transaction.
        waits: (w,) that were open.
        repeat_id: (w,) S16; zeros: none came.
        outcomes: (w,).
    """
    await connection.execute(
        _DECIDE,
        [
            Array(waits.reading_id, "uuid"),
            waits.keys(),
            Array(repeat_id, "uuid"),
            [outcome.value for outcome in outcomes],
        ],
    )
