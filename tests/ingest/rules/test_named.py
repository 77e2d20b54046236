"""The cases of every kind that matter to a nurse, named."""

from typing import Final

import numpy as np
import pytest

from ingest.batch import DAY, HOUR, MINUTE, NO_TIME
from ingest.rules import change, k_of_n, missing
from ingest.rules.catalogue import KINDS
from tests.ingest.rules.stories import (
    NAN,
    Fired,
    Rule,
    Sample,
    Story,
    at,
    judged,
    rows_of,
    series_of,
)

NOW: Final = at(2026, 11, 22, 7)  # 08:00 in Sweden


def _samples(values: list[tuple[int, float]], quantity: int = 5) -> list[Sample]:
    return [
        Sample(1, quantity, when, number.to_bytes(16), value)
        for number, (when, value) in enumerate(values, 1)
    ]


def _found(kind: str, samples: list[Sample], rule: Rule, moment: int = NOW) -> list[Fired]:
    return judged(kind, Story(samples, [rule], {s.reading_id for s in samples}, [moment]))


def _of_days(*values: float, until: int = NOW) -> list[Sample]:
    """Return one value a day, the last now."""
    last = len(values) - 1
    return _samples([(until - (last - n) * DAY, value) for n, value in enumerate(values)])


# k of n


_THREE_OF_FIVE = {"k": 3, "n": 5, "days": 30, "high": 150.0}


@pytest.mark.parametrize(
    ("values", "fires_at"),
    [
        ((150, 150, 150), [3]),  # before there are five
        ((150, 149.9, 150, 150), [4]),
        ((160, 160, 120, 120, 120, 160), []),  # the first is the sixth last
        ((160, 160, 160, 120, 120), [3]),  # ordinary values fire nothing again
        ((160, 160, 160, 160), [3, 4]),
    ],
)
def test_three_of_five(values: tuple[float, ...], fires_at: list[int]) -> None:
    found = _found("k_of_n", _of_days(*values), Rule(1, 5, _THREE_OF_FIVE))
    assert [int.from_bytes(one.anchor or b"") for one in found] == fires_at


def test_old_readings_are_no_part_of_the_last() -> None:
    """Who measures once a month is not judged by half a year."""
    rule = Rule(1, 5, _THREE_OF_FIVE)
    seldom = _samples([(NOW - 15 * DAY * n, 160.0) for n in (2, 1, 0)])
    assert len(_found("k_of_n", seldom, rule)) == 1
    assert _found("k_of_n", _samples([(NOW - 16 * DAY * n, 160.0) for n in (2, 1, 0)]), rule) == []


def test_a_rule_without_a_bound_fires_at_nothing() -> None:
    rule = Rule(1, 5, {"k": 1, "n": 1, "days": 1})
    assert _found("k_of_n", _of_days(1e5, 0.0), rule) == []


def test_only_what_lies_beyond_its_bound_can_make_k_of_n_fire() -> None:
    given: list[dict[str, float]] = [{"high": 150.0}, {"low": 100.0}, {"status": 4.0}]
    rules = rows_of("k_of_n", [Rule(1, 5, {"k": 1, "n": 1, "days": 1, **one}) for one in given])
    rule = np.array([0, 0, 1, 1, 2, 2])
    value = np.array([150.0, 149.9, 100.0, 99.9, 120.0, 120.0])
    status = np.array([4, 4, 0, 0, 32, 36], np.int32)
    could = k_of_n.could_fire(rules, rule, value, status)
    assert could.tolist() == [True, False, False, True, False, True]


def test_any_value_can_make_a_change_fire() -> None:
    """A low one that comes late makes a high one of yesterday a gain."""
    rules = rows_of("change", [Rule(1, 5, {"days": 3, "up": 2.0})])
    could = change.could_fire(rules, np.zeros(2, np.int64), np.zeros(2), np.zeros(2, np.int32))
    assert could.tolist() == [True, True]
    samples = _of_days(75.0, 78.0)
    late = Story(samples, [Rule(1, 5, {"days": 3, "up": 2.0})], {samples[0].reading_id})
    assert [one.anchor for one in judged("change", late)] == [samples[1].reading_id]


# change


@pytest.mark.parametrize(
    ("params", "before", "now", "fires"),
    [
        ({"up": 2.0}, 75.1, 77.1, False),  # exactly 2.0 is not more
        ({"up": 2.0}, 75.1, 77.2, True),
        ({"down": 3.0}, 80.1, 77.1, True),  # exactly 3.0 is at it
        ({"down": 3.0}, 80.0, 77.1, False),
        ({"up": 2.0}, 80.0, 77.0, False),
        ({"down": 3.0}, 77.0, 80.0, False),
    ],
)
def test_a_gain_is_more_than_its_bound_and_a_loss_at_it(
    params: dict[str, float], before: float, now: float, fires: bool
) -> None:
    found = _found("change", _of_days(before, now), Rule(1, 5, {"days": 3, **params}))
    assert [round(one.value, 6) for one in found] == [round(abs(now - before), 6)] * fires


@pytest.mark.parametrize(("ago", "fires"), [(0, False), (1, True), (3, True), (4, False)])
def test_the_days_before_are_those_before_today(ago: int, fires: bool) -> None:
    """What she weighed this morning is no trend, nor what she weighed last week."""
    earlier = NOW - ago * DAY - 5 * HOUR
    found = _found(
        "change", _samples([(earlier, 75.0), (NOW, 80.0)]), Rule(1, 5, {"days": 3, "up": 2})
    )
    assert bool(found) is fires


@pytest.mark.parametrize(
    ("evening", "morning"),
    [
        # Midnight in Sweden is 22:00 UTC in summer and 23:00 in winter.
        (at(2026, 3, 28, 22, 59), at(2026, 3, 29, 21, 59)),
        (at(2026, 10, 24, 21, 59), at(2026, 10, 25, 22, 59)),
    ],
)
def test_a_day_of_23_or_25_hours_is_one_day(evening: int, morning: int) -> None:
    rule = Rule(1, 5, {"days": 1, "up": 2})
    assert _found("change", _samples([(evening, 75.0), (morning, 80.0)]), rule)
    assert not _found("change", _samples([(evening, 75.0), (morning + MINUTE, 80.0)]), rule)
    assert not _found("change", _samples([(evening + MINUTE, 75.0), (morning, 80.0)]), rule)


@pytest.mark.parametrize("kind", ["change", "k_of_n"])
def test_a_new_plan_brings_up_nothing_old_and_forgets_nothing(kind: str) -> None:
    """The reading of its own day fires, and those of before are in its window."""
    params = {"change": {"days": 3, "up": 2.0}, "k_of_n": {**_THREE_OF_FIVE, "k": 2, "high": 78.0}}
    samples = _of_days(75.0, 78.0, 78.5)
    since = NOW - HOUR
    found = _found(kind, samples, Rule(1, 5, params[kind], since=since))
    assert [one.at for one in found] == [NOW]
    assert _found(kind, samples, Rule(1, 5, params[kind], since=NOW + 1)) == []
    assert [one.at for one in _found(kind, samples, Rule(1, 5, params[kind], since=NOW))] == [NOW]
    ended = Rule(1, 5, params[kind], until=NOW)
    assert NOW not in [one.at for one in _found(kind, samples, ended)]


# mean


_HOME = {"days": 7, "readings_min": 12, "days_min": 3, "high": 135.0}


def _week(*days: list[float]) -> list[Sample]:
    """Return the readings of the days before today, the first day first."""
    return _samples(
        [
            (NOW - (len(days) - n) * DAY + place * MINUTE, value)
            for n, values in enumerate(days)
            for place, value in enumerate(values)
        ]
    )


@pytest.mark.parametrize(
    ("days", "mean"),
    [
        ([[200, 200], *[[135, 135]] * 3], 135.0),  # the first day is dropped; at the bound
        ([[200, 200], *[[135, 134.9]] * 3], None),
        ([[135, 135], *[[135, 135]] * 2], None),  # two days are left
        ([[135, 135], [], *[[135, 135]] * 3], 135.0),  # a gap
        ([[135, 135], *[[135]] * 6], None),  # days of one reading are not valid
        ([[135] * 2, [135] * 12], 135.0),  # but twelve readings are enough
        ([[135] * 2, [135] * 11], None),
        ([[100] * 9, [100] * 9, *[[150]] * 6], None),  # of readings, not of days
    ],
)
def test_the_mean_at_home(days: list[list[float]], mean: float | None) -> None:
    found = _found("rolling_mean", _week(*days), Rule(1, 5, _HOME))
    assert [one.value for one in found] == ([] if mean is None else [mean])


def test_the_week_is_that_before_today() -> None:
    days: list[list[float]] = [[200.0, 200.0], *[[135.0, 135.0]] * 7]
    found = _found("rolling_mean", _week(*days), Rule(1, 5, _HOME))
    assert [one.extra for one in found] == [(12.0, 6.0)]  # the eighth day ago is out
    today = _week(*days[:4])[:-2] + _samples([(NOW, 500.0)])
    assert _found("rolling_mean", today, Rule(1, 5, {**_HOME, "days_min": 2}))[0].value == 135


# baseline


_USUAL = {
    "days": 2,
    "baseline_days": 4,
    "percent": 60,
    "valid_days_min": 3,
    "recent_days_min": 2,
}


@pytest.mark.parametrize(
    ("before", "recent", "fires"),
    [
        ((1000, 1000, 1000), (599, 600), True),
        ((1000, 1000, 1000), (600, 600), False),  # exactly 60 % is not below it
        ((900, 1000, 1000, 1100), (0, 0), True),  # a day of nothing is a day
        ((1000, 1000), (0, 0), False),  # too few to know what is usual
        ((1000, 1000, 1000), (0,), False),
        ((0, 0, 0), (0, 0), False),
        ((100, 100, 1000, 1000), (329, 330), True),  # of an even number, half way
        ((100, 100, 1000, 1000), (330, 330), False),
    ],
)
def test_fewer_than_usual(
    before: tuple[float, ...], recent: tuple[float, ...], fires: bool
) -> None:
    values = [(NOW - (3 + n) * DAY, value) for n, value in enumerate(before)]
    values += [(NOW - (1 + n) * DAY, value) for n, value in enumerate(recent)]
    found = _found("baseline", _samples(values), Rule(1, 5, _USUAL, level=2))
    assert [one.level for one in found] == [1] * fires  # never red alone


def test_a_day_counts_with_its_highest_value() -> None:
    """A counter that is reset at noon says 900, then 100."""
    before = [(NOW - n * DAY + m * HOUR, v) for n in (3, 4, 5) for m, v in ((0, 900.0), (4, 100.0))]
    recent = [(NOW - n * DAY, 500.0) for n in (1, 2)]
    found = _found("baseline", _samples(before + recent), Rule(1, 5, _USUAL))
    assert [one.extra[0] for one in found] == [900]


# missing


@pytest.mark.parametrize(
    ("params", "hours", "fires"),
    [
        ({"interval_h": 24}, 36, True),  # half of 24 is 12
        ({"interval_h": 24}, 35.99, False),
        ({"interval_h": 12}, 24, True),  # 12 at least
        ({"interval_h": 12}, 23.99, False),
        ({"interval_h": 48}, 72, True),
        ({"interval_h": 48}, 71.99, False),
        ({"interval_h": 24, "grace_h": 1}, 25, True),
        ({"interval_h": 24, "grace_h": 1}, 24.99, False),
    ],
)
def test_a_measurement_is_missing_after_interval_and_grace(
    params: dict[str, float], hours: float, fires: bool
) -> None:
    last = _samples([(NOW - round(hours * HOUR), 75.0)])
    assert bool(_found("missing", last, Rule(1, 5, params))) is fires


def test_a_doubted_measurement_is_there_and_one_of_another_is_not() -> None:
    rule = Rule(1, 5, {"interval_h": 24})
    doubted = Sample(1, 5, NOW - HOUR, b"a" * 16, NAN, counts=False)
    assert _found("missing", [doubted], rule) == []
    for other in (Sample(2, 5, NOW - HOUR, b"a" * 16, 75.0), Sample(1, 6, NOW, b"a" * 16, 75.0)):
        assert len(_found("missing", [other], rule)) == 1
    later = Sample(1, 5, NOW + 1, b"a" * 16, 75.0)
    assert len(_found("missing", [later], rule)) == 1


@pytest.mark.parametrize(("awake_h", "fires"), [(36, True), (35, False), (100, True)])
def test_the_end_of_a_pause_begins_the_interval_anew(awake_h: int, fires: bool) -> None:
    series = series_of(_samples([(NOW - 50 * HOUR, 75.0)]))
    rules = rows_of("missing", [Rule(1, 5, {"interval_h": 24})])
    awake = np.array([NOW - awake_h * HOUR])
    assert bool(len(missing.evaluate(series, rules, np.array([NOW]), awake))) is fires


def test_what_is_expected_when() -> None:
    """From the latest of: the last measurement, the plan, the end of a pause."""
    rules = rows_of("missing", [Rule(1, 5, {"interval_h": 24}, since=NOW)] * 3)
    last = np.array([NO_TIME, NOW + 2 * HOUR, NOW + 2 * HOUR])
    assert missing.expected(rules, last).tolist() == [NOW + h * HOUR for h in (24, 26, 26)]
    awake = np.array([NOW + HOUR, NO_TIME, NOW + 3 * HOUR])
    assert missing.expected(rules, last, awake).tolist() == [NOW + h * HOUR for h in (25, 26, 27)]


@pytest.mark.parametrize(
    ("kind", "params", "before", "after"),
    [
        ("k_of_n", {"days": 30}, 31 * DAY + HOUR, 31 * DAY + HOUR),
        ("change", {"days": 7}, 8 * DAY + HOUR, 8 * DAY + HOUR),
        ("rolling_mean", {"days": 7}, 8 * DAY + HOUR, 0),
        ("baseline", {"days": 7, "baseline_days": 28}, 36 * DAY + HOUR, 0),
        ("missing", {"interval_h": 24}, 36 * HOUR, 0),
    ],
)
def test_how_far_a_rule_reaches(
    kind: str, params: dict[str, float], before: int, after: int
) -> None:
    """A day more for the day itself, and an hour for the night when clocks go back."""
    sides = KINDS[kind].module.reach(rows_of(kind, [Rule(1, 5, params)] * 2))
    assert [side.tolist() for side in sides] == [[before] * 2, [after] * 2]
