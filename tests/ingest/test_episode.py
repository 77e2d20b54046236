"""Alerts: one for an act of measuring, joined, raised, late, and never in a storm."""

from datetime import datetime, timedelta

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Status
from tests.ingest.county import CUFF, NOW, County, pressure, reading
from tests.ingest.plans import pause

DAY = timedelta(days=1)


def _alerts(county: County) -> list[tuple[object, ...]]:
    return county.rows("select rule, level, state, late, measured_at from alert order by alert_id")


def _events(county: County) -> list[str]:
    return [row[0] for row in county.rows("select event from alert_log order by entry_id")]


def test_one_act_of_measuring_is_one_alert(county: County) -> None:
    county.settle([pressure(192, 112)])
    assert _alerts(county) == [("limit:blood_pressure", 2, "open", False, NOW)]
    assert county.rows(
        "select code, b.rule, b.level, side, value, bound, b.late from breach b"
        " join quantity using (quantity_id) join alert using (alert_id) order by quantity_id"
    ) == [
        ("systolic", "limit:blood_pressure", 2, "high", 192.0, 180.0, False),
        ("diastolic", "limit:blood_pressure", 2, "high", 112.0, 110.0, False),
    ]
    assert county.rows("select event, detail from alert_log") == [
        ("opened", {"level": 2, "breaches": 2})
    ]


@pytest.mark.parametrize(
    ("doubt", "alerts"),
    [
        ({"clock_offset_s": 3600.0}, [("limit:blood_pressure", 2, "open", False, NOW)]),
        ({"status": Status.CUFF_LOOSE}, []),
    ],
    ids=["of the time", "of the value"],
)
def test_a_doubted_value_alerts_nobody_but_a_doubted_time_does(
    county: County, doubt: dict[str, float], alerts: list[tuple[object, ...]]
) -> None:
    county.settle([pressure(192, 112, **doubt)])
    assert _alerts(county) == alerts
    assert county.rows("select suspicion > 0 from reading") == [(True,)]


def test_values_in_range_open_nothing(county: County) -> None:
    county.settle([pressure(159.9, 94.9)])
    assert _alerts(county) == []


def test_a_second_breach_joins_and_a_worse_one_raises(county: County) -> None:
    county.settle([pressure(165, 85, measured_at=NOW - timedelta(hours=3))])
    county.settle([pressure(166, 85, measured_at=NOW - timedelta(hours=2))])
    county.settle([pressure(185, 85, measured_at=NOW - timedelta(hours=1))])
    county.settle([pressure(166, 85)])
    assert _events(county) == ["opened", "joined", "raised", "joined"]
    assert _alerts(county) == [("limit:blood_pressure", 2, "open", False, NOW)]


def test_a_raised_alert_is_open_again_and_a_joined_one_stays_acknowledged(county: County) -> None:
    county.settle([pressure(165, 85, measured_at=NOW - timedelta(hours=3))])
    county.connection.execute("update alert set state = 'acknowledged'")
    county.settle([pressure(166, 85, measured_at=NOW - timedelta(hours=2))])
    assert _alerts(county)[0][2] == "acknowledged"
    county.settle([pressure(185, 85)])
    assert _alerts(county)[0][2] == "open"


def test_after_closing_a_breach_opens_a_new_alert(county: County) -> None:
    county.settle([pressure(165, 85, measured_at=NOW - timedelta(hours=3))])
    county.connection.execute("update alert set state = 'closed'")
    county.settle([pressure(166, 85)])
    assert [row[2] for row in _alerts(county)] == ["closed", "open"]


def test_what_is_measured_separately_alerts_separately(county: County) -> None:
    values = {Quantity.SYSTOLIC: 192.0, Quantity.DIASTOLIC: 112.0, Quantity.PULSE: 130.0}
    county.settle([reading(values)])
    assert [row[0] for row in _alerts(county)] == ["limit:blood_pressure", "limit:pulse"]


def test_a_suspect_value_opens_nothing_and_is_stored(county: County) -> None:
    county.settle([pressure(192, 112, status=2)])  # cuff loose
    assert _alerts(county) == []
    assert county.count("sample") == 2


def test_days_that_arrive_at_once_are_one_alert_marked_late(county: County) -> None:
    readings = [
        pressure(192, 112, measured_at=NOW - 3 * DAY + n * timedelta(hours=8)) for n in range(6)
    ]
    county.settle(readings[:3], readings[3:])
    assert [row[:4] for row in _alerts(county)] == [("limit:blood_pressure", 2, "open", True)]
    assert _events(county) == ["opened"]
    assert county.count("breach") == 12


@pytest.mark.parametrize(
    ("age", "is_late"), [(DAY, False), (DAY + timedelta(microseconds=1), True)]
)
def test_late_is_what_was_measured_more_than_a_day_ago(
    plain_county: County, age: timedelta, *, is_late: bool
) -> None:
    plain_county.settle([pressure(192, 112, measured_at=NOW - age)])
    assert [row[3] for row in _alerts(plain_county)] == [is_late]


def test_an_alert_that_a_breach_of_today_joins_is_late_no_more(county: County) -> None:
    county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY)])
    county.settle([pressure(192, 112)])
    assert [row[3] for row in _alerts(county)] == [False]


def test_a_late_breach_is_not_red_when_a_newer_value_is_in_range(county: County) -> None:
    county.settle([pressure(120, 80, measured_at=NOW - timedelta(hours=1))])
    county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY)])
    assert _alerts(county) == [("limit:blood_pressure", 1, "open", True, NOW - 2 * DAY)]
    assert county.rows("select distinct level, late from breach") == [(2, True)]


def test_the_newer_value_may_come_in_the_same_batch(county: County) -> None:
    county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY), pressure(120, 80)])
    assert [row[1] for row in _alerts(county)] == [1]


def test_a_newer_value_of_a_pause_calms_nothing(plain_county: County) -> None:
    hour = timedelta(hours=1)
    pause(plain_county, NOW - 2 * hour, NOW)
    plain_county.settle([pressure(120, 80, measured_at=NOW - hour)])
    plain_county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY)])
    assert [row[1] for row in _alerts(plain_county)] == [2]


def test_a_newer_value_that_breaks_a_limit_too_calms_nothing(county: County) -> None:
    county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY), pressure(165, 96)])
    assert [row[1:4] for row in _alerts(county)] == [(2, "open", False)]


def test_a_newer_value_that_is_suspect_calms_nothing(county: County) -> None:
    county.settle([pressure(192, 112, measured_at=NOW - 2 * DAY), pressure(120, 80, status=2)])
    assert [row[1] for row in _alerts(county)] == [2]


def test_a_red_breach_of_today_stays_red_whatever_came_after(county: County) -> None:
    county.settle([pressure(192, 112, measured_at=NOW - timedelta(hours=2)), pressure(120, 80)])
    assert [row[1:4] for row in _alerts(county)] == [(2, "open", False)]


def test_a_new_plan_is_for_new_values_only(county: County) -> None:
    def settle_at(at: datetime) -> int:
        county.settle([pressure(155, 85, measured_at=at)])
        return county.count("breach")

    county.plan(county.patient_id, NOW - DAY / 2, {Quantity.SYSTOLIC: {"yellow_high": 150}})
    assert settle_at(NOW - DAY) == 0
    assert settle_at(NOW) == 1


def test_each_patient_has_an_alert_of_her_own(county: County) -> None:
    other = county.add_patient()
    county.lend("other", other)
    county.plan(other, NOW - 9 * DAY, {Quantity.SYSTOLIC: {"yellow_high": 130}})
    county.settle([pressure(140, 80, device_id="other"), pressure(192, 80, device_id=CUFF)])
    assert county.rows("select patient_id, level from alert order by patient_id") == [
        (county.patient_id, 2),
        (other, 1),
    ]


def test_alerts_is_told_when_an_alert_changes_and_only_then(county: County) -> None:
    with psycopg.connect(county.dsn, autocommit=True) as listener:
        listener.execute("listen alert")
        county.settle([pressure(120, 80, measured_at=NOW - timedelta(hours=1))])
        assert list(listener.notifies(timeout=0)) == []
        county.settle([pressure(192, 112)])
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1
