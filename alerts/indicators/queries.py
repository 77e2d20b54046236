"""The numbers behind the indicators, counted live; a few statements whatever the size.

Each gives a row for every unit and one for every huvudman.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from alerts.alert import Outcome
from alerts.indicators.cell import Cell, Indicator, hide

Connection = AsyncConnection[Any]

# Ended so, somebody did something about it.
_ACTED: Final = (Outcome.CONTACTED, Outcome.PLAN_CHANGED, Outcome.REMEASURE)
_WEEK: Final = timedelta(days=7)
_MINUTE_S: Final = 60.0

_WHERE: Final = """
from unit u left join huvudman h using (huvudman_id)
"""
# Every unit, and every huvudman by its units: also those with nobody.
_GROUPED: Final = """
group by grouping sets ((h.name, u.name), (h.name))
having grouping(u.name) = 0 or h.name is not null
order by h.name nulls last, u.name nulls last
"""
_PEOPLE: Final = f"""
select coalesce(h.name, '') as huvudman, coalesce(u.name, '') as unit,
    count(p.patient_id)::int as people,
    (count(*) filter (where p.has_contact))::int as named_contact,
    (count(*) filter (where p.has_contact and p.has_substitute))::int as contact_and_substitute,
    (count(*) filter (where p.has_plan))::int as agreed_plan,
    (count(*) filter (where p.has_relative))::int as relative_connected,
    (count(*) filter (where p.is_apart))::int as no_digital_channel
{_WHERE}
left join (
    select q.patient_id, q.unit_id, c.patient_id is not null as has_contact,
        c.team_id is not null or exists (
            select from substitute s
            where (s.patient_id = q.patient_id or s.for_staff_id = c.staff_id)
                and s.from_at <= %(now)s and (s.until_at is null or s.until_at > %(now)s)
        ) as has_substitute,
        coalesce((
            select v.agreed_how <> '' and v.in_force_from > %(now)s - interval '12 months'
                and not exists (
                    select from plan_end e where e.plan_version_id = v.plan_version_id)
            from plan_version v
            where v.patient_id = q.patient_id and v.in_force_from <= %(now)s
            order by v.in_force_from desc limit 1
        ), false) as has_plan,
        exists (
            select from consent k where k.patient_id = q.patient_id and k.relative_id is not null
                and k.revoked_at is null and k.from_at <= %(now)s
                and (k.until_at is null or k.until_at > %(now)s)
        ) as has_relative,
        not exists (select from account a where a.patient_id = q.patient_id and a.ended_at is null)
        and not exists (
            select from patient_channel h where h.patient_id = q.patient_id
                and h.kind <> 'voice' and h.ended_at is null
        ) as is_apart
    from person q
    left join lateral (
        select n.patient_id, n.staff_id, n.team_id from care_contact n
        where n.patient_id = q.patient_id and n.from_at <= %(now)s
            and (n.until_at is null or n.until_at > %(now)s)
        order by n.from_at desc limit 1
    ) c on true
) p using (unit_id)
{_GROUPED}
"""  # noqa: S608 - our own text
_AGES: Final = """
select coalesce(h.name, '') as huvudman, coalesce(u.name, '') as unit, a.band as group,
    count(p.patient_id)::int as people
from unit u left join huvudman h using (huvudman_id)
cross join (values ('0–17', 0, 18), ('18–64', 18, 65), ('65–74', 65, 75), ('75–84', 75, 85),
    ('85–', 85, 1000)) as a (band, low, high)
left join person p on p.unit_id = u.unit_id
    and extract(year from age(%(now)s, p.born_on)) >= a.low
    and extract(year from age(%(now)s, p.born_on)) < a.high
group by grouping sets ((h.name, u.name, a.band), (h.name, a.band))
having grouping(u.name) = 0 or h.name is not null
order by h.name nulls last, u.name nulls last, a.band
"""
_MUNICIPALITIES: Final = """
select h.name as huvudman, '' as unit, coalesce(nullif(u.municipality, ''), 'okänd') as group,
    count(p.patient_id)::int as people
from unit u join huvudman h using (huvudman_id) left join person p using (unit_id)
group by h.name, 3 order by h.name, 3
"""
# What her rules about missing measurements expect, by their intervals, and in how many of those
# she measured; not in a pause, and not before the plan.
_ADHERENCE: Final = f"""
select coalesce(h.name, '') as huvudman, coalesce(u.name, '') as unit,
    count(distinct e.patient_id)::int as people,
    sum(least(e.done, e.expected))::float / nullif(sum(e.expected), 0) as value
{_WHERE}
left join (
    select p.unit_id, p.patient_id, floor(greatest(0, extract(epoch from (
            %(until_at)s - b.begins_at) - coalesce(paused.lasted, interval '0')) / 3600)
            / r.interval_h)::int as expected,
        (select count(distinct floor(extract(epoch from s.measured_at - b.begins_at)
                / (3600 * r.interval_h)))
         from sample s where s.patient_id = p.patient_id and s.quantity_id = r.quantity_id
            and s.measured_at >= b.begins_at and s.measured_at < %(until_at)s)::int as done
    from person p
    cross join lateral (
        select plan_version_id, in_force_from from plan_version v
        where v.patient_id = p.patient_id and v.in_force_from < %(until_at)s
        order by v.in_force_from desc limit 1
    ) v
    cross join lateral (select greatest(v.in_force_from, %(from_at)s) as begins_at) b
    join lateral (
        select q.quantity_id, (l.spec ->> 'interval_h')::float as interval_h
        from plan_rule l join quantity q on q.code = l.spec ->> 'quantity'
        where l.plan_version_id = v.plan_version_id and l.kind = 'missing'
    ) r on r.interval_h > 0
    left join lateral (
        select sum(least(w.until_at, %(until_at)s) - greatest(w.from_at, b.begins_at)) as lasted
        from patient_pause w where w.patient_id = p.patient_id
            and w.from_at < %(until_at)s and w.until_at > b.begins_at
    ) paused on true
) e using (unit_id)
{_GROUPED}
"""  # noqa: S608 - our own text
_STORED: Final = f"""
select coalesce(h.name, '') as huvudman, coalesce(u.name, '') as unit,
    count(distinct r.patient_id)::int as people,
    percentile_cont(0.5) within group (order by r.seconds) as median,
    percentile_cont(0.9) within group (order by r.seconds) as p90
{_WHERE}
left join (
    select p.unit_id, p.patient_id, extract(epoch from r.stored_at - r.measured_at) as seconds
    from person p join reading r using (patient_id)
    where r.measured_at >= %(from_at)s and r.measured_at < %(until_at)s
        and r.outcome = 'measured'
) r using (unit_id)
{_GROUPED}
"""  # noqa: S608 - our own text
# A time that has not come yet is none: what waits is in no median, and in the worklist.
_ALERTS: Final = f"""
select coalesce(h.name, '') as huvudman, coalesce(u.name, '') as unit,
    (select count(*) from person all_of join unit v using (unit_id)
        left join huvudman w using (huvudman_id)
     where (grouping(u.name) = 1 or v.name = u.name)
        and w.name is not distinct from h.name)::int as patients,
    count(a.alert_id)::int as alerts,
    count(distinct a.patient_id)::int as alerted,
    (count(*) filter (where a.outcome is not null))::int as closed,
    (count(distinct a.patient_id) filter (where a.outcome is not null))::int as closed_of,
    (count(*) filter (where a.outcome = any (%(acted)s)))::int as acted_on,
    (count(*) filter (where a.outcome = 'technical'))::int as technical,
    (count(*) filter (where a.outcome is not null and a.is_own))::int as own_contact,
    (count(distinct a.patient_id) filter (where a.seen_s is not null))::int as seen_of,
    percentile_cont(0.5) within group (order by a.seen_s) as seen_median,
    percentile_cont(0.9) within group (order by a.seen_s) as seen_p90,
    (count(distinct a.patient_id) filter (where a.acknowledged_s is not null))::int
        as acknowledged_of,
    percentile_cont(0.5) within group (order by a.acknowledged_s) as acknowledged_median,
    percentile_cont(0.9) within group (order by a.acknowledged_s) as acknowledged_p90,
    percentile_cont(0.5) within group (order by a.closed_s) as closed_median,
    percentile_cont(0.9) within group (order by a.closed_s) as closed_p90
{_WHERE}
left join (
    select p.unit_id, p.patient_id, a.alert_id, k.outcome,
        extract(epoch from l.shown_at - b.measured_at) as seen_s,
        extract(epoch from coalesce(l.acknowledged_at, k.acknowledged_at) - b.measured_at)
            as acknowledged_s,
        extract(epoch from k.closed_at - b.measured_at) as closed_s,
        exists (
            select from care_contact c
            left join team_member m on m.team_id = c.team_id and m.staff_id = k.closed_by
                and m.from_at <= k.closed_at and (m.until_at is null or m.until_at > k.closed_at)
            where c.patient_id = p.patient_id and c.from_at <= k.closed_at
                and (c.until_at is null or c.until_at > k.closed_at)
                and (c.staff_id = k.closed_by or m.staff_id is not null)
        ) as is_own
    from person p join alert a using (patient_id)
    left join alert_case k using (alert_id)
    left join lateral (
        select min(at) filter (where event = 'shown') as shown_at,
            min(at) filter (where event = 'acknowledged') as acknowledged_at
        from alert_log where alert_log.alert_id = a.alert_id
    ) l on true
    left join lateral (
        select coalesce(min(measured_at), a.measured_at) as measured_at from breach
        where breach.alert_id = a.alert_id
    ) b on true
    where a.opened_at >= %(from_at)s and a.opened_at < %(until_at)s
) a using (unit_id)
{_GROUPED}
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Period:
    """What the indicators are about: from the first moment up to the second, which is outside."""

    from_at: datetime
    until_at: datetime

    def __post_init__(self) -> None:
        if self.until_at <= self.from_at:
            problem = "a period ends after it begins"
            raise ValueError(problem)


async def indicators(connection: Connection, period: Period, now: datetime) -> list[Cell]:
    """Return every indicator of every unit and huvudman; cells about few are hidden.

    Args:
        connection: In no transaction: all are counted in one, as of one moment.
        period: Of what is counted over time.
        now: Of what is counted at a moment: contacts, plans, relatives.
    """
    values = {"now": now, "from_at": period.from_at, "until_at": period.until_at}
    values_of_alerts = {**values, "acted": list(_ACTED)}
    weeks = (period.until_at - period.from_at) / _WEEK
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("set transaction isolation level repeatable read read only")
        cells: list[Cell] = []
        for row in await _rows(cursor, _PEOPLE, values):
            cells += _people(row)
        for indicator, query in (
            (Indicator.PATIENTS_BY_AGE, _AGES),
            (Indicator.PATIENTS_BY_MUNICIPALITY, _MUNICIPALITIES),
        ):
            cells += [
                _cell(row, indicator, row["people"], row["people"], group=row["group"])
                for row in await _rows(cursor, query, values)
            ]
        for row in await _rows(cursor, _ADHERENCE, values):
            cells.append(_cell(row, Indicator.ADHERENCE, row["value"], row["people"]))
        for row in await _rows(cursor, _STORED, values):
            cells += _times(row, "stored", row["people"], of="")
        for row in await _rows(cursor, _ALERTS, values_of_alerts):
            cells += _alerts(row, weeks)
    return hide(cells)


async def _rows(cursor: Any, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    await cursor.execute(query, values)
    found: list[dict[str, Any]] = await cursor.fetchall()
    return found


def _people(row: Mapping[str, Any]) -> Iterator[Cell]:
    people = row["people"]
    yield _cell(row, Indicator.PATIENTS, people, people)
    for indicator in (
        Indicator.NAMED_CONTACT,
        Indicator.CONTACT_AND_SUBSTITUTE,
        Indicator.AGREED_PLAN,
        Indicator.RELATIVE_CONNECTED,
        Indicator.NO_DIGITAL_CHANNEL,
    ):
        part = row[indicator.value]
        yield _cell(row, indicator, _share(part, people), people, part=part)


def _alerts(row: Mapping[str, Any], weeks: float) -> Iterator[Cell]:
    patients, closed = row["patients"], row["closed"]
    value = row["alerts"] / (patients * weeks) if patients else None
    # It rests on all patients, and tells how often the few were alerted who were.
    yield _cell(row, Indicator.ALERTS_PER_WEEK, value, patients, part=row["alerted"])
    for name in ("seen", "acknowledged", "closed"):
        yield from _times(row, name, row[f"{name}_of"], of=f"{name}_")
    for indicator in (Indicator.OWN_CONTACT, Indicator.ACTED_ON, Indicator.TECHNICAL):
        share = _share(row[indicator.value], closed)
        yield _cell(row, indicator, share, row["closed_of"])


def _times(row: Mapping[str, Any], name: str, people: int, *, of: str) -> Iterator[Cell]:
    for figure in ("median", "p90"):
        seconds = row[f"{of}{figure}"]
        value = None if seconds is None else float(seconds) / _MINUTE_S
        yield _cell(row, Indicator(f"{name}_{figure}"), value, people)


def _cell(
    row: Mapping[str, Any],
    indicator: Indicator,
    value: float | None,
    people: int,
    *,
    part: int | None = None,
    group: str = "",
) -> Cell:
    return Cell(
        indicator=indicator,
        huvudman=row["huvudman"],
        unit=row["unit"],
        group=group,
        value=None if value is None else float(value),
        people=people,
        part=part,
    )


def _share(part: int, people: int) -> float | None:
    return part / people if people else None
