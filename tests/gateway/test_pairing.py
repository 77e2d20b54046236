"""The course of a pairing: pure, so that every turn it can take is walked here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.wire import PairingRequest, PairingStep
from gateway import pairing
from gateway.pairing import CONNECTS_MAX, MEASURE_S_MAX, OPEN_S_MAX, Course, Failure, Pairing

START = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
DEVICE, OTHER = "C4:64:E3:00:00:01", "C4:64:E3:00:00:02"
WITHIN = timedelta(minutes=5)


def course(*, device_id: str | None = DEVICE, model: str = "") -> Course:
    request = PairingRequest(
        request_id="r-1", expires_at=START + WITHIN, device_id=device_id, model=model
    )
    return Course(request, START)


def measuring() -> Course:
    begun = course()
    begun.connecting(DEVICE)
    begun.bonded(DEVICE, START)
    return begun


def ended(course: Course) -> tuple[PairingStep, str]:
    return course.status.step, course.status.problem


def test_it_is_done_when_a_later_session_of_the_bonded_device_brought_a_reading() -> None:
    begun = course()
    steps = [begun.status.step]
    begun.connecting(DEVICE)
    steps.append(begun.status.step)
    begun.asking()
    steps.append(begun.status.step)
    begun.answered()
    begun.bonded(DEVICE, START)
    steps.append(begun.status.step)
    begun.delivered(DEVICE, is_bonded=True)
    steps.append(begun.status.step)
    assert steps == ["searching", "pairing", "passkey", "measure", "done"]
    assert begun.is_over


def test_a_reading_before_the_bond_proves_nothing() -> None:
    begun = course()
    begun.delivered(DEVICE, is_bonded=True)
    assert begun.status.step is PairingStep.SEARCHING


def test_a_reading_of_another_device_proves_nothing() -> None:
    begun = measuring()
    begun.delivered(OTHER, is_bonded=True)
    assert begun.status.step is PairingStep.MEASURE


def test_a_reading_without_a_bond_proves_nothing() -> None:
    begun = measuring()
    begun.delivered(DEVICE, is_bonded=False)
    assert begun.status.step is PairingStep.MEASURE


def test_a_device_that_needs_no_bond_is_done_with_its_reading() -> None:
    begun = course()
    begun.bonded(DEVICE, START, needs_bond=False)
    begun.delivered(DEVICE, is_bonded=False)
    assert begun.status.step is PairingStep.DONE


@pytest.mark.parametrize(
    ("device_id", "model", "heard", "heard_model", "wanted"),
    [
        (DEVICE, "", DEVICE, "omron", True),
        (DEVICE, "omron", DEVICE, "", True),  # its address says enough
        (DEVICE, "", OTHER, "omron", False),
        (None, "omron", OTHER, "omron", True),
        (None, "omron", OTHER, "beurer", False),
    ],
)
def test_who_is_searched_for(
    device_id: str | None, model: str, heard: str, heard_model: str, *, wanted: bool
) -> None:
    begun = course(device_id=device_id, model=model)
    assert begun.wants(heard, heard_model) is wanted


def test_once_one_was_tried_no_other_of_its_model_is() -> None:
    begun = course(device_id=None, model="omron")
    begun.connecting(DEVICE)
    assert not begun.wants(OTHER, "omron")
    begun.not_bonded(hung_up=False)
    assert begun.wants(DEVICE, "omron")
    assert not begun.wants(OTHER, "omron")


def test_nobody_is_wanted_once_there_is_a_bond() -> None:
    assert not measuring().wants(DEVICE, "")


@pytest.mark.parametrize(
    ("hung_up", "failure"), [(False, Failure.NOT_REACHED), (True, Failure.REFUSED)]
)
def test_it_is_tried_so_often_and_no_more(*, hung_up: bool, failure: Failure) -> None:
    begun = course()
    for _ in range(CONNECTS_MAX):
        assert begun.wants(DEVICE, "")
        begun.connecting(DEVICE)
        begun.not_bonded(hung_up=hung_up)
    assert ended(begun) == (PairingStep.FAILED, failure)
    assert not begun.wants(DEVICE, "")


def test_a_device_that_is_never_heard_ends_it_in_time() -> None:
    begun = course()
    begun.look(START + WITHIN - timedelta(seconds=1))
    assert not begun.is_over
    begun.look(START + WITHIN)
    assert ended(begun) == (PairingStep.FAILED, Failure.NOT_HEARD)


def test_a_device_that_was_heard_once_was_not_reached() -> None:
    begun = course()
    begun.connecting(DEVICE)
    begun.not_bonded(hung_up=False)
    begun.look(START + WITHIN)
    assert ended(begun) == (PairingStep.FAILED, Failure.NOT_REACHED)


def test_the_test_measurement_has_time_of_its_own() -> None:
    begun = course()
    late = START + WITHIN - timedelta(seconds=1)
    begun.connecting(DEVICE)
    begun.bonded(DEVICE, late)
    begun.look(late + timedelta(seconds=MEASURE_S_MAX - 1))
    assert not begun.is_over
    begun.look(late + timedelta(seconds=MEASURE_S_MAX))
    assert ended(begun) == (PairingStep.FAILED, Failure.NO_TEST_READING)


@pytest.mark.parametrize("begin", [course, measuring])
def test_none_is_open_for_ever_though_the_clock_stands_still(begin: Callable[[], Course]) -> None:
    begun = begin()
    begun.look(START, open_s=OPEN_S_MAX - 1)
    assert not begun.is_over
    begun.look(START, open_s=OPEN_S_MAX)
    assert begun.status.step is PairingStep.FAILED


async def test_how_long_it_is_open_is_taken_from_a_clock_that_nobody_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = PairingRequest(request_id="r-1", expires_at=START + WITHIN, model="omron")
    going_on = Pairing(request, ask_passkey=None, tell=lambda _: None, now=lambda: START)
    going_on.look()
    assert not going_on.is_over
    monkeypatch.setattr(pairing, "OPEN_S_MAX", 0.0)
    going_on.look()
    assert going_on.is_over
    assert going_on.status.problem == Failure.NOT_HEARD


def test_the_bond_is_not_cut_short() -> None:
    """While a person types, the radio's own limits hold."""
    begun = course()
    begun.connecting(DEVICE)
    begun.asking()
    begun.look(START + WITHIN * 2)
    assert begun.status.step is PairingStep.PASSKEY


def test_a_device_that_does_not_know_us_at_the_next_connection_ends_it() -> None:
    begun = measuring()
    begun.lost(OTHER)
    assert not begun.is_over
    begun.lost(DEVICE)
    assert ended(begun) == (PairingStep.FAILED, Failure.LOST_AGAIN)


def test_a_request_that_comes_too_late_is_not_begun() -> None:
    request = PairingRequest(request_id="r-1", expires_at=START, model="omron")
    assert ended(Course(request, START)) == (PairingStep.FAILED, Failure.EXPIRED)


def test_a_private_address_becomes_the_one_that_stays() -> None:
    begun = course(device_id=None, model="omron")
    begun.connecting("5A:00:00:00:00:01")
    begun.bonded(DEVICE, START)
    assert begun.status.device_id == DEVICE
    begun.delivered(DEVICE, is_bonded=True)
    assert begun.status.step is PairingStep.DONE


_TURNS = {
    "connecting": lambda c: c.connecting(DEVICE),
    "asking": lambda c: c.asking(),
    "answered": lambda c: c.answered(),
    "not_bonded": lambda c: c.not_bonded(hung_up=False),
    "bonded": lambda c: c.bonded(DEVICE, START),
    "delivered": lambda c: c.delivered(DEVICE, is_bonded=True),
    "lost": lambda c: c.lost(DEVICE),
    "look": lambda c: c.look(START + WITHIN * 10),
    "cancelled": lambda c: c.fail(Failure.CANCELLED),
}


@given(st.lists(st.sampled_from(sorted(_TURNS))))
def test_what_is_over_stays_as_it_ended(turns: list[str]) -> None:
    begun = course()
    first_end = None
    for turn in turns:
        _TURNS[turn](begun)
        if begun.is_over:
            first_end = first_end or begun.status
            assert begun.status == first_end
            assert not begun.wants(DEVICE, "")


@given(st.lists(st.sampled_from(sorted(set(_TURNS) - {"delivered"}))))
def test_nothing_but_a_reading_makes_it_done(turns: list[str]) -> None:
    begun = course()
    for turn in turns:
        _TURNS[turn](begun)
    assert begun.status.step is not PairingStep.DONE
