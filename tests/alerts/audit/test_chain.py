"""The access log is whole, and every way to change it afterwards is seen."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from alerts.audit import anchor
from alerts.audit.chain import ChainMissing, append
from alerts.audit.entry import CHAINS, Action, Entry, NotKept
from alerts.audit.verify import (
    Break,
    Head,
    Heads,
    Verified,
    Wrong,
    link_of,
    read_heads,
    verify,
    walk,
)
from alerts.care.people import Viewer
from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool
from tests.conftest import fresh_database

ANNA = Viewer(name="Anna", staff_id=12, unit_id=3)
ODD = {
    "ord": "Åkes ”läge” {7*7} \\ \u202e 😀\t\n",
    "tal": [2**63, -1, True, None, {"b": 1, "a": 2}],
}


def seen(patient_id: int) -> Entry:
    return Entry.by(ANNA, Action.PATIENT_SEEN, "contact", patient_id=patient_id, detail=ODD)


async def fill(connection: AsyncConnection) -> None:
    """Write five entries into chain 1, four into chain 2, and one list."""
    for patient_id in (1, 1, 17, 1, 33, 2, 2, 18, 2):
        await append(connection, seen(patient_id))
    await append(connection, Entry.by(ANNA, Action.WORKLIST_SEEN, "list", patient_ids=(1, 2, 3)))


@pytest.fixture(scope="module")
def filled(plain_postgres: Postgres, template: str) -> Iterator[str]:
    """The DSN of a database with a log in it. What a test does to it is undone."""
    for dsn in fresh_database(plain_postgres, template):
        asyncio.run(_fill(dsn))
        yield dsn


async def _fill(dsn: str) -> None:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await fill(connection)


class Log:
    """The log, inside a transaction that is undone."""

    def __init__(self, connection: AsyncConnection, heads: Heads) -> None:
        self.connection = connection
        self.heads = heads

    async def verify(self, *anchors: Heads) -> Verified:
        return await walk(self.connection, anchors)

    async def breaks(self, *anchors: Heads) -> tuple[Break, ...]:
        return (await self.verify(*anchors)).breaks

    async def tamper(self, *statements: str) -> None:
        """Do what only somebody with all rights can: change what only grows."""
        for table in ("access_log", "access_chain"):
            await self.connection.execute(f"alter table {table} disable trigger all".encode())
        for statement in statements:
            await self.connection.execute(statement.encode())


@pytest.fixture
async def log(filled: str) -> AsyncIterator[Log]:
    async with (
        await AsyncConnection.connect(filled, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield Log(connection, await read_heads(connection))


async def test_what_was_written_verifies(log: Log) -> None:
    found = await log.verify()
    assert found.is_whole, found.breaks
    assert found.entries == 10
    assert {chain for chain, head in found.heads.items() if head.number} == {1, 2, 12}


# Another value for each column of an entry; one that is missing here fails the test below.
CHANGED = {
    "chain": "9",
    "number": "99",
    "at": "at + interval '1 microsecond'",
    "actor": "'staff:13'",
    "staff_id": "13",
    "unit_id": "null",
    "patient_id": "49",  # of the same chain
    "patient_ids": "'{7}'",
    "action": "'worklist_seen'",
    "ground": "'self'",
    "detail": "detail || '{\"mer\": 1}'",
    "previous": "'\\x00'",
    "hash": "'\\x00'",
}


async def test_every_column_is_tried(log: Log) -> None:
    columns = await log.connection.execute(
        "select column_name from information_schema.columns where table_name = 'access_log'"
    )
    assert {name for (name,) in await columns.fetchall()} == CHANGED.keys()


@pytest.mark.parametrize("column", CHANGED)
@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_changed_column_is_seen(log: Log, column: str, number: int) -> None:
    where = f"where chain = 1 and number = {number}"
    await log.tamper(f"update access_log set {column} = {CHANGED[column]} {where}")
    assert not (await log.verify()).is_whole


async def test_a_changed_entry_is_one_break_and_names_its_place(log: Log) -> None:
    await log.tamper("update access_log set ground = 'x' where chain = 1 and number = 3")
    assert await log.breaks() == (Break(1, 3, Wrong.CHANGED),)


async def test_an_entry_changed_with_its_hash_does_not_fit_the_next(log: Log) -> None:
    await log.tamper("update access_log set ground = 'x' where chain = 1 and number = 3")
    cursor = log.connection.cursor(row_factory=dict_row)
    await cursor.execute("select * from access_log where chain = 1 and number = 3")
    forged = link_of(await cursor.fetchone() or {}).computed()
    await log.tamper(
        f"update access_log set hash = '\\x{forged.hex()}' where chain = 1 and number = 3"
    )
    assert await log.breaks() == (Break(1, 4, Wrong.NOT_NEXT),)


@pytest.mark.parametrize("number", [1, 3])
async def test_an_entry_taken_away_is_seen(log: Log, number: int) -> None:
    await log.tamper(f"delete from access_log where chain = 1 and number = {number}")
    assert await log.breaks() == (Break(1, number + 1, Wrong.MISSING),)


async def test_an_entry_taken_away_and_the_rest_moved_up_is_seen(log: Log) -> None:
    await log.tamper(
        "delete from access_log where chain = 1 and number = 3",
        "update access_log set number = 3 where chain = 1 and number = 4",
        "update access_log set number = 4 where chain = 1 and number = 5",
    )
    found = await log.verify()
    assert Break(1, 3, Wrong.NOT_NEXT) in found.breaks
    assert Break(1, 5, Wrong.TAIL_MISSING) in found.breaks


@pytest.mark.parametrize("kept", [0, 3, 4])
async def test_a_tail_taken_away_is_missed_by_the_head(log: Log, kept: int) -> None:
    await log.tamper(f"delete from access_log where chain = 1 and number > {kept}")
    assert await log.breaks() == (Break(1, 5, Wrong.TAIL_MISSING),)


async def test_a_tail_taken_away_with_its_head_is_missed_by_an_anchor(log: Log) -> None:
    await log.tamper(
        "delete from access_log where chain = 1 and number > 3",
        "update access_chain c set number = 3, previous = l.previous, hash = l.hash "
        "from access_log l where c.chain = 1 and l.chain = 1 and l.number = 3",
    )
    assert (await log.verify()).is_whole  # in itself: hence the anchors
    assert await log.breaks(log.heads) == (Break(1, 5, Wrong.NOT_AS_ANCHORED),)


async def test_a_chain_written_anew_from_the_anchor_on_is_seen(log: Log) -> None:
    await log.tamper(
        "delete from access_log where chain = 1 and number > 3",
        "update access_chain c set number = 3, previous = l.previous, hash = l.hash "
        "from access_log l where c.chain = 1 and l.chain = 1 and l.number = 3",
    )
    for _ in range(4):
        await append(log.connection, seen(1))
    assert (await log.verify()).is_whole
    assert await log.breaks(log.heads) == (Break(1, 5, Wrong.NOT_AS_ANCHORED),)


async def test_all_of_it_taken_away_is_seen(log: Log) -> None:
    await log.tamper("truncate access_log")
    assert {each.wrong for each in await log.breaks()} == {Wrong.TAIL_MISSING}


async def test_two_entries_that_changed_places_are_seen(log: Log) -> None:
    await log.tamper(
        "update access_log set number = 99 where chain = 1 and number = 2",
        "update access_log set number = 2 where chain = 1 and number = 4",
        "update access_log set number = 4 where chain = 1 and number = 99",
    )
    found = await log.verify()
    assert {Break(1, 2, Wrong.CHANGED), Break(1, 4, Wrong.CHANGED)} <= set(found.breaks)


async def test_two_chains_that_changed_places_are_seen(log: Log) -> None:
    swaps = (
        "update {} set chain = 99 where chain = 1",
        "update {} set chain = 1 where chain = 2",
        "update {} set chain = 2 where chain = 99",
    )
    tables = ("access_log", "access_chain")
    await log.tamper(*(swap.format(table) for table in tables for swap in swaps))
    found = await log.verify()
    assert found.broken >= 9
    assert {Wrong.CHANGED, Wrong.MISPLACED} == {each.wrong for each in found.breaks}


BY_HAND = (
    "insert into access_log select chain, {number}, at, 'staff:99', 99, unit_id, patient_id, "
    "patient_ids, action, ground, detail, {previous}, {hash} from access_log "
    "where chain = 1 and number = 5"
)


async def test_an_entry_put_in_by_hand_is_seen(log: Log) -> None:
    await log.tamper(BY_HAND.format(number=6, previous="hash", hash="sha256(hash)"))
    found = await log.verify()
    assert set(found.breaks) == {Break(1, 6, Wrong.CHANGED), Break(1, 6, Wrong.BEYOND_HEAD)}


async def test_an_entry_put_in_at_an_odd_place_is_seen(log: Log) -> None:
    await log.tamper(BY_HAND.format(number=0, previous="''", hash="hash"))
    assert not (await log.verify()).is_whole
    await log.tamper("delete from access_log where number = 0")
    assert (await log.verify()).is_whole
    await log.tamper(
        BY_HAND.format(number=1, previous="''", hash="hash").replace("select chain", "select 16"),
    )
    assert not (await log.verify()).is_whole


@pytest.mark.parametrize("what", ["hash = '\\x00'", "number = 4", "number = 6"])
async def test_a_changed_head_is_seen(log: Log, what: str) -> None:
    await log.tamper(f"update access_chain set {what} where chain = 1")
    assert [each.chain for each in await log.breaks()] == [1]


async def test_a_head_taken_away_is_seen_and_lets_nothing_be_logged(log: Log) -> None:
    await log.tamper("delete from access_chain where chain = 1")
    assert await log.breaks() == (Break(1, 5, Wrong.HEAD_MISSING),)
    with pytest.raises(ChainMissing):
        await append(log.connection, seen(1))


@pytest.mark.parametrize(
    "statement",
    [
        "update access_log set ground = 'x'",
        "delete from access_log",
        "truncate access_log",
        "delete from access_chain",
        "truncate access_chain",
        "update access_chain set number = 0 where chain = 1",
        "update access_chain set number = number + 1 where chain = 1",
        "update access_chain set hash = '\\x' where chain = 1",
        "update access_chain set chain = 77 where chain = 1",
    ],
)
async def test_the_database_refuses_what_does_not_go_forward(log: Log, statement: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        await log.connection.execute(statement.encode())


async def test_an_entry_is_undone_with_its_transaction(log: Log) -> None:
    async with log.connection.transaction(force_rollback=True):
        await append(log.connection, seen(1))
    found = await log.verify(log.heads)
    assert (found.is_whole, found.entries) == (True, 10)


async def test_what_cannot_be_kept_is_not_half_kept(log: Log) -> None:
    bad = Entry(actor="system", action="x", ground="x", detail={"x": 0.5})
    with pytest.raises(NotKept):
        await append(log.connection, bad)
    assert (await log.verify()).entries == 10


async def test_many_who_append_at_once_make_chains_without_gaps(pool: Pool) -> None:
    async def work(worker: int) -> None:
        async with pool.connection() as connection:
            for turn in range(25):
                await append(connection, seen(1 + (worker + turn) % 3))

    async def look() -> Verified:
        async with pool.connection() as connection:
            return await verify(connection)

    *_, meanwhile = await asyncio.gather(*(work(worker) for worker in range(7)), look())
    assert isinstance(meanwhile, Verified)
    assert meanwhile.is_whole, meanwhile.breaks
    found = await look()
    assert found.is_whole, found.breaks
    assert found.entries == 175
    # The chains are slices of one table; who looks at a patient waits for those of hers only.
    async with pool.connection() as slow, pool.connection() as connection:
        async with slow.transaction():
            await append(slow, seen(1))
            await connection.execute("set lock_timeout = '20ms'")
            for patient_id in range(2, CHAINS + 1):
                await append(connection, seen(patient_id))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await append(connection, seen(17))
        await connection.execute("reset lock_timeout")
        await append(connection, seen(17))
    assert (await look()).is_whole


async def test_verifying_leaves_the_connection_as_it_was(filled: str) -> None:
    async with await AsyncConnection.connect(filled, autocommit=True) as connection:
        assert (await verify(connection)).is_whole
        async with connection.transaction():
            level = await connection.execute("show transaction_isolation")
            assert await level.fetchone() == ("read committed",)


def test_an_anchor_file_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    assert anchor.read(path) == []
    kept = [{0: Head(0, b""), 3: Head(17, b"\1\xff")}, {3: Head(18, b"\2")}]
    for heads in kept:
        anchor.keep(path, heads, datetime(2026, 11, 23, tzinfo=UTC))
    assert anchor.read(path) == kept


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"heads": 1}', '{"heads": {"x": [1, ""]}}', '{"heads": {"1": 2}}', '"heads"', "1"],
)
def test_a_file_that_holds_no_anchors_says_where(tmp_path: Path, text: str) -> None:
    (tmp_path / "anchors").write_text('{"heads": {}}\n' + text + "\n")
    with pytest.raises(anchor.NotAnchors, match="line 2"):
        anchor.read(tmp_path / "anchors")


async def test_the_heads_are_told_in_the_processs_log(log: Log) -> None:
    with structlog.testing.capture_logs() as lines:
        await anchor.log_heads(log.connection)
    assert [line["event"] for line in lines] == ["audit.anchor"]
    assert lines[0]["heads"]["1"] == [5, log.heads[1].hash.hex()]


async def test_the_heads_are_logged_by_the_process_itself_and_its_trouble_too(filled: str) -> None:
    said: list[str] = []
    happened = asyncio.Event()

    def note(_: object, __: str, event: MutableMapping[str, Any]) -> str:
        said.append(str(event["event"]))
        happened.set()
        raise structlog.DropEvent

    structlog.configure(processors=[note])
    pool: Pool = AsyncConnectionPool(filled, min_size=1, open=False)
    for expected in ("audit.anchor_not_logged", "audit.anchor"):
        happened.clear()
        running = asyncio.create_task(anchor.run(pool))
        async with asyncio.timeout(10):
            await happened.wait()
        running.cancel()
        assert said[-1] == expected
        if pool.closed:  # the database was away, and comes back
            await pool.open()
    await pool.close()
