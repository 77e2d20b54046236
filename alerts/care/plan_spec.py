"""A whole plan as it is agreed: what is judged by, what she does, and when she measures.

As JSON it is docs/rules.md's limits and rules, with ``advice``, ``schedule``, ``goals``,
``reference`` and ``review_on`` beside them: what stands in a proposal, and in a template.
"""

import enum
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Final, NamedTuple, Self

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.care.record import Advice
from devices.quantity import BY_ID, Panel, Quantity
from ingest.rules.model import Missing
from ingest.rules.plan import LimitRow, RuleRow, Rules
from ingest.rules.refusal import require
from ingest.rules.words import NAMES, days, number

Connection = AsyncConnection[Any]

WEEK_DAYS: Final = 7
EVERY_DAY: Final = tuple(range(1, WEEK_DAYS + 1))
_DAY_H: Final = 24
_GOALS_CHARS_MAX: Final = 2_000  # a page
_REFERENCE_CHARS_MAX: Final = 200


class Part(enum.StrEnum):
    """When on a day."""

    MORNING = "morning"
    DAY = "day"
    EVENING = "evening"
    ANY = "any"


class Measuring(BaseModel):
    """One thing to measure: at which part of which days of the week; 1 is Monday."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    quantity: Annotated[Quantity, Field(strict=False)]
    part: Annotated[Part, Field(strict=False)] = Part.ANY
    weekdays: Annotated[tuple[int, ...], Field(strict=False)] = EVERY_DAY

    @model_validator(mode="after")
    def _is_some_day(self) -> Self:
        known = [day for day in EVERY_DAY if day in self.weekdays]
        require(
            bool(known) and list(self.weekdays) == known,
            "Veckodagarna är 1 (måndag) till 7 (söndag), var och en högst en gång.",
            "Weekdays are 1 (Monday) to 7 (Sunday), each at most once.",
        )
        return self

    @property
    def bits(self) -> int:
        """The weekdays as ``plan_schedule`` has them: bit 0 is Monday."""
        return sum(1 << day - 1 for day in self.weekdays)


class PlanSpec(Rules):
    """The whole plan. One that cannot be, or that nothing is judged by, is refused."""

    advice: Advice = Advice()
    schedule: Annotated[tuple[Measuring, ...], Field(strict=False)] = ()
    goals: Annotated[str, Field(max_length=_GOALS_CHARS_MAX)] = ""  # in her own words
    reference: Annotated[str, Field(max_length=_REFERENCE_CHARS_MAX)] = ""  # patientkontrakt, SIP
    review_on: Annotated[date | None, Field(strict=False)] = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        require(
            bool(self.limits or self.rules),
            "Planen har varken gränser eller regler: ingenting skulle larma. Lägg till minst en.",
            "The plan has neither limits nor rules: nothing would alert. Add at least one.",
        )
        asked = [(one.quantity, one.part) for one in self.schedule]
        require(
            len(asked) == len(set(asked)),
            "Schemat har samma mätning vid samma tid på dagen mer än en gång.",
            "The schedule has one measurement at one part of the day more than once.",
        )
        for rule in self.rules:
            if isinstance(rule, Missing):
                self._is_asked_for_in_time(rule)
        return self

    def _is_asked_for_in_time(self, rule: Missing) -> None:
        """Refuse a reminder that comes although she measures as the schedule says."""
        gap = _longest_gap_days(self.schedule, rule.quantity.facts.panel)
        allowed = rule.interval_h + (rule.grace_h or 0.0)
        require(
            gap * _DAY_H <= allowed,
            f"Planen saknar {NAMES[rule.quantity].of_sv} efter {number(allowed, 0, 'sv')} timmar, "
            f"men schemat har {days(gap, 'sv')} mellan mätningarna. Hon skulle bli påmind fast hon "
            "följer schemat. Ändra det ena.",
            f"The plan misses {NAMES[rule.quantity].en} after {allowed:g} hours, but the schedule "
            f"has {days(gap, 'en')} between measurements. Change one of them.",
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept; ``model_validate`` reads it again."""
        return self.model_dump(mode="json", exclude_none=True)


def _longest_gap_days(schedule: Iterable[Measuring], panel: Panel) -> int:
    """Return the most days from one measurement of *panel* to the next; 0: none is asked for."""
    asked = sorted(
        {day for one in schedule if one.quantity.facts.panel is panel for day in one.weekdays}
    )
    following = [*asked[1:], *(day + WEEK_DAYS for day in asked[:1])]
    return max((after - day for day, after in zip(asked, following, strict=True)), default=0)


class Version(NamedTuple):
    """A plan version, and when it began."""

    plan_version_id: int
    in_force_from: datetime


async def version_at(connection: Connection, patient_id: int, at: datetime) -> Version | None:
    """Return the version in force at a moment."""
    cursor = await connection.execute(
        "select plan_version_id, in_force_from from plan_version "
        "where patient_id = %s and in_force_from <= %s order by in_force_from desc limit 1",
        [patient_id, at],
    )
    row = await cursor.fetchone()
    return None if row is None else Version(*row)


async def load(connection: Connection, plan_version_id: int) -> PlanSpec:
    """Read a version from its rows.

    Raises:
        pydantic.ValidationError: It stems from before a rule of today and could not be agreed now.
    """
    limits = await _rows(connection, _LIMITS, plan_version_id)
    rules = await _rows(connection, _RULES, plan_version_id)
    schedule = await _rows(connection, _SCHEDULE, plan_version_id)
    advice = await _rows(connection, _ADVICE, plan_version_id)
    held = Rules.load((LimitRow(*row) for row in limits), (RuleRow(*row) for row in rules))
    green, yellow, red, goals, reference, review_on = advice[0] if advice else (None,) * 6
    steps = {"green": green, "yellow": yellow, "red": red}
    return PlanSpec(
        limits=held.limits,
        rules=held.rules,
        advice=Advice(**{name: step for name, step in steps.items() if step is not None}),
        schedule=tuple(
            Measuring(
                quantity=BY_ID[quantity_id],
                part=Part(part),
                weekdays=tuple(day for day in EVERY_DAY if bits >> day - 1 & 1),
            )
            for quantity_id, part, bits in schedule
        ),
        goals=goals or "",
        reference=reference or "",
        review_on=review_on,
    )


async def write(
    connection: Connection,
    patient_id: int,
    spec: PlanSpec,
    *,
    in_force_from: datetime,
    agreed_how: str,
) -> int:
    """Write a version, in the caller's transaction; return its id."""
    cursor = await connection.execute(
        "insert into plan_version (patient_id, in_force_from, agreed_how) values (%s, %s, %s) "
        "returning plan_version_id",
        [patient_id, in_force_from, agreed_how],
    )
    row = await cursor.fetchone()
    assert row is not None
    plan_version_id = int(row[0])
    limits, rules = spec.dump()
    advice = spec.advice
    await _insert(connection, _INSERT_LIMIT, [(plan_version_id, *limit) for limit in limits])
    await _insert(
        connection,
        _INSERT_RULE,
        [
            (plan_version_id, rule.rule_key, rule.kind, rule.level, Jsonb(dict(rule.spec)))
            for rule in rules
        ],
    )
    await _insert(
        connection,
        _INSERT_ADVICE,
        [
            (
                plan_version_id,
                *(advice.green, advice.yellow, advice.red),
                *(spec.goals, spec.reference, spec.review_on),
            )
        ],
    )
    await _insert(
        connection,
        _INSERT_SCHEDULE,
        [(plan_version_id, one.quantity.facts.id, one.part, one.bits) for one in spec.schedule],
    )
    return plan_version_id


_LIMITS: Final = """
select quantity_id, yellow_low, yellow_high, red_low, red_high from plan_limit
where plan_version_id = %s order by quantity_id
"""
_RULES: Final = """
select rule_key, kind, level, spec from plan_rule where plan_version_id = %s order by rule_key
"""
_SCHEDULE: Final = """
select quantity_id, part, weekdays from plan_schedule where plan_version_id = %s
order by quantity_id, part
"""
_ADVICE: Final = """
select green, yellow, red, goals, reference, review_on from plan_advice where plan_version_id = %s
"""
_INSERT_LIMIT: Final = """
insert into plan_limit (plan_version_id, quantity_id, yellow_low, yellow_high, red_low, red_high)
values (%s, %s, %s, %s, %s, %s)
"""
_INSERT_RULE: Final = """
insert into plan_rule (plan_version_id, rule_key, kind, level, spec) values (%s, %s, %s, %s, %s)
"""
_INSERT_ADVICE: Final = """
insert into plan_advice (plan_version_id, green, yellow, red, goals, reference, review_on)
values (%s, %s, %s, %s, %s, %s, %s)
"""
_INSERT_SCHEDULE: Final = """
insert into plan_schedule (plan_version_id, quantity_id, part, weekdays) values (%s, %s, %s, %s)
"""


async def _rows(connection: Connection, query: str, plan_version_id: int) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query, [plan_version_id])
    return await cursor.fetchall()


async def _insert(connection: Connection, query: str, rows: list[tuple[Any, ...]]) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(query, rows)
