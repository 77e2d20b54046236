"""The registry: gateways, loans, plan versions with limits and rules, and pauses, as columns.

What it holds is always the state of one revision, whole. One task uses it at a time: ``refresh``
first, in the transaction that judges, then the accessors.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest.assignments import Loans
from ingest.batch import Bools, Int64s
from ingest.pg_binary import read_array
from ingest.query import one_row
from ingest.registry.changes import changes
from ingest.registry.columns import FOREVER, Names, RuleReader, nobody
from ingest.registry.layers import Layered
from ingest.registry.load import load
from ingest.rules.limit import IDS_MAX, Limits
from ingest.rules.table import RuleRows
from ingest.search import pairs

Connection = psycopg.AsyncConnection[Any]

_REVISION: Final = "select array[revision], now() from registry"
_NONE: Final = -1


class Registry:
    """A county in memory; empty before the first ``refresh``."""

    def __init__(self) -> None:
        self.revision = _NONE
        self.now = 0  # the database's, at the last refresh; microseconds since 2000
        self._names = Names()
        self._reader = RuleReader(self._names)
        self._tables = nobody()

    @property
    def is_known(self) -> bool:
        """Whether the last ``refresh`` came to its end."""
        return self.revision != _NONE

    @property
    def left_out(self) -> list[str]:
        """The kind of each rule that could not be understood, and is not applied."""
        return self._reader.left_out

    async def refresh(self, connection: Connection) -> int:
        """Bring what is remembered up to the revision that *connection* sees; return it.

        One cheap query where nothing changed. Usable in a transaction or outside one, unless it
        is of an isolation above READ COMMITTED. After an error the next refresh makes good what
        this one left undone.
        """
        revision, now = await one_row(connection, _REVISION)
        self.now = int.from_bytes(now or b"", "big", signed=True)
        if self.revision == read_array(revision)[0]:
            return self.revision
        known, self.revision = self.revision, _NONE  # in case of an error halfway
        if known == _NONE:
            known = await self._load(connection)
        while (change := await changes(connection, known)).is_too_much:
            known = await self._load(connection)
        change.put_into(self._tables, self._reader)
        for layered in self._layers():
            if layered.is_due:
                await layered.compact()
        self.revision = change.revision
        return self.revision

    async def _load(self, connection: Connection) -> int:
        """Read everything; return the revision from which on it must be brought up to date."""
        self._tables = nobody()  # twice a county would be too much
        self._reader.forget()
        revision, _ = await one_row(connection, _REVISION)
        self._tables = await load(connection, self._reader)
        return int(read_array(revision)[0])

    def _layers(self) -> list[Layered]:
        tables = self._tables
        some = [tables.gateways, tables.loans, tables.versions, tables.limits, tables.pauses]
        return some + list(tables.rules.values())

    def known_gateways(self, ids: Iterable[str]) -> frozenset[str]:
        """Return which of *ids* are registered, and not retired at ``now``."""
        distinct, encoded = _encoded(ids)
        owner, found = self._tables.gateways.find(encoded)
        in_use = owner[found["retired_at"] > self.now]
        return frozenset(distinct[row] for row in in_use.tolist())

    def loans_of(self, devices: Sequence[str]) -> Loans:
        """Return every loan of *devices*; ``Loans.device`` is an index into them."""
        encoded, place = np.unique(
            np.array([d.encode() for d in devices] or [b""]), return_index=True
        )
        owner, found = self._tables.loans.find(encoded)
        return Loans(
            device=place[owner].astype(np.int64),
            slot=found["slot"].astype(np.int64),
            lent_from=found["lent_from"],
            returned_at=found["returned_at"],
            patient=found["patient"],
            loan=found["loan"],
        )

    def limits_of(self, patients: Int64s) -> Limits:
        """Return every plan version of *patients* (any order, repeats allowed), with its limits."""
        patient, since, version = self.versions_of(patients)
        by_version = np.argsort(version)
        owner, found = self._tables.limits.find(version[by_version])
        key = by_version[owner] * IDS_MAX + found["quantity"]
        order = np.argsort(key)
        bounds = found["bounds"][order]
        return Limits(
            patient=patient,
            in_force_from=since,
            version=version,
            key=key[order],
            yellow_low=bounds[:, 0],
            yellow_high=bounds[:, 1],
            red_low=bounds[:, 2],
            red_high=bounds[:, 3],
        )

    def rules_of(self, kind: str, patients: Int64s) -> RuleRows:
        """Return the rules of *kind* of all plan versions of *patients*.

        Sorted by patient, in_force_from, then key; *patients* in any order, repeats allowed.
        """
        distinct = np.unique(patients)
        owner, found = self._tables.rules[kind].find(distinct)
        patient, since, version = self.versions_of(distinct[owner])
        until = np.full(len(patient), FOREVER, np.int64)
        is_followed = patient[1:] == patient[:-1]
        until[:-1][is_followed] = since[1:][is_followed]
        by_version = np.argsort(version)
        plan = by_version[np.searchsorted(version[by_version], found["version"])]
        order = np.argsort(plan, kind="stable")
        plan = plan[order]
        return RuleRows(
            patient=patient[plan],
            in_force_from=since[plan],
            in_force_until=until[plan],
            version=version[plan],
            keys=self._names.keys,
            key=found["key"][order].astype(np.int64),
            quantity=found["quantity"][order],
            level=found["level"][order],
            params=found["params"][order],
        )

    def patients_with(self, kind: str) -> Int64s:
        """Return, ascending, who has a rule of *kind* in any version of her plan."""
        return self._tables.rules[kind].keys()

    def versions_of(self, patients: Int64s) -> tuple[Int64s, Int64s, Int64s]:
        """Return (patient, in_force_from, version) of all versions, sorted by the first two."""
        distinct = np.unique(patients)
        owner, found = self._tables.versions.find(distinct)
        return distinct[owner], found["in_force_from"], found["version"]

    def paused(self, patient: Int64s, measured_at: NDArray[np.int64]) -> Bools:
        """Tell for each row whether the patient's rules are silent at *measured_at*."""
        silent = np.zeros(len(patient), np.bool_)
        if not len(self._tables.pauses):
            return silent
        distinct, place = np.unique(patient, return_inverse=True)
        owner, found = self._tables.pauses.find(distinct)
        start = np.searchsorted(owner, place, "left").astype(np.int64)
        query, row = pairs(start, np.searchsorted(owner, place, "right") - start)
        at = measured_at[query]
        silent[query[(found["from_at"][row] <= at) & (at < found["until_at"][row])]] = True
        return silent


def _encoded(words: Iterable[str]) -> tuple[list[str], NDArray[np.bytes_]]:
    """Return the distinct words in the order of their bytes, and these bytes."""
    both = sorted((word.encode(), word) for word in set(words))
    return [word for _, word in both], np.array([raw for raw, _ in both] or [b""], np.bytes_)
