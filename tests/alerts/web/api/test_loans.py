"""Devices on loan by programs: lent, given back, moved to somebody else; never two at once."""

from datetime import UTC, datetime, timedelta

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import RED, Program, slug
from tests.alerts.world import World, device

NEW = "C4:00:00:00:01:42"


async def test_a_device_is_lent_moved_and_given_back(world: World, browse: Login) -> None:
    marta, kalle = (f"/patients/{world.patient(key)}/loans" for key in ("marta", "kalle"))
    async with browse("anna") as client:
        anna = Program(client)
        made = await anna.post(marta, {"address": NEW.lower(), "slot": 1, "serial": "SN-7"})
        assert (made.status_code, made.json()["has_gateway"]) == (201, False)
        loan = (await anna.get(marta)).json()["loans"][0]
        assert (loan["loan_id"], loan["slot"]) == (made.json()["loan_id"], 1)
        assert (loan["device_id"], loan["serial"], loan["returned_at"]) == (NEW, "SN-7", None)
        twice = await anna.post(kalle, {"address": NEW, "slot": 1})
        assert (twice.status_code, slug(twice)) == (409, "loan-lent")
        body = {"to_patient_id": world.patient("kalle")}
        moved = await anna.post(f"{marta}/{loan['loan_id']}/move", body)
        assert moved.status_code == 200
        assert (await anna.get(marta)).json()["loans"][0]["returned_at"] is not None
        assert (await anna.get(kalle)).json()["loans"][0]["loan_id"] == moved.json()["loan_id"]
        both = (await anna.get(kalle)).json()["loans"]
        first = (await anna.get(kalle, limit_count=1)).json()
        rest = (await anna.get(kalle, limit_count=1, cursor=first["next_cursor"])).json()
        assert first["loans"] + rest["loans"] == both
        assert (len(both), rest["next_cursor"]) == (2, None)
        back = await anna.post(f"{kalle}/{moved.json()['loan_id']}/return", {})
        assert back.json()["loans"][0]["returned_at"] is not None
        again = await anna.post(f"{kalle}/{moved.json()['loan_id']}/return", {})
        assert (again.status_code, slug(again)) == (409, "loan-returned")


async def test_what_cannot_be_lent_is_refused_with_a_reason(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    path = f"/patients/{world.patient('marta')}/loans"
    ago = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    refused: list[tuple[dict[str, object], int, str]] = [
        ({"address": "x"}, 422, "loan-address"),
        ({"address": NEW, "model": "x"}, 422, "loan-model"),
        ({"address": NEW, "slot": 256}, 422, "invalid"),
        ({"address": NEW, "serial": "\x00"}, 422, "invalid"),
        ({"address": NEW, "from_at": long_ago}, 422, "loan-too-far"),
        ({"address": device("kalle")}, 409, "loan-lent"),
    ]
    async with browse("anna") as client:
        anna = Program(client)
        for body, status, why in refused:
            answer = await anna.post(path, body)
            assert (answer.status_code, slug(answer)) == (status, why), body
        loan = (await anna.get(path)).json()["loans"][0]["loan_id"]
        early = await anna.post(f"{path}/{loan}/return", {"at": ago})
        assert (early.status_code, slug(early)) == (409, "loan-has-readings")
        for to, why in (("ingrid", "not-found"), ("marta", "loan-same")):
            body = {"to_patient_id": world.patient(to)}  # Ingrid is not hers
            assert slug(await anna.post(f"{path}/{loan}/move", body)) == why
        others = world.one("select loan_id from device_loan where device_id = %s", device("kalle"))
        assert slug(await anna.post(f"{path}/{others}/return", {})) == "not-found"
    async with browse("marta") as client:
        mine = await Program(client).post(path, {"address": NEW})
        assert (mine.status_code, slug(mine)) == (403, "loan-not-yours")
        assert len((await Program(client).get(path)).json()["loans"]) == 1
    assert world.one("select count(*) from device_loan where returned_at is not null") == 0
