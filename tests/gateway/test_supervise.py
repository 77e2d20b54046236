"""A part that fails is told of and started again; the others never notice."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator

import pytest

from devices.wire import ConditionCode
from gateway import log
from gateway.health import Health
from gateway.pulse import HOPELESS_S, Pulse
from gateway.supervise import GOOD_WHILE_S, RESTART_S_MAX, RESTART_S_MIN, Patience, supervised

HURRIED = Patience(restart_s_min=0.001, restart_s_max=0.01, good_while_s=0.05)


class Faulty:
    """A part that fails so many times, and then runs for ever."""

    def __init__(self, failures: int, error: Callable[[], BaseException] = RuntimeError) -> None:
        self.left = failures
        self.starts = 0
        self.runs = asyncio.Event()
        self._error = error

    async def run(self) -> None:
        self.starts += 1
        if self.left:
            self.left -= 1
            raise self._error()
        self.runs.set()
        await asyncio.Event().wait()


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What the log says."""
    text = io.StringIO()
    log.configure("json", text)
    yield text
    log.configure("json")


async def ending(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def start(
    run: Callable[[], Awaitable[None]],
    health: Health,
    may_end: Callable[[], bool] = lambda: False,
) -> asyncio.Task[None]:
    return asyncio.create_task(supervised("part", run, health, may_end=may_end, patience=HURRIED))


async def test_a_part_that_fails_is_started_again_and_told_of_until_it_has_run_well() -> None:
    changed = asyncio.Event()
    health = Health(changed.set)
    part = Faulty(3)
    task = start(part.run, health)
    async with asyncio.timeout(5):
        await part.runs.wait()
        assert part.starts == 4
        assert [each.code for each in health.conditions] == [ConditionCode.PART_RESTARTED]
        assert "'part' failed and was started again: RuntimeError" in health.problems[0]
        changed.clear()
        await changed.wait()
    assert health.conditions == ()
    await ending(task)


async def test_the_whole_traceback_is_in_the_log(told: io.StringIO) -> None:
    def a_line_to_find() -> Exception:
        return ExceptionGroup("several", [ValueError("deep inside")])

    part = Faulty(1, a_line_to_find)
    task = start(part.run, Health())
    async with asyncio.timeout(5):
        await part.runs.wait()
    assert "Traceback" in told.getvalue()
    assert "raise self._error()" in told.getvalue()
    assert "deep inside" in told.getvalue()
    await ending(task)


async def test_the_words_name_what_was_at_the_bottom_of_a_group() -> None:
    part = Faulty(1, lambda: ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("x")])]))
    health = Health()
    task = start(part.run, health)
    async with asyncio.timeout(5):
        await part.runs.wait()
    assert health.problems[0].endswith("KeyError: 'x'")
    await ending(task)


async def test_other_parts_never_notice() -> None:
    health, bad, good = Health(), Faulty(100), Faulty(0)
    tasks = [start(part.run, health) for part in (bad, good)]
    async with asyncio.timeout(10):
        await bad.runs.wait()
    assert good.starts == 1
    for task in tasks:
        await ending(task)


async def test_a_part_that_returns_unasked_is_told_and_started_again() -> None:
    is_asked, starts = asyncio.Event(), 0

    async def returns() -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            is_asked.set()

    health = Health()
    async with asyncio.timeout(5):
        await start(returns, health, is_asked.is_set)
    assert starts == 3
    assert [each.code for each in health.conditions] == [ConditionCode.PART_RESTARTED]
    assert health.problems[0].endswith("it came to an end, and nobody had asked it to")


async def test_a_part_that_returns_when_asked_is_done_and_one_that_is_cancelled_stays_so() -> None:
    async def returns() -> None:
        return

    health = Health()
    async with asyncio.timeout(5):
        await start(returns, health, lambda: True)
    assert health.conditions == ()
    part = Faulty(0)
    task = start(part.run, Health())
    await part.runs.wait()
    await ending(task)
    assert part.starts == 1


async def test_a_cancellation_that_nobody_asked_for_is_a_failure() -> None:
    """A library cancels its own future; the task group would take the part for stopped."""
    part, health = Faulty(1, asyncio.CancelledError), Health()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        supervising = supervised("part", part.run, health, patience=HURRIED)
        task = tasks.create_task(supervising)
        await part.runs.wait()
        assert health.problems[0].endswith("CancelledError: ")
        task.cancel()
    assert part.starts == 2


def test_waits_grow_to_their_bound_and_begin_anew_after_a_good_while() -> None:
    patience = Patience()
    waits_s = [patience.wait_s(failures) for failures in range(1, 100)]
    assert waits_s[0] == RESTART_S_MIN
    assert waits_s == sorted(waits_s)
    assert waits_s[-1] == RESTART_S_MAX < GOOD_WHILE_S


def test_a_part_is_dead_when_its_beat_is_overdue_and_not_while_it_rests() -> None:
    now_s = 0.0
    pulse = Pulse(lambda: now_s)
    pulse.beat("central", within_s=10)
    pulse.beat("uplink", within_s=100)
    now_s = 11.0
    assert pulse.dead() == ("central",)
    pulse.failed("central")  # it is being started again
    assert pulse.dead() == ()
    pulse.beat("central", within_s=10)
    assert pulse.dead() == ()


def test_a_part_that_no_restart_cures_is_left_to_the_service_manager() -> None:
    now_s = 0.0
    pulse = Pulse(lambda: now_s)
    while now_s < HOPELESS_S:
        pulse.failed("central")
        assert pulse.dead() == ()
        now_s += 60
    assert pulse.dead() == ("central",)
    pulse.well("central")
    assert pulse.dead() == ()


def test_hopeless_is_longer_than_one_failure_can_last() -> None:
    assert HOPELESS_S > GOOD_WHILE_S + RESTART_S_MAX


async def test_a_beat_is_not_expected_of_a_part_that_has_ended() -> None:
    now_s = 0.0
    health = Health(monotonic=lambda: now_s)

    async def beats_once() -> None:
        health.pulse.beat("part", within_s=1)

    async with asyncio.timeout(5):
        await start(beats_once, health, lambda: True)
    now_s = 100.0
    assert health.pulse.dead() == ()
