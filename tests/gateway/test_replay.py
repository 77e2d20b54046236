from pathlib import Path

import pytest

from devices.drivers import RawValue, driver_names
from devices.wire import ConditionCode
from gateway import replay
from gateway.database import Database, StoreFull
from gateway.health import Health
from gateway.inbox import REPLAYS_MAX, Inbox, InboxSession
from gateway.outbox import Outbox
from gateway.replay import replay_and_tell, replay_unfinished
from tests.gateway.home import ZONE
from tests.gateway.material import DEVICE, START

# 86.55 kg from a Mi Scale (ble_monitor).
FRAME = RawValue(
    "0000181d-0000-1000-8000-00805f9b34fb", bytes.fromhex("229e43e507040b101301"), START
)


def leave(inbox: Inbox, driver: str = "mi_scale_v1") -> None:
    """Leave a session as a power cut does."""
    session = InboxSession(DEVICE, driver)
    inbox.append(session, FRAME)
    inbox.release(session)


def test_what_a_power_cut_left_becomes_readings_once(inbox: Inbox, outbox: Outbox) -> None:
    leave(inbox)
    assert replay_unfinished(inbox, outbox, ZONE) == 1
    assert (inbox.depth, outbox.depth) == (0, 1)
    assert replay_unfinished(inbox, outbox, ZONE) == 0
    assert outbox.depth == 1


def test_a_full_outbox_postpones_it_for_as_long_as_it_takes(
    store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    leave(inbox)
    full = Outbox(store, inbox, rows_max=0)
    for _ in range(REPLAYS_MAX + 2):
        with pytest.raises(StoreFull):
            replay_unfinished(inbox, full, ZONE)
    assert inbox.depth == 1
    assert replay_unfinished(inbox, outbox, ZONE) == 1


def test_a_session_of_an_unknown_driver_is_set_aside_and_stops_nobody(
    inbox: Inbox, outbox: Outbox
) -> None:
    leave(inbox, "from_the_future")
    leave(inbox)
    replay_unfinished(inbox, outbox, ZONE)
    assert outbox.depth == 1
    assert inbox.set_aside(driver_names()) == 1
    assert inbox.depth == 1


def test_a_session_is_replayed_when_its_driver_is_there_again(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that could not be loaded, or a version that was taken back, for however long."""
    leave(inbox)
    with monkeypatch.context() as away:
        away.setattr(replay, "driver_names", lambda: ("weight_scale",))
        for _ in range(REPLAYS_MAX + 1):
            assert replay_unfinished(inbox, outbox, ZONE) == 0
    assert replay_unfinished(inbox, outbox, ZONE) == 1
    assert outbox.depth == 1


def test_a_full_store_is_a_problem_until_there_is_room(tmp_path: Path) -> None:
    health = Health()
    health.problem(ConditionCode.STORAGE_FULL, "a measurement was not kept")
    for pages_max, is_solved in ((100, False), (1000, True)):
        with Database(tmp_path, pages_max=pages_max) as database:
            inbox = Inbox(database)
            replay_and_tell(database, inbox, Outbox(database, inbox), health, ZONE)
        assert (health.problems == ()) is is_solved


def test_measurements_that_wait_for_room_are_told(store: Database, inbox: Inbox) -> None:
    health = Health()
    leave(inbox)
    replay_and_tell(store, inbox, Outbox(store, inbox, rows_max=0), health, ZONE)
    assert "wait in the inbox" in health.problems[0]


def test_sessions_set_aside_are_told(store: Database, inbox: Inbox, outbox: Outbox) -> None:
    health = Health()
    leave(inbox, "from_the_future")
    for _ in range(REPLAYS_MAX):
        replay_and_tell(store, inbox, outbox, health, ZONE)
    assert health.problems == ("1 sessions in the inbox could not be read by this version",)


def test_what_one_version_set_aside_the_next_one_tries(
    store: Database, inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "program_version", lambda: "1.0")
    health = Health()
    replay_and_tell(store, inbox, outbox, health, ZONE)
    leave(inbox)
    (session,) = inbox.unfinished()
    for _ in range(REPLAYS_MAX):
        inbox.begin_replay(session)
    replay_and_tell(store, Inbox(store), outbox, health, ZONE)  # the same version again
    assert outbox.depth == 0
    assert [each.code for each in health.conditions] == [ConditionCode.INBOX_SET_ASIDE]

    monkeypatch.setattr(replay, "program_version", lambda: "1.1")
    replay_and_tell(store, Inbox(store), outbox, health, ZONE)
    assert (inbox.depth, outbox.depth) == (0, 1)
    assert health.conditions == ()


def test_another_version_is_another_once(store: Database, inbox: Inbox) -> None:
    leave(inbox)
    inbox.retry_with("1.1")
    (session,) = inbox.unfinished()
    for _ in range(REPLAYS_MAX):
        inbox.begin_replay(session)
        Inbox(store).retry_with("1.1")
    assert inbox.set_aside(driver_names()) == 1


def test_want_of_room_is_never_a_sessions_fault(
    store: Database, inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may be so full that not even the attempt can be taken back."""
    leave(inbox)
    full = Outbox(store, inbox, rows_max=0)
    count = inbox._count_replays

    def count_up_only(session: InboxSession, by: int) -> None:
        if by < 0:
            raise StoreFull
        count(session, by)

    monkeypatch.setattr(inbox, "_count_replays", count_up_only)
    for _ in range(REPLAYS_MAX + 2):
        with pytest.raises(StoreFull):
            replay_unfinished(inbox, full, ZONE)
    assert replay_unfinished(inbox, outbox, ZONE) == 1
