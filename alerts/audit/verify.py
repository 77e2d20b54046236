"""Proves the access log: that no entry was changed, moved, put in or taken away.

Each chain is read from its first entry, or from the checkpoint behind which what is older than the
law asks for is gone (``alerts.audit.checkpoint``): numbers without a gap, each entry with the hash
of the one before it, each hash what its own columns make, each entry in the chain of its patient.
The chain's head then says how far it went, so that entries taken from its end are missed. Who can
write the entries can write the heads too: against that there are anchors (``alerts.audit.anchor``),
heads that were kept elsewhere at some time. At last, emergencies and reviews are held against the
entries of them (``alerts.audit.beside``).
"""

import enum
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import dict_row

from alerts.audit import beside, checkpoint
from alerts.audit.checkpoint import Checkpoint, Checkpoints
from alerts.audit.entry import CHAINS, Entry, Link, NotKept

# Enough to see what happened; a table that was written over has as many as it has entries.
BREAKS_TOLD_MAX: Final = 100
_AT_ONCE: Final = 2_000


class Wrong(enum.StrEnum):
    """What is wrong at a place of a chain."""

    CHANGED = "changed"  # its columns do not make its hash
    MISSING = "missing"  # one or more before it are not there
    NOT_NEXT = "not_next"  # it does not hold the hash of the one before it
    MISPLACED = "misplaced"  # it is of another chain's patient
    TAIL_MISSING = "tail_missing"  # the head has been further
    BEYOND_HEAD = "beyond_head"  # the head has not been so far
    HEAD_CHANGED = "head_changed"  # the head has another hash than the entry it names
    HEAD_MISSING = "head_missing"
    NOT_AS_ANCHORED = "not_as_anchored"  # an anchor has another hash for it, or it is gone
    TOO_EARLY = "too_early"  # an anchor shows that what is gone was younger than the law lets go of
    NOT_SEALED = "not_sealed"  # what went before it did not go by the command, or not as it says
    NOT_AS_PROVED = "not_as_proved"  # the emergency or review it is of; number 0: one without it


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the log is not as it was written."""

    chain: int
    number: int
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain; number 0: there is none."""

    number: int
    hash: bytes


Heads = Mapping[int, Head]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found.

    Attributes:
        entries: How many entries were read.
        breaks: At most ``BREAKS_TOLD_MAX``.
        broken: How many there are in all.
        heads: The heads as they were then.
        checkpoints: What chains go on from whose old entries are gone.
    """

    entries: int
    breaks: tuple[Break, ...]
    broken: int
    heads: Heads
    checkpoints: Checkpoints

    @property
    def is_whole(self) -> bool:
        """Nothing is wrong."""
        return not self.broken


async def verify(connection: AsyncConnection, anchors: Iterable[Heads] = ()) -> Verified:
    """Read all chains at one moment and say what is wrong; appending goes on meanwhile.

    Args:
        connection: In no transaction.
        anchors: Heads kept earlier: each named entry must still be there, with that hash.
    """
    was = connection.isolation_level
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            return await walk(connection, anchors)
    finally:
        await connection.set_isolation_level(was)


async def walk(connection: AsyncConnection, anchors: Iterable[Heads]) -> Verified:
    """Do the same inside a transaction that sees one moment."""
    kept: dict[tuple[int, int], set[bytes]] = {}
    for heads in anchors:
        for chain, head in heads.items():
            if head.number:
                kept.setdefault((chain, head.number), set()).add(head.hash)
    checkpoints = await checkpoint.read(connection)
    reading = _Reading(await read_heads(connection), checkpoints, kept)
    reading.unsealed(await checkpoint.unsealed(connection, checkpoints))
    async for link in _links(connection):
        reading.take(link)
    return reading.done(await beside.changed(connection))


async def read_heads(connection: AsyncConnection) -> dict[int, Head]:
    """Return the head of each chain."""
    found = await connection.execute("select chain, number, hash from access_chain")
    return {chain: Head(number, bytes(digest)) for chain, number, digest in await found.fetchall()}


class _Reading:
    """Walks along the chains in order, and remembers where it is."""

    def __init__(
        self,
        heads: Heads,
        checkpoints: Checkpoints,
        kept: Mapping[tuple[int, int], set[bytes]],
    ) -> None:
        self._heads = heads
        self._checkpoints = checkpoints
        self._kept = kept
        # What an anchor names and what is gone since cannot be met.
        begins = {chain: Head(one.number, one.hash) for chain, one in checkpoints.items()}
        self._unmet = {
            (chain, number)
            for chain, number in kept
            if number > begins.get(chain, Head(0, b"")).number
        }
        self._last: dict[int, Head] = begins
        self._entries = 0
        self._breaks: list[Break] = []
        self._broken = 0

    def unsealed(self, found: Iterable[Checkpoint]) -> None:
        """Note checkpoints that are not as the log tells of them."""
        for one in found:
            self._tell(one.chain, one.number, Wrong.NOT_SEALED)
        for chain, one in self._checkpoints.items():
            if self._kept.get((chain, one.number), {one.hash}) != {one.hash}:
                self._tell(chain, one.number, Wrong.NOT_AS_ANCHORED)

    def take(self, link: Link) -> None:
        """Look at the next entry."""
        self._entries += 1
        before = self._last.get(link.chain, Head(0, b""))
        place = link.chain, link.number
        if link.number != before.number + 1:
            self._tell(*place, Wrong.MISSING)
        elif link.previous != before.hash:
            self._tell(*place, Wrong.NOT_NEXT)
        if _computed(link) != link.hash:
            self._tell(*place, Wrong.CHANGED)
        if link.entry.chain != link.chain:
            self._tell(*place, Wrong.MISPLACED)
        if place in self._kept:
            self._unmet.discard(place)
            if self._kept[place] != {link.hash}:
                self._tell(*place, Wrong.NOT_AS_ANCHORED)
        self._last[link.chain] = Head(link.number, link.hash)

    def done(self, beside_it: Iterable[tuple[int, int]]) -> Verified:
        """Look at the ends; *beside_it*: entries of which the row beside the log is changed."""
        for chain in sorted({*range(CHAINS), *self._last, *self._heads}):
            last = self._last.get(chain, Head(0, b""))
            head = self._heads.get(chain)
            if head is None:
                self._tell(chain, last.number, Wrong.HEAD_MISSING)
            elif head.number > last.number:
                self._tell(chain, head.number, Wrong.TAIL_MISSING)
            elif head.number < last.number:
                self._tell(chain, last.number, Wrong.BEYOND_HEAD)
            elif head.hash != last.hash:
                self._tell(chain, last.number, Wrong.HEAD_CHANGED)
        for place in sorted(self._unmet):
            self._tell(*place, Wrong.NOT_AS_ANCHORED)
        for place in beside_it:
            self._tell(*place, Wrong.NOT_AS_PROVED)
        return Verified(
            entries=self._entries,
            breaks=tuple(self._breaks),
            broken=self._broken,
            heads=self._heads,
            checkpoints=self._checkpoints,
        )

    def _tell(self, chain: int, number: int, wrong: Wrong) -> None:
        self._broken += 1
        if len(self._breaks) < BREAKS_TOLD_MAX:
            self._breaks.append(Break(chain, number, wrong))


def _computed(link: Link) -> bytes:
    try:
        return link.computed()
    except NotKept:  # not ours: we would have refused to write it
        return b""


async def _links(connection: AsyncConnection) -> AsyncIterator[Link]:
    async with connection.cursor("access_log", row_factory=dict_row) as cursor:
        cursor.itersize = _AT_ONCE
        await cursor.execute(
            "select chain, number, at, actor, staff_id, unit_id, patient_id, patient_ids, action, "
            "ground, detail, previous, hash from access_log order by chain, number"
        )
        async for row in cursor:
            yield link_of(row)


def link_of(row: Mapping[str, Any]) -> Link:
    """Return a row of ``access_log``."""
    return Link(
        chain=row["chain"],
        number=row["number"],
        at=row["at"],
        entry=Entry(
            actor=row["actor"],
            action=row["action"],
            ground=row["ground"],
            staff_id=row["staff_id"],
            unit_id=row["unit_id"],
            patient_id=row["patient_id"],
            patient_ids=tuple(row["patient_ids"]),
            detail=row["detail"],
        ),
        previous=bytes(row["previous"]),
        hash=bytes(row["hash"]),
    )
