"""What is remembered of a county is what the database says of it, at one revision.

``EGENMONITOR_COUNTY_LIVES=50 pytest tests/ingest/test_registry.py`` lives through more of them.
"""

import asyncio
import os
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from devices.quantity import Quantity
from ingest import pg_binary
from ingest.batch import microseconds
from ingest.registry import Registry, layers, load
from ingest.registry.layers import Layered
from ingest.schema.migrate import migrate
from ingest.settle import Settler
from tests.ingest.county import CUFF, GATEWAY, LIMITS, NOW, County, batch_of, pressure
from tests.ingest.county_life import KINDS, Life, remembered, written

LIVES = int(os.environ.get("EGENMONITOR_COUNTY_LIVES", "1"))


async def _open(dsn: str) -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    pg_binary.register(connection)
    return connection


@pytest.mark.parametrize("seed", range(LIVES))
async def test_whatever_changes_what_is_remembered_is_what_is_written(
    county: County, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one that follows every change, one that is behind, and one that begins anew."""
    monkeypatch.setattr(load, "SLICE_ROWS", 2)
    monkeypatch.setattr(layers, "CHANGED_MAX", 3)
    life = Life(county, seed)
    follows, is_behind = Registry(), Registry()
    async with await _open(county.dsn) as connection:
        await is_behind.refresh(connection)
        for step in range(40):
            what = life.happens()
            assert await follows.refresh(connection) == county.one("select revision from registry")
            if step % 4 == 3:
                stands = written(county, life.patients)
                assert _same(remembered(follows, life.patients), stands), what
        fresh = Registry()
        for registry in (is_behind, fresh):
            await registry.refresh(connection)
            assert _same(remembered(registry, life.patients), stands)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare, with NaN equal to itself."""
    assert {name: repr(value) for name, value in one.items() if name != "gateways"} == {
        name: repr(value) for name, value in other.items() if name != "gateways"
    }
    assert one["gateways"] == other["gateways"]
    return True


async def test_a_county_without_anybody_knows_nothing(plain_database: str) -> None:
    migrate(plain_database)
    registry = Registry()
    async with await _open(plain_database) as connection:
        for _ in range(2):  # before anything was read, and after
            nobody = np.array([1, 2], np.int64)
            assert registry.known_gateways([GATEWAY]) == frozenset()
            assert len(registry.loans_of([CUFF]).loan) == 0
            assert (
                len(registry.limits_of(nobody).key) == len(registry.rules_of("change", nobody)) == 0
            )
            assert not registry.paused(nobody, nobody).any()
            assert not len(registry.patients_with("missing"))
            await registry.refresh(connection)
        assert registry.revision == 0


async def test_revisions_become_visible_in_their_order(plain_county: County) -> None:
    """Who takes one keeps the next from being taken until he has committed or given up."""
    insert = "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)"
    pause = [plain_county.patient_id, NOW, NOW + timedelta(days=1)]
    registry = Registry()
    async with await _open(plain_county.dsn) as connection:
        before = await registry.refresh(connection)
        with (
            psycopg.connect(plain_county.dsn) as first,
            psycopg.connect(plain_county.dsn) as second,
        ):
            first.execute(insert, pause)
            second.execute("set lock_timeout = '50ms'")
            second.commit()
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.execute(insert, pause)
            second.rollback()
            assert await registry.refresh(connection) == before
            first.commit()
            second.execute(insert, pause)
            assert await registry.refresh(connection) == before + 1
            second.commit()
            assert await registry.refresh(connection) == before + 2
        assert registry.paused(np.array([pause[0]]), microseconds([NOW])).all()
    rows = "select revision from patient_pause order by pause_id"
    assert plain_county.rows(rows) == [(before + 1,), (before + 2,)]


async def test_what_is_remembered_is_of_its_revision_and_of_none_after(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody writes all the time: by reading everything, and by following."""
    monkeypatch.setattr(load, "SLICE_ROWS", 1)
    patients = [plain_county.patient_id, plain_county.add_patient()]
    is_over = threading.Event()

    def write() -> None:
        with psycopg.connect(plain_county.dsn, autocommit=True) as connection:
            for number in range(100_000):
                connection.execute(
                    "insert into plan_version (patient_id, in_force_from) values (%s, %s)",
                    [patients[number % 2], NOW + timedelta(seconds=number)],
                )
                if is_over.is_set():
                    return

    writing = asyncio.create_task(asyncio.to_thread(write))
    try:
        async with await _open(plain_county.dsn) as connection:
            seen: set[int] = set()
            while len(seen) < 25:
                registry = Registry()
                for _ in range(4):
                    revision = await registry.refresh(connection)
                    _, _, versions = registry.versions_of(np.array(patients))
                    assert sorted(versions.tolist()) == [
                        row[0]
                        for row in plain_county.rows(
                            "select plan_version_id from plan_version where revision <= %s"
                            " order by plan_version_id",
                            revision,
                        )
                    ]
                    seen.add(revision)
    finally:
        is_over.set()
        await writing


def test_of_more_changes_than_anybody_reads_one_by_one_only_that_is_noted(
    plain_county: County,
) -> None:
    """A statement's rows are looked at no further than that."""
    noted = "select what, count(*) from registry_change group by what order by what"
    for count in (10_000, 10_001):
        plain_county.connection.execute("delete from registry_change")
        plain_county.connection.execute(
            "insert into device_loan (patient_id, device_id, lent_from)"
            " select %s, %s || n, now() from generate_series(1, %s) n",
            [plain_county.patient_id, f"{count}:", count],
        )
        assert plain_county.rows(noted) == [("device", 10_000) if count == 10_000 else ("all", 1)]


async def test_a_refresh_that_broke_off_is_made_good_by_the_next(plain_county: County) -> None:
    registry = Registry()
    async with await _open(plain_county.dsn) as connection:
        await registry.refresh(connection)
        plain_county.plan(plain_county.patient_id, NOW, LIMITS)
        plain_county.connection.execute("alter table plan_limit rename to gone")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await registry.refresh(connection)
        plain_county.connection.execute("alter table gone rename to plan_limit")
        await registry.refresh(connection)
    patients = [plain_county.patient_id]
    assert _same(remembered(registry, patients), written(plain_county, patients))


async def test_layers_that_were_broken_off_halfway_are_read_anew(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made one, they are taken apart column by column: what is left of them is no county."""

    def broken_off(layered: Layered) -> None:
        layered._base.columns.clear()
        raise OSError

    registry = Registry()
    async with await _open(plain_county.dsn) as connection:
        await registry.refresh(connection)
        plain_county.plan(plain_county.patient_id, NOW, LIMITS)
        with monkeypatch.context() as patch:
            patch.setattr(layers, "CHANGED_MAX", 0)
            patch.setattr(Layered, "_compact", broken_off)
            with pytest.raises(OSError):
                await registry.refresh(connection)
        await registry.refresh(connection)
    patients = [plain_county.patient_id]
    assert _same(remembered(registry, patients), written(plain_county, patients))


async def test_a_database_put_back_to_an_earlier_day_is_read_anew(plain_county: County) -> None:
    registry = Registry()
    patients = [plain_county.patient_id]
    async with await _open(plain_county.dsn) as connection:
        await registry.refresh(connection)
        for undone in (
            "delete from plan_limit",
            "delete from registry_change",
            "update registry set revision = 1",
        ):
            plain_county.connection.execute(undone)
        assert await registry.refresh(connection) == 1
    assert _same(remembered(registry, patients), written(plain_county, patients))
    assert not len(registry.limits_of(np.array(patients)).key)


async def test_a_rule_that_nobody_understands_leaves_the_others(plain_county: County) -> None:
    version = plain_county.plan(plain_county.patient_id, NOW, {})
    for key, spec in (("change:a", '{"quantity": "mood"}'), ("change:b", KINDS["change"][0])):
        plain_county.connection.execute(
            "insert into plan_rule values (%s, %s, 'change', 1, %s)", [version, key, spec]
        )
    registry = Registry()
    async with await _open(plain_county.dsn) as connection:
        await registry.refresh(connection)
    rules = registry.rules_of("change", np.array([plain_county.patient_id]))
    assert [rules.keys[key] for key in rules.key.tolist()] == ["change:b"]


async def test_a_change_is_in_force_at_the_next_batch(county: County) -> None:
    """A limit, a pause, and the revision a reading was judged by."""
    async with Settler(lambda: county.dsn, "test") as settler:

        async def breaches_of(systolic: float) -> int:
            before = county.count("breach")
            await settler.settle(batch_of([pressure(systolic, 80)]), [])
            return county.count("breach") - before

        assert await breaches_of(150) == 0
        county.plan(county.patient_id, NOW, {Quantity.SYSTOLIC: {"yellow_high": 140}})
        assert await breaches_of(150) == 1
        county.connection.execute(
            "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
            [county.patient_id, NOW, NOW + timedelta(seconds=1)],
        )
        assert await breaches_of(150) == 0
        county.connection.execute("update gateway set retired_at = %s", [datetime.now(UTC)])
        assert await breaches_of(150) == 0
    revisions = [row[0] for row in county.rows("select revision from reading order by stored_at")]
    assert len(revisions) == 3  # the last one came from a gateway that was retired
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == county.one("select revision from patient_pause")


@pytest.mark.parametrize("width", [3, 9])
async def test_layers_are_one_table(width: int) -> None:
    """By numbers and by words, wider ones above than below: equal to a dictionary of lists."""
    chance = random.Random(width)
    words = [f"{'w' * n}{m}" for n in range(1, width) for m in range(4)]
    model: dict[bytes, list[int]] = {
        word.encode(): [chance.randint(0, 99) for _ in range(chance.randint(1, 3))]
        for word in words
        if len(word) < 5
    }
    rows = [(word, number) for word, some in model.items() for number in some]
    layered = Layered(
        np.array([word for word, _ in rows]), {"n": np.array([n for _, n in rows], np.int64)}
    )
    for step in range(40):
        changed = {word.encode() for word in chance.sample(words, 3)}
        new = {
            word: [chance.randint(0, 99) for _ in range(chance.randint(0, 2))] for word in changed
        }
        model = {word: some for word, some in {**model, **new}.items() if some}
        keys = [word for word, some in new.items() for _ in some]
        layered.replace(
            np.array(sorted(changed)),
            np.array(keys or [b""])[: len(keys)],
            {"n": np.array([n for some in new.values() for n in some], np.int64)},
        )
        if step % 7 == 6:
            await layered.compact()
        wanted = np.array(sorted({word.encode() for word in chance.sample(words, 5)}))
        owner, columns = layered.find(wanted)
        assert list(zip(wanted[owner].tolist(), columns["n"].tolist(), strict=True)) == [
            (word, number) for word in wanted.tolist() for number in model.get(word, [])
        ]
        assert layered.keys().tolist() == sorted(model)
        assert len(layered) >= sum(map(len, model.values()))
