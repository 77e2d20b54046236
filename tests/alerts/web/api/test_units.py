"""A unit's people, absence, duty and substitutes: of one's own unit, by function."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.alerts.care.huvudmen import one_each, one_for_all
from tests.alerts.conftest import Login
from tests.alerts.rota import coordinates
from tests.alerts.web.api.program import API, Program, slug
from tests.alerts.world import World

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def span(since: timedelta, until: timedelta) -> dict[str, str]:
    return {"from_at": (NOW + since).isoformat(), "until_at": (NOW + until).isoformat()}


async def test_a_unit_tells_its_own_who_works_there(world: World, browse: Login) -> None:
    unit = world.viewer("anna").unit_id
    world.connection.execute("insert into team (unit_id, name) values (%s, 'Hjärtteamet')", [unit])
    world.connection.execute(
        "insert into team_member (team_id, staff_id, from_at) select team_id, %s, '2020-01-01'"
        " from team",
        [world.staff("lisa")],
    )
    async with browse("anna") as client:
        anna = Program(client)
        names = [one["name"] for one in (await anna.get("/units")).json()["units"]]
        assert names == ["Provbyns hemsjukvård", "Testköpings hälsocentral"]
        one = (await anna.get(f"/units/{unit}")).json()
        assert (one["name"], one["is_open"]) == ("Provbyns hemsjukvård", True)
        staff = (await anna.get(f"/units/{unit}/staff")).json()["staff"]
        assert [(one["name"], one["functions"]) for one in staff] == [
            ("Anna Provberg", ["care"]),
            ("Eva Testström", ["care"]),
            ("Tove Tekniktest", ["technician"]),
        ]
        (team,) = (await anna.get(f"/units/{unit}/teams")).json()["teams"]
        assert team["member_ids"] == [world.staff("lisa")]
    async with browse("lisa") as client:
        for path in ("", "/staff", "/teams", "/absences", "/duties", "/policies"):
            answer = await Program(client).get(f"/units/{unit}{path}")
            assert slug(answer) == "not-found", path


async def test_absence_is_noted_with_what_it_leaves_and_taken_back(
    world: World, browse: Login
) -> None:
    unit, anna_id = world.viewer("anna").unit_id, world.staff("anna")
    path = f"/units/{unit}/absences"
    body = {"staff_id": anna_id, **span(DAY, 3 * DAY)}
    coordinates(world, "eva")
    async with browse("eva") as client:
        eva = Program(client)
        key = str(uuid4())
        for _ in range(2):
            noted = await eva.post(path, body, Idempotency_Key=key)
            assert noted.status_code == 201
            assert noted.json()["uncovered_patients_count"] == 2  # nobody stands in for her
        absence_id = noted.json()["absence_id"]
        (listed,) = (await eva.get(path)).json()["absences"]
        assert (listed["staff_name"], listed["absence_id"]) == ("Anna Provberg", absence_id)
        over = await eva.post(path, {"staff_id": anna_id, **span(2 * DAY, 4 * DAY)})
        assert (over.status_code, slug(over)) == (409, "absence-already-away")
        wrong = await eva.post(path, {"staff_id": anna_id, **span(2 * DAY, DAY)})
        assert (wrong.status_code, slug(wrong)) == (422, "absence-ends-before-it-begins")
        sooner = await eva.post(
            f"/absences/{absence_id}/cut-short", {"at": (NOW + 2 * DAY).isoformat()}
        )
        assert sooner.status_code == 200
        (left,) = (await eva.get(path)).json()["absences"]
        assert datetime.fromisoformat(left["until_at"]) == NOW + 2 * DAY
        gone = await eva.post(f"/absences/{left['absence_id']}/withdraw")
        assert gone.status_code == 200
        assert (await eva.get(path)).json()["absences"] == []
        again = await eva.post(f"/absences/{left['absence_id']}/withdraw")
        assert slug(again) == "not-found"


async def test_a_long_list_of_absences_and_duties_is_read_page_by_page(
    world: World, browse: Login
) -> None:
    unit, eva_id = world.viewer("eva").unit_id, world.staff("eva")
    for table, column in (("absence", ""), ("duty", "unit_id, ")):
        world.connection.execute(
            f"insert into {table} ({column}staff_id, from_at, until_at)"
            f" select {'%(unit)s, ' if column else ''}%(staff)s, %(at)s::timestamptz + day, "
            " %(at)s::timestamptz + day + interval '1 hour'"
            " from (select n / 2 * interval '2 hours' as day from generate_series(1, 5) n) each",
            {"unit": unit, "staff": eva_id, "at": NOW + DAY},
        )
    async with browse("eva") as client:
        eva = Program(client)
        for path, name, key in (
            ("absences", "absences", "absence_id"),
            ("duties", "duties", "duty_id"),
        ):
            seen: list[int] = []
            cursor: dict[str, Any] = {}
            for length in (2, 2, 1):
                page = (await eva.get(f"/units/{unit}/{path}", limit_count=2, **cursor)).json()
                assert len(page[name]) == length
                seen += [one[key] for one in page[name]]
                cursor = {"cursor": page["next_cursor"]}
            assert page["next_cursor"] is None
            assert seen == sorted(set(seen))
            assert len(seen) == 5
        other = await eva.get(f"/units/{unit}/duties", limit_count=1)
        forged = await eva.get(f"/units/{unit}/absences", cursor=other.json()["next_cursor"])
        assert (forged.status_code, slug(forged)) == (400, "cursor")


async def test_who_coordinates_nothing_notes_herself_only(world: World, browse: Login) -> None:
    unit = world.viewer("anna").unit_id
    path = f"/units/{unit}/absences"
    async with browse("anna") as client:
        anna = Program(client)
        other = await anna.post(path, {"staff_id": world.staff("eva"), **span(DAY, 2 * DAY)})
        assert slug(other) == "not-found"
        own = await anna.post(path, {"staff_id": world.staff("anna"), **span(DAY, 2 * DAY)})
        assert own.status_code == 201
    absence_id = own.json()["absence_id"]
    for key in ("eva", "lisa", "tove", "marta"):
        async with browse(key) as client:
            answer = await Program(client).post(f"/absences/{absence_id}/withdraw")
            assert slug(answer) == "not-found", key
    assert world.one("select count(*) from absence where withdrawn_at is not null") == 0


async def test_a_coordinator_writes_of_her_own_unit_only(world: World, browse: Login) -> None:
    coordinates(world, "lisa")
    unit, other = world.viewer("lisa").unit_id, world.viewer("anna").unit_id
    anna = {"staff_id": world.staff("anna"), **span(DAY, 2 * DAY)}
    async with browse("lisa") as client:
        lisa = Program(client)
        for path in ("absences", "duties"):
            assert slug(await lisa.post(f"/units/{other}/{path}", anna)) == "not-found"
        stranger = await lisa.post(f"/units/{unit}/absences", anna)
        assert (stranger.status_code, slug(stranger)) == (409, "absence-unknown")
        named = await lisa.post(f"/staff/{anna['staff_id']}/substitutes", {"staff_ids": []})
        assert slug(named) == "not-found"
    assert world.rows("select from absence") == world.rows("select from duty") == []


async def test_the_rota_tells_when_nobody_is_on_duty(world: World, browse: Login) -> None:
    world.connection.execute("delete from unit_hours")  # weekdays 8 to 16
    one_for_all(world)
    unit = world.viewer("eva").unit_id
    coordinates(world, "eva")
    async with browse("eva") as client:
        eva = Program(client)
        weeks: dict[str, Any] = {**span(DAY, 29 * DAY)}
        before = (await eva.get(f"/units/{unit}/duties", **weeks)).json()
        assert before["duties"] == []
        gap = before["gaps"][1]  # a whole one between two openings, whenever the first began
        assert gap in (await eva.get(f"/units/{unit}/duties")).json()["gaps"]
        body = {"staff_id": world.staff("lisa"), **gap}
        noted = await eva.post(f"/units/{unit}/duties", body)
        assert noted.status_code == 201
        rota = (await eva.get(f"/units/{unit}/duties", **weeks)).json()
        assert [one["staff_name"] for one in rota["duties"]] == ["Lisa Testek"]
        assert rota["gaps"] == [other for other in before["gaps"] if other != gap]
        technician = {"staff_id": world.staff("tove"), **gap}
        refused = await eva.post(f"/units/{unit}/duties", technician)
        assert (refused.status_code, slug(refused)) == (409, "duty-gives-no-care")
        duty_id = noted.json()["duty_id"]
        gone = await eva.post(f"/duties/{duty_id}/withdraw")
        assert gone.json() == {"duty_id": duty_id, "is_withdrawn": True}
        assert (await eva.get(f"/units/{unit}/duties", **weeks)).json() == before


@pytest.mark.parametrize(
    "asked",
    [
        {"from_at": "2027-01-02T00:00:00Z", "until_at": "2027-01-01T00:00:00Z"},
        {"from_at": "2027-01-01T00:00:00Z", "until_at": "2027-06-01T00:00:00Z"},
        {"from_at": "9999-12-31T00:00:00Z"},
        {"from_at": "9999-12-01T00:00:00Z", "until_at": "9999-12-31T00:00:00Z"},
    ],
)
async def test_a_time_that_no_rota_is_of_is_refused(
    world: World, browse: Login, asked: dict[str, str]
) -> None:
    async with browse("anna") as client:
        path = f"/units/{world.viewer('anna').unit_id}/duties"
        answer = await client.get(API + path, params=asked)
    assert (answer.status_code, slug(answer)) == (422, "period-unfit")


async def test_a_colleague_names_who_stands_in_for_her(world: World, browse: Login) -> None:
    one_for_all(world)
    anna_id, eva_id, lisa_id = (world.staff(key) for key in ("anna", "eva", "lisa"))
    path = f"/staff/{anna_id}/substitutes"
    async with browse("anna") as client:
        anna = Program(client)
        named = await anna.post(path, {"staff_ids": [lisa_id, eva_id]})
        assert [one["name"] for one in named.json()["substitutes"]] == [
            "Lisa Testek",
            "Eva Testström",
        ]
        assert (await anna.get(path)).json() == named.json()
        for staff_ids, status, why in (
            ([anna_id], 422, "herself"),
            ([eva_id, eva_id], 422, "twice"),
            ([world.staff("tove")], 409, "gives-no-care"),
            ([999_999], 409, "unknown"),
        ):
            answer = await anna.post(path, {"staff_ids": staff_ids})
            assert (answer.status_code, slug(answer)) == (status, f"substitutes-{why}")
        assert (await anna.get(path)).json() == named.json()
    async with browse("eva") as client:
        assert slug(await Program(client).post(path, {"staff_ids": []})) == "not-found"
    coordinates(world, "eva")
    async with browse("eva") as client:
        assert (await Program(client).post(path, {"staff_ids": []})).status_code == 200
    detail = "detail -> 'for_staff_id', detail -> 'staff_ids'"
    logged = world.rows(
        f"select staff_id, patient_id, ground, {detail} from access_log where action = %s"
        " order by at",
        "substitutes_named",
    )
    assert logged == [
        (anna_id, None, "herself", anna_id, [lisa_id, eva_id]),
        (eva_id, None, "coordinator", anna_id, []),
    ]


async def test_nobody_lets_another_huvudman_in_by_being_away(world: World, browse: Login) -> None:
    one_each(world)
    marta, anna_id = world.patient("marta"), world.staff("anna")
    lisas = {"staff_ids": [world.staff("lisa")]}
    async with browse("anna") as client:
        anna = Program(client)
        for path, why in (
            (f"/staff/{anna_id}/substitutes", "other-huvudman"),
            (f"/patients/{marta}/substitutes", "no-consent"),
        ):
            answer = await anna.post(path, lisas)
            assert (answer.status_code, slug(answer)) == (409, f"substitutes-{why}")
        away = {"staff_id": anna_id, **span(-DAY, DAY)}
        noted = await anna.post(f"/units/{world.viewer('anna').unit_id}/absences", away)
        assert noted.status_code == 201
    async with browse("lisa") as client:
        assert slug(await Program(client).get(f"/patients/{marta}/readings")) == "not-found"
    query = "select ground, detail ->> 'answer' from access_log where action = 'substitutes_named'"
    assert world.rows(query) == [("contact", "substitutes-no-consent")]


async def test_who_cares_lastingly_names_who_stands_in_for_a_patient(
    world: World, browse: Login
) -> None:
    marta, eva_id = world.patient("marta"), world.staff("eva")
    path = f"/patients/{marta}/substitutes"
    key = str(uuid4())
    async with browse("anna") as client:
        anna = Program(client)
        for _ in range(2):
            named = await anna.post(path, {"staff_ids": [eva_id]}, Idempotency_Key=key)
            assert [one["staff_id"] for one in named.json()["substitutes"]] == [eva_id]
        assert (await anna.get(path)).json() == named.json()
        assert world.one("select patient_id from idempotency_key") == marta
    world.connection.execute(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "select unit_id, %s, now() - interval '1 hour', now() + interval '1 hour' "
        "from person where patient_id = %s",
        (world.staff("lisa"), marta),
    )
    world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at) values (%s, 'x', 2, now())",
        [marta],
    )
    async with browse("lisa") as client:  # on duty: she sees her and changes nothing that lasts
        lisa = Program(client)
        assert (await lisa.get(path)).status_code == 200
        assert slug(await lisa.post(path, {"staff_ids": [world.staff("lisa")]})) == "not-found"
    world.connection.execute(
        "update care_contact set staff_id = %s where patient_id = %s", [eva_id, marta]
    )
    world.connection.execute("update alert_case set staff_id = null")
    world.connection.execute("update duty set staff_id = %s", [world.staff("anna")])
    async with browse("anna") as client:  # nor does who cared for her once hear her answer again
        again = await Program(client).post(path, {"staff_ids": [eva_id]}, Idempotency_Key=key)
        assert slug(again) == "not-found"
    logged = world.rows(
        "select ground, detail ->> 'why' from access_log where patient_id = %s and action = %s"
        " order by number",
        marta,
        "substitutes_named",
    )
    assert logged == [("contact", None)] * 2 + [("denied", "not_lasting")] * 2
