"""Daily values: the same query gives the same answer, rolled or not, on every edition."""

import random
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from devices.quantity import Quantity
from ingest import days
from ingest.plausibility import Suspicion
from ingest.schema.migrate import INGEST, read_scripts
from tests.ingest.county import NOW, County
from tests.ingest.looking_back import STOCKHOLM, Row, call, noon, put

DOUBTED = int(Suspicion.BEYOND_SOFT_BOUND)
CONFIRMED = 512
SUPERSEDED = 1024
CLOCK_OFF = int(Suspicion.CLOCK_OFF)


def roll(county: County, *, later: timedelta = timedelta(0), most: int = 1000) -> int:
    now = datetime.now(UTC) + later
    return call(county, lambda c: days.roll(c, now, most, lag=timedelta(0)))


def daily(county: County) -> dict[tuple[int, int, date], tuple[float, ...]]:
    """Return what the view says, the sums rounded."""
    rows = county.rows("select * from sample_daily")
    found: dict[tuple[int, int, date], tuple[float, ...]] = {
        (patient, quantity, day): (n, low, round(mean, 6), high, round(total, 6))
        for patient, quantity, day, n, low, mean, high, total in rows
    }
    assert len(found) == len(rows)
    return found


def reference(rows: list[Row]) -> dict[tuple[int, int, date], tuple[float, ...]]:
    """Return the same, the slow way."""
    groups: dict[tuple[int, int, date], list[float]] = defaultdict(list)
    for row in rows:
        doubted = row.suspicion & ~(CLOCK_OFF | CONFIRMED | SUPERSEDED)
        if row.suspicion & SUPERSEDED or (doubted and not row.suspicion & CONFIRMED):
            continue
        day = row.measured_at.astimezone(STOCKHOLM).date()
        groups[row.patient_id, row.quantity.facts.id, day].append(row.value)
    return {
        key: (len(v), min(v), round(sum(v) / len(v), 6), max(v), round(sum(v), 6))
        for key, v in groups.items()
    }


def history(county: County, seed: int, count: int, days_back: float = 200) -> list[Row]:
    """Return readings of some patients, over a night in which the clocks change too."""
    dice = random.Random(seed)
    patients = [county.patient_id, county.add_patient(), county.add_patient()]
    return [
        Row(
            patient_id=dice.choice(patients),
            measured_at=NOW - timedelta(days=dice.uniform(0, days_back)),
            value=round(dice.uniform(60, 200), 1),
            quantity=dice.choice([Quantity.SYSTOLIC, Quantity.DIASTOLIC, Quantity.BODY_WEIGHT]),
            suspicion=dice.choice([0, 0, 0, CLOCK_OFF, DOUBTED, DOUBTED | CONFIRMED, SUPERSEDED]),
        )
        for _ in range(count)
    ]


def test_rolled_and_live_days_are_those_of_the_slow_way(county: County) -> None:
    """Late rows before, between and after rolls; few and many at a time."""
    rows = history(county, 7, 600)
    for first, most in ((0, 1000), (200, 40), (400, 1000)):
        put(county, *rows[first : first + 200])
        while roll(county, most=most) == most:
            pass
        assert daily(county) == reference(rows[: first + 200])
    assert county.count("sample_day") > 300
    assert county.count("sample_day_mark where day < current_date - 3") == 0
    assert roll(county) <= county.count("(select distinct patient_id, day from sample_day) d")


def test_a_day_of_25_hours_and_one_of_23_are_days(county: County) -> None:
    rows = [
        Row(county.patient_id, datetime(2025, 10, 25, 22, 0, tzinfo=UTC), 1.0),  # 00:00 the 26th
        Row(county.patient_id, datetime(2025, 10, 26, 22, 59, tzinfo=UTC), 3.0),  # 23:59
        Row(county.patient_id, datetime(2025, 10, 26, 23, 0, tzinfo=UTC), 9.0),
        Row(county.patient_id, datetime(2026, 3, 28, 23, 0, tzinfo=UTC), 1.0),  # 00:00 the 29th
        Row(county.patient_id, datetime(2026, 3, 29, 21, 59, tzinfo=UTC), 2.0),  # 23:59
        Row(county.patient_id, datetime(2026, 3, 29, 22, 0, tzinfo=UTC), 9.0),
    ]
    put(county, *rows)
    assert roll(county) == 4
    rolled = daily(county)
    assert rolled == reference(rows)
    systolic = Quantity.SYSTOLIC.facts.id
    assert rolled[county.patient_id, systolic, date(2025, 10, 26)][0] == 2
    assert rolled[county.patient_id, systolic, date(2026, 3, 29)][0] == 2
    county.connection.execute("update sample_day_state set live_from = '2020-01-01'")
    assert daily(county) == rolled


def test_a_confirmed_or_replaced_sample_changes_its_rolled_day(county: County) -> None:
    doubted = Row(county.patient_id, noon(9), 190.0, suspicion=DOUBTED)
    sound = Row(county.patient_id, noon(9, 13), 120.0)
    alone = Row(county.patient_id, noon(8), 130.0)
    put(county, doubted, sound, alone)
    roll(county)
    change = "update sample set suspicion = suspicion | %s where reading_id = %s"
    for row, bit in ((doubted, CONFIRMED), (sound, SUPERSEDED), (alone, SUPERSEDED)):
        county.connection.execute(change, [bit, row.reading_id])
        row.suspicion |= bit
        assert roll(county) == 1
        assert daily(county) == reference([doubted, sound, alone])
    assert county.count("sample_day") == 1


def test_a_day_is_rolled_only_when_it_is_over_for_a_while(county: County) -> None:
    put(county, Row(county.patient_id, noon(0, 0.5), 120.0))
    roll(county)
    assert county.count("sample_day") == 0
    assert len(daily(county)) == 1
    assert roll(county, later=timedelta(days=days.LIVE_DAYS)) == 0
    assert roll(county, later=timedelta(days=days.LIVE_DAYS + 1)) == 1
    assert county.count("sample_day") == 1
    assert len(daily(county)) == 1


def test_a_reading_that_is_committed_late_is_still_seen(plain_county: County) -> None:
    """Its stored_at lies before the roll that could not see it."""
    county = plain_county
    stored_at = datetime.now(UTC)
    assert call(county, lambda c: days.roll(c, NOW, 10)) == 0
    put(county, Row(county.patient_id, noon(9), 120.0, stored_at=stored_at))
    assert call(county, lambda c: days.roll(c, NOW, 10)) == 0
    roll(county)
    assert county.count("sample_day") == 1


def test_two_rolls_at_once_do_it_once(plain_county: County) -> None:
    county = plain_county
    put(county, Row(county.patient_id, noon(9), 120.0))
    with psycopg.connect(county.dsn) as other:
        other.execute("select from sample_day_state for update")
        assert roll(county) == 0
    assert roll(county) == 1


def test_a_day_that_is_being_changed_is_rolled_afterwards(plain_county: County) -> None:
    """A mark that was there already is locked by who changes the sample."""
    county = plain_county
    row = Row(county.patient_id, noon(9), 120.0)
    put(county, row)
    roll(county)
    change = "update sample set suspicion = %s where reading_id = %s"
    county.connection.execute(change, [CONFIRMED, row.reading_id])
    with psycopg.connect(county.dsn) as other:
        other.execute(change, [SUPERSEDED, row.reading_id])
        roll(county)
    roll(county)
    assert daily(county) == {}


def test_where_the_database_keeps_days_there_is_nothing_to_do(plain_county: County) -> None:
    county = plain_county
    put(county, Row(county.patient_id, noon(9), 120.0))
    county.connection.execute("update sample_day_state set is_kept = false")
    assert roll(county) == 0
    assert county.count("sample_day_mark") == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_years_that_were_stored_before_days_were_kept_are_rolled(
    plain_county: County, seed: int
) -> None:
    """The first runs look through the backlog in steps."""
    county = plain_county
    dice = random.Random(seed)
    rows = history(county, seed, 300, days_back=700)
    for row in rows:
        row.stored_at = row.measured_at + timedelta(hours=dice.uniform(0, 100))
    put(county, *rows)
    county.connection.execute(
        "update sample_day_state set live_from = '2020-01-01', seen_until = '2020-01-01'"
    )
    assert daily(county) == reference(rows)  # all of it live
    turns = 0
    while county.one("select live_from = '2020-01-01' from sample_day_state"):
        roll(county, most=50)
        turns += 1
        assert turns < 100
    assert daily(county) == reference(rows)
    assert county.count("sample_day") > 200


def test_a_patients_year_reads_no_chunk_that_is_rolled(county: County, edition: str) -> None:
    """The planner knows from which day on samples are needed."""
    put(county, *history(county, 3, 300))
    roll(county)
    rows = county.rows(
        "explain select day, mean from sample_daily where patient_id = %s and quantity_id = %s"
        " and day >= current_date - 365",
        county.patient_id,
        1,
    )
    plan = "\n".join(row[0] for row in rows)
    assert plan.count(" on sample ") + plan.count("_chunk") <= 2 * (1 if edition == "plain" else 3)
    assert county.count("sample_day") > 150


def test_the_communitys_days_are_the_same(timescale_county: County) -> None:
    """What stands in its file, with a view in place of what only that edition has."""
    county = timescale_county
    rows = history(county, 5, 300, days_back=1400)
    put(county, *rows)
    while roll(county, most=200) == 200:
        pass
    script = next(s for s in read_scripts(INGEST) if s.name == "0006_community.sql").text
    for only, instead in (
        (r"alter table sample set \(.*?\);", ""),
        (r"call add_columnstore_policy.*?;", ""),
        (r"select add_continuous_aggregate_policy\(.*?\);", ""),
        (r"select add_job.*?;", ""),
        (r"create materialized view (\w+)\s+with \(.*?\) as", r"create view \1 as"),
        ("with no data;", ";"),
    ):
        script, count = re.subn(only, instead, script, flags=re.DOTALL)
        assert count == 1, only
    county.connection.execute(script)
    assert daily(county) == reference(rows)
    assert roll(county) == 0
    later = Row(county.patient_id, noon(500), 77.0)
    put(county, later)
    assert daily(county) == reference([*rows, later])
