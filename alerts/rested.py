"""What has become of an alert that was let rest: a worse value came, or all is normal again.

Law of this module: who lets an alert rest has seen its values. One like them is no news, and one
that is worse by less than a cuff or a scale can tell apart is like them.
"""

from datetime import timedelta
from types import MappingProxyType
from typing import Final

from devices.quantity import Quantity

# How far beyond the worst she has seen a value is worse. A quarter of the way from yellow to red in
# the templates: 160 and 180 mmHg, 95 and 110, 100 and 120 beats, 2 and 3 kg; as finely as it is
# shown. Steps have no red: a tenth of the 5,000 of somebody who walks a little.
WORSE_BY: Final = MappingProxyType(
    {
        Quantity.SYSTOLIC: 5.0,  # mmHg
        Quantity.DIASTOLIC: 4.0,  # mmHg
        Quantity.MEAN_ARTERIAL: 5.0,  # mmHg
        Quantity.PULSE: 5.0,  # a minute
        Quantity.BODY_WEIGHT: 0.3,  # kg
        Quantity.STEPS: 500.0,  # a day
    }
)
# Of what has no unit, one more is worse: how many of the last readings, how many of the rules.
_COUNTED: Final = ["k_of_n", "composite"]

# So long without a value out of range, and with readings on so many days of it, is normal again;
# as many as a mean of seven days rests on.
NORMAL_FOR: Final = timedelta(days=7)
NORMAL_DAYS_MIN: Final = 3

# Whether a value that is no late one is worse than all of its kind from before the rest. What the
# clock finds has no reading: how long nothing came grows by itself, and is no worse.
IS_WORSE: Final = """
k.snoozed_until is not null and exists (
    select from breach b
    left join unnest(%(quantities)s::smallint[], %(margins)s::float[])
        as worse (quantity_id, margin)
        on worse.quantity_id = b.quantity_id
        and coalesce(b.detail ->> 'kind', '') <> all (%(counted)s)
    where b.alert_id = a.alert_id and b.breach_id > k.snoozed_breach_id
      and b.level >= a.level and not b.late
      and not exists (
          select from breach o
          where o.alert_id = a.alert_id and o.breach_id <= k.snoozed_breach_id
            and (o.quantity_id, o.side, o.rule_key) = (b.quantity_id, b.side, b.rule_key)
            and (o.level > b.level or o.level = b.level and (
                b.reading_id is null
                -- Where there is no margin any more is worse; numbers with decimals are not exact.
                or abs(b.value - b.bound) - abs(o.value - o.bound)
                    < greatest(coalesce(worse.margin, 0) - 1e-9, 1e-9)))
      )
)
"""
# Whether one whose rest is over is normal again: measured, judged, and never out of range.
# What was stored while the rules were silent, or is doubted, is no proof of it.
IS_NORMAL: Final = """
case when k.snoozed_until <= %(now)s then
    not exists (
        select from patient_pause w where w.patient_id = a.patient_id
          and w.from_at <= %(now)s and w.until_at > %(normal_since)s)
    and not exists (
        select from breach b where b.patient_id = a.patient_id
          and b.measured_at > %(normal_since)s
          and (b.alert_id = a.alert_id or b.quantity_id in (
              select o.quantity_id from breach o where o.alert_id = a.alert_id)))
    and coalesce((
        select bool_and(days >= %(normal_days)s and not is_doubted) from (
            select count(distinct (s.measured_at at time zone 'Europe/Stockholm')::date) as days,
                   coalesce(bool_or(s.suspicion <> 0), false) as is_doubted
            from (select distinct quantity_id from breach where breach.alert_id = a.alert_id) its
            left join sample s on s.patient_id = a.patient_id
                and s.quantity_id = its.quantity_id
                and s.measured_at > %(normal_since)s and s.measured_at <= %(now)s
            group by its.quantity_id) measured), false)
else false end
"""
PARAMETERS: Final = MappingProxyType(
    {
        "quantities": [quantity.facts.id for quantity in WORSE_BY],
        "margins": list(WORSE_BY.values()),
        "counted": _COUNTED,
        "normal_days": NORMAL_DAYS_MIN,
    }
)
