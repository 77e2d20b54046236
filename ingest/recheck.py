"""Recheck: was anything missed? Plain SQL (recheck.sql) that shares no code with the rules.

A period is one of storing, not of measuring: so every reading is looked at in the nights after it
came, however late it came. A difference is a row until a run over the same time no longer finds
it, and an incident meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from ingest import incident

INCIDENT: Final = "recheck"
CHUNK: Final = timedelta(days=1)
# A reading is looked at in three nights, so that one night that fails leaves no hole.
NIGHTLY: Final = timedelta(days=3)
# Less than a day, so that the next night's run is due when it comes.
NIGHTLY_AGAIN: Final = timedelta(hours=20)
# The clock decides a wait within seconds after it is due; a restart of the database takes a minute.
GRACE: Final = timedelta(minutes=10)
# A longer period is asked first where it begins to hold something: days cost, empty ones too.
LONG: Final = timedelta(days=30)
# A day of a county in which everybody measures five times takes minutes.
STATEMENT_S_MAX: Final = 3600

_RECHECK: Final = (Path(__file__).parent / "recheck.sql").read_text(encoding="utf-8")
_SPAN: Final = """
select count(*), min(measured_at), max(measured_at) from (
    select measured_at from reading where stored_at >= %(from_at)s and stored_at < %(until_at)s
    union all
    select r.measured_at from (
        select distinct reading_id from reading_review where at >= %(from_at)s and at < %(until_at)s
    ) v
    cross join lateral (
        select measured_at from reading
        where reading_id = v.reading_id
            and not (stored_at >= %(from_at)s and stored_at < %(until_at)s)
        offset 0
    ) r
) chosen
"""
_FIRST: Final = """
select least(
    (
        select min(stored_at) from reading
        where stored_at >= %(from_at)s and stored_at < %(until_at)s
    ),
    (select min(at) from reading_review where at >= %(from_at)s and at < %(until_at)s),
    -- What is open may be of readings that are no more; only a look at its time clears it.
    (
        select min(at) from recheck_difference
        where cleared_by is null and at >= %(from_at)s and at < %(until_at)s
    )
)
"""
_BEGIN: Final = """
insert into recheck_run (from_at, until_at, is_nightly) values (%s, %s, %s) returning run_id
"""
_ADD: Final = """
update recheck_run set readings = readings + %s, differences = differences + %s where run_id = %s
"""
_END: Final = "update recheck_run set ended_at = clock_timestamp() where run_id = %s"
_RECENT: Final = """
select exists (
    select from recheck_run where is_nightly and ended_at is not null and started_at > %s
)
"""
_OPEN: Final = "select count(*) from recheck_difference where cleared_by is null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found."""

    run_id: int
    readings: int  # looked at
    differences: int


async def run(
    connection: psycopg.AsyncConnection[Any],
    from_at: datetime,
    until_at: datetime,
    *,
    is_nightly: bool = False,
) -> Report:
    """Look again at what was stored in [*from_at*, *until_at*), a day at a time.

    A difference is a row of ``recheck_difference`` and opens the incident 'recheck', which closes
    when no difference is left.

    Args:
        connection: In autocommit; each day is a transaction of its own.
        from_at: Inclusive.
        until_at: Exclusive, later than *from_at*.
        is_nightly: Counts as the run of this night.
    """
    cursor = await connection.execute(_BEGIN, [from_at, until_at, is_nightly])
    run_id = await _number(cursor)
    readings = differences = 0
    if until_at - from_at > LONG:
        from_at = await _first(connection, from_at, until_at)
    while from_at < until_at:
        end = min(from_at + CHUNK, until_at)
        seen, different = await _chunk(connection, run_id, from_at, end)
        readings += seen
        differences += different
        from_at = end
    async with connection.transaction():
        await connection.execute(_END, [run_id])
        await _tell(connection)
    return Report(run_id=run_id, readings=readings, differences=differences)


async def nightly(connection: psycopg.AsyncConnection[Any], now: datetime) -> int:
    """Look at the last three days, once a night; returns how many differences there are.

    Args:
        connection: In autocommit.
        now: The end of the period.
    """
    cursor = await connection.execute(_RECENT, [now - NIGHTLY_AGAIN])
    row = await cursor.fetchone()
    assert row is not None
    if row[0]:
        return 0
    return (await run(connection, now - NIGHTLY, now, is_nightly=True)).differences


async def _first(
    connection: psycopg.AsyncConnection[Any], from_at: datetime, until_at: datetime
) -> datetime:
    """Return when the first of what a period holds was stored or judged anew; its end: nothing."""
    async with connection.transaction():
        await connection.execute(f"set local statement_timeout = '{STATEMENT_S_MAX}s'")
        cursor = await connection.execute(_FIRST, {"from_at": from_at, "until_at": until_at})
        row = await cursor.fetchone()
    assert row is not None
    return row[0] or until_at


async def _chunk(
    connection: psycopg.AsyncConnection[Any], run_id: int, from_at: datetime, until_at: datetime
) -> tuple[int, int]:
    """Return how many readings were looked at, and how many differences there are."""
    async with connection.transaction():
        await connection.execute(f"set local statement_timeout = '{STATEMENT_S_MAX}s'")
        await connection.execute("set local jit = off")
        # Of the tables that hold years, each is asked by an index, whatever the statistics say.
        await connection.execute("set local enable_seqscan = off")
        period: dict[str, object] = {"from_at": from_at, "until_at": until_at}
        cursor = await connection.execute(_SPAN, period)
        span = await cursor.fetchone()
        assert span is not None
        readings, low, high = span
        cursor = await connection.execute(
            _RECHECK,
            period | {"run_id": run_id, "low": low, "high": high, "grace": GRACE},
            prepare=False,  # each period is planned for its own size
        )
        differences = await _number(cursor)
        await connection.execute(_ADD, [readings, differences, run_id])
    return int(readings), differences


async def _tell(connection: psycopg.AsyncConnection[Any]) -> None:
    differences = await _number(await connection.execute(_OPEN))
    if not differences:
        await incident.close(connection, INCIDENT, "")
        return
    detail = (
        f"differences between what was stored and what was judged: {differences}; see"
        " recheck_difference, correct the cause, and run python -m ingest recheck over their time"
    )
    await incident.open_(connection, INCIDENT, "", detail)


async def _number(cursor: psycopg.AsyncCursor[Any]) -> int:
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
