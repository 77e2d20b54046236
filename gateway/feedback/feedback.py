"""Feedback: from events to the output, off the path of the readings."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final
from uuid import UUID

from devices.wire import ConditionCode
from gateway.config import FeedbackConfig
from gateway.event import GatewayEvent
from gateway.feedback.light import Light, Signal
from gateway.feedback.output import Output, OutputFailed, open_output
from gateway.health import Health

# Waits before an output that failed is tried again with the same signal: doubled from the first
# to the last. A program that takes its time to fail is not run without a pause, and a lamp that
# was plugged in again is lit within minutes though nobody measures.
RETRY_S_MIN: Final = 5.0
RETRY_S_MAX: Final = 300.0


class Feedback:
    """Tells the room what happens.

    Args:
        config: Which output.
        health: Where an output that does not work is told.
        open_output: Makes the output, or raises ``OutputFailed``.
        retry_s_min: The first wait after a failure; tests are less patient.
    """

    def __init__(
        self,
        config: FeedbackConfig,
        *,
        health: Health,
        open_output: Callable[[FeedbackConfig], Output] = open_output,
        retry_s_min: float = RETRY_S_MIN,
    ) -> None:
        self._config = config
        self._health = health
        self._open_output = open_output
        self._retry_s_min = retry_s_min
        self._light = Light()
        self._happened = asyncio.Event()

    def tell(self, event: GatewayEvent, reading_ids: Collection[UUID] = ()) -> None:
        """Note *event*; never waits, never raises."""
        self._light.happened(event, reading_ids, _now_s())
        self._happened.set()

    async def run(self) -> None:
        """Drive the output until cancelled; leave it dark."""
        output: Output | None = None
        before: tuple[Signal, float] | None = None
        due_s = float("-inf")
        failures = 0
        try:
            while True:
                self._happened.clear()
                shown = self._light.shown(now_s := _now_s())
                if (shown.signal, shown.since_s) != before or now_s >= due_s:
                    before = shown.signal, shown.since_s
                    try:
                        output = output or self._open_output(self._config)
                        due_s = now_s + await output.show(shown.signal, now_s - shown.since_s)
                    except OutputFailed as error:
                        self._health.problem(ConditionCode.FEEDBACK_FAILED, str(error))
                        due_s = now_s + self.retry_s(failures)
                        failures += 1
                    else:
                        failures = 0
                        self._health.solved(ConditionCode.FEEDBACK_FAILED)
                await self._until(min(due_s, shown.until_s))
        finally:
            if output is not None:
                await output.close()

    def retry_s(self, failures: int) -> float:
        """Return the wait before the next try, after so many failures before this one."""
        return min(RETRY_S_MAX, self._retry_s_min * 2.0 ** min(failures, 10))

    async def _until(self, at_s: float) -> None:
        """Wait for an event, or that time."""
        left_s = at_s - _now_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if left_s == float("inf") else left_s):
                await self._happened.wait()


def _now_s() -> float:
    return time.monotonic()
