from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from devices.drivers import RawValue, driver_named
from devices.drivers.mi_scale import MiScaleDriver
from devices.drivers.session import Session
from devices.gatt import uuids
from devices.gatt.mi_scale import MiScaleV1
from devices.reading import Reading
from devices.wire import decode_reading
from gateway.advertised import (
    FRAMES_MAX,
    SILENT_S,
    STRANGER_FRAMES_MAX,
    STRANGERS_MAX,
    AdvertisedSessions,
)
from gateway.database import Database, StoreFull
from gateway.event import GatewayEvent
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.replay import replay_unfinished
from tests.devices.golden import captures
from tests.gateway.home import ZONE
from tests.gateway.material import DEVICE, START

SCALE = driver_named("mi_scale_v1", ZONE)
# ble_monitor: a Mi Scale at 86.55 kg.
COUNTS = bytes.fromhex("229e43e507040b101301")


def unsettled(number: int) -> bytes:
    """Return the *number*-th different frame of somebody who does not stand still."""
    return b"\x02" + (10_000 + number).to_bytes(2, "little") + COUNTS[3:]


def sessions(inbox: Inbox, outbox: Outbox) -> AdvertisedSessions:
    return AdvertisedSessions(inbox, outbox, lambda: START)


def test_a_weight_is_in_the_outbox_at_once_and_its_frames_leave_with_silence(
    inbox: Inbox, outbox: Outbox
) -> None:
    listening = sessions(inbox, outbox)
    listening.take(DEVICE, SCALE, unsettled(1), 0.0)
    listening.take(DEVICE, SCALE, COUNTS, 1.0)
    assert (inbox.depth, outbox.depth) == (2, 1)
    listening.finish_silent(1.0 + SILENT_S)
    assert inbox.depth == 2
    listening.finish_silent(1.1 + SILENT_S)
    assert (inbox.depth, outbox.depth) == (0, 1)


def test_a_frame_repeated_keeps_the_session_open_and_takes_no_room(
    inbox: Inbox, outbox: Outbox
) -> None:
    listening = sessions(inbox, outbox)
    for second in range(0, 200, 10):
        listening.take(DEVICE, SCALE, COUNTS, float(second))
        listening.finish_silent(float(second))
    assert (inbox.depth, outbox.depth) == (1, 1)


def test_a_scale_that_never_settles_does_not_fill_the_inbox(inbox: Inbox, outbox: Outbox) -> None:
    listening = sessions(inbox, outbox)
    for number in range(FRAMES_MAX * 2 + 10):
        listening.take(DEVICE, SCALE, unsettled(number), 0.0)
        assert inbox.depth == 1


def test_a_scale_that_settles_on_and_on_does_not_fill_the_inbox(
    inbox: Inbox, outbox: Outbox
) -> None:
    listening = sessions(inbox, outbox)
    for number in range(FRAMES_MAX * 2 + 10):
        settled = COUNTS[:1] + (10_000 + number).to_bytes(2, "little") + COUNTS[3:]
        listening.take(DEVICE, SCALE, settled, 0.0)
        assert inbox.depth <= FRAMES_MAX


def test_what_a_scale_without_a_clock_weighs_is_known_by_the_frames_between(
    inbox: Inbox, outbox: Outbox
) -> None:
    """The same bytes on two mornings: only that somebody got on again tells them apart."""
    weight = COUNTS[:3] + bytes(7)
    clock = [START]
    listening = AdvertisedSessions(inbox, outbox, lambda: clock[0])
    for day in (0, 1):
        clock[0] = START + timedelta(days=day)
        now_s = timedelta(days=day).total_seconds()
        for number in range(20):
            listening.take(DEVICE, SCALE, unsettled(number), now_s)
        for _ in range(5):
            listening.take(DEVICE, SCALE, weight, now_s)
        assert inbox.depth == 2
        listening.finish_all()
    assert outbox.depth == 2


@pytest.mark.parametrize(
    ("driver", "captured"),
    [("mi_scale_v1", "mi_scale_v1_181d"), ("mi_scale_v2", "mi_scale_v2_181b")],
)
def test_what_is_left_out_takes_no_reading_away(
    inbox: Inbox, outbox: Outbox, driver: str, captured: str
) -> None:
    kind = driver_named(driver, ZONE)
    assert kind.advertised_source is not None
    frames = [bytes.fromhex(row["hex"]) for row in captures()[captured]]
    every = kind.new(DEVICE)
    expected = [
        reading.reading_id
        for frame in frames
        for reading in every.received(RawValue(kind.advertised_source, frame, START))
    ]
    expected += [reading.reading_id for reading in every.finished()]
    listening = sessions(inbox, outbox)
    for second, frame in enumerate(frames):
        listening.take(DEVICE, kind, frame, float(second))
    listening.finish_all()
    assert [decode_reading(row.encoded).reading_id for row in outbox.peek(100)] == expected


def test_the_same_weight_on_two_mornings_is_two_readings(inbox: Inbox, outbox: Outbox) -> None:
    listening = sessions(inbox, outbox)
    listening.take(DEVICE, SCALE, COUNTS, 0.0)
    listening.finish_all()
    next_morning = COUNTS[:5] + b"\x04\x0c" + COUNTS[7:]
    listening.take(DEVICE, SCALE, next_morning, timedelta(days=1).total_seconds())
    assert outbox.depth == 2


def test_a_full_outbox_leaves_the_frames_for_a_replay(
    store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    listening = sessions(inbox, Outbox(store, inbox, rows_max=0))
    with pytest.raises(StoreFull):
        listening.take(DEVICE, SCALE, COUNTS, 0.0)
    listening.finish_all()
    assert inbox.depth == 1
    assert replay_unfinished(inbox, outbox, ZONE) == 1
    assert (inbox.depth, outbox.depth) == (0, 1)


class _Bug(Exception):
    pass


class _Buggy(MiScaleDriver):
    """A driver that breaks its promise never to raise."""

    def received(self, raw: RawValue) -> Sequence[Reading]:
        raise _Bug


def test_a_bug_in_a_driver_leaves_the_frames_for_a_replay(inbox: Inbox, outbox: Outbox) -> None:
    kind = replace(
        SCALE,
        make=lambda device_id, zone, model, memory: _Buggy(
            Session(device_id, zone, model, memory, live=True),
            uuids.WEIGHT_SCALE_SERVICE,
            MiScaleV1,
        ),
    )
    listening = sessions(inbox, outbox)
    with pytest.raises(_Bug):
        listening.take(DEVICE, kind, COUNTS, 0.0)
    listening.finish_all()
    assert replay_unfinished(inbox, outbox, ZONE) == 1
    assert (inbox.depth, outbox.depth) == (0, 1)


def test_neighbours_scales_cannot_fill_the_store(inbox: Inbox, outbox: Outbox) -> None:
    """Where nothing is listed everybody is served, and anybody can make up addresses."""
    listening = sessions(inbox, outbox)
    for number in range(STRANGERS_MAX * 3):
        take_stranger(listening, stranger(number), 1, 0.0)
    assert inbox.depth == STRANGERS_MAX


def test_a_stranger_that_never_settles_has_its_bound_a_day(inbox: Inbox, outbox: Outbox) -> None:
    listening = sessions(inbox, outbox)
    kept = 0
    for number in range(STRANGER_FRAMES_MAX * 2):
        before = inbox.depth
        take_stranger(listening, DEVICE, number, 0.0)
        kept += inbox.depth > before
        listening.finish_all()
    assert kept == STRANGER_FRAMES_MAX
    take_stranger(listening, DEVICE, 1, 86_401.0)
    assert inbox.depth == 1


def test_who_was_heard_first_goes_on_being_heard(inbox: Inbox, outbox: Outbox) -> None:
    listening = sessions(inbox, outbox)
    for number in range(STRANGERS_MAX * 3):
        take_stranger(listening, stranger(number), 1, 0.0)
    before = inbox.depth
    listening.take(stranger(0), SCALE, COUNTS, 1.0, is_listed=False)
    listening.take(stranger(STRANGERS_MAX), SCALE, COUNTS, 1.0, is_listed=False)
    assert inbox.depth == before + 1


def test_made_up_addresses_do_not_shut_out_a_scale_that_gave_something_before(
    inbox: Inbox, outbox: Outbox
) -> None:
    told: list[bool] = []
    listening = AdvertisedSessions(inbox, outbox, lambda: START, on_many_strangers=told.append)
    for number in range(STRANGERS_MAX):
        take_stranger(listening, stranger(number), 1, 0.0)
    assert True not in told
    take_stranger(listening, stranger(STRANGERS_MAX), 1, 0.0)
    assert told[-1]
    listening.take(DEVICE, SCALE, COUNTS, 0.0, is_listed=False, is_ours=True)
    assert outbox.depth == 1
    listening.take(DEVICE, SCALE, COUNTS, 86_401.0, is_listed=False, is_ours=True)
    assert not told[-1]  # another day


def test_a_stranger_that_gives_something_is_a_stranger_until_tomorrow(
    inbox: Inbox, outbox: Outbox
) -> None:
    listening = sessions(inbox, outbox)
    kept = 0
    for number in range(STRANGER_FRAMES_MAX + 10):
        before = inbox.depth
        listening.take(DEVICE, SCALE, unsettled(number), 0.0, is_listed=False, is_ours=number > 0)
        kept += inbox.depth > before
        listening.finish_all()
    assert kept == STRANGER_FRAMES_MAX


def test_a_listed_scale_has_no_such_bound(inbox: Inbox, outbox: Outbox) -> None:
    listening = sessions(inbox, outbox)
    for number in range(STRANGERS_MAX * 3):
        listening.take(stranger(number), SCALE, unsettled(1), 0.0, is_listed=True)
    assert inbox.depth == STRANGERS_MAX * 3


def test_the_room_and_the_memory_are_told_of_a_weight_once(inbox: Inbox, outbox: Outbox) -> None:
    events: list[GatewayEvent] = []
    served: list[str] = []
    listening = AdvertisedSessions(
        inbox,
        outbox,
        lambda: START,
        on_event=lambda event, _ids=(): events.append(event),
        on_served=served.append,
    )
    for second in range(10):
        listening.take(DEVICE, SCALE, COUNTS, float(second))
    assert events == [GatewayEvent.RECEIVED]
    assert served == [DEVICE]


def stranger(number: int) -> str:
    return f"C0:00:00:00:00:{number:02X}"


def take_stranger(listening: AdvertisedSessions, device_id: str, frame: int, now_s: float) -> None:
    listening.take(device_id, SCALE, unsettled(frame), now_s, is_listed=False)
