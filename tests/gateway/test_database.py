"""R16: a store of any earlier version is brought up to this one, and answers the same."""

import contextlib
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.drivers import driver_names
from gateway.database import FILE_NAME, MIGRATIONS, Database, from_us
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.replay import readings_of, replay_unfinished
from tests.gateway.material import START, ids, reading

STORES = Path(__file__).parent / "stores"
STOCKHOLM = ZoneInfo("Europe/Stockholm")

# What version 1 itself made of the unfinished sessions in its store.
REPLAYED_BY_VERSION_1 = {
    "01a19b45-b800-84a7-beac-32e53184fcd1": ("2026-11-02T06:59:00+00:00", "ok", 128.0),
    "01a19b45-bbe8-803a-92a4-7673439a117a": ("2026-11-02T08:00:01+00:00", "absent", 130.0),
    "0178c1ba-b108-8086-ae92-931977a430f4": ("2026-11-02T08:00:09+00:00", "corrected", 86.55),
}


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A store as version 1 left it: written by it, and dumped."""
    path = tmp_path / FILE_NAME
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORES / "version_1.sql").read_text())
        connection.execute("pragma journal_mode = wal")
    return tmp_path


def test_there_is_a_store_of_each_earlier_version() -> None:
    stores = {path.stem for path in STORES.glob("*.sql")}
    assert stores == {f"version_{number}" for number in range(1, len(MIGRATIONS))}


def test_a_store_of_version_1_keeps_all_it_held(version_1: Path) -> None:
    with Database(version_1) as database:
        outbox = Outbox(database, inbox := Inbox(database))
        assert database.number("pragma user_version") == len(MIGRATIONS)
        assert [row.reading_id for row in outbox.peek(10)] == ids([reading(n) for n in (3, 4, 5)])
        assert [row.row_id for row in outbox.peek(10)] == [4, 5, 6]
        assert outbox.refused_total == 1
        assert outbox.append(map(reading, range(7))) == 1  # 0 to 2 are settled, 3 to 5 wait
        assert inbox.depth == 5
        assert inbox.set_aside(driver_names()) == 1
        inbox.retry_with("2")
        assert inbox.set_aside((*driver_names(), "of_a_newer_version")) == 0
        assert database.newest_us() is not None
        assert outbox.last_received_at == reading(6).received_at


def test_sessions_of_version_1_are_finished_with_the_answers_it_would_have_given(
    version_1: Path,
) -> None:
    with Database(version_1) as database:
        outbox = Outbox(database, inbox := Inbox(database))
        readings = [
            each
            for session in inbox.unfinished()
            for each in readings_of(inbox, session, STOCKHOLM)
        ]
        said = {
            str(each.reading_id): (
                each.measured_at.isoformat(),
                each.clock.value,
                each.values[0].value,
            )
            for each in readings
        }
        assert said == REPLAYED_BY_VERSION_1
        assert replay_unfinished(inbox, outbox, STOCKHOLM) == 2
        assert outbox.depth == 6
        assert inbox.depth == 1


def test_a_migration_that_is_cut_short_leaves_the_version_before(
    version_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (*MIGRATIONS, "create table left_behind (number integer) strict; select no_such();")
    monkeypatch.setattr("gateway.database.MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError):
        Database(version_1)
    monkeypatch.undo()
    with Database(version_1) as database:
        assert database.number("pragma user_version") == len(MIGRATIONS)
        assert database.rows("select name from sqlite_schema where name = 'left_behind'") == []
        assert Outbox(database, Inbox(database)).depth == 3


def test_the_newest_time_is_of_what_waits_or_was_settled(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        assert database.newest_us() is None
        outbox = Outbox(database, Inbox(database), now=lambda: START)
        outbox.append([reading(3), reading(2)])
        outbox.settle(stored=ids([reading(3)]), refused={})
        newest_us = database.newest_us()
        assert newest_us is not None
        assert from_us(newest_us) == reading(3).received_at
