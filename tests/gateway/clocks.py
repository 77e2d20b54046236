"""Clocks that a test moves."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class FakeClocks:
    """A machine's clocks; time passes when it is told to.

    Attributes:
        shown: What the wall clock shows.
        up: The time since boot.
        synchronised: Whether the kernel says that network time has set the clock.
        boot: What names this boot.
    """

    shown: datetime
    up: timedelta = timedelta(seconds=20)
    synchronised: bool = False
    boot: str = "boot-1"

    def wall(self) -> datetime:
        return self.shown

    def since_boot(self) -> timedelta:
        return self.up

    def boot_id(self) -> str:
        return self.boot

    def is_synchronised(self) -> bool:
        return self.synchronised

    def pass_time(self, seconds: float) -> None:
        """Let time pass, on both clocks alike."""
        self.shown += timedelta(seconds=seconds)
        self.up += timedelta(seconds=seconds)

    def set_to(self, shown: datetime, *, by_network: bool) -> None:
        """Set the wall clock, as the network or as anybody else."""
        self.shown, self.synchronised = shown, by_network

    def reboot(self, shown: datetime) -> None:
        """Boot again, with the wall clock at *shown* and no network time yet."""
        self.shown, self.up, self.synchronised = shown, timedelta(seconds=20), False
        self.boot += "'"
