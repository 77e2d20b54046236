import contextlib
import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from devices.drivers import RawValue
from gateway.database import (
    BALLAST_BYTES,
    LOCK_NAME,
    Database,
    StoreFull,
    StoreInUse,
    StoreTooNew,
    depths,
)
from gateway.inbox import ADVERTISERS_MAX, REPLAYS_MAX, Inbox, InboxSession
from gateway.outbox import SEEN_FOR, Outbox
from tests.gateway.material import DEVICE, START, ids, reading


def raw(number: int) -> RawValue:
    return RawValue("2a35", number.to_bytes(2), START + timedelta(microseconds=number))


def test_readings_come_out_oldest_first_as_they_went_in(outbox: Outbox) -> None:
    readings = [reading(n) for n in (3, 1, 2)]
    assert outbox.append(readings) == 3
    assert [row.reading_id for row in outbox.peek(10)] == ids(readings)


def test_only_a_settlement_empties_the_outbox(outbox: Outbox) -> None:
    readings = [reading(n) for n in range(3)]
    outbox.append(readings)
    settled = outbox.settle(stored=ids(readings[:1]), refused={readings[1].reading_id: "why"})
    assert (settled.stored, settled.refused) == (1, 1)
    assert [row.reading_id for row in outbox.peek(10)] == ids(readings[2:])
    assert outbox.depth == 1
    assert outbox.refused_total == 1


def test_a_settled_reading_is_not_taken_again(outbox: Outbox) -> None:
    outbox.append([reading(1)])
    outbox.settle(stored=[reading(1).reading_id], refused={})
    assert outbox.append([reading(1)]) == 0
    assert outbox.depth == 0


def test_settling_what_never_waited_changes_nothing(outbox: Outbox) -> None:
    outbox.settle(stored=[reading(1).reading_id], refused={})
    assert outbox.append([reading(1)]) == 1


def test_a_reading_is_forgotten_when_no_device_remembers_it(store: Database, inbox: Inbox) -> None:
    now = START
    outbox = Outbox(store, inbox, now=lambda: now)
    outbox.append([reading(1), reading(2)])
    outbox.settle(stored=[reading(1).reading_id], refused={})
    now += SEEN_FOR + timedelta(days=2)
    outbox.settle(stored=[reading(2).reading_id], refused={})
    assert outbox.append([reading(1)]) == 1
    assert outbox.append([reading(2)]) == 0


def test_a_full_outbox_refuses_loudly_and_keeps_what_it_has(store: Database, inbox: Inbox) -> None:
    outbox = Outbox(store, inbox, rows_max=2)
    outbox.append([reading(1)])
    with pytest.raises(StoreFull):
        outbox.append([reading(2), reading(3)])
    assert [row.reading_id for row in outbox.peek(10)] == [reading(1).reading_id]
    assert outbox.append([reading(2)]) == 1


def test_a_session_that_finds_no_room_stays_in_the_inbox(store: Database, inbox: Inbox) -> None:
    outbox = Outbox(store, inbox, rows_max=0)
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    with pytest.raises(StoreFull):
        outbox.append_from_session(session, [reading(1)], finished=True)
    assert inbox.depth == 1


def test_whenever_the_power_goes_a_reading_is_in_the_inbox_or_in_the_outbox(
    tmp_path: Path, store: Database, inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    transaction, left = store.transaction, []

    @contextlib.contextmanager
    def watched() -> Iterator[sqlite3.Connection]:
        with transaction() as connection:
            yield connection
        left.append(depths(tmp_path / "data")[:2])  # what another process finds now

    monkeypatch.setattr(store, "transaction", watched)
    outbox.append_from_session(session, [reading(1)], finished=True)
    assert left[-1] == (0, 1)
    assert all(any(each) for each in left)


def test_a_full_disk_keeps_what_was_accepted_and_lets_it_go_again(tmp_path: Path) -> None:
    with Database(tmp_path, pages_max=40) as database:
        outbox = Outbox(database, Inbox(database))
        kept = _fill(outbox)
        assert len(kept) > 50
        assert outbox.depth == len(kept)
        assert [row.reading_id for row in outbox.peek(10_000)] == kept
        outbox.settle(stored=kept[:20], refused={})
        assert outbox.append([reading(20_000)]) == 1


def _fill(outbox: Outbox) -> list[UUID]:
    kept: list[UUID] = []
    for number in range(10_000):
        try:
            outbox.append([reading(number)])
        except StoreFull:
            return kept
        kept.append(reading(number).reading_id)
    pytest.fail("it is never full")


def test_values_survive_the_process_the_moment_append_returns(tmp_path: Path) -> None:
    session = InboxSession(DEVICE, "blood_pressure")
    with Database(tmp_path) as database:
        Inbox(database).append(session, raw(1))
    with Database(tmp_path) as database:
        inbox = Inbox(database)
        (found,) = inbox.unfinished()
        assert (found.device_id, found.driver) == (DEVICE, "blood_pressure")
        assert inbox.values(found) == [raw(1)]


def test_a_session_that_is_being_fed_is_not_replayed(inbox: Inbox) -> None:
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    assert list(inbox.unfinished()) == []
    inbox.release(session)
    assert [found.session_id for found in inbox.unfinished()] == [session.session_id]


def test_a_session_that_kills_its_reader_is_set_aside_and_kept(inbox: Inbox) -> None:
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    inbox.release(session)
    for _ in range(REPLAYS_MAX):
        (found,) = inbox.unfinished()
        inbox.begin_replay(found)
    assert list(inbox.unfinished()) == []
    assert inbox.set_aside(("blood_pressure",)) == 1
    assert inbox.depth == 1


def test_a_full_inbox_refuses_loudly(store: Database) -> None:
    inbox = Inbox(store, rows_max=1)
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    with pytest.raises(StoreFull):
        inbox.append(session, raw(2))
    assert inbox.values(session) == [raw(1)]


def test_a_repeated_advertisement_takes_no_room_even_after_a_restart(tmp_path: Path) -> None:
    session = InboxSession(DEVICE, "mi_scale_v1")
    with Database(tmp_path) as database:
        inbox = Inbox(database)
        assert inbox.append_advertised(session, raw(1))
        assert not any(inbox.append_advertised(session, raw(1)) for _ in range(50))
    with Database(tmp_path) as database:
        inbox = Inbox(database)
        assert not inbox.append_advertised(InboxSession(DEVICE, "mi_scale_v1"), raw(1))
        assert inbox.append_advertised(InboxSession(DEVICE, "mi_scale_v1"), raw(2))
        assert inbox.depth == 2


def test_a_block_of_flats_full_of_scales_is_remembered_within_bounds(
    store: Database, inbox: Inbox
) -> None:
    for number in range(ADVERTISERS_MAX + 10):
        inbox.append_advertised(InboxSession(f"D{number}", "mi_scale_v1"), raw(number))
    assert store.number("select count(*) from advertised") == ADVERTISERS_MAX


def test_who_asks_whether_a_gateway_runs_keeps_none_from_starting(tmp_path: Path) -> None:
    """It holds the lock for an instant."""
    with Database(tmp_path):
        pass
    with (tmp_path / LOCK_NAME).open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        timer = threading.Timer(0.1, fcntl.flock, (asking, fcntl.LOCK_UN))
        timer.start()
        try:
            with Database(tmp_path):
                pass
        finally:
            timer.join()


def test_two_gateways_cannot_share_a_data_directory(tmp_path: Path) -> None:
    with Database(tmp_path), pytest.raises(StoreInUse):
        Database(tmp_path)
    Database(tmp_path).close()


def test_a_newer_versions_file_is_left_alone(tmp_path: Path) -> None:
    with Database(tmp_path) as database, database.transaction() as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(StoreTooNew):
        Database(tmp_path)


def test_depths_can_be_read_beside_a_running_gateway(
    tmp_path: Path, inbox: Inbox, outbox: Outbox
) -> None:
    session = InboxSession(DEVICE, "blood_pressure")
    inbox.append(session, raw(1))
    inbox.append(session, raw(2))
    outbox.append([reading(1)])
    assert depths(tmp_path / "data") == (2, 1, reading(1).received_at)


def test_the_last_reading_is_known_after_it_was_delivered_and_after_a_restart(
    tmp_path: Path,
) -> None:
    def last(database: Database) -> datetime | None:
        return Outbox(database, Inbox(database)).last_received_at

    with Database(tmp_path) as database:
        assert last(database) is None
        outbox = Outbox(database, Inbox(database))
        outbox.append([reading(5)])
        outbox.settle(stored=[reading(5).reading_id], refused={})
        assert outbox.last_received_at == reading(5).received_at
    with Database(tmp_path) as database:
        assert last(database) == reading(5).received_at


def test_a_commit_is_on_the_disk_not_on_its_way_there(store: Database) -> None:
    assert store.number("pragma synchronous") == 2  # FULL
    assert store.rows("pragma journal_mode") == [("wal",)]


def test_reserved_room_is_whole_also_after_a_power_cut_while_it_was_reserved(
    tmp_path: Path,
) -> None:
    (tmp_path / "ballast").write_bytes(b"")
    with Database(tmp_path):
        assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES
