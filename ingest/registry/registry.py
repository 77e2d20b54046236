"""The registry: gateways, loans, plan versions with limits and rules, and pauses, as columns.

What it holds is always the state of one revision, whole. One task uses it at a time: ``refresh``
first, in the transaction that judges, then the accessors.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest.assignments import Loans
from ingest.batch import Bools, Int64s
from ingest.rules.limit import Limits
from ingest.rules.table import RuleRows


class Registry:
    """A county in memory; empty before the first ``refresh``."""

    def __init__(self) -> None:
        self.revision = -1  # none yet
        self.now = 0  # the database's, at the last refresh; microseconds since 2000

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> int:
        """Bring what is remembered up to the revision that *connection* sees; return it.

        One cheap query where nothing changed. Usable in a transaction or outside one. After an
        error the next refresh makes good what this one left undone.
        """
        raise NotImplementedError

    def known_gateways(self, ids: Iterable[str]) -> frozenset[str]:
        """Return which of *ids* are registered, and not retired at ``now``."""
        raise NotImplementedError

    def loans_of(self, devices: Sequence[str]) -> Loans:
        """Return every loan of *devices*; ``Loans.device`` is an index into them."""
        raise NotImplementedError

    def limits_of(self, patients: Int64s) -> Limits:
        """Return every plan version of *patients* (any order, repeats allowed), with its limits."""
        raise NotImplementedError

    def rules_of(self, kind: str, patients: Int64s) -> RuleRows:
        """Return the rules of *kind* of all plan versions of *patients*.

        Sorted by patient, in_force_from, then key; *patients* in any order, repeats allowed.
        """
        raise NotImplementedError

    def patients_with(self, kind: str) -> Int64s:
        """Return, ascending, who has a rule of *kind* in any version of her plan."""
        raise NotImplementedError

    def versions_of(self, patients: Int64s) -> tuple[Int64s, Int64s, Int64s]:
        """Return (patient, in_force_from, version) of all versions, sorted by the first two."""
        raise NotImplementedError

    def paused(self, patient: Int64s, measured_at: NDArray[np.int64]) -> Bools:
        """Tell for each row whether the patient's rules are silent at *measured_at*."""
        raise NotImplementedError
