"""Rules that look back, in the transaction: what they find, once, in whatever order it comes."""

from datetime import timedelta
from itertools import permutations

import pytest

from devices.quantity import Quantity
from devices.reading import Reading
from ingest.rules.explain import explain
from ingest.rules.model import Change, KOfN
from tests.ingest.county import NOW, County, pressure, reading, weight
from tests.ingest.plans import (
    DAY,
    HOUR,
    agree,
    alerts,
    breaches,
    events,
    household,
    pause,
    rests_on,
    weights,
)

RISE = Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0)
RED_RISE = Change(quantity=Quantity.BODY_WEIGHT, days=7, up=3.0, level=2)
OFTEN = KOfN(quantity=Quantity.SYSTOLIC, k=3, n=5, high=140)


def test_a_rise_is_found_with_what_it_rests_on_and_says_so(county: County) -> None:
    agree(county, RISE)
    first, second, third = weights(75.0, 76.0, 77.5)
    county.settle([first], [second], [third])
    assert alerts(county) == [("trend:body_weight", 1, "open", False)]
    assert breaches(county) == [(RISE.key, 1, 2.5, True)]
    assert rests_on(county, RISE.key) == {first.reading_id, third.reading_id}
    detail = county.one("select detail from breach")
    assert explain(detail["kind"], detail).startswith("Vikten har ökat 2,5")


def test_k_of_n_fires_at_the_kth_and_joins_the_alert_of_the_limits(county: County) -> None:
    agree(county, OFTEN)
    for hours, systolic in [(30, 150), (20, 130), (10, 145), (5, 165), (0, 148)]:
        county.settle([pressure(systolic, 80, measured_at=NOW - hours * HOUR)])
    assert [row[:3] for row in breaches(county)] == [
        ("", 1, 165.0),
        (OFTEN.key, 1, 3.0),
        (OFTEN.key, 1, 4.0),
    ]
    assert alerts(county) == [("limit:blood_pressure", 1, "open", False)]
    assert events(county) == ["opened", "joined"]


def test_the_same_readings_again_are_nothing_new(county: County) -> None:
    agree(county, RISE, OFTEN)
    readings = weights(75.0, 77.5) + [
        pressure(150, 80, measured_at=NOW - hours * HOUR) for hours in (30, 20, 10)
    ]
    county.settle(readings)
    before = breaches(county), alerts(county), events(county), county.count("breach_reading")
    county.settle(readings)
    county.settle(readings[:2])
    assert before == (
        breaches(county),
        alerts(county),
        events(county),
        county.count("breach_reading"),
    )
    assert len(before[0]) == 2


def test_what_is_recorded_raises_nothing_again_though_its_window_is_looked_at_anew(
    plain_county: County,
) -> None:
    agree(plain_county, RISE)
    plain_county.settle(weights(75.0, 77.5))
    plain_county.connection.execute("update alert set state = 'closed'")
    plain_county.settle([weight(75.5, measured_at=NOW - DAY / 2)])
    assert alerts(plain_county) == [("trend:body_weight", 1, "closed", False)]
    assert events(plain_county) == ["opened"]


def test_a_late_reading_makes_a_later_one_fire(plain_county: County) -> None:
    agree(plain_county, RISE)
    plain_county.settle([weight(77.5)])
    assert breaches(plain_county) == []
    plain_county.settle([weight(75.0, measured_at=NOW - 2 * DAY)])
    assert breaches(plain_county) == [(RISE.key, 1, 2.5, True)]
    assert alerts(plain_county) == [("trend:body_weight", 1, "open", False)]


def test_a_part_of_a_composite_is_recorded_and_alerts_nobody(plain_county: County) -> None:
    part = RISE.model_copy(update={"level": 0})
    agree(plain_county, part)
    plain_county.settle(weights(75.0, 77.5))
    assert breaches(plain_county) == [(part.key, 0, 2.5, False)]
    assert alerts(plain_county) == []


def test_a_value_of_a_pause_fires_nothing_and_is_seen_by_those_after_it(
    plain_county: County,
) -> None:
    agree(plain_county, RISE)
    pause(plain_county, NOW - 2.5 * DAY, NOW - DAY / 2)
    plain_county.settle([weight(75.0, measured_at=NOW - 3 * DAY)])
    plain_county.settle([weight(77.5, measured_at=NOW - DAY)])
    assert breaches(plain_county) == []
    plain_county.settle([weight(77.4)])
    assert [row[2] for row in breaches(plain_county)] == [pytest.approx(2.4)]


@pytest.mark.parametrize(("after", "found"), [(-1, 0), (0, 1), (1, 1)])
def test_a_pause_begins_with_its_first_moment_and_ends_before_its_last(
    plain_county: County, after: int, found: int
) -> None:
    agree(plain_county, RISE)
    pause(plain_county, NOW - 2 * DAY, NOW - DAY)
    plain_county.settle([weight(75.0, measured_at=NOW - 3 * DAY)])
    moment = NOW - DAY + after * timedelta(microseconds=1)
    plain_county.settle([weight(77.5, measured_at=moment)])
    assert len(breaches(plain_county)) == found


def test_a_new_plan_looks_at_new_readings_only(plain_county: County) -> None:
    plain_county.settle(weights(75.0, 77.5, 77.6, ending=NOW - HOUR))
    agree(plain_county, RISE, since=NOW - HOUR / 2)
    assert breaches(plain_county) == []
    plain_county.settle([weight(77.4)])
    assert [row[2] for row in breaches(plain_county)] == [pytest.approx(2.4)]


def test_a_doubted_value_is_in_no_window(plain_county: County) -> None:
    agree(plain_county, RISE)
    plain_county.settle([weight(26.0, measured_at=NOW - DAY)])  # below the soft bound
    plain_county.settle([weight(77.5)])
    assert breaches(plain_county) == []


def test_three_days_at_once_are_judged_by_the_plan_then_in_one_late_alert(county: County) -> None:
    """R14: by limits valid then, one grouped alert marked late, not red when it is over."""
    stricter = {Quantity.BODY_WEIGHT: {"yellow_high": 76.0, "red_high": 79.5}}
    agree(county, RED_RISE, limits={Quantity.BODY_WEIGHT: {"yellow_high": 79.0}})
    agree(county, RED_RISE, limits=stricter, since=NOW - 3 * DAY)
    days = [(75.0, 6.0), (77.0, 5.0), (78.5, 4.0), (79.6, 2.5), (78.5, 2.0)]
    late = [weight(kg, measured_at=NOW - ago * DAY) for kg, ago in days]
    county.settle([weight(75.5, measured_at=NOW - HOUR)])
    county.settle(late[:2], late[2:])
    assert [row[:3] for row in breaches(county)] == [
        (RED_RISE.key, 2, 3.5),
        ("", 2, 79.6),
        (RED_RISE.key, 2, pytest.approx(4.6)),
        ("", 1, 78.5),
        (RED_RISE.key, 2, 3.5),
    ]
    assert set(county.rows("select late from breach")) == {(True,)}
    assert sorted(alerts(county)) == [
        ("limit:body_weight", 1, "open", True),
        ("trend:body_weight", 1, "open", True),
    ]


def test_late_and_still_so_is_red(plain_county: County) -> None:
    agree(plain_county, RED_RISE)
    plain_county.settle([weight(79.0, measured_at=NOW - HOUR)])
    plain_county.settle(
        [weight(75.0, measured_at=NOW - 4 * DAY), weight(79.0, measured_at=NOW - 2 * DAY)]
    )
    assert alerts(plain_county) == [("trend:body_weight", 2, "open", False)]


def weight_on(scale: str, kg: float, days_ago: float) -> Reading:
    at = NOW - days_ago * DAY
    return reading({Quantity.BODY_WEIGHT: kg}, device_id=scale, measured_at=at)


def test_whatever_the_order_of_arrival_nothing_is_missed_and_one_alert_is_open(
    county: County,
) -> None:
    days = [(75.0, 4.0), (77.5, 3.0), (76.0, 2.0), (78.6, 1.0), (78.1, 0.0)]
    orders = list(permutations(range(len(days))))[::3]
    people = household(county, len(orders), RISE, RED_RISE, limits={})
    for turn in range(len(days)):
        county.settle(
            [
                weight_on(scale, *days[order[turn]])
                for order, (_, scale) in zip(orders, people, strict=True)
            ]
        )
    found: dict[int, set[tuple[object, ...]]] = {}
    for patient, *breach in county.rows("select patient_id, rule_key, measured_at from breach"):
        found.setdefault(patient, set()).add(tuple(breach))
    in_time_order = found[people[0][0]]
    assert len(in_time_order) >= 3
    assert [patient for patient, _ in people if not found[patient] >= in_time_order] == []
    assert county.rows("select patient_id from alert group by 1 having count(*) > 1") == []
