"""What rules other than limits find, as people read it: every page shows it, and says why."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from alerts import engine
from alerts.case import why_of
from alerts.measurements import readings
from alerts.worklist import worklist
from devices.quantity import Quantity
from ingest import episode, pg_binary, repeat
from ingest.batch import microseconds
from ingest.breach import KINDS, NO_READING, Breaches, objects
from ingest.registry import Registry
from ingest.rules.model import Change, KOfN, Missing, Repeat, Rule
from tests.alerts.conftest import Login, Pool
from tests.alerts.world import D, S, W, World

RISE = Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0)
OFTEN = KOfN(quantity=Quantity.SYSTOLIC, k=2, n=3, high=140)
TWICE = Repeat(quantity=Quantity.SYSTOLIC)
DAY = timedelta(days=1)


def give(world: World, key: str, *rules: Rule) -> None:
    """Put rules into the patient's plan."""
    for rule in rules:
        world.connection.execute(
            "insert into plan_rule (plan_version_id, rule_key, kind, level, spec)"
            " select plan_version_id, %s, %s, %s, %s from plan_version where patient_id = %s",
            [rule.key, rule.kind, rule.level, Jsonb(rule.params()), world.patient(key)],
        )


async def says(pool: Pool, world: World, browse: Login) -> list[str]:
    """Return what Anna's worklist says why, after her pages and the patient's own were shown."""
    async with browse("anna") as client:
        for path in ("/", f"/patients/{world.patient('marta')}"):
            assert (await client.get(path, follow_redirects=True)).status_code == 200
    async with browse("marta") as client:
        assert (await client.get("/", follow_redirects=True)).status_code == 200
    async with pool.connection() as connection:
        await engine.advance(connection)
        rows = (await worklist(connection, world.viewer("anna"))).rows
    return [row.why().replace("\u00a0", " ") for row in rows]


async def test_a_rise_is_told_with_its_numbers(world: World, pool: Pool, browse: Login) -> None:
    give(world, "marta", RISE)
    await world.measure_soon("marta", {W: 74.0}, ago=1.5 * DAY)  # an earlier day, whenever
    await world.measure_soon("marta", {W: 76.6})
    (told,) = await says(pool, world, browse)
    assert told.startswith("Vikten har ökat 2,6 kg sedan ")
    assert told.endswith("(gräns 2,0 kg på 3 dagar)")


async def test_several_rules_at_one_reading_are_told_together(
    world: World, pool: Pool, browse: Login
) -> None:
    give(world, "marta", OFTEN)
    await world.measure_soon("marta", {S: 165.0, D: 80.0}, ago=DAY)
    await world.measure_soon("marta", {S: 166.0, D: 80.0})
    (told,) = await says(pool, world, browse)
    assert told == (
        "Blodtryck 166/80 (systolisk gräns 160). "
        "2 av de senaste 2 mätningarna av systoliskt blodtryck är 140 mmHg eller högre"
    )


async def test_the_mean_of_two_speaks_for_a_red_that_it_made_yellow(
    world: World, pool: Pool, browse: Login
) -> None:
    give(world, "marta", TWICE)
    at = datetime.now(UTC) - timedelta(minutes=9)
    await world.measure_soon("marta", {S: 192.0, D: 80.0}, at=at)
    assert await says(pool, world, browse) == []
    await world.measure_soon("marta", {S: 150.0, D: 80.0}, at=at + timedelta(minutes=5))
    (told,) = await says(pool, world, browse)
    assert "192 mmHg, omtag 150 mmHg efter 5 minuter, medel 171 (gräns 160)" in told
    assert world.rows("select level from alert") == [(1,)]


async def test_a_red_that_is_held_waits_and_is_no_alert_that_has_ended(
    world: World, pool: Pool
) -> None:
    give(world, "marta", TWICE)
    await world.measure_soon("marta", {S: 192.0, D: 97.0})
    async with pool.connection() as connection:
        since = datetime.now(UTC) - DAY
        (held,) = await readings(connection, world.patient("marta"), since)
    assert (held.level, held.repeat_asked) == (0, True)


def test_what_the_mean_says_is_not_said_again_of_the_repeat() -> None:
    mean = {"kind": "repeat", "quantity": "systolic", "first": 192.0, "second": 170.0}
    mean |= {"minutes_later": 6, "wait_min": 30, "value": 181.0, "bound": 180.0, "side": "high"}
    of_systolic = {"quantity_id": S.facts.id, "side": "high"}
    findings = [
        {**of_systolic, "value": 170.0, "bound": 160.0, "detail": {}},
        {**of_systolic, "value": 181.0, "bound": 180.0, "detail": mean},
    ]
    told = why_of(findings, {str(S.facts.id): 170.0})
    assert ("181" in told, "160" in told) == (True, False)


async def test_a_red_that_nobody_repeated_says_what_it_breached(
    world: World, pool: Pool, browse: Login
) -> None:
    give(world, "marta", TWICE)
    await world.measure_soon("marta", {S: 192.0, D: 80.0})
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        now = datetime.now(UTC) + timedelta(hours=1)
        assert await repeat.settle_due(connection, Registry(), now, 10) == 1
    assert await says(pool, world, browse) == ["Blodtryck 192/80 (systolisk gräns 180)"]


async def test_what_the_clock_found_has_no_reading_and_is_told(
    world: World, pool: Pool, browse: Login
) -> None:
    rule = Missing(quantity=Quantity.SYSTOLIC, interval_h=24)
    give(world, "marta", rule)
    detail = {"quantity": "systolic", "value": 44.0, "interval_h": 24.0, "at": "2026-01-01"}
    for _ in range(2):  # by two clocks
        await _found_missing(world, rule.key, detail)
    (told,) = await says(pool, world, browse)
    assert told.startswith("Ing")
    assert world.rows("select rule from alert") == [("missing:blood_pressure",)]
    assert world.rows("select event from alert_log where event = 'joined'") == []


async def _found_missing(world: World, key: str, detail: dict[str, object]) -> None:
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        async with connection.transaction():
            await episode.record(
                connection,
                Breaches(
                    kind=np.array([KINDS.index("missing")], np.int8),
                    keys=[key],
                    key=np.array([0]),
                    reading_id=np.array([NO_READING], "S16"),
                    patient=np.array([world.patient("marta")]),
                    quantity=np.array([S.facts.id], np.int16),
                    measured_at=microseconds([datetime(2026, 1, 1, tzinfo=UTC)]),
                    level=np.array([1], np.int8),
                    side=np.array([0], np.int8),
                    value=np.array([44.0]),
                    bound=np.array([36.0]),
                    version=np.array([1]),
                    late=np.array([False]),
                    held=np.array([False]),
                    detail=objects([detail]),
                    readings=objects([None]),
                ),
            )
