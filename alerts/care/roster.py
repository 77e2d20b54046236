"""The organisation in the care record file: who gives care, when, and who stands in for whom."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from alerts.care import hsa_id
from alerts.care.field import Key, Line, Part, Password, Username, doubles
from alerts.care.hours_words import USUAL_SAID
from alerts.care.substitutes import SUBSTITUTES_MAX
from alerts.channels.settings import SERVICES

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

HsaId = Annotated[str, AfterValidator(hsa_id.normalize)]
Clock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Function = Literal["care", "coordinator", "technician", "reviewer"]

# E.164, as 46elks takes it; a mailbox, as far as a form can tell.
ADDRESSES: Final = {
    "sms": re.compile(r"\+[1-9][0-9]{6,14}"),
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "apprise": re.compile(rf"({'|'.join(sorted(SERVICES))})://\S+"),
}


def _each_once(keys: tuple[str, ...]) -> tuple[str, ...]:
    twice = doubles(keys)
    if twice:
        problem = f"{', '.join(twice)} stands more than once"
        raise ValueError(problem)
    return keys


Once = AfterValidator(_each_once)
# Keys of staff, in order: the first is asked first.
Substitutes = Annotated[tuple[Key, ...], Field(max_length=SUBSTITUTES_MAX), Once]


class Huvudman(Part):
    """The legal body that answers for the care. Known again by *name*."""

    key: Key
    kind: Literal["region", "kommun"]
    name: Line


class Opening(Part):
    """A window of the week, by the clock on the wall; *closes* may be 24:00."""

    weekdays: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
        Field(min_length=1),
        Once,
    ]
    opens: Clock
    closes: Clock
    on_holidays: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes <= self.opens:
            problem = "closes must come after opens; a night is two windows that meet at 24:00"
            raise ValueError(problem)
        return self

    def meets(self, other: "Opening") -> bool:
        """Return whether both are open at the same time."""
        is_same_day = not set(self.weekdays).isdisjoint(other.weekdays)
        return is_same_day and self.opens < other.closes and other.opens < self.closes


_WORDS: Final = re.compile(
    r"vardagar ([0-9]{1,2})(?:[:.]([0-9]{2}))?[–-]([0-9]{1,2})(?:[:.]([0-9]{2}))?"
)


def _understood(words: str | None) -> Opening | None:
    """Return the week that words like "vardagar 8–17" tell; None for any other."""
    found = _WORDS.fullmatch(words or "")
    if found is None:
        return None
    opens_h, opens_min, closes_h, closes_min = found.groups(default="00")
    try:
        return Opening(
            weekdays=("mon", "tue", "wed", "thu", "fri"),
            opens=f"{opens_h:0>2}:{opens_min}",
            closes=f"{closes_h:0>2}:{closes_min}",
        )
    except ValidationError:  # there is no such time, or it ends before it begins
        return None


class Day(Part):
    """A day on which the unit differs from its week; without times it is closed."""

    day: date
    opens: Clock | None = None
    closes: Clock | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.opens is None) != (self.closes is None):
            problem = "opens and closes go together"
            raise ValueError(problem)
        if self.opens is not None and self.closes is not None and self.closes <= self.opens:
            problem = "closes must come after opens"
            raise ValueError(problem)
        return self


class Channel(Part):
    """A way to reach somebody. One without *verified_at* is not used until it is verified."""

    kind: Literal["email", "sms", "apprise"]
    address: Line
    verified_at: AwareDatetime | None = None  # when a message was seen to arrive

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not ADDRESSES[self.kind].fullmatch(self.address):
            shown = {
                "sms": "+46701740605",
                "email": "namn@example.org",
                "apprise": "ntfys://host/x",
            }
            problem = f"address of {self.kind} must look like {shown[self.kind]}"
            raise ValueError(problem)
        return self


class Absence(Part):
    """A time somebody is away. Known again by both its ends."""

    from_at: AwareDatetime
    until_at: AwareDatetime  # exclusive

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until_at <= self.from_at:
            problem = "until_at must come after from_at"
            raise ValueError(problem)
        return self


class Duty(Absence):
    """A time somebody answers for the unit's patients outside its hours."""

    staff: Key


class Unit(Part):
    """A unit of care: its phone and hours stand on the patient's page. Known again by *name*."""

    key: Key
    name: Line
    phone: Line
    hours: Line | None = None  # in words, for the patient; by default made of its opening
    huvudman: Key | None = None  # null, here and below: left as it is
    municipality: Line | None = None
    hsa_id: HsaId | None = None
    opening: tuple[Opening, ...] | None = None  # none at all: weekdays 8 to 16
    days: tuple[Day, ...] = ()
    channels: tuple[Channel, ...] | None = None  # in the order they are tried
    duty: tuple[Duty, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if self.hours is not None and self.opening is None and not self._is_understood():
            yield (
                f"hours {self.hours!r} are words that alerts cannot go by: give opening too, "
                f"or write them like {USUAL_SAID!r}"
            )
        for first, second in combinations(self.opening or (), 2):
            if first.meets(second):
                yield (
                    f"opening {first.opens}–{first.closes} and {second.opens}–{second.closes} "
                    "are at the same time"
                )
        for day in doubles(day.day for day in self.days):
            yield f"days: {day} stands more than once"

    def _is_understood(self) -> bool:
        return self.hours == USUAL_SAID or _understood(self.hours) is not None

    @property
    def week(self) -> tuple[Opening, ...] | None:
        """The week it tells, in its opening or its words; None: left as it is, or the usual one."""
        if self.opening is not None or self.hours in (None, USUAL_SAID):
            return self.opening
        understood = _understood(self.hours)
        return None if understood is None else (understood,)


class Staff(Part):
    """Somebody who can be a fixed care contact. Known again by *username*."""

    key: Key
    unit: Key
    name: Line
    role: Line
    phone: Line
    username: Username
    password: Password
    hsa_id: HsaId | None = None
    functions: Annotated[tuple[Function, ...], Once] | None = None  # by default of the role
    channels: tuple[Channel, ...] | None = None
    absences: tuple[Absence, ...] = ()
    substitutes: Substitutes | None = None  # for all her patients


class Team(Part):
    """Several who look after patients together. Known again by *unit* and *name*."""

    key: Key
    unit: Key
    name: Line
    members: Annotated[tuple[Key, ...], Field(min_length=1), Once]


def clock(text: str) -> timedelta:
    """Return a clock time as the time since midnight."""
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))
