"""Supervise: a part that fails is told of and started again; the others never notice.

Nothing a part does may end the process, since then nobody would be left to say so. What a part
had in its hands lies in the inbox or the outbox, so starting it again loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from devices.wire import ConditionCode
from gateway.health import Health
from gateway.log import get_logger

_log = get_logger()

# Waits before a part is started again: doubled from the first to the last. The first is short
# since most failures are a single bad moment; the last keeps a part that can never work from
# filling the log, and is still within the time a nurse waits for a value.
RESTART_S_MIN: Final = 0.5
RESTART_S_MAX: Final = 60.0

# A part that ran so long after a restart is well again: the condition is taken back, and the
# next wait starts from the bottom. It must be longer than RESTART_S_MAX, or a part that fails
# once a minute would look well half the time; and long enough to be seen in several heartbeats.
GOOD_WHILE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How a part is started again; tests are less patient."""

    restart_s_min: float = RESTART_S_MIN
    restart_s_max: float = RESTART_S_MAX
    good_while_s: float = GOOD_WHILE_S

    def wait_s(self, failures: int) -> float:
        """Return the wait before the next start, after so many failures in a row (from 1)."""
        return min(self.restart_s_max, self.restart_s_min * 2.0 ** min(failures - 1, 30))


PATIENCE: Final = Patience()


async def supervised(
    part: str,
    run: Callable[[], Awaitable[None]],
    health: Health,
    *,
    may_end: Callable[[], bool] = lambda: False,
    patience: Patience = PATIENCE,
) -> None:
    """Run *part* until it is cancelled; start it again whenever it raises, or returns unasked.

    A task group takes a cancellation for the end that was asked for. Libraries raise it too, of
    their own futures: where nobody cancelled this task it is a failure like any other.

    Args:
        part: Its name, in the log and in the condition.
        run: Starts it; called anew each time.
        health: Where ``PART_RESTARTED`` is told, until the part has run well for a good while.
        may_end: Whether the part has been asked to return by now.
        patience: How soon and how often.
    """
    failures = 0

    def well() -> None:
        nonlocal failures
        failures = 0
        health.solved(ConditionCode.PART_RESTARTED, part=part)
        health.pulse.well(part)

    while True:
        good = asyncio.get_running_loop().call_later(patience.good_while_s, well)
        try:
            await _run_until_asked(run, may_end)
        except (Exception, asyncio.CancelledError) as error:  # the root: nothing is swallowed
            if isinstance(error, asyncio.CancelledError) and _is_told_to_stop():
                raise
            failures += 1
            health.pulse.failed(part)
            _log.exception("part.failed", part=part, failures=failures)
            words = f"the part {part!r} failed and was started again: {_words(error)}"
            health.problem(ConditionCode.PART_RESTARTED, words, part=part)
        else:
            return
        finally:
            good.cancel()
            health.pulse.rests(part)
        await asyncio.sleep(patience.wait_s(failures))


class _EndedUnasked(Exception):
    """A part returned that was to run for ever."""


async def _run_until_asked(run: Callable[[], Awaitable[None]], may_end: Callable[[], bool]) -> None:
    await run()
    if not may_end():
        problem = "it came to an end, and nobody had asked it to"
        raise _EndedUnasked(problem)


def _is_told_to_stop() -> bool:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling() > 0


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, _EndedUnasked):
        return str(error)
    return f"{type(error).__name__}: {error}"
