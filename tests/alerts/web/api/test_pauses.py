"""Pauses by programs: always with an end, begun by her care, ended by herself too."""

from datetime import UTC, datetime, timedelta

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import World


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_her_care_begins_a_pause_and_she_ends_it(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}/pauses"
    async with browse("anna") as first, browse("marta") as second:
        anna, marta = Program(first), Program(second)
        begun = await anna.post(path, {"until_at": in_days(3), "reason": "Inlagd"})
        assert begun.status_code == 201
        (pause,) = begun.json()["pauses"]
        assert (pause["is_on"], pause["reason"]) == (True, "Inlagd")
        later = {"from_at": in_days(10), "until_at": in_days(12), "reason": "Resa"}
        assert [one["is_on"] for one in (await anna.post(path, later)).json()["pauses"]] == [
            True,
            False,
        ]
        assert (await marta.get(path)).json() == (await anna.get(path)).json()
        ended = await marta.post(f"{path}/{pause['pause_id']}/end", {})
        assert [one["reason"] for one in ended.json()["pauses"]] == ["Resa"]
        over = await marta.post(f"{path}/{pause['pause_id']}/end", {})
        assert (over.status_code, slug(over)) == (409, "pause-over")
    kept = "select action, ground from access_log where action like 'pause_%%' order by number"
    assert world.rows(kept) == [
        ("pause_begun", "contact"),
        ("pause_begun", "contact"),
        ("pause_ended", "self"),
        ("pause_ended", "self"),
    ]


async def test_a_pause_that_cannot_be_is_refused_with_a_reason(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}/pauses"
    refused: list[tuple[dict[str, str], int, str]] = [
        ({"from_at": in_days(-1), "until_at": in_days(1)}, 422, "pause-past"),
        ({"from_at": in_days(2), "until_at": in_days(1)}, 422, "pause-no-end"),
        ({"until_at": in_days(63)}, 422, "pause-too-long"),
        ({"from_at": in_days(400), "until_at": in_days(401)}, 422, "pause-too-far"),
        ({"until_at": in_days(1), "reason": " "}, 422, "pause-reason"),
        ({"until_at": in_days(1), "reason": ""}, 422, "invalid"),
        ({"until_at": in_days(1), "reason": "\x00"}, 422, "invalid"),
        ({"until_at": "9999-12-31T23:59:59Z"}, 422, "invalid"),
        ({"until_at": "0001-01-01T00:00:00Z"}, 422, "invalid"),
        ({"until_at": "2026-12-01"}, 422, "invalid"),
    ]
    async with browse("anna") as client:
        anna = Program(client)
        for body, status, why in refused:
            answer = await anna.post(path, {"reason": "Resa", **body})
            assert (answer.status_code, slug(answer)) == (status, why), body
        body = {"until_at": in_days(3), "reason": "Resa"}
        assert (await anna.post(path, body)).status_code == 201
        covered = await anna.post(path, {**body, "until_at": in_days(2)})
        assert (covered.status_code, slug(covered)) == (409, "pause-covered")
    async with browse("marta") as client:
        mine = await Program(client).post(path, body)
        assert (mine.status_code, slug(mine)) == (403, "pause-not-yours")
    assert world.one("select count(*) from patient_pause") == 1
