"""When a chore was last done, kept in the database: a new leader goes on where the last stopped."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.clock.chore import Connection

LOCAL: Final = ZoneInfo("Europe/Stockholm")

_LAST: Final = """
select done_at, revision, next_patient_id, resumed_at from clock_turn where chore = %s
"""
_LAST_LOCKED: Final = f"{_LAST} for update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A row of ``clock_turn``; see there."""

    done_at: datetime
    revision: int = -1
    next_patient_id: int | None = None
    resumed_at: datetime | None = None


async def last(connection: Connection, chore: str, *, lock: bool = False) -> Turn | None:
    """Return when *chore* was last done; none: never. *lock*: until the transaction ends."""
    cursor = await connection.execute(_LAST_LOCKED if lock else _LAST, [chore])
    row: tuple[Any, ...] | None = await cursor.fetchone()
    if row is None:
        return None
    return Turn(done_at=row[0], revision=row[1], next_patient_id=row[2], resumed_at=row[3])


async def done(connection: Connection, chore: str, turn: Turn) -> None:
    """Note *turn*; what was noted of a later time stays."""
    await connection.execute(
        "insert into clock_turn (chore, done_at, revision, next_patient_id, resumed_at)"
        " values (%s, %s, %s, %s, %s) on conflict (chore) do update set"
        " done_at = excluded.done_at, revision = excluded.revision,"
        " next_patient_id = excluded.next_patient_id, resumed_at = excluded.resumed_at"
        " where clock_turn.done_at <= excluded.done_at",
        [chore, turn.done_at, turn.revision, turn.next_patient_id, turn.resumed_at],
    )


async def is_due(connection: Connection, chore: str, at: time, now: datetime) -> bool:
    """Whether a daily chore has not been done since it last became *at* o'clock."""
    before = await last(connection, chore)
    return before is None or before.done_at < newest_occasion(at, now)


def newest_occasion(at: time, now: datetime) -> datetime:
    """Return the last moment not after *now* at which clocks in Sweden showed *at*.

    In the spring night that skips *at*, it is when they would have shown it; in the autumn night
    that has it twice, the first.
    """
    today = now.astimezone(LOCAL).date()
    occasion = datetime.combine(today, at, LOCAL)
    if occasion.timestamp() <= now.timestamp():  # of one zone, they would compare as walls show
        return occasion
    return datetime.combine(today - timedelta(days=1), at, LOCAL)
