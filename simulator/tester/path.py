"""The path of one measurement as a row of lamps with milliseconds. Pure: facts in, lamps out."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simulator.tester.measurement import Measurement


class State(enum.StrEnum):
    """Whether a lamp is lit."""

    LIT = "lit"
    WAITING = "waiting"  # the light has not come this far
    DARK = "dark"  # it never will, and that is right: no alert is needed
    STOPPED = "stopped"  # it was refused here


@dataclass(frozen=True, slots=True)
class Lamp:
    """One station of the path.

    Attributes:
        after_ms: Milliseconds from the button on the device to here; none if not here.
        note: What happened here, in Swedish words.
    """

    name: str
    state: State
    after_ms: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row of ``reading``."""

    received_at: datetime
    sent_at: datetime
    arrived_at: datetime
    stored_at: datetime
    outcome: str
    suspicion: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A row of ``alert_log``."""

    event: str
    at: datetime
    staff: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the database says of one measurement."""

    stored: Stored | None = None
    refused: tuple[str, datetime] | None = None  # reason, arrived at
    level: int | None = None  # of its worst breach: 1 yellow, 2 red
    found_at: datetime | None = None  # when the rule found that breach
    log: Sequence[LogEntry] = ()


_OPENING = ("opened", "joined", "raised")
_OPENING_NOTES = {
    "opened": "nytt larm",
    "joined": "samma larm som förut",
    "raised": "larmet höjt till rött",
}
_LEVELS = {1: "◆ gul gräns", 2: "▲ röd gräns"}


def lamps(measurement: Measurement, trace: Trace) -> tuple[Lamp, ...]:
    """Return the seven lamps of *measurement*, in the order of the way."""
    path = _Path(measurement.pressed_at)
    device = path.lit("Mätare", measurement.pressed_at, measurement.shows)
    stored = trace.stored
    if stored is None:
        return (device, *_under_way(path, measurement, trace))
    return (
        device,
        path.lit("Dosa", stored.received_at, "mottagen och sparad"),
        path.lit("MQTT", stored.sent_at, "skickad"),
        path.lit("Mottagning", stored.arrived_at, "framme"),
        path.lit("Regler", trace.found_at or stored.stored_at, _judged(trace, stored)),
        *_alerted(path, measurement, trace),
    )


@dataclass(frozen=True, slots=True)
class _Path:
    began_at: datetime

    def lit(self, name: str, at: datetime, note: str) -> Lamp:
        after_ms = round((at - self.began_at).total_seconds() * 1000)
        return Lamp(name, State.LIT, max(0, after_ms), note)


def _under_way(path: _Path, measurement: Measurement, trace: Trace) -> list[Lamp]:
    if measurement.confirmed_at is None:
        gateway = Lamp("Dosa", State.WAITING, None, "hämtar när mätaren vaknar")
    else:
        gateway = path.lit("Dosa", measurement.confirmed_at, "mottagen och sparad")
    rest = ("Regler", "Larm", "Sköterska")
    if trace.refused is None:
        names = ("MQTT", "Mottagning", *rest)
        return [gateway, *(Lamp(name, State.WAITING, None, "väntar") for name in names)]
    reason, arrived_at = trace.refused
    after_ms = path.lit("", arrived_at, "").after_ms
    return [
        gateway,
        Lamp("MQTT", State.LIT, None, "skickad"),
        Lamp("Mottagning", State.STOPPED, after_ms, f"avvisad: {reason}"),
        *(Lamp(name, State.DARK, None, "behövs inte") for name in rest),
    ]


def _judged(trace: Trace, stored: Stored) -> str:
    if stored.outcome == "failed":
        return "misslyckad mätning, inget värde"
    if trace.level is not None:
        return _LEVELS[trace.level]
    return "sparad som tveksam" if stored.suspicion else "● inom gränserna"


def _alerted(path: _Path, measurement: Measurement, trace: Trace) -> tuple[Lamp, Lamp]:
    if trace.level is None:
        dark = "behövs inte"
        return Lamp("Larm", State.DARK, None, dark), Lamp("Sköterska", State.DARK, None, dark)
    since = trace.found_at or measurement.pressed_at
    opening = next(
        (entry for entry in trace.log if entry.event in _OPENING and entry.at >= since), None
    )
    if opening is None:
        alert = Lamp("Larm", State.WAITING, None, "väntar")
    else:
        alert = path.lit("Larm", opening.at, _OPENING_NOTES[opening.event])
    return alert, _nurse(path, measurement, trace)


def _nurse(path: _Path, measurement: Measurement, trace: Trace) -> Lamp:
    shown = [entry for entry in trace.log if entry.event == "shown"]
    if shown and shown[0].at < measurement.pressed_at:
        return Lamp("Sköterska", State.LIT, None, f"{shown[0].staff} har redan larmet framför sig")
    if shown:
        return path.lit("Sköterska", shown[0].at, f"visad för {shown[0].staff}")
    routed = next((entry for entry in trace.log if entry.event == "routed"), None)
    if routed is None:
        return Lamp("Sköterska", State.WAITING, None, "väntar")
    return Lamp(
        "Sköterska",
        State.WAITING,
        None,
        f"ligger hos {measurement.nurse}; tänds när hennes arbetslista är öppen",
    )
