"""Replay: tries again what lies in quarantine, as of when it was measured.

What was refused because nobody knew whose it was finds its patient when the loan is registered.
It takes the same way as a reading from the broker, and is late as any that comes today; only
``arrived_at`` stays what it was. A row that is refused again stays as it is. Rows that take the
database too long together are tried in halves, each in a transaction of its own; one alone is
refused for it.
"""

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import plausibility, quarantine, store
from ingest.batch import Batch, Int64s, from_incoming, microseconds
from ingest.decode import Incoming, decode
from ingest.delivery import Delivery
from ingest.judgement import judge
from ingest.pg_binary import Array
from ingest.plausibility import Verdict
from ingest.quarantine import Reason, Refused
from ingest.refusal import explain, refusals, refused_by_database
from ingest.registry import Registry

# One transaction: a message of quarantine may hold hundreds of readings.
ROWS_MAX: Final = 200
# They are stored in a fraction of a second. It takes eight halvings until the row that hangs is
# found, which must be sooner than a chore's time is up (clock.lane.CALL_S_MAX).
STATEMENT_S_MAX: Final = 5

# Refused for what was known of devices and gateways: worth trying when that changes.
WAITING: Final = (
    Reason.UNASSIGNED,
    Reason.BEFORE_LOAN,
    Reason.AMBIGUOUS_LOAN,
    Reason.UNKNOWN_GATEWAY,
)
# Of whole messages; all others are of a reading.
_MESSAGES: Final = (
    Reason.MALFORMED_MESSAGE,
    Reason.UNSUPPORTED_VERSION,
    Reason.GATEWAY_MISMATCH,
)
# Of some values of a reading that may be stored for the others.
_VALUES: Final = (
    Reason.UNKNOWN_QUANTITY,
    Reason.UNKNOWN_UNIT,
    Reason.NOT_A_NUMBER,
    Reason.IMPLAUSIBLE,
)
_POISON: Final = (psycopg.DataError, psycopg.IntegrityError)

_TAKE: Final = """
select quarantine_id, arrived_at, gateway_id, topic, reason, content
from quarantine where quarantine_id = any (%s) and settled_at is null
order by quarantine_id for update skip locked
"""
_SETTLE: Final = """
update quarantine set tried_revision = %s,
    settled_at = case when quarantine_id = any (%s) then clock_timestamp() end
where quarantine_id = any (%s)
"""
# The last word of the transaction: it may have taken longer than those who look for what was stored
# wait for what is not committed yet (days.LAG).
_ARRIVED: Final = """
update reading r set arrived_at = a.arrived_at, stored_at = clock_timestamp()
from unnest(%s::uuid[], %s::timestamptz[]) as a (reading_id, arrived_at)
where r.reading_id = a.reading_id
"""
# Rows whose device or gateway changed since they were tried. Changes are kept for a day: where
# some were forgotten unseen, everything is tried.
_CHANGED: Final = """
with changed as (
    select what, key, max(revision) as revision from registry_change
    where what <> 'patient' group by what, key
),
everything as (
    select greatest(
        (select max(revision) from changed where what = 'all'),
        case when s.revision < r.forgotten then r.revision end
    ) as revision
    from registry r, replay_state s
)
select quarantine_id from quarantine q join changed c on c.what = 'device' and c.key = q.device_id
where q.settled_at is null and q.reason = any (%(waiting)s) and q.tried_revision < c.revision
union
select quarantine_id from quarantine q join changed c on c.what = 'gateway' and c.key = q.gateway_id
where q.settled_at is null and q.reason = any (%(waiting)s) and q.tried_revision < c.revision
union
select quarantine_id from quarantine q, everything e
where q.settled_at is null and q.reason = any (%(waiting)s) and q.tried_revision < e.revision
order by 1 limit %(most)s
"""
# Only when nothing is left; the revision was read before the rows were looked for.
_FOLLOWED: Final = """
update replay_state set revision = %s where revision < %s
"""
_REVISION: Final = "select revision from registry"


class _StuckError(Exception):
    """Something among the rows takes the database too long."""


class Fate(enum.StrEnum):
    """What became of a row that was tried again."""

    STORED = "stored"  # now
    KNOWN = "known"  # stored already, by another way
    REFUSED = "refused"  # again; it stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A row of quarantine that was tried again."""

    quarantine_id: int
    fate: Fate
    detail: str = ""  # of what is refused: why, now


class _Row(NamedTuple):
    quarantine_id: int
    arrived_at: datetime
    gateway_id: str
    topic: str
    reason: str
    content: bytes

    @property
    def is_message(self) -> bool:
        return self.reason in _MESSAGES


async def after_loans(
    connection: psycopg.AsyncConnection[Any], registry: Registry, now: datetime, most: int
) -> int:
    """Try again rows whose device or gateway became known otherwise; returns how many were tried.

    Args:
        connection: In autocommit, with ``pg_binary.register``.
        registry: Brought up to date here, only if something is to be tried.
        now: By which what is stored now is late.
        most: Rows at most.
    """
    revision = await _one(connection, _REVISION)
    waiting = [reason.value for reason in WAITING]
    tried = 0
    while tried < most:
        asked = {"waiting": waiting, "most": min(most - tried, ROWS_MAX)}
        cursor = await connection.execute(_CHANGED, asked)
        ids = [int(row[0]) for row in await cursor.fetchall()]
        if not ids:
            await connection.execute(_FOLLOWED, [revision, revision])
            break
        done = len(await replay(connection, registry, ids, now))
        tried += done
        if not done:  # another replay has them
            break
    return tried


async def replay(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    quarantine_ids: Sequence[int],
    now: datetime,
    *,
    dry_run: bool = False,
) -> list[Tried]:
    """Try rows of quarantine again; what another replay has is left to it.

    In one transaction, or in some where rows take the database too long.

    Args:
        connection: In autocommit, with ``pg_binary.register``.
        registry: Is brought up to date.
        quarantine_ids: At most ``ROWS_MAX``; those that are settled are passed over.
        now: By which what is stored now is late.
        dry_run: Say what would become of them, and change nothing.
    """
    assert len(quarantine_ids) <= ROWS_MAX
    ids = list(quarantine_ids)
    try:
        return await _attempt(connection, registry, ids, now, dry_run=dry_run)
    except _StuckError:
        middle = len(ids) // 2
        one = await replay(connection, registry, ids[:middle], now, dry_run=dry_run)
        return one + await replay(connection, registry, ids[middle:], now, dry_run=dry_run)


async def _attempt(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    ids: list[int],
    now: datetime,
    *,
    dry_run: bool,
) -> list[Tried]:
    async with connection.transaction(force_rollback=dry_run):
        cursor = await connection.execute(_TAKE, [ids])
        rows = [_Row(*row) for row in await cursor.fetchall()]
        if not rows:
            return []
        return await _replay(connection, registry, rows, now, is_alone=len(ids) == 1)


async def _replay(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    rows: list[_Row],
    now: datetime,
    *,
    is_alone: bool,
) -> list[Tried]:
    revision = await registry.refresh(connection)
    await connection.execute(f"set local statement_timeout = '{STATEMENT_S_MAX}s'")
    # A lock that hangs is nobody's fault here: all is tried again at the next turn.
    await connection.execute(f"set local lock_timeout = '{STATEMENT_S_MAX * 500}ms'")
    incoming = [decode(_delivery(row)) for row in rows]
    outcome = _Outcome(is_alone=is_alone)
    whole = from_incoming(incoming)
    _, first = np.unique(whole.reading_id, return_index=True)
    batch = whole.take(np.sort(first).astype(np.int64))
    # Ahead of its time by the clock of then, a reading is no better for having waited.
    reason = np.where(batch.fault > 0, batch.fault, plausibility.refuse_readings(batch))
    outcome.refuse(explain(batch, _at_first_sight(batch, reason), np.flatnonzero(reason)))
    sound = batch.take(np.flatnonzero(reason == 0))
    today = np.full(len(sound), microseconds([now])[0])
    await _store(connection, registry, replace(sound, arrived_at=today), outcome)
    await _keep_arrival(connection, sound, outcome)
    tried = [_fate(row, one, outcome) for row, one in zip(rows, incoming, strict=True)]
    settled = [one.quarantine_id for one in tried if one.fate is not Fate.REFUSED]
    await quarantine.insert(connection, _rest(rows, incoming, tried, outcome))
    await connection.execute(_SETTLE, [revision, settled, [row.quarantine_id for row in rows]])
    return tried


@dataclass(slots=True)
class _Outcome:
    """What became of the readings, by their id."""

    is_alone: bool  # of one row: there is nothing to halve but its readings
    new: set[UUID] = field(default_factory=set)
    known: set[UUID] = field(default_factory=set)
    refused: dict[UUID, Refused] = field(default_factory=dict)  # whole, or in some of its values

    def refuse(self, rows: Sequence[Refused]) -> None:
        """Note what is refused, by its id."""
        self.refused |= {row.reading_id: row for row in rows if row.reading_id is not None}


def _at_first_sight(batch: Batch, reason: NDArray[np.int8]) -> Verdict:
    """Return the verdict on readings that are refused before anything is asked of them."""
    n, m = len(batch), len(batch.samples)
    return Verdict(
        reason=reason,
        suspicion=np.zeros(n, np.int32),
        sample_reason=np.zeros(m, np.int8),
        sample_suspicion=np.zeros(m, np.int32),
        weight_apart=np.full(m, np.nan),
    )


async def _store(
    connection: psycopg.AsyncConnection[Any], registry: Registry, batch: Batch, outcome: _Outcome
) -> None:
    """Store *batch*; what the database refuses is found by halving, and its neighbours stored."""
    if not len(batch):
        return
    try:
        async with connection.transaction():
            judgement = await judge(connection, registry, batch, ask=True)
            is_new = await store.write(connection, registry, batch, judgement, [])
    except (*_POISON, psycopg.errors.QueryCanceled) as error:
        if isinstance(error, psycopg.errors.QueryCanceled) and not outcome.is_alone:
            raise _StuckError from error
        if error.diag.constraint_name == store.READING_KEY:  # another worker's, stored since
            await _store(connection, registry, batch, outcome)
            return
        if len(batch) == 1:
            problem = f"{error.sqlstate}: {error.diag.message_primary}"
            outcome.refuse([refused_by_database(batch, 0, problem)])
            return
        rows = np.arange(len(batch))
        for half in np.array_split(rows, 2):
            await _store(connection, registry, batch.take(half), outcome)
        return
    outcome.new |= {_uuid(batch, row) for row in np.flatnonzero(is_new).tolist()}
    outcome.known |= {_uuid(batch, row) for row in np.flatnonzero(judgement.stored).tolist()}
    outcome.refuse(refusals(batch, judgement))


async def _keep_arrival(
    connection: psycopg.AsyncConnection[Any], batch: Batch, outcome: _Outcome
) -> None:
    rows: Int64s = np.array(
        [row for row in range(len(batch)) if _uuid(batch, row) in outcome.new], np.int64
    )
    if len(rows):
        arrived_at = Array(batch.arrived_at[rows], "timestamptz")
        await connection.execute(_ARRIVED, [Array(batch.reading_id[rows], "uuid"), arrived_at])


def _delivery(row: _Row) -> Delivery:
    """Return a row as the message it was, or a reading as one that was sent alone."""
    content = row.content
    if not row.is_message:
        gateway, sent_at = json.dumps(row.gateway_id), json.dumps(row.arrived_at.isoformat())
        head = f'{{"v":1,"gateway":{gateway},"sent_at":{sent_at},"readings":['
        content = head.encode() + content + b"]}"
    return Delivery(row.topic, content, None, row.arrived_at, row.quarantine_id)


def _fate(row: _Row, incoming: Incoming, outcome: _Outcome) -> Tried:
    if incoming.columns is None:
        detail = incoming.refused[0].detail if incoming.refused else "it cannot be read"
        return Tried(quarantine_id=row.quarantine_id, fate=Fate.REFUSED, detail=detail)
    if row.is_message:  # its readings have rows of their own now, if they are refused
        return Tried(quarantine_id=row.quarantine_id, fate=Fate.STORED)
    (reading_id,) = _ids(incoming)
    if reading_id in outcome.new:
        return Tried(quarantine_id=row.quarantine_id, fate=Fate.STORED)
    if reading_id in outcome.known and row.reason not in _VALUES:
        return Tried(quarantine_id=row.quarantine_id, fate=Fate.KNOWN)
    detail = "its other values are stored; these stay refused"
    if reading_id in outcome.refused:
        detail = outcome.refused[reading_id].detail
    return Tried(quarantine_id=row.quarantine_id, fate=Fate.REFUSED, detail=detail)


def _rest(
    rows: list[_Row], incoming: list[Incoming], tried: list[Tried], outcome: _Outcome
) -> list[Refused]:
    """Return rows for what is refused for the first time: of a message, or values of a reading."""
    rest: list[Refused] = []
    for row, one, fate in zip(rows, incoming, tried, strict=True):
        if fate.fate is not Fate.STORED:
            continue
        if row.is_message:
            rest += one.refused
        rest += [outcome.refused[i] for i in _ids(one) if i in outcome.refused]
    return rest


def _ids(incoming: Incoming) -> list[UUID]:
    columns = incoming.columns
    assert columns is not None
    packed = columns.reading_id
    return [UUID(bytes=packed[start : start + 16]) for start in range(0, len(packed), 16)]


def _uuid(batch: Batch, row: int) -> UUID:
    return UUID(bytes=bytes(batch.reading_id[row : row + 1].tobytes()))


async def _one(connection: psycopg.AsyncConnection[Any], query: str) -> int:
    cursor = await connection.execute(query)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
