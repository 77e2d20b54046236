"""A person's word on a reading, and what follows when it is judged once more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Status
from ingest import pg_binary, rejudge, review
from ingest.plausibility import Suspicion
from ingest.registry import Registry
from ingest.review import ReviewError
from ingest.rules.model import KOfN
from tests.ingest.county import NOW, County, batch_of, pressure
from tests.ingest.plans import (
    DAY,
    HOUR,
    MINUTE,
    agree,
    alerts,
    breaches,
    events,
    pause,
    waits,
    weights,
)
from tests.ingest.test_repeat import TWICE, settle_due
from tests.ingest.test_windows import RISE

DOUBTED = {"status": Status.BODY_MOVEMENT}
S, D = Quantity.SYSTOLIC, Quantity.DIASTOLIC


def _do(
    county: County, act: Callable[[psycopg.AsyncConnection[Any]], Awaitable[Any]], *, then: bool
) -> Any:
    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
            pg_binary.register(connection)
            result = await act(connection)
            while then and await rejudge.run(connection, Registry(), 1):
                pass
            return result

    return asyncio.run(run())


def confirm(county: County, reading_id: UUID, *, then: bool = True) -> None:
    _do(county, lambda c: review.confirm(c, reading_id, staff_id=7, why="ringde"), then=then)


def reject(county: County, reading_id: UUID) -> None:
    _do(county, lambda c: review.reject(c, reading_id), then=True)


def correct(county: County, reading_id: UUID, values: dict[Quantity, float]) -> UUID:
    new: UUID = _do(county, lambda c: review.correct(c, reading_id, values), then=True)
    return new


def judge_again(county: County) -> int:
    return int(_do(county, lambda c: rejudge.run(c, Registry(), 100), then=False))


def test_a_confirmed_value_is_held_against_the_limits(county: County) -> None:
    doubted = pressure(192, 80, measured_at=NOW - HOUR, **DOUBTED)
    county.settle([doubted])
    agree(county, limits={S: {"yellow_high": 100}}, since=NOW - HOUR / 2)
    confirm(county, doubted.reading_id)
    assert breaches(county) == [("", 2, 192.0, True)]
    assert alerts(county) == [("limit:blood_pressure", 2, "open", False)]
    assert county.rows("select verdict, staff_id, why from reading_review") == [
        ("confirmed", 7, "ringde")
    ]
    assert county.one("select r.revision = g.revision from reading r, registry g")
    assert county.count("rejudge") == 0


def test_a_confirmed_value_is_in_the_windows(plain_county: County) -> None:
    agree(plain_county, RISE, limits={})
    first, doubted, third = weights(75.0, 25.0, 74.0)
    plain_county.settle([first, doubted, third])
    assert breaches(plain_county) == []
    confirm(plain_county, doubted.reading_id)
    assert breaches(plain_county) == [(RISE.key, 1, 49.0, True)]


def test_what_was_found_is_not_found_again(plain_county: County) -> None:
    agree(plain_county, RISE)
    readings = weights(75.0, 77.5, 78.0)
    plain_county.settle(readings)
    before = breaches(plain_county), events(plain_county)
    for one in readings:
        confirm(plain_county, one.reading_id)
    assert (breaches(plain_county), events(plain_county)) == before


def test_what_is_confirmed_much_later_is_late_and_calmed_by_what_is_newer(
    plain_county: County,
) -> None:
    doubted = pressure(192, 80, measured_at=NOW - 2 * DAY, **DOUBTED)
    plain_county.settle([doubted], [pressure(120, 80)])
    confirm(plain_county, doubted.reading_id)
    assert breaches(plain_county) == [("", 2, 192.0, True)]
    assert alerts(plain_county) == [("limit:blood_pressure", 1, "open", True)]


def test_a_confirmed_value_of_a_pause_stays_silent(plain_county: County) -> None:
    doubted = pressure(192, 80, measured_at=NOW - HOUR, **DOUBTED)
    plain_county.settle([doubted])
    pause(plain_county, NOW - 2 * HOUR, NOW)
    confirm(plain_county, doubted.reading_id)
    assert breaches(plain_county) == []


def test_a_word_ends_the_waiting_for_a_repeat(county: County) -> None:
    agree(county, TWICE)
    doubted = pressure(192, 80, measured_at=NOW - 3 * HOUR, **DOUBTED)
    wrong = pressure(193, 80, measured_at=NOW - 2 * HOUR)
    right = pressure(191, 80, measured_at=NOW - HOUR)
    county.settle([doubted, wrong, right])
    reject(county, wrong.reading_id)
    assert alerts(county) == []
    confirm(county, right.reading_id, then=False)
    assert events(county) == ["opened"]
    confirm(county, doubted.reading_id)
    assert events(county) == ["opened", "joined"]
    assert [row[0] for row in waits(county)] == ["confirmed", "calmed", "confirmed"]
    assert settle_due(county) == 0
    assert breaches(county) == [("", 2, 192.0, True), ("", 2, 193.0, False), ("", 2, 191.0, True)]


def test_a_red_that_a_rejected_repeat_had_calmed_stands(county: County) -> None:
    agree(county, TWICE)
    red = pressure(184, 80, measured_at=NOW - HOUR)
    guest = pressure(120, 80, measured_at=NOW - HOUR + 5 * MINUTE)
    county.settle([red, guest])
    assert (alerts(county), waits(county)[0][0]) == ([], "calmed")
    reject(county, guest.reading_id)
    assert settle_due(county) == 1
    assert alerts(county) == [("limit:blood_pressure", 2, "open", False)]
    assert waits(county) == [("unrepeated", None)]


def test_a_corrected_repeat_is_the_repeat(plain_county: County) -> None:
    agree(plain_county, TWICE)
    red = pressure(184, 80, measured_at=NOW - HOUR)
    typed = pressure(120, 80, measured_at=NOW - HOUR + 5 * MINUTE)
    plain_county.settle([red, typed])
    right = correct(plain_county, typed.reading_id, {S: 150.0, D: 80.0})
    settle_due(plain_county)
    assert waits(plain_county) == [("confirmed", right)]
    assert alerts(plain_county) == [("limit:blood_pressure", 1, "open", False)]


def test_a_red_repeat_stands_when_the_single_that_calmed_it_is_rejected(
    plain_county: County,
) -> None:
    agree(plain_county, TWICE)
    guest = pressure(184, 60, measured_at=NOW - HOUR)
    red = pressure(130, 112, measured_at=NOW - HOUR + 5 * MINUTE)
    plain_county.settle([guest, red])
    assert [row[0] for row in waits(plain_county)] == ["calmed", "calmed"]
    reject(plain_county, guest.reading_id)
    assert settle_due(plain_county) == 1
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]
    reject(plain_county, red.reading_id)  # what was rejected itself does not come back
    assert settle_due(plain_county) == 0


def test_what_stands_again_after_days_is_late_and_calmed_by_what_is_newer(
    plain_county: County,
) -> None:
    agree(plain_county, TWICE)
    long_ago = NOW - 3 * DAY
    guest = pressure(120, 80, measured_at=long_ago + 5 * MINUTE)
    batch = batch_of([pressure(184, 80, measured_at=long_ago), guest])
    at_once = replace(batch, arrived_at=batch.measured_at)
    asyncio.run(plain_county._settle(at_once))
    plain_county.settle([pressure(120, 80, measured_at=long_ago + DAY)])
    reject(plain_county, guest.reading_id)
    settle_due(plain_county)
    assert alerts(plain_county) == [("limit:blood_pressure", 1, "open", True)]


def test_a_rejected_value_is_in_no_window_any_more(county: County) -> None:
    row = KOfN(quantity=S, k=3, n=3, high=140)
    agree(county, row)
    readings = [
        pressure(systolic, 80, measured_at=NOW - hours * HOUR)
        for systolic, hours in [(150, 9), (151, 7), (120, 5), (152, 3)]
    ]
    county.settle(readings)
    assert breaches(county) == []
    reject(county, readings[2].reading_id)
    assert breaches(county) == [(row.key, 1, 3.0, True)]
    assert county.rows(
        "select distinct suspicion from sample where reading_id = %s", readings[2].reading_id
    ) == [(int(Suspicion.SUPERSEDED),)]
    assert county.count("reading") == 4


def test_a_corrected_reading_is_a_new_fact_and_the_old_one_stays(county: County) -> None:
    old = pressure(120, 80, measured_at=NOW - HOUR, slot=2, clock_offset_s=2.0)
    county.settle([old])
    new_id = correct(county, old.reading_id, {S: 192.0, D: 112.0})
    facts = (
        "select patient_id, loan_id, gateway_id, device_id, slot, outcome, measured_at, clock,"
        " clock_offset_s from reading where reading_id = %s"
    )
    assert county.rows(facts, new_id) == county.rows(facts, old.reading_id)
    assert county.rows(
        "select reading_id, source, r.suspicion, array_agg(value order by quantity_id)"
        " from reading r join sample using (reading_id) group by 1, 2, 3 order by 3"
    ) == [
        (new_id, "correction", int(Suspicion.CONFIRMED), [192.0, 112.0]),
        (old.reading_id, "2a35", int(Suspicion.SUPERSEDED), [120.0, 80.0]),
    ]
    assert alerts(county) == [("limit:blood_pressure", 2, "open", False)]
    assert county.rows("select distinct reading_id from breach") == [(new_id,)]
    assert county.rows("select verdict, reading_id, new_reading_id from reading_review") == [
        ("corrected", old.reading_id, new_id)
    ]


def test_a_correction_into_range_calms_a_held_red_and_asks_for_no_repeat(
    plain_county: County,
) -> None:
    agree(plain_county, TWICE)
    typed = pressure(192, 80, measured_at=NOW - HOUR)
    plain_county.settle([typed])
    correct(plain_county, typed.reading_id, {S: 129.0, D: 80.0})
    assert settle_due(plain_county) == 0
    assert (alerts(plain_county), [w[0] for w in waits(plain_county)]) == ([], ["calmed"])


def test_a_correction_replaces_the_value_in_windows(plain_county: County) -> None:
    agree(plain_county, RISE)
    first, wrong, last = weights(75.0, 75.2, 76.0)
    plain_county.settle([first, wrong, last])
    correct(plain_county, wrong.reading_id, {Quantity.BODY_WEIGHT: 73.0})
    assert [row[:3] for row in breaches(plain_county)] == [(RISE.key, 1, 3.0)]


def test_what_cannot_be_is_refused_and_changes_nothing(plain_county: County) -> None:
    known, gone = pressure(120, 80), pressure(121, 80, measured_at=NOW - HOUR)
    plain_county.settle([known, gone])
    reject(plain_county, gone.reading_id)
    for values in (
        {},
        {S: 301.0},
        {S: float("nan")},
        {S: 80.0, D: 80.0},
        {D: 19.0},
    ):
        with pytest.raises(ReviewError):
            correct(plain_county, known.reading_id, values)
    for reading_id in (uuid4(), gone.reading_id):
        with pytest.raises(ReviewError):
            confirm(plain_county, reading_id)
        with pytest.raises(ReviewError):
            correct(plain_county, reading_id, {S: 120.0})
    assert plain_county.count("reading_review") == 1
    assert plain_county.count("reading") == 2


def test_a_reading_that_is_not_stored_leaves_the_queue(plain_county: County) -> None:
    plain_county.connection.execute(
        "insert into rejudge (reading_id, why) values (%s, 'test')", [uuid4()]
    )
    assert (judge_again(plain_county), judge_again(plain_county)) == (1, 0)
