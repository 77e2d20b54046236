"""The receipt of a patient's measurement: ``mottaget 08:12 · visat för Anna Berg 08:40``.

It promises no more than the log knows: what somebody had before her she may not have read; and by
when she is answered is there only while somebody has taken it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.words import ZONE, clock, day

Connection = AsyncConnection[Any]

_WEEKDAYS: Final = ("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag")
_WEEK_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a patient's newest reading.

    Attributes:
        received_at: It came to us.
        has_alert: It is part of an alert.
        seen_by: Who first had the alert before her after the reading was stored.
        taken_by: Who acts, if somebody has taken the alert since.
        answer_by: When her acknowledgement ends, by which she has acted.
        closed_by: Who ended the alert, if it has ended.
    """

    measured_at: datetime
    received_at: datetime
    has_alert: bool = False
    seen_by: str | None = None
    seen_at: datetime | None = None
    taken_by: str | None = None
    taken_at: datetime | None = None
    answer_by: datetime | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None


_NEWEST: Final = """
select r.measured_at, r.arrived_at as received_at, a.alert_id is not null as has_alert,
    shown.name as seen_by, shown.at as seen_at,
    case when k.acknowledged_at >= r.stored_at and a.state <> 'open' then taker.name end
        as taken_by,
    case when k.acknowledged_at >= r.stored_at and a.state <> 'open' then k.acknowledged_at end
        as taken_at,
    case when k.acknowledged_at >= r.stored_at and a.state = 'acknowledged'
        then k.acknowledged_until end as answer_by,
    case when a.state = 'closed' then closer.name end as closed_by,
    case when a.state = 'closed' then k.closed_at end as closed_at
from reading r
left join lateral (
    select a.* from breach b join alert a using (alert_id)
    where b.reading_id = r.reading_id order by a.level desc, a.alert_id desc limit 1
) a on true
left join alert_case k on k.alert_id = a.alert_id
left join staff taker on taker.staff_id = k.acknowledged_by
left join staff closer on closer.staff_id = k.closed_by
left join lateral (
    select s.name, l.at from alert_log l join staff s using (staff_id)
    where l.alert_id = a.alert_id and l.event = 'shown' and l.at >= r.stored_at
    order by l.at limit 1
) shown on true
where r.patient_id = %s and r.outcome = 'measured' and r.suspicion & 1024 = 0
order by r.measured_at desc, r.arrived_at desc limit 1
"""


async def newest(connection: Connection, patient_id: int) -> Receipt | None:
    """Return the receipt of a patient's newest reading; none if she has none.

    Whether the caller may see the patient is hers to ask.
    """
    async with connection.cursor(row_factory=class_row(Receipt)) as cursor:
        await cursor.execute(_NEWEST, (patient_id,))
        return await cursor.fetchone()


def line(receipt: Receipt, now: datetime) -> str:
    """Return it in Swedish, on one line; what nobody has done is not there."""
    parts = [f"mottaget {_at(receipt.received_at, now)}"]
    if receipt.closed_at is not None:
        who = f"{receipt.closed_by} avslutade det" if receipt.closed_by else "avslutat"
        parts.append(f"{who} {_at(receipt.closed_at, now)}")
        return " · ".join(parts)
    if receipt.taken_at is not None:
        who = f"{receipt.taken_by} tog hand om det" if receipt.taken_by else "omhändertaget"
        parts.append(f"{who} {_at(receipt.taken_at, now)}")
    elif receipt.seen_at is not None:
        parts.append(f"visat för {receipt.seen_by} {_at(receipt.seen_at, now)}")
    elif receipt.has_alert:
        parts.append("väntar på att någon ser det")
    if receipt.answer_by is not None and receipt.answer_by > now:
        parts.append(f"svar senast {_until(receipt.answer_by, now)}")
    return " · ".join(parts)


def _at(at: datetime, now: datetime) -> str:
    """Return a time; of today without its day."""
    if at.astimezone(ZONE).date() == now.astimezone(ZONE).date():
        return clock(at)
    return f"{day(at, now)} {clock(at)}"


def _until(at: datetime, now: datetime) -> str:
    """Return when something is due: a time of today, a weekday of this week, or a date."""
    days = (at.astimezone(ZONE).date() - now.astimezone(ZONE).date()).days
    if days == 0:
        return f"i dag {clock(at)}"
    if days == 1:
        return "i morgon"
    return _WEEKDAYS[at.astimezone(ZONE).weekday()] if days < _WEEK_DAYS else day(at, now)
