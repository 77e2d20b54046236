"""What lies in quarantine finds its patient, once, as of when it was measured."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from devices import wire
from devices.quantity import Quantity
from devices.reading import Outcome, Reading
from ingest import replay
from ingest.registry import Registry
from ingest.replay import Fate
from ingest.settle import Settler
from tests.ingest.county import GATEWAY, NOW, County, batch_of, message, pressure, reading
from tests.ingest.looking_back import call

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STRANGER = "C4:00:00:00:00:99"


def strange(systolic: float = 128, **more: Any) -> Reading:
    """Return a reading of a cuff that nobody has on loan."""
    return pressure(systolic, 81, device_id=STRANGER, **more)


def after_loans(county: County, now: datetime = NOW, most: int = 100) -> int:
    return call(county, lambda c: replay.after_loans(c, Registry(), now, most))


def try_again(county: County, *ids: int, now: datetime = NOW, dry_run: bool = False) -> list[Fate]:
    """Try all rows that are not settled, if none are named."""
    chosen = list(ids) or [row[0] for row in county.rows("select quarantine_id from quarantine")]
    tried = call(county, lambda c: replay.replay(c, Registry(), chosen, now, dry_run=dry_run))
    return [one.fate for one in tried]


def waiting(county: County) -> int:
    return county.count("quarantine where settled_at is null")


def test_a_loan_that_is_registered_late_finds_its_readings(county: County) -> None:
    high, sound = strange(185, measured_at=NOW - 3 * HOUR), strange(measured_at=NOW - 2 * HOUR)
    county.settle([high, sound])
    arrived_at = dict(county.rows("select reading_id, arrived_at from quarantine"))
    assert county.count("reading") == 0
    assert after_loans(county) == 2  # the gateway and its devices are as new as the rows
    assert after_loans(county) == 0
    county.lend(STRANGER, county.patient_id)
    assert after_loans(county) == 2
    assert after_loans(county) == 0
    assert waiting(county) == 0
    assert dict(county.rows("select reading_id, arrived_at from reading")) == arrived_at
    breach = county.rows(
        "select reading_id, level, late from breach where rule_key = '' and quantity_id = 1"
    )
    assert breach == [(high.reading_id, 2, False)]
    assert county.one("select patient_id from reading limit 1") == county.patient_id


def test_a_reading_is_judged_as_of_when_it_was_measured_and_late(plain_county: County) -> None:
    """By the plan of then, marked late, though it arrived in time; never red: she is well now."""
    county = plain_county
    then = NOW - 20 * DAY
    county.plan(county.patient_id, then + DAY, {Quantity.SYSTOLIC: {"yellow_high": 120}})
    old, new = strange(185, measured_at=then), strange(119, measured_at=NOW - HOUR)
    county.settle([old, new])
    county.connection.execute(
        "update quarantine set arrived_at = %s where reading_id = %s", [then, old.reading_id]
    )
    county.lend(STRANGER, county.patient_id)
    assert after_loans(county) == 2
    found = county.rows("select level, bound, late from breach where rule_key = ''")
    assert found == [(2, 180.0, True)]
    assert county.rows("select level, late from alert") == [(1, True)]
    assert county.rows("select arrived_at from reading order by 1") == [(then,), (NOW,)]


def test_what_is_refused_again_stays_and_is_no_repeat(plain_county: County) -> None:
    county = plain_county
    county.settle([strange(measured_at=NOW - 9 * DAY)])
    before = county.rows("select reason, detail, repeats, arrived_at from quarantine")
    county.lend(STRANGER, county.patient_id, lent_from=NOW - DAY)
    assert after_loans(county) == 1
    assert after_loans(county) == 0  # until its device changes again
    assert county.rows("select reason, detail, repeats, arrived_at from quarantine") == before
    assert waiting(county) == 1
    county.connection.execute("update device_loan set lent_from = %s", [NOW - 10 * DAY])
    assert after_loans(county) == 1
    assert waiting(county) == 0


def test_a_gateway_that_is_registered_late_is_heard(plain_county: County) -> None:
    county = plain_county
    batch = batch_of([pressure(128, 81)], gateway_id="g-late")

    async def settle() -> None:
        async with Settler(lambda: county.dsn, "test") as settler:
            await settler.settle(batch, [])

    asyncio.run(settle())
    assert county.one("select reason from quarantine") == "unknown_gateway"
    county.connection.execute("insert into gateway (gateway_id) values ('g-late')")
    assert after_loans(county) == 1
    assert county.one("select gateway_id from reading") == "g-late"


def test_a_poison_row_blocks_no_neighbour(plain_county: County) -> None:
    """One that the database refuses, and one that is no reading at all, among sound ones."""
    county = plain_county
    county.settle([strange(100 + n, measured_at=NOW - n * HOUR) for n in range(1, 8)])
    county.lend(STRANGER, county.patient_id)
    ids = [row[0] for row in county.rows("select quarantine_id from quarantine order by 1")]
    # Another row than the one that the database is to refuse.
    county.connection.execute(
        "update quarantine set content = %s where position(%s in content) > 0",
        [b"\xff{]", b"101.0"],
    )
    county.connection.execute("alter table sample add check (value <> 105 or quantity_id <> 1)")
    fates = try_again(county, *ids)
    assert sorted(fates) == [Fate.REFUSED] * 2 + [Fate.STORED] * 5
    assert county.count("reading") == 5
    assert county.count("sample") == 10
    assert waiting(county) == 2


# The database never comes to an end with one value.
_HANGS = """
create function hang() returns trigger language plpgsql as $$
begin
    if new.value = 105 then perform pg_sleep(600); end if;
    return new;
end $$;
create trigger hang before insert on sample for each row execute function hang();
"""


def test_a_row_the_database_takes_too_long_for_blocks_no_neighbour(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by halves, in transactions of their own, and not tried again by itself."""
    monkeypatch.setattr(replay, "STATEMENT_S_MAX", 1)
    county = plain_county
    county.settle([strange(100 + n, measured_at=NOW - n * HOUR) for n in range(1, 8)])
    county.lend(STRANGER, county.patient_id)
    county.connection.execute(_HANGS)
    assert after_loans(county) == 7
    assert county.count("reading") == 6
    assert waiting(county) == 1
    assert after_loans(county) == 0
    county.connection.execute("drop trigger hang on sample")
    assert try_again(county) == [Fate.STORED]


def test_a_message_of_quarantine_is_stored_but_for_the_reading_that_hangs(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "STATEMENT_S_MAX", 1)
    county = plain_county
    readings = [pressure(100 + n, 81, measured_at=NOW - n * HOUR) for n in range(1, 8)]
    county.connection.execute(
        "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content)"
        " values ('x', %s, %s, 'unsupported_version', '', %s)",
        [GATEWAY, wire.topic(GATEWAY, wire.TopicKind.READINGS), message(readings)],
    )
    county.connection.execute(_HANGS)
    assert try_again(county) == [Fate.STORED]
    assert county.count("reading") == 6
    assert county.rows("select reason from quarantine where settled_at is null") == [
        ("refused_by_database",)
    ]
    # Some were stored before it hung, and are told as stored when the transaction ends.
    spread = "select max(stored_at) - min(stored_at) < interval '0.5 s' from reading"
    assert county.one(spread)


def test_a_lock_that_hangs_refuses_nothing(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "STATEMENT_S_MAX", 1)
    county = plain_county
    county.settle([strange(185)])
    county.lend(STRANGER, county.patient_id)
    with psycopg.connect(county.dsn) as other:
        other.execute("lock table alert")
        with pytest.raises(psycopg.OperationalError):
            after_loans(county)
    assert after_loans(county) == 1
    assert waiting(county) == 0


def test_two_replays_at_once_do_nothing_twice(plain_county: County) -> None:
    county = plain_county
    county.settle([strange(measured_at=NOW - n * HOUR) for n in range(3)])
    county.lend(STRANGER, county.patient_id)
    (first,) = county.rows("select min(quarantine_id) from quarantine")[0]
    with psycopg.connect(county.dsn) as other:
        other.execute("select from quarantine where quarantine_id = %s for update", [first])
        assert after_loans(county) == 2
        assert county.count("reading") == 2
    assert after_loans(county) == 1
    assert try_again(county) == []
    assert county.count("reading") == 3


def test_a_reading_that_came_again_meanwhile_is_settled(plain_county: County) -> None:
    county = plain_county
    one = strange(185)
    county.settle([one])
    county.lend(STRANGER, county.patient_id)
    county.settle([one])
    before = county.rows("select * from breach"), county.rows("select * from alert")
    assert try_again(county) == [Fate.KNOWN]
    assert (county.rows("select * from breach"), county.rows("select * from alert")) == before
    assert county.count("reading") == 1


def test_a_reading_refused_for_one_value_stays_when_the_others_are_stored(
    plain_county: County,
) -> None:
    county = plain_county
    county.settle([reading({Quantity.BODY_WEIGHT: 900.0, Quantity.SYSTOLIC: 128.0})])
    assert county.count("sample") == 1
    assert try_again(county) == [Fate.REFUSED]
    assert waiting(county) == 1


def test_values_refused_at_the_replay_lie_in_quarantine_then(plain_county: County) -> None:
    county = plain_county
    values = {Quantity.BODY_WEIGHT: 900.0, Quantity.SYSTOLIC: 128.0}
    county.settle([reading(values, device_id=STRANGER)])
    county.lend(STRANGER, county.patient_id)
    assert try_again(county) == [Fate.STORED]
    assert county.rows("select reason, repeats from quarantine where settled_at is null") == [
        ("implausible", 0)
    ]
    assert county.count("sample") == 1


def test_ahead_of_its_time_it_stays_however_long_it_waits(plain_county: County) -> None:
    county = plain_county
    county.settle([pressure(128, 81, measured_at=NOW + 2 * DAY)])
    assert county.one("select reason from quarantine") == "in_future"
    assert try_again(county, now=NOW + 9 * DAY) == [Fate.REFUSED]


@pytest.mark.parametrize("reason", ["gateway_mismatch", "unsupported_version"])
def test_a_whole_message_is_read_again(plain_county: County, reason: str) -> None:
    """As by a version of ours that can read it; what is refused of it lies there by itself."""
    county = plain_county
    readings = [pressure(128, 81), strange()]
    county.connection.execute(
        "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content)"
        " values ('x', %s, %s, %s, '', %s)",
        [GATEWAY, wire.topic(GATEWAY, wire.TopicKind.READINGS), reason, message(readings)],
    )
    assert try_again(county) == [Fate.STORED]
    assert county.count("reading") == 1
    assert county.rows("select reason from quarantine where settled_at is null") == [
        ("unassigned",)
    ]


def test_each_reading_of_a_whole_message_that_is_refused_gets_a_row(plain_county: County) -> None:
    """Also what is refused before anybody asks whose it is: the message's own row is settled."""
    county = plain_county
    odd = reading({Quantity.PULSE: 60.0}, outcome=Outcome.FAILED)
    payload = json.loads(message([pressure(128, 81), pressure(129, 81), strange(), odd]))
    payload["measured_at"][1] = int((NOW + 9 * DAY).timestamp()) * 1_000_000
    payload["slot"] = [256, -1, -1, -1]
    county.connection.execute(
        "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content)"
        " values ('x', %s, %s, 'unsupported_version', '', %s)",
        [GATEWAY, wire.topic(GATEWAY, wire.TopicKind.READINGS), json.dumps(payload).encode()],
    )
    assert try_again(county) == [Fate.STORED]
    rows = county.rows("select reason from quarantine where settled_at is null order by 1")
    assert rows == [(one,) for one in ("in_future", *["malformed_reading"] * 2, "unassigned")]


def test_to_try_without_doing_changes_nothing(plain_county: County) -> None:
    county = plain_county
    county.settle([strange(185)])
    county.lend(STRANGER, county.patient_id)
    assert try_again(county, dry_run=True) == [Fate.STORED]
    assert waiting(county) == 1
    assert county.count("reading") + county.count("breach") + county.count("alert") == 0
    assert after_loans(county) == 1


def test_changes_that_were_trimmed_unseen_are_made_good(plain_county: County) -> None:
    """After a night without a clock, everything that waits is tried once."""
    county = plain_county
    county.settle([strange()])
    after_loans(county)
    after_loans(county)
    county.lend(STRANGER, county.patient_id)
    county.connection.execute("delete from registry_change")
    county.connection.execute("update registry set forgotten = revision")
    assert after_loans(county) == 1
    assert waiting(county) == 0
    assert after_loans(county) == 0


def test_many_rows_are_done_so_many_at_a_time(plain_county: County) -> None:
    county = plain_county
    county.settle([strange(measured_at=NOW - n * HOUR) for n in range(7)])
    county.lend(STRANGER, county.patient_id)
    assert [after_loans(county, most=3) for _ in range(4)] == [3, 3, 1, 0]
    assert county.count("reading") == 7
