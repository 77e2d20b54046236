"""When somebody hears of yellow alerts: several in one message, and not in her quiet hours. Pure.

Law of this module: red is never held back.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from alerts.words import ZONE

# Alerts that waited for a unit to open come all at once, and are one thing to look at.
GATHER_USUALLY: Final = timedelta(minutes=5)
GATHER_MAX: Final = timedelta(minutes=60)
# A night and a bit; what lies longer has gone to somebody else before.
QUIET_MAX: Final = timedelta(hours=14)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A staff member's wish.

    Attributes:
        gather: How long the first yellow alert waits for others; zero: not at all.
        quiet_from: When her quiet hours begin, by the clock on the wall; none: she has none.
        quiet_until: When they end; before *quiet_from* it is the next day's.
    """

    gather: timedelta = GATHER_USUALLY
    quiet_from: time | None = None
    quiet_until: time | None = None

    def __post_init__(self) -> None:
        if not timedelta() <= self.gather <= GATHER_MAX:
            problem = f"alerts are gathered for at most {GATHER_MAX}"
            raise ValueError(problem)
        if (self.quiet_from is None) != (self.quiet_until is None):
            problem = "quiet hours have a beginning and an end"
            raise ValueError(problem)
        if self.quiet_from is None:
            return
        if not timedelta() < self.quiet <= QUIET_MAX:
            problem = f"quiet hours are at most {QUIET_MAX}"
            raise ValueError(problem)

    @property
    def quiet(self) -> timedelta:
        """How long her quiet hours are."""
        if self.quiet_from is None or self.quiet_until is None:
            return timedelta()
        return (_since_midnight(self.quiet_until) - _since_midnight(self.quiet_from)) % _DAY


USUAL: Final = Reach()


def send_at(reach: Reach, waiting_until: datetime | None, now: datetime) -> datetime:
    """Return when a yellow alert that came at *now* is told of.

    Args:
        reach: Her wish.
        waiting_until: When the message goes that others wait for; none: none waits.
        now: The database's time.
    """
    if waiting_until is not None and waiting_until > now:
        return waiting_until
    return _out_of_quiet(reach, now + reach.gather)


def _out_of_quiet(reach: Reach, at: datetime) -> datetime:
    if reach.quiet_from is None or reach.quiet_until is None:
        return at
    local = at.astimezone(ZONE)
    clock = _since_midnight(local.time())
    into = (clock - _since_midnight(reach.quiet_from)) % _DAY
    if into >= reach.quiet:
        return at
    day = local.date()
    if reach.quiet_until <= local.time():  # tomorrow morning
        day += _DAY
    return datetime.combine(day, reach.quiet_until, ZONE).astimezone(at.tzinfo)


def _since_midnight(clock: time) -> timedelta:
    return timedelta(
        hours=clock.hour,
        minutes=clock.minute,
        seconds=clock.second,
        microseconds=clock.microsecond,
    )
