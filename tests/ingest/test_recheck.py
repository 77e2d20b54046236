"""R13: an independent look finds every kind of damage, and nothing where there is none."""

import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Reading, Status
from ingest import recheck, rejudge, repeat, review
from ingest.recheck import Report
from ingest.registry import Registry
from ingest.rules.model import Repeat
from tests.ingest.county import NOW, County, pressure, reading, weight
from tests.ingest.looking_back import call
from tests.ingest.plans import agree

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def look(county: County, days: float = 1) -> Report:
    """Look at what was stored in so many days until now."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    return call(county, lambda c: recheck.run(c, until - timedelta(days=days), until))


def kinds(county: County) -> list[tuple[str, ...]]:
    return county.rows(
        "select kind from recheck_difference where cleared_by is null order by kind, key"
    )


def is_open(county: County) -> bool:
    return bool(
        county.one(
            "select exists (select from incident where kind = 'recheck' and closed_at is null)"
        )
    )


@pytest.fixture
def judged(plain_county: County) -> County:
    """Three readings that were judged: a red and a yellow one, and one in range."""
    plain_county.settle(
        [
            pressure(185, 90, measured_at=NOW - 3 * HOUR),
            pressure(120, 97, measured_at=NOW - 2 * HOUR),
            pressure(120, 80, measured_at=NOW - HOUR),
        ]
    )
    return plain_county


def test_what_was_judged_is_found_judged(judged: County) -> None:
    report = look(judged)
    assert judged.count("breach where rule_key = ''") == 2
    assert (report.readings, report.differences) == (3, 0)
    assert not is_open(judged)
    assert judged.one("select ended_at is not null from recheck_run")


def _delete(county: County) -> None:
    county.connection.execute("delete from breach_reading")
    county.connection.execute("delete from breach where side = 'high' and level = 1")


def _change(what: str) -> Callable[[County], None]:
    def change(county: County) -> None:
        county.connection.execute(f"update breach set {what} where rule_key = '' and level = 2")

    return change


def _invent(county: County) -> None:
    county.connection.execute(
        "insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule,"
        " level, side, value, bound, plan_version_id, late)"
        " select (select min(alert_id) from alert), reading_id, s.patient_id, quantity_id,"
        " measured_at, 'limit:blood_pressure', 1, 'high', value, 100, v.plan_version_id, false"
        " from sample s join plan_version v using (patient_id)"
        " where value = 120 order by measured_at desc limit 1"
    )


def _out_of_nothing(county: County) -> None:
    county.connection.execute("delete from breach_reading")
    county.connection.execute(
        "update breach set reading_id = %s where level = 1 and rule_key = ''", [uuid4()]
    )


def _wait(county: County) -> None:
    county.connection.execute(
        "insert into repeat_wait (reading_id, patient_id, quantity_id, plan_version_id, rule_key,"
        " measured_at, repeat_until, due_at, late) select gen_random_uuid(), patient_id, 1,"
        " plan_version_id, 'repeat:blood_pressure', now(), now(), now() - interval '11 minutes',"
        " false from plan_version"
    )


DAMAGE: dict[str, tuple[Callable[[County], None], list[str]]] = {
    "a breach deleted": (_delete, ["missed"]),
    "a breach invented": (_invent, ["invented"]),
    "a breach of nothing": (_out_of_nothing, ["invented", "missed"]),
    "level": (_change("level = 1"), ["differs"]),
    "side": (_change("side = 'low'"), ["differs"]),
    "bound": (_change("bound = 160"), ["differs"]),
    "value": (_change("value = 184"), ["differs"]),
    "version": (_change("plan_version_id = 0"), ["differs"]),
    "time": (_change("measured_at = measured_at - interval '1 hour'"), ["differs"]),
    "no alert": (_change("alert_id = null"), ["unalerted"]),
    "a wait overdue": (_wait, ["overdue"]),
}


def test_every_kind_of_damage_is_found(judged: County) -> None:
    judged.connection.execute("create table breach_was as select * from breach")
    for name, (damage, found) in DAMAGE.items():
        damage(judged)
        assert look(judged).differences == len(found), name
        assert kinds(judged) == [(kind,) for kind in found], name
        assert is_open(judged), name
        judged.connection.execute("delete from repeat_wait")
        judged.connection.execute("delete from breach")
        judged.connection.execute(
            "insert into breach overriding system value select * from breach_was"
        )
        assert look(judged).differences == 0, name
        assert not is_open(judged), name


def test_a_difference_is_told_with_what_was_expected(judged: County) -> None:
    _delete(judged)
    look(judged)
    expected, seen = judged.rows("select expected, found from recheck_difference")[0]
    assert seen is None
    assert {key: expected[key] for key in ("level", "side", "value", "bound")} == {
        "level": 1,
        "side": "high",
        "value": 97,
        "bound": 95,
    }


def test_a_difference_that_was_mended_is_cleared_and_the_incident_closed(judged: County) -> None:
    _change("bound = 160")(judged)
    assert look(judged).differences == 1
    assert look(judged).differences == 1  # the same one
    assert judged.count("recheck_difference") == 1
    _change("bound = 180")(judged)
    earlier = datetime.now(UTC) - timedelta(days=5)
    call(judged, lambda c: recheck.run(c, earlier, earlier + DAY))
    assert is_open(judged)  # that run did not look at it
    assert look(judged).differences == 0
    assert not is_open(judged)
    assert judged.count("recheck_difference where cleared_by is not null") == 1


def test_a_long_look_clears_also_what_lies_before_all_that_is_stored(judged: County) -> None:
    _change("bound = 160")(judged)
    assert look(judged).differences == 1
    judged.connection.execute("update recheck_difference set at = at - interval '50 days'")
    _change("bound = 180")(judged)
    assert look(judged, days=40).differences == 0
    assert is_open(judged)  # its time was not looked at
    look(judged, days=60)
    assert not is_open(judged)


def test_a_reading_judged_before_the_plan_was_known_is_no_difference(judged: County) -> None:
    """A version registered today, in force since last week, is not held against yesterday."""
    judged.plan(judged.patient_id, NOW - DAY, {Quantity.SYSTOLIC: {"yellow_high": 110}})
    assert look(judged).differences == 0
    judged.settle([pressure(115, 80, measured_at=NOW - timedelta(minutes=5))])
    assert judged.count("breach where bound = 110") == 1
    assert look(judged).differences == 0


def test_a_pause_is_silent_by_what_was_known_of_it(plain_county: County) -> None:
    """Begun, shortened and taken back: each reading by what its judge knew."""
    county = plain_county
    high = [pressure(185, 90, measured_at=NOW - n * HOUR) for n in range(1, 7)]
    county.settle(high[:1])
    county.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
        [county.patient_id, NOW - DAY, NOW + DAY],
    )
    county.settle(high[1:2])
    county.connection.execute("update patient_pause set until_at = %s", [NOW - 4.5 * HOUR])
    county.settle(high[2:3], high[4:5])
    county.connection.execute("delete from patient_pause")
    county.settle(high[5:])
    assert county.count("breach where rule_key = '' and quantity_id = 1") == 3
    assert look(county).differences == 0
    assert county.count("patient_pause_was") == 2
    county.connection.execute("delete from patient_pause_was")
    assert look(county).differences == 2


def test_doubted_confirmed_and_replaced_values(plain_county: County) -> None:
    """A doubted one breaks nothing; a confirmed one must; a replaced one may have."""
    county = plain_county
    doubted = pressure(185, 90, status=Status.CUFF_LOOSE)
    sound = pressure(186, 90, measured_at=NOW - HOUR)
    county.settle([doubted, sound])
    assert county.count("breach where rule_key = '' and value = 185") == 0
    assert look(county).differences == 0
    mark = "update sample set suspicion = suspicion | %s where reading_id = %s"
    county.connection.execute(mark, [1024, sound.reading_id])
    assert look(county).differences == 0
    county.connection.execute(mark, [512, doubted.reading_id])
    assert look(county).differences == 1
    assert kinds(county) == [("missed",)]
    county.connection.execute(
        "insert into rejudge (reading_id, why) values (%s, 'test')", [doubted.reading_id]
    )
    assert look(county).differences == 0  # it waits to be judged


def test_a_reading_reviewed_today_is_looked_at_whenever_it_came(judged: County) -> None:
    judged.connection.execute("update reading set stored_at = now() - interval '9 days'")
    judged.connection.execute("update breach set bound = 160, found_at = now() - interval '9 days'")
    assert look(judged).readings == 0
    judged.connection.execute(
        "insert into reading_review (reading_id, verdict) select reading_id, 'confirmed'"
        " from breach where level = 2 limit 1"
    )
    assert look(judged).differences == 1


def test_the_night_looks_once_at_three_days(judged: County) -> None:
    _delete(judged)
    judged.connection.execute("update reading set stored_at = stored_at - interval '60 hours'")
    now = datetime.now(UTC) + timedelta(minutes=1)
    assert call(judged, lambda c: recheck.nightly(c, now)) == 1
    assert call(judged, lambda c: recheck.nightly(c, now)) == 0  # this night has been
    assert judged.count("recheck_run") == 1
    assert call(judged, lambda c: recheck.nightly(c, now + timedelta(days=1))) == 0  # too old now
    assert judged.count("recheck_run") == 2


def _random_reading(dice: random.Random) -> Reading:
    at = NOW - timedelta(minutes=dice.randrange(1, 40 * 24 * 60))
    match dice.randrange(3):
        case 0:
            pulse = dice.choice([39, 40, 49, 50, 99, 100, 130])
            return reading({Quantity.PULSE: pulse}, measured_at=at)
        case 1:
            return weight(dice.choice([70, 70.4, 75, 82]), measured_at=at)
        case _:
            return pressure(
                dice.choice([89.9, 90, 99, 100, 130, 159.9, 160, 180, 205]),
                dice.choice([60, 80, 94.9, 95, 109, 110, 112]),
                measured_at=at,
                status=dice.choice([0, 0, 0, int(Status.BODY_MOVEMENT)]),
            )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_honest_histories_have_no_difference(county: County, seed: int) -> None:
    """Plans, pauses and readings in any order, judged by the real settler."""
    dice = random.Random(seed)
    for _ in range(12):
        since = NOW - timedelta(days=dice.uniform(0, 40), microseconds=dice.randrange(1000))
        match dice.choice(["plan", "pause", "shorten", "read", "read"]):
            case "plan":
                bound = dice.choice([95.0, 110.0, 130.0, 160.0])
                limits: dict[Quantity, dict[str, float]] = {
                    Quantity.SYSTOLIC: {"yellow_high": bound, "red_high": bound + 20}
                }
                county.plan(county.patient_id, since, limits if dice.random() < 0.8 else {})
            case "pause":
                county.connection.execute(
                    "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
                    [county.patient_id, since, since + timedelta(days=dice.uniform(1, 9))],
                )
            case "shorten":
                county.connection.execute(
                    "update patient_pause set until_at = from_at + (until_at - from_at) / 2"
                )
            case "read":
                county.settle([_random_reading(dice) for _ in range(30)])
    county.settle([_random_reading(dice) for _ in range(30)])
    report = look(county)
    assert report.readings > 20
    assert county.count("breach where rule_key = ''") > 10
    assert county.rows("select kind, expected, found from recheck_difference") == []


async def _review(connection: psycopg.AsyncConnection[Any], dice: random.Random) -> None:
    """Say a word on some reading, and let what follows be judged."""
    cursor = await connection.execute(
        "select reading_id from reading where suspicion & 1536 = 0"
        " and exists (select from sample s where s.reading_id = reading.reading_id"
        "     and s.patient_id = reading.patient_id and s.quantity_id = 1) order by reading_id"
    )
    reading_id = dice.choice(await cursor.fetchall())[0]
    match dice.choice(["confirm", "reject", "correct"]):
        case "confirm":
            with contextlib.suppress(review.ReviewError):  # it was not doubted
                await review.confirm(connection, reading_id)
        case "reject":
            await review.reject(connection, reading_id)
        case "correct":
            values = {Quantity.SYSTOLIC: dice.choice([120.0, 185.0]), Quantity.DIASTOLIC: 80.0}
            await review.correct(connection, reading_id, values)
    await rejudge.run(connection, Registry(), 100)


@pytest.mark.parametrize("seed", [1, 2])
def test_honest_repeats_and_reviews_have_no_difference(plain_county: County, seed: int) -> None:
    """Held, calmed, confirmed, replaced: each as its own rule says."""
    county, dice = plain_county, random.Random(seed)
    agree(county, Repeat(quantity=Quantity.SYSTOLIC), since=NOW - 20 * DAY)
    for _ in range(8):
        at = NOW - timedelta(minutes=dice.randrange(60, 30 * 24 * 60))
        present = datetime.now(UTC)  # a repeat is waited for from then on
        county.settle([_random_reading(dice) for _ in range(8)], at=present)
        county.settle([pressure(190, 90, measured_at=at)], at=present)
        second = pressure(dice.choice([120, 188]), 85, measured_at=at + HOUR / 6)
        county.settle([second], at=present)
        call(county, lambda c: _review(c, dice))
        assert look(county).differences == 0
    later = datetime.now(UTC) + HOUR
    assert county.count("repeat_wait") > 5
    call(county, lambda c: repeat.settle_due(c, Registry(), later, 1000))
    assert county.count("repeat_wait where decided_at is null") == 0
    assert look(county).differences == 0
    assert county.rows("select kind, expected, found from recheck_difference") == []


def test_what_is_committed_while_it_looks_is_the_next_runs(judged: County) -> None:
    """Stored after the span was asked for, and measured beyond it: no breach out of nothing."""
    _change("bound = 160")(judged)
    until = datetime.now(UTC) + timedelta(minutes=1)
    period: dict[str, object] = {"from_at": until - DAY, "until_at": until, "run_id": 0}
    looked = judged.connection.execute(
        recheck._RECHECK,
        period | {"low": NOW - 2.5 * HOUR, "high": NOW, "grace": recheck.GRACE},
    )
    assert looked.fetchone() == (0,)


def test_it_asks_by_keys_whatever_the_statistics_say(judged: County) -> None:
    """No table that grows is read whole, nor one row held against all others."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    period: dict[str, object] = {"from_at": until - DAY, "until_at": until, "run_id": 0}
    period |= {"low": NOW - DAY, "high": NOW, "grace": recheck.GRACE}
    with judged.connection.transaction(force_rollback=True):
        judged.connection.execute("set local enable_seqscan = off")  # as recheck.run does
        judged.connection.execute("analyze")  # tables of a row or three
        explained = judged.connection.execute("explain " + recheck._RECHECK, period).fetchall()
    plan = "\n".join(line for (line,) in explained)
    for table in ("reading", "sample", "breach"):
        assert f"Seq Scan on {table} " not in plan
    assert "CTE Scan on held" not in plan


def test_a_breach_without_an_alert_waits_for_its_repeat_or_was_calmed_by_it(judged: County) -> None:
    """As the first of the two, or as the repeat."""
    judged.connection.execute("update breach set alert_id = null where level = 2")
    for mine, others in (("reading_id", "repeat_reading_id"), ("repeat_reading_id", "reading_id")):
        for outcome, found in (("calmed", []), ("confirmed", [("unalerted",)])):
            judged.connection.execute(
                f"insert into repeat_wait ({mine}, {others}, patient_id, quantity_id,"
                " plan_version_id, rule_key, measured_at, repeat_until, due_at, late, decided_at,"
                " outcome) select reading_id, gen_random_uuid(), patient_id, 1, plan_version_id,"
                " 'repeat:blood_pressure', now(), now(), now(), false, now(), %s"
                " from breach where level = 2",
                [outcome],
            )
            look(judged)
            assert kinds(judged) == found, (mine, outcome)
            judged.connection.execute("delete from repeat_wait")
