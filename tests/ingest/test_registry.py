"""What is remembered of a county is what the database says of it, at one revision.

``EGENMONITOR_COUNTY_LIVES=50 pytest tests/ingest/test_registry.py`` lives through more of them.
"""

import asyncio
import os
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from devices.quantity import Quantity
from ingest import pg_binary
from ingest.batch import NO_SLOT, microseconds
from ingest.registry import Registry, layers, load
from ingest.registry.layers import Layered
from ingest.rules.limit import IDS_MAX
from ingest.schema.migrate import migrate
from ingest.settle import Settler
from tests.ingest.county import CUFF, GATEWAY, LIMITS, NOW, County, batch_of, pressure

LIVES = int(os.environ.get("EGENMONITOR_COUNTY_LIVES", "1"))
FOREVER = np.iinfo(np.int64).max
DEVICES = ("A", "B", "C" * 64, "D:1")
GATEWAYS = ("g-1", "g-2", "g-" + "3" * 60)
KINDS = {
    "k_of_n": ('{"quantity": "systolic", "k": 3, "n": 5, "high": 140}', 1),
    "change": ('{"quantity": "body_weight", "days": 3, "up": 2}', 1),
    "missing": ('{"quantity": "body_weight", "interval_h": 24}', 1),
}


async def _open(dsn: str) -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    pg_binary.register(connection)
    return connection


def _time(moment: datetime | None) -> int:
    return FOREVER if moment is None else int(microseconds([moment])[0])


def _remembered(registry: Registry, patients: list[int]) -> dict[str, Any]:
    """Return, in plain words, all that a registry says of the county."""
    # Neither the order nor repeats may matter.
    wanted = np.array([*patients[::-1], *patients], np.int64)
    loans = registry.loans_of([*DEVICES, "unknown"])
    limits = registry.limits_of(wanted)
    rows, quantities = np.divmod(limits.key, IDS_MAX)
    bounds = [limits.yellow_low, limits.yellow_high, limits.red_low, limits.red_high]
    rules = {kind: registry.rules_of(kind, wanted) for kind in KINDS}
    assert (np.diff(limits.key) > 0).all()
    return {
        "gateways": registry.known_gateways([*GATEWAYS, "unknown", GATEWAY + "x", GATEWAY]),
        "loans": sorted(
            zip(
                [DEVICES[n] for n in loans.device.tolist()],
                *(
                    column.tolist()
                    for column in (
                        loans.slot,
                        loans.lent_from,
                        loans.returned_at,
                        loans.patient,
                        loans.loan,
                    )
                ),
                strict=True,
            )
        ),
        "versions": list(
            zip(
                limits.patient.tolist(),
                limits.in_force_from.tolist(),
                limits.version.tolist(),
                strict=True,
            )
        ),
        "limits": [
            (int(limits.version[row]), int(quantity), *(float(bound[n]) for bound in bounds))
            for n, (row, quantity) in enumerate(zip(rows, quantities, strict=True))
        ],
        "rules": [
            (
                int(found.version[n]),
                found.keys[int(found.key[n])],
                int(found.patient[n]),
                int(found.in_force_from[n]),
                int(found.in_force_until[n]),
                int(found.level[n]),
                int(found.quantity[n]),
            )
            for found in rules.values()
            for n in range(len(found))
        ],
        "with rules": {kind: registry.patients_with(kind).tolist() for kind in KINDS},
        "paused": [
            (patient, hour)
            for patient in patients
            for hour in range(-30, 30, 3)
            if registry.paused(
                np.array([patient]), microseconds([NOW + timedelta(hours=hour)])
            ).item()
        ],
    }


def _written(county: County, patients: list[int]) -> dict[str, Any]:
    """Return the same from the database, row by row."""
    versions = county.rows(
        "select patient_id, in_force_from, plan_version_id from plan_version"
        " where patient_id = any(%s) order by patient_id, in_force_from",
        patients,
    )
    of_patient = {version: (patient, since) for patient, since, version in versions}
    until = {
        version: min(
            (other for p, other, _ in versions if p == patient and other > since), default=None
        )
        for patient, since, version in versions
    }
    rules = [
        (kind, version, key, level, spec)
        for kind in KINDS
        for version in (row[2] for row in versions)
        for key, level, spec in county.rows(
            "select rule_key, level, spec from plan_rule"
            ' where kind = %s and plan_version_id = %s order by rule_key collate "C"',
            kind,
            version,
        )
    ]
    return {
        "gateways": {
            row[0]
            for row in county.rows(
                "select gateway_id from gateway where retired_at is null or retired_at > now()"
            )
        },
        "loans": sorted(
            (device, NO_SLOT if slot is None else slot, _time(since), _time(end), patient, loan)
            for device, slot, since, end, patient, loan in county.rows(
                "select device_id, slot, lent_from, returned_at, patient_id, loan_id"
                " from device_loan where device_id = any(%s)",
                list(DEVICES),
            )
        ),
        "versions": [(patient, _time(since), version) for patient, since, version in versions],
        "limits": [
            (row[0], row[1], *(float("nan") if bound is None else bound for bound in row[2:]))
            for _, _, version in versions
            for row in county.rows(
                "select plan_version_id, quantity_id, yellow_low, yellow_high, red_low, red_high"
                " from plan_limit where plan_version_id = %s order by quantity_id",
                version,
            )
        ],
        "rules": [
            (
                version,
                key,
                of_patient[version][0],
                _time(of_patient[version][1]),
                _time(until[version]),
                level,
                Quantity(spec["quantity"]).facts.id,
            )
            for _, version, key, level, spec in rules
        ],
        "with rules": {
            kind: sorted({of_patient[version][0] for k, version, *_ in rules if k == kind})
            for kind in KINDS
        },
        "paused": [
            (patient, hour)
            for patient in patients
            for hour in range(-30, 30, 3)
            if county.one(
                "select exists (select from patient_pause where patient_id = %s"
                " and from_at <= %s and until_at > %s)",
                patient,
                NOW + timedelta(hours=hour),
                NOW + timedelta(hours=hour),
            )
        ],
    }


class Life:
    """What happens in a county, by chance."""

    def __init__(self, county: County, seed: int) -> None:
        self._county = county
        self._random = random.Random(seed)
        self.patients = [county.patient_id]

    def happens(self) -> str:
        what: Callable[[], None] = self._random.choice(
            [
                self.moves_in,
                self.plan_changes,
                self.plan_changes,
                self.limit_is_corrected,
                self.rule_goes,
                self.borrows,
                self.returns,
                self.pauses,
                self.comes_back_early,
                self.gateway_changes,
                self.much_changes,
                self.changes_are_forgotten,
            ]
        )
        what()
        return what.__name__

    def moves_in(self) -> None:
        self.patients.append(self._county.add_patient())

    def plan_changes(self) -> None:
        since = NOW + timedelta(minutes=self._random.randint(-(10**6), 10**5))
        with self._county.connection.transaction():
            version = self._county.plan(self._anyone(), since, dict(self._some(LIMITS)))
            for kind, (spec, level) in self._some(KINDS):
                for key in self._some({f"{kind}:a": 0, f"{kind}:b": 0, f"{kind}:B": 0}):
                    self._county.connection.execute(
                        "insert into plan_rule values (%s, %s, %s, %s, %s)",
                        [version, key[0], kind, level, spec],
                    )

    def limit_is_corrected(self) -> None:
        self._do("update plan_limit set yellow_high = red_high - 1 where plan_version_id = (%s)")

    def rule_goes(self) -> None:
        self._do("delete from plan_rule where plan_version_id = (%s)")

    def borrows(self) -> None:
        self._county.lend(
            self._random.choice(DEVICES), self._anyone(), slot=self._random.choice([None, 1, 2])
        )

    def returns(self) -> None:
        self._county.connection.execute(
            "update device_loan set returned_at = now() where device_id = %s",
            [self._random.choice(DEVICES)],
        )

    def pauses(self) -> None:
        since = NOW + timedelta(hours=self._random.randint(-30, 20))
        self._county.connection.execute(
            "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
            [self._anyone(), since, since + timedelta(hours=self._random.randint(1, 9))],
        )

    def comes_back_early(self) -> None:
        self._county.connection.execute(
            "update patient_pause set until_at = from_at + interval '1 hour' where patient_id = %s",
            [self._anyone()],
        )

    def gateway_changes(self) -> None:
        self._county.connection.execute(
            "insert into gateway (gateway_id, retired_at) values (%(id)s, %(at)s)"
            " on conflict (gateway_id) do update set retired_at = %(at)s",
            {
                "id": self._random.choice(GATEWAYS),
                "at": self._random.choice([None, NOW - timedelta(days=1), NOW + timedelta(days=1)]),
            },
        )

    def much_changes(self) -> None:
        self._county.connection.execute(
            "select registry_note('gateway', array_agg(n::text)) from generate_series(1, 10001) n"
        )

    def changes_are_forgotten(self) -> None:
        with self._county.connection.transaction():
            self._county.connection.execute("delete from registry_change")
            self._county.connection.execute("update registry set forgotten = revision")

    def _anyone(self) -> int:
        return self._random.choice(self.patients)

    def _some(self, things: dict[Any, Any]) -> list[tuple[Any, Any]]:
        return [item for item in things.items() if self._random.random() < 0.6]

    def _do(self, statement: str) -> None:
        newest = "select max(plan_version_id) from plan_version where patient_id = %s"
        self._county.connection.execute(statement % newest, [self._anyone()])


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
                written = _written(county, life.patients)
                assert _same(_remembered(follows, life.patients), written), what
        fresh = Registry()
        for registry in (is_behind, fresh):
            await registry.refresh(connection)
            assert _same(_remembered(registry, life.patients), written)


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
    assert _same(_remembered(registry, patients), _written(plain_county, patients))


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
    assert _same(_remembered(registry, patients), _written(plain_county, patients))
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
