"""The technician's list and fleet, for programs: nobody's name is there."""

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import GATEWAY, PATIENTS, World, device


def fault(world: World) -> int:
    return int(
        world.one(
            "insert into technical (kind, key, gateway_id, detail) values"
            """ ('silent_gateway', %s, %s, '{"what": "silent", "urgency": 3}')"""
            " returning technical_id",
            GATEWAY,
            GATEWAY,
        )
    )


async def test_a_fault_is_taken_by_one_left_and_closed(world: World, browse: Login) -> None:
    number = fault(world)
    path = f"/technical/{number}"
    world.connection.execute(
        "update staff_function set name = 'technician' where staff_id = %s", [world.staff("eva")]
    )
    async with browse("tove") as hers, browse("eva") as theirs:
        tove, eva = Program(hers), Program(theirs)
        (listed,) = (await tove.get("/technical", gateway_id=GATEWAY)).json()["faults"]
        assert (listed["technical_id"], listed["urgency"]) == (number, "now")
        assert (await tove.get("/technical", gateway_id="g-other")).json()["faults"] == []
        assert (await tove.post(f"{path}/take")).json() == {
            "technical_id": number,
            "state": "taken",
        }
        for what, body in (("take", None), ("leave", None), ("close", {"note": "Klart."})):
            answer = await eva.post(f"{path}/{what}", body)
            assert (answer.status_code, slug(answer)) == (409, "fault-taken"), what
        (listed,) = (await eva.get("/technical")).json()["faults"]
        assert listed["taken_name"] == "Tove Tekniktest"
        assert (await tove.post(f"{path}/leave")).status_code == 200
        assert (await eva.post(f"{path}/close", {"note": "Bytte\x00 sladd."})).status_code == 200
        assert slug(await tove.post(f"{path}/take")) == "not-found"
    assert world.one("select note from technical") == "Bytte sladd."
    async with browse("anna") as client:
        assert slug(await Program(client).get("/technical")) == "not-found"


async def test_who_is_noted_as_away_is_told_why_she_cannot_take_it(
    world: World, browse: Login
) -> None:
    number = fault(world)
    world.connection.execute(
        "insert into absence (staff_id, from_at, until_at)"
        " values (%s, now() - interval '1 hour', now() + interval '1 day')",
        [world.staff("tove")],
    )
    async with browse("tove") as client:
        answer = await Program(client).post(f"/technical/{number}/take")
        assert (answer.status_code, slug(answer)) == (409, "fault-away")
    assert world.one("select count(*) from technical where taken_by is not null") == 0


async def test_a_fleet_tells_of_boxes_and_of_no_people(world: World, browse: Login) -> None:
    world.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, now())",
        (GATEWAY, world.patient("marta")),
    )
    async with browse("tove") as client:
        tove = Program(client)
        fleet = await tove.get("/gateways")
        (listed,) = fleet.json()["gateways"]
        assert (listed["gateway_id"], listed["people_count"]) == (GATEWAY, 1)
        assert listed["troubles"][0]["what"] == "Dosan har inte hört av sig ännu."
        assert sum(fleet.json()["counts"].values()) == 1
        assert (await tove.get("/gateways", sought="nowhere")).json()["gateways"] == []
        one = await tove.get(f"/gateways/{GATEWAY}")
        assert one.json()["troubles"] == listed["troubles"]
        assert slug(await tove.get("/gateways/g-none")) == "not-found"
    names = {name for patient in PATIENTS.values() for name in patient[:3] if name}
    assert device("marta") in one.text
    assert not any(str(name) in fleet.text + one.text for name in names)
