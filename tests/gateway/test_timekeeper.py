"""R5: what time the gateway says it is, whatever its clock does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.timekeeper import BELIEVED_FROM, BELIEVED_UNTIL, STEP_MIN, MachineClocks, Timekeeper
from tests.gateway.clocks import FakeClocks

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)
TEN_YEARS = timedelta(days=3652)
DOUBT = timedelta(seconds=900)
SECOND = timedelta(seconds=1)


def timekeeper(clocks: FakeClocks, floor: datetime | None = None) -> Timekeeper:
    return Timekeeper(clocks, DOUBT, floor=floor)


def test_a_box_that_boots_at_1970_doubts_its_clock_until_the_network_sets_it() -> None:
    clocks = FakeClocks(EPOCH)
    keeper = timekeeper(clocks)
    clocks.pass_time(10 * 86_400)
    assert keeper.is_doubted
    clocks.set_to(NOW, by_network=True)
    assert not keeper.is_doubted
    assert keeper.now() == NOW
    assert keeper.booted() == NOW - clocks.up


def test_a_clock_from_before_the_last_switch_off_is_never_believed() -> None:
    """The store knows of a later time, so the clock cannot be right, however long it stands."""
    clocks = FakeClocks(NOW - timedelta(hours=1))
    keeper = timekeeper(clocks, floor=NOW)
    clocks.pass_time(DOUBT.total_seconds())
    assert keeper.is_doubted
    clocks.pass_time(3600)  # it has come as far as it was when it was switched off
    assert not keeper.is_doubted


def test_a_possible_clock_is_believed_when_the_network_had_time_to_say_otherwise() -> None:
    clocks = FakeClocks(NOW)
    keeper = timekeeper(clocks)
    clocks.pass_time(DOUBT.total_seconds() - 21)
    assert keeper.is_doubted
    clocks.pass_time(1)
    assert not keeper.is_doubted
    assert keeper.now() == clocks.shown


def test_a_network_that_sets_the_clock_at_once_is_believed_at_once() -> None:
    assert not timekeeper(FakeClocks(NOW, synchronised=True)).is_doubted


def test_a_process_that_starts_long_after_boot_believes_a_possible_clock() -> None:
    assert not timekeeper(FakeClocks(NOW, up=DOUBT)).is_doubted


@pytest.mark.parametrize("year", [1970, 2000, 2021, 2025, 2047, 2094])
def test_an_impossible_year_is_not_believed_though_the_clock_has_run_for_long(year: int) -> None:
    clocks = FakeClocks(NOW.replace(year=year), up=timedelta(days=30))
    assert timekeeper(clocks).is_doubted


@pytest.mark.parametrize("year", [1970, 2021, 2094])
def test_not_even_the_network_makes_an_impossible_year_possible(year: int) -> None:
    clocks = FakeClocks(NOW.replace(year=year), up=timedelta(days=30), synchronised=True)
    assert timekeeper(clocks).is_doubted


@pytest.mark.parametrize("step", [TEN_YEARS, -TEN_YEARS, timedelta(hours=1), -timedelta(hours=2)])
def test_a_step_that_no_network_made_changes_nothing_that_the_network_said(
    step: timedelta,
) -> None:
    clocks = FakeClocks(NOW, synchronised=True)
    keeper = timekeeper(clocks)
    clocks.pass_time(60)
    clocks.set_to(clocks.shown + step, by_network=False)
    assert keeper.now() == NOW + timedelta(seconds=60)
    clocks.pass_time(3600)
    assert keeper.now() == NOW + timedelta(seconds=3660)
    assert not keeper.is_doubted
    clocks.set_to(NOW + timedelta(seconds=3660), by_network=True)
    assert keeper.now() == NOW + timedelta(seconds=3660)


def test_a_step_that_the_network_made_is_followed_at_once() -> None:
    clocks = FakeClocks(NOW - timedelta(days=3), up=timedelta(hours=1))
    keeper = timekeeper(clocks)
    assert not keeper.is_doubted
    clocks.set_to(NOW, by_network=True)
    assert keeper.now() == NOW


@pytest.mark.parametrize("step", [TEN_YEARS, -timedelta(days=1)])
def test_of_two_times_nobody_vouches_for_neither_is_believed_for_a_while(step: timedelta) -> None:
    clocks = FakeClocks(NOW, up=timedelta(hours=1))
    keeper = timekeeper(clocks)
    clocks.pass_time(60)
    clocks.set_to(clocks.shown + step, by_network=False)
    assert keeper.is_doubted
    assert keeper.now() == NOW + timedelta(seconds=60)  # no jump under a session that goes on
    clocks.pass_time(DOUBT.total_seconds() - 1)
    assert keeper.is_doubted
    clocks.pass_time(1)
    assert not keeper.is_doubted
    assert keeper.now() == clocks.shown


def test_a_clock_that_jumps_to_and_fro_is_not_believed_while_it_does() -> None:
    clocks = FakeClocks(NOW, up=timedelta(hours=1))
    keeper = timekeeper(clocks)
    for step in (TEN_YEARS, -TEN_YEARS, TEN_YEARS, -TEN_YEARS):
        clocks.set_to(clocks.shown + step, by_network=False)
        clocks.pass_time(DOUBT.total_seconds() - 1)
        assert keeper.is_doubted


def test_a_clock_that_is_drawn_right_by_little_is_followed() -> None:
    clocks = FakeClocks(NOW, synchronised=True)
    keeper = timekeeper(clocks)
    clocks.set_to(NOW + STEP_MIN - SECOND, by_network=False)
    assert keeper.now() == NOW + STEP_MIN - SECOND


def test_the_network_refutes_a_store_that_knows_of_the_future() -> None:
    clocks = FakeClocks(NOW)
    keeper = timekeeper(clocks, floor=NOW + TEN_YEARS)
    assert keeper.passed == NOW + TEN_YEARS
    clocks.set_to(NOW, by_network=True)
    assert not keeper.is_doubted
    assert keeper.passed == NOW


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-3.2e8, 3.2e8), st.booleans()), min_size=1),
    st.datetimes(datetime(1970, 1, 2), datetime(2190, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_whatever_the_clocks_do_there_is_a_time_that_can_be_sent(
    steps: list[tuple[float, float, bool]], start: datetime
) -> None:
    clocks = FakeClocks(start.replace(tzinfo=UTC))
    keeper = timekeeper(clocks)
    true = NOW
    clocks.set_to(true, by_network=True)
    keeper.look()
    for seconds, step_s, by_network in steps:
        true += timedelta(seconds=seconds)
        clocks.pass_time(seconds)
        wrong = clocks.shown + timedelta(seconds=step_s)
        if not datetime(1970, 1, 1, tzinfo=UTC) < wrong < datetime(2200, 1, 1, tzinfo=UTC):
            continue
        clocks.set_to(true if by_network else wrong, by_network=by_network)
        # Once the network has said it, it is known for as long as the box runs.
        if BELIEVED_FROM <= true <= BELIEVED_UNTIL:
            assert not keeper.is_doubted
            assert abs(keeper.now() - true) < STEP_MIN * len(steps)


@pytest.mark.parametrize("year", [1, 9999])
def test_a_time_beyond_what_can_be_sent_is_cut(year: int) -> None:
    keeper = timekeeper(FakeClocks(NOW.replace(year=year)))
    assert 1970 <= keeper.now().year <= 2199
    assert 1970 <= keeper.booted().year <= 2199


def test_the_machines_own_clocks_can_be_asked() -> None:
    clocks = MachineClocks()
    before = clocks.since_boot()
    assert timedelta() < before <= clocks.since_boot()
    assert clocks.boot_id() == clocks.boot_id() != ""
    assert abs(clocks.wall() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clocks.is_synchronised() in {True, False}
