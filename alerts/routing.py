"""Who gets an alert, and why just they. Pure: the engine brings the facts and stores the answer.

Law of this module: an alert always has a place. It is a person, a team, or a unit's queue; and
what somebody should mend in the care record or the rota is said beside it. Absence counts before
opening hours: who is on leave is not waited for.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerts.alert import Level
from alerts.care.availability import Around, Person
from alerts.words import clock, whole_day


class Why(enum.StrEnum):
    """The reason an alert went where it went; kept in the log and on the case."""

    FIXED_CONTACT = "fixed_contact"  # the patient's fixed care contact is at work
    CONTACT_TEAM = "contact_team"  # it is a team, and somebody of it is at work
    SUBSTITUTE = "substitute"  # the first who stands in for a contact that is not there
    SUBSTITUTE_OF_SUBSTITUTE = "substitute_of_substitute"  # those before her are away too
    DUTY = "duty"  # outside hours, or nobody else: who is on duty for the unit
    WAITS_FOR_OPENING = "waits_for_opening"  # yellow outside hours: keeps its receiver till then
    UNIT_QUEUE = "unit_queue"  # there is a contact, but nobody who could act now
    NO_CONTACT = "no_contact"  # the patient has none, and nobody stands in


class Warning(enum.StrEnum):  # noqa: A001 - what the care record calls it
    """What somebody should mend."""

    NO_CONTACT = "no_contact"  # the patient has no fixed care contact, or one who has left
    NO_SUBSTITUTE = "no_substitute"  # the contact is away, and nobody stands in
    NO_CHANNEL = "no_channel"  # none of those who are to be told can be reached
    NOBODY_ON_DUTY = "nobody_on_duty"  # red outside hours, and the rota is empty
    EMPTY_TEAM = "empty_team"  # the contact is a team of which everybody is away, or nobody left
    NO_HOURS = "no_hours"  # the unit has told none: it is taken to work the usual ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an alert goes.

    Attributes:
        staff_id: The receiver, if it is a person.
        team_id: The receiver, if it is a team. Neither: the queue of *unit_id*.
        unit_id: The unit that answers for the patient.
        why: The reason.
        sentence: The reason in Swedish words, as it is kept in the log. It holds names.
        told: Staff ids to tell first, at once. None: it waits for opening, or lies in the queue.
        warnings: What somebody should mend.
    """

    staff_id: int | None = None
    team_id: int | None = None
    unit_id: int
    why: Why
    sentence: str
    told: tuple[int, ...] = ()
    warnings: tuple[Warning, ...] = ()

    @property
    def in_queue(self) -> bool:
        """Whether the receiver is the unit's queue."""
        return self.staff_id is None and self.team_id is None


def route(around: Around, level: Level) -> Route:
    """Return the receiver of an alert. There always is one: a person, a team or a unit's queue."""
    for choose in (_contact, _team, _substitute, _waiting, _duty, _substitute_of_closed):
        if (found := choose(around, level)) is not None:
            return found
    return _queue(around, level)


def _contact(around: Around, level: Level) -> Route | None:
    contact = around.contact
    if contact is None or not contact.is_working:
        return None
    return _to(around, level, contact, Why.FIXED_CONTACT, "fast vårdkontakt.")


def _team(around: Around, level: Level) -> Route | None:
    """Return the way to the whole team: whoever of it is at work is told."""
    working = _working(around.team)
    if around.team_id is None or not working:
        return None
    return Route(
        team_id=around.team_id,
        unit_id=around.unit.unit_id,
        why=Why.CONTACT_TEAM,
        sentence=f"Till {around.team_name}: teamet är fast vårdkontakt.",
        told=tuple(member.staff_id for member in working),
        warnings=_warnings(around, level, working),
    )


def _substitute(around: Around, level: Level) -> Route | None:
    """Return the way to the first who stands in and works, if the contact is away."""
    if not _is_away(around):
        return None
    return _standing_in(around, level, _reason_away(around))


def _substitute_of_closed(around: Around, level: Level) -> Route | None:
    """Return the same if the contact is merely outside her hours: rather her than the queue."""
    return _standing_in(around, level, f"{_name(around)} är inte i tjänst")


def _standing_in(around: Around, level: Level, reason: str) -> Route | None:
    place = next((n for n, one in enumerate(around.substitutes) if one.is_working), None)
    if place is None:
        return None
    before = [one.name for one in around.substitutes[:place]]
    if not before:
        said, why = f"ersättare, för {reason}.", Why.SUBSTITUTE
    else:
        said = f"nästa ersättare, för {reason}, och {_and(before)} är inte heller på plats."
        why = Why.SUBSTITUTE_OF_SUBSTITUTE
    return _to(around, level, around.substitutes[place], why, said)


def _waiting(around: Around, level: Level) -> Route | None:
    """Return the way of a yellow one to whoever takes it when her unit opens."""
    if level is not Level.YELLOW:
        return None
    if around.team_id is not None and (present := _present(around.team)):
        return Route(
            team_id=around.team_id,
            unit_id=around.unit.unit_id,
            why=Why.WAITS_FOR_OPENING,
            sentence=f"Till {around.team_name}: teamet är fast vårdkontakt. {_until(around)}",
            warnings=_warnings(around, level, present),
        )
    if around.contact is not None and not around.contact.is_absent:
        said = f"fast vårdkontakt. {_until(around)}"
        return _to(around, level, around.contact, Why.WAITS_FOR_OPENING, said, is_told=False)
    for one in _present(around.substitutes):
        said = f"ersättare, för {_reason_away(around)}. {_until(around)}"
        return _to(around, level, one, Why.WAITS_FOR_OPENING, said, is_told=False)
    return None


def _until(around: Around) -> str:
    if around.unit.is_open:  # then it is the receiver's own unit that is closed
        return "Väntar till hennes enhet öppnar."
    opens = around.unit.opens_at
    return f"Väntar till enheten öppnar, {whole_day(opens)} {clock(opens)}."


def _duty(around: Around, level: Level) -> Route | None:
    """Return the way to who is on duty: the first who can be reached; all of them are told.

    A yellow one wakes nobody: outside hours it lies in the queue till the unit opens.
    """
    if level is Level.YELLOW and not around.unit.is_open:
        return None
    working = sorted(_working(around.duty), key=lambda one: not one.has_channel)
    if not working:
        return None
    reason = _reason_away(around) if _is_away(around) else f"{_name(around)} är inte i tjänst"
    return Route(
        staff_id=working[0].staff_id,
        unit_id=around.unit.unit_id,
        why=Why.DUTY,
        sentence=f"Till {working[0].name}: har jour, för {reason}.",
        told=tuple(one.staff_id for one in working),
        warnings=_warnings(around, level, working),
    )


def _queue(around: Around, level: Level) -> Route:
    has_contact = around.contact is not None or around.team_id is not None
    if not has_contact:
        reason = "patienten saknar fast vårdkontakt"
    elif _is_away(around):
        reason = f"{_reason_away(around)}, och ingen ersättare eller jour är på plats"
    else:
        reason = f"{_name(around)} är inte i tjänst, och ingen har jour"
    return Route(
        unit_id=around.unit.unit_id,
        why=Why.UNIT_QUEUE if has_contact else Why.NO_CONTACT,
        sentence=f"Till kön hos {around.unit.name}: {reason}.",
        warnings=_warnings(around, level, ()),
    )


def _to(
    around: Around, level: Level, one: Person, why: Why, said: str, *, is_told: bool = True
) -> Route:
    return Route(
        staff_id=one.staff_id,
        unit_id=around.unit.unit_id,
        why=why,
        sentence=f"Till {one.name}: {said}",
        told=(one.staff_id,) if is_told else (),
        warnings=_warnings(around, level, (one,)),
    )


def _warnings(around: Around, level: Level, chosen: Sequence[Person]) -> tuple[Warning, ...]:
    """Return what to mend, when *chosen* are to act; nobody: the queue."""
    is_closed = not around.unit.is_open
    reached = any(one.has_channel for one in chosen) if chosen else around.unit.has_channel
    is_away = _is_away(around)
    lacks = {
        Warning.NO_CONTACT: around.team_id is None
        and (around.contact is None or _works_here_no_more(around.contact)),
        Warning.EMPTY_TEAM: around.team_id is not None and is_away,
        Warning.NO_SUBSTITUTE: around.contact is not None
        and is_away
        and not _present(around.substitutes),
        Warning.NOBODY_ON_DUTY: is_closed
        and level is Level.RED
        and not chosen
        and not _working(around.duty),
        Warning.NO_CHANNEL: not reached,
        Warning.NO_HOURS: not around.unit.has_hours,
    }
    return tuple(warning for warning, is_so in lacks.items() if is_so)


def _is_away(around: Around) -> bool:
    """Whether waiting for the contact's opening hours would be in vain."""
    if around.team_id is not None:
        return not _present(around.team)
    return around.contact is None or around.contact.is_absent


def _reason_away(around: Around) -> str:
    if around.team_id is not None:
        return f"ingen i {around.team_name} är på plats"
    if around.contact is None:
        return "patienten saknar fast vårdkontakt"
    if around.contact.absent_until is None:
        return f"{around.contact.name} arbetar inte kvar"
    return f"{around.contact.name} är borta till {whole_day(around.contact.absent_until)}"


def _works_here_no_more(one: Person) -> bool:
    return one.is_absent and one.absent_until is None


def _name(around: Around) -> str:
    if around.team_id is not None:
        return around.team_name
    return around.contact.name if around.contact is not None else "ingen"


def _present(people: Iterable[Person]) -> list[Person]:
    return [one for one in people if not one.is_absent]


def _working(people: Iterable[Person]) -> list[Person]:
    return [one for one in people if one.is_working]


def _and(names: Sequence[str]) -> str:
    return " och ".join(filter(None, (", ".join(names[:-1]), names[-1])))
