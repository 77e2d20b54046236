"""Due rows: what the clock looks at now, with the rule that is in force, and when it looks next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

import numpy as np
import structlog
from numpy.typing import NDArray

from ingest.batch import NO_TIME, Bools, Int64s
from ingest.clock.chore import Connection
from ingest.clock.columns import moment_of, texts
from ingest.pg_binary import Array, read_array
from ingest.query import one_row
from ingest.rules.catalogue import KINDS, columns
from ingest.rules.table import RuleRows

_NOTHING: Final[tuple[int, tuple[float, ...]]] = (0, ())
_log = structlog.get_logger()
FOREVER: Final = np.iinfo(np.int64).max

# Rows that another leader looks at are left to it. In the order of their time, so that what is
# late is first.
_TAKE: Final = """
with due as (
    select * from rule_due where kind = %s and due_at <= %s
    order by due_at limit %s for update skip locked
)
select array_agg(patient_id), array_agg(rule_key), array_agg(due_at),
    array_agg(coalesce(expected_at, '-infinity')), array_agg(step),
    array_agg(coalesce(held_since, '-infinity'))
from due
"""

# The version that was in force at the moment; none of it where the plan has no such rule then.
_RULES: Final = """
with asked as (
    select * from unnest(%s::bigint[], %s::text[], %s::timestamptz[])
        with ordinality as a (patient_id, rule_key, at, number)
),
ruled as (
    select a.number - 1 as number, v.plan_version_id, v.in_force_from, r.level, r.spec::text as spec
    from asked a
    cross join lateral (
        select plan_version_id, in_force_from from plan_version v
        where v.patient_id = a.patient_id and v.in_force_from <= a.at
        order by v.in_force_from desc limit 1
    ) v
    join plan_rule r on r.plan_version_id = v.plan_version_id and r.rule_key = a.rule_key
)
select array_agg(number), array_agg(plan_version_id), array_agg(in_force_from), array_agg(level),
    array_agg(spec)
from ruled
"""

_PAUSED: Final = """
select array_agg(a.number - 1)
from unnest(%s::bigint[], %s::timestamptz[]) with ordinality as a (patient_id, at, number)
where exists (
    select from patient_pause p
    where p.patient_id = a.patient_id and p.from_at <= a.at and a.at < p.until_at
)
"""

_DROP: Final = """
delete from rule_due d using unnest(%s::bigint[], %s::text[]) as n (patient_id, rule_key)
where d.patient_id = n.patient_id and d.rule_key = n.rule_key
"""

_PUT: Final = """
update rule_due d set due_at = n.due_at, step = n.step,
    expected_at = nullif(n.expected_at, '-infinity'), held_since = nullif(n.held_since, '-infinity')
from unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::smallint[], %s::timestamptz[],
    %s::timestamptz[]) as n (patient_id, rule_key, due_at, step, expected_at, held_since)
where d.patient_id = n.patient_id and d.rule_key = n.rule_key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRows:
    """k rows of ``rule_due`` of one kind, locked. Times may be NO_TIME for NULL."""

    patient: Int64s  # (k,)
    keys: Sequence[str]  # (k,)
    due: Int64s  # (k,)
    expected: Int64s  # (k,)
    step: NDArray[np.int16]  # (k,)
    held_since: Int64s  # (k,)

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, picked: Int64s) -> Self:
        """Return the rows at the indices *picked*."""
        return replace(
            self,
            keys=[self.keys[row] for row in picked.tolist()],
            **{
                name: getattr(self, name)[picked]
                for name in ("patient", "due", "expected", "step", "held_since")
            },
        )


async def take(connection: Connection, kind: str, now: int, most: int) -> DueRows:
    """Lock at most *most* rows of *kind* that are due at *now*."""
    row = await one_row(connection, _TAKE, [kind, moment_of(now), most])
    return DueRows(
        patient=read_array(row[0]).astype(np.int64),
        keys=texts(row[1]),
        due=read_array(row[2]).astype(np.int64),
        expected=read_array(row[3]).astype(np.int64),
        step=read_array(row[4]).astype(np.int16),
        held_since=read_array(row[5]).astype(np.int64),
    )


async def rules_at(
    connection: Connection, kind: str, rows: DueRows, at: Int64s
) -> tuple[Int64s, RuleRows]:
    """Return which due rows have a rule in force at their moment ``at`` (k,), and those rules.

    One that cannot be understood is none.

    Returns:
        (r,) indices of *rows*, ascending, and r rules.
    """
    parameters = [Array(rows.patient, "int8"), list(rows.keys), Array(at, "timestamptz")]
    row = await one_row(connection, _RULES, parameters)
    specs, which = np.unique(np.array(texts(row[4]), np.object_), return_inverse=True)
    understood = [understand(kind, str(spec)) for spec in specs]
    number = read_array(row[0]).astype(np.int64)
    order = np.argsort(number, kind="stable")
    order = order[np.array([one is not None for one in understood], np.bool_)[which[order]]]
    number, which = number[order], which[order]
    read = [one or _NOTHING for one in understood]
    keys, key = np.unique(np.array(rows.keys, np.object_)[number], return_inverse=True)
    width = len(KINDS[kind].params)
    return number, RuleRows(
        patient=rows.patient[number],
        in_force_from=read_array(row[2]).astype(np.int64)[order],
        in_force_until=np.full(len(number), FOREVER, np.int64),
        version=read_array(row[1]).astype(np.int64)[order],
        keys=[str(one) for one in keys],
        key=key.astype(np.int64),
        quantity=np.array([one[0] for one in read], np.int16)[which],
        level=read_array(row[3]).astype(np.int8)[order],
        params=np.array([one[1] or [np.nan] * width for one in read], np.float64).reshape(
            len(read), width
        )[which],
    )


async def put(
    connection: Connection,
    rows: DueRows,
    *,
    due: Int64s,
    expected: Int64s,
    step: NDArray[np.int16] | None = None,
    held_since: Int64s | None = None,
) -> None:
    """Write when the clock looks at *rows* next, and what for; all (k,)."""
    nothing = np.full(len(rows), NO_TIME, np.int64)
    await connection.execute(
        _PUT,
        [
            Array(rows.patient, "int8"),
            list(rows.keys),
            Array(due, "timestamptz"),
            Array(np.zeros(len(rows), np.int16) if step is None else step, "int2"),
            Array(expected, "timestamptz"),
            Array(nothing if held_since is None else held_since, "timestamptz"),
        ],
    )


async def drop(connection: Connection, rows: DueRows) -> None:
    """Remove *rows*: no rule in force asks for them."""
    if len(rows):
        await connection.execute(_DROP, [Array(rows.patient, "int8"), list(rows.keys)])


async def paused(connection: Connection, patient: Int64s, at: Int64s) -> Bools:
    """Tell for each row whether the patient's rules are silent at its moment, (k,)."""
    parameters = [Array(patient, "int8"), Array(at, "timestamptz")]
    (raw,) = await one_row(connection, _PAUSED, parameters)
    silent = np.zeros(len(patient), np.bool_)
    silent[read_array(raw)] = True
    return silent


# A county has few different rules: templates with a number changed here and there.
@lru_cache(maxsize=65_536)
def understand(kind: str, spec: str) -> tuple[int, tuple[float, ...]] | None:
    """Return a rule's quantity and parameters; none, and said so once, where it is no rule.

    Nobody can write one by the pages; one rule must not stop those of everybody else.
    """
    try:
        return columns(kind, json.loads(spec))
    except (ValueError, TypeError, AttributeError) as error:
        _log.error("clock.rule_not_understood", kind=kind, problem=str(error))
        return None
