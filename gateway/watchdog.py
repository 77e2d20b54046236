"""Watchdog: a radio that has fallen silent is restarted, then power-cycled, then complained of.

An adapter can be stuck and say that all is well: it reports no advertisement for ever, or
answers every scan with "in progress". From outside it looks like a house where nothing speaks,
and such houses are many: a cuff in a drawer in the countryside advertises for a minute a day.
So silence is never a fault by itself. It is a reason to do what costs little, more and more
seldom; a person is told only when the adapter does not do what it is told, or when a house
where something always spoke has become silent (docs/decisions/0007-radio-watchdog.md).

``Ladder`` is pure: monotonic seconds go in, steps come out. ``Watchdog`` carries them out.
"""

import asyncio
import enum
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from devices.wire import ConditionCode
from gateway.connection import RADIO_ERRORS
from gateway.health import Health, RadioState
from gateway.log import get_logger

_log = get_logger()

# Between two looks. A tenth of a percent of a core would be too much for looking more often, and
# it stays below a third of STEP_S, so that each step's effect is seen before the next is due.
LOOK_S: Final = 10.0

# After a step, how long to listen before the next. A device that always advertises does so at
# least every 10.24 s (Core 5.4, Vol 6, Part B, 4.4.2.2.1); three of these, since one in three
# may be lost to noise, and some seconds for the adapter to come back.
STEP_S: Final = 35.0

# After a round without effect, the wait for the next: doubled from the first to the last. An
# adapter that gets stuck in a quiet house is thereby deaf for an hour at most, while a round in
# vain makes the radio deaf for two or three seconds an hour: no advertising window of 30 s is
# missed by it.
PAUSE_S_MIN: Final = 300.0
PAUSE_S_MAX: Final = 3600.0

# Switching an adapter off and on loads some adapters' firmware anew, and a few do not survive
# it every time. So it waits until the silence is longer, by this factor, than any that ended by
# itself in the last week; but never longer than this.
UNUSUAL_FACTOR: Final = 2.0
POWER_CYCLE_AFTER_S_MAX: Final = PAUSE_S_MAX

# The habits of a house: what was usual in the last week, which holds a weekend and a visit.
HABIT_S: Final = 7 * 86_400.0
# Before a day has passed nobody knows what is usual here.
ACQUAINTED_S: Final = 86_400.0
# In a house with no silence longer than this, something always speaks: a neighbour's lamp, a
# watch. It is above the walk with the dog of somebody whose watch is all there is to hear.
TALKATIVE_GAP_S: Final = 3600.0
# A decreasing sequence of gaps longer than `silent_s`; more than this need not be told apart.
_GAPS_MAX: Final = 64

# Both stacks give a command up after 10 s without an answer. A power cycle of a mute adapter
# spends one such wait on letting go of the scanner, and then takes up to 15 s.
STEP_S_MAX: Final = 30.0
assert STEP_S_MAX < STEP_S  # a step is over before the next is due


class Step(enum.StrEnum):
    """What is done to the radio."""

    RESTART_SCANNER = "restart_scanner"
    POWER_CYCLE = "power_cycle"
    GIVE_UP = "give_up"  # every step was taken in vain: say so, and try again later
    HEARD_AGAIN = "heard_again"  # the silence is over


# What the heartbeat calls a step that the adapter did, and one that it did not do.
_DONE: Final = {
    Step.RESTART_SCANNER: "scanner_restarted",
    Step.POWER_CYCLE: "adapter_power_cycled",
    Step.GIVE_UP: "given_up",
    Step.HEARD_AGAIN: "heard_again",
}
_FAILED: Final = {
    Step.RESTART_SCANNER: "scanner_restart_failed",
    Step.POWER_CYCLE: "power_cycle_failed",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the ladder is climbed. Only ``silent_s`` is configured; tests hurry.

    Attributes:
        silent_s: The shortest silence that is looked into.
        look_s, step_s, pause_s_min, pause_s_max: See the constants of the same names.
    """

    silent_s: float
    look_s: float = LOOK_S
    step_s: float = STEP_S
    pause_s_min: float = PAUSE_S_MIN
    pause_s_max: float = PAUSE_S_MAX


class Ladder:
    """Decides the next step.

    Args:
        pace: How fast.
        now_s: When it begins; silence is counted from here.

    Attributes:
        is_given_up: The radio was complained of, and nothing was heard since.
    """

    def __init__(self, pace: Pace, now_s: float) -> None:
        self._pace = pace
        self._began_s = now_s
        self._heard_s = now_s
        self._gaps: deque[tuple[float, float]] = deque(maxlen=_GAPS_MAX)  # ended at, length
        self._taken: Step | None = None  # the last of this round
        self._taken_s = float("-inf")
        self._has_failed = False
        self._due_s = now_s
        self._pause_s = pace.pause_s_min
        self.is_given_up = False

    def next(self, now_s: float, heard_s: float, *, is_serving: bool) -> Step | None:
        """Return what to do now, if anything.

        Args:
            now_s: Now.
            heard_s: When the last advertisement of anybody was heard.
            is_serving: A device is being served: many adapters scan little or not at all then,
                and a step would cost the session.
        """
        if heard_s > self._heard_s:
            return self._heard(heard_s)
        silence_s = now_s - self._heard_s
        if is_serving or now_s < self._due_s or silence_s < self._pace.silent_s:
            return None
        match self._taken:
            case None:
                return self._take(Step.RESTART_SCANNER, now_s)
            case Step.RESTART_SCANNER if self._has_failed or silence_s >= self._patience_s(now_s):
                return self._take(Step.POWER_CYCLE, now_s)
        is_fault = self._has_failed or self._is_unusual(now_s, silence_s)
        self._end_round(now_s)
        if is_fault and not self.is_given_up:
            self.is_given_up = True
            return Step.GIVE_UP
        return None

    def failed(self) -> None:
        """Say that the adapter did not do the last step: the next is due at once."""
        self._has_failed = True
        self._due_s = float("-inf")

    def _take(self, step: Step, now_s: float) -> Step:
        self._taken, self._taken_s, self._has_failed = step, now_s, False
        self._due_s = now_s + self._pace.step_s
        return step

    def _end_round(self, now_s: float) -> None:
        self._taken, self._has_failed = None, False
        self._due_s = now_s + self._pause_s
        self._pause_s = min(self._pace.pause_s_max, 2 * self._pause_s)

    def _heard(self, heard_s: float) -> Step | None:
        pace, gap_s = self._pace, heard_s - self._heard_s
        was_disturbed = self._taken_s > self._heard_s
        # What is heard so soon after a step was brought back by it: the step had so long to work,
        # and a look sees it. A later end came by itself, and is a habit of the house.
        is_healed = was_disturbed and heard_s - self._taken_s <= pace.step_s + pace.look_s
        if gap_s >= pace.silent_s and not is_healed:
            self._learn(heard_s, gap_s)
        self._heard_s = heard_s
        self._taken, self._has_failed, self.is_given_up = None, False, False
        self._due_s, self._pause_s = heard_s, pace.pause_s_min
        return Step.HEARD_AGAIN if was_disturbed else None

    def _learn(self, ended_s: float, gap_s: float) -> None:
        while self._gaps and self._gaps[-1][1] <= gap_s:
            self._gaps.pop()  # shorter and older: never again the longest
        self._gaps.append((ended_s, gap_s))

    def _usual_gap_s(self, now_s: float) -> float:
        """Return the longest silence of the last week that ended by itself; 0 below `silent_s`."""
        while self._gaps and now_s - self._gaps[0][0] > HABIT_S:
            self._gaps.popleft()
        return self._gaps[0][1] if self._gaps else 0.0

    def _patience_s(self, now_s: float) -> float:
        return min(POWER_CYCLE_AFTER_S_MAX, UNUSUAL_FACTOR * self._usual_gap_s(now_s))

    def _is_unusual(self, now_s: float, silence_s: float) -> bool:
        usual_s = self._usual_gap_s(now_s)
        is_acquainted = self._heard_s - self._began_s >= ACQUAINTED_S
        is_talkative = usual_s <= TALKATIVE_GAP_S
        return is_acquainted and is_talkative and silence_s >= UNUSUAL_FACTOR * usual_s


class Watched(Protocol):
    """What hears, and can be restarted; the central. Its steps raise ``RADIO_ERRORS``."""

    @property
    def heard_any_s(self) -> float:
        """When the last advertisement of anybody was heard, monotonic."""

    async def restart_scanner(self) -> None:
        """Stop the scanner and start it."""

    async def power_cycle(self) -> None:
        """Switch the adapter off and on, and scan again."""


class Watchdog:
    """Looks, takes the ladder's steps and tells of each.

    Args:
        radio: What hears.
        health: Where steps and the condition are told.
        pace: How fast.
    """

    def __init__(self, radio: Watched, health: Health, pace: Pace) -> None:
        self._radio = radio
        self._health = health
        self._pace = pace
        self._ladder = Ladder(pace, time.monotonic())

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            self._health.pulse.beat("watchdog", 3 * (self._pace.look_s + STEP_S_MAX))
            await asyncio.sleep(self._pace.look_s)

    async def look(self) -> None:
        """Look once; take the step that is due."""
        is_serving = self._health.radio is RadioState.CONNECTED
        step = self._ladder.next(time.monotonic(), self._radio.heard_any_s, is_serving=is_serving)
        if step is not None:
            told = _DONE[step]
            if not await self._do(step):
                self._ladder.failed()
                told = _FAILED[step]
            self._health.radio_step(told)
        if self._ladder.is_given_up:
            words = "the Bluetooth radio hears nothing, and no step of the watchdog helped"
            self._health.problem(ConditionCode.RADIO_SILENT, words)
        else:
            self._health.solved(ConditionCode.RADIO_SILENT)

    async def _do(self, step: Step) -> bool:
        """Return whether the adapter did what it was told."""
        try:
            async with asyncio.timeout(STEP_S_MAX):
                if step is Step.RESTART_SCANNER:
                    await self._radio.restart_scanner()
                elif step is Step.POWER_CYCLE:
                    await self._radio.power_cycle()
        except RADIO_ERRORS as error:
            _log.warning("watchdog.step_failed", step=step.value, error=repr(error))
            return False
        return True
