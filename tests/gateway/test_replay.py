import pytest

from devices.drivers import RawValue
from gateway.database import Database, StoreFull
from gateway.inbox import REPLAYS_MAX, Inbox, InboxSession
from gateway.outbox import Outbox
from gateway.replay import replay_unfinished
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
    for _ in range(REPLAYS_MAX):
        replay_unfinished(inbox, outbox, ZONE)
    assert outbox.depth == 1
    assert inbox.set_aside == 1
    assert inbox.depth == 1
