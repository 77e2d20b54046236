"""A patient's trend as SVG: values over time with the plan's bands in force. Pure.

One lane a quantity, lanes of one panel under one another with one time axis. Zones end where a
plan version ends; a break in the line is a gap in measuring; a ring is a value that fired, a
hollow point a suspect one. Colours come from the page's style sheet by class; level is told by
shape and number too. Time is linear; ticks stand at Swedish midnights.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from alerts.care.plan import Band
from alerts.sentence import name
from alerts.words import ZONE, amount, day, unit, when
from devices.quantity import Panel, Quantity

# In the drawing's own units, of which a phone shows some 0.75 CSS pixels and a desk 1.3.
WIDTH: Final = 480.0
_LEFT: Final = 60.0  # room for "3 412" in a phone's larger letters
_RIGHT: Final = 66.0  # room for "▲ 180"
_LANE: Final = 150.0
_BETWEEN: Final = 34.0
_TOP: Final = 26.0
_BOTTOM: Final = 26.0
_POINT: Final = 2.6
_RING: Final = 6.5
_LABEL: Final = 17.0  # the height of a line

# A line is broken where the wait was longer than this many usual waits, so that one missed
# measurement shows, and small shifts of the hour do not.
_GAP_IN_USUAL_WAITS: Final = 1.9
_GAP_MIN = timedelta(hours=13)
_TICKS_WANTED = 5
_MONTHS = "jan feb mars apr maj juni juli aug sep okt nov dec"
_WEEKDAYS = "mån tis ons tors fre lör sön"


@dataclass(frozen=True, slots=True)
class Point:
    """One value in its quantity's unit."""

    at: datetime
    value: float
    suspect: bool = False
    fired: int = 0  # Level of the breach it made; 0: none


@dataclass(frozen=True, slots=True)
class Lane:
    """One quantity's points, oldest first, and the bands it was judged by, oldest first."""

    quantity: Quantity
    points: Sequence[Point]
    bands: Sequence[Band] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The time shown: from inclusive, until exclusive."""

    from_at: datetime
    until_at: datetime

    @classmethod
    def of_days(cls, days: int, now: datetime) -> "Window":
        """Return today and the days before it, whole days in Sweden."""
        today = now.astimezone(ZONE).date()
        return cls(
            datetime.combine(today - timedelta(days=days - 1), time(), ZONE),
            datetime.combine(today + timedelta(days=1), time(), ZONE),
        )

    @property
    def days(self) -> int:
        """How many days it spans."""
        return (self.until_at.date() - self.from_at.date()).days

    def x(self, at: datetime) -> float:
        """Return where *at* lies from left to right, kept within the window."""
        # In UTC: within one zone Python subtracts clock faces, an hour wrong when clocks change.
        from_at, until_at = self.from_at.astimezone(UTC), self.until_at.astimezone(UTC)
        share = (at.astimezone(UTC) - from_at) / (until_at - from_at)
        return _LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values to heights, in one lane whose upper edge is at *top*."""

    low: float
    high: float
    top: float
    step: float = field(default=1.0)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.top + (1 - min(max(share, 0.0), 1.0)) * _LANE


_TITLES: Final = {
    Panel.BLOOD_PRESSURE: "Blodtryck",
    Panel.PULSE: "Puls",
    Panel.BODY_WEIGHT: "Vikt",
    Panel.BODY_COMPOSITION: "Kroppssammansättning",
    Panel.STEPS: "Steg",
    Panel.SLEEP: "Sömn",
}


def title(panel: Panel) -> str:
    """Return the heading of a panel's figure."""
    return _TITLES[panel]


def figure(panel: Panel, lanes: Sequence[Lane], window: Window, now: datetime) -> Markup:
    """Return the figure of one panel as an SVG element; well-formed whatever the values.

    Args:
        panel: Names the figure; its ids are made from it, so a page shows each panel once.
        lanes: At least one.
        window: The time shown; points outside it are left out.
        now: For the words of the description.
    """
    inside = [_within(lane, window) for lane in lanes]
    height = _TOP + len(lanes) * (_LANE + _BETWEEN) - _BETWEEN + _BOTTOM
    drawn: list[str] = []
    for index, lane in enumerate(inside):
        drawn += _lane(lane, window, _TOP + index * (_LANE + _BETWEEN))
    drawn += _time_axis(window, height - _BOTTOM)
    heading = f"{title(panel)}, {window.days} dagar"
    told = " ".join(_described(lane, now) for lane in inside)
    ids = f"trend-{panel.value}"
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="trend" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="{ids}-title {ids}-desc">'
        f'<title id="{ids}-title">{escape(heading)}</title>'
        f'<desc id="{ids}-desc">{escape(told)}</desc>'
        f"{''.join(drawn)}</svg>"
    )


def _within(lane: Lane, window: Window) -> Lane:
    return Lane(
        lane.quantity,
        [point for point in lane.points if window.from_at <= point.at < window.until_at],
        [
            band
            for band in lane.bands
            if band.quantity is lane.quantity
            and band.from_at < window.until_at
            and (band.until_at is None or band.until_at > window.from_at)
        ],
    )


def _described(lane: Lane, now: datetime) -> str:
    what = name(lane.quantity)
    if not lane.points:
        return f"{what}: inga mätningar."
    values = [point.value for point in lane.points]
    last = lane.points[-1]
    low, high = (amount(lane.quantity, bound) for bound in (min(values), max(values)))
    fired = sum(point.fired > 0 for point in lane.points)
    return (
        f"{what}: {len(values)} mätningar, lägst {low}, högst {high} "
        f"{unit(lane.quantity)}. Senast {amount(lane.quantity, last.value)}, "
        f"{when(last.at, now)}. {fired} utanför gräns."
    )


def _lane(lane: Lane, window: Window, top: float) -> Iterator[str]:
    scale = _scale(lane, top)
    yield _text(_LEFT, top - 9, _heading(lane.quantity), "lane-name")
    for band in lane.bands:
        yield from _zones(band, window, scale)
    yield from _value_axis(lane.quantity, scale)
    if lane.bands:
        yield from _bound_labels(lane.bands[-1], scale)
    if not lane.points:
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        yield _text(middle, top + _LANE / 2, "Inga mätningar", "empty", "middle")
    elif lane.quantity.facts.panel is Panel.STEPS:
        yield from _bars(lane.points, window, scale)
    else:
        yield from _line(lane, window, scale)


def _heading(quantity: Quantity) -> str:
    shown, of_unit = name(quantity), unit(quantity)
    return shown if of_unit == shown.lower() else f"{shown}, {of_unit}"


def _scale(lane: Lane, top: float) -> _Scale:
    shown = [point.value for point in lane.points]
    shown += [bound for band in lane.bands for bound in band.bounds()]
    if lane.quantity.facts.panel is Panel.STEPS:
        shown.append(0.0)
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    least = 2.0 * 10.0**-lane.quantity.facts.decimals  # a flat line is no wild curve
    margin = max((high - low) * 0.08, least)
    step = _step((high - low + 2 * margin) / _TICKS_WANTED)
    floor = 0.0 if low == 0.0 else math.floor((low - margin) / step) * step
    return _Scale(floor, math.ceil((high + margin) / step) * step, top, step)


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below *least*."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(size * power for size in (1, 2, 5, 10) if size * power >= least)


def _zones(band: Band, window: Window, scale: _Scale) -> Iterator[str]:
    left, right = window.x(band.from_at), window.x(band.until_at or window.until_at)
    zones = (
        ("red", band.red_high, band.red_high, None),
        ("yellow", band.yellow_high, band.yellow_high, band.red_high),
        ("yellow", band.yellow_low, band.red_low, band.yellow_low),
        ("red", band.red_low, None, band.red_low),
    )
    for level, bound, low, high in zones:
        if bound is None:
            continue
        upper = scale.top if high is None else scale.y(high)
        lower = scale.top + _LANE if low is None else scale.y(low)
        yield (
            f'<rect class="zone {level}" x="{left:.1f}" y="{upper:.1f}" '
            f'width="{right - left:.1f}" height="{max(lower - upper, 0.0):.1f}"/>'
            f'<path class="bound {level}" d="M{left:.1f} {scale.y(bound):.1f}H{right:.1f}"/>'
        )


def _bound_labels(band: Band, scale: _Scale) -> Iterator[str]:
    shapes = (
        ("▲", "red", band.red_high),
        ("◆", "yellow", band.yellow_high),
        ("◆", "yellow", band.yellow_low),
        ("▲", "red", band.red_low),
    )
    labels = [
        (scale.y(bound) + 5.0, level, f"{shape} {amount(band.quantity, bound)}")
        for shape, level, bound in shapes
        if bound is not None
    ]
    places = _apart([y for y, _, _ in labels], scale.top + _LANE + 5.0)
    for y, (_, level, label) in zip(places, labels, strict=True):
        yield _text(WIDTH - _RIGHT + 4, y, label, f"bound-label {level}")


def _apart(heights: Sequence[float], lowest: float) -> list[float]:
    """Return *heights*, which go down the page, so far apart that no label lies on another."""
    placed: list[float] = []
    for y in heights:
        placed.append(max(y, placed[-1] + _LABEL) if placed else y)
    for index in reversed(range(len(placed))):
        below = placed[index + 1] - _LABEL if index + 1 < len(placed) else lowest
        placed[index] = min(placed[index], below)
    return placed


def _value_axis(quantity: Quantity, scale: _Scale) -> Iterator[str]:
    steps = round((scale.high - scale.low) / scale.step)
    right = WIDTH - _RIGHT
    for index in range(steps + 1):
        value = scale.low + index * scale.step
        y = scale.y(value)
        yield f'<path class="grid" d="M{_LEFT:.0f} {y:.1f}H{right:.0f}"/>'
        yield _text(_LEFT - 6, y + 5, amount(quantity, value), "tick", "end")


def _line(lane: Lane, window: Window, scale: _Scale) -> Iterator[str]:
    places = [(window.x(point.at), scale.y(point.value), point) for point in lane.points]
    sound = [place for place in places if not place[2].suspect]
    longest = _longest_wait([point for _, _, point in sound])
    path = ""
    for index, (x, y, point) in enumerate(sound):
        joined = index and point.at - sound[index - 1][2].at <= longest
        path += f"{'L' if joined else 'M'}{x:.1f} {y:.1f}"
    if path:
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y, _ in sound)
        yield f'<path class="line" d="{path}"/><path class="dots" d="{dots}"/>'
    for x, y, point in places:
        yield from _marks(lane.quantity, point, x, y)


def _longest_wait(points: Sequence[Point]) -> timedelta:
    """Return how long a wait between two points may be before it is a gap."""
    waits = [(after.at - before.at).total_seconds() for before, after in pairwise(points)]
    if not waits:
        return _GAP_MIN
    usual = timedelta(seconds=statistics.median(waits))
    return max(usual * _GAP_IN_USUAL_WAITS, _GAP_MIN)


def _marks(quantity: Quantity, point: Point, x: float, y: float) -> Iterator[str]:
    if not point.suspect and not point.fired:
        return
    moment = point.at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
    told = f"{amount(quantity, point.value)} {unit(quantity)}, {moment}"
    place = f'cx="{x:.1f}" cy="{y:.1f}"'
    if point.suspect:
        told += ", ovanligt värde"
        yield f'<circle class="suspect" {place} r="{_POINT + 1}"><title>{told}</title></circle>'
    if point.fired:
        level = "red" if point.fired > 1 else "yellow"
        told += ", utanför gräns"
        yield f'<circle class="fired {level}" {place} r="{_RING}"><title>{told}</title></circle>'


def _bars(points: Sequence[Point], window: Window, scale: _Scale) -> Iterator[str]:
    """Draw one bar a day; each point is its day's total, at any time of the day."""
    bottom = scale.y(scale.low)
    for point in points:
        midnight = datetime.combine(point.at.astimezone(ZONE).date(), time(), ZONE)
        left, right = window.x(midnight), window.x(midnight + timedelta(days=1))
        top, width = scale.y(point.value), (right - left) * 0.7
        yield (
            f'<rect class="bar" x="{left + (right - left) * 0.15:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{bottom - top:.1f}"/>'
        )
        yield from _marks(Quantity.STEPS, point, (left + right) / 2, top)


def _time_axis(window: Window, y: float) -> Iterator[str]:
    for at, label in _time_ticks(window):
        x = window.x(at)
        yield f'<path class="grid" d="M{x:.1f} {y:.1f}v5"/>'
        yield _text(x + 3, y + 17, label, "tick")


def _time_ticks(window: Window) -> Iterator[tuple[datetime, str]]:
    for index in range(window.days):
        at = datetime.combine(window.from_at.date() + timedelta(days=index), time(), ZONE)
        if window.days <= 7:  # noqa: PLR2004 - a week: every day by its weekday
            yield at, _WEEKDAYS.split()[at.weekday()]
        elif window.days <= 31:  # noqa: PLR2004 - a month: every Monday by its date
            if at.weekday() == 0:
                yield at, f"{at.day} {_MONTHS.split()[at.month - 1]}"
        elif at.day == 1 and at.month % 2 == 1:
            yield at, _MONTHS.split()[at.month - 1]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def legend_day(window: Window, now: datetime) -> str:
    """Return the time shown, in words: ``16 nov – i dag``."""
    return f"{day(window.from_at, now)} – {day(window.until_at - timedelta(hours=1), now)}"
