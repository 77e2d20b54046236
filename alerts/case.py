"""Case: an alert with all a person needs to judge it, read in one query. Queries only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.alert import Level, State
from alerts.care.people import CONTACT, NOW
from alerts.sentence import Finding, Side, kinds, readings_told, title, why
from alerts.words import Language
from devices.quantity import BY_ID, Quantity
from ingest.rules.explain import explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An alert, its patient, the reading that speaks for it, and who acts.

    The reading that speaks is the newest of the worst ones: it says why the level is what it is.
    One that was worse than the alert has been calmed, and speaks only if there is no other. What
    the clock found has no reading: its breach speaks.
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
    contact_id: int | None  # none: there is no fixed care contact, or it is a team
    contact_name: str | None
    contact_away_until: datetime | None
    receiver_id: int | None  # neither this nor the next: the unit's queue, or not routed yet
    receiver_team_id: int | None
    receiver_name: str | None
    routed_why: str | None  # alerts.routing.Why; none: not routed yet
    snoozed_until: datetime | None
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

    def title(self, language: Language = Language.SWEDISH) -> str:
        """Return what stands above the readings behind it."""
        return title(kinds(self.findings), language)

    def readings_told(self) -> str:
        """Return how many readings are behind it, in Swedish."""
        return readings_told(kinds(self.findings), self.readings)


def why_of(
    findings: Iterable[Mapping[str, Any]],
    values: Mapping[str, float],
    language: Language = Language.SWEDISH,
) -> str:
    """Return why, from findings and values as the database gives them; "" if none is known.

    What a repeat has decided says what the limits of the two readings would.
    """
    known = [found for found in findings if found["quantity_id"] in BY_ID]
    ruled = [found for found in known if found["detail"]]
    limits = [
        Finding(
            quantity=BY_ID[found["quantity_id"]],
            side=Side(found["side"]),
            value=found["value"],
            bound=found["bound"],
        )
        for found in known
        if not found["detail"]
    ]
    told = [sentence for found in ruled if (sentence := _explained(found["detail"], language))]
    if limits and not any(found["detail"].get("kind") == "repeat" for found in ruled):
        told.insert(0, why(limits, values_of(values), language))
    return ". ".join(told)


def _explained(detail: Mapping[str, Any], language: Language) -> str:
    """Return the sentence of a rule; "" for one of a newer version."""
    try:
        return explain(str(detail["kind"]), detail, language.value)
    except (KeyError, ValueError):
        return ""


def values_of(by_id: Mapping[str, float]) -> dict[Quantity, float]:
    """Return values by quantity from values by the quantity's number."""
    return {BY_ID[int(key)]: value for key, value in by_id.items() if int(key) in BY_ID}


# The worklist's order: red first; within a level what nobody has taken, then what has waited
# longest. A newcomer then goes below its equals, and the oldest is never pushed out of sight.
# What somebody lets rest until a time comes last.
IN_URGENCY: Final = sql.SQL(
    "coalesce(k.snoozed_until > {now}, false), a.level desc, a.state = 'open' desc, a.opened_at, "
    "a.alert_id"
).format(now=NOW)

_SELECT: Final = """
select a.alert_id, a.patient_id, p.given_name, p.family_name, p.born_on, p.diagnosis, a.rule,
       a.level, a.state, a.late, a.opened_at,
       coalesce(lead.measured_at, a.measured_at) as measured_at,
       coalesce(episode.newest_breach_id, 0) as newest_breach_id, episode.newest_found_at,
       episode.readings,
       coalesce((
           select jsonb_agg(jsonb_build_object('quantity_id', b.quantity_id, 'side', b.side,
                                               'value', b.value, 'bound', b.bound,
                                               'detail', b.detail) order by b.breach_id)
           from breach b where b.alert_id = a.alert_id
             and (b.reading_id = lead.reading_id or b.breach_id = lead.breach_id)
       ), '[]') as findings,
       coalesce((
           select jsonb_object_agg(s.quantity_id, s.value) from sample s
           where s.patient_id = a.patient_id and s.measured_at = lead.measured_at
             and s.reading_id = lead.reading_id
       ), '{{}}') as values,
       c.staff_id as contact_id, coalesce(contact.name, ours.name) as contact_name,
       (select max(w.until_at) from absence w where w.staff_id = c.staff_id
        and w.withdrawn_at is null and w.from_at <= {now} and w.until_at > {now})
           as contact_away_until,
       k.staff_id as receiver_id, k.team_id as receiver_team_id,
       coalesce(receiver.name, team.name) as receiver_name, k.routed_why, k.snoozed_until,
       k.acknowledged_by, taker.name as acknowledged_name, k.acknowledged_at,
       closer.name as closed_name, k.closed_at, k.outcome, k.note
from ({alerts}) a
join person p using (patient_id)
left join alert_case k using (alert_id)
{contact}
left join staff contact on contact.staff_id = c.staff_id
left join team ours on ours.team_id = c.team_id
left join staff receiver on receiver.staff_id = k.staff_id
left join team on team.team_id = k.team_id
left join staff taker on taker.staff_id = k.acknowledged_by
left join staff closer on closer.staff_id = k.closed_by
left join lateral (
    select b.breach_id, b.reading_id, b.measured_at from breach b where b.alert_id = a.alert_id
    order by b.level <= a.level desc, b.level desc, b.measured_at desc, b.breach_id desc limit 1
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
    query = sql.SQL(_SELECT).format(alerts=alerts, order=order, contact=CONTACT, now=NOW)
    await cursor.execute(query, {"now": None, **parameters, "most": most})
    return await cursor.fetchall()
