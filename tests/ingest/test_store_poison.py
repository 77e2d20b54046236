"""What the database refuses, or takes too long for, is found and costs its neighbours nothing."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from ingest import settle
from ingest.meter import NullMeter
from ingest.quarantine import Reason
from ingest.settle import Settler
from tests.ingest.county import NOW, County, batch_of, pressure


def test_a_reading_the_database_refuses_is_quarantined_and_its_neighbours_stored(
    county: County,
) -> None:
    """Sound to every check of ours, and the database has one more."""
    county.connection.execute(
        "alter table reading add constraint odd check (battery_percent <> 66)"
    )
    readings = [
        pressure(
            120, 80, measured_at=NOW - timedelta(hours=n), battery_percent=66 if n == 7 else 50
        )
        for n in range(23)
    ]
    settled = county.settle(readings)
    expected = [Reason.REFUSED_BY_DATABASE.code if n == 7 else 0 for n in range(23)]
    assert settled.reason.tolist() == expected
    assert settled.new == county.count("reading") == 22
    ((reason, detail, reading_id, content),) = county.rows(
        "select reason, detail, reading_id, content from quarantine"
    )
    assert (reason, reading_id) == ("refused_by_database", readings[7].reading_id)
    assert detail.startswith("23514: ")
    assert b'"battery_percent":66' in content


def test_a_batch_of_nothing_but_poison_is_refused_one_by_one(plain_county: County) -> None:
    plain_county.connection.execute("alter table sample add check (value <> 113)")
    settled = plain_county.settle(
        [pressure(113, 80, measured_at=NOW - timedelta(hours=n)) for n in range(5)]
    )
    assert set(settled.reason.tolist()) == {Reason.REFUSED_BY_DATABASE.code}
    assert (plain_county.count("quarantine"), plain_county.count("reading")) == (5, 0)


@pytest.mark.parametrize("stuck", [{7}, set(range(3))])
def test_a_reading_that_takes_the_database_too_long_is_found_by_halving(
    plain_county: County, monkeypatch: pytest.MonkeyPatch, stuck: set[int]
) -> None:
    """A statement that is cancelled is tried again, yet not for ever."""
    monkeypatch.setattr(settle, "RETRY_S_MAX", 0.01)
    plain_county.connection.execute(
        "create function hang() returns trigger language plpgsql as $$ begin"
        " raise 'canceling statement due to statement timeout' using errcode = '57014'; end $$;"
        "create trigger hangs before insert on reading for each row"
        " when (new.battery_percent = 66) execute function hang()"
    )
    readings = [
        pressure(
            120, 80, measured_at=NOW - timedelta(hours=n), battery_percent=66 if n in stuck else 50
        )
        for n in range(max(stuck) + 1)
    ]
    settled = plain_county.settle(readings)
    refused = Reason.REFUSED_BY_DATABASE.code
    assert settled.reason.tolist() == [refused * (n in stuck) for n in range(len(readings))]
    assert plain_county.rows("select reading_id from reading order by measured_at desc") == [
        (one.reading_id,) for n, one in enumerate(readings) if n not in stuck
    ]
    details = {row[0] for row in plain_county.rows("select detail from quarantine")}
    assert details == {"canceling statement due to statement timeout"}


class Retries(NullMeter):
    """Tells when so many attempts have failed."""

    def __init__(self, most: int) -> None:
        self.reached = asyncio.Event()
        self._left = most

    def retried(self) -> None:
        self._left -= 1
        if not self._left:
            self.reached.set()


async def test_a_county_that_takes_too_long_to_read_is_no_readings_fault(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often its reading is broken off, nothing is refused for it."""
    monkeypatch.setattr(settle, "TRANSACTION_S_MAX", 0.2)
    monkeypatch.setattr(settle, "RETRY_S_MAX", 0.01)
    retries = Retries(settle.TIMEOUTS_MAX + 2)
    with psycopg.connect(plain_county.dsn) as other:
        other.execute("lock table plan_limit")
        async with Settler(lambda: plain_county.dsn, "test", retries) as settler:
            settling = asyncio.create_task(settler.settle(batch_of([pressure(120, 80)]), []))
            reached = asyncio.create_task(retries.reached.wait())
            await asyncio.wait([settling, reached], return_when=asyncio.FIRST_COMPLETED)
            assert not settling.done()
            monkeypatch.setattr(settle, "TRANSACTION_S_MAX", 60)
            other.rollback()
            assert (await settling).reason.tolist() == [0]
    assert plain_county.count("quarantine") == 0


def test_a_fault_of_ours_is_not_retried_for_ever(plain_county: County) -> None:
    plain_county.connection.execute("drop table breach cascade")
    with pytest.raises(psycopg.errors.UndefinedTable):
        plain_county.settle([pressure(192, 112)])
