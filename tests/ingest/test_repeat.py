"""Repeats: a red single waits for a second measurement, and the mean of the two decides."""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Status
from ingest import pg_binary, repeat, windows
from ingest.registry import Registry
from ingest.rules.explain import explain
from ingest.rules.model import Repeat
from ingest.rules.table import Series
from tests.ingest.county import NOW, County, pressure, reading
from tests.ingest.plans import (
    DAY,
    HOUR,
    MINUTE,
    agree,
    alerts,
    breaches,
    events,
    pause,
    rests_on,
    waits,
)

TWICE = Repeat(quantity=Quantity.SYSTOLIC)
AT = NOW - HOUR
LATER = AT + 6 * MINUTE


@pytest.fixture
def county(county: County) -> County:
    """With a repeat rule in force."""
    agree(county, TWICE)
    return county


@pytest.fixture
def plain_county(plain_county: County) -> County:
    """With a repeat rule in force."""
    agree(plain_county, TWICE)
    return plain_county


def settle_due(county: County, now: datetime = NOW + HOUR) -> int:
    """Let the clock decide what is due at *now*."""
    return asyncio.run(_settle_due(county.dsn, now))


async def _settle_due(dsn: str, now: datetime) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        return await repeat.settle_due(connection, Registry(), now, 100)


def test_a_red_single_is_a_fact_and_alerts_nobody_yet(county: County) -> None:
    county.settle([pressure(192, 97, measured_at=AT)])
    assert breaches(county) == [("", 2, 192.0, False), ("", 1, 97.0, False)]
    assert (alerts(county), waits(county)) == ([], [(None, None)])
    assert county.rows("select due_at - measured_at, late from repeat_wait") == [
        (HOUR + MINUTE, False)  # a minute after it came, since it came after the half hour
    ]


def test_a_yellow_single_alerts_at_once(plain_county: County) -> None:
    plain_county.settle([pressure(165, 80)])
    assert (alerts(plain_county), waits(plain_county)) == (
        [("limit:blood_pressure", 1, "open", False)],
        [],
    )


# first and second: systolic/diastolic; what is open after both; what was recorded by the rule
OUTCOMES = [
    ((192, 80), (190, 80), 2, "confirmed", [191.0]),
    ((192, 80), (150, 80), 1, "confirmed", [171.0]),
    ((184, 80), (130, 80), 0, "calmed", []),
    ((184, 112), (130, 112), 2, "confirmed", [112.0]),
    ((85, 60), (190, 80), 2, "confirmed", [85.0]),  # red on both sides has no mean
]


@pytest.mark.parametrize("how", ["at once", "later", "backwards"])
def test_the_mean_of_two_decides(plain_county: County, how: str) -> None:
    """One patient a case, all in the same batches."""
    ones, twos = [], []
    for number, (first, second, *_) in enumerate(OUTCOMES):
        cuff, patient = f"cuff-{number}", plain_county.add_patient()
        plain_county.lend(cuff, patient)
        agree(plain_county, TWICE, patient_id=patient)
        ones.append(pressure(*first, device_id=cuff, measured_at=AT))
        twos.append(pressure(*second, device_id=cuff, measured_at=LATER))
    orders = {"at once": [[*twos, *ones]], "later": [ones, twos], "backwards": [twos, ones]}
    for batch in orders[how]:
        plain_county.settle(batch)
    assert settle_due(plain_county) == 0
    expected = {one.reading_id: case for one, case in zip(ones, OUTCOMES, strict=True)}
    seconds = {one.reading_id: two.reading_id for one, two in zip(ones, twos, strict=True)}
    decided = plain_county.rows(
        "select w.reading_id, w.outcome, w.repeat_reading_id, coalesce(a.level, 0),"
        " array(select value from breach b where b.reading_id = w.repeat_reading_id"
        "       and b.rule_key = w.rule_key order by value),"
        " array(select o.reading_id from breach b join breach_reading o using (breach_id)"
        "       where b.reading_id = w.repeat_reading_id and b.rule_key = w.rule_key),"
        " exists (select from breach b where b.patient_id = w.patient_id and b.alert_id is null)"
        " from repeat_wait w left join alert a using (patient_id) where w.reading_id = any (%s)",
        list(expected),
    )
    assert len(decided) == len(OUTCOMES)
    for one, outcome, repeated_by, level, means, rests, is_held in decided:
        _, _, *told = expected[one]
        assert [level, outcome, means] == told
        assert repeated_by == seconds[one]
        assert set(rests) == ({one, repeated_by} if means else set())
        assert is_held == (outcome == "calmed")


def test_the_sentence_names_both(plain_county: County) -> None:
    plain_county.settle([pressure(192, 80, measured_at=AT), pressure(190, 80, measured_at=LATER)])
    detail = plain_county.one("select detail from breach where rule_key = %s", TWICE.key)
    told = explain(detail["kind"], detail).replace("\u00a0", " ")
    assert [number for number in ("192", "190", "191") if number not in told] == []


def test_one_that_is_anothers_repeat_counts_as_taken(county: County) -> None:
    """Else a full claim looks as if nothing were left, and what waits behind it waits on."""
    one, two = pressure(192, 80, measured_at=AT), pressure(190, 80, measured_at=LATER)
    county.settle([one])
    columns = "patient_id, quantity_id, plan_version_id, rule_key, repeat_until, due_at, late"
    county.connection.execute(f"create table waited as select {columns} from repeat_wait")
    county.settle([two])
    county.connection.execute("delete from repeat_wait")
    for held in (one, two):
        county.connection.execute(
            f"insert into repeat_wait (reading_id, measured_at, {columns}) "
            f"select %s, %s, {columns} from waited",
            [held.reading_id, held.measured_at],
        )
    assert settle_due(county) == 2


def test_without_a_repeat_the_red_stands_when_the_time_has_run_out(county: County) -> None:
    county.settle([pressure(192, 97, measured_at=NOW)])
    half_an_hour = NOW + 30 * MINUTE
    assert settle_due(county, half_an_hour - MINUTE) == 0
    assert alerts(county) == []
    assert settle_due(county, half_an_hour) == 1
    assert settle_due(county, half_an_hour) == 0
    assert alerts(county) == [("limit:blood_pressure", 2, "open", False)]
    assert waits(county) == [("unrepeated", None)]
    assert [row[3] for row in breaches(county)] == [True, True]
    assert county.rows("select event, detail from alert_log") == [
        ("opened", {"level": 2, "breaches": 2})
    ]


def test_a_repeat_that_comes_after_the_decision_is_judged_by_itself(plain_county: County) -> None:
    plain_county.settle([pressure(192, 80, measured_at=AT)])
    settle_due(plain_county)
    plain_county.settle([pressure(120, 80, measured_at=LATER)])
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]
    assert waits(plain_county) == [("unrepeated", None)]


@pytest.mark.parametrize(("passed", "is_repeat"), [(30 * MINUTE, True), (31 * MINUTE, False)])
def test_a_repeat_is_in_time_until_the_last_moment(
    plain_county: County, passed: Any, *, is_repeat: bool
) -> None:
    plain_county.settle([pressure(184, 80, measured_at=AT)])
    plain_county.settle([pressure(130, 80, measured_at=AT + passed)])
    assert waits(plain_county)[0][0] == ("calmed" if is_repeat else None)


def test_a_repeat_asks_for_none_itself(plain_county: County) -> None:
    plain_county.settle([pressure(192, 80, measured_at=AT)])
    plain_county.settle([pressure(194, 80, measured_at=LATER)])
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed"]
    assert events(plain_county) == ["opened"]
    plain_county.settle([pressure(196, 80, measured_at=LATER + MINUTE)])
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed", None]


def test_one_reading_may_be_the_repeat_of_a_red_and_of_a_doubted_red(plain_county: County) -> None:
    plain_county.settle(
        [
            pressure(192, 80, measured_at=AT),
            pressure(200, 80, measured_at=AT + MINUTE, status=Status.BODY_MOVEMENT),
            pressure(162, 80, measured_at=LATER),
        ]
    )
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed"]
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]
    assert breaches(plain_county) == [
        ("", 2, 192.0, True),
        ("", 1, 162.0, True),
        (TWICE.key, 2, 181.0, True),
    ]


def test_three_reds_at_once_are_a_pair_and_a_single(plain_county: County) -> None:
    plain_county.settle([pressure(190 + n, 80, measured_at=AT + n * MINUTE) for n in range(3)])
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed", None]
    settle_due(plain_county)
    assert [row[0] for row in waits(plain_county)] == ["confirmed", "confirmed", "unrepeated"]
    assert events(plain_county) == ["opened", "joined"]


def test_what_comes_late_waits_a_minute_and_is_calmed_by_what_is_newer(county: County) -> None:
    county.settle([pressure(120, 80)])
    county.settle([pressure(192, 80, measured_at=NOW - 2 * DAY)])
    assert county.one("select due_at from repeat_wait") == NOW + MINUTE
    assert settle_due(county) == 1
    assert alerts(county) == [("limit:blood_pressure", 1, "open", True)]


def test_of_a_backlog_only_what_is_near_the_reds_is_fetched(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    fetch = windows.fetch

    async def counted(connection: psycopg.AsyncConnection[Any], span: windows.Span) -> Series:
        series = await fetch(connection, span)
        fetched.append(len(series))
        return series

    days = [pressure(120, 80, measured_at=NOW - day * DAY) for day in range(2, 40)]
    reds = [pressure(192, 80, measured_at=NOW - day * DAY + HOUR) for day in (3, 20, 39)]
    plain_county.settle(days + reds)
    monkeypatch.setattr(windows, "fetch", counted)
    assert settle_due(plain_county) == len(reds)
    assert fetched == [len(reds) * len(reds[0].values)]


def test_a_newer_red_that_is_held_calms_nothing(plain_county: County) -> None:
    plain_county.settle([pressure(192, 80)])
    plain_county.settle([pressure(192, 80, measured_at=NOW - 2 * DAY)])
    assert settle_due(plain_county, NOW + 5 * MINUTE) == 1
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", True)]


def test_a_late_pair_is_marked_late(plain_county: County) -> None:
    then = NOW - 2 * DAY
    plain_county.settle([pressure(192, 80, measured_at=then)])
    plain_county.settle([pressure(190, 80, measured_at=then + 5 * MINUTE)])
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", True)]


def test_a_doubted_red_asks_for_a_repeat_and_breaks_no_limit(plain_county: County) -> None:
    first = pressure(192, 80, measured_at=AT, status=Status.BODY_MOVEMENT)
    plain_county.settle([first])
    assert (breaches(plain_county), alerts(plain_county), waits(plain_county)) == (
        [],
        [],
        [(None, None)],
    )
    second = pressure(186, 80, measured_at=LATER)
    plain_county.settle([second])
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]
    assert breaches(plain_county) == [("", 2, 186.0, True), (TWICE.key, 2, 189.0, True)]


def test_a_doubted_red_stands_if_no_repeat_comes(county: County) -> None:
    first = pressure(192, 80, measured_at=AT, status=Status.BODY_MOVEMENT)
    county.settle([first])
    assert settle_due(county) == 1
    assert alerts(county) == [("limit:blood_pressure", 2, "open", False)]
    assert breaches(county) == [(TWICE.key, 2, 192.0, True)]
    assert rests_on(county, TWICE.key) == {first.reading_id}
    detail = county.one("select detail from breach")
    assert "inget omtag" in explain(detail["kind"], detail)


@pytest.mark.parametrize("systolic", [120, 165])
def test_a_doubted_value_that_is_not_red_asks_for_nothing(
    plain_county: County, systolic: float
) -> None:
    plain_county.settle([pressure(systolic, 80, measured_at=AT, status=Status.BODY_MOVEMENT)])
    assert (alerts(plain_county), waits(plain_county)) == ([], [])


def test_a_doubted_repeat_is_none(plain_county: County) -> None:
    plain_county.settle([pressure(192, 80, measured_at=AT)])
    plain_county.settle([pressure(100, 60, measured_at=LATER, status=Status.CUFF_LOOSE)])
    assert waits(plain_county) == [(None, None)]


def test_what_is_measured_in_a_pause_asks_for_nothing(plain_county: County) -> None:
    pause(plain_county, AT - HOUR, AT + HOUR)
    plain_county.settle([pressure(192, 80, measured_at=AT)])
    plain_county.settle([pressure(192, 80, measured_at=LATER, status=Status.BODY_MOVEMENT)])
    assert (breaches(plain_county), waits(plain_county)) == ([], [])


def test_a_plan_without_the_rule_asks_for_nothing(plain_county: County) -> None:
    agree(plain_county, since=AT - MINUTE)
    plain_county.settle([pressure(192, 80, measured_at=AT)])
    assert (len(alerts(plain_county)), waits(plain_county)) == (1, [])


def test_another_panel_of_the_same_act_is_not_held(plain_county: County) -> None:
    values = {Quantity.SYSTOLIC: 192.0, Quantity.DIASTOLIC: 80.0, Quantity.PULSE: 130.0}
    plain_county.settle([reading(values, measured_at=AT)])
    assert alerts(plain_county) == [("limit:pulse", 2, "open", False)]


def test_each_panel_of_an_act_waits_by_itself(plain_county: County) -> None:
    agree(plain_county, TWICE, Repeat(quantity=Quantity.PULSE), since=AT - MINUTE)
    values = {Quantity.SYSTOLIC: 192.0, Quantity.DIASTOLIC: 80.0, Quantity.PULSE: 130.0}
    plain_county.settle([reading(values, measured_at=AT)])
    plain_county.settle([pressure(120, 70, measured_at=LATER)])
    assert plain_county.rows("select rule_key, outcome from repeat_wait order by 1") == [
        ("repeat:blood_pressure", "calmed"),
        ("repeat:pulse", None),
    ]
    settle_due(plain_county)
    assert alerts(plain_county) == [("limit:pulse", 2, "open", False)]


def test_the_same_again_asks_for_nothing_more(plain_county: County) -> None:
    batch = [pressure(192, 80, measured_at=AT), pressure(190, 80, measured_at=LATER)]
    plain_county.settle(batch)
    before = breaches(plain_county), alerts(plain_county), events(plain_county), waits(plain_county)
    plain_county.settle(batch)
    assert before == (
        breaches(plain_county),
        alerts(plain_county),
        events(plain_county),
        waits(plain_county),
    )
