"""Programs act on alerts: by the version they read, once, and told who was faster."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI
from psycopg import AsyncConnection

from alerts import actions
from alerts.alert import Outcome
from alerts.audit.entry import Action
from alerts.held import Done
from alerts.web import session
from alerts.web.api import acting
from alerts.web.api.problem import Refused
from tests.alerts.conftest import Login, Pool
from tests.alerts.web.api.program import WORSE, Program, slug
from tests.alerts.world import World

FORGED = ['"1.00000000000000000000000000000000"', '"x"', 'W/"1"', f'"{"9" * 19}.{"0" * 32}"']


async def test_she_sees_it_in_her_list_takes_it_and_ends_it(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        listed = (await anna.get("/worklist")).json()
        assert (listed["red_count"], listed["yellow_count"], listed["left_out_count"]) == (1, 0, 0)
        assert [each["alert_id"] for each in listed["alerts"]] == [alert]
        assert listed["alerts"][0]["level"] == "red"
        assert "192/112" in listed["alerts"][0]["why"]
        taken = await anna.post(f"/alerts/{alert}/acknowledge", If_Match=await anna.version(alert))
        assert taken.status_code == 200
        assert taken.json()["acknowledged_name"] == "Anna Provberg"
        assert taken.json()["acknowledged_at"].endswith("Z")
        # What the write answered is good for the next one.
        body = {"outcome": "contacted", "note": "Ringde\x00.\r\nMår bra"}
        ended = await anna.post(f"/alerts/{alert}/close", body, If_Match=taken.headers["ETag"])
        assert ended.status_code == 200
        assert (ended.json()["state"], ended.json()["note"]) == ("closed", "Ringde.\nMår bra")
        assert (await anna.get("/worklist")).json()["alerts"] == []
        told = (await anna.get(f"/alerts/{alert}/log")).json()["entries"]
    events = [entry["event"] for entry in told]
    assert events[0] == "closed"
    assert {"opened", "shown", "acknowledged"} <= set(events)
    assert told[0]["text"].startswith("Blodtryck: Anna Provberg avslutade")


async def test_a_write_says_what_it_has_read(world: World, browse: Login, alert: int) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        for path, body in (
            ("acknowledge", None),
            ("close", {"outcome": "contacted"}),
            ("snooze", {"until": in_an_hour(), "why": "Ny dos"}),
        ):
            for version in ("", "*"):
                answer = await anna.post(f"/alerts/{alert}/{path}", body, If_Match=version)
                assert (answer.status_code, slug(answer)) == (428, "if-match-needed")
            for version in FORGED:
                answer = await anna.post(f"/alerts/{alert}/{path}", body, If_Match=version)
                assert (answer.status_code, slug(answer)) == (412, "alert-changed")
    assert world.one("select state from alert where alert_id = %s", alert) == "open"


async def test_who_has_read_it_as_it_is_now_is_told_only_that(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        version = await anna.version(alert)
        for sent in (version, f"W/{version}", f'"1.x", {version}', "*"):
            again = await anna.get(f"/alerts/{alert}", headers={"If-None-Match": sent})
            assert (again.status_code, again.content) == (304, b""), sent
            assert again.headers["ETag"] == version
        await world.measure_soon("marta", WORSE, ago=timedelta(seconds=1))
        for sent in (version, '"1.x"', ""):
            again = await anna.get(f"/alerts/{alert}", headers={"If-None-Match": sent})
            assert again.status_code == 200
            assert again.headers["ETag"] != version
    looked = world.one("select count(*) from access_log where action = 'patient_seen'")
    assert looked == 8  # who is told that nothing has changed has looked all the same


async def test_who_was_slower_is_told_what_has_changed_and_by_whom(
    world: World, browse: Login
) -> None:
    await world.measure_soon("sven", WORSE)  # in the unit's queue: Anna's and Eva's
    alert = world.alert("sven")
    async with browse("anna") as first, browse("eva") as second:
        anna, eva = Program(first), Program(second)
        version = await anna.version(alert)
        await eva.post(f"/alerts/{alert}/acknowledge", If_Match=await eva.version(alert))
        answer = await anna.post(f"/alerts/{alert}/acknowledge", If_Match=version)
        assert (answer.status_code, slug(answer)) == (412, "alert-changed")
        changes = answer.json()["changes"]
        assert ("acknowledged", "Eva Testström") in [
            (change["event"], change["staff_name"]) for change in changes
        ]
        assert "Eva Testström tog larmet" in answer.json()["detail"]
        # Who has read that Eva has it is told so again: an alert is one person's.
        answer = await anna.post(f"/alerts/{alert}/acknowledge", If_Match=answer.headers["ETag"])
        assert (answer.status_code, slug(answer)) == (409, "alert-taken")
        assert "Eva Testström" in answer.json()["detail"]
        await eva.post(
            f"/alerts/{alert}/close", {"outcome": "other"}, If_Match=await eva.version(alert)
        )
    logged = world.rows(
        "select detail->>'answer' from access_log where patient_id = %s "
        "and action like 'alert_%%' order by number",
        world.patient("sven"),
    )
    assert [answer for (answer,) in logged] == ["done", "alert-changed", "alert-taken", "done"]


async def test_a_value_that_came_meanwhile_is_read_first(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        version = await anna.version(alert)
        assert await anna.version(alert) == version  # being shown changes nothing
        await world.measure_soon("marta", WORSE, ago=timedelta(seconds=1))
        answer = await anna.post(
            f"/alerts/{alert}/close", {"outcome": "false_alarm"}, If_Match=version
        )
        assert (answer.status_code, slug(answer)) == (412, "alert-changed")
        assert {"joined"} <= {change["event"] for change in answer.json()["changes"]}
        assert all(change["event"] != "opened" for change in answer.json()["changes"])
        assert world.one("select state from alert where alert_id = %s", alert) == "open"
        version = await anna.version(alert)
        answer = await anna.post(
            f"/alerts/{alert}/close", {"outcome": "false_alarm"}, If_Match=version
        )
    assert answer.status_code == 200


async def test_a_breach_that_is_linked_while_the_alert_is_held_is_read_first(
    world: World, app: FastAPI, browse: Login, pool: Pool, alert: int
) -> None:
    """Ingest links what it found before without the lock: the version says nothing of it."""
    async with browse("anna") as client, pool.connection() as connection:
        version = await Program(client).version(alert)
        anna = await session.find(connection, client.cookies["session"])
    assert anna is not None
    found = anna

    async def act(connection: AsyncConnection, seen: int) -> Done:
        world.connection.execute("set lock_timeout = '5s'")
        world.connection.execute(
            "insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule,"
            " level, side, value, bound, plan_version_id, late)"
            " select alert_id, gen_random_uuid(), patient_id, quantity_id, measured_at, rule,"
            " level, side, value, bound, plan_version_id, late from breach limit 1"
        )
        return await actions.close(
            connection, found.viewer, alert, outcome=Outcome.FALSE_ALARM, seen_breach_id=seen
        )

    asked = acting._Asked(found, alert, version, None)
    with pytest.raises(Refused) as refused:
        await acting._done(app.state.services, asked, Action.ALERT_CLOSED, None, act)
    assert (refused.value.problem.status, refused.value.slug) == (412, "alert-changed")
    async with browse("anna") as client:  # what she is told to read is what there is now
        now = await Program(client).version(alert)
    assert refused.value.headers["ETag"] == now != version
    assert world.one("select state from alert where alert_id = %s", alert) == "open"
    said = "select detail->>'answer' from access_log where action = 'alert_closed'"
    assert world.rows(said) == [("alert-changed",)]


async def test_of_twenty_programs_at_once_one_takes_it(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        version = await anna.version(alert)
        answers = await asyncio.gather(
            *(anna.post(f"/alerts/{alert}/acknowledge", If_Match=version) for _ in range(20))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert (
        world.one(
            "select count(*) from alert_log where alert_id = %s and event = 'acknowledged'", alert
        )
        == 1
    )


async def test_the_same_write_twice_is_done_once_and_answered_the_same(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        version = await anna.version(alert)
        sent = {"If_Match": version, "Idempotency_Key": str(uuid4())}
        path = f"/alerts/{alert}/close"
        body = {"outcome": "contacted", "note": "Ringde"}
        both = await asyncio.gather(anna.post(path, body, **sent), anna.post(path, body, **sent))
        later = await anna.post(path, body, **sent)
        for answer in (*both, later):
            assert (answer.status_code, answer.content) == (200, both[0].content)
            assert answer.headers["ETag"] == both[0].headers["ETag"]
        other = await anna.post(path, {**body, "note": "Ringde inte"}, **sent)
        assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")
    ended = "select count(*) from alert_log where alert_id = %s and event = 'closed'"
    assert world.one(ended, alert) == 1
    logged = world.rows("select detail->>'answer' from access_log where action = 'alert_closed'")
    assert sorted(logged) == [("again",), ("again",), ("done",), ("idempotency-key-reused",)]


async def test_a_key_is_somebodys_own_and_is_kept_for_a_day(
    world: World, browse: Login, alert: int
) -> None:
    key = str(uuid4())
    async with browse("anna") as client:
        anna = Program(client)
        path = f"/alerts/{alert}/acknowledge"
        version = await anna.version(alert)
        refused = await anna.post(path, If_Match='"0.x"', Idempotency_Key=key)
        assert refused.status_code == 412
        # What was refused did nothing: the key is good for another try.
        assert (await anna.post(path, If_Match=version, Idempotency_Key=key)).status_code == 200
        assert (await anna.post(path, If_Match=version, Idempotency_Key=key)).status_code == 200
        world.one(
            "update idempotency_key set made_at = made_at - interval '25 hours' returning key"
        )
        assert (await anna.post(path, If_Match=version, Idempotency_Key=key)).status_code == 412
        fresh = await anna.version(alert)
        body = {"outcome": "other"}
        ended = await anna.post(f"/alerts/{alert}/close", body, If_Match=fresh, Idempotency_Key=key)
        assert ended.status_code == 200
    async with browse("marta") as client:
        path = f"/patients/{world.patient('marta')}/messages"
        told = await Program(client).post(path, {"text": "Hej"}, Idempotency_Key=key)
    assert told.status_code == 201
    assert world.one("select count(*) from idempotency_key") == 2  # what was too old is gone


async def test_an_answer_is_not_repeated_to_who_has_no_relation_any_more(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        sent = {"If_Match": await anna.version(alert), "Idempotency_Key": str(uuid4())}
        path, body = f"/alerts/{alert}/close", {"outcome": "contacted"}
        assert (await anna.post(path, body, **sent)).status_code == 200
        world.connection.execute("update care_contact set until_at = now()")
        world.connection.execute(
            "update person set unit_id = (select unit_id from staff where staff_id = %s)",
            [world.staff("lisa")],
        )
        answer = await anna.post(path, body, **sent)
        assert (answer.status_code, slug(answer)) == (404, "not-found")


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_it_rests_until_a_time_that_is_fit(world: World, browse: Login, alert: int) -> None:
    path = f"/alerts/{alert}/snooze"
    async with browse("anna") as client:
        anna = Program(client)
        version = await anna.version(alert)
        for until in ("2020-01-01T00:00:00Z", "9999-01-01T00:00:00Z"):
            body = {"until": until, "why": "Ny dos"}
            answer = await anna.post(path, body, If_Match=version)
            assert (answer.status_code, slug(answer)) == (422, "snooze-unfit")
        for bad in ("2026-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "i morgon", None):
            answer = await anna.post(path, {"until": bad, "why": "Ny dos"}, If_Match=version)
            assert (answer.status_code, slug(answer)) == (422, "invalid")
            assert answer.json()["errors"][0]["where"] == "body.until"
        until = in_an_hour()
        answer = await anna.post(path, {"until": until, "why": "Ny dos"}, If_Match=version)
        assert answer.status_code == 200
        rests = datetime.fromisoformat(answer.json()["snoozed_until"])
    assert rests == datetime.fromisoformat(until)
    assert world.one(
        "select snoozed_until = %s and snoozed_why = 'Ny dos' from alert_case where alert_id = %s",
        until,
        alert,
    )


async def test_a_write_without_the_logins_token_changes_nothing(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client, browse("anna") as other:
        anna = Program(client)
        version = await anna.version(alert)
        for token in ("", "x", other.csrf):
            client.csrf = token
            answer = await anna.post(f"/alerts/{alert}/acknowledge", If_Match=version)
            assert (answer.status_code, slug(answer)) == (403, "csrf")
    assert world.one("select state from alert where alert_id = %s", alert) == "open"


async def test_the_patient_sees_her_alert_without_the_notes_of_her_care(
    world: World, browse: Login, alert: int
) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        body = {"outcome": "other", "note": "För vården"}
        await anna.post(f"/alerts/{alert}/close", body, If_Match=await anna.version(alert))
        assert (await anna.get(f"/alerts/{alert}")).json()["note"] == "För vården"
    async with browse("marta") as client:
        mine = await Program(client).get(f"/alerts/{alert}")
        assert mine.json()["closed_name"] == "Anna Provberg"
        listed = await Program(client).get(f"/patients/{world.patient('marta')}/alerts")
        assert listed.json()["alerts"] == [mine.json()]
        assert "För vården" not in mine.text + listed.text
