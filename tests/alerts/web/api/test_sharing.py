"""Who else may see her, by programs: by her word until it is revoked, blocked, in an emergency."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import PATIENTS, World

WHY = "Hittad medvetslös i hemmet."


def _relative(world: World) -> int:
    relative = world.one(
        "insert into relative (patient_id, name, relation)"
        " values (%s, 'Prov Anhörig', 'dotter') returning relative_id",
        world.patient("marta"),
    )
    world.connection.execute(
        "insert into account (username, relative_id) values ('anhorig', %s)", [relative]
    )
    return int(relative)


async def test_she_shares_with_a_relative_until_she_does_not(world: World, browse: Login) -> None:
    relative, patient_id = _relative(world), world.patient("marta")
    path = f"/patients/{patient_id}"
    until = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    async with browse("marta") as first, browse("anhorig") as second, browse("anna") as third:
        marta, daughter, anna = Program(first), Program(second), Program(third)
        (close,) = (await marta.get(f"{path}/relatives")).json()["relatives"]
        assert close == {"relative_id": relative, "name": "Prov Anhörig", "relation": "dotter"}
        assert (await daughter.get(f"{path}/readings")).status_code == 404
        body = {"relative_id": relative, "scopes": ["values"], "how": "self", "until_at": until}
        given = await marta.post(f"{path}/consents", body)
        assert given.status_code == 201
        (consent,) = given.json()["consents"]
        assert (consent["holder_name"], consent["scopes"]) == ("Prov Anhörig", ["values"])
        assert datetime.fromisoformat(consent["until_at"]) == datetime.fromisoformat(until)
        assert (await anna.get(f"{path}/consents")).json() == given.json()
        assert (await daughter.get(f"{path}/readings")).status_code == 200
        assert (await daughter.get(f"{path}/consents")).status_code == 404
        wider = {**body, "scopes": ["values", "alerts"], "how": "phone", "until_at": None}
        noted = await anna.post(f"{path}/consents", wider)
        assert [one["noted_name"] for one in noted.json()["consents"]] == ["Anna Provberg"]
        gone = await marta.post(f"{path}/consents/revoke", {"relative_id": relative})
        assert gone.json() == {"consents": []}
        assert (await daughter.get(f"{path}/readings")).status_code == 404
        over = await marta.post(f"{path}/consents/revoke", {"relative_id": relative})
        assert (over.status_code, slug(over)) == (409, "consent-over")


async def test_who_says_it_and_how_and_what_must_fit(world: World, browse: Login) -> None:
    relative, own = _relative(world), world.viewer("anna").unit_id
    path = f"/patients/{world.patient('marta')}/consents"
    past = "2020-01-01T00:00:00Z"
    word = {"relative_id": relative, "scopes": ["values"], "how": "phone"}
    refused: list[tuple[dict[str, object], int, str]] = [
        ({**word, "how": "self"}, 422, "consent-how"),
        ({**word, "scopes": []}, 422, "consent-empty"),
        ({**word, "scopes": ["all"]}, 422, "invalid"),
        ({**word, "until_at": past}, 422, "consent-period"),
        ({**word, "relative_id": 2**40}, 422, "consent-nobody"),
        ({**word, "unit_id": own}, 422, "invalid"),
        ({**word, "relative_id": None}, 422, "invalid"),
        ({**word, "relative_id": None, "unit_id": own}, 403, "consent-not-yours"),
    ]
    async with browse("anna") as client:
        anna = Program(client)
        for body, status, why in refused:
            answer = await anna.post(path, body)
            assert (answer.status_code, slug(answer)) == (status, why), body
    async with browse("marta") as client:
        body = {"unit_id": own, "scopes": ["values"], "how": "self"}
        mine = await Program(client).post(path, body)
        assert (mine.status_code, slug(mine)) == (409, "consent-own-unit")
    assert world.one("select count(*) from consent") == 0


async def test_a_unit_shares_until_she_blocks_it(world: World, browse: Login) -> None:
    path, unit = f"/patients/{world.patient('marta')}", world.viewer("lisa").unit_id
    async with browse("marta") as first, browse("lisa") as second, browse("anna") as third:
        marta, lisa, anna = Program(first), Program(second), Program(third)
        shared = {"unit_id": unit, "scopes": ["values", "plan"], "how": "self"}
        assert (await marta.post(f"{path}/consents", shared)).status_code == 201
        assert (await lisa.get(f"{path}/readings")).status_code == 200
        word = {"unit_id": unit, "how": "self"}
        made = await marta.post(f"{path}/blocks", word)
        assert made.status_code == 201
        assert [one["unit_id"] for one in made.json()["blocks"]] == [unit]
        assert (await lisa.get(f"{path}/readings")).status_code == 404
        again = await marta.post(f"{path}/blocks", word)
        assert (again.status_code, slug(again)) == (409, "block-already")
        assert (await anna.get(f"{path}/blocks")).json() == made.json()
        assert slug(await anna.post(f"{path}/blocks/lift", word)) == "block-how"
        lifted = await anna.post(f"{path}/blocks/lift", {**word, "how": "phone"})
        assert lifted.json() == {"blocks": []}
        assert (await lisa.get(f"{path}/readings")).status_code == 200
        own = await marta.post(f"{path}/blocks", {**word, "unit_id": world.viewer("anna").unit_id})
        assert (own.status_code, slug(own)) == (409, "block-own-unit")
        none = await marta.post(f"{path}/blocks", {**word, "unit_id": 2**40})
        assert (none.status_code, slug(none)) == (422, "block-no-unit")


async def test_in_an_emergency_she_is_open_for_an_hour_and_it_is_seen_afterwards(
    world: World, browse: Login
) -> None:
    patient_id, key = world.patient("marta"), str(uuid4())
    body = {"personal_number": PATIENTS["marta"][2], "why": WHY}
    async with browse("lisa") as client:
        lisa = Program(client)
        assert (await lisa.get(f"/patients/{patient_id}")).status_code == 404
        both = [await lisa.post("/emergency-access", body, Idempotency_Key=key) for _ in range(2)]
        assert [answer.status_code for answer in both] == [201, 201]
        assert both[0].content == both[1].content
        opened = both[0].json()
        assert opened["patient_id"] == patient_id
        left = datetime.fromisoformat(opened["until_at"]) - datetime.now(UTC)
        assert timedelta(minutes=59) < left <= timedelta(hours=1)
        seen = (await lisa.get(f"/patients/{patient_id}")).json()
        assert (seen["ground"], seen["may_act"]) == ("emergency", False)
        again = await lisa.post("/emergency-access", body)
        assert again.json() == opened
    assert world.rows("select why from emergency_access") == [(WHY,)]
    logged = "select ground, detail->>'answer' from access_log where action = 'emergency_opened'"
    assert world.rows(f"{logged} order by number") == [
        ("emergency", None),
        ("emergency", "again"),
        ("emergency", "not_needed"),
    ]


async def test_an_emergency_has_a_reason_and_a_number_and_no_fishing(
    world: World, browse: Login
) -> None:
    number = PATIENTS["marta"][2]
    async with browse("lisa") as first, browse("anna") as second, browse("tove") as third:
        lisa, anna, tove = Program(first), Program(second), Program(third)
        for sent, status, why in (
            ({"personal_number": number, "why": "kort"}, 422, "invalid"),
            ({"personal_number": number, "why": " " * 12}, 422, "emergency-reason"),
            ({"personal_number": "x", "why": WHY}, 422, "emergency-number"),
        ):
            answer = await lisa.post("/emergency-access", sent)
            assert (answer.status_code, slug(answer)) == (status, why)
        # Whom she follows is open already: no emergency is written down.
        mine = await anna.post("/emergency-access", {"personal_number": number, "why": WHY})
        assert (mine.status_code, mine.json()["until_at"]) == (201, None)
        missed = {"personal_number": "191212121212", "why": WHY}
        for _ in range(10):
            answer = await lisa.post("/emergency-access", missed)
            assert (answer.status_code, slug(answer)) == (404, "emergency-nobody")
        answer = await lisa.post("/emergency-access", {"personal_number": number, "why": WHY})
        assert (answer.status_code, slug(answer)) == (429, "emergency-too-many")
        answer = await tove.post("/emergency-access", {"personal_number": number, "why": WHY})
        assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert world.one("select count(*) from emergency_access") == 0
    missed_count = "select count(*) from access_log where action = 'emergency_missed'"
    assert world.one(missed_count) == 10
