"""A patient's plan versions: the limits in force over time, and what she does at each level."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.care.record import DEFAULT_GREEN, DEFAULT_RED, DEFAULT_YELLOW
from devices.quantity import BY_ID, Quantity
from ingest.rules.catalogue import family, kind_of

# A plan changes a few times a year.
VERSIONS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The limits of one quantity while one plan version was in force, in the quantity's unit.

    Low bounds are breached below them, high bounds at or above them; none means no bound.
    """

    quantity: Quantity
    from_at: datetime
    until_at: datetime | None  # none: still in force
    yellow_low: float | None
    yellow_high: float | None
    red_low: float | None
    red_high: float | None

    def is_in_force(self, now: datetime) -> bool:
        """Values measured *now* are held against it."""
        return self.from_at <= now and (self.until_at is None or now < self.until_at)

    def bounds(self) -> list[float]:
        """Return the bounds there are."""
        each = (self.red_low, self.yellow_low, self.yellow_high, self.red_high)
        return [bound for bound in each if bound is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the patient does at each level, one step a line."""

    in_force_from: datetime | None
    agreed_how: str
    green: str = DEFAULT_GREEN
    yellow: str = DEFAULT_YELLOW
    red: str = DEFAULT_RED
    is_ended: bool = False  # nothing is judged from then on


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A plan version, and how long it was or is in force."""

    plan_version_id: int
    from_at: datetime
    until_at: datetime | None  # none: no other has followed it
    agreed_how: str
    ended_why: str | None  # nothing is judged from then on, and why; none: it is a plan


_SPANS = """
select * from (
    select plan_version_id, in_force_from as from_at,
        lead(in_force_from) over (order by in_force_from) as until_at, agreed_how,
        why as ended_why
    from plan_version left join plan_end using (plan_version_id) where patient_id = %s
) spans
"""


async def spans(
    connection: AsyncConnection, patient_id: int, most: int, before: datetime | None = None
) -> list[Span]:
    """Return the patient's versions, the newest first; those that began before *before*."""
    cursor = connection.cursor(row_factory=class_row(Span))
    await cursor.execute(
        f"{_SPANS} where from_at < coalesce(%s, 'infinity'::timestamptz)"
        " order by from_at desc limit %s",
        (patient_id, before, most),
    )
    return await cursor.fetchall()


async def span(connection: AsyncConnection, patient_id: int, plan_version_id: int) -> Span | None:
    """Return one of the patient's versions."""
    cursor = connection.cursor(row_factory=class_row(Span))
    await cursor.execute(f"{_SPANS} where plan_version_id = %s", (patient_id, plan_version_id))
    return await cursor.fetchone()


async def bands(connection: AsyncConnection, patient_id: int) -> list[Band]:
    """Return every limit the patient has or had, oldest first."""
    versions = await connection.execute(
        "select plan_version_id, in_force_from from plan_version where patient_id = %s "
        "order by in_force_from desc limit %s",
        (patient_id, VERSIONS_MAX),
    )
    starts = sorted(await versions.fetchall(), key=lambda version: version[1])
    ends = {first[0]: second[1] for first, second in pairwise(starts)}
    limits = await connection.execute(
        "select v.plan_version_id, v.in_force_from, l.quantity_id, l.yellow_low, l.yellow_high, "
        "l.red_low, l.red_high from plan_version v join plan_limit l using (plan_version_id) "
        "where v.plan_version_id = any(%s) order by v.in_force_from",
        ([version_id for version_id, _ in starts],),
    )
    return [
        Band(
            quantity=BY_ID[quantity_id],
            from_at=from_at,
            until_at=ends.get(version_id),
            yellow_low=yellow_low,
            yellow_high=yellow_high,
            red_low=red_low,
            red_high=red_high,
        )
        for version_id, from_at, quantity_id, yellow_low, yellow_high, red_low, red_high in (
            await limits.fetchall()
        )
        if quantity_id in BY_ID
    ]


async def advice(connection: AsyncConnection, patient_id: int) -> Advice:
    """Return the advice of the plan in force now; the general one where a plan has none."""
    cursor = connection.cursor(row_factory=class_row(Advice))
    await cursor.execute(
        "select v.in_force_from, v.agreed_how, coalesce(a.green, %(green)s) as green, "
        "coalesce(a.yellow, %(yellow)s) as yellow, coalesce(a.red, %(red)s) as red, "
        "exists (select from plan_end e where e.plan_version_id = v.plan_version_id) as is_ended "
        "from plan_version v left join plan_advice a using (plan_version_id) "
        "where v.patient_id = %(patient_id)s and v.in_force_from <= now() "
        "order by v.in_force_from desc limit 1",
        {
            "patient_id": patient_id,
            "green": DEFAULT_GREEN,
            "yellow": DEFAULT_YELLOW,
            "red": DEFAULT_RED,
        },
    )
    return await cursor.fetchone() or Advice(in_force_from=None, agreed_how="")


_RULES: Final = """
with now_in_force as (
    select plan_version_id from plan_version where patient_id = %s and in_force_from <= now()
    order by in_force_from desc limit 1
)
select '', q.quantity_id from now_in_force join plan_limit q using (plan_version_id)
union all
select r.rule_key, q.quantity_id from now_in_force join plan_rule r using (plan_version_id)
left join quantity q on q.code = r.spec ->> 'quantity' where r.level > 0
"""


async def families(connection: AsyncConnection, patient_id: int) -> frozenset[str]:
    """Return what the plan in force now can alert on: the values of ``alert.rule``.

    An alert of another family is of a rule that is in force no more.
    """
    rules = await (await connection.execute(_RULES, [patient_id])).fetchall()
    return frozenset(
        family(rule_key, quantity_id or 0)
        for rule_key, quantity_id in rules
        if quantity_id is not None or kind_of(rule_key) == "composite"
    )
