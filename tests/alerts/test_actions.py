"""One takes an alert, the others are told who; it ends once, with an outcome, and read first."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from alerts import actions, log
from alerts.actions import Answer, Done
from alerts.alert import Outcome
from alerts.care.people import Viewer
from alerts.worklist import open_cases
from ingest.pg_binary import register
from ingest.registry import Registry
from ingest.repeat import settle_due
from tests.alerts.conftest import Pool
from tests.alerts.world import D, S, World

RED = {S: 192.0, D: 112.0}


async def do(pool: Pool, what: Any, *arguments: Any, **more: Any) -> Done:
    async with pool.connection() as connection:
        done: Done = await what(connection, *arguments, **more)
    return done


def newest(world: World) -> int:
    return int(world.one("select max(breach_id) from breach"))


async def test_of_fifty_at_once_one_takes_it_and_the_others_are_told_who(world: World) -> None:
    await world.measure_soon("sven", RED)  # in the unit's queue: all of the unit may take it
    alert, unit = world.alert("sven"), world.viewer("anna").unit_id
    viewers = [
        Viewer(
            name=f"Sköterska {number}",
            unit_id=unit,
            staff_id=world.one(
                "insert into staff (unit_id, name, role, phone) values (%s, %s, '', '') "
                "returning staff_id",
                unit,
                f"Sköterska {number}",
            ),
        )
        for number in range(50)
    ]
    world.connection.execute(
        "insert into staff_function (staff_id, name) select unnest(%s::bigint[]), 'care'",
        ([viewer.staff_id for viewer in viewers],),
    )
    async with AsyncConnectionPool(
        world.dsn, min_size=20, max_size=20, open=False, kwargs={"autocommit": True}
    ) as pool:
        answers = await asyncio.gather(
            *(
                do(pool, actions.acknowledge, viewer, alert, seen_breach_id=newest(world))
                for viewer in viewers
            )
        )
    winners = [v for v, done in zip(viewers, answers, strict=True) if done.answer is Answer.DONE]
    assert len(winners) == 1
    others = [done for done in answers if done.answer is not Answer.DONE]
    assert {(done.answer, done.name) for done in others} == {(Answer.TAKEN, winners[0].name)}
    assert all(done.at for done in others)
    assert world.rows("select staff_id from alert_log where event = 'acknowledged'") == [
        (winners[0].staff_id,)
    ]


async def test_taking_it_twice_is_harmless(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    anna, alert = world.viewer("anna"), world.alert("marta")
    assert (
        await do(pool, actions.acknowledge, anna, alert, seen_breach_id=newest(world))
    ).answer is Answer.DONE
    again = await do(pool, actions.acknowledge, anna, alert, seen_breach_id=newest(world))
    assert (again.answer, again.name) == (Answer.ALREADY_YOURS, "Anna Provberg")
    assert world.one("select count(*) from alert_log where event = 'acknowledged'") == 1


async def test_a_person_can_be_faster_than_routing(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    assert world.one("select count(*) from alert_case") == 0
    await do(
        pool,
        actions.acknowledge,
        world.viewer("anna"),
        world.alert("marta"),
        seen_breach_id=newest(world),
    )
    assert world.rows("select event from alert_log order by entry_id") == [
        ("opened",),
        ("routed",),
        ("acknowledged",),
    ]


async def test_it_ends_once_with_outcome_and_note(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    anna, alert = world.viewer("anna"), world.alert("marta")
    ending = {"outcome": Outcome.CONTACTED, "note": " Ringt. ", "seen_breach_id": newest(world)}
    first, second = await asyncio.gather(
        do(pool, actions.close, anna, alert, **ending),
        do(pool, actions.close, anna, alert, **ending),
    )
    assert {first.answer, second.answer} == {Answer.DONE, Answer.CLOSED}
    assert world.rows(
        "select a.state, k.outcome, k.note, k.closed_by, k.acknowledged_by "
        "from alert a join alert_case k using (alert_id)"
    ) == [("closed", "contacted", "Ringt.", anna.staff_id, anna.staff_id)]
    assert world.one("select count(*) from alert_log where event = 'closed'") == 1


async def test_a_new_breach_after_the_end_opens_a_new_alert(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    anna, alert = world.viewer("anna"), world.alert("marta")
    await do(pool, actions.close, anna, alert, outcome=Outcome.OTHER, seen_breach_id=newest(world))
    await world.measure_soon("marta", RED)
    assert world.alert("marta") != alert
    assert world.one("select count(*) from alert where state = 'open'") == 1


async def test_a_value_that_was_not_read_cannot_be_closed(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", {S: 165.0, D: 80.0})
    seen = newest(world)
    await world.measure_soon("marta", RED)
    done = await do(
        pool,
        actions.close,
        world.viewer("anna"),
        world.alert("marta"),
        outcome=Outcome.FALSE_ALARM,
        seen_breach_id=seen,
    )
    assert done.answer is Answer.NEW_VALUE
    assert world.one("select state from alert") == "open"


async def test_a_red_that_was_held_when_the_page_was_read_cannot_be_closed(
    world: World, pool: Pool
) -> None:
    world.rows(
        "insert into plan_rule (plan_version_id, rule_key, kind, level, spec) "
        "select plan_version_id, 'repeat:blood_pressure', 'repeat', 2, %s::jsonb "
        "from plan_version where patient_id = %s returning 1",
        json.dumps({"quantity": "systolic", "ask_min": 5, "wait_min": 30}),
        world.patient("marta"),
    )
    await world.measure_soon("marta", RED)
    assert world.rows("select 1 from alert") == []
    await world.measure_soon("marta", {S: 165.0, D: 80.0}, ago=timedelta(minutes=9))
    anna, alert, seen = world.viewer("anna"), world.alert("marta"), newest(world)
    await do(pool, actions.acknowledge, anna, alert, seen_breach_id=newest(world))
    async with pool.connection() as connection:
        register(connection)
        await settle_due(connection, Registry(), datetime.now(UTC) + timedelta(hours=1), 100)
        (case,) = await open_cases(connection, world.patient("marta"))
    assert (case.is_red, case.is_reopened, case.changed_since_taken) == (True, True, True)
    closing = {"outcome": Outcome.CONTACTED, "seen_breach_id": seen}
    assert (await do(pool, actions.close, anna, alert, **closing)).answer is Answer.NEW_VALUE
    closing["seen_breach_id"] = case.newest_breach_id
    assert (await do(pool, actions.close, anna, alert, **closing)).answer is Answer.DONE


async def test_a_raised_alert_is_open_again_and_the_next_who_takes_it_is_named(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("sven", {S: 165.0, D: 80.0})
    alert = world.alert("sven")
    await do(pool, actions.acknowledge, world.viewer("anna"), alert, seen_breach_id=newest(world))
    await world.measure_soon("sven", RED)
    assert world.one("select state from alert") == "open"
    done = await do(
        pool, actions.acknowledge, world.viewer("eva"), alert, seen_breach_id=newest(world)
    )
    assert done.answer is Answer.DONE
    assert world.one("select acknowledged_by from alert_case") == world.staff("eva")


@pytest.mark.parametrize("who", ["lisa", "marta", "ingrid"])
async def test_who_has_no_care_relation_finds_no_alert(world: World, pool: Pool, who: str) -> None:
    await world.measure_soon("marta", RED)
    viewer, alert = world.viewer(who), world.alert("marta")
    assert (
        await do(pool, actions.acknowledge, viewer, alert, seen_breach_id=newest(world))
    ).answer is Answer.NOT_FOUND
    closing = {"outcome": Outcome.OTHER, "seen_breach_id": 10**9}
    assert (await do(pool, actions.close, viewer, alert, **closing)).answer is Answer.NOT_FOUND
    assert world.one("select state from alert") == "open"


async def test_the_log_can_only_grow(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    for change in (
        "update alert_log set event = 'closed'",
        "delete from alert_log",
        "truncate alert_log",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            world.connection.execute(change.encode())
    assert world.one("select count(*) from alert_log") == 1


async def test_shown_is_logged_the_first_time_for_each_person(world: World, pool: Pool) -> None:
    await world.measure_soon("sven", RED)
    alert = world.alert("sven")
    async with pool.connection() as connection:
        for who in ("anna", "anna", "eva"):
            await log.append_shown(connection, world.staff(who), [alert])
        entries = await log.entries(connection, world.patient("sven"))
    assert [e.staff_name for e in entries if e.event == "shown"] == [
        "Eva Testström",
        "Anna Provberg",
    ]
