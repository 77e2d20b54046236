"""When who is told: read, rehearsed on what has been, and changed by the unit's coordinator."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.alert import Level
from alerts.care.hours import USUAL
from alerts.escalation import Because
from alerts.policy import RED, YELLOW, Group
from alerts.rehearsal import Answered, Told, times_told, unanswered
from tests.alerts.conftest import Login
from tests.alerts.rota import coordinates
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import World

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)  # nine in the morning
NIGHT = datetime(2026, 11, 23, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def fast(**more: Any) -> dict[str, Any]:
    return {**RED.model_dump(mode="json"), "again_min": 10, **more}


def path(world: World, key: str, rest: str = "") -> str:
    return f"/units/{world.viewer(key).unit_id}/policies{rest}"


def test_a_red_alert_in_the_day_goes_from_one_to_the_next() -> None:
    told = list(unanswered(RED, Level.RED, USUAL, MONDAY))
    assert [(one.at - MONDAY, one.whom) for one in told[:3]] == [
        (0 * MINUTE, (Group.CONTACT,)),
        (10 * MINUTE, (Group.SUBSTITUTES,)),
        (20 * MINUTE, (Group.DUTY,)),
    ]
    assert set(told[3].whom) == {*Group} - {Group.RECEIVER}
    assert [one.at - MONDAY for one in told[4:]] == [80 * MINUTE, 110 * MINUTE]
    assert {one.why for one in told[4:]} == {Because.REPEATED}


def test_at_night_who_is_on_duty_is_told_and_a_yellow_one_waits() -> None:
    red = next(unanswered(RED, Level.RED, USUAL, NIGHT))
    assert red == Told(NIGHT, (Group.DUTY,), Because.OPENED)
    yellow = next(unanswered(YELLOW, Level.YELLOW, USUAL, NIGHT))
    assert (yellow.at, yellow.whom) == (MONDAY.replace(day=24, hour=7), (Group.CONTACT,))


@pytest.mark.parametrize(("answered_min", "times"), [(0, 1), (9, 1), (10, 2), (25, 3), (None, 4)])
def test_how_often_somebody_was_told_ends_with_the_answer(
    answered_min: int | None, times: int
) -> None:
    answered_at = None if answered_min is None else MONDAY + answered_min * MINUTE
    alert = Answered(MONDAY, answered_at)
    assert times_told(RED, Level.RED, USUAL, alert, MONDAY + 60 * MINUTE) == times


async def test_a_coordinator_changes_what_she_has_read(world: World, browse: Login) -> None:
    coordinates(world, "eva")
    async with browse("anna") as client:
        listed = (await Program(client).get(path(world, "anna"))).json()["policies"]
        assert [(one["level"], one["policy_id"]) for one in listed] == [
            ("yellow", None),
            ("red", None),
        ]
        refused = await Program(client).post(path(world, "anna", "/red"), {"policy": fast()})
        assert slug(refused) == "not-found"
    async with browse("eva") as client:
        eva = Program(client)
        body = {"policy": fast(), "seen_policy_id": None}
        changed = await eva.post(path(world, "eva", "/red"), body)
        assert changed.status_code == 200
        assert changed.json()["policy"]["again_min"] == 10
        stale = await eva.post(path(world, "eva", "/red"), body)
        assert (stale.status_code, slug(stale)) == (409, "policy-changed")
        body = {"policy": fast(), "seen_policy_id": changed.json()["policy_id"]}
        again = await eva.post(path(world, "eva", "/red"), body)
        assert again.json()["policy_id"] > body["seen_policy_id"]
        for policy, why in (
            (fast(counting="work"), "policy-unfit"),
            (fast(again_min=9999), "policy-unfit"),
            (fast(again_min=1), "invalid"),
            (fast(steps=[{"tell": ["receiver"]}]), "invalid"),
        ):
            for rest in ("/red", "/red/rehearse"):
                answer = await eva.post(path(world, "eva", rest), {"policy": policy})
                assert (answer.status_code, slug(answer)) == (422, why)
        elsewhere = await eva.post(path(world, "lisa", "/red"), {"policy": fast()})
        assert slug(elsewhere) == "not-found"
    kept = world.rows("select noted_by, until_at is null from policy order by policy_id")
    assert kept == [(world.staff("eva"), False), (world.staff("eva"), True)]


async def test_a_rehearsal_says_how_often_somebody_would_have_been_told(
    world: World, browse: Login
) -> None:
    coordinates(world, "eva")
    unit = world.viewer("eva").unit_id
    for ago, answered_min in ((50, 45), (25, 5)):
        alert_id = world.one(
            "insert into alert (patient_id, rule, level, measured_at, opened_at, state) values"
            " (%s, 'x', 2, now(), now() - make_interval(hours => %s), 'closed') returning alert_id",
            world.patient("marta"),
            ago,
        )
        world.connection.execute(
            "insert into alert_case (alert_id, unit_id, routed_why, told_at)"
            " values (%s, %s, '', now())",
            (alert_id, unit),
        )
        world.connection.execute(
            "insert into alert_log (alert_id, event, at) select alert_id, 'acknowledged',"
            " opened_at + make_interval(mins => %s) from alert where alert_id = %s",
            (answered_min, alert_id),
        )
    slow = fast(
        steps=[{"tell": ["receiver"]}, {"tell": ["receiver", "unit"], "wait_min": 60}],
        again_min=60,
    )
    async with browse("eva") as client:
        eva = Program(client)
        body = {"policy": slow, "opened_at": "2026-11-23T08:00:00Z"}
        found = (await eva.post(path(world, "eva", "/red/rehearse"), body)).json()
        assert [one["at"] for one in found["tellings"]] == [
            f"2026-11-23T{hour:02}:00:00Z" for hour in (8, 9, 10, 11)
        ]
        counts = found["alerts_count"], found["told_count"], found["told_now_count"]
        assert counts == (2, 2, 1 + 3)  # after 0, 10 and 20 minutes; the fourth would be after 50
        body["opened_at"] = "9999-12-31T00:00:00Z"
        far = await eva.post(path(world, "eva", "/red/rehearse"), body)
        assert (far.status_code, slug(far)) == (422, "rehearsal-too-far")
    assert world.rows("select from policy") == []
