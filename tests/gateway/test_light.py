"""The light: what the room is told, and for how long."""

from collections.abc import Collection
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.event import GatewayEvent as Event
from gateway.feedback.light import (
    FAILED_S,
    NOT_CONNECTED_AFTER_S,
    PAIR_AGAIN_S,
    RECEIVED_S,
    RHYTHMS,
    STORED_S,
    WAITING_MAX,
    Lamp,
    Light,
    Signal,
    lamps,
)

ONE, OTHER, OLD = uuid4(), uuid4(), uuid4()


class Room:
    """A light, and a clock that the test moves."""

    def __init__(self) -> None:
        self.light = Light()
        self.now_s = 1000.0

    def happens(self, event: Event, *reading_ids: UUID) -> None:
        self.light.happened(event, reading_ids, self.now_s)

    def later(self, seconds: float) -> Signal:
        self.now_s += seconds
        return self.shows()

    def shows(self) -> Signal:
        return self.light.shown(self.now_s).signal


@pytest.fixture
def room() -> Room:
    return Room()


def test_it_is_dark_until_something_happens(room: Room) -> None:
    assert room.shows() is Signal.DARK
    assert room.light.shown(room.now_s).until_s == float("inf")


def test_green_comes_with_the_receipt_and_not_before(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    assert room.shows() is Signal.RECEIVED
    assert room.later(30) is Signal.RECEIVED
    room.happens(Event.STORED, ONE)
    assert room.shows() is Signal.STORED
    assert room.later(STORED_S - 0.01) is Signal.STORED
    assert room.later(0.02) is Signal.DARK


def test_a_receipt_for_old_readings_lights_nothing(room: Room) -> None:
    room.happens(Event.STORED, OLD)
    assert room.shows() is Signal.DARK
    room.happens(Event.RECEIVED, ONE)
    room.happens(Event.STORED, OLD)
    assert room.shows() is Signal.RECEIVED


def test_green_waits_for_all_that_was_measured(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    room.happens(Event.RECEIVED, OTHER)
    room.happens(Event.STORED, ONE)
    assert room.shows() is Signal.RECEIVED
    room.happens(Event.STORED, OTHER, OLD)
    assert room.shows() is Signal.STORED


def test_a_receipt_that_comes_late_wakes_nobody(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    assert room.later(RECEIVED_S + 1) is Signal.DARK
    room.happens(Event.STORED, ONE)
    assert room.shows() is Signal.DARK


def test_what_was_given_up_does_not_hold_back_the_next_measurement(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    room.later(RECEIVED_S + 1)
    room.happens(Event.RECEIVED, OTHER)
    room.happens(Event.STORED, OTHER)
    assert room.shows() is Signal.STORED


def test_a_failed_measurement_is_told_though_another_is_stored(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    room.happens(Event.FAILED)
    room.happens(Event.STORED, ONE)
    assert room.shows() is Signal.FAILED
    assert room.later(FAILED_S + 0.1) is Signal.DARK


def test_the_next_measurement_ends_a_failure(room: Room) -> None:
    room.happens(Event.FAILED)
    room.happens(Event.RECEIVED, ONE)
    assert room.shows() is Signal.RECEIVED


def test_pair_again_gives_way_to_a_failure(room: Room) -> None:
    room.happens(Event.PAIR_AGAIN)
    assert room.shows() is Signal.PAIR_AGAIN
    assert room.later(PAIR_AGAIN_S + 0.1) is Signal.DARK
    room.happens(Event.FAILED)
    room.happens(Event.PAIR_AGAIN)
    assert room.shows() is Signal.FAILED


def test_a_short_interruption_is_not_told_and_a_long_one_is_until_it_ends(room: Room) -> None:
    room.happens(Event.NOT_CONNECTED)
    assert room.later(NOT_CONNECTED_AFTER_S - 0.1) is Signal.DARK
    assert room.light.shown(room.now_s).until_s == pytest.approx(room.now_s + 0.1)
    room.happens(Event.NOT_CONNECTED)  # tried in vain: it lasts since the first
    assert room.later(0.2) is Signal.NOT_CONNECTED
    assert room.later(86_400) is Signal.NOT_CONNECTED
    room.happens(Event.CONNECTED)
    assert room.shows() is Signal.DARK


def test_a_measurement_is_told_also_without_a_connection(room: Room) -> None:
    room.happens(Event.NOT_CONNECTED)
    room.later(NOT_CONNECTED_AFTER_S + 1)
    room.happens(Event.RECEIVED, ONE)
    assert room.shows() is Signal.RECEIVED
    assert room.later(RECEIVED_S + 0.1) is Signal.NOT_CONNECTED


def test_a_devices_memory_sounds_once_and_the_next_measurement_again(room: Room) -> None:
    room.happens(Event.RECEIVED, ONE)
    began_s = room.light.shown(room.now_s).since_s
    room.later(1)
    room.happens(Event.RECEIVED, OTHER)
    assert room.light.shown(room.now_s).since_s == began_s
    room.later(20)
    room.happens(Event.RECEIVED, uuid4())
    assert room.light.shown(room.now_s).since_s == room.now_s


def test_what_waits_is_bounded(room: Room) -> None:
    for _ in range(3):
        room.happens(Event.RECEIVED, *(uuid4() for _ in range(WAITING_MAX)))
    assert len(room.light._waiting) == WAITING_MAX


def test_there_is_no_green_for_more_than_can_be_waited_for(room: Room) -> None:
    """The oldest of them may still be without a receipt when the others have theirs."""
    ids = [uuid4() for _ in range(WAITING_MAX + 1)]
    room.happens(Event.RECEIVED, *ids)
    room.happens(Event.STORED, *ids[1:])
    assert room.shows() is Signal.RECEIVED
    assert room.later(RECEIVED_S) is Signal.DARK
    room.happens(Event.RECEIVED, ONE)
    room.happens(Event.STORED, ONE)
    assert room.shows() is Signal.STORED


EVENTS = st.tuples(
    st.sampled_from(Event), st.sets(st.sampled_from([ONE, OTHER, OLD])), st.floats(0, 200)
)


@given(st.lists(EVENTS))
def test_green_is_shown_only_when_nothing_that_was_received_waits(
    story: list[tuple[Event, Collection[UUID], float]],
) -> None:
    """Whatever happens, green never stands while something received within its time waits."""
    light, now_s = Light(), 0.0
    waiting: dict[UUID, float] = {}
    for event, reading_ids, passes_s in story:
        now_s += passes_s
        light.happened(event, reading_ids, now_s)
        if event is Event.RECEIVED:
            waiting |= dict.fromkeys(reading_ids, now_s)
        if event is Event.STORED:
            for reading_id in reading_ids:
                waiting.pop(reading_id, None)
        shown = light.shown(now_s)
        assert shown.since_s <= now_s < shown.until_s
        if shown.signal is Signal.STORED:
            began_s = shown.since_s
            newest = max(waiting.values(), default=float("-inf"))
            assert newest < began_s


@pytest.mark.parametrize("signal", Signal)
def test_each_signal_can_be_told_without_seeing_colours(signal: Signal) -> None:
    """No two signals have the same rhythm when every lamp looks alike."""

    def grey(one: Signal) -> list[tuple[float, bool, bool]]:
        rhythm = RHYTHMS[one]
        return [
            (phase.lasts_s, bool(phase.lamps - {Lamp.BUZZER}), Lamp.BUZZER in phase.lamps)
            for phase in (*rhythm.first, *rhythm.again)
        ]

    assert all(grey(signal) != grey(other) for other in Signal if other is not signal)


@given(st.sampled_from(Signal), st.floats(-1, 1e6))
def test_a_rhythm_always_says_what_is_next(signal: Signal, elapsed_s: float) -> None:
    on, for_s = lamps(signal, elapsed_s)
    assert on <= set(Lamp)
    assert for_s >= 0.001  # less would keep the processor busy


def test_a_failure_beeps_three_times_and_then_blinks_without_end() -> None:
    beeps, elapsed_s = 0, 0.0
    while elapsed_s < FAILED_S:
        on, for_s = lamps(Signal.FAILED, elapsed_s)
        beeps += Lamp.BUZZER in on
        assert for_s <= 0.25
        elapsed_s += for_s
    assert beeps == 3
