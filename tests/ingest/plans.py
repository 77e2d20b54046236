"""Plans with rules, for a county in small; and what was found and alerted, as short rows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from devices.quantity import Quantity
from devices.reading import Reading
from ingest.rules.model import Rule
from tests.ingest.county import LIMITS, NOW, SCALE, County, weight

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def agree(
    county: County,
    *rules: Rule,
    limits: Mapping[Quantity, Mapping[str, float]] = LIMITS,
    since: datetime = NOW - 300 * DAY,
    patient_id: int | None = None,
) -> int:
    """Put a version with *limits* and *rules* into force; return its number."""
    patient = county.patient_id if patient_id is None else patient_id
    version = county.plan(patient, since, {q: dict(bounds) for q, bounds in limits.items()})
    for rule in rules:
        county.connection.execute(
            "insert into plan_rule (plan_version_id, rule_key, kind, level, spec)"
            " values (%s, %s, %s, %s, %s)",
            [version, rule.key, rule.kind, rule.level, Jsonb(rule.params())],
        )
    return version


def pause(county: County, from_at: datetime, until_at: datetime) -> None:
    """Let the patient's rules be silent."""
    county.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
        [county.patient_id, from_at, until_at],
    )


def weights(*kilos: float, ending: datetime = NOW, every: timedelta = DAY) -> list[Reading]:
    """Return one weighing a day, the last one at *ending*."""
    first = ending - (len(kilos) - 1) * every
    return [weight(kg, measured_at=first + n * every) for n, kg in enumerate(kilos)]


def household(county: County, size: int, *rules: Rule, **plan: Any) -> list[tuple[int, str]]:
    """Add *size* patients with a plan each; return their numbers and scales."""
    added = []
    for number in range(size):
        patient, scale = county.add_patient(), f"{SCALE}-{number}"
        county.lend(scale, patient)
        agree(county, *rules, patient_id=patient, **plan)
        added.append((patient, scale))
    return added


def alerts(county: County) -> list[tuple[Any, ...]]:
    """Return (family, level, state, late) of each alert, oldest first."""
    return county.rows("select rule, level, state, late from alert order by alert_id")


def events(county: County) -> list[str]:
    """Return what happened to alerts, oldest first."""
    return [row[0] for row in county.rows("select event from alert_log order by entry_id")]


def breaches(county: County) -> list[tuple[Any, ...]]:
    """Return (key, level, value, has an alert) of each breach, by time, key and quantity."""
    return county.rows(
        "select rule_key, level, value, alert_id is not null from breach"
        " order by measured_at, rule_key, quantity_id"
    )


def rests_on(county: County, rule_key: str) -> set[UUID]:
    """Return the readings that breaches of this rule rest on."""
    return {
        row[0]
        for row in county.rows(
            "select o.reading_id from breach_reading o join breach b using (breach_id)"
            " where b.rule_key = %s",
            rule_key,
        )
    }


def waits(county: County) -> list[tuple[Any, ...]]:
    """Return (outcome, repeated by) of each reading that asked for a repeat, by time."""
    return county.rows(
        "select outcome, repeat_reading_id from repeat_wait order by measured_at, reading_id"
    )
