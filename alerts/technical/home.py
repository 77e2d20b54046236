"""What is expected in the home where a gateway stands, as text of a query."""

from typing import Final

# Of a row *t* with a gateway, at the moment ``now``: whether somebody's plan there expects a
# measurement each day, and she is in no pause.
IS_DAILY: Final = """
exists (
    select from gateway_home h
    join rule_due d using (patient_id)
    join plan_rule r using (plan_version_id, rule_key)
    where h.gateway_id = t.gateway_id and h.from_at <= %(now)s
        and (h.until_at is null or h.until_at > %(now)s)
        and r.kind = 'missing' and (r.spec ->> 'interval_h')::float <= 24
        and not exists (
            select from patient_pause p where p.patient_id = h.patient_id
                and p.from_at <= %(now)s and p.until_at > %(now)s))
"""
