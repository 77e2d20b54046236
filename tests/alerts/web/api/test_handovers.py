"""A patient goes over to another unit by programs: the giver keeps her until it is accepted."""

import asyncio
from uuid import uuid4

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import RED, Program, slug
from tests.alerts.world import World


async def _share(world: World) -> int:
    """Let Märta share what the other unit needs; return its number."""
    unit = int(world.viewer("lisa").unit_id or 0)
    world.connection.execute(
        "insert into consent (patient_id, unit_id, scope, given_how)"
        " values (%s, %s, '{values,alerts,plan}', 'self')",
        (world.patient("marta"), unit),
    )
    return unit


async def test_she_is_offered_seen_accepted_and_her_alerts_go_with_her(
    world: World, browse: Login
) -> None:
    unit = await _share(world)
    await world.measure_soon("marta", RED)
    path = f"/patients/{world.patient('marta')}/handover"
    async with browse("anna") as first, browse("lisa") as second:
        anna, lisa = Program(first), Program(second)
        assert (await anna.get(path)).json() == {"offer": None}
        made = await anna.post(path, {"to_unit_id": unit, "message": "Flyttar på fredag."})
        assert made.status_code == 201
        (offer,) = (await lisa.get("/handovers")).json()["offers"]
        assert offer == made.json()["offer"] == (await anna.get(path)).json()["offer"]
        assert (offer["family_name"], offer["message"]) == ("Provlind", "Flyttar på fredag.")
        assert (await anna.get("/handovers")).json()["offers"] == []
        assert len((await anna.get("/worklist")).json()["alerts"]) == 1  # she keeps her
        one = f"/handovers/{offer['handover_id']}"
        nobody = await lisa.post(f"{one}/accept", {"staff_id": world.staff("anna")})
        assert (nobody.status_code, slug(nobody)) == (422, "handover-no-contact")
        assert slug(await anna.post(f"{one}/accept", {"staff_id": 1})) == "not-found"
        key = str(uuid4())
        body = {"staff_id": world.staff("lisa")}
        both = [await lisa.post(f"{one}/accept", body, Idempotency_Key=key) for _ in range(2)]
        assert [answer.json()["answer"] for answer in both] == ["accepted", "accepted"]
        late = await lisa.post(f"{one}/decline", {"message": "Fullt"})
        assert (late.status_code, slug(late)) == (409, "handover-answered")
        assert "Lisa Testek svarade" in late.json()["detail"]
        assert len((await lisa.get("/worklist")).json()["alerts"]) == 1
        assert (await anna.get("/worklist")).json()["alerts"] == []
    kept = world.rows(
        "select actor, action, ground, detail->>'answer' from access_log"
        " where action like 'handover_%%' order by number"
    )
    anna_is, lisa_is = (f"staff:{world.staff(key)}" for key in ("anna", "lisa"))
    assert kept == [
        (anna_is, "handover_offered", "contact", None),
        (lisa_is, "handover_accepted", "queue", "handover-no-contact"),
        (anna_is, "handover_accepted", "denied", None),
        (lisa_is, "handover_accepted", "queue", None),
        (lisa_is, "handover_accepted", "queue", "again"),
        (lisa_is, "handover_declined", "queue", "handover-answered"),
    ]


async def test_it_is_declined_with_a_reason_or_taken_back(world: World, browse: Login) -> None:
    unit = await _share(world)
    path = f"/patients/{world.patient('marta')}/handover"
    async with browse("anna") as first, browse("lisa") as second:
        anna, lisa = Program(first), Program(second)
        made = await anna.post(path, {"to_unit_id": unit})
        twice = await anna.post(path, {"to_unit_id": unit})
        assert (twice.status_code, slug(twice)) == (409, "handover-already-offered")
        one = f"/handovers/{made.json()['offer']['handover_id']}"
        assert slug(await lisa.post(f"{one}/decline", {"message": " "})) == "handover-why-missing"
        no = await lisa.post(f"{one}/decline", {"message": "Ingen plats före januari."})
        assert no.json()["answer"] == "declined"
        await anna.post(path, {"to_unit_id": unit})
        assert (await anna.post(f"{path}/withdraw")).json()["answer"] == "withdrawn"
        assert (await lisa.get("/handovers")).json()["offers"] == []
        none = await anna.post(f"{path}/withdraw")
        assert (none.status_code, slug(none)) == (409, "handover-answered")
    assert world.one(
        "select unit_id from person where patient_id = %s", world.patient("marta")
    ) == (world.viewer("anna").unit_id)


async def test_of_many_who_accept_and_decline_at_once_one_does(world: World, browse: Login) -> None:
    unit = await _share(world)
    path = f"/patients/{world.patient('marta')}/handover"
    async with browse("anna") as first, browse("lisa") as second:
        anna, lisa = Program(first), Program(second)
        made = await anna.post(path, {"to_unit_id": unit})
        one = f"/handovers/{made.json()['offer']['handover_id']}"
        body = {"staff_id": world.staff("lisa")}
        answers = await asyncio.gather(
            lisa.post(f"{one}/accept", body),
            lisa.post(f"{one}/accept", body),
            lisa.post(f"{one}/decline", {"message": "Fullt"}),
        )
    (kept,) = (answer for answer in answers if answer.status_code == 200)
    assert [slug(each) for each in answers if each is not kept] == ["handover-answered"] * 2
    answer = kept.json()["answer"]
    assert world.rows("select answer from handover") == [(answer,)]
    has_moved = world.one(
        "select unit_id = %s from person where patient_id = %s", unit, world.patient("marta")
    )
    assert has_moved == (answer == "accepted")


async def test_offers_come_page_by_page_and_who_saw_them_is_logged(
    world: World, browse: Login
) -> None:
    unit, other = (world.viewer(key).unit_id for key in ("anna", "lisa"))
    for key in ("marta", "kalle", "sven"):  # at one moment
        world.connection.execute(
            "insert into handover (patient_id, from_unit_id, to_unit_id, offered_at)"
            " values (%s, %s, %s, '2026-01-01')",
            (world.patient(key), unit, other),
        )
    async with browse("lisa") as client:
        lisa = Program(client)
        whole = (await lisa.get("/handovers")).json()["offers"]
        found, page = [], (await lisa.get("/handovers", limit_count=2)).json()
        found += page["offers"]
        page = (await lisa.get("/handovers", limit_count=2, cursor=page["next_cursor"])).json()
        found += page["offers"]
    assert (found, page["next_cursor"], len(whole)) == (whole, None, 3)
    seen = world.rows("select patient_ids from access_log where ground = 'queue' order by number")
    assert [len(patients) for (patients,) in seen] == [3, 2, 1]


async def test_what_hinders_her_is_said(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}/handover"
    own, other = (world.viewer(key).unit_id for key in ("anna", "lisa"))
    async with browse("anna") as client:
        anna = Program(client)
        for unit, status, why in (
            (own, 409, "handover-same-unit"),
            (2**40, 422, "handover-no-unit"),
            (2**63, 422, "invalid"),
            (other, 409, "handover-no-consent"),
        ):
            answer = await anna.post(path, {"to_unit_id": unit})
            assert (answer.status_code, slug(answer)) == (status, why)
        await _share(world)
        world.connection.execute(
            "insert into block (patient_id, unit_id) values (%s, %s)",
            (world.patient("marta"), other),
        )
        assert slug(await anna.post(path, {"to_unit_id": other})) == "handover-blocked"
    async with browse("marta") as client:
        mine = await Program(client).post(path, {"to_unit_id": other})
        assert (mine.status_code, slug(mine)) == (403, "handover-not-yours")
    assert world.one("select count(*) from handover") == 0
