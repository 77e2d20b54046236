"""Case: an alert with all a person needs to judge it, read in one query. Queries only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.alert import Level, State
from alerts.sentence import Finding, Side, why
from alerts.words import Language
from devices.quantity import BY_ID, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An alert, its patient, the reading that speaks for it, and who acts.

    The reading that speaks is the newest of the worst ones: it says why the level is what it is.
    """

    alert_id: int
    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    diagnosis: str
    rule: str
    level: int
    state: str
    late: bool
    opened_at: datetime
    measured_at: datetime  # of the reading that speaks; the alert's own if there is none
    newest_breach_id: int  # 0: none
    newest_found_at: datetime | None
    readings: int  # that breached
    findings: list[dict[str, Any]]
    values: dict[str, float]
    contact_id: int | None
    contact_name: str | None
    acknowledged_by: int | None
    acknowledged_name: str | None
    acknowledged_at: datetime | None
    closed_name: str | None
    closed_at: datetime | None
    outcome: str | None
    note: str | None

    @property
    def is_open(self) -> bool:
        """Nobody has taken it."""
        return self.state == State.OPEN

    @property
    def is_closed(self) -> bool:
        """It has ended."""
        return self.state == State.CLOSED

    @property
    def is_red(self) -> bool:
        """Somebody must look the same day."""
        return self.level == Level.RED

    @property
    def is_reopened(self) -> bool:
        """Somebody had taken it, and then it was raised."""
        return self.is_open and self.acknowledged_at is not None

    @property
    def changed_since_taken(self) -> bool:
        """A breach came after somebody took it."""
        return (
            self.acknowledged_at is not None
            and self.newest_found_at is not None
            and self.newest_found_at > self.acknowledged_at
        )

    def why(self, language: Language = Language.SWEDISH) -> str:
        """Return why the alert is there, in words and numbers."""
        # A rule or a quantity of a newer version: the alert must be seen all the same.
        unknown = {Language.SWEDISH: "Larm av okänt slag", Language.ENGLISH: "Unknown alert"}
        return why_of(self.findings, self.values, language) or f"{unknown[language]} ({self.rule})"


def why_of(
    findings: Iterable[Mapping[str, Any]],
    values: Mapping[str, float],
    language: Language = Language.SWEDISH,
) -> str:
    """Return why, from findings and values as the database gives them; "" if none is known."""
    known = [
        Finding(
            quantity=BY_ID[found["quantity_id"]],
            side=Side(found["side"]),
            value=found["value"],
            bound=found["bound"],
        )
        for found in findings
        if found["quantity_id"] in BY_ID
    ]
    return why(known, values_of(values), language) if known else ""


def values_of(by_id: Mapping[str, float]) -> dict[Quantity, float]:
    """Return values by quantity from values by the quantity's number."""
    return {BY_ID[int(key)]: value for key, value in by_id.items() if int(key) in BY_ID}


# The worklist's order: red first; within a level what nobody has taken, then what has waited
# longest. A newcomer then goes below its equals, and the oldest is never pushed out of sight.
IN_URGENCY: Final = sql.SQL("a.level desc, a.state = 'open' desc, a.opened_at, a.alert_id")

_SELECT: Final = """
select a.alert_id, a.patient_id, p.given_name, p.family_name, p.born_on, p.diagnosis, a.rule,
       a.level, a.state, a.late, a.opened_at,
       coalesce(lead.measured_at, a.measured_at) as measured_at,
       coalesce(episode.newest_breach_id, 0) as newest_breach_id, episode.newest_found_at,
       episode.readings,
       coalesce((
           select jsonb_agg(jsonb_build_object('quantity_id', b.quantity_id, 'side', b.side,
                                               'value', b.value, 'bound', b.bound))
           from breach b where b.alert_id = a.alert_id and b.reading_id = lead.reading_id
       ), '[]') as findings,
       coalesce((
           select jsonb_object_agg(s.quantity_id, s.value) from sample s
           where s.patient_id = a.patient_id and s.measured_at = lead.measured_at
             and s.reading_id = lead.reading_id
       ), '{{}}') as values,
       c.staff_id as contact_id, contact.name as contact_name,
       k.acknowledged_by, taker.name as acknowledged_name, k.acknowledged_at,
       closer.name as closed_name, k.closed_at, k.outcome, k.note
from ({alerts}) a
join person p using (patient_id)
left join alert_case k using (alert_id)
left join care_contact c on c.patient_id = a.patient_id and c.until_at is null
left join staff contact on contact.staff_id = c.staff_id
left join staff taker on taker.staff_id = k.acknowledged_by
left join staff closer on closer.staff_id = k.closed_by
left join lateral (
    select b.reading_id, b.measured_at from breach b where b.alert_id = a.alert_id
    order by b.level desc, b.measured_at desc, b.breach_id desc limit 1
) lead on true
left join lateral (
    select max(b.breach_id) as newest_breach_id, max(b.found_at) as newest_found_at,
           count(distinct b.reading_id)::int as readings
    from breach b where b.alert_id = a.alert_id
) episode on true
order by {order}
limit %(most)s
"""


async def cases(
    connection: AsyncConnection,
    alerts: sql.Composable,
    parameters: Mapping[str, object],
    *,
    order: sql.Composable,
    most: int,
) -> list[Case]:
    """Return the cases of the rows of ``alert`` that the query *alerts* selects."""
    cursor = connection.cursor(row_factory=class_row(Case))
    query = sql.SQL(_SELECT).format(alerts=alerts, order=order)
    await cursor.execute(query, {**parameters, "most": most})
    return await cursor.fetchall()
