"""A trend is a well-formed picture whatever was measured, and shows what the plan said then."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.care.plan import Band
from alerts.trend import Lane, Point, Window, figure
from alerts.words import ZONE
from devices.quantity import Panel, Quantity

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
W = Quantity.BODY_WEIGHT
MONTH = Window.of_days(30, NOW)
SVG = "{http://www.w3.org/2000/svg}"


def band(from_days_ago: float, until_days_ago: float | None = None, **bounds: float) -> Band:
    return Band(
        quantity=W,
        from_at=NOW - timedelta(days=from_days_ago),
        until_at=None if until_days_ago is None else NOW - timedelta(days=until_days_ago),
        yellow_low=bounds.get("yellow_low"),
        yellow_high=bounds.get("yellow_high"),
        red_low=bounds.get("red_low"),
        red_high=bounds.get("red_high"),
    )


def draw(points: list[Point], bands: list[Band] | None = None, days: int = 30) -> ET.Element:
    """Return the parsed figure of one weight lane."""
    text = figure(Panel.BODY_WEIGHT, [Lane(W, points, bands or [])], Window.of_days(days, NOW), NOW)
    assert "nan" not in text
    assert "inf" not in text
    assert "style=" not in text  # the page's policy forbids it
    return ET.fromstring(text)


def found(drawing: ET.Element, kind: str) -> list[ET.Element]:
    return [node for node in drawing.iter() if kind in node.get("class", "").split()]


def at(days_ago: float, value: float, **more: object) -> Point:
    return Point(NOW - timedelta(days=days_ago), value, **more)  # type: ignore[arg-type]


def test_nothing_measured_is_said_and_not_drawn() -> None:
    drawing = draw([])
    assert [node.text for node in found(drawing, "empty")] == ["Inga mätningar"]
    assert not found(drawing, "line")
    assert "inga mätningar" in (drawing.findtext("desc") or "")


def test_one_measurement_is_one_dot() -> None:
    (dots,) = found(draw([at(1, 78.4)]), "dots")
    assert len(re.findall("h0", dots.get("d", ""))) == 1


def test_it_has_a_title_and_says_its_numbers_in_words() -> None:
    drawing = draw([at(2, 77.9), at(0.1, 78.4, fired=2)])
    assert drawing.get("role") == "img"
    assert drawing.findtext("title") == "Vikt, 30 dagar"
    told = (drawing.findtext("desc") or "").replace("\u00a0", " ")
    assert told == (
        "Vikt: 2 mätningar, lägst 77,9, högst 78,4 kg. Senast 78,4, i dag 10:36. 1 utanför gräns."
    )


def test_a_missed_day_breaks_the_line() -> None:
    daily = [at(days, 78.0) for days in range(20, 0, -1) if days not in (9, 10)]
    (line,) = found(draw(daily), "line")
    assert line.get("d", "").count("M") == 2


def test_measuring_twice_a_week_is_no_gap() -> None:
    (line,) = found(draw([at(days, 78.0) for days in (28, 24, 21, 17, 14, 10, 7, 3)]), "line")
    assert line.get("d", "").count("M") == 1


def test_fired_values_are_ringed_and_suspect_ones_hollow_and_off_the_line() -> None:
    drawing = draw([at(3, 78), at(2, 90, suspect=True), at(1, 81, fired=2), at(0.5, 79, fired=1)])
    assert len(found(drawing, "suspect")) == 1
    rings = [node.get("class") for node in found(drawing, "fired")]
    assert rings == ["fired red", "fired yellow"]
    (dots,) = found(drawing, "dots")
    assert dots.get("d", "").count("h0") == 3
    (title,) = found(drawing, "suspect")[0].iter("title")
    assert title.text == "90,0 kg, 2026-11-20 13:00, ovanligt värde"


def test_zones_are_those_in_force_at_the_time() -> None:
    drawing = draw(
        [at(20, 78), at(1, 78)],
        [band(25, 10, yellow_high=79, red_high=81), band(10, yellow_high=77, red_high=79)],
    )
    zones = found(drawing, "zone")
    assert len(zones) == 4
    edges = {(zone.get("x"), zone.get("width")) for zone in zones}
    assert len(edges) == 2
    (first, first_width), (second, _) = sorted((float(x or 0), float(w or 0)) for x, w in edges)
    assert first + first_width == pytest.approx(second, abs=0.2)
    labels = [node.text for node in found(drawing, "bound-label")]
    assert labels == ["▲ 79,0", "◆ 77,0"]  # of the plan in force now


def test_a_level_is_told_by_shape_and_number_and_dash_too() -> None:
    drawing = draw([at(1, 78)], [band(25, yellow_low=70, red_low=68, yellow_high=79, red_high=81)])
    assert [node.text for node in found(drawing, "bound-label")] == [
        "▲ 81,0",
        "◆ 79,0",
        "◆ 70,0",
        "▲ 68,0",
    ]


def test_ticks_stand_at_swedish_midnights_over_the_change_of_clocks() -> None:
    now = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
    window = Window.of_days(7, now)
    assert window.from_at == datetime(2026, 10, 22, 0, 0, tzinfo=ZONE)
    assert window.until_at == datetime(2026, 10, 29, 0, 0, tzinfo=ZONE)
    text = figure(Panel.BODY_WEIGHT, [Lane(W, [], [])], window, now)
    ticks = [
        node.text
        for node in ET.fromstring(text).iter()
        if node.get("class") == "tick" and node.get("text-anchor") == "start"
    ]
    assert ticks == ["tors", "fre", "lör", "sön", "mån", "tis", "ons"]


def test_a_value_stands_by_its_hour_over_the_change_of_clocks() -> None:
    window = Window.of_days(7, datetime(2026, 10, 28, 12, 0, tzinfo=UTC))
    midnight = datetime(2026, 10, 28, 0, 0, tzinfo=ZONE)
    assert window.x(midnight) == pytest.approx(window.x(midnight.astimezone(UTC)))
    late = window.until_at.astimezone(UTC) - timedelta(minutes=30)
    assert window.x(late) < window.x(window.until_at)


def test_steps_are_bars_from_zero() -> None:
    lane = Lane(Quantity.STEPS, [at(2, 3412), at(1, 0)], [])
    drawing = ET.fromstring(figure(Panel.STEPS, [lane], MONTH, NOW))
    assert len(found(drawing, "bar")) == 2


_VALUES = st.floats(20, 350, allow_nan=False)
_POINTS = st.lists(
    st.builds(
        Point,
        st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        _VALUES,
        st.booleans(),
        st.integers(0, 2),
    ),
    max_size=60,
)
_BOUND = st.none() | _VALUES


@given(
    points=_POINTS,
    bounds=st.lists(st.tuples(_BOUND, _BOUND, _BOUND, _BOUND, st.floats(0, 400)), max_size=3),
    days=st.sampled_from([7, 30, 365]),
    quantity=st.sampled_from(list(Quantity)),
)
def test_any_values_and_bands_make_a_well_formed_picture_inside_its_frame(
    points: list[Point],
    bounds: list[tuple[float | None, ...]],
    days: int,
    quantity: Quantity,
) -> None:
    bands = [
        Band(
            quantity=quantity,
            from_at=NOW - timedelta(days=ago or 0),
            until_at=None,
            red_low=a,
            yellow_low=b,
            yellow_high=c,
            red_high=d,
        )
        for a, b, c, d, ago in bounds
    ]
    lanes = [Lane(quantity, sorted(points, key=lambda point: point.at), bands)]
    text = figure(quantity.facts.panel, lanes, Window.of_days(days, NOW), NOW)
    drawing = ET.fromstring(text)
    _, _, width, height = map(float, drawing.get("viewBox", "").split())
    for node in drawing.iter():
        for name, most in (("x", width), ("cx", width), ("y", height + 20), ("cy", height)):
            assert -1 <= float(node.get(name, 0)) <= most
        assert float(node.get("height", 0)) >= 0
        assert float(node.get("width", 0)) >= 0
