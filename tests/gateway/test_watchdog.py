"""The watchdog's ladder, in a house that the test makes talk or fall silent."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from bleak.exc import BleakError

from devices.wire import ConditionCode
from gateway import watchdog as watchdog_module
from gateway.health import Health, RadioState
from gateway.inbox import Inbox
from gateway.lending import Lending
from gateway.outbox import Outbox
from gateway.watchdog import (
    ACQUAINTED_S,
    LOOK_S,
    PAUSE_S_MAX,
    POWER_CYCLE_AFTER_S_MAX,
    STEP_S,
    TALKATIVE_GAP_S,
    Ladder,
    Pace,
    Step,
    Watchdog,
)
from simulator.devices.step_counter import StepCounter
from simulator.radio import Cure, Fault, VirtualRadio
from tests.gateway.home import Home, until

SILENT_S = 120.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class House:
    """A ladder, and a clock that goes by looks."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.heard_s = float("-inf")
        self.ladder = Ladder(Pace(SILENT_S), self.now_s)
        self.steps: list[tuple[float, Step]] = []

    def passes(
        self,
        duration_s: float,
        *,
        talks: bool = False,
        serving: bool = False,
        fails: tuple[Step, ...] = (),
        heals: Step | None = None,
    ) -> list[Step]:
        """Let time pass; return the steps taken meanwhile.

        Args:
            duration_s: How long.
            talks: Whether something advertises all the time.
            serving: Whether a device is being served.
            fails: What the adapter refuses to do.
            heals: The step after which the house is heard again.
        """
        begun_s, taken = self.now_s, len(self.steps)
        while self.now_s < begun_s + duration_s:
            self.now_s += LOOK_S
            if talks:
                self.heard_s = self.now_s
            step = self.ladder.next(self.now_s, self.heard_s, is_serving=serving)
            if step is not None:
                self.steps.append((self.now_s, step))
                if step in fails:
                    self.ladder.failed()
                talks = talks or step is heals
        return [step for _, step in self.steps[taken:]]

    def speaks_once(self) -> list[Step]:
        return self.passes(LOOK_S, talks=True)


@pytest.fixture
def house() -> House:
    return House()


def test_a_house_that_talks_is_left_alone(house: House) -> None:
    assert house.passes(2 * DAY_S, talks=True) == []


def test_silence_restarts_the_scanner_then_power_cycles_the_adapter(house: House) -> None:
    house.speaks_once()
    silent_since_s = house.now_s
    assert house.passes(300) == [Step.RESTART_SCANNER, Step.POWER_CYCLE]
    first_s, second_s = (at_s - silent_since_s for at_s, _ in house.steps)
    assert SILENT_S <= first_s <= SILENT_S + LOOK_S
    assert first_s + STEP_S <= second_s <= first_s + STEP_S + LOOK_S


def test_a_step_that_helps_ends_the_ladder_and_is_told(house: House) -> None:
    house.speaks_once()
    steps = house.passes(HOUR_S, heals=Step.RESTART_SCANNER)
    assert steps == [Step.RESTART_SCANNER, Step.HEARD_AGAIN]
    house.passes(LOOK_S)
    assert house.passes(200)[0] is Step.RESTART_SCANNER  # from the bottom again


def test_a_refused_restart_is_answered_by_a_power_cycle_at_once(house: House) -> None:
    house.speaks_once()
    steps = house.passes(SILENT_S + 3 * LOOK_S, fails=(Step.RESTART_SCANNER,))
    assert steps == [Step.RESTART_SCANNER, Step.POWER_CYCLE]
    assert house.steps[1][0] - house.steps[0][0] == LOOK_S


def test_an_adapter_that_does_nothing_is_told_of_within_minutes_and_once(house: House) -> None:
    house.speaks_once()
    fails = (Step.RESTART_SCANNER, Step.POWER_CYCLE)
    assert house.passes(200, fails=fails) == [*fails, Step.GIVE_UP]
    assert house.ladder.is_given_up
    later = house.passes(5 * HOUR_S, fails=fails)
    assert Step.GIVE_UP not in later
    assert later.count(Step.POWER_CYCLE) >= 4  # it is tried for ever
    assert house.speaks_once() == [Step.HEARD_AGAIN]
    assert not house.ladder.is_given_up


def test_it_is_tried_for_ever_but_never_more_often_than_once_an_hour(house: House) -> None:
    house.speaks_once()
    house.passes(DAY_S)
    tries = house.passes(10 * DAY_S)
    assert 0.9 <= tries.count(Step.POWER_CYCLE) / (10 * DAY_S / PAUSE_S_MAX) <= 1.0


def test_a_quiet_house_is_legal(house: House) -> None:
    """A cuff twice a day and nothing else: silence is never told, for weeks."""
    for _ in range(28):
        house.speaks_once()
        house.passes(12 * HOUR_S)
    assert Step.GIVE_UP not in [step for _, step in house.steps]
    assert not house.ladder.is_given_up


def test_a_house_that_never_said_anything_is_legal_too(house: House) -> None:
    assert Step.GIVE_UP not in house.passes(3 * DAY_S)


def test_a_quiet_house_is_power_cycled_only_after_its_usual_silence(house: House) -> None:
    house.speaks_once()
    house.passes(25 * 60)
    house.speaks_once()  # a silence of 25 minutes that ended by itself
    silent_since_s, before = house.now_s, len(house.steps)
    house.passes(3 * HOUR_S)
    cycled_s = [at_s for at_s, step in house.steps[before:] if step is Step.POWER_CYCLE]
    restarted_s = [at_s for at_s, step in house.steps[before:] if step is Step.RESTART_SCANNER]
    assert restarted_s[0] - silent_since_s <= SILENT_S + LOOK_S
    assert cycled_s[0] - silent_since_s >= 50 * 60


def test_however_quiet_a_house_is_a_stuck_adapter_is_power_cycled_within_two_hours(
    house: House,
) -> None:
    for _ in range(3):
        house.speaks_once()
        house.passes(20 * HOUR_S)
    house.speaks_once()
    silent_since_s, before = house.now_s, len(house.steps)
    house.passes(4 * HOUR_S)
    cycled_s = [at_s for at_s, step in house.steps[before:] if step is Step.POWER_CYCLE]
    assert cycled_s[0] - silent_since_s <= POWER_CYCLE_AFTER_S_MAX + PAUSE_S_MAX


def test_a_house_that_always_talked_and_falls_silent_is_told_of(house: House) -> None:
    house.passes(ACQUAINTED_S + HOUR_S, talks=True)
    steps = house.passes(400)
    assert steps == [Step.RESTART_SCANNER, Step.POWER_CYCLE, Step.GIVE_UP]


def test_a_house_known_for_an_hour_is_not_judged_yet(house: House) -> None:
    house.passes(HOUR_S, talks=True)
    assert Step.GIVE_UP not in house.passes(600)


def test_the_usual_walk_with_the_dog_is_not_told_of(house: House) -> None:
    for _ in range(3):
        house.passes(ACQUAINTED_S, talks=True)
        house.passes(TALKATIVE_GAP_S - 600)
    house.passes(ACQUAINTED_S, talks=True)
    assert Step.GIVE_UP not in house.passes(TALKATIVE_GAP_S)
    assert Step.GIVE_UP in house.passes(2 * TALKATIVE_GAP_S)


def test_habits_are_forgotten_after_a_week(house: House) -> None:
    house.passes(DAY_S, talks=True)
    house.passes(2 * TALKATIVE_GAP_S)  # one long silence: a quiet house for a week
    house.passes(6 * DAY_S, talks=True)
    assert Step.GIVE_UP not in house.passes(HOUR_S)
    house.passes(8 * DAY_S, talks=True)
    assert Step.GIVE_UP in house.passes(HOUR_S)


def test_a_silence_that_a_step_ended_is_no_habit(house: House) -> None:
    house.passes(ACQUAINTED_S, talks=True)
    for _ in range(5):
        assert Step.HEARD_AGAIN in house.passes(HOUR_S, heals=Step.POWER_CYCLE)
    assert house.passes(400) == [Step.RESTART_SCANNER, Step.POWER_CYCLE, Step.GIVE_UP]


def test_nothing_is_done_while_a_device_is_served(house: House) -> None:
    house.speaks_once()
    assert house.passes(HOUR_S, serving=True) == []
    assert house.passes(LOOK_S) == [Step.RESTART_SCANNER]


class Adapter:
    """Hears nothing; does or refuses what it is told."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.heard_any_s = float("-inf")
        self.refuses = refuses
        self.told: list[str] = []

    async def restart_scanner(self) -> None:
        self._do("restart")

    async def power_cycle(self) -> None:
        self._do("power")

    def _do(self, what: str) -> None:
        self.told.append(what)
        if self.refuses:
            problem = "In Progress"
            raise BleakError(problem)


async def looking(
    watchdog: Watchdog, condition: Callable[[], bool], within_s: float = 20.0
) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await watchdog.look()
            await asyncio.sleep(0.005)


HURRIED = Pace(silent_s=0.02, look_s=0.005, step_s=0.01, pause_s_min=0.05, pause_s_max=0.05)


async def test_every_step_is_in_the_heartbeat_and_giving_up_is_a_condition() -> None:
    health, adapter = Health(), Adapter(refuses=True)
    watchdog = Watchdog(adapter, health, HURRIED)
    await looking(watchdog, lambda: bool(health.conditions))
    assert [step.step for step in health.radio_steps] == [
        "scanner_restart_failed",
        "power_cycle_failed",
        "given_up",
    ]
    assert [each.code for each in health.conditions] == [ConditionCode.RADIO_SILENT]
    adapter.heard_any_s = asyncio.get_running_loop().time()
    await watchdog.look()
    assert health.radio_steps[-1].step == "heard_again"
    assert health.conditions == ()


async def test_an_adapter_that_answers_is_not_complained_of() -> None:
    health, adapter = Health(), Adapter()
    watchdog = Watchdog(adapter, health, HURRIED)
    await looking(watchdog, lambda: adapter.told == ["restart", "power", "restart", "power"])
    assert health.conditions == ()
    assert {step.step for step in health.radio_steps} == {
        "scanner_restarted",
        "adapter_power_cycled",
    }


async def test_the_radio_is_not_touched_while_it_serves() -> None:
    health, adapter = Health(), Adapter()
    watchdog = Watchdog(adapter, health, Pace(silent_s=0.0))
    health.radio = RadioState.CONNECTED
    await watchdog.look()
    assert adapter.told == []
    health.radio = RadioState.SCANNING
    await watchdog.look()
    assert adapter.told == ["restart"]


async def test_a_step_that_never_ends_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that answers nothing and has no bound of its own must not hold the watchdog."""
    monkeypatch.setattr(watchdog_module, "STEP_S_MAX", 0.01)
    adapter, health = Adapter(), Health()
    adapter.restart_scanner = asyncio.Event().wait  # type: ignore[assignment,method-assign]
    watchdog = Watchdog(adapter, health, Pace(silent_s=0.0))
    async with asyncio.timeout(5):
        await watchdog.look()
        await watchdog.look()
    assert [step.step for step in health.radio_steps] == [
        "scanner_restart_failed",
        "adapter_power_cycled",
    ]


@pytest.fixture
async def home(inbox: Inbox, outbox: Outbox) -> AsyncIterator[Home]:
    async with VirtualRadio() as radio:
        yield Home(radio, inbox, outbox)


async def hears(home: Home) -> None:
    """A watch that always advertises comes into the house, and nothing is served."""
    await home.attach(StepCounter(interval_ms=50))
    await until(lambda: home.central.heard_any_s > float("-inf"))


def nobody() -> Lending:
    return Lending({}, serves_others=False)


def steps(home: Home) -> list[str]:
    return [each.step for each in home.health.radio_steps]


@pytest.mark.slow
@pytest.mark.timeout(100)
async def test_an_adapter_that_answers_nothing_but_a_reset_is_reset(home: Home) -> None:
    async with home.listening(lending=nobody):
        await hears(home)
        home.radio.stick(Fault.MUTE, Cure.RESET)
        watchdog = Watchdog(home.central, home.health, HURRIED)
        # Each command it does not answer is waited for, 10 s by the stack's own limit.
        await looking(watchdog, lambda: "heard_again" in steps(home), 80.0)
    assert steps(home) == ["scanner_restart_failed", "adapter_power_cycled", "heard_again"]
    assert home.health.conditions == ()


async def test_an_adapter_that_obeys_and_stays_deaf_is_told_of_where_something_always_spoke(
    home: Home,
) -> None:
    async with home.listening(lending=nobody):
        await hears(home)
        watchdog = Watchdog(home.central, home.health, HURRIED)
        watchdog._ladder._began_s -= 2 * ACQUAINTED_S  # it has spoken for two days
        home.radio.stick(Fault.DEAF, Cure.NOTHING)
        await looking(watchdog, lambda: "given_up" in steps(home))
        told = {each.code for each in home.health.conditions}
        before = home.radio.adapter.resets
        await looking(watchdog, lambda: home.radio.adapter.resets >= before + 2)  # for ever
    assert told == {ConditionCode.RADIO_SILENT}
    assert steps(home)[:3] == ["scanner_restarted", "adapter_power_cycled", "given_up"]
