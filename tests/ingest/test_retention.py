"""Retention removes what is old, and nothing that anything refers to."""

from datetime import timedelta

import psycopg

from ingest import days, retention
from tests.ingest.county import NOW, County, pressure
from tests.ingest.looking_back import Row, call, noon, put

KEEP_DAYS = 1100
OLD = KEEP_DAYS + 5


def sweep(county: County, *, most: int = 1000, later: timedelta = timedelta(0)) -> int:
    call(county, lambda c: days.roll(c, NOW, 10_000, lag=timedelta(0)))
    return call(county, lambda c: retention.run(c, NOW + later, KEEP_DAYS, most))


def stored(county: County) -> set[object]:
    """Return the readings that are there; each has its samples, or neither is there."""
    readings = {row[0] for row in county.rows("select reading_id from reading")}
    samples = {row[0] for row in county.rows("select reading_id from sample")}
    assert readings == samples
    return readings


def test_old_readings_go_and_their_days_stay(county: County) -> None:
    old = [Row(county.patient_id, noon(OLD, n), 100.0 + n) for n in range(3)]
    young = Row(county.patient_id, noon(KEEP_DAYS - 5), 120.0)
    put(county, *old, young)
    count = call(county, lambda c: retention.count(c, NOW, KEEP_DAYS))
    assert count == 3
    assert len(stored(county)) == 4  # counting removes nothing
    call(county, lambda c: days.roll(c, NOW, 100, lag=timedelta(0)))
    before = county.rows("select * from sample_daily order by day")
    assert sweep(county) == 3
    assert stored(county) == {young.reading_id}
    assert county.rows("select * from sample_daily order by day") == before
    assert len(before) == 2


# Each refers to the reading %(id)s.
REFERENCES = """
insert into repeat_wait (reading_id, patient_id, quantity_id, plan_version_id, rule_key,
    measured_at, repeat_until, due_at, late)
values (%(id)s, 1, 1, 1, 'repeat:blood_pressure', now(), now(), now(), false);

insert into repeat_wait (reading_id, patient_id, quantity_id, plan_version_id, rule_key,
    measured_at, repeat_until, due_at, late, decided_at, outcome, repeat_reading_id)
values (gen_random_uuid(), 1, 1, 1, 'repeat:blood_pressure', now(), now(), now(), false, now(),
    'calmed', %(id)s);

insert into reading_review (reading_id, verdict) values (%(id)s, 'rejected');

insert into reading_review (reading_id, verdict, new_reading_id)
values (gen_random_uuid(), 'corrected', %(id)s);

insert into rejudge (reading_id, why) values (%(id)s, 'test');

insert into breach (reading_id, patient_id, quantity_id, measured_at, rule, level, side, value,
    bound, plan_version_id, late)
values (%(id)s, 1, 1, now(), 'limit:blood_pressure', 0, 'high', 1, 1, 1, false);

with b as (
    insert into breach (patient_id, quantity_id, measured_at, rule, level, side, value, bound,
        plan_version_id, late, rule_key)
    values (1, 1, now(), 'trend', 0, 'high', 1, 1, 1, false, 'mean') returning breach_id
)
insert into breach_reading select breach_id, %(id)s from b
"""


def test_what_anything_refers_to_stays(plain_county: County) -> None:
    county = plain_county
    refer = REFERENCES.split(";")
    alone, *others = (Row(county.patient_id, noon(OLD, n), 120.0) for n in range(len(refer) + 1))
    put(county, alone, *others)
    for row, statement in zip(others, refer, strict=True):
        county.connection.execute(statement, {"id": row.reading_id})
    assert sweep(county) == 1
    assert stored(county) == {row.reading_id for row in others}


def test_a_judged_reading_that_broke_a_limit_stays(plain_county: County) -> None:
    """By the real way in: what its alert shows is there after the sweep."""
    county = plain_county
    high, sound = pressure(190, 80), pressure(120, 80, measured_at=NOW - timedelta(hours=1))
    county.settle([high, sound])
    later = NOW + timedelta(days=OLD)
    call(county, lambda c: days.roll(c, later, 100, lag=timedelta(0)))
    assert call(county, lambda c: retention.run(c, later, KEEP_DAYS, 100)) == 1
    assert stored(county) == {high.reading_id}


def test_a_sweep_goes_on_where_it_stopped_and_then_rests(plain_county: County) -> None:
    county = plain_county
    patients = [county.add_patient() for _ in range(3)]
    put(county, *(Row(p, noon(OLD, n), 120.0) for p in patients for n in range(4)))
    assert [sweep(county, most=5) for _ in range(4)] == [5, 5, 2, 0]
    put(county, Row(county.patient_id, noon(OLD), 120.0))
    assert sweep(county) == 0  # it rests
    assert sweep(county, later=timedelta(days=1)) == 1
    assert stored(county) == set()


def test_nothing_goes_before_its_day_is_rolled(plain_county: County) -> None:
    county = plain_county
    put(county, Row(county.patient_id, noon(OLD), 120.0))
    county.connection.execute("update sample_day_state set live_from = '2000-01-01'")
    assert call(county, lambda c: retention.run(c, NOW, KEEP_DAYS, 100)) == 0
    assert len(stored(county)) == 1
    assert sweep(county) == 1


def test_a_day_whose_readings_went_is_never_counted_again(plain_county: County) -> None:
    """Neither a reading that comes late nor a review of one that stayed changes it."""
    county = plain_county
    kept, gone = Row(county.patient_id, noon(OLD), 120.0), Row(county.patient_id, noon(OLD, 8), 99)
    put(county, kept, gone)
    county.connection.execute(
        "insert into reading_review (reading_id, verdict) values (%s, 'confirmed')",
        [kept.reading_id],
    )
    sweep(county)
    before = county.rows("select * from sample_daily")
    assert before[0][3] == 2
    county.connection.execute("update sample set suspicion = 1024")
    put(county, Row(county.patient_id, noon(OLD, 10), 150.0))
    call(county, lambda c: days.roll(c, NOW, 100, lag=timedelta(0)))
    assert county.rows("select * from sample_daily") == before


def test_two_sweeps_at_once_do_it_once(plain_county: County) -> None:
    county = plain_county
    put(county, Row(county.patient_id, noon(OLD), 120.0))
    call(county, lambda c: days.roll(c, NOW, 100, lag=timedelta(0)))
    with psycopg.connect(county.dsn) as other:
        other.execute("select from retention_state for update")
        assert call(county, lambda c: retention.run(c, NOW, KEEP_DAYS, 100)) == 0
    assert sweep(county) == 1
