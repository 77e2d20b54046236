"""The care record file: who gives care, patients with contact, loans and plans, as one JSON text.

What one part can know of itself is checked here; what holds between the parts, in
``alerts.care.file``.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from alerts.care import identity
from alerts.care.field import Key, Line, Part, Password, Steps, Username, doubles
from alerts.care.roster import Huvudman, Staff, Substitutes, Team, Unit
from devices.quantity import Quantity
from devices.wire import is_gateway_id
from ingest.rules.model import Rule
from ingest.rules.plan import Rules

DEFAULT_GREEN = "Mät som vanligt enligt din plan."
DEFAULT_YELLOW = (
    "Sitt ned och vila fem minuter. Mät sedan en gång till.\n"
    "Fortsätt med dina mediciner som vanligt.\n"
    "Ring din vårdkontakt om du mår sämre än vanligt."
)
DEFAULT_RED = (
    "Sitt ned och vila fem minuter. Mät sedan en gång till.\n"
    "Ring din vårdkontakt i dag. Ring 1177 om det är kväll eller helg.\n"
    "Ring 112 om du får ont i bröstet, svårt att andas, blir svag i en arm "
    "eller får svårt att tala."
)


def _gateway_id(text: str) -> str:
    if not is_gateway_id(text):
        problem = "must be 1–64 letters, digits, _ or -"
        raise ValueError(problem)
    return text


class Loan(Part):
    """A device, or one user slot of it, lent to the patient from *lent_from* on."""

    device_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:._-]{1,64}$")]
    slot: Annotated[int, Field(ge=0, le=255)] | None = None  # null: whatever slot it names
    lent_from: AwareDatetime
    returned_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.returned_at is not None and self.returned_at <= self.lent_from:
            problem = "returned_at must come after lent_from"
            raise ValueError(problem)
        return self


class Limit(Part):
    """Bounds of one quantity, in its own unit. High ones fire at the value, low ones below it."""

    quantity: Quantity
    yellow_low: float | None = None
    yellow_high: float | None = None
    red_low: float | None = None
    red_high: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        facts = self.quantity.facts
        bounds = {
            name: bound
            for name in ("red_low", "yellow_low", "yellow_high", "red_high")
            if (bound := getattr(self, name)) is not None
        }
        if not bounds:
            yield "has no bound at all"
        for name, bound in bounds.items():
            if not (math.isfinite(bound) and facts.hard_low <= bound <= facts.hard_high):
                yield (
                    f"{name} {bound:g} is outside {facts.hard_low:g}–{facts.hard_high:g} "
                    f"{facts.unit_shown}, so no value could reach it"
                )
        for (lower, low), (upper, high) in combinations(bounds.items(), 2):
            same_side = lower.endswith("low") == upper.endswith("low")
            if same_side and low > high:
                yield f"{lower} {low:g} must not be above {upper} {high:g}"
            if not same_side and low >= high:
                yield f"{lower} {low:g} must be below {upper} {high:g}"


class Advice(Part):
    """What the patient does at each level, in her words; one step a line."""

    green: Steps = DEFAULT_GREEN
    yellow: Steps = DEFAULT_YELLOW
    red: Steps = DEFAULT_RED


class Plan(Part):
    """One plan version. Known again by patient and *in_force_from*; never overwritten."""

    in_force_from: AwareDatetime
    agreed_how: Line
    limits: tuple[Limit, ...] = ()
    rules: tuple[Rule, ...] = ()  # docs/rules.md
    advice: Advice = Advice()

    @field_validator("limits")
    @classmethod
    def _each_quantity_once(cls, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        twice = doubles(limit.quantity.value for limit in limits)
        if twice:
            problem = f"{', '.join(twice)} stands more than once"
            raise ValueError(problem)
        return limits

    @model_validator(mode="after")
    def _is_judged_by_something(self) -> Self:
        if not self.limits and not self.rules:
            problem = "a plan needs at least one limit or rule"
            raise ValueError(problem)
        Rules(rules=self.rules)  # refuses what does not go together
        return self


class Patient(Part):
    """A patient. Known again by *personal_number*."""

    key: Key
    given_name: Line
    family_name: Line
    personal_number: Annotated[str, AfterValidator(identity.normalize)]
    born_on: date
    phone: Line
    diagnosis: Line
    contact: Key | None  # the fixed care contact: key of a staff member or of a team
    unit: Key | None = None  # by default the contact's; needed when there is no contact
    substitutes: Substitutes | None = None  # her own; null leaves them as they are
    username: Username | None = None
    password: Password | None = None
    # The gateway that stands at her home; null leaves it as it is.
    gateway: Annotated[str, AfterValidator(_gateway_id)] | None = None
    loans: tuple[Loan, ...] = ()
    plans: tuple[Plan, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        born_on = identity.parse(self.personal_number).born_on
        if born_on is not None and self.born_on != born_on:
            yield "born_on is not the day in personal_number"
        if (self.username is None) != (self.password is None):
            yield "username and password go together"
        if self.contact is None and self.unit is None:
            yield "needs a contact or a unit: alerts must have somewhere to go"
        for moment in doubles(_utc(plan.in_force_from) for plan in self.plans):
            yield f"two plans are in force from {moment}"


class CareRecord(Part):
    """The whole file."""

    huvudmen: tuple[Huvudman, ...] = ()
    units: tuple[Unit, ...] = ()
    staff: tuple[Staff, ...] = ()
    teams: tuple[Team, ...] = ()
    gateways: tuple[Annotated[str, AfterValidator(_gateway_id)], ...] = ()
    patients: tuple[Patient, ...] = ()


def overlap(first: Loan, second: Loan) -> bool:
    """Return whether two loans of one device could claim the same reading."""
    same_slot = first.slot is None or second.slot is None or first.slot == second.slot
    forever = datetime.max.replace(tzinfo=UTC)
    return (
        same_slot
        and first.lent_from < (second.returned_at or forever)
        and second.lent_from < (first.returned_at or forever)
    )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
