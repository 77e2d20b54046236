"""Record: what the clock found, some patients at a time.

Thousands may be found at once here, and one statement for all of them is slow in a database that
has no statistics of its tables yet.
"""

from typing import Final

import numpy as np

from ingest import episode
from ingest.breach import Breaches
from ingest.clock.chore import Connection

PATIENTS_MAX: Final = 500


async def record(connection: Connection, breaches: Breaches) -> None:
    """Store *breaches* and what they mean for alerts, those of one patient together."""
    await episode.lock(connection, breaches.patient)  # all of them, before any alert
    _, number = np.unique(breaches.patient, return_inverse=True)
    part = number // PATIENTS_MAX
    for one in np.unique(part):
        await episode.record(connection, breaches.take(np.flatnonzero(part == one)), is_locked=True)
