"""Episode: opens, joins or raises the alert that breaches belong to. One statement a batch.

One alert is open for a patient and a family of rules at a time (the unique index
``alert_one_open``), so two workers that find breaches of one patient at once meet at its row: the
later one waits and joins. Everyone takes the rows of patients first and those of alerts after
that, each in order, so nobody waits in a circle. A raised alert is open again, whoever had
acknowledged it: red is news. A breach that is recorded already touches no alert again.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import psycopg

from ingest.batch import Bools, Ids, Int64s
from ingest.breach import KINDS, LIMIT, SIDES, Breaches
from ingest.pg_binary import Array, read_array
from ingest.rules.limit import RED, YELLOW

_LOCK: Final = """
select from patient where patient_id = any (%s::bigint[]) order by patient_id for no key update
"""

# A late red breach is calmed when a newer value of the same quantity counts, was held against the
# plan, and broke nothing of the family.
_OVERTAKEN: Final = """exists (
    select from sample s
    where s.patient_id = {of}.patient_id and s.quantity_id = {of}.quantity_id
        and s.measured_at > {of}.measured_at and sample_counts(s.suspicion)
        and not exists (
            select from breach worse
            where worse.reading_id = s.reading_id and worse.quantity_id = s.quantity_id
                and worse.rule = {of}.rule and worse.level > 0
            offset 0
        )
        and not exists (
            select from patient_pause p
            where p.patient_id = s.patient_id
                and p.from_at <= s.measured_at and s.measured_at < p.until_at
            offset 0
        )
        {more}
    offset 0
)"""

# The newer value was stored before, or is in this batch, whose breaches are not recorded yet.
_CALMED: Final = f"""
select array_agg(asked.number order by asked.number)
from unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::timestamptz[], %s::text[])
    as asked (number, patient_id, quantity_id, measured_at, rule)
where {
    _OVERTAKEN.format(
        of="asked",
        more='''and (s.reading_id, s.quantity_id, asked.rule) not in (
            select * from unnest(%s::uuid[], %s::smallint[], %s::text[])
        )''',
    )
}
"""  # noqa: S608 - our own text

# What opens, joins or raises, from rows of ``episode``.
_TOUCH: Final = """
touched as (
    insert into alert (patient_id, rule, level, late, measured_at)
    select patient_id, rule, level, late, measured_at
    from episode order by patient_id, rule
    on conflict (patient_id, rule) where state <> 'closed' do update set
        level = greatest(alert.level, excluded.level),
        level_since = case when excluded.level > alert.level
            then transaction_timestamp() else alert.level_since end,
        state = case when excluded.level > alert.level then 'open' else alert.state end,
        late = alert.late and excluded.late,
        measured_at = greatest(alert.measured_at, excluded.measured_at),
        changed_at = clock_timestamp()
    returning alert_id, patient_id, rule, level,
        case when opened_at = transaction_timestamp() then 'opened'
            when level_since = transaction_timestamp() then 'raised'
            else 'joined' end as event
),
logged as (
    insert into alert_log (alert_id, event, detail)
    select alert_id, event,
        jsonb_build_object('level', touched.level, 'breaches', episode.breaches)
    from touched join episode using (patient_id, rule) order by alert_id
)"""

# No reading has the nil UUID: it stands for what the clock found. One reading may be the repeat of
# two: the worse decision is recorded. What is known is asked row by row on purpose: an anti-join
# over tables that were never analyzed is taken to leave one row, and what follows becomes a loop
# in a loop.
_RECORD: Final = f"""
with found as (
    select patient_id, rule, rule_key, level, alert_level, late, held, measured_at,
        nullif(reading_id, '00000000-0000-0000-0000-000000000000') as reading_id, quantity_id,
        side, value, bound, plan_version_id, detail::jsonb as detail, rests::uuid[] as rests, number
    from unnest(%s::bigint[], %s::text[], %s::text[], %s::smallint[], %s::smallint[],
        %s::boolean[], %s::boolean[], %s::timestamptz[], %s::uuid[], %s::smallint[], %s::text[],
        %s::float8[], %s::float8[], %s::bigint[], %s::text[], %s::text[])
    with ordinality as f (patient_id, rule, rule_key, level, alert_level, late, held, measured_at,
        reading_id, quantity_id, side, value, bound, plan_version_id, detail, rests, number)
),
looked_up as materialized (
    select f.*, case when f.reading_id is not null then exists (
        select from breach b
        where b.reading_id = f.reading_id and b.quantity_id = f.quantity_id
            and b.rule_key = f.rule_key
        offset 0
    ) else exists (
        select from breach b
        where b.reading_id is null and b.patient_id = f.patient_id
            and b.rule_key = f.rule_key and b.measured_at = f.measured_at
        offset 0
    ) end as is_known, row_number() over (
        partition by patient_id, reading_id, rule_key, measured_at,
            case when reading_id is not null then quantity_id end
        order by alert_level desc, number
    ) as place
    from found f
),
fresh as materialized (
    select *, nextval(pg_get_serial_sequence('breach', 'breach_id')) as breach_id
    from looked_up where not is_known and place = 1
),
episode as (
    select patient_id, rule, max(alert_level) as level, bool_and(late) as late,
        max(measured_at) as measured_at, count(*) as breaches
    from fresh where level > 0 and not held group by patient_id, rule
),
{_TOUCH},
recorded as (
    insert into breach (breach_id, alert_id, reading_id, patient_id, quantity_id, measured_at, rule,
        rule_key, level, side, value, bound, plan_version_id, late, detail)
    select f.breach_id, case when f.level > 0 and not f.held then t.alert_id end, f.reading_id,
        f.patient_id, f.quantity_id, f.measured_at, f.rule, f.rule_key, f.level, f.side, f.value,
        f.bound, f.plan_version_id, f.late, f.detail
    from fresh f left join touched t using (patient_id, rule)
),
resting as (
    insert into breach_reading (breach_id, reading_id) select breach_id, unnest(rests) from fresh
)
select (select count(*) from fresh), (select pg_notify('alert', '') from touched limit 1)
"""  # noqa: S608 - our own text

# Of breaches that were held and stand after all. All is stored already, so what is calmed can be
# asked for on the way. They are numbered and found anew: who has read the alert before has not
# read these, and must not close it so. No other row names a breach of a limit.
_RELEASE: Final = f"""
with released as materialized (
    select *, nextval(pg_get_serial_sequence('breach', 'breach_id')) as new_id from (
        select b.breach_id, b.patient_id, b.rule, b.late, b.measured_at,
            case when b.late and b.level = 2 and {_OVERTAKEN.format(of="b", more="")}
                then 1 else b.level end as level
        from unnest(%s::uuid[], %s::text[]) as asked (reading_id, rule)
        cross join lateral (
            select * from breach b where b.reading_id = asked.reading_id offset 0
        ) b
        where b.rule = asked.rule and b.alert_id is null and b.level > 0 and b.rule_key = ''
        order by b.breach_id
    ) b
),
episode as (
    select patient_id, rule, max(level) as level, bool_and(late) as late,
        max(measured_at) as measured_at, count(*) as breaches
    from released group by patient_id, rule
),
{_TOUCH},
linked as (
    update breach b set alert_id = t.alert_id, breach_id = r.new_id, found_at = clock_timestamp()
    from released r join touched t using (patient_id, rule)
    where b.breach_id = r.breach_id and b.breach_id = any (array(select breach_id from released))
)
select pg_notify('alert', '') from touched limit 1
"""  # noqa: S608

_LINK: Final = """
update breach b set alert_id = (
    select a.alert_id from alert a
    where a.patient_id = b.patient_id and a.rule = b.rule and a.state <> 'closed'
)
where b.breach_id = any (array(
    select w.breach_id from unnest(%s::uuid[], %s::text[]) as asked (reading_id, rule)
    cross join lateral (
        select * from breach w where w.reading_id = asked.reading_id offset 0
    ) w
    where w.rule = asked.rule and w.alert_id is null and w.level > 0 and exists (
        select from alert a
        where a.patient_id = w.patient_id and a.rule = w.rule and a.state <> 'closed'
        offset 0
    )
))
"""


async def lock(connection: psycopg.AsyncConnection[Any], patients: Int64s) -> None:
    """Lock the rows of *patients* until the transaction ends, in order, whoever asks.

    What is read after that holds everything that others found of these patients.
    """
    if len(patients):
        await connection.execute(_LOCK, [Array(np.unique(patients), "int8")])


async def record(
    connection: psycopg.AsyncConnection[Any], breaches: Breaches, *, is_locked: bool = False
) -> int:
    """Store *breaches* that are not recorded yet, and what they mean for alerts.

    Two breaches of one reading, quantity and key, or of one patient, key and time where the clock
    found them, are the same breach.

    Args:
        connection: In a transaction; the samples are in the database, in this one or before.
        breaches: Of new readings, or found by the clock.
        is_locked: The caller holds the rows of the patients, or all breaches are of limits and of
            readings that this transaction stored.

    Returns:
        How many were not recorded yet.
    """
    if not len(breaches):
        return 0
    if not is_locked:
        await lock(connection, breaches.patient)
    rules = breaches.rules()
    counts = breaches.late & (breaches.level == RED) & ~breaches.held
    calmed = await calmed_among(connection, breaches, rules, counts)
    cursor = await connection.execute(_RECORD, _columns(breaches, rules, calmed))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def _columns(breaches: Breaches, rules: list[str], calmed: Bools) -> list[Any]:
    return [
        Array(breaches.patient, "int8"),
        rules,
        breaches.rule_keys(),
        Array(breaches.level, "int2"),
        Array(np.where(calmed, YELLOW, breaches.level), "int2"),
        Array(breaches.late, "bool"),
        Array(breaches.held, "bool"),
        Array(breaches.measured_at, "timestamptz"),
        Array(breaches.reading_id, "uuid"),
        Array(breaches.quantity, "int2"),
        [SIDES[side] for side in breaches.side.tolist()],
        Array(breaches.value, "float8"),
        Array(breaches.bound, "float8"),
        Array(breaches.version, "int8"),
        [_text(KINDS[kind], detail) for kind, detail in _kinds_and_details(breaches)],
        [_array(readings) for readings in breaches.readings.tolist()],
    ]


def _array(readings: Ids | None) -> str:
    """Return distinct ids as the text of an array; S16 drops zeros at the end, put back here."""
    ids = set() if readings is None else set(readings.tolist())
    return "{" + ",".join(one.ljust(16, b"\0").hex() for one in ids) + "}"


def _kinds_and_details(breaches: Breaches) -> Any:
    return zip(breaches.kind.tolist(), breaches.detail.tolist(), strict=True)


def _text(kind: str, detail: dict[str, Any] | None) -> str:
    """Return the detail as JSON; alerts finds the words for it by its kind."""
    if detail is None and kind == KINDS[LIMIT]:
        return "{}"
    return json.dumps({"kind": kind, **(detail or {})}, ensure_ascii=False, allow_nan=False)


async def release(
    connection: psycopg.AsyncConnection[Any], reading_ids: Ids, rules: Sequence[str]
) -> None:
    """Let the held breaches of readings open, join or raise an alert after all.

    Args:
        connection: In a transaction that holds the patients' rows.
        reading_ids: (r,) whose.
        rules: (r,) of which family.
    """
    await connection.execute(_RELEASE, [Array(reading_ids, "uuid"), list(rules)])


async def link(
    connection: psycopg.AsyncConnection[Any], reading_ids: Ids, rules: Sequence[str]
) -> None:
    """Let the held breaches of readings belong to the open alert of their family, as they are.

    Args:
        connection: In the transaction that opened, joined or raised it.
        reading_ids: (r,) whose.
        rules: (r,) of which family.
    """
    await connection.execute(_LINK, [Array(reading_ids, "uuid"), list(rules)])


async def calmed_among(
    connection: psycopg.AsyncConnection[Any], breaches: Breaches, rules: list[str], asked: Bools
) -> Bools:
    """Return (b,) which of the *asked* breaches are overtaken by a newer value in range."""
    calmed = np.zeros(len(breaches), np.bool_)
    rows = np.flatnonzero(asked)
    if not len(rows):
        return calmed
    breaking = np.flatnonzero(breaches.level > 0)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(
            _CALMED,
            [
                Array(rows.astype(np.int64), "int8"),
                Array(breaches.patient[rows], "int8"),
                Array(breaches.quantity[rows], "int2"),
                Array(breaches.measured_at[rows], "timestamptz"),
                [rules[row] for row in rows.tolist()],
                Array(breaches.reading_id[breaking], "uuid"),
                Array(breaches.quantity[breaking], "int2"),
                [rules[row] for row in breaking.tolist()],
            ],
        )
        result = cursor.pgresult
        assert result is not None
        calmed[read_array(result.get_value(0, 0))] = True
    return calmed
