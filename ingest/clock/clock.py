"""Clock: leads, or stands by. Who holds an advisory lock of the database is the one leader.

The lock belongs to a connection of its own, which is asked every second whether it still lives:
when the database ends it, this leader stops its chores and another worker takes over within
seconds. Two leaders for a moment are harmless: rows are locked, and what is done has a key.
"""

import asyncio
from collections.abc import Callable, Sequence

from ingest.clock.chore import Chore
from ingest.clock.chores import chores
from ingest.meter import NOBODY, Meter


class Clock:
    """Does the chores while it leads.

    Args:
        conninfo: Gives the connection string, read again for each connection.
        address: The database's place, for the log.
        keep_days: How long readings are kept.
        meter: What is told who leads and what was done.
        doing: Chores in place of the usual ones.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        address: str,
        *,
        keep_days: int,
        meter: Meter = NOBODY,
        doing: Sequence[Chore] | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._address = address
        self._meter = meter
        self._chores = chores(keep_days) if doing is None else tuple(doing)

    async def run(self) -> None:
        """Lead or stand by until cancelled; raises only for faults of ours."""
        await asyncio.Event().wait()
