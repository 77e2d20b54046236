"""What is older than the law asks for can go, and nothing else; the rest still proves itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from alerts.audit import anchor, checkpoint, removal
from alerts.audit.chain import append
from alerts.audit.commands import audit
from alerts.audit.verify import Break, Head, Wrong, link_of, read_heads, verify, walk
from alerts.care import emergency
from tests.alerts.audit.test_chain import fill, seen
from tests.alerts.world import World

YEARS = timedelta(days=6 * 366)
LOGS = ("access_log", "access_chain", "access_checkpoint")


@pytest.fixture
async def db(world: World) -> AsyncIterator[AsyncConnection]:
    """A log of which the first three entries of chain 1 and all of chain 2 are six years old."""
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        await fill(connection)
        await age(connection, {1: 3, 2: 4})
        yield connection


async def age(connection: AsyncConnection, upto: dict[int, int]) -> None:
    """Write the log as if its first entries had been written six years earlier."""
    await unguarded(connection)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute("select * from access_log order by chain, number")
    before = Head(0, b"")
    for row in await cursor.fetchall():
        link = link_of(row)
        before = before if link.number > 1 else Head(0, b"")
        at = link.at - YEARS if link.number <= upto.get(link.chain, 0) else link.at
        row |= {"at": at, "previous": before.hash}
        made = link_of(row).computed()
        await connection.execute(
            "update access_log set at = %s, previous = %s, hash = %s"
            " where chain = %s and number = %s",
            (at, before.hash, made, link.chain, link.number),
        )
        await connection.execute(
            "update access_chain set previous = %s, hash = %s where chain = %s",
            (before.hash, made, link.chain),
        )
        before = Head(link.number, made)
    for table in LOGS:
        await connection.execute(f"alter table {table} enable trigger all".encode())
    assert (await verify(connection)).is_whole


async def unguarded(connection: AsyncConnection, *statements: str) -> None:
    """Do what only somebody with all rights can."""
    for table in LOGS:
        await connection.execute(f"alter table {table} disable trigger all".encode())
    for statement in statements:
        await connection.execute(statement.encode())


async def remove(connection: AsyncConnection, years: int = 5) -> int:
    before = datetime.now(UTC) - timedelta(days=366 * years)
    async with connection.transaction():
        gone = await removal.remove(connection, before, by="root")
    return sum(one.removed for one in gone)


async def left(connection: AsyncConnection) -> list[tuple[int, int]]:
    cursor = await connection.execute("select chain, number from access_log order by 1, 2")
    return [(chain, number) for chain, number in await cursor.fetchall()]


async def test_what_is_old_goes_and_the_rest_proves_itself(db: AsyncConnection) -> None:
    earlier = await read_heads(db)
    assert await remove(db) == 7
    # The entry of the removal stands in chain 0.
    assert await left(db) == [(0, 1), (1, 4), (1, 5), (12, 1)]
    found = await verify(db, [earlier])
    assert found.breaks == ()
    assert {chain: one.number for chain, one in found.checkpoints.items()} == {1: 3, 2: 4}
    for patient_id in (1, 2):
        await append(db, seen(patient_id))
    assert (await verify(db, [earlier, found.heads])).is_whole
    cursor = await db.execute("select detail from access_log where action = 'log_removed'")
    (detail,) = await cursor.fetchone() or ({},)
    assert (detail["account"], detail["removed"]) == ("root", 7)
    assert await remove(db) == 0
    assert len(await left(db)) == 6


async def test_once_more_years_later_all_checkpoints_stand_in_the_newest_entry(
    db: AsyncConnection,
) -> None:
    await remove(db)
    # All that is left has grown old, the entry of the removal too; chain 2 has nothing new.
    await unguarded(db)
    await rewritten(db)
    assert await remove(db) == 4
    assert await left(db) == [(0, 2)]
    found = await verify(db)
    assert found.breaks == ()
    assert {chain: one.number for chain, one in found.checkpoints.items()} == {
        0: 1,
        1: 5,
        2: 4,
        12: 1,
    }


async def rewritten(db: AsyncConnection) -> None:
    """Let what is left be six years old, as it would have been written then."""
    cursor = db.cursor(row_factory=dict_row)
    await cursor.execute("select * from access_log order by chain, number")
    begins = {chain: one.hash for chain, one in (await checkpoint.read(db)).items()}
    for row in await cursor.fetchall():
        row |= {"at": row["at"] - YEARS, "previous": begins.get(row["chain"], b"")}
        made = link_of(row).computed()
        begins[row["chain"]] = made
        await db.execute(
            "update access_log set at = %(at)s, previous = %(previous)s, hash = %(made)s"
            " where chain = %(chain)s and number = %(number)s",
            {name: row[name] for name in ("at", "previous", "chain", "number")} | {"made": made},
        )
        await db.execute(
            "update access_chain set previous = %s, hash = %s where chain = %s",
            (row["previous"], made, row["chain"]),
        )
    for table in LOGS:
        await db.execute(f"alter table {table} enable trigger all".encode())
    assert (await verify(db)).is_whole


REFUSED = {
    "without a checkpoint": "delete from access_log where chain = 1 and number = 1",
    "all of it": "delete from access_log",
    "a checkpoint of nothing": (
        "insert into access_checkpoint values (1, 3, 'x', now() - interval '5 years', now(), 3)"
    ),
    "a checkpoint of a young entry": (
        "insert into access_checkpoint select chain, number, hash, now() - interval '5 years',"
        " now(), 5 from access_log where chain = 1 and number = 5"
    ),
    "a checkpoint of another day": (
        "insert into access_checkpoint select chain, number, hash, now() - interval '5 years',"
        " now() + interval '1 second', 3 from access_log where chain = 1 and number = 3"
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_the_database_lets_nothing_else_go(db: AsyncConnection, what: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        await db.execute(REFUSED[what].encode())
    assert len(await left(db)) == 10


async def test_nothing_younger_than_the_law_says_goes_whoever_asks(db: AsyncConnection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await remove(db, years=4)
    assert len(await left(db)) == 10


async def test_behind_a_checkpoint_nothing_young_goes_with_it(db: AsyncConnection) -> None:
    async with db.transaction(force_rollback=True):
        await db.execute(
            "insert into access_checkpoint select chain, number, hash, now() - interval '5 years',"
            " now(), 3 from access_log where chain = 1 and number = 3"
        )
        await db.execute("delete from access_log where chain = 1 and number = 1")
        with pytest.raises(psycopg.errors.RestrictViolation):
            await db.execute("delete from access_log where chain = 1 and number = 4")


async def test_what_is_set_stays(db: AsyncConnection) -> None:
    await remove(db)
    for statement in (
        "update access_checkpoint set number = 4",
        "delete from access_checkpoint",
        "truncate access_checkpoint",
        "delete from access_log where chain = 1",  # of that day's checkpoint, on another day
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await db.execute(statement.encode())


TAMPERED = {
    "an entry more is taken away": (
        "delete from access_log where chain = 1 and number = 4",
        {Break(1, 5, Wrong.MISSING)},
    ),
    "the checkpoint is moved on with it": (
        (
            "delete from access_log where chain = 1 and number = 4; "
            "update access_checkpoint set number = 4, hash = l.previous from access_log l"
            " where access_checkpoint.chain = 1 and l.chain = 1 and l.number = 5"
        ),
        {Break(1, 4, Wrong.NOT_SEALED)},
    ),
    "the checkpoint is another day's": (
        "update access_checkpoint set before = before - interval '1 day' where chain = 2",
        {Break(2, 4, Wrong.NOT_SEALED)},
    ),
    "the checkpoint is gone": (
        "delete from access_checkpoint where chain = 1",
        {Break(1, 4, Wrong.MISSING)},
    ),
    "the hash is another": (
        "update access_checkpoint set hash = 'x' where chain = 1",
        {Break(1, 3, Wrong.NOT_SEALED), Break(1, 4, Wrong.NOT_NEXT)},
    ),
    "the entry of it is gone": (
        (
            "delete from access_log where chain = 0; "
            "update access_chain set number = 0, hash = '', previous = '' where chain = 0"
        ),
        {Break(1, 3, Wrong.NOT_SEALED), Break(2, 4, Wrong.NOT_SEALED)},
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_removal_that_is_not_the_commands_is_seen(db: AsyncConnection, what: str) -> None:
    await remove(db)
    statement, breaks = TAMPERED[what]
    async with db.transaction(force_rollback=True):
        await unguarded(db, *statement.split("; "))
        assert set((await walk(db, ())).breaks) == breaks


async def test_an_anchor_of_the_last_entry_that_went_still_counts(db: AsyncConnection) -> None:
    cursor = await db.execute("select hash from access_log where chain = 1 and number = 3")
    (was,) = await cursor.fetchone() or (b"",)
    await remove(db)
    assert (await verify(db, [{1: Head(3, bytes(was))}])).is_whole
    found = await verify(db, [{1: Head(3, b"another")}])
    assert found.breaks == (Break(1, 3, Wrong.NOT_AS_ANCHORED),)


async def test_an_anchor_tells_of_what_went_too_early(db: AsyncConnection, tmp_path: Path) -> None:
    """Who sets the database's clock forward removes what is young; the anchors know better."""
    kept = tmp_path / "anchors"
    now = datetime.now(UTC)
    await remove(db)
    checkpoints = await checkpoint.read(db)
    for days, heads in ((7 * 366, {1: Head(3, b"x")}), (6 * 366, {1: Head(2, b"x")})):
        anchor.keep(kept, heads, now - timedelta(days=days))
        # Chain 2 had nothing yet: longer ago than the law asks for.
        assert anchor.too_early(kept, checkpoints, removal.KEPT_MIN) == []
    anchor.keep(kept, {1: Head(2, b"x"), 2: Head(4, b"x")}, now - timedelta(days=4 * 365))
    found = anchor.too_early(kept, checkpoints, removal.KEPT_MIN)
    assert found == [Break(1, 3, Wrong.TOO_EARLY)]


async def test_an_emergency_whose_entry_is_gone_is_no_break(
    db: AsyncConnection, world: World
) -> None:
    lisa, marta = world.viewer("lisa"), world.patient("marta")
    await emergency.open_up(db, lisa, marta, "Hittad medvetslös hemma")
    assert world.one("select count(*) from emergency_access") == 1
    await db.execute("alter table emergency_access disable trigger all")
    cursor = await db.execute("select chain, max(number) from access_log group by chain")
    await age(db, dict(await cursor.fetchall()))
    await db.execute(
        "update emergency_access set from_at = from_at - %(ago)s, until_at = until_at - %(ago)s",
        {"ago": YEARS},
    )
    await remove(db)
    assert (await verify(db)).breaks == ()
    # One of today without an entry is a break as before.
    await db.execute("update emergency_access set from_at = now(), until_at = now()")
    assert [each.wrong for each in (await verify(db)).breaks] == [Wrong.NOT_AS_PROVED]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*tokens: str) -> tuple[int, str, str]:
        config = tmp_path / "alerts.toml"
        config.write_text(f'[database]\ndsn = "{world.dsn}"\n')
        with pytest.raises(SystemExit) as ended:
            audit([*tokens, "--config", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return ran


async def test_the_command_says_how_much_and_removes_only_when_told(
    db: AsyncConnection, run: Run, tmp_path: Path
) -> None:
    def ask(*tokens: str) -> tuple[int, str, str]:
        return run(*tokens)

    async def said(*tokens: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(ask, *tokens)

    anchors = str(tmp_path / "anchors")
    assert (await said("verify", "--anchors", anchors))[0] == 0
    assert "7 entries are older than 5 years → with --do" in (await said("remove-old"))[1]
    assert len(await left(db)) == 10
    assert "the law asks for 5" in (await said("remove-old", "--years", "4", "--do"))[2]
    assert "nothing is older than 7 years" in (await said("remove-old", "--years", "7", "--do"))[1]
    assert "7 entries older than 5 years removed" in (await said("remove-old", "--do"))[1]
    code, told, _ = await said("verify", "--anchors", anchors)
    # The anchor of a moment ago names entries that stay: nothing young is gone.
    assert (code, "4 entries, whole" in told, "chain 1: up to entry 3" in told) == (0, True, True)
    assert "nothing is older than 5 years" in (await said("remove-old", "--do"))[1]
    assert len(await left(db)) == 4
