"""A staff member adds, orders, tests and takes away her own channels: on the page, by the API."""

import asyncio
import re
from dataclasses import replace

import pytest
from fastapi import FastAPI

from alerts.care import own_channel
from alerts.care.own_channel import ADDED_MAX, CHANNELS_MAX, Refusal
from alerts.channels.message import Kind
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Login
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Elks
from tests.alerts.web.api.program import Program, slug


async def add(told: Told, address: str, kind: Kind = Kind.SMS, who: str = "anna") -> int | Refusal:
    async with told.pool.connection() as connection:
        staff_id = told.world.staff(who)
        return await own_channel.add(connection, staff_id, kind, address, told.now)


@pytest.fixture
def carried(told: Told, app: FastAPI) -> FastAPI:
    """The application, from which messages are sent."""
    services: ServicesOf = app.state.services
    with_carriers = replace(services, carriers=told.carriers)
    app.state.services = with_carriers
    for route in app.routes:
        if getattr(route, "name", "") == "api":
            route.app.state.services = with_carriers  # type: ignore[attr-defined]
    return app


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        (Kind.SMS, " 070-174 06 05 ", "+46701740605"),
        (Kind.SMS, "0046 (70) 174 06 05", "+46701740605"),
        (Kind.SMS, "+358 40 123 45 67", "+358401234567"),
        (Kind.EMAIL, " anna@example.org", "anna@example.org"),
        (Kind.SMS, "anna@example.org", None),
        (Kind.SMS, "070", None),
        (Kind.EMAIL, "0701740605", None),
        (Kind.EMAIL, "a@b.c\nBcc: x@y.z", None),
        (Kind.EMAIL, f"{'a' * 250}@b.se", None),
        (Kind.APPRISE, "jsons://127.0.0.1/inne", None),  # it would lead our server somewhere
    ],
)
async def test_an_address_is_kept_as_it_is_sent_to(
    told: Told, kind: Kind, typed: str, kept: str | None
) -> None:
    added = await add(told, typed, kind)
    if kept is None:
        assert added is Refusal.ADDRESS
    else:
        row = "select kind, address, verified_at from channel where channel_id = %s"
        assert told.world.rows(row, added) == [(kind, kept, None)]


async def test_the_same_again_is_the_same_also_at_once(told: Told) -> None:
    found = await asyncio.gather(*(add(told, "0701740605") for _ in range(6)))
    assert len(set(found)) == 1
    assert await add(told, "0701740605", who="eva") not in found  # hers is another


async def test_there_is_an_end_to_how_many_she_has_and_adds(told: Told) -> None:
    told.world.connection.execute("delete from channel")
    for number in range(CHANNELS_MAX):
        assert isinstance(await add(told, f"07017406{number:02}"), int)
    assert await add(told, "0701740699") is Refusal.TOO_MANY
    for number in range(CHANNELS_MAX, ADDED_MAX):
        oldest = told.world.one("select min(channel_id) from channel where ended_at is null")
        async with told.pool.connection() as connection:
            staff_id = told.world.staff("anna")
            assert await own_channel.remove(connection, staff_id, oldest, told.now) is None
        assert isinstance(await add(told, f"07017406{number:02}"), int)
    told.world.connection.execute("update channel set ended_at = now()")
    assert await add(told, "0701740699") is Refusal.TOO_OFTEN
    told.now += own_channel.ADDED_WITHIN
    assert isinstance(await add(told, "0701740699"), int)


async def test_a_program_adds_tests_orders_and_takes_away(
    told: Told, elks: Elks, carried: FastAPI, browse: Login
) -> None:
    assert carried.state.services.carriers is not None
    told.world.connection.execute("delete from channel")
    async with browse("anna") as client:
        anna = Program(client)
        added = await anna.post("/channels", {"kind": "sms", "address": "070-174 06 05"})
        assert (added.status_code, added.json()["address"]) == (201, "+46701740605")
        sms = added.json()["channel_id"]
        mail = (await anna.post("/channels", {"kind": "email", "address": "a@example.org"})).json()
        assert (await anna.get("/channels")).json()["is_reached"] is False
        tested = await anna.post(f"/channels/{sms}/test")
        assert tested.json()["channels"][0]["is_asked"]
        code = re.search(r"\b\d{6}\b", elks.messages[-1]["message"])
        assert code is not None
        wrong = f"{(int(code[0]) + 1) % 10**6:06d}"
        answer = await anna.post(f"/channels/{sms}/confirm", {"code": wrong})
        assert (answer.status_code, slug(answer)) == (422, "channel-wrong-code")
        assert told.world.one("select tries from channel_test") == 1  # a guess counts
        answer = await anna.post(f"/channels/{sms}/confirm", {"code": code[0]})
        assert answer.json()["is_reached"] is True
        again = await anna.post(f"/channels/{sms}/confirm", {"code": code[0]})
        assert (again.status_code, slug(again)) == (409, "channel-code-over")
        order = {"channel_ids": [mail["channel_id"], sms]}
        for asked in (order, {"channel_ids": [sms]}, {"channel_ids": [sms, sms]}):
            ordered = await anna.post("/channels/order", asked)
            assert ordered.status_code == (200 if asked is order else 409)
        ids = [one["channel_id"] for one in (await anna.get("/channels")).json()["channels"]]
        assert ids == order["channel_ids"]
        left = await anna.post(f"/channels/{sms}/remove")
        assert ([one["kind"] for one in left.json()["channels"]], left.json()["is_reached"]) == (
            ["email"],
            False,
        )
    async with browse("eva") as client:
        eva = Program(client)
        for path, body in (("test", None), ("confirm", {"code": code[0]}), ("remove", None)):
            answer = await eva.post(f"/channels/{mail['channel_id']}/{path}", body)
            assert slug(answer) == "not-found", path
        assert (await eva.post("/channels/order", order)).status_code == 409
    assert told.world.one("select ended_at is null from channel where kind = 'email'")


async def test_on_the_page_she_adds_raises_and_takes_away(told: Told, browse: Login) -> None:
    told.world.connection.execute("delete from channel")
    async with browse("anna") as anna:
        refused = await anna.submit("/kanaler/ny", kind="sms", address="<070>")
        assert (refused.status_code, "ser inte ut som" in refused.text) == (409, True)
        assert 'value="&lt;070&gt;"' in refused.text  # what she typed is still there
        for kind, address in (("sms", "070-174 06 05"), ("email", "anna@example.org")):
            assert (await anna.submit("/kanaler/ny", kind=kind, address=address)).status_code == 200
        first, second = (
            number for (number,) in told.world.rows("select channel_id from channel order by 1")
        )
        assert (await anna.submit(f"/kanaler/{second}/upp")).status_code == 303
        text = (await anna.get("/kanaler")).text
        assert text.index("anna@example.org") < text.index("+46701740605")
        assert (await anna.submit(f"/kanaler/{first}/bort")).status_code == 303
        assert "+46701740605" not in (await anna.get("/kanaler")).text
        assert (await anna.submit(f"/kanaler/{first}/bort")).status_code == 404
        assert (await anna.post(f"/kanaler/{second}/bort")).status_code == 403  # not our form
    async with browse("eva") as eva:
        for what in ("upp", "bort", "testa", "kod"):
            assert (await eva.submit(f"/kanaler/{second}/{what}")).status_code == 404, what
    async with browse("tove") as tove:  # technicians are told of what is theirs
        assert (await tove.get("/kanaler")).status_code == 200
    async with browse("marta") as marta:
        assert (await marta.get("/kanaler")).status_code == 404
