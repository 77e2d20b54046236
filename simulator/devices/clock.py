"""DeviceClock: the clock inside a device; it has no time zone, is set wrong and runs wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


def utc_now() -> datetime:
    """Return the true time, aware UTC."""
    return datetime.now(UTC)


class DeviceClock:
    """Shows local time without a zone, *offset* wrong from the start and drifting from there.

    It does not know of daylight saving: it keeps the zone's offset of the moment it was set.

    Args:
        offset: How far ahead of the right local time it shows; negative is slow.
        drift_s_per_day: How much more ahead each day makes it.
        zone: Where it was set.
        now: The true time, aware.
    """

    def __init__(
        self,
        *,
        offset: timedelta = timedelta(0),
        drift_s_per_day: float = 0.0,
        zone: ZoneInfo | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._drift = drift_s_per_day
        self._now = now
        self._set_at = now()
        local = self._set_at.astimezone(zone or ZoneInfo("Europe/Stockholm"))
        self._shown = local.replace(tzinfo=None) + offset

    def read(self) -> datetime:
        """Return what the clock shows, naive."""
        passed = self._now() - self._set_at
        return self._shown + passed + timedelta(seconds=self._drift) * (passed / _DAY)

    def set(self, shown: datetime) -> None:
        """Set the clock to show *shown*, naive, now; the drift stays."""
        self._set_at, self._shown = self._now(), shown
