"""Patients, what they measure page by page, and what they and their care write."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from devices.quantity import Quantity
from tests.alerts.conftest import Login
from tests.alerts.web.api.program import RED, Program, slug
from tests.alerts.world import D, P, S, World


async def test_a_nurse_reads_whom_she_follows(world: World, browse: Login) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        listed = (await anna.get("/patients")).json()["patients"]
        names = [f"{one['given_name']} {one['family_name']}" for one in listed]
        assert names == ["Märta Provlind", "Sven Utan", "Kalle Åkertest"]
        one = (await anna.get(f"/patients/{world.patient('marta')}")).json()
        assert (one["personal_number"], one["ground"], one["may_act"]) == (
            "189001019802",
            "contact",
            True,
        )
        unknown = await anna.get("/patients/999999999")
        closed = await anna.get(f"/patients/{world.patient('olga')}")
    assert slug(unknown) == slug(closed) == "not-found"
    assert unknown.json() == closed.json()  # there is no telling them apart


async def test_a_patient_reads_her_own(world: World, browse: Login) -> None:
    marta = world.patient("marta")
    async with browse("marta") as client:
        program = Program(client)
        me = (await program.get("/me")).json()
        assert (me["kind"], me["patient_id"], me["staff_id"]) == ("patient", marta, None)
        assert me["csrf_token"] == client.csrf
        assert (await program.get(f"/patients/{marta}")).json()["ground"] == "self"
        assert slug(await program.get("/patients")) == "not-found"
        assert slug(await program.get("/worklist")) == "not-found"
        assert slug(await program.get(f"/patients/{world.patient('kalle')}")) == "not-found"


async def test_readings_come_page_by_page_each_once(world: World, browse: Login) -> None:
    marta = world.patient("marta")
    world_at = [timedelta(hours=number) for number in (1, 2, 2, 3, 4, 5, 6)]  # two at one time
    for ago in world_at:
        await world.measure_soon("marta", {S: 130.0, D: 80.0, P: 60.0}, ago=ago)
    await world.measure_soon("marta", ago=timedelta(minutes=1))  # it failed
    # Two acts of measuring at the very same moment.
    world.connection.execute(
        "update reading set measured_at = (select min(measured_at) from reading)"
        " where measured_at < now() - interval '90 minutes'"
        "   and measured_at > now() - interval '150 minutes'"
    )
    path = f"/patients/{marta}/readings"
    async with browse("anna") as client:
        anna = Program(client)
        everything = (await anna.get(path)).json()
        assert everything["next_cursor"] is None
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            query: dict[str, Any] = {"limit_count": 3} | ({"cursor": cursor} if cursor else {})
            page = (await anna.get(path, **query)).json()
            assert len(page["readings"]) <= 3
            found += page["readings"]
            cursor, pages = page["next_cursor"], pages + 1
    assert (pages, len(found)) == (3, 8)
    assert found == everything["readings"]
    assert len({one["reading_id"] for one in found}) == 8
    assert found[0]["has_failed"]
    assert found[1]["values"]["systolic_mmhg"] == 130.0
    assert found[1]["values"]["body_weight_kg"] is None
    assert found[1]["measured_at"].endswith("Z")


def test_every_quantity_has_a_field_with_its_unit() -> None:
    from alerts.web.api.models import FIELDS, Values  # noqa: PLC0415

    units = {
        "mm[Hg]": "mmhg",
        "/min": "per_minute",
        "kg": "kg",
        "%": "percent",
        "h": "hours",
        "{steps}/d": "per_day",
    }
    assert set(FIELDS) == set(Quantity)
    assert set(FIELDS.values()) == set(Values.model_fields)
    for quantity, name in FIELDS.items():
        assert name.endswith("_" + units[quantity.facts.unit]), name


async def test_a_cursor_is_good_for_its_list_and_login_only(world: World, browse: Login) -> None:
    for ago in (1, 2, 3):
        await world.measure_soon("marta", RED, ago=timedelta(hours=ago))
        await world.measure_soon("kalle", RED, ago=timedelta(hours=ago))
    marta, kalle = (f"/patients/{world.patient(key)}/readings" for key in ("marta", "kalle"))
    alert = world.alert("marta")
    async with browse("anna") as client, browse("anna") as again:
        anna = Program(client)
        good = (await anna.get(marta, limit_count=1)).json()["next_cursor"]
        assert (await anna.get(marta, cursor=good)).status_code == 200
        changed = good[:30] + ("A" if good[30] != "A" else "B") + good[31:]
        for bad in ("x", "====", "å", "\x00", good[:-4], changed, f"{good}AAAA"):
            answer = await anna.get(marta, cursor=bad)
            assert (answer.status_code, slug(answer)) == (400, "cursor"), bad
        for path in (kalle, f"/patients/{world.patient('marta')}/alerts", f"/alerts/{alert}/log"):
            assert (await anna.get(path, cursor=good)).status_code == 400
        assert (await Program(again).get(marta, cursor=good)).status_code == 400


async def test_alerts_and_their_log_come_page_by_page(world: World, browse: Login) -> None:
    for _ in range(3):
        await world.measure_soon("marta", RED, ago=timedelta(seconds=5))
        world.connection.execute("update alert set state = 'closed'")
    marta, newest = world.patient("marta"), world.alert("marta")
    async with browse("anna") as client:
        anna = Program(client)
        whole = (await anna.get(f"/patients/{marta}/alerts")).json()["alerts"]
        assert [one["alert_id"] for one in whole] == sorted(
            (number for (number,) in world.rows("select alert_id from alert")), reverse=True
        )
        first = (await anna.get(f"/patients/{marta}/alerts", limit_count=2)).json()
        rest = (
            await anna.get(f"/patients/{marta}/alerts", limit_count=2, cursor=first["next_cursor"])
        ).json()
        assert first["alerts"] + rest["alerts"] == whole
        assert rest["next_cursor"] is None
        log = f"/alerts/{newest}/log"
        entries = (await anna.get(log)).json()["entries"]
        world.connection.execute(
            "insert into alert_log (alert_id, event) values (%s, 'joined'), (%s, 'raised')",
            [newest, newest],
        )
        first = (await anna.get(log, limit_count=2)).json()
        assert [one["event"] for one in first["entries"]] == ["raised", "joined"]
        rest = (await anna.get(log, cursor=first["next_cursor"])).json()
    assert rest["entries"] == entries


async def test_she_writes_and_is_answered_once(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}/messages"
    key = str(uuid4())
    async with browse("marta") as hers, browse("anna") as theirs:
        marta, anna = Program(hers), Program(theirs)
        missing = await marta.post(path, {"text": "Hej"}, Idempotency_Key="")
        assert (missing.status_code, slug(missing)) == (400, "idempotency-key-needed")
        for _ in range(2):
            asked = await marta.post(path, {"text": "Jag är yr\x00"}, Idempotency_Key=key)
            assert (asked.status_code, asked.json()["text"]) == (201, "Jag är yr")
        waiting = (await anna.get("/worklist")).json()["messages"]
        assert [(one["text"], one["messages_count"]) for one in waiting] == [("Jag är yr", 1)]
        thread = (await anna.get(path)).json()["messages"]
        body = {"text": "Jag ringer", "seen_message_id": thread[-1]["message_id"]}
        for _ in range(2):
            answer = await anna.post(path, body, Idempotency_Key=key)  # hers and Anna's are two
            assert (answer.status_code, answer.json()["writer_name"]) == (201, "Anna Provberg")
        assert (await anna.get("/worklist")).json()["messages"] == []
        both = (await marta.get(path)).json()["messages"]
    assert [(one["text"], one["is_by_care"]) for one in both] == [
        ("Jag är yr", False),
        ("Jag ringer", True),
    ]
    assert both[0]["read_name"] == "Anna Provberg"
    assert both[0]["answered_at"] is not None


async def test_what_cannot_be_written_is_refused_with_a_reason(world: World, browse: Login) -> None:
    refused: list[tuple[object, int, str]] = [
        ({"text": " "}, 422, "empty"),
        ({"text": "\x00"}, 422, "empty"),
        ({"text": ""}, 422, "invalid"),
        ({"text": "x" * 4001}, 422, "invalid"),
        ({"text": "x" * 70_000}, 413, "too-large"),
        ({"text": "Hej", "seen_message_id": 2**63}, 422, "invalid"),
        ({"text": "Hej", "to": "x"}, 422, "invalid"),
        ([], 422, "invalid"),
        (None, 422, "invalid"),
    ]
    path = f"/patients/{world.patient('marta')}/messages"
    async with browse("marta") as client:
        for body, status, why in refused:
            answer = await Program(client).post(path, body)
            assert (answer.status_code, slug(answer)) == (status, why), str(body)[:40]
            assert "xxx" not in answer.text  # what was sent is not told again
    assert world.one("select count(*) from message") == 0


async def test_who_writes_too_much_is_told_to_call(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}/messages"
    async with browse("marta") as client:
        marta = Program(client)
        for _ in range(20):
            assert (await marta.post(path, {"text": "Hej"})).status_code == 201
        answer = await marta.post(path, {"text": "Hej"})
    assert (answer.status_code, slug(answer)) == (429, "too-many-messages")
    logged = world.rows(
        "select detail ->> 'answer', count(*) from access_log where action = 'message_written'"
        " and ground = 'self' group by 1 order by 1"
    )
    assert logged == [("done", 20), ("too-many-messages", 1)]


async def test_a_relative_reads_what_is_shared_and_no_more(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    marta, alert = world.patient("marta"), world.alert("marta")
    relative = world.one(
        "insert into relative (patient_id, name) values (%s, 'Prov Anhörig') returning relative_id",
        marta,
    )
    world.connection.execute(
        "insert into account (username, relative_id) values ('anhorig', %s)", [relative]
    )
    world.connection.execute(
        "insert into consent (patient_id, relative_id, scope, given_how)"
        " values (%s, %s, '{values}', 'self')",
        [marta, relative],
    )
    parts = ("", "/readings", "/alerts", "/messages")
    async with browse("anhorig") as client:
        program = Program(client)
        seen = [(await program.get(f"/patients/{marta}{part}")).status_code for part in parts]
        assert seen == [200, 200, 404, 404]
        assert (await program.get(f"/alerts/{alert}")).status_code == 404
        one = (await program.get(f"/patients/{marta}")).json()
        assert one["scopes"] == ["values"]
        kept = ("personal_number", "phone", "diagnosis", "contact_name", "contact_phone")
        assert [one[name] for name in kept] == [None] * 5
        world.connection.execute("update consent set scope = '{alerts}'")
        seen = [(await program.get(f"/patients/{marta}{part}")).status_code for part in parts]
        assert seen == [200, 404, 200, 404]
        world.connection.execute("update consent set revoked_at = now()")
        seen = [(await program.get(f"/patients/{marta}{part}")).status_code for part in parts]
        assert seen == [404] * 4


@pytest.mark.parametrize(("scope", "shown"), [("values", []), ("plan", ["diagnosis"])])
async def test_a_unit_reads_the_parts_that_are_shared(
    world: World, browse: Login, scope: str, shown: list[str]
) -> None:
    world.connection.execute(
        "insert into consent (patient_id, unit_id, scope, given_how) values (%s, %s, %s, 'self')",
        (world.patient("marta"), world.viewer("lisa").unit_id, [scope]),
    )
    async with browse("lisa") as client:
        one = (await Program(client).get(f"/patients/{world.patient('marta')}")).json()
    kept = ("diagnosis", "contact_name", "contact_role", "contact_phone")
    assert [name for name in kept if one[name] is not None] == shown
