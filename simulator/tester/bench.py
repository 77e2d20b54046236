"""Bench: what the page shows and what its buttons do, kept up to date while somebody looks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from simulator.tester.ledger import Ledger
from simulator.tester.measurement import Measurement
from simulator.tester.observer import Observer, Unseen
from simulator.tester.path import Lamp, Trace, lamps

# Lamps light within a quarter of a second of the fact; a quiet bench is looked at once a second.
_LOOK_S: Final = 0.25
_QUIET_LOOKS: Final = 4
_DOUBLED_LOOKS: Final = 20

UNPLUGGED_S: Final = 20


class Plug(Protocol):
    """A component whose plug can be pulled."""

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""

    async def pull(self) -> None:
        """End it the hard way, and leave it so."""

    async def start(self) -> None:
        """Start it again."""


@dataclass(frozen=True, slots=True)
class Unplugged:
    """A component without its plug.

    Attributes:
        back_in_s: Seconds left; 0 is being started again.
    """

    name: str
    back_in_s: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One look at everything: what a page is made of."""

    sent: Measurement | None
    lamps: Sequence[Lamp]
    ledger: Ledger
    unseen: str  # why the ledger is not fresh; empty if it is
    unplugged: Unplugged | None
    stopped: Sequence[str]  # components that do not run just now


class Bench:
    """The tester's bench.

    Args:
        send_high: Make the next patient measure a high blood pressure.
        send_failed: Make the next patient's cuff fail.
        plugs: By their Swedish name, in the order of the buttons.
    """

    def __init__(
        self,
        *,
        observer: Observer,
        ledger: Ledger,
        plugs: dict[str, Plug],
        send_high: Callable[[], Measurement],
        send_failed: Callable[[], Measurement],
    ) -> None:
        self.plugs = plugs
        self._observer = observer
        self._ledger = ledger
        self._send = {"high": send_high, "failed": send_failed}
        self._sent: Measurement | None = None
        self._trace = Trace()
        self._unseen = ""
        self._unplugged: Unplugged | None = None
        self._pulling: asyncio.Event = asyncio.Event()
        self._pulled: str | None = None
        self._version = 0
        self._changed = asyncio.Condition()
        self._began_at = datetime.now(UTC)

    def send(self, what: str) -> Measurement:
        """Press the button *what*; ``KeyError`` if there is none."""
        self._sent = self._send[what]()
        self._trace = Trace()
        return self._sent

    def pull(self, name: str) -> bool:
        """Pull the plug of *name* for ``UNPLUGGED_S``; false while another one is out."""
        if name not in self.plugs:
            raise KeyError(name)
        if self._pulled is not None:
            return False
        self._pulled = name
        self._unplugged = Unplugged(name, UNPLUGGED_S)
        self._pulling.set()
        return True

    def shown(self) -> Shown:
        """Return what is known now."""
        return Shown(
            sent=self._sent,
            lamps=lamps(self._sent, self._trace) if self._sent else (),
            ledger=self._ledger,
            unseen=self._unseen,
            unplugged=self._unplugged,
            stopped=[name for name, plug in self.plugs.items() if not plug.is_running],
        )

    async def changes(self) -> AsyncIterator[Shown]:
        """Yield what is shown now, and again whenever there was a look."""
        seen = -1
        while True:
            async with self._changed:
                while seen == self._version:
                    await self._changed.wait()
                seen = self._version
            yield self.shown()

    async def watch(self) -> None:
        """Look again and again."""
        number = 0
        while True:
            is_quiet = self._ledger.is_settled and self._unplugged is None
            if not is_quiet or number % _QUIET_LOOKS == 0:
                await self._look(with_doubled=number % _DOUBLED_LOOKS == 0)
            number += 1
            await asyncio.sleep(_LOOK_S)

    async def pull_plugs(self) -> None:
        """Do what ``pull`` asks for, one plug at a time."""
        while True:
            await self._pulling.wait()
            self._pulling.clear()
            assert self._pulled is not None
            plug = self.plugs[self._pulled]
            await plug.pull()
            for left_s in range(UNPLUGGED_S, 0, -1):
                self._unplugged = Unplugged(self._pulled, left_s)
                await asyncio.sleep(1)
            self._unplugged = Unplugged(self._pulled, 0)
            await plug.start()
            self._pulled = self._unplugged = None

    async def _look(self, *, with_doubled: bool) -> None:
        try:
            await self._see(with_doubled=with_doubled)
            self._unseen = ""
        except Unseen as error:
            self._unseen = str(error)
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    async def _see(self, *, with_doubled: bool) -> None:
        sent = self._sent
        if sent is not None:
            trace = await self._observer.trace(sent.reading_id)
            if sent is self._sent:
                self._trace = trace
        asked = {*self._ledger.open, *(measurement for measurement, _ in self._ledger.latest)}
        self._ledger.look(await self._observer.sighting(asked))
        if with_doubled:
            self._ledger.doubled = await self._observer.doubled(self._began_at)
