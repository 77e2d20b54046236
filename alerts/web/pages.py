"""Renders templates: everything is escaped, and a name that is missing is an error."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts import sentence, words
from alerts.alert import NORMAL, Event, Level, Outcome
from alerts.care.identity import parse as parse_identity
from alerts.escalation import Because
from alerts.log import Entry
from alerts.sending.move import Ending
from alerts.trend import title
from alerts.web import banner
from alerts.web.services import ServicesOf
from alerts.web.session import Session
from alerts.whose import whose
from devices.quantity import Panel, Quantity

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"

# What is said twice within it is one thing.
_ONE_MOMENT: Final = timedelta(minutes=1)
# A level is a word and a shape, never a colour alone.
LEVELS: Final = {
    0: ("green", "●", "Grön"),
    int(Level.YELLOW): ("yellow", "◆", "Gul"),
    int(Level.RED): ("red", "▲", "Röd"),
}
OUTCOMES: Final = {
    Outcome.CONTACTED: "Kontaktad",
    Outcome.PLAN_CHANGED: "Planen ändrad",
    Outcome.REMEASURE: "Ny mätning begärd",
    Outcome.FALSE_ALARM: "Falskt larm",
    Outcome.TECHNICAL: "Tekniskt",
    Outcome.OTHER: "Annat",
}


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        when=words.when,
        day=words.day,
        lasted=words.lasted,
        age=words.age,
        initial=lambda text: text[:1],
        identity=lambda key: parse_identity(key).shown,
        gathered=gathered,
        panels=_panels,
        value_only=_value_only,
        unit_only=_unit_only,
    )
    made.globals.update(
        LEVELS=LEVELS,
        OUTCOMES=OUTCOMES,
        static=static_address,
        told=sentence.told,
        whose=whose,
        panel_title=title,
        greeting=words.greeting,
        whole_day=words.whole_day,
    )
    return made


@cache
def static_address(name: str) -> str:
    """Return a static file's address; it changes with the content, so caches may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def fragment(template: str, **context: Any) -> str:
    """Return a part of a page."""
    return _environment().get_template(template).render(context)


def page(
    request: Request,
    template: str,
    *,
    session: Session | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return a whole page."""
    services: ServicesOf = request.app.state.services
    now = datetime.now(UTC)
    viewer = None if session is None else session.viewer
    text = fragment(
        template,
        session=session,
        demo_banner=services.web.demo_banner,
        silent=banner.told(services.pulse.silences, viewer, now, is_demo=services.web.demo_banner),
        **{"now": now, **context},
    )
    return HTMLResponse(text, status, headers)


def _panels(values: Mapping[Quantity, float]) -> list[Quantity]:
    """Return one quantity for each thing to tell: a blood pressure is told once."""
    told = dict.fromkeys(values)
    if Quantity.SYSTOLIC in told or Quantity.DIASTOLIC in told:
        for part in (Quantity.DIASTOLIC, Quantity.MEAN_ARTERIAL):
            told.pop(part, None)
        told = {Quantity.SYSTOLIC: None, **told}
    return list(told)


def _value_only(values: Mapping[Quantity, float]) -> str:
    """Return the number of one panel's values: ``128/76``, ``75,8``."""
    if Quantity.SYSTOLIC in values and Quantity.DIASTOLIC in values:
        pair = (Quantity.SYSTOLIC, Quantity.DIASTOLIC)
        return "/".join(words.amount(half, values[half]) for half in pair)
    quantity, value = next(iter(values.items()))
    return words.amount(quantity, value)


def _unit_only(values: Mapping[Quantity, float]) -> str:
    return words.unit(next(iter(values)))


def gathered(entries: Iterable[Entry]) -> list[tuple[Entry, str]]:
    """Return the entries with what they say; one that repeats the one before it is left out.

    Several steps of a policy may find nobody in one moment: that is told once.
    """
    told: list[tuple[Entry, str]] = []
    for entry in entries:
        text = said(entry)
        if told and told[-1][1] == text and abs(told[-1][0].at - entry.at) < _ONE_MOMENT:
            continue
        told.append((entry, text))
    return told


_ESCALATED: Final[Mapping[str, str]] = {
    Because.NOT_ANSWERED: "Ingen har tagit larmet. Nästa steg togs",
    Because.NOT_REACHED: "Ingen av dem som skulle få larmet kunde nås. Nästa steg togs",
    Because.NOBODY_BEFORE: "Det fanns ingen som kunde få larmet. Nästa steg togs",
}
_NORMAL: Final = (
    "Åter normalt. Vilan är slut och värdena har varit inom gränserna i 7 dagar. "
    "Larmet avslutades av sig självt"
)
_NOT_DELIVERED: Final[Mapping[str, str]] = {
    Ending.FAILED: ". Alla sätt är prövade",
    Ending.NO_CHANNEL: ". Det finns inget sätt som fungerar",
}


def said(entry: Entry) -> str:
    """Return what a log entry says, in Swedish."""
    who = entry.staff_name or "Någon"
    reached = entry.staff_name or "enheten"
    outcome = str(entry.detail.get("outcome", ""))
    ending = OUTCOMES[Outcome(outcome)] if outcome in list(Outcome) else outcome
    note = f" ”{entry.detail['note']}”" if entry.detail.get("note") else ""
    why = str(entry.detail.get("why", ""))
    ended = f"{who} avslutade: {ending}.{note}" if outcome != NORMAL else _NORMAL
    texts = {
        Event.OPENED: "Larmet öppnades",
        Event.JOINED: sentence.joined(entry.rule),
        Event.RAISED: "Larmet höjdes till rött",
        Event.REOPENED: "Larmet är öppet igen",
        Event.ROUTED: str(entry.detail.get("sentence", "Larmet fick en mottagare")),
        Event.SHOWN: f"Visades för {who}",
        Event.NOTIFIED: "Meddelande skickas",
        Event.NOBODY_TO_NOTIFY: "Ingen i detta steg kunde nås. Nästa steg togs",
        Event.ESCALATED: _ESCALATED.get(why, _ESCALATED[Because.NOT_ANSWERED]),
        Event.DELIVERED: f"Meddelandet kom fram till {reached}",
        Event.NOT_DELIVERED: f"Meddelandet nådde inte {reached}{_NOT_DELIVERED.get(why, '')}",
        Event.ACKNOWLEDGED: f"{who} tog larmet",
        Event.TAKEN_TOLD: f"De andra som fått larmet får veta att {who} tog det",
        Event.ACK_EXPIRED: "Tiden gick ut utan att larmet avslutades. Det är öppet igen",
        Event.SNOOZED: f"{who} lät larmet vila.{note}",
        Event.SNOOZE_ENDED: "Vilotiden är slut. Larmet är öppet igen",
        Event.SNOOZE_BROKEN: "Ett sämre värde kom. Larmet vilar inte längre",
        Event.CLOSED: ended,
    }
    text = texts.get(Event(entry.event), entry.event) if entry.event in list(Event) else entry.event
    about = entry.rule.partition(":")[2]  # of a family: "trend:body_weight"
    return f"{title(Panel(about))}: {text}" if about in list(Panel) else text
